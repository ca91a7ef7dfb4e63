package user

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"strconv"
	"strings"

	"golang.org/x/text/secure/precis"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
)

// canonical is the one form of a login: lower case, and no two that look the same for being written in different
// ways (RFC 8265, section 3.3). Text that cannot be a login is errs.Invalid.
func canonical(login string) (string, error) {
	s, err := precis.UsernameCaseMapped.String(login)
	if err != nil || s == "" || len(s) > 255 {
		return "", errs.E(errs.Invalid, "user.canonical", errs.Code("bad_login"), errs.Field("login"))
	}
	return s, nil
}

// accountWhere reads one account; its ID is 0 where there is none.
func accountWhere(tx *gorm.DB, where string, args ...any) (a account, err error) {
	err = tx.Raw("SELECT * FROM users WHERE "+where, args...).Scan(&a).Error
	return a, err
}

func (s *Service) account(ctx context.Context, where string, args ...any) (a account, err error) {
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		a, err = accountWhere(tx, where, args...)
		return err
	})
	return a, errs.Wrap("user.account", err)
}

// signIn checks a login and a password. Whatever is wrong, the answer is the same and takes the same time. device is
// what the browser kept from an earlier sign-in, totp the second factor, where there is one.
func (s *Service) signIn(ctx context.Context, login, password, totp, device string) (account, error) {
	const op = errs.Op("user.signIn")
	bad := errs.E(errs.Unauthenticated, op, errs.Code("bad_credentials"))
	login, err := canonical(login)
	if err != nil || password == "" || len(password) > MaxPassword {
		return account{}, bad
	}
	a, err := s.account(ctx, "login = ?", login)
	if err != nil {
		return account{}, errs.Wrap(op, err)
	}
	begin, who := s.attempt, login
	if s.knows(a, device) {
		begin, who = s.ownAttempt, login+" "+device
	}
	try, err := begin(ctx, "signin", who)
	if err != nil {
		return account{}, errs.Wrap(op, err)
	}
	hash := a.PasswordHash
	if hash == "" || a.DisabledAt > 0 {
		hash = dummyHash
	}
	good, err := checkPassword(ctx, hash, password)
	if err != nil {
		_ = try.undecided(context.WithoutCancel(ctx)) // its time is over; where this fails it counts
		return account{}, errs.Wrap(op, err)
	}
	if !good || a.ID == 0 || a.PasswordHash == "" || a.DisabledAt > 0 {
		if err := s.record(ctx, "signin.fail", a.ID, "password"); err != nil {
			return account{}, errs.Wrap(op, err)
		}
		return account{}, bad
	}
	if err := s.secondFactor(ctx, a, totp); err != nil {
		if errs.CodeOf(err) == "totp_required" {
			if uerr := try.undecided(ctx); uerr != nil {
				err = uerr
			}
		}
		return account{}, errs.Wrap(op, err)
	}
	if err := s.rehash(ctx, a, password); err != nil {
		return account{}, errs.Wrap(op, err)
	}
	if err = try.succeeded(ctx); err == nil && a.Role != roleAdmin { // who turned it off must be able to turn it on
		err = s.offered(ctx, byPassword)
	}
	if err != nil {
		return account{}, errs.Wrap(op, err)
	}
	return a, nil
}

// rehash stores the password anew where its hash was made with settings that are no longer ours.
func (s *Service) rehash(ctx context.Context, a account, password string) error {
	if sameSettings(a.PasswordHash, dummyHash) {
		return nil
	}
	hash, err := hashPassword(ctx, password)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?", hash, a.ID, a.PasswordHash).Error
	})
}

// sameSettings tells whether two hashes in PHC string format differ in salt and key alone.
func sameSettings(a, b string) bool {
	head := func(h string) string { return strings.Join(strings.SplitN(h, "$", 5)[:4], "$") }
	return strings.Count(a, "$") == 5 && strings.Count(b, "$") == 5 && head(a) == head(b)
}

// A device is a browser in which an account was signed in before. It is given a token that opens nothing: it only has
// its failures counted apart from those of strangers (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").

// deviceFor makes the token of a browser for an account.
func (s *Service) deviceFor(a account) string {
	nonce := rand.Text() // 130 bits
	return nonce + "." + s.deviceSum(a, nonce)
}

// knows tells whether a token was made for this account.
func (s *Service) knows(a account, device string) bool {
	nonce, sum, ok := strings.Cut(device, ".")
	return ok && a.ID != 0 && hmac.Equal([]byte(sum), []byte(s.deviceSum(a, nonce)))
}

func (s *Service) deviceSum(a account, nonce string) string {
	return b64.EncodeToString(s.mac("device", strconv.FormatInt(a.ID, 10), nonce)[:16])
}
