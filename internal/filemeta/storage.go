package filemeta

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/userpb"
)

// use is how much is in a drive.
type use struct {
	drive
	files int64
}

// mark is a place in the list of drives, the fullest first; the zero mark is its beginning.
type mark struct {
	used int64
	id   DriveID
}

// storage lists drives from after a mark, the fullest first.
func (s *Service) storage(ctx context.Context, after mark, limit int) (list []use, err error) {
	where, args := "owner_id > 0", []any{}
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		if after != (mark{}) {
			more, values := db.After(tx, "used", true, after.used, after.id)
			where, args = where+" AND "+more, values
		}
		var rows []drive
		err := tx.Raw("SELECT * FROM drives WHERE "+where+" ORDER BY used DESC, id DESC LIMIT ?", append(args, limit)...).Scan(&rows).Error
		if err != nil {
			return err
		}
		list, err = withFiles(tx, rows)
		return err
	})
	return list, errs.Wrap("filemeta.storage", err)
}

// withFiles counts the files of drives.
func withFiles(tx *gorm.DB, drives []drive) ([]use, error) {
	out, at, ids := make([]use, len(drives)), make(map[DriveID]*use), make([]DriveID, len(drives))
	for i, d := range drives {
		out[i].drive, ids[i] = d, d.ID
		at[d.ID] = &out[i]
	}
	return out, inLists(ids, func(marks string, args []any) error {
		return query(tx, func(rows *sql.Rows) error {
			var id DriveID
			var n int64
			err := rows.Scan(&id, &n)
			at[id].files = n
			return err
		}, "SELECT drive_id, count(*) FROM nodes WHERE drive_id IN ("+marks+") AND kind = 2 GROUP BY drive_id", args...)
	})
}

// stored is all drives together.
func (s *Service) stored(ctx context.Context) (t StorageTotal, err error) {
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		if err := query(tx, func(rows *sql.Rows) error { return rows.Scan(&t.Drives, &t.Used, &t.Reserved) },
			"SELECT count(*), coalesce(sum(used), 0), coalesce(sum(reserved), 0) FROM drives WHERE owner_id > 0"); err != nil {
			return err
		}
		return query(tx, func(rows *sql.Rows) error { return rows.Scan(&t.Files) }, "SELECT count(*) FROM nodes WHERE kind = 2")
	})
	return t, errs.Wrap("filemeta.stored", err)
}

// useOf is how much a user has stored. Who has never used their drive has the quota that it will begin with.
func (s *Service) useOf(ctx context.Context, user UserID) (use, error) {
	u := use{drive: drive{OwnerID: user, Quota: s.defaultQuota()}}
	err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		d, err := driveWhere(tx, "owner_id = ?", user)
		if err != nil || d.ID == 0 {
			return err
		}
		list, err := withFiles(tx, []drive{d})
		u = list[0]
		return err
	})
	return u, errs.Wrap("filemeta.useOf", err)
}

// setQuota changes a user's quota. It is in the audit log before it is done: what cannot be recorded is not done.
func (s *Service) setQuota(ctx context.Context, by auth.Principal, user UserID, quota int64) error {
	const op = errs.Op("filemeta.setQuota")
	d, err := s.driveOf(ctx, user)
	if err != nil {
		return errs.Wrap(op, err)
	}
	if _, err := s.Users.Record(ctx, &userpb.RecordRequest{
		Action: "drive.quota", ActorId: by.UserID, Object: fmt.Sprintf("user %d", user), Address: httpapi.ClientAddress(ctx),
		Detail: strconv.FormatInt(quota, 10),
	}); err != nil {
		return errs.Wrap(op, err)
	}
	return errs.Wrap(op, s.DB.Write(ctx, func(tx *gorm.DB) error {
		_, err := execute(tx, "UPDATE drives SET quota = ? WHERE id = ?", quota, d.ID)
		return err
	}))
}
