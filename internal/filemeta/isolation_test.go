package filemeta

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// answer is all of an error that leaves the server.
func answer(err error) [3]string {
	var e *errs.Error
	if !errors.As(err, &e) {
		return [3]string{"no error"}
	}
	return [3]string{e.Kind.String(), string(e.CodeOrKind()), string(e.Field)}
}

// S1, S2: whatever somebody tries with another user's ids and paths gets the very answer that ids and paths get
// that never were; and changes nothing.
func TestAnotherUser(t *testing.T) {
	f := newFixture(t, 0)
	ctx := auth.With(t.Context(), auth.Principal{UserID: int64(bob)})
	h := HTTP{f.Service}
	f.file(alice, "/secret/plan", 1)
	live := f.file(alice, "/secret/plan", 2)
	inTrash := f.file(alice, "/secret/old", 3)
	if err := f.delete(t.Context(), owner(alice), NodeID(inTrash.GetId()), ""); err != nil {
		t.Fatal(err)
	}
	mine := f.mkdir(bob, "/mine")
	row, before := f.row(alice), f.tree(alice, "/")
	const never = "987654321"

	byID := map[string]func(id string) error{
		"stat":     func(id string) error { _, err := h.StatNode(ctx, &NodeRequest{ID: id}); return err },
		"versions": func(id string) error { _, err := h.ListVersions(ctx, &VersionsRequest{ID: id, Limit: 9}); return err },
		"rename":   func(id string) error { _, err := h.UpdateNode(ctx, &UpdateNodeRequest{ID: id, Name: "x"}); return err },
		"take": func(id string) error {
			_, err := h.UpdateNode(ctx, &UpdateNodeRequest{ID: id, ParentID: mine.ID.String()})
			return err
		},
		"take, guarded": func(id string) error {
			_, err := h.UpdateNode(ctx, &UpdateNodeRequest{ID: id, ParentPath: "/mine", IfMatch: live.GetEtag()})
			return err
		},
		"move into": func(id string) error {
			_, err := h.UpdateNode(ctx, &UpdateNodeRequest{ID: mine.ID.String(), ParentID: id})
			return err
		},
		"delete":  func(id string) error { return h.DeleteNode(ctx, &DeleteNodeRequest{ID: id}) },
		"purge":   func(id string) error { return h.PurgeNode(ctx, &NodeRequest{ID: id}) },
		"restore": func(id string) error { _, err := h.RestoreNode(ctx, &RestoreRequest{ID: id}); return err },
		"restore elsewhere": func(id string) error {
			_, err := h.RestoreNode(ctx, &RestoreRequest{ID: id, ParentPath: "/mine", Conflict: "rename"})
			return err
		},
		"content": func(id string) error {
			n, err := parseID(id)
			if err != nil {
				return err
			}
			_, err = f.Resolve(ctx, &filemetapb.ResolveRequest{Actor: &filemetapb.Actor{UserId: int64(bob)}, Id: int64(n)})
			return err
		},
		"old content": func(id string) error {
			n, err := parseID(id)
			if err != nil {
				return err
			}
			_, err = f.Resolve(ctx, &filemetapb.ResolveRequest{Actor: &filemetapb.Actor{UserId: int64(bob)}, Id: int64(n), Version: 1})
			return err
		},
	}
	hers := map[string]string{
		"file": fmt.Sprint(live.GetId()), "folder": fmt.Sprint(live.GetParentId()), "in the trash": fmt.Sprint(inTrash.GetId()),
		"root": row.RootID.String(), "trash": row.TrashID.String(), "drive": row.ID.String(),
	}
	for name, try := range byID {
		want := answer(try(never))
		if want[0] != "not_found" {
			t.Errorf("%s of nothing answers %v", name, want)
		}
		for what, id := range hers {
			if got := answer(try(id)); got != want {
				t.Errorf("%s of her %s answers %v, of nothing %v", name, what, got, want)
			}
		}
		for _, id := range []string{"", "0", "-1", "+1", "01", " 1", "1.0", "9223372036854775808", "root", "\x00"} {
			if id == "" && name == "move into" {
				continue // absent: there is nothing to do
			}
			if got := answer(try(id)); got != want {
				t.Errorf("%s of the id %q answers %v, of nothing %v", name, id, got, want)
			}
		}
	}

	for name, try := range map[string]func(path string) error{
		"stat": func(p string) error { _, err := h.StatPath(ctx, &StatRequest{Path: p}); return err },
		"list": func(p string) error {
			_, err := h.ListFolder(ctx, &ListRequest{Path: p, Limit: 9, Sort: "name"})
			return err
		},
		"content": func(p string) error {
			_, err := f.Resolve(ctx, &filemetapb.ResolveRequest{Actor: &filemetapb.Actor{UserId: int64(bob)}, Path: p})
			return err
		},
		"make below": func(p string) error { _, err := h.CreateFolder(ctx, &CreateFolderRequest{Path: p + "/x"}); return err },
		"write":      func(p string) error { _, err := f.put(target(bob, p), bytesOf("x", 1)); return err },
		"write below": func(p string) error {
			_, err := f.put(target(bob, p+"/x"), bytesOf("x", 1))
			return err
		},
		"move into": func(p string) error {
			_, err := h.UpdateNode(ctx, &UpdateNodeRequest{ID: mine.ID.String(), ParentPath: p})
			return err
		},
	} {
		want := answer(try("/never/was"))
		if got := answer(try("/secret/plan")); got != want || want[0] != "not_found" {
			t.Errorf("%s of her path answers %v, of nothing %v", name, got, want)
		}
	}
	// A cursor of hers opens nothing either.
	her, err := f.list(t.Context(), owner(alice), at("/"), order{By: "name"}, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	c := cursor{order: order{By: "name"}, Folder: her.folder.ID, Kind: folder}
	if _, err := f.list(t.Context(), owner(bob), drivepath.Root, order{By: "name"}, 9, c.String()); code(err) != "bad_cursor" {
		t.Errorf("her cursor: %v", err)
	}
	if after := f.tree(alice, "/"); !reflect.DeepEqual(after, before) {
		t.Errorf("her tree is\n%q, was\n%q", after, before)
	}
	if f.row(alice) != row {
		t.Errorf("her drive is %+v, was %+v", f.row(alice), row)
	}
	f.sound(alice)
	f.sound(bob)
}

// S1: an Idempotency-Key is its user's own.
func TestKeyOfAnotherUser(t *testing.T) {
	f := newFixture(t, 0)
	hers := f.file(alice, "/f", 1, withKey("k"))
	his := f.file(bob, "/f", 2, withKey("k"))
	if hers.GetId() == his.GetId() || his.GetSize() != 2 {
		t.Errorf("his upload answered with %v, hers was %v", his, hers)
	}
	d, err := f.createFolder(t.Context(), owner(bob), at("/d"), false, "k2")
	if err != nil {
		t.Fatal(err)
	}
	if e, err := f.createFolder(t.Context(), owner(alice), at("/d"), false, "k2"); err != nil || e.ID == d.ID {
		t.Errorf("her folder: %v, %v", e.node, err)
	}
}

// S1: nobody is nobody, for every method.
func TestNobody(t *testing.T) {
	f := newFixture(t, 0)
	id := f.file(alice, "/f", 1).GetId()
	for _, user := range []UserID{0, -1} {
		actor := &filemetapb.Actor{UserId: int64(user)}
		_, perr := f.Prepare(t.Context(), &filemetapb.Target{Actor: actor, Path: "/f"})
		_, cerr := f.put(target(user, "/f"), bytesOf("x", 1))
		_, rerr := f.Resolve(t.Context(), &filemetapb.ResolveRequest{Actor: actor, Path: "/f"})
		_, ierr := f.Resolve(t.Context(), &filemetapb.ResolveRequest{Actor: actor, Id: id})
		_, nerr := f.Resolve(t.Context(), &filemetapb.ResolveRequest{Id: id})
		for i, err := range []error{perr, cerr, rerr, ierr, nerr} {
			if !errs.Is(errs.Unauthenticated, err) && !errs.Is(errs.NotFound, err) {
				t.Errorf("call %d by user %d: %v", i, user, err)
			}
		}
	}
	if _, err := (HTTP{f.Service}).GetDrive(context.Background()); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("without a principal: %v", err)
	}
}
