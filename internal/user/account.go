package user

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/trustelem/zxcvbn"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/sms"
)

// Roles of an account.
const (
	roleUser  = "user"
	roleAdmin = "admin"
)

// newAccount is what an account is made of.
type newAccount struct {
	Login string // "": one is made up
	Name  string
	Role  string
	Phone sms.Phone // "": none
	// PasswordHash "" means that one cannot sign in by a password.
	PasswordHash string
}

// madeUp gives a login for somebody who was not asked for one.
func madeUp() string { return "u" + strings.ToLower(rand.Text()[:10]) }

// row is the account as it is stored.
func (s *Service) row(ctx context.Context, n newAccount) (account, error) {
	const op = errs.Op("user.row")
	if n.Login == "" {
		n.Login = madeUp()
	}
	login, err := canonical(n.Login)
	if err != nil {
		return account{}, errs.Wrap(op, err)
	}
	id, err := s.newID(ctx)
	if err != nil {
		return account{}, errs.Wrap(op, err)
	}
	a := account{ID: id, Login: login, Name: n.Name, Role: n.Role, PasswordHash: n.PasswordHash, CreatedAt: s.now().UnixMilli()}
	if n.Phone != "" {
		p := string(n.Phone)
		a.Phone = &p
	}
	return a, nil
}

// insert stores a new account; errs.Exists where its login or phone has one already.
func insert(tx *gorm.DB, a account) error {
	const op = errs.Op("user.insert")
	var n int64
	if err := tx.Raw("SELECT count(*) FROM users WHERE login = ?", a.Login).Scan(&n).Error; err != nil {
		return err
	}
	if n > 0 {
		return errs.E(errs.Exists, op, errs.Code("login_taken"), errs.Field("login"))
	}
	if a.Phone != nil {
		if err := tx.Raw("SELECT count(*) FROM users WHERE phone = ?", *a.Phone).Scan(&n).Error; err != nil {
			return err
		}
		if n > 0 {
			return errs.E(errs.Exists, op, errs.Code("phone_taken"), errs.Field("phone"))
		}
	}
	err := tx.Create(&a).Error
	if db.Taken(err) { // at this very moment, by another process
		return errs.E(errs.Exists, op, errs.Code("login_taken"), errs.Field("login"), err)
	}
	return err
}

// create makes an account and tells the audit log how.
func (s *Service) create(ctx context.Context, n newAccount, how string) (account, error) {
	const op = errs.Op("user.create")
	a, err := s.row(ctx, n)
	if err != nil {
		return account{}, errs.Wrap(op, err)
	}
	err = s.recorded(ctx, "user.create", a.ID, how, func(tx *gorm.DB) error { return insert(tx, a) })
	return a, errs.Wrap(op, err)
}

// choosePassword hashes a password that somebody chose, if it is not one that is guessed first. about are words that
// such a password must not be made of.
func choosePassword(ctx context.Context, password string, about ...string) (string, error) {
	const op, judged = errs.Op("user.choosePassword"), 100
	const field = errs.Field("password")
	runes := []rune(password)
	if len(runes) < MinPassword || len(password) > MaxPassword {
		return "", errs.E(errs.Invalid, op, errs.Code("bad_field"), field)
	}
	// Scores are 0 to 4; at 2 it takes more than a million guesses. What is long takes long to judge and is not common.
	if zxcvbn.PasswordStrength(string(runes[:min(len(runes), judged)]), about).Score < 2 {
		return "", errs.E(errs.Invalid, op, errs.Code("common_password"), field)
	}
	hash, err := hashPassword(ctx, password)
	return hash, errs.Wrap(op, err)
}

// fresh is how long after the sign-in somebody without a password need not sign in again to change what guards the
// account.
const fresh = 10 * time.Minute

// sure gives the account of who asks, if it is sure that its owner sits there: by the password, or where there is none
// by a sign-in of a moment ago.
func (s *Service) sure(ctx context.Context, currentPassword string) (account, auth.Principal, error) {
	const op = errs.Op("user.sure")
	a, p, err := s.me(ctx)
	if err != nil {
		return a, p, errs.Wrap(op, err)
	}
	if a.PasswordHash == "" {
		var ses session
		err := s.DB.Read(ctx, func(tx *gorm.DB) error {
			return tx.Raw("SELECT * FROM sessions WHERE id = ?", p.SessionID).Scan(&ses).Error
		})
		if err == nil && s.now().UnixMilli()-ses.CreatedAt > fresh.Milliseconds() {
			err = errs.E(errs.Denied, op, errs.Code("reauthenticate"))
		}
		return a, p, errs.Wrap(op, err)
	}
	wrong := errs.E(errs.Denied, op, errs.Code("wrong_password"), errs.Field("currentPassword"))
	if currentPassword == "" || len(currentPassword) > MaxPassword {
		return a, p, wrong // nobody's guess
	}
	try, err := s.attempt(ctx, "sure", a.Login)
	if err != nil {
		return a, p, errs.Wrap(op, err)
	}
	good, err := checkPassword(ctx, a.PasswordHash, currentPassword)
	if err != nil {
		_ = try.undecided(context.WithoutCancel(ctx)) // its time is over; where this fails it counts
		return a, p, errs.Wrap(op, err)
	}
	if !good {
		if err := s.record(ctx, "password.wrong", a.ID, ""); err != nil {
			return a, p, errs.Wrap(op, err)
		}
		return a, p, wrong
	}
	return a, p, errs.Wrap(op, try.succeeded(ctx))
}

// me gives the account of who asks.
func (s *Service) me(ctx context.Context) (account, auth.Principal, error) {
	const op = errs.Op("user.me")
	p, err := auth.From(ctx)
	if err != nil {
		return account{}, p, errs.Wrap(op, err)
	}
	a, err := s.account(ctx, "id = ?", p.UserID)
	if err == nil && a.ID == 0 {
		err = errs.E(errs.Unauthenticated, op)
	}
	return a, p, errs.Wrap(op, err)
}

// setPassword changes the password and ends all sessions but the one that asks; keys of programs stay.
func (s *Service) setPassword(ctx context.Context, a account, password string, session int64) error {
	const op = errs.Op("user.setPassword")
	hash, err := choosePassword(ctx, password, a.Login, a.Name)
	if err != nil {
		return errs.Wrap(op, err)
	}
	return errs.Wrap(op, s.recorded(ctx, "password.change", a.ID, "", func(tx *gorm.DB) error {
		// Only over the one that was shown: two changes at once are not both made.
		err := touched(op, tx.Exec("UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?", hash, a.ID, a.PasswordHash))
		if errs.Is(errs.NotFound, err) {
			return errs.E(errs.Stale, op)
		}
		if err != nil {
			return err
		}
		// A link that somebody had made before must not undo this.
		if err := voidResets(tx, a.ID); err != nil {
			return err
		}
		return s.endAll(tx, a.ID, session)
	}))
}

// updateAccount changes a login, unless it is "", and a name, unless it is nil.
func (s *Service) updateAccount(ctx context.Context, a account, login string, name *string) error {
	const op = errs.Op("user.updateAccount")
	if login != "" {
		var err error
		if login, err = canonical(login); err != nil {
			return errs.Wrap(op, err)
		}
	}
	what := "name"
	if login != "" && login != a.Login {
		what = "login"
	}
	err := s.recorded(ctx, "user.rename", a.ID, what, func(tx *gorm.DB) error {
		if what == "login" {
			other, err := accountWhere(tx, "login = ?", login)
			if err != nil {
				return err
			}
			if other.ID != 0 {
				return errs.E(errs.Exists, op, errs.Code("login_taken"), errs.Field("login"))
			}
			if err := tx.Exec("UPDATE users SET login = ? WHERE id = ?", login, a.ID).Error; err != nil {
				return err
			}
		}
		if name == nil {
			return nil
		}
		return tx.Exec("UPDATE users SET name = ? WHERE id = ?", *name, a.ID).Error
	})
	if db.Taken(err) {
		err = errs.E(errs.Exists, op, errs.Code("login_taken"), errs.Field("login"), err)
	}
	return errs.Wrap(op, err)
}

// setPhone gives an account the phone that a code of its own was sent to.
func (s *Service) setPhone(ctx context.Context, a account, to sms.Phone) error {
	const op = errs.Op("user.setPhone")
	theirs := errs.E(errs.Exists, op, errs.Code("phone_taken"), errs.Field("phone"))
	err := s.recorded(ctx, "phone.set", a.ID, to.Masked(), func(tx *gorm.DB) error {
		other, err := accountWhere(tx, "phone = ?", string(to))
		if err != nil {
			return err
		}
		if other.ID != 0 && other.ID != a.ID {
			return theirs
		}
		return tx.Exec("UPDATE users SET phone = ? WHERE id = ?", string(to), a.ID).Error
	})
	if db.Taken(err) {
		err = theirs
	}
	return errs.Wrap(op, err)
}
