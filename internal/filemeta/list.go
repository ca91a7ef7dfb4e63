package filemeta

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
)

// order of a listing. Folders always come before files.
type order struct {
	By   string `json:"b"` // name, size or modified
	Desc bool   `json:"d,omitempty"`
}

// columns that a listing can be ordered by; each has an index that also holds the id, which settles ties.
var columns = map[string]string{"name": "sort_key", "size": "size", "modified": "modified_at"}

// cursor is where a listing goes on. It is the caller's to keep and means nothing to them.
type cursor struct {
	order
	Folder NodeID `json:"f"`
	Total  int64  `json:"t"`
	// Of the last node that was listed: its kind, its value in the order's column, its id.
	Kind kind   `json:"k"`
	Key  []byte `json:"s,omitempty"`
	Num  int64  `json:"n,omitempty"`
	ID   NodeID `json:"i"`
}

func (c cursor) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of numbers, strings and bytes always marshals
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// after is the cursor of a listing whose last node so far is n, as children gave it.
func (c cursor) after(tx *gorm.DB, n *node) (cursor, error) {
	c.Kind, c.ID, c.Key, c.Num = n.Kind, n.ID, nil, 0
	switch c.By {
	case "name":
		err := query(tx, func(rows *sql.Rows) error { return rows.Scan(&c.Key) }, "SELECT sort_key FROM nodes WHERE id = ?", n.ID)
		return c, err
	case "size":
		c.Num = n.Size
	case "modified":
		c.Num = n.ModifiedAt
	}
	return c, nil
}

func parseCursor(s string) (c cursor, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if _, known := columns[c.By]; err != nil || !known {
		return c, errs.E(errs.Invalid, "filemeta.parseCursor", errs.Code("bad_cursor"), errs.Field("cursor"))
	}
	return c, nil
}

// page of a listing.
type page struct {
	folder placed
	items  []*node
	total  int64
	next   string
}

// list reads a page of a folder. Each page is one moment of the folder; a node that is there all along
// appears on exactly one page, whatever else changes between them (promise C10).
func (s *Service) list(ctx context.Context, who asker, p drivepath.Path, o order, limit int, after string) (page, error) {
	const op = errs.Op("filemeta.list")
	var pg page
	if _, err := s.driveOf(ctx, who.user); err != nil {
		return pg, errs.Wrap(op, err)
	}
	err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		at, err := s.atPath(ctx, tx, who, p)
		if err != nil {
			return err
		}
		if pg.folder, err = at.asFolder(); err != nil {
			return err
		}
		c := cursor{order: o, Folder: at.ID, Kind: folder}
		first := after == ""
		if first {
			c.Total, err = s.total(tx, at.drive.ID, at.ID)
		} else if c, err = parseCursor(after); err == nil && (c.Folder != at.ID || c.order != o || c.Kind != folder && c.Kind != file) {
			err = errs.E(errs.Invalid, op, errs.Code("bad_cursor"), errs.Field("cursor"))
		}
		if err != nil {
			return err
		}
		pg.total = c.Total
		if pg.items, err = children(tx, at.ID, c, first, limit+1); err != nil {
			return err
		}
		if len(pg.items) > limit {
			pg.items = pg.items[:limit]
			if c, err = c.after(tx, pg.items[limit-1]); err != nil {
				return err
			}
			pg.next = c.String()
		}
		return nil
	})
	return pg, errs.Wrap(op, err)
}

// total counts what is in a folder, once for as long as its drive stays as it is.
func (s *Service) total(tx *gorm.DB, id DriveID, of NodeID) (n int64, err error) {
	d, err := driveWhere(tx, "id = ?", id)
	if err != nil {
		return 0, err
	}
	if n, ok := s.memo.total(id, d.Seq, of); ok {
		return n, nil
	}
	err = query(tx, func(rows *sql.Rows) error { return rows.Scan(&n) }, "SELECT count(*) FROM nodes WHERE parent_id = ?", of)
	if err == nil {
		s.memo.learnTotal(id, d.Seq, of, n)
	}
	return n, err
}

// children reads up to limit nodes that come after c, or from the start. It asks for folders and for files
// apart, so that each is a walk along one index. Of each node it reads no more than a listing shows: every column of
// a thousand rows takes its time.
func children(tx *gorm.DB, parent NodeID, c cursor, first bool, limit int) ([]*node, error) {
	col, dir := columns[c.By], "ASC"
	if c.Desc {
		dir = "DESC"
	}
	var value any = c.Num
	if c.By == "name" {
		value = nonNil(c.Key) // a name of accents alone has an empty key, and the cursor leaves it out
	}
	var all []*node
	for k := c.Kind; k <= file && len(all) < limit; k++ {
		where, args := "parent_id = ? AND kind = ?", []any{parent, k}
		if !first && k == c.Kind {
			after, values := db.After(tx, col, c.Desc, value, c.ID)
			where += " AND " + after
			args = append(args, values...)
		}
		err := query(tx, func(rows *sql.Rows) error {
			n := &node{ParentID: parent}
			all = append(all, n)
			return rows.Scan(&n.ID, &n.Name, &n.Kind, &n.Size, &n.Digest, &n.Version, &n.Rev, &n.CreatedAt, &n.ModifiedAt)
		}, fmt.Sprintf(`SELECT id, name, kind, size, digest, version, rev, created_at, modified_at FROM nodes
			WHERE %s ORDER BY %s %s, id %s LIMIT ?`, where, col, dir, dir), append(args, limit-len(all))...)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// trashPage reads a page of the trash, the latest first.
func (s *Service) trashPage(ctx context.Context, who asker, limit int, after string) (items []*node, total int64, next string, err error) {
	const op = errs.Op("filemeta.trashPage")
	if err := who.wholeDrive(); err != nil {
		return nil, 0, "", errs.Wrap(op, err)
	}
	d, err := s.driveOf(ctx, who.user)
	if err != nil {
		return nil, 0, "", errs.Wrap(op, err)
	}
	c := cursor{order: order{By: "modified", Desc: true}, Folder: d.TrashID}
	if after != "" {
		if c, err = parseCursor(after); err != nil || c.Folder != d.TrashID {
			return nil, 0, "", errs.E(errs.Invalid, op, errs.Code("bad_cursor"), errs.Field("cursor"))
		}
	}
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		if after == "" {
			var err error
			if c.Total, err = s.total(tx, d.ID, d.TrashID); err != nil {
				return err
			}
		}
		q := tx.Table("nodes").Where("parent_id = ? AND trashed_at > 0", d.TrashID)
		if after != "" {
			after, values := db.After(tx, "trashed_at", true, c.Num, c.ID)
			q = q.Where(after, values...)
		}
		return q.Order("trashed_at DESC, id DESC").Limit(limit + 1).Find(&items).Error
	})
	if err != nil {
		return nil, 0, "", errs.Wrap(op, err)
	}
	if len(items) > limit {
		items = items[:limit]
		c.Num, c.ID = items[limit-1].TrashedAt, items[limit-1].ID
		next = c.String()
	}
	return items, c.Total, next, nil
}

// versions reads a page of a file's versions, the newest first.
func (s *Service) versions(ctx context.Context, who asker, id NodeID, limit int, after string) (items []version, next string, err error) {
	const op = errs.Op("filemeta.versions")
	c := cursor{order: order{By: "modified", Desc: true}, Num: 1<<63 - 1}
	if after != "" {
		if c, err = parseCursor(after); err != nil || c.Folder != id {
			return nil, "", errs.E(errs.Invalid, op, errs.Code("bad_cursor"), errs.Field("cursor"))
		}
	}
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		at, err := atID(tx, who, id)
		if err != nil {
			return err
		}
		if at.Kind != file {
			return errs.E(errs.Conflict, op, errs.Code("is_a_folder"))
		}
		return tx.Where("node_id = ? AND version < ?", id, c.Num).Order("version DESC").Limit(limit + 1).Find(&items).Error
	})
	if err != nil {
		return nil, "", errs.Wrap(op, err)
	}
	if len(items) > limit {
		items = items[:limit]
		c.Folder, c.Num = id, items[limit-1].Version
		next = c.String()
	}
	return items, next, nil
}
