package filemeta

import (
	"context"
	"errors"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/userpb"
)

// The drive of an account whose time has come is erased in pieces. First it becomes nobody's: its owner is written with
// a minus, so that no request and no commit that is still under way finds it. Then its rows go, a bounded number in each
// transaction, and with its versions and claims the last that keeps its content from being collected, unless others
// have that too. At the end the user role is told. Being cut off anywhere loses nothing: the account is named again.

// eraseBatch is how many rows one transaction of an erasure deletes.
const eraseBatch = 500

// owned are the tables of a drive's rows, with their primary keys.
var owned = []struct{ name, key string }{
	{"reservations", "id"}, {"versions", "node_id, version"}, {"nodes", "id"}, {"changes", "drive_id, seq"},
}

// EraseDeparted erases the drives of all accounts whose time has come. What fails for one is no reason to keep another's.
func (s *Service) EraseDeparted(ctx context.Context) error {
	const op = errs.Op("filemeta.EraseDeparted")
	if s.Users == nil {
		return nil
	}
	list, err := s.Users.Departed(ctx, &userpb.DepartedRequest{})
	if err != nil {
		return errs.Wrap(op, err)
	}
	var failed []error
	for _, user := range list.GetUserIds() {
		if err := s.erase(ctx, UserID(user)); err != nil {
			failed = append(failed, errs.Wrap(op, err))
			continue
		}
		if _, err := s.Users.Erased(ctx, &userpb.ErasedRequest{UserId: user}); err != nil {
			failed = append(failed, errs.Wrap(op, err))
		}
	}
	return errors.Join(failed...)
}

// erase erases a user's drive, and what is remembered of their requests.
func (s *Service) erase(ctx context.Context, user UserID) error {
	for {
		done, err := s.eraseSome(ctx, user)
		if done || err != nil {
			return err
		}
	}
}

// eraseSome does a piece of an erasure, and says when nothing is left.
func (s *Service) eraseSome(ctx context.Context, user UserID) (done bool, err error) {
	s.own.Delete(user)
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		done = false
		d, err := driveWhere(tx, "owner_id IN (?, ?)"+db.ForUpdate(tx), user, -user)
		if err != nil {
			return err
		}
		if d.OwnerID > 0 {
			_, err = execute(tx, "UPDATE drives SET owner_id = ? WHERE id = ?", -user, d.ID)
			return err
		}
		left := int64(eraseBatch)
		for _, t := range owned {
			n, err := deleteSome(tx, t.name, t.key, left, "drive_id = ?", d.ID)
			if left -= n; err != nil || left == 0 {
				return err
			}
		}
		n, err := deleteSome(tx, "requests", `actor_id, "key"`, left, "actor_id = ?", user)
		if err != nil || n == left {
			return err
		}
		done = true
		_, err = execute(tx, "DELETE FROM drives WHERE id = ?", d.ID)
		return err
	})
	return done, errs.Wrap("filemeta.eraseSome", err)
}
