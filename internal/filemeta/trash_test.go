package filemeta

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// D8: what comes back from the trash, where, under which name; and what the answer is when it cannot.
func TestRestore(t *testing.T) {
	path := func(s string) *drivepath.Path { p := at(s); return &p }
	for _, c := range []struct {
		name   string
		after  func(*fixture) // what happened since /d/f.txt was deleted
		to     *drivepath.Path
		rename bool
		code   string
		path   string
	}{
		{"to where it was", nil, nil, false, "", "/d/f.txt"},
		{"elsewhere", nil, path("/e"), false, "", "/e/f.txt"},
		{"to the root", nil, path("/"), false, "", "/f.txt"},
		{"into a file", nil, path("/g"), false, "not_a_folder", ""},
		{"to nowhere", nil, path("/nowhere"), false, "parent_gone", ""},
		{"folder renamed", func(f *fixture) { f.rename("/d", "was d") }, nil, false, "", "/was d/f.txt"},
		{"folder in the trash", func(f *fixture) { f.trash("/d") }, nil, false, "parent_gone", ""},
		{"folder in the trash, elsewhere", func(f *fixture) { f.trash("/d") }, path("/e"), false, "", "/e/f.txt"},
		{"folder gone for ever", func(f *fixture) { f.purge(f.trash("/d")); f.purgeAll() }, nil, false, "parent_gone", ""},
		{"another folder of that name", func(f *fixture) { f.trash("/d"); f.mkdir(alice, "/d") }, nil, false, "parent_gone", ""},
		{"name taken", func(f *fixture) { f.file(alice, "/d/f.txt", 9) }, nil, false, "name_taken", ""},
		{"name taken, rename", func(f *fixture) { f.file(alice, "/d/f.txt", 9) }, nil, true, "", "/d/f (1).txt"},
		{"name taken twice, rename", func(f *fixture) {
			f.file(alice, "/d/f.txt", 9)
			f.mkdir(alice, "/d/f (1).txt")
		}, nil, true, "", "/d/f (2).txt"},
		{"rename without need", nil, nil, true, "", "/d/f.txt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 0)
			f.file(alice, "/d/f.txt", 1)
			was := f.file(alice, "/d/f.txt", 2)
			f.mkdir(alice, "/e")
			f.file(alice, "/g", 1)
			id := f.trash("/d/f.txt")
			if c.after != nil {
				c.after(f)
			}
			used := f.used(alice)
			back, err := f.restore(t.Context(), owner(alice), id, c.to, c.rename)
			wantCode(t, err, c.code)
			f.sound(alice)
			if f.used(alice) != used {
				t.Errorf("used %d, was %d", f.used(alice), used)
			}
			if err != nil {
				if n, _, err := f.find(id); err != nil || n.TrashedAt == 0 {
					t.Errorf("it is in the trash no more: %v", err)
				}
				return
			}
			if back.path.String() != c.path || f.mustStat(alice, c.path).ID != id {
				t.Errorf("restored to %s, want %s", back.path, c.path)
			}
			if !bytes.Equal(back.Digest, was.GetDigest()) || back.Version != 2 || back.TrashedAt != 0 {
				t.Errorf("restored %+v", back.node)
			}
			versions, _, err := f.versions(t.Context(), owner(alice), id, 10, "")
			if err != nil || len(versions) != 2 {
				t.Errorf("%d versions came back, %v", len(versions), err)
			}
			if _, err := f.restore(t.Context(), owner(alice), id, nil, false); code(err) != "not_found" {
				t.Errorf("restored twice: %v", err)
			}
		})
	}
}

// find reads a row of the trash.
func (f *fixture) find(id NodeID) (*node, bool, error) {
	items, _, _, err := f.trashPage(f.t.Context(), owner(alice), 1000, "")
	for _, n := range items {
		if n.ID == id {
			return n, true, err
		}
	}
	if err == nil {
		err = fmt.Errorf("node %d is not in the trash", id)
	}
	return nil, false, err
}

func (f *fixture) trash(path string) NodeID {
	f.t.Helper()
	id := f.mustStat(alice, path).ID
	if err := f.delete(f.t.Context(), owner(alice), id, ""); err != nil {
		f.t.Fatal(err)
	}
	return id
}

func (f *fixture) purge(id NodeID) {
	f.t.Helper()
	if err := f.purgeOne(f.t.Context(), owner(alice), id); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) rename(path, name string) {
	f.t.Helper()
	if _, err := f.update(f.t.Context(), owner(alice), f.mustStat(alice, path).ID, move{name: drivepath.Name(name)}); err != nil {
		f.t.Fatal(err)
	}
}

// A tree that is deleted is gone as a whole, by path and by id, and comes back as a whole; deleting and restoring
// write as many rows for a tree as for a file.
func TestTrashTree(t *testing.T) {
	f := newFixture(t, 0)
	for i := range 30 {
		f.file(alice, fmt.Sprintf("/d/sub/%d", i), 1)
	}
	leaf := f.mustStat(alice, "/d/sub/7")
	before := f.tree(alice, "/d/sub")
	seq := f.row(alice).Seq
	id := f.trash("/d")
	for _, p := range []string{"/d", "/d/sub", "/d/sub/7"} {
		if _, err := f.stat(t.Context(), owner(alice), at(p)); code(err) != "not_found" {
			t.Errorf("%s is still there: %v", p, err)
		}
	}
	if _, err := f.statID(t.Context(), owner(alice), leaf.ID); code(err) != "not_found" {
		t.Errorf("a file in a deleted folder is still there by its id: %v", err)
	}
	// B114: nothing can be put into a folder that is in the trash, or done to what is in it.
	if _, err := f.put(target(alice, "/d/new"), bytesOf("x", 1)); code(err) != "parent_not_found" {
		t.Errorf("put into the trash: %v", err)
	}
	if _, err := f.update(t.Context(), owner(alice), leaf.ID, move{name: "x"}); code(err) != "not_found" {
		t.Errorf("renamed in the trash: %v", err)
	}
	other := f.mkdir(alice, "/other")
	for _, to := range []NodeID{id, f.row(alice).TrashID} {
		if _, err := f.update(t.Context(), owner(alice), other.ID, move{parent: to}); code(err) != "parent_not_found" {
			t.Errorf("moved into the trash: %v", err)
		}
	}
	// Only what was deleted itself is an entry of the trash.
	if err := f.purgeOne(t.Context(), owner(alice), leaf.ID); code(err) != "not_found" {
		t.Errorf("purged a part of an entry: %v", err)
	}
	if _, err := f.restore(t.Context(), owner(alice), leaf.ID, nil, false); code(err) != "not_found" {
		t.Errorf("restored a part of an entry: %v", err)
	}
	if _, err := f.restore(t.Context(), owner(alice), id, nil, false); err != nil {
		t.Fatal(err)
	}
	if after := f.tree(alice, "/d/sub"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("came back as\n%q, was\n%q", after, before)
	}
	if n := f.row(alice).Seq - seq; n != 3 {
		t.Errorf("delete, mkdir and restore made %d changes, want 3", n)
	}
	f.sound(alice)
}

// C7: the trash and old versions count; what is deleted for ever gives its bytes back, all of them, also when
// the process ends between two steps.
func TestPurge(t *testing.T) {
	f := newFixture(t, 1000)
	for i := range 20 {
		f.file(alice, fmt.Sprintf("/d/%d/sub/f", i%5), int64(10+i))
	}
	f.file(alice, "/keep", 5)
	want := f.used(alice)
	id := f.trash("/d")
	if f.used(alice) != want {
		t.Errorf("the trash does not count: %d, was %d", f.used(alice), want)
	}
	f.purge(id)
	for more, steps := true, 0; more; steps++ {
		var err error
		if more, err = f.PurgeSome(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.sound(alice)
		if steps%3 == 0 {
			f.restart()
		}
	}
	if used := f.used(alice); used != 5 {
		t.Errorf("used %d after the purge, want 5", used)
	}
	f.file(alice, "/as much as fits", 995)
	f.trash("/keep")
	f.trash("/as much as fits")
	if err := f.emptyTrash(t.Context(), owner(alice)); err != nil {
		t.Fatal(err)
	}
	if items, total, _, err := f.trashPage(t.Context(), owner(alice), 10, ""); len(items) != 0 || total != 0 || err != nil {
		t.Errorf("the trash still holds %d of %d, %v", len(items), total, err)
	}
	f.purgeAll()
	if used := f.used(alice); used != 0 {
		t.Errorf("used %d of an empty drive", used)
	}
	f.sound(alice)
}

// C6: a retry of an upload whose file was deleted meanwhile does not bring it back, and does not show the
// name that the trash keeps it under.
func TestRetryAfterDelete(t *testing.T) {
	f := newFixture(t, 0)
	f.file(alice, "/f", 3, withKey("k"))
	retry := func() error {
		_, err := f.put(target(alice, "/f", withKey("k"), withParents), bytesOf("/f", 3))
		_, perr := f.Prepare(t.Context(), target(alice, "/f", withKey("k")))
		if code(perr) != code(err) {
			t.Errorf("Prepare says %v, Commit %v", perr, err)
		}
		return err
	}
	wantCode(t, retry(), "")
	id := f.trash("/f")
	wantCode(t, retry(), "not_found")
	f.purge(id)
	wantCode(t, retry(), "not_found")
	f.purgeAll()
	wantCode(t, retry(), "not_found")
	if got := f.names(alice, "/", order{By: "name"}, 10); len(got) != 0 {
		t.Errorf("the retry made %v", got)
	}
}

// The trash shows where things were, and old versions can be read by their number.
func TestTrashAndVersionsShown(t *testing.T) {
	f := newFixture(t, 0)
	ctx := auth.With(t.Context(), auth.Principal{UserID: int64(alice)})
	old := f.file(alice, "/d/f", 1)
	now := f.file(alice, "/d/f", 2)
	for _, c := range []struct {
		version int64
		code    string
		size    int64
	}{{0, "", 2}, {2, "", 2}, {1, "", 1}, {3, "no_such_version", 0}} {
		n, err := f.Resolve(t.Context(), &filemetapb.ResolveRequest{
			Actor: &filemetapb.Actor{UserId: int64(alice)}, Path: "/d/f", Version: c.version,
		})
		if code(err) != c.code || n.GetSize() != c.size {
			t.Errorf("version %d: %v, %v", c.version, n, err)
		}
		if c.version == 1 && (n.GetEtag() == now.GetEtag() || n.GetEtag() == old.GetEtag()) {
			t.Errorf("the old version's ETag %s is that of a current one", n.GetEtag())
		}
	}
	f.trash("/d/f")
	page, err := HTTP{f.Service}.ListTrash(ctx, &TrashRequest{Limit: 10})
	if err != nil || len(page.Items) != 1 {
		t.Fatal(page, err)
	}
	if it := page.Items[0]; it.Path != "/d/f" || it.Name != "f" || it.TrashedAt == "" || it.ParentID != f.mustStat(alice, "/d").ID.String() {
		t.Errorf("the trash shows %+v", it)
	}
}
