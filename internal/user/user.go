// Package user knows who people are: accounts, their passwords, and the sessions in which they are signed in.
package user

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/kv"
)

// Service is accounts and sessions.
type Service struct {
	// DB holds the tables users, sessions and refresh_tokens.
	DB *db.DB
	// KV counts failed sign-ins. While it cannot be reached nobody signs in.
	KV kv.Store
	// Key signs access tokens; at least 32 bytes.
	Key []byte
	// AccessLife, SessionLife: how long an access token and a session last; 0 means 15 minutes and 30 days.
	AccessLife, SessionLife time.Duration
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
}

// TableName implements gorm's Tabler.
func (account) TableName() string { return "users" }

// session is a row of sessions: one sign-in, until it expires or is ended.
type session struct {
	ID         int64 `gorm:"primaryKey;autoIncrement:false"`
	UserID     int64
	CookieHash []byte
	Client     string
	CreatedAt  int64
	ExpiresAt  int64
	RevokedAt  int64
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

// secret is a random token to be handed out, and the hash that is kept of it.
func secret() (token string, hash []byte) {
	token = rand.Text() + rand.Text() // 260 bits
	return token, hashOf(token)
}

func hashOf(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
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
