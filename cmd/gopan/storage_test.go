package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/transfer"
)

// storageDrive is a running drive with a second store, some files in it, and what it takes to call its tools.
type storageDrive struct {
	t          *testing.T
	data, conf string
	creds      string
	server     *process
	want       map[string][]byte
}

func newStorageDrive(t *testing.T) *storageDrive {
	t.Helper()
	dir := t.TempDir()
	d := &storageDrive{
		t: t, data: filepath.Join(dir, "data"), conf: filepath.Join(dir, "gopan.yaml"), creds: filepath.Join(dir, "credentials.json"),
		want: map[string][]byte{},
	}
	second := filepath.Join(dir, "second")
	if err := os.Mkdir(second, 0o700); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("data: %q\nlisten: %s\nblob:\n  stores:\n    second: {kind: local, dir: %q}\n", d.data, freeAddress(t), second)
	if err := os.WriteFile(d.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	d.server = startServer(t, "--config", d.conf)
	login := gopan(t.Context(), nil, "login", d.server.url, "--credentials", d.creds, "--password-stdin")
	login.Stdin = strings.NewReader(testPassword + "\n")
	run(t, login)
	src := filepath.Join(dir, "src")
	if err := os.Mkdir(src, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		name := fmt.Sprintf("f%d", i)
		d.want[name] = bytes.Repeat([]byte(name+"\n"), 1+i*i*i*7000)
		if err := os.WriteFile(filepath.Join(src, name), d.want[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, gopan(t.Context(), nil, "put", "-r", "-T", "--credentials", d.creds, src, "/src"))
	return d
}

// tool runs a command on the data folder and gives what it prints and its exit code.
func (d *storageDrive) tool(env []string, args ...string) (string, int) {
	d.t.Helper()
	var errOut bytes.Buffer
	cmd := gopan(d.t.Context(), env, append(args, "--config", d.conf)...)
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.t.Fatal(err)
	}
	d.t.Logf("%v: exit %d: %s%s", args, cmd.ProcessState.ExitCode(), out, errOut.Bytes())
	return string(out), cmd.ProcessState.ExitCode()
}

// good is tool for what must succeed, and reads its JSON.
func (d *storageDrive) good(into any, args ...string) {
	d.t.Helper()
	out, code := d.tool(nil, append(args, "--json")...)
	if code != 0 {
		d.t.Fatalf("%v: exit %d", args, code)
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		d.t.Fatalf("%v: %v", args, err)
	}
}

// whole checks that every file is there, for a client and for fsck, and gives the numbers of blobs in the stores.
func (d *storageDrive) whole() (local, second int64) {
	d.t.Helper()
	compare(d.t, d.creds, d.want)
	var c transfer.Checked
	d.good(&c, "fsck", "--read-data")
	if len(c.Problems) != 0 || c.Orphans != 0 || len(c.Stores) != 2 {
		d.t.Errorf("%+v", c)
	}
	return c.Stores[0].Blobs, c.Stores[1].Blobs
}

// emptyTrash deletes for ever what was removed.
func (d *storageDrive) emptyTrash() {
	d.t.Helper()
	send := func(method, path, body, token string) []byte {
		d.t.Helper()
		req, err := http.NewRequestWithContext(d.t.Context(), method, d.server.url+"/api/v1"+path, strings.NewReader(body))
		if err != nil {
			d.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			d.t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 {
			d.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, b, err)
		}
		return b
	}
	var tokens struct {
		AccessToken string `json:"accessToken"`
	}
	if err := json.Unmarshal(send("POST", "/auth/login", `{"login":"admin","password":"`+testPassword+`"}`, ""), &tokens); err != nil {
		d.t.Fatal(err)
	}
	send("DELETE", "/trash", "", tokens.AccessToken)
}

// An operator's day: content moves to another store and back while the drive runs, what is deleted for ever is collected
// at once, and the tools say what they did in words, in JSON and by their exit codes.
func TestStorage(t *testing.T) {
	d := newStorageDrive(t)
	var stores []storeLine
	d.good(&stores, "storage", "ls")
	if len(stores) != 2 || stores[0].Name != "local" || stores[0].Blobs != 6 || stores[0].ID == "" || stores[1].Name != "second" ||
		stores[1].Kind != "local" || stores[1].ID == "" || stores[1].Blobs != 0 || stores[0].Error+stores[1].Error != "" {
		t.Errorf("%+v", stores)
	}
	var m transfer.Migrated
	d.good(&m, "storage", "migrate", "--from", "local", "--to", "second", "--min-size", "1KiB", "--dry-run")
	if m.Blobs != 5 {
		t.Errorf("dry run: %+v", m)
	}
	if out, code := d.tool(nil, "storage", "migrate", "--from", "local", "--to", "second", "--min-size", "1KiB", "--rate", "64MiB", "--parallel", "2"); code != 0 ||
		!strings.HasPrefix(out, "5 blobs of ") {
		t.Errorf("%d %s", code, out)
	}
	if a, b := d.whole(); a != 1 || b != 5 {
		t.Errorf("%d in the first store, %d in the second", a, b)
	}
	if out, code := d.tool(nil, "storage", "ls"); code != 0 || !strings.Contains(out, "second") || strings.Count(out, "ready") != 2 {
		t.Errorf("%d %s", code, out)
	}
	if _, code := d.tool(nil, "storage", "forget", "second"); code != exitConflict {
		t.Errorf("forget a store that is not empty: exit %d", code)
	}

	run(t, gopan(t.Context(), nil, "rm", "--credentials", d.creds, "/src/f5"))
	delete(d.want, "f5")
	d.emptyTrash()
	var c transfer.Collected
	d.good(&c, "gc")
	if c.Deleted != 0 {
		t.Errorf("within the grace period: %+v", c)
	}
	eventually(t, "what was purged is collected", time.Minute, func() bool {
		d.good(&c, "gc", "--now", "--grace", "0s")
		return c.Deleted == 1
	})
	if c.Stores[1].Deleted != 1 || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
	d.good(&m, "storage", "migrate", "--from", "second", "--to", "local")
	if a, b := d.whole(); a != 5 || b != 0 || m.Blobs != 4 {
		t.Errorf("%d in the first store, %d in the second; %+v", a, b, m)
	}
	d.migrations(m.ID)
	if out, code := d.tool(nil, "storage", "scrub"); code != 0 || !strings.Contains(out, "nothing was read yet") {
		t.Errorf("%d %s", code, out)
	}
	for _, args := range [][]string{
		{"storage", "migrate", "--from", "local", "--to", "local"}, {"storage", "migrate", "--from", "local", "--to", "third"},
		{"storage", "migrate", "--from", "local"}, {"storage", "migrate", "--status", "--from", "local"},
		{"storage", "migrate", "--status", "--cancel", "1"}, {"storage", "migrate", "--from", "local", "--to", "second", "--parallel", "0"}, {"storage", "migrate", "--from", "local", "--to", "second", "--rate", "fast"},
		{"gc", "--grace", "1m"}, {"storage", "adopt", "third"}, {"storage", "forget"},
	} {
		if _, code := d.tool(nil, args...); code != exitUsage {
			t.Errorf("%v: exit %d", args, code)
		}
	}

	// The second store is empty and goes.
	d.server.stop(t)
	if _, code := d.tool(nil, "storage", "forget", "second"); code != 0 {
		t.Errorf("forget: exit %d", code)
	}
	if err := os.WriteFile(d.conf, fmt.Appendf(nil, "data: %q\nlisten: 127.0.0.1:0\n", d.data), 0o600); err != nil {
		t.Fatal(err)
	}
	d.good(&stores, "storage", "ls")
	if len(stores) != 1 || stores[0].Blobs != 5 {
		t.Errorf("%+v", stores)
	}
}

// migrations tries what is there beside a migration that one waits for; last is the one before.
func (d *storageDrive) migrations(last int64) {
	d.t.Helper()
	var st transfer.MigrationStatus
	d.good(&st, "storage", "migrate", "--from", "local", "--to", "second", "--drive", "999", "--rate", "1", "--detach")
	if st.ID != last+1 || st.State != "running" || st.Drive != 999 || st.Rate != 1 {
		d.t.Errorf("detached: %+v", st)
	}
	eventually(d.t, "the running drive looks through it, and finds nothing of that drive", time.Minute, func() bool {
		var all []transfer.MigrationStatus
		d.good(&all, "storage", "migrate", "--status")
		st = all[0]
		return st.State == "done"
	})
	if st.Blobs != 0 || st.Left != 5 || st.PartsDone != 256 {
		d.t.Errorf("of a drive that is not there: %+v", st)
	}
	d.good(&st, "storage", "migrate", "--from", "local", "--to", "second", "--min-size", "1TiB", "--detach")
	id := fmt.Sprint(st.ID)
	d.good(&st, "storage", "migrate", "--cancel", id)
	if st.State == "running" || st.Blobs != 0 || st.Processes != 0 {
		d.t.Errorf("cancelled: %+v", st)
	}
	if _, code := d.tool(nil, "storage", "migrate", "--cancel", "12345"); code != exitNotFound {
		d.t.Errorf("cancel what is not there: exit %d", code)
	}
	if out, code := d.tool(nil, "storage", "migrate", "--status"); code != 0 || strings.Count(out, "\n") != int(st.ID)+1 || !strings.Contains(out, "256/256") {
		d.t.Errorf("%d %s", code, out)
	}
}

// Ctrl-C ends the command and not the migration, which the running drive brings to its end.
func TestMigrateInterrupted(t *testing.T) {
	d := newStorageDrive(t)
	cmd := gopan(t.Context(), nil, "storage", "migrate", "--from", "local", "--to", "second", "--rate", "500KiB", "--config", d.conf)
	var errOut lockedBuffer
	cmd.Stderr = &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []transfer.MigrationStatus
	eventually(t, "it has begun", time.Minute, func() bool {
		d.good(&all, "storage", "migrate", "--status")
		return len(all) == 1 && all[0].Processes > 0
	})
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(errOut.String(), "--cancel 1 ends it") {
		t.Errorf("exit %d: %s", code, errOut.String())
	}
	eventually(t, "the drive has moved all", time.Minute, func() bool {
		d.good(&all, "storage", "migrate", "--status")
		return all[0].State == "done"
	})
	if local, second := d.whole(); local != 0 || second != 6 || all[0].Blobs != 6 || len(all) != 1 {
		t.Errorf("%d in the first store, %d in the second; %+v", local, second, all)
	}
}

// Sizes on the command line.
func TestByteSize(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "1048576": 1 << 20, "64KiB": 64 << 10, "16MiB": 16 << 20, "2GiB": 2 << 30, "3TiB": 3 << 40} {
		var b byteSize
		if err := b.Set(s); err != nil || int64(b) != want {
			t.Errorf("%s: %d, %v", s, b, err)
		}
	}
	for _, s := range []string{"", "-1", "1.5MiB", "1M", "9223372036854775807KiB", "MiB", "x"} {
		var b byteSize
		if err := b.Set(s); err == nil {
			t.Errorf("%s: %d", s, b)
		}
	}
}
