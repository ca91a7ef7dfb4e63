package app

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/transfer"
)

// An operator starts a migration and leaves. The processes with the role transfer share it, those that call filemeta
// elsewhere; one of them goes, the rate changes, and the other brings it to its end. Files are there all the while.
func TestClusterMigrate(t *testing.T) {
	dir, second, tree := t.TempDir(), t.TempDir(), freeAddress(t)
	settings := config.Default()
	settings.Data, settings.Listen = dir, "127.0.0.1:0"
	settings.Blob.Stores = map[string]config.Store{"second": {Kind: "local", Dir: second}}
	settings.Work.Every = time.Second
	onDatabase(t, &settings)
	with := func(change func(*config.Config), roles ...string) *Process {
		c := settings
		change(&c)
		return &Process{Config: c, Roles: roles, AdminPassword: adminPassword, Out: t.Output()}
	}
	calls := func(c *config.Config) { c.RPC.Peers = map[string][]string{"user": {tree}, "filemeta": {tree}} }
	main := run(t, with(func(c *config.Config) { c.RPC.Listen = tree }, "user", "filemeta", "upload", "download"))
	main.admin = main.signIn(t, "admin")
	want := make(map[string]string)
	for i := range 40 {
		path := fmt.Sprintf("/f%d", i)
		want[path] = fmt.Sprintf("%0*d", 1000, i)
		main.put(t, path, want[path])
	}
	whole := func() {
		t.Helper()
		for path, content := range want {
			if r := main.ask(t, "GET", "/api/v1/content?path="+path, "", bearer(main.admin)); r.StatusCode != 200 || r.body != content {
				t.Fatalf("%s: %d", path, r.StatusCode)
			}
		}
	}
	operator := func(fn func(ctx context.Context, s *transfer.Service) error) {
		t.Helper()
		if err := Operate(t.Context(), settings, fn); err != nil {
			t.Fatal(err)
		}
	}
	leaving := run(t, with(calls, "transfer"))
	run(t, with(calls, "transfer"))
	operator(func(ctx context.Context, s *transfer.Service) error {
		m := transfer.Migration{From: "local", To: "second", Rate: 2000, Parallel: 2} // bytes a second
		st, err := s.StartMigration(ctx, m)
		if err != nil {
			return err
		}
		now := func() transfer.MigrationStatus {
			if st, err = s.MigrationStatus(ctx, st.ID); err != nil {
				t.Fatal(err)
			}
			return st
		}
		eventually(t, "both work on it", func() bool { return now().Processes == 2 })
		whole()
		if err := leaving.Stop(ctx); err != nil {
			t.Error(err)
		}
		if st := now(); st.Processes != 1 || st.State != "running" {
			t.Errorf("one has left: %+v", st)
		}
		m.Rate = 0
		if again, err := s.StartMigration(ctx, m); err != nil || again.ID != st.ID {
			t.Errorf("another rate: %+v, %v", again, err)
		}
		eventually(t, "all has moved", func() bool { return now().State == "done" })
		if st.Blobs != 40 || st.Bytes != 40_000 || st.Processes != 0 || st.Error != "" {
			t.Errorf("%+v", st)
		}
		usage, err := s.Usage(ctx)
		if err != nil || usage[0].Blobs != 0 || usage[1].Blobs != 40 {
			t.Errorf("%+v, %v", usage, err)
		}
		return nil
	})
	whole()
}
