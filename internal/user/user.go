// Package user knows who people are: accounts, their passwords, and the sessions in which they are signed in.
package user

import (
	"context"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/kv"
	"github.com/livil/gopan/internal/sms"
)

// Service is accounts and sessions.
type Service struct {
	// DB holds the tables of this role: users, sessions and the others of migration 00005.
	DB *db.DB
	// KV counts failed sign-ins and keeps codes. While it cannot be reached nobody signs in.
	KV kv.Store
	// Key signs access tokens, and all other keys are made of it; at least 32 bytes.
	Key []byte
	// AccessLife, SessionLife: how long an access token and a session last; 0 means 15 minutes and 30 days.
	AccessLife, SessionLife time.Duration
	// EraseAfter is how long a deleted account can be brought back; 0 means 30 days.
	EraseAfter time.Duration
	// SMS sends codes; nil: one cannot sign in by SMS.
	SMS sms.Sender
	// Region is the country of phone numbers that are given without one; "" means "CN".
	Region string
	// Providers are other sites by whose accounts one can sign in.
	Providers []Provider
	// PublicURL is where people reach the drive; "" means the address that their request asks.
	PublicURL string
	// Limits of attempts; zero fields mean the values of DefaultLimits.
	Limits Limits
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	ids     db.Sequence
	idsOnce sync.Once
}

// account is a row of users.
type account struct {
	ID           int64 `gorm:"primaryKey;autoIncrement:false"`
	Login        string
	PasswordHash string
	Role         string
	DisabledAt   int64
	CreatedAt    int64
	// Name is what others see; "" where the person gave none.
	Name string
	// Phone in E.164; nil: none.
	Phone *string
	// TOTPSecret is sealed. TOTPOn is since when a code is asked for, 0: it is not; TOTPStep is the last one used.
	TOTPSecret       []byte `gorm:"column:totp_secret"`
	TOTPOn, TOTPStep int64
	// EraseAt is when a deleted account, which is disabled too, is erased; 0: it was not deleted.
	EraseAt int64
}

// TableName implements gorm's Tabler.
func (account) TableName() string { return "users" }

// session is a row of sessions: one sign-in, until it expires or is ended.
type session struct {
	ID         int64 `gorm:"primaryKey;autoIncrement:false"`
	UserID     int64
	CookieHash []byte
	// Client is "browser" or "api", and after a space what it calls itself.
	Client    string
	CreatedAt int64
	ExpiresAt int64
	RevokedAt int64
	// Name that its owner gave it, and the address that it was begun from.
	Name, Address string
	// SeenAt is when it was last used, to the minute; 0: not since it began.
	SeenAt int64
}

// refreshToken is a row of refresh_tokens.
type refreshToken struct {
	Hash      []byte `gorm:"primaryKey"`
	SessionID int64
	ExpiresAt int64
	UsedAt    int64
}

func (s *Service) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Service) accessLife() time.Duration {
	if s.AccessLife > 0 {
		return s.AccessLife
	}
	return 15 * time.Minute
}

func (s *Service) sessionLife() time.Duration {
	if s.SessionLife > 0 {
		return s.SessionLife
	}
	return 30 * 24 * time.Hour
}

func (s *Service) newID(ctx context.Context) (int64, error) {
	s.idsOnce.Do(func() { s.ids = db.Sequence{DB: s.DB, Name: "users", Block: 100} })
	return s.ids.Take(ctx, 1)
}

// AdminLogin is the login of the first account.
const AdminLogin = "admin"

// EnsureAdmin makes the first account, if there is none at all, with this password. It tells whether it did.
func (s *Service) EnsureAdmin(ctx context.Context, password string) (bool, error) {
	const op = errs.Op("user.EnsureAdmin")
	var n int64
	if err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT count(*) FROM users").Scan(&n).Error
	}); err != nil || n > 0 {
		return false, errs.Wrap(op, err)
	}
	if len(password) < MinPassword {
		return false, errs.E(errs.Invalid, op, "the admin password needs at least 8 characters")
	}
	hash, err := hashPassword(ctx, password)
	if err != nil {
		return false, errs.Wrap(op, err)
	}
	id, err := s.newID(ctx)
	if err != nil {
		return false, errs.Wrap(op, err)
	}
	made := false
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		// Again, alone: another process may start at this moment. Where the two are not alone, the login is unique.
		made = false
		if err := tx.Raw("SELECT count(*) FROM users").Scan(&n).Error; err != nil || n > 0 {
			return err
		}
		made = true
		return tx.Create(&account{
			ID: id, Login: AdminLogin, PasswordHash: hash, Role: "admin", CreatedAt: s.now().UnixMilli(),
		}).Error
	})
	return made && err == nil, errs.Wrap(op, err)
}

// NeedsAdmin tells whether there is no account yet.
func (s *Service) NeedsAdmin(ctx context.Context) (bool, error) {
	var n int64
	err := s.DB.Read(ctx, func(tx *gorm.DB) error { return tx.Raw("SELECT count(*) FROM users").Scan(&n).Error })
	return n == 0, errs.Wrap("user.NeedsAdmin", err)
}
