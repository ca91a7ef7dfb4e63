//go:build faults

package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/livil/gopan/internal/faultpoint"
	"github.com/livil/gopan/internal/transfer"
)

// D7, F10: the tools that move and delete content are killed at each of their moments, while the drive runs; no
// file is hurt, and the next run comes to the end.
func TestStorageKilled(t *testing.T) {
	d := newStorageDrive(t)
	migrate := func(from, to string) []string {
		return []string{"storage", "migrate", "--from", from, "--to", to, "--parallel", "2"}
	}
	from, to := "local", "second"
	for _, point := range []string{"migrate.taken", "migrate.copied", "migrate.deleted:4", "migrate.saved"} {
		if _, code := d.tool([]string{faultpoint.Variable + "=" + point}, migrate(from, to)...); code != -1 {
			t.Fatalf("%s: exit %d, want a death", point, code)
		}
		d.whole()
		var m transfer.Migrated
		d.good(&m, migrate(from, to)...)
		local, second := d.whole()
		if left := map[string]int64{"local": local, "second": second}[from]; left != 0 || local+second != 6 {
			t.Errorf("%s, and again: %d in the first store, %d in the second", point, local, second)
		}
		from, to = to, from
	}
	for i, point := range []string{"gc.condemned", "gc.deleted", "gc.forgotten"} {
		name := fmt.Sprintf("f%d", i)
		run(t, gopan(t.Context(), nil, "rm", "--credentials", d.creds, "/src/"+name))
		delete(d.want, name)
		d.emptyTrash()
		gc := []string{"gc", "--now", "--grace", "0s"}
		eventually(t, "killed at "+point, time.Minute, func() bool { // once the tree has let go of it
			_, code := d.tool([]string{faultpoint.Variable + "=" + point}, gc...)
			return code == -1
		})
		var c transfer.Collected
		d.good(&c, gc...)
		if c.Waiting != 0 {
			t.Errorf("%s, and again: %+v", point, c)
		}
		if local, second := d.whole(); local+second != int64(len(d.want)) {
			t.Errorf("%s, and again: %d in the first store, %d in the second", point, local, second)
		}
	}
}

// D7: the running drive is killed at each moment of a migration that it does by itself, and does the rest when it is
// back; no file is hurt.
func TestMigratingDriveKilled(t *testing.T) {
	d := newStorageDrive(t)
	from, to := "local", "second"
	for _, point := range []string{"migrate.taken:2", "migrate.copied:2", "migrate.deleted", "migrate.saved"} {
		d.server.stop(t)
		t.Setenv(faultpoint.Variable, point)
		d.server = startServer(t, "--config", d.conf)
		t.Setenv(faultpoint.Variable, "")
		if _, code := d.tool(nil, "storage", "migrate", "--from", from, "--to", to, "--detach"); code != 0 {
			t.Fatalf("exit %d", code)
		}
		died := make(chan struct{})
		go func() { defer close(died); _ = d.server.cmd.Wait() }()
		select {
		case <-died:
		case <-time.After(time.Minute):
			t.Fatalf("%s: the drive lives", point)
		}
		d.server = startServer(t, "--config", d.conf)
		d.whole()
		var all []transfer.MigrationStatus
		eventually(t, point+": the rest is moved", time.Minute, func() bool {
			d.good(&all, "storage", "migrate", "--status")
			return all[0].State == "done"
		})
		local, second := d.whole()
		if left := map[string]int64{"local": local, "second": second}[from]; left != 0 || local+second != 6 || all[0].Blobs > 6 || all[0].Damaged != 0 {
			t.Errorf("%s: %d in the first store, %d in the second; %+v", point, local, second, all[0])
		}
		from, to = to, from
	}
}
