package filemeta

import (
	"slices"
	"testing"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Pages of a folder, however small, give all that is in it once, as a listing by name does.
func TestListFolder(t *testing.T) {
	f := newFixture(t, 0)
	shelf(f)
	folder := int64(f.mustStat(alice, "/shelf").ID)
	pg, err := f.list(t.Context(), owner(alice), at("/shelf"), order{By: "name"}, 1000, "")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, n := range pg.items {
		want = append(want, n.Name)
	}
	for _, limit := range []int32{1, 2, 7, 1000} {
		var got []string
		req := &filemetapb.ListFolderRequest{Actor: &filemetapb.Actor{UserId: int64(alice)}, Id: folder, Limit: limit}
		for {
			page, err := f.ListFolder(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range page.GetNodes() {
				got = append(got, n.GetName())
				if n.GetPath() != "/shelf/"+n.GetName() || n.GetParentId() != folder || n.GetFolder() != (len(n.GetDigest()) == 0) {
					t.Errorf("%v", n)
				}
			}
			if req.Cursor = page.GetNext(); req.GetCursor() == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %q, want %q", limit, got, want)
		}
	}
}

// S1, S2: every page is for whoever may read the folder now, and nothing is said of others' folders.
func TestListFolderIsGuarded(t *testing.T) {
	f := newFixture(t, 0)
	shelf(f)
	file := f.file(alice, "/file", 1)
	folder := int64(f.mustStat(alice, "/shelf").ID)
	list := func(user UserID, id int64, cursor string, limit int32) (*filemetapb.ListFolderResponse, error) {
		return f.ListFolder(t.Context(), &filemetapb.ListFolderRequest{
			Actor: &filemetapb.Actor{UserId: int64(user)}, Id: id, Cursor: cursor, Limit: limit,
		})
	}
	first, err := list(alice, folder, "", 2)
	if err != nil || first.GetNext() == "" {
		t.Fatal(first, err)
	}
	f.mkdir(alice, "/empty")
	for _, c := range []struct {
		user   UserID
		id     int64
		cursor string
		limit  int32
		want   errs.Kind
	}{
		{bob, folder, "", 2, errs.NotFound},
		{bob, folder, first.GetNext(), 2, errs.NotFound},
		{0, folder, "", 2, errs.NotFound},
		{alice, 999999, "", 2, errs.NotFound},
		{alice, file.GetId(), "", 2, errs.Conflict},
		{alice, folder, "", 0, errs.Invalid},
		{alice, folder, "", 1001, errs.Invalid},
		{alice, folder, "garbage", 2, errs.Invalid},
		{alice, int64(f.mustStat(alice, "/empty").ID), first.GetNext(), 2, errs.Invalid},
	} {
		if got, err := list(c.user, c.id, c.cursor, c.limit); !errs.Is(c.want, err) {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
	f.trash("/shelf")
	if _, err := list(alice, folder, first.GetNext(), 2); !errs.Is(errs.NotFound, err) {
		t.Errorf("in the trash: %v", err)
	}
}
