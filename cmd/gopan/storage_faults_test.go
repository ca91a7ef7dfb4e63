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
	for _, point := range []string{"migrate.copied", "migrate.copied:3", "migrate.deleted", "migrate.deleted:4"} {
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
