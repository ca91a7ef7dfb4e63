package app

import (
	"testing"

	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/errs"
)

// A file of settings that was read again counts at once, for what may change; the rest stays, and so does everything when
// a value makes no sense.
func TestReload(t *testing.T) {
	d := newDrive(t)
	for _, name := range []string{"/f/a.txt", "/f/b.txt"} {
		d.put(t, name, name)
	}
	archive := func() int { return d.ask(t, "GET", "/api/v1/archive?path=/f", "", bearer(d.admin)).StatusCode }
	if got := archive(); got != 200 {
		t.Fatal(got)
	}
	c := d.Config
	c.Limits.ArchiveEntries, c.Listen = 2, "127.0.0.1:1"
	if err := d.Reload(c); err != nil {
		t.Fatal(err)
	}
	if got := archive(); got != 413 {
		t.Errorf("%d beyond the new limit", got)
	}
	c.Limits.ArchiveEntries = -1
	if err := d.Reload(c); !errs.Is(errs.Invalid, err) {
		t.Errorf("nonsense: %v", err)
	}
	if got := archive(); got != 413 {
		t.Errorf("%d: nonsense took the place of the limit", got)
	}
	c.Limits.ArchiveEntries = config.Default().Limits.ArchiveEntries
	if err := d.Reload(c); err != nil {
		t.Fatal(err)
	}
	if got := archive(); got != 200 {
		t.Errorf("%d below the limit", got)
	}
}

// Each setting that may change reaches the part of the process that it is for.
func TestLiveReaches(t *testing.T) {
	d := newDrive(t)
	c := d.Config
	if d.blobs.ByDrive() {
		t.Fatal("there is a policy")
	}
	c.Drive.Quota, c.Blob.Policies = 5, []config.Policy{{Drive: 7, Store: "local"}}
	if err := d.Reload(c); err != nil {
		t.Fatal(err)
	}
	if !d.blobs.ByDrive() {
		t.Error("policies stay as they were")
	}
	// mallory's drive is made by her first request.
	if r := d.ask(t, "PUT", "/api/v1/uploads/content?path=/a.txt", "more than five", bearer(d.mallory)); r.StatusCode != 507 {
		t.Errorf("beyond the new quota: %d %s", r.StatusCode, r.body)
	}
}
