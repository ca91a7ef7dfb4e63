// Package auth carries who is asking: it takes the credential from a request, has the user role judge it, and
// keeps the answer for less than a second.
package auth

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/pb/userpb"
)

// CookieName of the browser's session cookie.
const CookieName = "gopan_session"

// Principal is an account that has shown a good credential.
type Principal struct {
	UserID int64
	Login  string
	Role   string
	// SessionID is 0 where an access key was shown.
	SessionID int64
	// Cookie tells that the credential came in a cookie, which browsers send by themselves.
	Cookie bool
	// KeyID is the access key that was shown, an app password or a token; 0: the person signed in.
	KeyID int64
	// ReadOnly: the key changes nothing.
	ReadOnly bool
	// FolderID is the one folder that the key opens; 0: the whole drive.
	FolderID int64
}

// Admin tells whether the account administers this installation.
func (p Principal) Admin() bool { return p.Role == "admin" }

// Actor is the account as roles tell the filemeta role who asks, with what a key is limited to.
func (p Principal) Actor() *filemetapb.Actor {
	return &filemetapb.Actor{UserId: p.UserID, FolderId: p.FolderID}
}

type contextKey struct{}

// With gives a context in which p asks.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// From gives who asks in ctx, or errs.Unauthenticated.
func From(ctx context.Context) (Principal, error) {
	p, ok := ctx.Value(contextKey{}).(Principal)
	if !ok {
		return p, errs.E(errs.Unauthenticated, "auth.From")
	}
	return p, nil
}

// Credential is what a request shows: an access token, a session cookie or an access key.
type Credential struct {
	Token  string
	Cookie bool
	// Key: Token is an access key.
	Key bool
	// Login that came with an app password (RFC 7617); "" where none did.
	Login string
}

// KeyPrefix begins every access key, so that programs that look for leaked secrets know one.
const KeyPrefix = "gpk_"

// maxCredential bytes; longer ones are not looked at.
const maxCredential = 4096

// CredentialOf takes the credential from a request: the Authorization header if there is one, else the cookie.
// Without either, or with a header that is neither a bearer token nor a login with an app password, it fails with
// errs.Unauthenticated. A person's own password is never taken from Basic. Tokens anywhere else, as in the URL, are
// not seen (promise S4).
func CredentialOf(r *http.Request) (Credential, error) {
	const op = errs.Op("auth.CredentialOf")
	if h := r.Header.Values("Authorization"); len(h) > 0 {
		scheme, token, ok := strings.Cut(h[0], " ")
		switch {
		case len(h) > 1 || !ok || token == "" || len(token) > maxCredential:
		case strings.EqualFold(scheme, "Bearer"):
			return Credential{Token: token, Key: strings.HasPrefix(token, KeyPrefix)}, nil
		case strings.EqualFold(scheme, "Basic"):
			login, password, ok := r.BasicAuth()
			if ok && login != "" && utf8.ValidString(login) && strings.HasPrefix(password, KeyPrefix) {
				return Credential{Token: password, Key: true, Login: login}, nil
			}
		}
		return Credential{}, errs.E(errs.Unauthenticated, op)
	}
	c, err := r.Cookie(CookieName)
	if err != nil || c.Value == "" || len(c.Value) > maxCredential {
		return Credential{}, errs.E(errs.Unauthenticated, op)
	}
	return Credential{Token: c.Value, Cookie: true}, nil
}

// Checker has credentials judged by the user role. A good answer is kept for Keep, so that a session that
// ends stops working everywhere within that time (promise S18); a bad one is not kept.
type Checker struct {
	User userpb.UserClient
	// Keep is how long an answer holds; 0 means half a second.
	Keep time.Duration

	once sync.Once
	seen *lru.Cache[[sha256.Size]byte, answer]
}

type answer struct {
	Principal
	until time.Time
}

// Check gives the principal of a credential, errs.Unauthenticated for a bad one, and errs.Busy when the user
// role cannot be asked: who cannot be checked does not come in.
func (c *Checker) Check(ctx context.Context, cred Credential) (Principal, error) {
	const op = errs.Op("auth.Check")
	c.once.Do(func() { c.seen, _ = lru.New[[sha256.Size]byte, answer](1 << 14) }) // fails for a size below 1 only
	kind := "bearer "
	switch {
	case cred.Cookie:
		kind = "cookie "
	case cred.Login != "":
		kind = "basic " + strconv.Quote(cred.Login) + " "
	}
	key := sha256.Sum256([]byte(kind + cred.Token))
	now := time.Now()
	if a, ok := c.seen.Get(key); ok && now.Before(a.until) {
		return a.Principal, nil
	}
	req := &userpb.AuthenticateRequest{Credential: &userpb.AuthenticateRequest_AccessToken{AccessToken: cred.Token}}
	switch {
	case cred.Cookie:
		req.Credential = &userpb.AuthenticateRequest_SessionCookie{SessionCookie: cred.Token}
	case cred.Key:
		req.Credential, req.Login = &userpb.AuthenticateRequest_AccessKey{AccessKey: cred.Token}, cred.Login
	}
	p, err := c.User.Authenticate(ctx, req)
	if err != nil {
		return Principal{}, errs.Wrap(op, err)
	}
	keep := c.Keep
	if keep == 0 {
		keep = 500 * time.Millisecond
	}
	until := now.Add(keep)
	if end := time.UnixMilli(p.GetExpiresAt()); end.Before(until) {
		until = end
	}
	a := answer{Principal{
		UserID: p.GetUserId(), Login: p.GetLogin(), Role: p.GetRole(), SessionID: p.GetSessionId(), Cookie: cred.Cookie,
		KeyID: p.GetKeyId(), ReadOnly: p.GetReadOnly(), FolderID: p.GetFolderId(),
	}, until}
	c.seen.Add(key, a)
	return a.Principal, nil
}

// UploadTokenHeader carries the token of one upload, which outlives the access token that began it.
const UploadTokenHeader = "Upload-Token"

type uploadTokenKey struct{}

// WithUploadToken gives a context in which whoever holds a request's upload token asks. The token is not judged
// here: it is worth something to the upload that it belongs to alone.
func WithUploadToken(ctx context.Context, r *http.Request) (context.Context, error) {
	h := r.Header.Values(UploadTokenHeader)
	if len(h) != 1 || h[0] == "" || len(h[0]) > maxCredential {
		return ctx, errs.E(errs.Unauthenticated, "auth.WithUploadToken")
	}
	return context.WithValue(ctx, uploadTokenKey{}, h[0]), nil
}

// UploadToken gives the upload token that was shown in ctx; "" is none.
func UploadToken(ctx context.Context) string {
	token, _ := ctx.Value(uploadTokenKey{}).(string)
	return token
}
