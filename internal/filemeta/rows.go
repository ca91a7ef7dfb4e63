package filemeta

import (
	"database/sql"
	"strings"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
)

// What is read and written with every commit and every page goes by hand: gorm's reflection would take most of the
// time.

// execute runs a statement and gives how many rows it changed.
func execute(tx *gorm.DB, statement string, args ...any) (int64, error) {
	res, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, statement, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// deleteSome deletes up to limit rows of a table that fit a condition, and says how many. key are the columns of its
// primary key.
func deleteSome(tx *gorm.DB, table, key string, limit int64, condition string, args ...any) (int64, error) {
	which := "WHERE " + condition + " LIMIT ?"
	if !db.Shared(tx) { // SQLite's DELETE knows no LIMIT
		which = "WHERE (" + key + ") IN (SELECT " + key + " FROM " + table + " " + which + ")"
	}
	return execute(tx, "DELETE FROM "+table+" "+which, append(args[:len(args):len(args)], limit)...)
}

// query runs a statement and calls each for every row.
func query(tx *gorm.DB, each func(*sql.Rows) error, statement string, args ...any) error {
	rows, err := tx.Statement.ConnPool.QueryContext(tx.Statement.Context, statement, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// lengths of lists in statements, the longest first. There are few, so that few prepared statements serve all.
var lengths = []int{256, 64, 16, 4, 1}

// marks is "?, ?, …", n placeholders, or n times a row of them.
func marks(row string, n int) string { return strings.Repeat(", "+row, n)[2:] }

// driveWhere reads the drive that a condition selects; its ID is 0 when there is none.
func driveWhere(tx *gorm.DB, condition string, args ...any) (d drive, err error) {
	err = query(tx, func(rows *sql.Rows) error {
		return rows.Scan(&d.ID, &d.OwnerID, &d.RootID, &d.TrashID, &d.Quota, &d.Used, &d.Reserved, &d.Seq, &d.CreatedAt)
	}, "SELECT id, owner_id, root_id, trash_id, quota, used, reserved, seq, created_at FROM drives WHERE "+condition, args...)
	d.wasUsed, d.wasReserved, d.wasSeq = d.Used, d.Reserved, d.Seq
	return d, err
}

// requestOf reads what a request with an Idempotency-Key did; its NodeID is 0 when none came.
func requestOf(tx *gorm.DB, user UserID, key string) (r request, err error) {
	err = query(tx, func(rows *sql.Rows) error {
		return rows.Scan(&r.ActorID, &r.Key, &r.Deed, &r.NodeID, &r.Created, &r.At)
	}, `SELECT actor_id, "key", deed, node_id, created, at FROM requests WHERE actor_id = ? AND "key" = ?`, user, key)
	return r, err
}

// inLists calls fn with the values in one or more lists, as placeholders and their arguments. A list that is
// filled up repeats its last value.
func inLists[T any](values []T, fn func(marks string, args []any) error) error {
	for len(values) > 0 {
		n := lengths[0]
		for _, l := range lengths {
			if l >= len(values) {
				n = l
			}
		}
		args := make([]any, n)
		for i := range args {
			args[i] = values[min(i, len(values)-1)]
		}
		values = values[min(n, len(values)):]
		if err := fn(marks("?", n), args); err != nil {
			return err
		}
	}
	return nil
}

// nodeColumns in the order of node.into and node.values.
const nodeColumns = "id, drive_id, parent_id, name, kind, sort_key, size, digest, sha256, version, rev, created_at, " +
	"modified_at, trashed_at, origin_parent, origin_path"

// into gives where a row's columns go.
func (n *node) into() []any {
	return []any{
		&n.ID, &n.DriveID, &n.ParentID, &n.Name, &n.Kind, &n.SortKey, &n.Size, &n.Digest, &n.SHA256, &n.Version, &n.Rev,
		&n.CreatedAt, &n.ModifiedAt, &n.TrashedAt, &n.OriginParent, &n.OriginPath,
	}
}

// values gives a row's columns.
func (n *node) values() []any {
	return []any{
		n.ID, n.DriveID, n.ParentID, n.Name, n.Kind, n.SortKey, n.Size, n.Digest, n.SHA256, n.Version, n.Rev,
		n.CreatedAt, n.ModifiedAt, n.TrashedAt, n.OriginParent, n.OriginPath,
	}
}

// nodesWhere reads the nodes that a condition selects; clauses such as ORDER BY may follow it.
func nodesWhere(tx *gorm.DB, condition string, args ...any) (nodes []*node, err error) {
	err = query(tx, func(rows *sql.Rows) error {
		n := new(node)
		nodes = append(nodes, n)
		return rows.Scan(n.into()...)
	}, "SELECT "+nodeColumns+" FROM nodes WHERE "+condition, args...)
	return nodes, err
}

// insertAll inserts rows of a table with few statements.
func insertAll[T any](tx *gorm.DB, table, columns string, rows []T, values func(T) []any) error {
	width := strings.Count(columns, ",") + 1
	row := "(" + marks("?", width) + ")"
	for _, n := range lengths {
		for len(rows) >= n {
			args := make([]any, 0, n*width)
			for _, r := range rows[:n] {
				args = append(args, values(r)...)
			}
			rows = rows[n:]
			if _, err := execute(tx, "INSERT INTO "+table+" ("+columns+") VALUES "+marks(row, n), args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func insertNodes(tx *gorm.DB, nodes []*node) error {
	return insertAll(tx, "nodes", nodeColumns, nodes, (*node).values)
}

func insertVersions(tx *gorm.DB, versions []version) error {
	return insertAll(tx, "versions", "node_id, version, drive_id, digest, size, sha256, author_id, created_at", versions,
		func(v version) []any {
			return []any{v.NodeID, v.Version, v.DriveID, v.Digest, v.Size, v.SHA256, v.AuthorID, v.CreatedAt}
		})
}

func insertChanges(tx *gorm.DB, changes []change) error {
	return insertAll(tx, "changes", "drive_id, seq, node_id, kind, at", changes,
		func(c change) []any { return []any{c.DriveID, c.Seq, c.NodeID, c.Kind, c.At} })
}

func insertRequests(tx *gorm.DB, requests []request) error {
	return insertAll(tx, "requests", `actor_id, "key", deed, node_id, created, at`, requests,
		func(r request) []any { return []any{r.ActorID, r.Key, r.Deed, r.NodeID, r.Created, r.At} })
}
