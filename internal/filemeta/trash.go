package filemeta

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
)

// delete moves a node to its drive's trash. One row changes, however much is below it.
func (s *Service) delete(ctx context.Context, who asker, id NodeID, ifMatch string) error {
	const op = errs.Op("filemeta.delete")
	return errs.Wrap(op, s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := lockOwn(tx, who.user); err != nil {
			return err
		}
		at, err := atID(tx, who, id)
		if err != nil {
			return err
		}
		if err := matchETag(ifMatch, at.node); err != nil {
			return err
		}
		if at.path.IsRoot() {
			return errs.E(errs.Conflict, op, errs.Code("is_the_root"))
		}
		if err := who.mayMove(at); err != nil {
			return err
		}
		now := s.now()
		err = tx.Exec(`UPDATE nodes SET parent_id = ?, name = ?, trashed_at = ?, origin_parent = ?, origin_path = ?,
			rev = rev + 1 WHERE id = ?`, at.drive.TrashID, at.ID.String(), now, at.ParentID, at.path.String(), at.ID).Error
		if err != nil {
			return err
		}
		return record(tx, at.DriveID, now, 0, trashed, at.ID)
	}))
}

// inTrash finds an entry of the user's trash, which is for those alone who may see the whole drive: what is in it is in no
// folder any more.
func (s *Service) inTrash(tx *gorm.DB, who asker, id NodeID) (*node, drive, error) {
	const op = errs.Op("filemeta.inTrash")
	if err := who.wholeDrive(); err != nil {
		return nil, drive{}, err
	}
	n, err := byID(tx, id)
	if err != nil {
		return nil, drive{}, err
	}
	var d drive
	if err := tx.Take(&d, "id = ?", n.DriveID).Error; err != nil {
		return nil, d, err
	}
	if err := d.mayUse(who.user); err != nil {
		return nil, d, err
	}
	if n.ParentID != d.TrashID {
		return nil, d, errs.E(errs.NotFound, op)
	}
	return n, d, nil
}

// restore takes an entry out of the trash, to where it was or to another folder. One row changes.
func (s *Service) restore(ctx context.Context, who asker, id NodeID, to *drivepath.Path, rename bool) (placed, error) {
	const op = errs.Op("filemeta.restore")
	if _, err := s.driveOf(ctx, who.user); err != nil {
		return placed{}, errs.Wrap(op, err)
	}
	var back placed
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := lockOwn(tx, who.user); err != nil {
			return err
		}
		n, d, err := s.inTrash(tx, who, id)
		if err != nil {
			return err
		}
		was, err := drivepath.Parse(n.OriginPath)
		if err != nil {
			return errs.E(errs.Internal, op, err)
		}
		var dest placed
		if to != nil {
			dest, err = s.atPath(ctx, tx, who, *to)
		} else {
			// By id: the folder may have another name by now.
			dest, err = atID(tx, who, n.OriginParent)
		}
		if missing(err) {
			return errs.E(errs.Conflict, op, errs.Code("parent_gone"), err)
		}
		if err != nil {
			return err
		}
		if dest, err = dest.asFolder(); err != nil {
			return err
		}
		isTaken := func(name string) (bool, error) { return taken(tx, dest.ID, name) }
		name := string(was.Base())
		busy, err := isTaken(name)
		if err == nil && busy {
			if !rename {
				return errs.E(errs.Exists, op, errs.Code("name_taken"))
			}
			name, err = freeName(name, isTaken)
		}
		if err != nil {
			return err
		}
		if err := s.fits(tx, placed{node: n}, dest, name); err != nil {
			return err
		}
		err = tx.Exec(`UPDATE nodes SET parent_id = ?, name = ?, sort_key = ?, trashed_at = 0, origin_parent = 0,
			origin_path = '', rev = rev + 1 WHERE id = ?`, dest.ID, name, sortKey(name), id).Error
		if err != nil {
			return err
		}
		if err := record(tx, d.ID, s.now(), 0, restored, id); err != nil {
			return err
		}
		back, err = atID(tx, who, id)
		return err
	})
	return back, errs.Wrap(op, err)
}

// purgeOne deletes an entry of the trash for ever. It is gone at once; its bytes are given back as the rows
// below it are taken apart in the background.
func (s *Service) purgeOne(ctx context.Context, who asker, id NodeID) error {
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := lockOwn(tx, who.user); err != nil {
			return err
		}
		n, d, err := s.inTrash(tx, who, id)
		if err != nil {
			return err
		}
		if err := tx.Exec("UPDATE nodes SET parent_id = ?, trashed_at = 0 WHERE id = ?", purgeParent, n.ID).Error; err != nil {
			return err
		}
		return record(tx, d.ID, s.now(), 0, purged, n.ID)
	})
	if err == nil {
		s.wakePurge()
	}
	return errs.Wrap("filemeta.purgeOne", err)
}

// emptyTrash deletes all of the user's trash for ever.
func (s *Service) emptyTrash(ctx context.Context, who asker) error {
	const op = errs.Op("filemeta.emptyTrash")
	if err := who.wholeDrive(); err != nil {
		return errs.Wrap(op, err)
	}
	d, err := s.driveOf(ctx, who.user)
	if err != nil {
		return errs.Wrap(op, err)
	}
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := d.mayUse(who.user); err != nil {
			return err
		}
		if err := lockOwn(tx, who.user); err != nil {
			return err
		}
		var ids []NodeID
		if err := tx.Raw("SELECT id FROM nodes WHERE parent_id = ?", d.TrashID).Scan(&ids).Error; err != nil {
			return err
		}
		if err := tx.Exec("UPDATE nodes SET parent_id = ?, trashed_at = 0 WHERE parent_id = ?", purgeParent, d.TrashID).Error; err != nil {
			return err
		}
		return record(tx, d.ID, s.now(), 0, purged, ids...)
	})
	if err == nil {
		s.wakePurge()
	}
	return errs.Wrap(op, err)
}

func (s *Service) purgeSignal() chan struct{} {
	s.purgeNew.Do(func() { s.purge = make(chan struct{}, 1) })
	return s.purge
}

func (s *Service) wakePurge() {
	select {
	case s.purgeSignal() <- struct{}{}:
	default: // it is awake already
	}
}

// requestsLive is how long an Idempotency-Key is remembered.
const requestsLive = 24 * time.Hour

// Run does the tree's work in the background until ctx ends: it takes apart what was purged, and every minute ends
// reservations that have expired, forgets old Idempotency-Keys and erases the drives of accounts that are gone. Being cut off anywhere loses nothing; the next Run goes on.
func (s *Service) Run(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = s.PurgeSome(ctx); err != nil {
				failed(err)
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-s.purgeSignal():
		case <-tick.C:
			if err := s.ReleaseExpired(ctx); err != nil {
				failed(err)
			}
			if err := s.forgetApplied(ctx); err != nil {
				failed(err)
			}
			if err := s.forgetRequests(ctx); err != nil {
				failed(err)
			}
			if err := s.EraseDeparted(ctx); err != nil {
				failed(err)
			}
		}
	}
}

// forgetRequests drops old Idempotency-Keys, a bounded number in each transaction.
func (s *Service) forgetRequests(ctx context.Context) error {
	old := s.now() - requestsLive.Milliseconds()
	for {
		var n int64
		err := s.DB.Write(ctx, func(tx *gorm.DB) (err error) {
			n, err = deleteSome(tx, "requests", `actor_id, "key"`, maxForgotten, "at < ?", old)
			return err
		})
		if err != nil || n < maxForgotten {
			return errs.Wrap("filemeta.forgetRequests", err)
		}
	}
}

// purgeBatch is how many rows one transaction of PurgeSome takes apart.
const purgeBatch = 500

// PurgeSome takes apart a part of what was deleted for ever, and says whether there is more: files go with
// their versions and give their bytes back to the quota, folders hand their children up and go when they
// have none.
func (s *Service) PurgeSome(ctx context.Context) (more bool, err error) {
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		var n node
		if err := tx.Raw("SELECT * FROM nodes WHERE parent_id = ? LIMIT 1", purgeParent).Scan(&n).Error; err != nil {
			return err
		}
		if more = n.ID != 0; !more {
			return nil
		}
		if alone, err := lockPurged(tx, &n); err != nil || !alone {
			return err
		}
		if n.Kind == folder {
			var below []NodeID
			if err := tx.Raw("SELECT id FROM nodes WHERE parent_id = ? LIMIT ?", n.ID, purgeBatch).Scan(&below).Error; err != nil {
				return err
			}
			if len(below) == 0 {
				return tx.Exec("DELETE FROM nodes WHERE id = ?", n.ID).Error
			}
			// Their names could collide there; ids cannot.
			return tx.Exec("UPDATE nodes SET parent_id = ?, name = CAST(id AS CHAR) WHERE id IN ?", purgeParent, below).Error
		}
		var files []NodeID
		if err := tx.Raw("SELECT id FROM nodes WHERE parent_id = ? AND kind = ? AND drive_id = ? LIMIT ?",
			purgeParent, file, n.DriveID, purgeBatch).Scan(&files).Error; err != nil {
			return err
		}
		var freed int64
		if err := tx.Raw("SELECT coalesce(sum(size), 0) FROM versions WHERE node_id IN ?", files).Scan(&freed).Error; err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM versions WHERE node_id IN ?", files).Error; err != nil {
			return err
		}
		if err := tx.Exec("DELETE FROM nodes WHERE id IN ?", files).Error; err != nil {
			return err
		}
		return record(tx, n.DriveID, s.now(), freed, purged)
	})
	return more, errs.Wrap("filemeta.PurgeSome", err)
}
