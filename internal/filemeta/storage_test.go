package filemeta

import (
	"slices"
	"testing"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
)

// What administrators see of the drives: the fullest first, page by page, with all of them together on the first page.
func TestStorage(t *testing.T) {
	f := newFixture(t, 1000)
	f.newAccounts(t)
	ctx, h := auth.With(t.Context(), auth.Principal{UserID: admin, Role: "admin"}), HTTP{f.Service}
	f.file(alice, "/a", 10)
	f.file(bob, "/b", 20)
	old := f.file(bob, "/c", 30)
	f.file(bob, "/c", 31)
	if err := f.delete(ctx, owner(bob), NodeID(old.GetId()), ""); err != nil {
		t.Fatal(err)
	}
	f.reserve(alice, "/coming", 5)
	f.mkdir(3, "/nobody's")

	want := []DriveUse{
		{UserID: "2", Login: "bob", Quota: 1000, Used: 81, Files: 2}, {UserID: "1", Login: "alice", Quota: 1000, Used: 10, Reserved: 5, Files: 1},
		{UserID: "3", Quota: 1000},
	}
	for limit := 1; limit <= 4; limit++ {
		var got []DriveUse
		for cursor, first := "", true; first || cursor != ""; first = false {
			pg, err := h.ListStorage(ctx, &StorageRequest{Limit: limit, Cursor: cursor})
			if err != nil || len(pg.Items) > limit {
				t.Fatal(pg, err)
			}
			if total := (StorageTotal{Drives: 3, Used: 91, Reserved: 5, Files: 3}); first && *pg.Total != total || !first && pg.Total != nil {
				t.Errorf("in all: %+v", pg.Total)
			}
			got, cursor = append(got, pg.Items...), pg.NextCursor
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d:\n%+v, want\n%+v", limit, got, want)
		}
	}
	for _, cursor := range []string{"x", "1", "1.0", "1.-4", "."} {
		if _, err := h.ListStorage(ctx, &StorageRequest{Limit: 1, Cursor: cursor}); code(err) != "bad_cursor" {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

// S19: a quota is changed when the audit log has it, and holds from then on.
func TestSetQuota(t *testing.T) {
	f := newFixture(t, 1000)
	users := f.newAccounts(t)
	ctx, h := auth.With(t.Context(), auth.Principal{UserID: admin, Role: "admin"}), HTTP{f.Service}

	if u, err := h.GetDriveOf(ctx, &DriveOfRequest{UserID: "1"}); err != nil || *u != (DriveUse{UserID: "1", Login: "alice", Quota: 1000}) {
		t.Errorf("before she came: %+v, %v", u, err)
	}
	if left := f.rowsOf(alice); len(left) > 0 {
		t.Errorf("a look makes %v", left)
	}
	f.file(alice, "/a", 100)
	if u, err := h.SetQuota(ctx, &SetQuotaRequest{UserID: "1", Quota: 60}); err != nil || u.Quota != 60 || u.Used != 100 {
		t.Errorf("less than there is: %+v, %v", u, err)
	}
	if _, err := f.put(target(alice, "/b"), bytesOf("b", 1)); code(err) != "quota_exceeded" {
		t.Errorf("beyond it: %v", err)
	}
	if _, err := h.SetQuota(ctx, &SetQuotaRequest{UserID: "1", Quota: 0}); err != nil {
		t.Error(err)
	}
	if _, err := f.put(target(alice, "/b"), bytesOf("b", 1<<40)); err != nil {
		t.Errorf("without one: %v", err)
	}
	if u, err := h.SetQuota(ctx, &SetQuotaRequest{UserID: "2", Quota: 7}); err != nil || u.Quota != 7 || f.row(bob).Quota != 7 {
		t.Errorf("before he came: %+v, %v", u, err)
	}
	var log []string
	for _, r := range users.recorded {
		if r.GetAction() != "drive.quota" || r.GetActorId() != admin {
			t.Errorf("recorded: %v", r)
		}
		log = append(log, r.GetObject()+" "+r.GetDetail())
	}
	if want := []string{"user 1 60", "user 1 0", "user 2 7"}; !slices.Equal(log, want) {
		t.Errorf("recorded: %q, want %q", log, want)
	}
	for _, id := range []string{"8", "0", "-1", "x", "01"} {
		if _, err := h.SetQuota(ctx, &SetQuotaRequest{UserID: id, Quota: 7}); !errs.Is(errs.NotFound, err) {
			t.Errorf("of the account %q: %v", id, err)
		}
		if _, err := h.GetDriveOf(ctx, &DriveOfRequest{UserID: id}); !errs.Is(errs.NotFound, err) {
			t.Errorf("of the account %q: %v", id, err)
		}
	}
	users.out = true
	if _, err := h.SetQuota(ctx, &SetQuotaRequest{UserID: "2", Quota: 8}); err == nil || f.row(bob).Quota != 7 {
		t.Errorf("without a record: %v, the quota is %d", err, f.row(bob).Quota)
	}
}
