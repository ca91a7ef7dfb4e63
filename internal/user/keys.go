package user

import (
	"context"
	"crypto/rand"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/userpb"
)

// maxKeys that one account has at once.
const maxKeys = 100

// accessKey is a row of access_keys: it lets a program in without a sign-in, to files alone (promise S15).
type accessKey struct {
	ID     int64 `gorm:"primaryKey;autoIncrement:false"`
	UserID int64
	Hash   []byte
	// Kind is "app", which a file protocol may show with the login (Basic), or "token", which is shown as a bearer's.
	Kind     string
	Name     string
	ReadOnly bool
	// FolderID is the one folder that it opens; 0: the whole drive.
	FolderID  int64
	CreatedAt int64
	// ExpiresAt is 0 where it never does.
	ExpiresAt, UsedAt, RevokedAt int64
}

// TableName implements gorm's Tabler.
func (accessKey) TableName() string { return "access_keys" }

// createKey makes a key, whose secret is known only now.
func (s *Service) createKey(ctx context.Context, k accessKey, life time.Duration) (accessKey, string, error) {
	const op = errs.Op("user.createKey")
	id, err := s.newID(ctx)
	if err != nil {
		return accessKey{}, "", errs.Wrap(op, err)
	}
	value := auth.KeyPrefix + rand.Text() + rand.Text()[:13] // 195 random bits
	k.ID, k.Hash, k.CreatedAt = id, hashOf(value), s.now().UnixMilli()
	if life > 0 {
		k.ExpiresAt = s.now().Add(life).UnixMilli()
	}
	err = s.recorded(ctx, "key.create", k.UserID, k.Kind+" "+k.Name, func(tx *gorm.DB) error {
		var n int64
		if err := countAlone(tx, k.UserID, &n, "SELECT count(*) FROM access_keys WHERE user_id = ? AND revoked_at = 0", k.UserID); err != nil {
			return err
		}
		if n >= maxKeys {
			return errs.E(errs.Conflict, op, errs.Code("too_many_keys"))
		}
		return tx.Create(&k).Error
	})
	return k, value, errs.Wrap(op, err)
}

// countAlone counts what an account has of something, in a transaction that no other that counts the same account's runs
// beside: a limit holds whoever else makes one more (promise C8).
func countAlone(tx *gorm.DB, user int64, n *int64, count string, args ...any) error {
	if err := tx.Exec("UPDATE users SET name = name WHERE id = ?", user).Error; err != nil {
		return err
	}
	return tx.Raw(count, args...).Scan(n).Error
}

func (s *Service) keys(ctx context.Context, user int64) (list []accessKey, err error) {
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT * FROM access_keys WHERE user_id = ? AND revoked_at = 0 ORDER BY id DESC LIMIT ?", user, maxKeys).Scan(&list).Error
	})
	return list, errs.Wrap("user.keys", err)
}

func (s *Service) revokeKey(ctx context.Context, user, id int64) error {
	const op = errs.Op("user.revokeKey")
	return errs.Wrap(op, s.recorded(ctx, "key.revoke", user, "key "+decimal(id), func(tx *gorm.DB) error {
		return touched(op, tx.Exec("UPDATE access_keys SET revoked_at = ? WHERE id = ? AND user_id = ? AND revoked_at = 0",
			s.now().UnixMilli(), id, user))
	}))
}

// revokeKeys revokes all keys of a user's.
func (s *Service) revokeKeys(tx *gorm.DB, user int64) error {
	return tx.Exec("UPDATE access_keys SET revoked_at = ? WHERE user_id = ? AND revoked_at = 0", s.now().UnixMilli(), user).Error
}

// keyAnswer is how long an answer about a key that never expires may be relied on at most.
const keyAnswer = time.Hour

// authenticateKey says who a key lets in. With a login it must be that account's, and an app password.
func (s *Service) authenticateKey(ctx context.Context, value, login string) (*userpb.Principal, error) {
	const op = errs.Op("user.authenticateKey")
	bad := errs.E(errs.Unauthenticated, op)
	now := s.now().UnixMilli()
	var k accessKey
	var a account
	err := s.DB.Read(ctx, func(tx *gorm.DB) (err error) {
		err = tx.Raw("SELECT * FROM access_keys WHERE hash = ? AND revoked_at = 0 AND (expires_at = 0 OR expires_at > ?)", hashOf(value), now).
			Scan(&k).Error
		if err == nil && k.ID != 0 {
			a, err = accountWhere(tx, "id = ? AND disabled_at = 0", k.UserID)
		}
		return err
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if k.ID == 0 || a.ID == 0 {
		return nil, bad
	}
	if login != "" {
		if login, err = canonical(login); err != nil || login != a.Login || k.Kind != "app" {
			return nil, bad
		}
	}
	s.seen(ctx, "access_keys", k.ID, k.UsedAt)
	expires := s.now().Add(keyAnswer).UnixMilli()
	if k.ExpiresAt != 0 {
		expires = min(expires, k.ExpiresAt)
	}
	// Never its owner's role: what a program holds administers nothing.
	return &userpb.Principal{
		UserId: a.ID, Login: a.Login, Role: "user", ExpiresAt: expires, KeyId: k.ID, ReadOnly: k.ReadOnly, FolderId: k.FolderID,
	}, nil
}
