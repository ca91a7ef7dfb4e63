package filemeta

import (
	"context"
	"slices"
	"testing"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db/dbtest"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// damage is SQL that breaks one of the tree's rules by hand. @d, @e are folders, @f a file of two versions in
// @d, @g a file in the root; @drive and @root are theirs, @other is the root of another drive.
type damage struct{ code, name, sql string }

var damages = []damage{
	{"dangling_parent", "folder gone", "DELETE FROM nodes WHERE id = @d"},
	{"dangling_parent", "made up", "UPDATE nodes SET parent_id = 999999 WHERE id = @f"},
	{"parent_is_a_file", "", "UPDATE nodes SET parent_id = @g WHERE id = @f"},
	{"parent_in_other_drive", "", "UPDATE nodes SET parent_id = @other WHERE id = @f"},
	{"cycle", "itself", "UPDATE nodes SET parent_id = id WHERE id = @d"},
	{"cycle", "two", "UPDATE nodes SET parent_id = CASE id WHEN @d THEN @e ELSE @d END WHERE id IN (@d, @e)"},
	{"duplicate_name", "", "UPDATE nodes SET name = 'd' WHERE id = @e"},
	{"stray_top", "", "UPDATE nodes SET parent_id = 0 WHERE id = @f"},
	{"missing_top", "no root", "DELETE FROM nodes WHERE id = @root"},
	{"missing_top", "no trash", "DELETE FROM nodes WHERE kind = 3 AND drive_id = @drive"},
	{"missing_top", "root moved", "UPDATE nodes SET parent_id = @d WHERE id = @root"},
	{"version_differs", "size", "UPDATE nodes SET size = size + 1 WHERE id = @f"},
	{"version_differs", "digest", "UPDATE nodes SET digest = 'another' WHERE id = @f"},
	{"version_differs", "no digest", "UPDATE nodes SET digest = NULL WHERE id = @f"},
	{"version_differs", "version gone", "DELETE FROM versions WHERE node_id = @f AND version = 2"},
	{"version_differs", "version ahead", "UPDATE nodes SET version = 3 WHERE id = @f"},
	{"version_without_file", "file gone", "DELETE FROM nodes WHERE id = @f"},
	{"version_without_file", "of a folder", "UPDATE versions SET node_id = @d WHERE node_id = @g"},
	{"quota_drift", "too much", "UPDATE drives SET used = used + 1 WHERE id = @drive"},
	{"quota_drift", "version lost", "DELETE FROM versions WHERE node_id = @f AND version = 1"},
	{"reserved_drift", "too much", "UPDATE drives SET reserved = reserved + 1 WHERE id = @drive"},
	{"reserved_drift", "reservation lost", "DELETE FROM reservations WHERE drive_id = @drive"},
	{"change_gap", "change lost", "DELETE FROM changes WHERE drive_id = @drive AND seq = 2"},
	{"change_gap", "counter ahead", "UPDATE drives SET seq = seq + 1 WHERE id = @drive"},
	{"bad_name", "separator", "UPDATE nodes SET name = 'a/b' WHERE id = @f"},
	{"bad_name", "not NFC", "UPDATE nodes SET name = 'e' || '\u0301' WHERE id = @d"},
	{"bad_name", "empty", "UPDATE nodes SET name = '' WHERE id = @f"},
}

// D10: CheckTree finds each kind of damage, and says nothing of a tree that is sound.
func TestCheckTree(t *testing.T) {
	for _, r := range rules {
		if !slices.ContainsFunc(damages, func(d damage) bool { return d.code == r.code }) {
			t.Errorf("no damage shows that the rule %s works", r.code)
		}
	}
	for _, d := range damages {
		t.Run(d.code+" "+d.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 0)
			f.file(bob, "/his", 7)
			dir, other := f.mkdir(alice, "/d"), f.mkdir(alice, "/e")
			f.file(alice, "/d/f", 1)
			inner, top := f.file(alice, "/d/f", 2), f.file(alice, "/g", 3)
			if err := f.delete(t.Context(), owner(alice), NodeID(f.file(alice, "/e/trashed", 4).GetId()), ""); err != nil {
				t.Fatal(err)
			}
			f.reserve(alice, "/coming", 5)
			f.sound(alice)
			mine, his := f.row(alice), f.row(bob)
			// Foreign keys are not what holds the tree together, so nothing stops this.
			if d.code == "duplicate_name" {
				f.dropIndex("nodes", "nodes_name")
			}
			err := f.DB.Write(t.Context(), func(tx *gorm.DB) error {
				return tx.Exec(d.sql, map[string]any{
					"d": dir.ID, "e": other.ID, "f": inner.GetId(), "g": top.GetId(), "drive": mine.ID, "root": mine.RootID,
					"other": his.RootID,
				}).Error
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := f.problems(alice); !slices.Contains(got, d.code) {
				t.Errorf("CheckTree says %v, want %s", got, d.code)
			}
			if d.code != "duplicate_name" && d.code != "parent_in_other_drive" {
				f.sound(bob)
			}
		})
	}
}

// dropIndex takes an index away.
func (f *fixture) dropIndex(table, index string) {
	f.t.Helper()
	statement := "DROP INDEX " + index
	if dbtest.MySQL {
		statement += " ON " + table
	}
	if err := f.DB.Write(context.Background(), func(tx *gorm.DB) error { return tx.Exec(statement).Error }); err != nil {
		f.t.Fatal(err)
	}
}

// CheckTree pages through the drives and counts what is in them.
func TestCheckTreePages(t *testing.T) {
	f := newFixture(t, 0)
	f.file(alice, "/a/b", 1)
	f.file(alice, "/a/b", 2)
	f.file(bob, "/x", 1)
	var drives, nodes, versions int64
	for after := int64(0); ; {
		resp, err := f.CheckTree(t.Context(), &filemetapb.CheckTreeRequest{AfterDrive: after})
		if err != nil {
			t.Fatal(err)
		}
		if after = resp.GetDrive(); after == 0 {
			break
		}
		drives++
		nodes += resp.GetNodes()
		versions += resp.GetVersions()
	}
	if drives != 2 || nodes != 2*2+3 || versions != 3 {
		t.Errorf("%d drives, %d nodes, %d versions", drives, nodes, versions)
	}
}
