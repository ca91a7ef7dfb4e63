package app

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/filemeta"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/pb/userpb"
)

// S15, G61: for a key of one folder, what is elsewhere in its owner's drive does not exist, by any route.
func TestKeyOfOneFolder(t *testing.T) {
	d := newDrive(t)
	file, doomed := d.put(t, "/vault/plan.txt", "c4nary content"), d.put(t, "/vault/old.txt", "c4nary content")
	d.ask(t, "DELETE", "/api/v1/files/"+doomed.ID, "", bearer(d.admin))
	coming := d.begin(t)
	var folder struct{ ID string }
	d.ask(t, "POST", "/api/v1/folders", `{"path":"/open"}`, bearer(d.admin)).into(t, &folder)
	key := bearer(d.accessKey(t, bearer(d.admin), "token", `,"folderId":"`+folder.ID+`"`))
	state := func() string {
		return d.ask(t, "GET", "/api/v1/files?path=/vault", "", bearer(d.admin)).body + d.ask(t, "GET", "/api/v1/trash", "", bearer(d.admin)).body +
			d.ask(t, "GET", "/api/v1/uploads/"+coming, "", bearer(d.admin)).body
	}
	before := state()
	// What is about the account or the batch as a whole: it tells of no other folder.
	general := []string{"GET /api/v1/drive", "POST /api/v1/uploads/batch"}
	for route, a := range attempts(file.ID, doomed.ID, coming) {
		if _, ok := accountRoutes[route]; ok {
			continue
		}
		method, _, _ := strings.Cut(route, " ")
		r := d.ask(t, method, a.target, a.body, key)
		want := http.StatusNotFound
		switch {
		case slices.Contains(general, route):
			want = http.StatusOK
		case strings.Contains(route, "/trash"):
			want = http.StatusForbidden
		}
		if r.StatusCode != want || strings.Contains(r.body, "c4nary") || strings.Contains(r.body, "plan.txt") {
			t.Errorf("%s: %d %s, want %d", route, r.StatusCode, r.body, want)
		}
	}
	if after := state(); after != before {
		t.Errorf("something changed:\n%s\nbefore:\n%s", after, before)
	}
	var put struct{ ID string }
	d.ask(t, "PUT", "/api/v1/uploads/content?path=/open/f", "inside", key).into(t, &put)
	if r := d.ask(t, "GET", "/api/v1/content/"+put.ID, "", key); r.body != "inside" {
		t.Errorf("inside: %d %s", r.StatusCode, r.body)
	}
}

// S19: an administrator changes a quota; it holds, is in the audit log with who did it, and is seen with the rest.
func TestQuotaOfAnother(t *testing.T) {
	d := newDrive(t)
	if r := d.ask(t, "PATCH", "/api/v1/admin/drives/100001", `{"quota":5}`, bearer(d.admin)); r.StatusCode != 200 || !strings.Contains(r.body, `"login":"mallory"`) {
		t.Fatal(r.StatusCode, r.body)
	}
	if r := d.ask(t, "PUT", "/api/v1/uploads/content?path=/f", "too much", bearer(d.mallory)); r.StatusCode != http.StatusInsufficientStorage {
		t.Errorf("beyond the quota: %d %s", r.StatusCode, r.body)
	}
	for _, bad := range []string{`{}`, `{"quota":-1}`, `{"quota":"much"}`, `{"quota":null}`} {
		if r := d.ask(t, "PATCH", "/api/v1/admin/drives/100001", bad, bearer(d.admin)); r.StatusCode != 400 {
			t.Errorf("%s: %d %s", bad, r.StatusCode, r.body)
		}
	}
	var log struct {
		Items []struct{ Action, Object, Detail, Actor string }
	}
	d.ask(t, "GET", "/api/v1/admin/events?action=drive.quota", "", bearer(d.admin)).into(t, &log)
	if len(log.Items) != 1 || log.Items[0].Object != "user 100001" || log.Items[0].Detail != "5" {
		t.Errorf("recorded: %+v", log.Items)
	}
	var all struct {
		Items []struct {
			Login string
			Quota int64
		}
	}
	d.ask(t, "GET", "/api/v1/admin/storage", "", bearer(d.admin)).into(t, &all)
	if !slices.ContainsFunc(all.Items, func(i struct {
		Login string
		Quota int64
	}) bool {
		return i.Login == "mallory" && i.Quota == 5
	}) {
		t.Errorf("storage: %+v", all.Items)
	}
}

// When a deleted account's time has come, it cannot come back; its drive is erased, and then the account. Who has the
// same content keeps it.
func TestErasedAccount(t *testing.T) {
	d := newDrive(t)
	mine := d.put(t, "/mine", "the same content")
	if r := d.ask(t, "PUT", "/api/v1/uploads/content?path=/theirs", "the same content", bearer(d.mallory)); r.StatusCode != 201 {
		t.Fatal(r.StatusCode, r.body)
	}
	if r := d.ask(t, "PATCH", "/api/v1/admin/users/100001", `{"state":"deleted"}`, bearer(d.admin)); r.StatusCode != 200 {
		t.Fatal(r.StatusCode, r.body)
	}
	tree := &filemeta.Service{DB: d.db, Users: userpb.NewUserClient(d.conn("user"))}
	drives := func() (n int64) {
		if err := d.db.Read(t.Context(), func(tx *gorm.DB) error { return tx.Raw("SELECT count(*) FROM drives").Scan(&n).Error }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := tree.EraseDeparted(t.Context()); err != nil || drives() != 2 {
		t.Fatalf("before its time: %v, %d drives", err, drives())
	}
	if err := d.db.Write(t.Context(), func(tx *gorm.DB) error {
		return tx.Exec("UPDATE users SET erase_at = 1 WHERE id = 100001").Error
	}); err != nil {
		t.Fatal(err)
	}
	if r := d.ask(t, "PATCH", "/api/v1/admin/users/100001", `{"state":"active"}`, bearer(d.admin)); r.StatusCode != 404 {
		t.Errorf("brought back after its time: %d %s", r.StatusCode, r.body)
	}
	if err := tree.EraseDeparted(t.Context()); err != nil || drives() != 1 {
		t.Fatalf("after its time: %v, %d drives", err, drives())
	}
	if r := d.ask(t, "GET", "/api/v1/admin/users/100001", "", bearer(d.admin)); r.StatusCode != 404 {
		t.Errorf("the account: %d %s", r.StatusCode, r.body)
	}
	if r := d.ask(t, "GET", "/api/v1/content/"+mine.ID, "", bearer(d.admin)); r.body != "the same content" {
		t.Errorf("the same content of another: %d %s", r.StatusCode, r.body)
	}
	if resp, err := tree.CheckTree(t.Context(), &filemetapb.CheckTreeRequest{}); err != nil || len(resp.GetProblems()) > 0 {
		t.Errorf("the check: %v, %v", resp, err)
	}
}
