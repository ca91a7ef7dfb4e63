package filemeta

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// reservation is a row of reservations: room in a drive that an upload under way holds, and the content that it
// claims, which is not deleted meanwhile.
type reservation struct {
	id    int64
	drive DriveID
	size  int64
	// digest of the claimed content; nil: none is claimed.
	digest    []byte
	expiresAt int64
}

// claims tells whether the reservation keeps the content from being deleted. It does not when it has expired, even
// while its row is still there.
func (r reservation) claims(digest []byte, now int64) bool {
	return r.expiresAt > now && len(digest) > 0 && bytes.Equal(r.digest, digest)
}

// reservationsWhere reads the reservations that a condition selects.
func reservationsWhere(tx *gorm.DB, condition string, args ...any) (all []reservation, err error) {
	err = query(tx, func(rows *sql.Rows) error {
		var r reservation
		err := rows.Scan(&r.id, &r.drive, &r.size, &r.digest, &r.expiresAt)
		all = append(all, r)
		return err
	}, "SELECT id, drive_id, size, digest, expires_at FROM reservations WHERE "+condition, args...)
	return all, err
}

// dropReservations deletes rows that this transaction has read. That each is still there is checked, so that the
// room of none is given back twice, whatever the database's isolation.
func dropReservations(tx *gorm.DB, ids []int64) error {
	for _, id := range ids {
		if n, err := execute(tx, "DELETE FROM reservations WHERE id = ?", id); err != nil {
			return err
		} else if n != 1 {
			return errs.E(errs.Busy, "filemeta.dropReservations")
		}
	}
	return nil
}

// Reserve implements the RPC. The same Idempotency-Key again finds its reservation, which is then as the repeat
// asks: it holds its room once.
func (s *Service) Reserve(ctx context.Context, req *filemetapb.ReserveRequest) (*filemetapb.ReserveResponse, error) {
	const op = errs.Op("filemeta.Reserve")
	t, digest := req.GetTarget(), req.GetDigest()
	who := askerOf(t.GetActor())
	p, err := targetPath(t.GetPath())
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	switch {
	case t.GetSize() < 0:
		return nil, errs.E(errs.Invalid, op, errs.Field("size"))
	case len(digest) != 0 && len(digest) != 32:
		return nil, errs.E(errs.Invalid, op, errs.Field("digest"))
	case req.GetExpiresAt() <= s.now():
		return nil, errs.E(errs.Invalid, op, errs.Field("expires_at"))
	}
	if _, err := s.driveOf(ctx, who.user); err != nil {
		return nil, errs.Wrap(op, err)
	}
	id, err := s.newIDs(ctx, 1)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	var resp *filemetapb.ReserveResponse
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		resp = new(filemetapb.ReserveResponse)
		if err := lockOwn(tx, who.user); err != nil {
			return err
		}
		if err := db.Gate(tx, db.Condemning, false); err != nil {
			return err
		}
		a := &applier{tx: tx, now: s.now(), memo: &s.memo}
		d, err := a.driveFor(who, p)
		if err != nil {
			return err
		}
		resp.Drive = int64(d.ID)
		if before, ok, err := a.doneBefore(who, t.GetIdempotencyKey(), p); err != nil || ok {
			resp.Done = &filemetapb.CommitResponse{Node: before.node, Created: before.created}
			return err
		}
		r := reservation{id: id, drive: d.ID, size: t.GetSize(), expiresAt: req.GetExpiresAt()}
		asked := deed("reserve", fmt.Sprint(p, " ", t.GetSize()))
		if err := a.takeOver(d, who.user, t.GetIdempotencyKey(), asked, &r); err != nil {
			return err
		}
		sl, err := a.place(d, p, t)
		if err != nil {
			return err
		}
		if n := sl.existing; n != nil {
			if n.Size == r.size && bytes.Equal(n.Digest, digest) {
				r.size = 0 // the same bytes again take no room
			}
			if resp.Previous, err = contents(tx, n.ID); err != nil {
				return err
			}
		}
		if r.size > d.available(0) {
			return errs.E(errs.OverQuota, op, errs.Code("quota_exceeded"))
		}
		if len(digest) > 0 {
			if resp.Holder, err = holderOf(tx, who, d.ID, digest, t.GetSize(), req.GetOthers()); err != nil {
				return err
			}
		}
		if resp.Holder != filemetapb.Holder_HOLDER_NOBODY {
			r.digest = digest
		}
		resp.Reservation = r.id
		d.Reserved += r.size
		_, err = execute(tx, `INSERT INTO reservations (id, drive_id, size, digest, actor_id, "key", deed, expires_at, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.id, r.drive, r.size, r.digest, who.user, t.GetIdempotencyKey(), asked, r.expiresAt, a.now)
		if err != nil {
			return err
		}
		return d.save(tx)
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return resp, nil
}

// takeOver ends the reservation that came with the same Idempotency-Key before, and lets r have its id and its time
// if that is later.
func (a *applier) takeOver(d *drive, user UserID, key string, asked []byte, r *reservation) error {
	if key == "" {
		return nil
	}
	var before reservation
	was := request{}
	err := query(a.tx, func(rows *sql.Rows) error {
		return rows.Scan(&before.id, &before.size, &before.expiresAt, &was.Deed)
	}, `SELECT id, size, expires_at, deed FROM reservations WHERE actor_id = ? AND "key" = ?`+db.ForUpdate(a.tx), user, key)
	if err != nil || before.id == 0 {
		return err
	}
	if before.expiresAt > a.now {
		if err := was.is(asked); err != nil {
			return err
		}
		r.id, r.expiresAt = before.id, max(r.expiresAt, before.expiresAt)
	}
	d.Reserved -= before.size
	return dropReservations(a.tx, []int64{before.id})
}

// maxPrevious contents of a file are told.
const maxPrevious = 16

// contents are what a file has held, each once, the newest first.
func contents(tx *gorm.DB, id NodeID) (all []*filemetapb.Blob, err error) {
	seen := make(map[string]bool)
	err = query(tx, func(rows *sql.Rows) error {
		b := new(filemetapb.Blob)
		if err := rows.Scan(&b.Digest, &b.Size, &b.Sha256); err != nil {
			return err
		}
		if !seen[string(b.GetDigest())] {
			all = append(all, b)
		}
		seen[string(b.GetDigest())] = true
		return nil
	}, "SELECT digest, size, sha256 FROM versions WHERE node_id = ? ORDER BY version DESC LIMIT ?", id, maxPrevious)
	return all, err
}

// holderOf finds who has content, and makes it safe to claim: from the end of this transaction on it is not condemned.
// Content that is being deleted already counts as nobody's. Without others, what other users have is not looked at,
// so that neither the answer nor its time can tell of it (promise S6). What is in the drive of somebody who is limited to
// a folder of it counts as others': a sum must not fetch them what they cannot read.
func holderOf(tx *gorm.DB, who asker, d DriveID, digest []byte, size int64, others bool) (filemetapb.Holder, error) {
	found := func(what string, args ...any) (yes bool, err error) {
		err = query(tx, func(rows *sql.Rows) error { return rows.Scan(&yes) }, "SELECT EXISTS ("+what+")", args...)
		return yes, err
	}
	holder := filemetapb.Holder_HOLDER_NOBODY
	own := false
	var err error
	if who.folder == 0 {
		own, err = found("SELECT 1 FROM versions WHERE digest = ? AND size = ? AND drive_id = ?", digest, size, d)
	}
	switch {
	case err != nil:
		return holder, err
	case own:
		holder = filemetapb.Holder_HOLDER_SELF
	case others:
		some, err := found("SELECT 1 FROM versions WHERE digest = ? AND size = ?", digest, size)
		if err != nil || !some {
			return holder, err
		}
		holder = filemetapb.Holder_HOLDER_OTHER
	default:
		return holder, nil
	}
	doomed, err := found("SELECT 1 FROM condemned WHERE digest = ? AND deleting = 1", digest)
	if err != nil || doomed {
		return filemetapb.Holder_HOLDER_NOBODY, err
	}
	_, err = execute(tx, "DELETE FROM condemned WHERE digest = ?", digest)
	return holder, err
}

// Extend implements the RPC. An expired reservation has ended, even while its row is still there: what it claimed
// may be condemned by now.
func (s *Service) Extend(ctx context.Context, req *filemetapb.ExtendRequest) (*filemetapb.ExtendResponse, error) {
	const op = errs.Op("filemeta.Extend")
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := db.Gate(tx, db.Condemning, false); err != nil {
			return err
		}
		n, err := execute(tx, `UPDATE reservations SET expires_at = CASE WHEN expires_at < ? THEN ? ELSE expires_at END
			WHERE id = ? AND expires_at > ?`, req.GetExpiresAt(), req.GetExpiresAt(), req.GetReservation(), s.now())
		if err == nil && n == 0 {
			err = errs.E(errs.NotFound, op)
		}
		return err
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return new(filemetapb.ExtendResponse), nil
}

// Release implements the RPC.
func (s *Service) Release(ctx context.Context, req *filemetapb.ReleaseRequest) (*filemetapb.ReleaseResponse, error) {
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		_, err := release(tx, 1, "id = ?", req.GetReservation())
		return err
	})
	if err != nil {
		return nil, errs.Wrap("filemeta.Release", err)
	}
	return new(filemetapb.ReleaseResponse), nil
}

// expiredBatch is how many reservations one transaction of ReleaseExpired ends.
const expiredBatch = 500

// ReleaseExpired ends the reservations whose time is over and gives their room back.
func (s *Service) ReleaseExpired(ctx context.Context) error {
	for {
		var n int
		err := s.DB.Write(ctx, func(tx *gorm.DB) (err error) {
			n, err = release(tx, expiredBatch, "expires_at <= ?", s.now())
			return err
		})
		if err != nil || n < expiredBatch {
			return errs.Wrap("filemeta.ReleaseExpired", err)
		}
	}
}

// release ends up to limit reservations that a condition selects, and says how many it found.
func release(tx *gorm.DB, limit int, condition string, args ...any) (int, error) {
	ended, err := reservationsWhere(tx, condition+" LIMIT ?", append(args[:len(args):len(args)], limit)...)
	if err != nil {
		return 0, err
	}
	found := len(ended)
	if ended, err = lockReservations(tx, ended, condition, args); err != nil {
		return 0, err
	}
	freed := make(map[DriveID]int64)
	ids := make([]int64, len(ended))
	for i, r := range ended {
		ids[i] = r.id
		freed[r.drive] += r.size
	}
	if err := dropReservations(tx, ids); err != nil {
		return 0, err
	}
	for id, size := range freed {
		if _, err := execute(tx, "UPDATE drives SET reserved = reserved - ? WHERE id = ?", size, id); err != nil {
			return 0, err
		}
	}
	return found, nil
}
