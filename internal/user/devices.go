package user

import (
	"context"
	"strings"
	"time"

	"github.com/zeromicro/go-zero/core/logx"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
)

// seenEvery is how exactly it is known when a session or a key was last used.
const seenEvery = time.Minute

// seen notes that a session or a key was used. Whoever uses it must not suffer where that cannot be written.
func (s *Service) seen(ctx context.Context, table string, id, before int64) {
	column := map[string]string{"sessions": "seen_at", "access_keys": "used_at", "passkeys": "used_at"}[table]
	now := s.now().UnixMilli()
	if now-before < seenEvery.Milliseconds() {
		return
	}
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE "+table+" SET "+column+" = ? WHERE id = ? AND "+column+" < ?", now, id, now).Error
	})
	if err != nil {
		logx.Infow("cannot note that it was used", logx.Field("what", table), logx.Field("error", err.Error()))
	}
}

// sessions are those of a user that live, the one used last first.
func (s *Service) sessions(ctx context.Context, user int64) (list []session, err error) {
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT * FROM sessions WHERE user_id = ? AND revoked_at = 0 AND expires_at > ? ORDER BY "+
			"CASE WHEN seen_at > created_at THEN seen_at ELSE created_at END DESC, id DESC LIMIT 1000",
			user, s.now().UnixMilli()).Scan(&list).Error
	})
	return list, errs.Wrap("user.sessions", err)
}

// kind is "browser" or "program", and what the device called itself.
func (ses session) kind() (kind, agent string) {
	kind, agent, _ = strings.Cut(ses.Client, " ")
	if kind != browser {
		kind = "program"
	}
	return kind, agent
}

// touched tells whether a statement found what it was to change; errs.NotFound otherwise.
func touched(op errs.Op, res *gorm.DB) error {
	if res.Error == nil && res.RowsAffected == 0 {
		return errs.E(errs.NotFound, op)
	}
	return res.Error
}

func (s *Service) nameSession(ctx context.Context, user, id int64, name string) error {
	const op = errs.Op("user.nameSession")
	return errs.Wrap(op, s.DB.Write(ctx, func(tx *gorm.DB) error {
		var n int64
		err := tx.Raw("SELECT count(*) FROM sessions WHERE id = ? AND user_id = ? AND revoked_at = 0", id, user).Scan(&n).Error
		if err != nil || n == 0 {
			return notThere(op, err)
		}
		return tx.Exec("UPDATE sessions SET name = ? WHERE id = ?", name, id).Error
	}))
}

// notThere is err, or errs.NotFound where there is none.
func notThere(op errs.Op, err error) error {
	if err == nil {
		err = errs.E(errs.NotFound, op)
	}
	return err
}

// end ends a session of a user's: its tokens and its cookie are good no more.
func (s *Service) end(ctx context.Context, user, id int64) error {
	const op = errs.Op("user.end")
	return errs.Wrap(op, s.recorded(ctx, "session.end", user, "session "+decimal(id), func(tx *gorm.DB) error {
		return touched(op, tx.Exec("UPDATE sessions SET revoked_at = ? WHERE id = ? AND user_id = ? AND revoked_at = 0",
			s.now().UnixMilli(), id, user))
	}))
}

// endAll ends all sessions of a user's but one; 0: all of them.
func (s *Service) endAll(tx *gorm.DB, user, but int64) error {
	return tx.Exec("UPDATE sessions SET revoked_at = ? WHERE user_id = ? AND id <> ? AND revoked_at = 0", s.now().UnixMilli(), user, but).Error
}
