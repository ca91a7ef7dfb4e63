package user

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/golang-jwt/jwt/v5"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/userpb"
)

// Kinds of sessions: how each shows itself.
const (
	browser = "browser" // by a cookie
	program = "api"     // by tokens
)

// open makes a session for an account, and what is told of it in the audit log.
func (s *Service) open(ctx context.Context, a account, kind, how string, cookieHash []byte) (session, event, error) {
	id, err := s.newID(ctx)
	if err != nil {
		return session{}, event{}, err
	}
	e, err := s.about(ctx, "signin.ok", a.ID, how)
	if err != nil {
		return session{}, event{}, err
	}
	e.ActorID = a.ID
	now := s.now()
	return session{
		ID: id, UserID: a.ID, CookieHash: cookieHash, Client: strings.TrimSpace(kind + " " + httpapi.ClientOf(ctx).Agent),
		CreatedAt: now.UnixMilli(), ExpiresAt: now.Add(s.sessionLife()).UnixMilli(), Address: httpapi.ClientAddress(ctx),
	}, e, nil
}

// tokens are what a program gets.
type tokens struct {
	access, refresh string
	account         account
}

// openTokens signs a program in as an account that has been proven, how says by what.
func (s *Service) openTokens(ctx context.Context, a account, how string) (tokens, error) {
	const op = errs.Op("user.openTokens")
	ses, e, err := s.open(ctx, a, program, how, nil)
	if err != nil {
		return tokens{}, errs.Wrap(op, err)
	}
	refresh, hash := secret()
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := tx.Create(&ses).Error; err != nil {
			return err
		}
		if err := tx.Create(&e).Error; err != nil {
			return err
		}
		return tx.Create(&refreshToken{Hash: hash, SessionID: ses.ID, ExpiresAt: ses.ExpiresAt}).Error
	})
	if err != nil {
		return tokens{}, errs.Wrap(op, err)
	}
	access, err := s.sign(a, ses)
	return tokens{access, refresh, a}, errs.Wrap(op, err)
}

// openCookie signs a browser in as an account that has been proven, and gives the cookie's value.
func (s *Service) openCookie(ctx context.Context, a account, how string) (string, error) {
	const op = errs.Op("user.openCookie")
	value, hash := secret()
	ses, e, err := s.open(ctx, a, browser, how, hash)
	if err != nil {
		return "", errs.Wrap(op, err)
	}
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := tx.Create(&ses).Error; err != nil {
			return err
		}
		return tx.Create(&e).Error
	})
	return value, errs.Wrap(op, err)
}

// refresh trades a refresh token for a new pair. Each works once: one that comes a second time has been stolen,
// by this caller or from the one before, so its session ends (RFC 9700, section 4.14).
func (s *Service) refresh(ctx context.Context, token string) (tokens, error) {
	const op = errs.Op("user.refresh")
	bad := errs.E(errs.Unauthenticated, op, errs.Code("bad_refresh"))
	if token == "" || len(token) > 256 {
		return tokens{}, bad
	}
	now := s.now().UnixMilli()
	next, nextHash := secret()
	var ses session
	var a account
	reused, victim := false, int64(0)
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		var old refreshToken
		if err := tx.Raw("SELECT * FROM refresh_tokens WHERE hash = ?", hashOf(token)).Scan(&old).Error; err != nil {
			return err
		}
		if old.SessionID == 0 || old.ExpiresAt <= now {
			return bad
		}
		res := tx.Exec("UPDATE refresh_tokens SET used_at = ? WHERE hash = ? AND used_at = 0", now, old.Hash)
		if res.Error != nil {
			return res.Error
		}
		if reused = res.RowsAffected != 1; reused {
			// Not an error here: the end of the session must be written.
			res := tx.Exec("UPDATE sessions SET revoked_at = ? WHERE id = ? AND revoked_at = 0", now, old.SessionID)
			if victim = 0; res.Error != nil || res.RowsAffected == 0 {
				return res.Error
			}
			return tx.Raw("SELECT user_id FROM sessions WHERE id = ?", old.SessionID).Scan(&victim).Error
		}
		var err error
		if ses, a, err = liveSession(tx, now, "sessions.id = ?", old.SessionID); err != nil {
			return err
		}
		if ses.ID == 0 {
			return bad
		}
		return tx.Create(&refreshToken{Hash: nextHash, SessionID: ses.ID, ExpiresAt: ses.ExpiresAt}).Error
	})
	if err != nil {
		return tokens{}, errs.Wrap(op, err)
	}
	if victim != 0 {
		if err := s.record(ctx, "session.reuse", victim, ""); err != nil {
			return tokens{}, errs.Wrap(op, err)
		}
	}
	if reused {
		return tokens{}, bad
	}
	access, err := s.sign(a, ses)
	return tokens{access, next, a}, errs.Wrap(op, err)
}

// liveSession reads a session and its account, if both are good at a moment; session.ID is 0 otherwise.
func liveSession(tx *gorm.DB, now int64, where string, arg any) (ses session, a account, err error) {
	err = tx.Raw("SELECT * FROM sessions WHERE "+where+" AND revoked_at = 0 AND expires_at > ?", arg, now).Scan(&ses).Error
	if err != nil || ses.ID == 0 {
		return session{}, a, err
	}
	err = tx.Raw("SELECT * FROM users WHERE id = ? AND disabled_at = 0", ses.UserID).Scan(&a).Error
	if err != nil || a.ID == 0 {
		return session{}, a, err
	}
	return ses, a, nil
}

// Access tokens are JWTs (RFC 9068) that only this role makes and reads; others ask it.
const (
	issuer   = "gopan"
	audience = "gopan-api"
	tokenTyp = "at+jwt"
)

type claims struct {
	jwt.RegisteredClaims
	Session int64 `json:"sid"`
}

func (s *Service) sign(a account, ses session) (string, error) {
	now := s.now()
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: strconv.FormatInt(a.ID, 10), ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(s.accessLife())),
		},
		Session: ses.ID,
	})
	t.Header["typ"] = tokenTyp
	signed, err := t.SignedString(s.Key)
	if err != nil {
		return "", errs.E(errs.Internal, "user.sign", err)
	}
	return signed, nil
}

// Authenticate implements the RPC. A token that is genuine still depends on its session, which is looked up each
// time, so that what ends here ends everywhere.
func (s *Service) Authenticate(ctx context.Context, req *userpb.AuthenticateRequest) (*userpb.Principal, error) {
	const op = errs.Op("user.Authenticate")
	bad := errs.E(errs.Unauthenticated, op)
	now := s.now()
	where, expires := "sessions.cookie_hash = ?", int64(0)
	var arg any
	subject := ""
	switch cred := req.GetCredential().(type) {
	case *userpb.AuthenticateRequest_SessionCookie:
		arg = hashOf(cred.SessionCookie)
	case *userpb.AuthenticateRequest_AccessKey:
		p, err := s.authenticateKey(ctx, cred.AccessKey, req.GetLogin())
		return p, errs.Wrap(op, err)
	case *userpb.AuthenticateRequest_SessionId:
		// No secret: it comes over the RPC alone, from a role that has a proof of its own.
		where, arg = "sessions.id = ?", cred.SessionId
	case *userpb.AuthenticateRequest_AccessToken:
		// Not into a struct: that would take "1" for 1.
		c := jwt.MapClaims{}
		t, err := jwt.ParseWithClaims(cred.AccessToken, c, func(*jwt.Token) (any, error) { return s.Key, nil }, jwt.WithJSONNumber(),
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithNotBeforeRequired(), jwt.WithTimeFunc(s.now))
		if err != nil || t.Header["typ"] != tokenTyp || t.Header["crit"] != nil {
			return nil, bad
		}
		id, _ := c["jti"].(string)
		sid, _ := c["sid"].(json.Number)
		number, err := sid.Int64()
		end, eerr := c.GetExpirationTime()
		if id == "" || err != nil || eerr != nil {
			return nil, bad
		}
		subject, _ = c["sub"].(string)
		where, arg, expires = "sessions.id = ?", number, end.UnixMilli()
	default:
		return nil, bad
	}
	var ses session
	var a account
	err := s.DB.Read(ctx, func(tx *gorm.DB) (err error) {
		ses, a, err = liveSession(tx, now.UnixMilli(), where, arg)
		return err
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if ses.ID == 0 || expires != 0 && subject != strconv.FormatInt(a.ID, 10) {
		return nil, bad
	}
	if expires == 0 || ses.ExpiresAt < expires {
		expires = ses.ExpiresAt
	}
	s.seen(ctx, "sessions", ses.ID, ses.SeenAt)
	return &userpb.Principal{UserId: a.ID, Login: a.Login, Role: a.Role, SessionId: ses.ID, ExpiresAt: expires}, nil
}
