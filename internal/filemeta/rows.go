package filemeta

import (
	"strings"

	"gorm.io/gorm"
)

// Nodes are read and written more than anything else, a thousand to a page, so their rows go by hand: gorm's
// reflection would take most of the time.

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
	rows, err := tx.Statement.ConnPool.QueryContext(tx.Statement.Context, "SELECT "+nodeColumns+" FROM nodes WHERE "+condition, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		n := new(node)
		if err := rows.Scan(n.into()...); err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, rows.Err()
}

// rowsPerInsert bounds a statement; SQLite takes 32766 parameters, MySQL 65535.
const rowsPerInsert = 200

// insertAll inserts rows of a table with few statements.
func insertAll[T any](tx *gorm.DB, table, columns string, rows []T, values func(T) []any) error {
	for len(rows) > 0 {
		batch := rows[:min(len(rows), rowsPerInsert)]
		rows = rows[len(batch):]
		var args []any
		for _, r := range batch {
			args = append(args, values(r)...)
		}
		row := ", (" + strings.TrimSuffix(strings.Repeat("?, ", strings.Count(columns, ",")+1), ", ") + ")"
		query := "INSERT INTO " + table + " (" + columns + ") VALUES " + strings.Repeat(row, len(batch))[2:]
		if _, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, query, args...); err != nil {
			return err
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
	return insertAll(tx, "requests", "actor_id, key, deed, node_id, created, at", requests,
		func(r request) []any { return []any{r.ActorID, r.Key, r.Deed, r.NodeID, r.Created, r.At} })
}
