package filemeta

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// desk is alice's drive with a folder /top/desk, which a key of hers opens, and things above, beside and in it.
type desk struct {
	*fixture
	key asker
	// ids of what is there, by path; "trash" is the trash, "old" was in the folder and is in the trash.
	ids map[string]string
}

func newDesk(t *testing.T) *desk {
	f := newFixture(t, 0)
	d := &desk{fixture: f, ids: make(map[string]string)}
	// /top/desktop begins like /top/desk and is not in it.
	for _, p := range []string{"/above", "/top/beside", "/top/desktop/f", "/top/desk/in", "/top/desk/sub/deep", "/top/desk/old"} {
		f.file(alice, p, int64(len(p)))
	}
	for _, p := range []string{"/", "/above", "/top", "/top/beside", "/top/desktop", "/top/desktop/f", "/top/desk", "/top/desk/in", "/top/desk/sub", "/top/desk/sub/deep"} {
		d.ids[p] = f.mustStat(alice, p).ID.String()
	}
	old := f.mustStat(alice, "/top/desk/old").ID
	if err := f.delete(t.Context(), owner(alice), old, ""); err != nil {
		t.Fatal(err)
	}
	d.ids["old"], d.ids["trash"] = old.String(), f.row(alice).TrashID.String()
	d.key = asker{alice, d.id("/top/desk")}
	return d
}

func (d *desk) id(of string) NodeID {
	id, err := parseID(d.ids[of])
	if err != nil {
		d.t.Fatal(of, err)
	}
	return id
}

// actor is how an RPC says who asks.
func (who asker) actor() *filemetapb.Actor {
	return &filemetapb.Actor{UserId: int64(who.user), FolderId: int64(who.folder)}
}

// asks is a context in which a request of theirs comes.
func (who asker) asks(ctx context.Context) context.Context {
	return auth.With(ctx, auth.Principal{UserID: int64(who.user), KeyID: 1, FolderID: int64(who.folder)})
}

// attempt is what somebody tries with a node's id, or at a path.
type attempt struct {
	byID   func(id string) error
	byPath func(path string) error
}

// attempts by all routes and RPCs that tell who asks, by their names. Where there are several by one, a word follows.
func (f *fixture) attempts(who asker) map[string]attempt {
	ctx, h := who.asks(f.t.Context()), HTTP{f.Service}
	rpcID := func(fn func(id int64) error) func(string) error {
		return func(id string) error {
			n, err := parseID(id)
			if err != nil {
				return err
			}
			return fn(int64(n))
		}
	}
	to := func(p string, opts ...func(*filemetapb.Target)) *filemetapb.Target {
		t := target(who.user, p, opts...)
		t.Actor = who.actor()
		return t
	}
	inside := func() string { // something that the asker may move
		p := at("/")
		if within, err := f.statID(ctx, who, who.folder); err == nil {
			p = within.path
		}
		n, err := f.createFolder(ctx, who, p.Join("mine"), true, "")
		if err != nil {
			return "987654321"
		}
		return n.ID.String()
	}
	return map[string]attempt{
		"StatNode": {byID: func(id string) error { _, err := h.StatNode(ctx, &NodeRequest{ID: id}); return err }},
		"ListVersions": {byID: func(id string) error {
			_, err := h.ListVersions(ctx, &VersionsRequest{ID: id, Limit: 9})
			return err
		}},
		"UpdateNode": {byID: func(id string) error {
			_, err := h.UpdateNode(ctx, &UpdateNodeRequest{ID: id, Name: "x"})
			return err
		}},
		"UpdateNode away": {byID: func(id string) error {
			_, err := h.UpdateNode(ctx, &UpdateNodeRequest{ID: id, ParentPath: "/top/desk/sub"})
			return err
		}},
		"UpdateNode into": {byID: func(id string) error {
			_, err := h.UpdateNode(ctx, &UpdateNodeRequest{ID: inside(), ParentID: id})
			return err
		}, byPath: func(p string) error {
			_, err := h.UpdateNode(ctx, &UpdateNodeRequest{ID: inside(), ParentPath: p})
			return err
		}},
		"DeleteNode":  {byID: func(id string) error { return h.DeleteNode(ctx, &DeleteNodeRequest{ID: id}) }},
		"PurgeNode":   {byID: func(id string) error { return h.PurgeNode(ctx, &NodeRequest{ID: id}) }},
		"RestoreNode": {byID: func(id string) error { _, err := h.RestoreNode(ctx, &RestoreRequest{ID: id}); return err }},
		"RestoreNode into": {byID: func(id string) error {
			_, err := h.RestoreNode(ctx, &RestoreRequest{ID: id, ParentPath: "/top/desk", Conflict: "rename"})
			return err
		}},
		"ListTrash":  {byID: func(string) error { _, err := h.ListTrash(ctx, &TrashRequest{Limit: 9}); return err }},
		"EmptyTrash": {byID: func(string) error { return h.EmptyTrash(ctx) }},
		"StatPath":   {byPath: func(p string) error { _, err := h.StatPath(ctx, &StatRequest{Path: p}); return err }},
		"ListFolder": {byPath: func(p string) error {
			_, err := h.ListFolder(ctx, &ListRequest{Path: p, Limit: 9, Sort: "name"})
			return err
		}},
		"CreateFolder": {byPath: func(p string) error {
			_, err := h.CreateFolder(ctx, &CreateFolderRequest{Path: p, Parents: true})
			return err
		}},
		"CreateFolder below": {byPath: func(p string) error {
			_, err := h.CreateFolder(ctx, &CreateFolderRequest{Path: p + "/x/y", Parents: true, IdempotencyKey: "k" + p})
			return err
		}},
		"Resolve": {byID: rpcID(func(id int64) error {
			_, err := f.Resolve(ctx, &filemetapb.ResolveRequest{Actor: who.actor(), Id: id})
			return err
		}), byPath: func(p string) error {
			_, err := f.Resolve(ctx, &filemetapb.ResolveRequest{Actor: who.actor(), Path: p})
			return err
		}},
		"ListFolder RPC": {byID: rpcID(func(id int64) error {
			_, err := f.Service.ListFolder(ctx, &filemetapb.ListFolderRequest{Actor: who.actor(), Id: id, Limit: 9})
			return err
		})},
		"Prepare": {byPath: func(p string) error { _, err := f.Prepare(ctx, to(p)); return err }},
		"Prepare below": {byPath: func(p string) error {
			_, err := f.Prepare(ctx, to(p+"/put/x", withParents))
			return err
		}},
		"Commit": {byPath: func(p string) error { _, err := f.put(to(p), bytesOf("theirs", 1)); return err }},
		"Commit renamed": {byPath: func(p string) error {
			_, err := f.put(to(p, orRename), bytesOf("theirs", 1))
			return err
		}},
		"Commit below": {byPath: func(p string) error {
			_, err := f.put(to(p+"/put/x", withParents, withKey("c"+p)), bytesOf("theirs", 1))
			return err
		}},
		"CommitMany": {byPath: func(p string) error {
			resp, err := f.CommitMany(ctx, &filemetapb.CommitManyRequest{Commits: []*filemetapb.CommitRequest{
				{Target: to(p), Blob: bytesOf("theirs", 1)},
			}})
			if err != nil {
				return err
			}
			if f := resp.GetOutcomes()[0].GetFailure(); f != nil {
				return errs.E(errs.Kind(f.GetKind()), "test.CommitMany", errs.Code(f.GetCode()))
			}
			return nil
		}},
		"MakeFolder": {byPath: func(p string) error {
			_, err := f.MakeFolder(ctx, &filemetapb.MakeFolderRequest{Actor: who.actor(), Path: p + "/x"})
			return err
		}},
		"Reserve": {byPath: func(p string) error { _, err := f.hold(to(p), 1, nil); return err }},
	}
}

// S15: for a key of one folder there is nothing but that folder: whatever it tries with what is above, beside or in the
// trash gets the very answer that nothing gets, and changes nothing.
func TestKeyOfOneFolder(t *testing.T) {
	d := newDesk(t)
	all := d.attempts(d.key)
	outside := []string{"/", "/above", "/top", "/top/beside", "/top/desktop", "/top/desktop/f"}
	inside := d.mkdir(alice, "/top/desk/mine")
	before, row := d.tree(alice, "/"), d.row(alice)
	ofRoot := []string{"UpdateNode into", "StatPath", "ListFolder", "CreateFolder", "Resolve"}
	trashOnly := []string{"PurgeNode", "RestoreNode", "RestoreNode into", "ListTrash", "EmptyTrash"}
	for name, try := range all {
		want := [3]string{"not_found", "not_found"}
		switch {
		case slices.Contains(trashOnly, name):
			want = [3]string{"denied", "key_limited_to_folder"}
		case name == "UpdateNode into":
			want[1] = "parent_not_found"
		}
		if try.byID != nil {
			for _, what := range append(outside, "old", "trash", "never") {
				id := d.ids[what]
				if what == "never" {
					id = "987654321"
				}
				if got := answer(try.byID(id)); got != want {
					t.Errorf("%s by the id of %s answers %v, want %v", name, what, got, want)
				}
			}
		}
		if try.byPath != nil {
			paths := append(outside, "/never/was", "/top/desktops", "/top/des")
			if !slices.Contains(ofRoot, name) {
				paths = paths[1:] // for nobody is it where a file goes
			}
			for _, p := range paths {
				if got := answer(try.byPath(p)); got != want {
					t.Errorf("%s at %s answers %v, want %v", name, p, got, want)
				}
			}
		}
	}
	if after := d.tree(alice, "/"); !reflect.DeepEqual(after, before) {
		t.Errorf("the tree is\n%q, was\n%q", after, before)
	}
	if d.row(alice) != row {
		t.Errorf("the drive is %+v, was %+v", d.row(alice), row)
	}
	if _, err := d.statID(t.Context(), d.key, inside.ID); err != nil {
		t.Error(err)
	}
	d.sound(alice)
}

// Every route and RPC that tells who asks is among the attempts.
func TestAttemptsAreAll(t *testing.T) {
	f := newFixture(t, 0)
	tried := make(map[string]bool)
	for name := range maps.Keys(f.attempts(owner(alice))) {
		tried[strings.Fields(name)[0]] = true
	}
	// The drive's numbers are shown to every key of its owner's; the others are for administrators.
	for _, name := range []string{"GetDrive", "ListStorage", "GetDriveOf", "SetQuota"} {
		tried[name] = true
	}
	for m := range reflect.TypeFor[API]().Methods() {
		if !tried[m.Name] {
			t.Errorf("the route %s is not tried", m.Name)
		}
	}
	for m := range reflect.TypeFor[filemetapb.FileMetaServer]().Methods() {
		if m.Type.NumIn() < 2 {
			continue
		}
		_, actor := m.Type.In(1).MethodByName("GetActor")
		_, to := m.Type.In(1).MethodByName("GetTarget")
		if (actor || to) && !tried[m.Name] {
			t.Errorf("the RPC %s is not tried", m.Name)
		}
	}
}

// S15: a key of one folder does in it what its owner does, and leaves the folder itself where it is.
func TestInsideTheFolder(t *testing.T) {
	d := newDesk(t)
	ctx, h := d.key.asks(t.Context()), HTTP{d.Service}
	for name, want := range map[string]string{
		"StatNode": "", "UpdateNode": "key_limited_to_folder", "UpdateNode away": "key_limited_to_folder", "UpdateNode into": "",
		"DeleteNode": "key_limited_to_folder", "StatPath": "", "ListFolder": "", "CreateFolder": "", "CreateFolder below": "",
		"Resolve": "", "ListFolder RPC": "", "Prepare": "is_a_folder", "Prepare below": "", "Commit": "is_a_folder",
		"Commit renamed": "is_a_folder", "CommitMany": "is_a_folder", "Commit below": "", "MakeFolder": "", "Reserve": "is_a_folder",
		"ListVersions": "is_a_folder",
	} {
		try := d.attempts(d.key)[name]
		if try.byID != nil {
			if err := try.byID(d.ids["/top/desk"]); code(err) != want {
				t.Errorf("%s of the folder, by its id: %v, want %q", name, err, want)
			}
		}
		if try.byPath != nil && name != "UpdateNode into" {
			if err := try.byPath("/top/desk"); code(err) != want {
				t.Errorf("%s of the folder, by its path: %v, want %q", name, err, want)
			}
		}
	}
	if n, err := h.UpdateNode(ctx, &UpdateNodeRequest{ID: d.ids["/top/desk/in"], ParentPath: "/top/desk/sub", Name: "moved"}); err != nil || n.Path != "/top/desk/sub/moved" {
		t.Errorf("move inside: %v, %v", n, err)
	}
	if err := h.DeleteNode(ctx, &DeleteNodeRequest{ID: d.ids["/top/desk/sub/deep"]}); err != nil {
		t.Errorf("delete inside: %v", err)
	}
	if got, err := h.GetDrive(ctx); err != nil || got.Used != d.used(alice) {
		t.Errorf("the drive: %v, %v", got, err)
	}
	d.sound(alice)
}

// S15: a key follows its folder to wherever the owner moves it; when that is the trash, it opens nothing, and neither does
// one whose folder is no folder, or another's.
func TestFolderOfAKeyMoves(t *testing.T) {
	d := newDesk(t)
	if _, err := d.update(t.Context(), owner(alice), d.key.folder, move{name: "bureau"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.put(&filemetapb.Target{Actor: d.key.actor(), Path: "/top/bureau/new", Size: -1}, bytesOf("n", 1)); err != nil {
		t.Errorf("after the folder was renamed: %v", err)
	}
	if err := d.attempts(d.key)["Commit below"].byPath("/top/desk"); code(err) != "not_found" {
		t.Errorf("where the folder was: %v", err)
	}
	if err := d.delete(t.Context(), owner(alice), d.id("/top"), ""); err != nil {
		t.Fatal(err)
	}
	f := d.file(alice, "/top/bureau/other", 1) // in its place
	for what, key := range map[string]asker{
		"in the trash": d.key, "a file": {alice, NodeID(f.GetId())}, "another's": {bob, d.id("/above")}, "none": {alice, 987654321},
		"the trash": {alice, d.id("trash")},
	} {
		for name, try := range d.attempts(key) {
			if try.byID != nil {
				for _, id := range []string{d.ids["/top/desk"], d.ids["/top/desk/in"], d.ids["/above"], fmt.Sprint(f.GetId())} {
					if got := answer(try.byID(id)); got[0] != "not_found" && got[1] != "key_limited_to_folder" {
						t.Errorf("the key's folder is %s: %s answers %v", what, name, got)
					}
				}
			}
			if try.byPath != nil {
				for _, p := range []string{"/top/bureau", "/top/bureau/other", "/above"} {
					if got := answer(try.byPath(p)); got[0] != "not_found" {
						t.Errorf("the key's folder is %s: %s at %s answers %v", what, name, p, got)
					}
				}
			}
		}
		if _, err := (HTTP{d.Service}).GetDrive(key.asks(t.Context())); code(err) != "not_found" {
			t.Errorf("the key's folder is %s: the drive answers %v", what, err)
		}
	}
}

// S5, S15: that the drive has some content outside of the folder does not give it to whoever knows its sum; and an
// Idempotency-Key finds nothing that has left the folder.
func TestSumsOutsideTheFolder(t *testing.T) {
	d := newDesk(t)
	b := bytesOf("/top/beside", int64(len("/top/beside")))
	to := func(p string, opts ...func(*filemetapb.Target)) *filemetapb.Target {
		target := target(alice, p, opts...)
		target.Actor = d.key.actor()
		return target
	}
	r, err := d.hold(to("/top/desk/copy"), b.GetSize(), b.GetDigest())
	if err != nil || r.GetHolder() != filemetapb.Holder_HOLDER_NOBODY {
		t.Errorf("without others: %v, %v", r, err)
	}
	others := func(req *filemetapb.ReserveRequest) { req.Others = true }
	if r, err = d.hold(to("/top/desk/copy"), b.GetSize(), b.GetDigest(), others); err != nil || r.GetHolder() != filemetapb.Holder_HOLDER_OTHER {
		t.Errorf("with others: %v, %v", r, err)
	}
	if r, err = d.hold(target(alice, "/top/desk/copy"), b.GetSize(), b.GetDigest()); err != nil || r.GetHolder() != filemetapb.Holder_HOLDER_SELF {
		t.Errorf("the owner: %v, %v", r, err)
	}
	put, err := d.put(to("/top/desk/once", withKey("once")), b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.update(t.Context(), owner(alice), NodeID(put.GetNode().GetId()), move{parent: d.id("/top")}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.put(to("/top/desk/once", withKey("once")), b); code(err) != "not_found" {
		t.Errorf("a repeat shows what has left the folder: %v", err)
	}
	if r, err := d.put(target(alice, "/top/desk/once", withKey("once")), b); err != nil || r.GetNode().GetPath() != "/top/once" {
		t.Errorf("the owner's repeat: %v, %v", r, err)
	}
}

// S15: whatever a key of one folder does, in whatever order, nothing outside of the folder changes or is shown.
func TestNothingLeavesTheFolder(t *testing.T) {
	sized(t)
	f := newFixture(t, 0)
	user := UserID(100)
	rapid.Check(t, func(rt *rapid.T) {
		user++
		ids := []string{"987654321"}
		for range 12 {
			p := aPath.Draw(rt, "path")
			if n, err := f.createFolder(t.Context(), owner(user), at(p), true, ""); err == nil {
				ids = append(ids, n.ID.String())
			}
		}
		key := asker{user, f.mustStat(user, "/").ID}
		for key.folder == f.row(user).RootID {
			folders := f.tree(user, "/")
			var id NodeID
			if _, err := fmt.Sscan(rapid.SampledFrom(folders).Draw(rt, "folder"), &id); err != nil {
				rt.Fatal(err)
			}
			key.folder = id
		}
		rest := func() (all []string) {
			within, err := f.statID(t.Context(), owner(user), key.folder)
			if err != nil {
				rt.Fatal("the folder is gone: ", err)
			}
			for _, n := range f.tree(user, "/") {
				if p := strings.Fields(n)[1]; !at(p).In(within.path) || at(p) == within.path {
					all = append(all, n)
				}
			}
			return all
		}
		before := rest()
		all := f.attempts(key)
		names := slices.Sorted(maps.Keys(all))
		for range steps {
			try := all[rapid.SampledFrom(names).Draw(rt, "attempt")]
			if try.byID != nil {
				_ = try.byID(rapid.SampledFrom(ids).Draw(rt, "id")) // what it answers is for the tables
			}
			if try.byPath != nil {
				_ = try.byPath(aPath.Draw(rt, "path")) // as above
			}
		}
		if after := rest(); !reflect.DeepEqual(after, before) {
			rt.Fatalf("outside of the folder there is\n%q, was\n%q", after, before)
		}
		for _, id := range ids {
			n, err := parseID(id)
			if err != nil {
				rt.Fatal(err)
			}
			seen, err := f.statID(t.Context(), key, n)
			if err == nil && seen.ID != key.folder && !slices.Contains(seen.above, key.folder) {
				rt.Fatalf("%s is shown", seen.path)
			}
		}
		f.sound(user)
	})
}
