package filemeta

import (
	"context"
	"slices"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
)

// remembered runs a write once for each Idempotency-Key: when the key has been seen, it gives the node that the
// write gave then. do gives the node that the write is about.
func remembered(tx *gorm.DB, user UserID, key string, deed []byte, now int64, do func() (NodeID, error)) (NodeID, error) {
	if key == "" {
		return do()
	}
	r, err := requestOf(tx, user, key)
	if err != nil {
		return 0, err
	}
	if r.NodeID != 0 {
		return r.NodeID, r.is(deed)
	}
	id, err := do()
	if err != nil {
		return 0, err
	}
	return id, insertRequests(tx, []request{{user, key, deed, id, true, now}})
}

// createFolder makes a folder, and with parents the missing ones above it. Then a folder that is there already
// is a success.
func (s *Service) createFolder(ctx context.Context, who asker, p drivepath.Path, parents bool, key string) (placed, error) {
	const op = errs.Op("filemeta.createFolder")
	if p.IsRoot() {
		if parents || who.folder != 0 {
			return s.stat(ctx, who, p)
		}
		return placed{}, errs.E(errs.Exists, op, errs.Code("name_taken"))
	}
	if _, err := s.driveOf(ctx, who.user); err != nil {
		return placed{}, errs.Wrap(op, err)
	}
	first, err := s.newIDs(ctx, p.Depth())
	if err != nil {
		return placed{}, errs.Wrap(op, err)
	}
	var made placed
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := lockOwn(tx, who.user); err != nil {
			return err
		}
		d, err := driveWhere(tx, "owner_id = ?", who.user) // it may have been erased
		if err != nil {
			return err
		}
		if err := d.mayUse(who.user); err != nil {
			return err
		}
		if err := who.reaches(tx, p); err != nil {
			return err
		}
		now := s.now()
		id, err := remembered(tx, who.user, key, deed("make", p.String()), now, func() (NodeID, error) {
			return makeFolders(tx, d, p, parents, NodeID(first), now)
		})
		if err != nil {
			return err
		}
		made, err = atID(tx, who, id)
		return err
	})
	return made, errs.Wrap(op, err)
}

// makeFolders makes the folder p, with ids from first on.
func makeFolders(tx *gorm.DB, d drive, p drivepath.Path, parents bool, first NodeID, now int64) (NodeID, error) {
	const op = errs.Op("filemeta.makeFolders")
	parent := d.RootID
	var fresh []*node
	var ids []NodeID
	names := p.Names()
	for i, name := range names {
		last := i == len(names)-1
		if len(fresh) == 0 {
			n, err := child(tx, parent, string(name))
			switch {
			case err == nil && n.Kind != folder && last:
				return 0, errs.E(errs.Exists, op, errs.Code("name_taken"))
			case err == nil && n.Kind != folder:
				return 0, errs.E(errs.Conflict, op, errs.Code("not_a_folder"))
			case err == nil && last && !parents:
				return 0, errs.E(errs.Exists, op, errs.Code("name_taken"))
			case err == nil:
				parent = n.ID
				continue
			case !missing(err):
				return 0, err
			case !last && !parents:
				return 0, errs.E(errs.NotFound, op, errs.Code("parent_not_found"))
			}
		}
		n := newNode(first, d.ID, parent, string(name), folder, now)
		fresh, ids = append(fresh, n), append(ids, n.ID)
		parent, first = n.ID, first+1
	}
	if len(fresh) == 0 {
		return parent, nil
	}
	if err := insertNodes(tx, fresh); err != nil {
		return 0, err
	}
	return parent, record(tx, d.ID, now, 0, created, ids...)
}

// stat reads one node by its path.
func (s *Service) stat(ctx context.Context, who asker, p drivepath.Path) (at placed, err error) {
	const op = errs.Op("filemeta.stat")
	if _, err := s.driveOf(ctx, who.user); err != nil {
		return at, errs.Wrap(op, err)
	}
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		at, err = s.atPath(ctx, tx, who, p)
		return err
	})
	return at, errs.Wrap(op, err)
}

// statID reads one live node by its id.
func (s *Service) statID(ctx context.Context, who asker, id NodeID) (at placed, err error) {
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		at, err = atID(tx, who, id)
		return err
	})
	return at, errs.Wrap("filemeta.statID", err)
}

// move is a rename, a change of folder, or both.
type move struct {
	name drivepath.Name // "": keep
	// At most one of the two; neither keeps the folder.
	parent     NodeID
	parentPath *drivepath.Path
	ifMatch    string
	key        string
}

// update moves or renames a node. It writes one row, however much is below it, so everybody sees the whole
// subtree at the one place or at the other (promise C2).
func (s *Service) update(ctx context.Context, who asker, id NodeID, m move) (placed, error) {
	const op = errs.Op("filemeta.update")
	if _, err := s.driveOf(ctx, who.user); err != nil {
		return placed{}, errs.Wrap(op, err)
	}
	var after placed
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := lockOwn(tx, who.user); err != nil {
			return err
		}
		_, err := remembered(tx, who.user, m.key, deed("move", id.String()), s.now(), func() (NodeID, error) {
			return id, s.moveNode(ctx, tx, who, id, m)
		})
		if err != nil {
			return err
		}
		after, err = atID(tx, who, id)
		return err
	})
	return after, errs.Wrap(op, err)
}

func (s *Service) moveNode(ctx context.Context, tx *gorm.DB, who asker, id NodeID, m move) error {
	const op = errs.Op("filemeta.moveNode")
	at, err := atID(tx, who, id)
	if err != nil {
		return err
	}
	if err := matchETag(m.ifMatch, at.node); err != nil {
		return err
	}
	if at.path.IsRoot() {
		return errs.E(errs.Conflict, op, errs.Code("is_the_root"))
	}
	if err := who.mayMove(at); err != nil {
		return err
	}
	name := at.Name
	if m.name != "" {
		name = string(m.name)
	}
	var dest placed
	switch {
	case m.parentPath != nil:
		dest, err = s.atPath(ctx, tx, who, *m.parentPath)
	case m.parent != 0:
		dest, err = atID(tx, who, m.parent)
	default:
		dest, err = atID(tx, who, at.ParentID)
	}
	if missing(err) {
		return errs.E(errs.NotFound, op, errs.Code("parent_not_found"), err)
	}
	if err != nil {
		return err
	}
	if dest, err = dest.asFolder(); err != nil {
		return err
	}
	to := dest.ID
	if to == at.ParentID && name == at.Name {
		return nil
	}
	if to == at.ID || slices.Contains(dest.above, at.ID) {
		return errs.E(errs.Conflict, op, errs.Code("into_itself"))
	}
	if dest.DriveID != at.DriveID {
		return errs.E(errs.Conflict, op, errs.Code("other_drive"))
	}
	if err := s.fits(tx, at, dest, name); err != nil {
		return err
	}
	if n, err := child(tx, to, name); err == nil && n.ID != at.ID {
		return errs.E(errs.Exists, op, errs.Code("name_taken"))
	} else if err != nil && !missing(err) {
		return err
	}
	res := tx.Exec("UPDATE nodes SET parent_id = ?, name = ?, sort_key = ?, rev = rev + 1 WHERE id = ? AND rev = ?",
		to, name, sortKey(name), at.ID, at.Rev)
	if res.Error != nil {
		return res.Error
	}
	if res.RowsAffected != 1 {
		return errs.E(errs.Busy, op)
	}
	return record(tx, at.DriveID, s.now(), 0, moved, at.ID)
}

// fits checks that a node, and all below it, could still be named in a path when it is moved to dest.
func (s *Service) fits(tx *gorm.DB, at, dest placed, name string) error {
	const op = errs.Op("filemeta.fits")
	height := 0
	if at.Kind == folder {
		var err error
		if height, err = heightOf(tx, at.ID); err != nil {
			return err
		}
	}
	if dest.path.Depth()+1+height > drivepath.MaxDepth {
		return errs.E(errs.Invalid, op, errs.Code("too_deep"))
	}
	room := drivepath.MaxPath - len(dest.path.Join(drivepath.Name(name)).String())
	below := 0
	if room < height*(drivepath.MaxName+1) { // else the longest names would fit
		var err error
		if below, err = longestBelow(tx, at.ID); err != nil {
			return err
		}
	}
	if below > room {
		return errs.E(errs.Invalid, op, errs.Code("path_too_long"))
	}
	return nil
}

// longestBelow is the length in bytes of the longest path below a node, from the node on.
func longestBelow(tx *gorm.DB, id NodeID) (length int, err error) {
	err = tx.Raw(`WITH RECURSIVE down (id, length) AS (
			SELECT CAST(? AS SIGNED), 0
			UNION ALL
			SELECT nodes.id, length + 1 + octet_length(nodes.name) FROM down JOIN nodes ON nodes.parent_id = down.id
			WHERE length <= ?)
		SELECT max(length) FROM down`, id, drivepath.MaxPath).Scan(&length).Error
	return length, err
}

// heightOf counts the levels below a folder. It reads no further than the deepest tree there can be.
func heightOf(tx *gorm.DB, id NodeID) (height int, err error) {
	err = tx.Raw(`WITH RECURSIVE down (id, depth) AS (
			SELECT CAST(? AS SIGNED), 0
			UNION ALL
			SELECT nodes.id, depth + 1 FROM down JOIN nodes ON nodes.parent_id = down.id AND nodes.kind = 1
			WHERE depth < ?)
		SELECT max(depth) + EXISTS (SELECT 1 FROM down AS leaf JOIN nodes ON nodes.parent_id = leaf.id
			WHERE nodes.kind = 2 AND leaf.depth = (SELECT max(depth) FROM down)) FROM down`,
		id, drivepath.MaxDepth+1).Scan(&height).Error
	return height, err
}
