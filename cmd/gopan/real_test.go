package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Real input (D1, D4, F01–F03, F08): the Go toolchain's own sources go in and come back, every byte of them; the
// server dies with kill -9 at a random moment of the upload, comes back, the client finishes, and nothing is
// lost, doubled or damaged.
func TestRealTree(t *testing.T) {
	if testing.Short() {
		t.Skip("sends the Go sources twice")
	}
	src := goSources(t)
	want := walk(t, src)
	if len(want) < 10_000 {
		t.Fatalf("%s has %d files, too few to be the Go sources", src, len(want))
	}
	dir := t.TempDir()
	address := freeAddress(t)
	serve := func() *process { return startServer(t, "--data", dir, "--listen", address) }
	server := serve()
	creds := filepath.Join(t.TempDir(), "credentials.json")
	login := gopan(t.Context(), nil, "login", server.url, "--credentials", creds, "--password-stdin")
	login.Stdin = strings.NewReader(testPassword + "\n")
	run(t, login)

	seed := time.Now().UnixNano()
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	stopAt := int64(len(want)) * (5 + random.Int64N(85)) / 100
	t.Logf("seed %d: the server dies after %d of %d files", seed, stopAt, len(want))

	put := gopan(t.Context(), nil, "put", "-r", "-T", "--json", "--credentials", creds, src, "/src")
	out := new(lockedBuffer)
	put.Stdout, put.Stderr = out, out
	if err := put.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- put.Wait() }()
	eventually(t, "the upload comes to the moment", 5*time.Minute, func() bool {
		select {
		case err := <-ended:
			t.Fatalf("the upload ended before the server was killed: %v\n%s", err, out)
		default:
		}
		return int64(strings.Count(out.String(), `"event":"transferred"`)) >= stopAt
	})
	server.kill(t)
	server = serve()
	if err := <-ended; err != nil {
		// The client may have run out of patience with a file or two; running the same command again sends
		// what is missing.
		t.Logf("the client did not finish by itself: %v\n%s", err, tail(out.String(), 2000))
		run(t, gopan(t.Context(), nil, "put", "-r", "-T", "--credentials", creds, src, "/src"))
	}
	compare(t, creds, want)

	// Once more: nothing has to be sent, nothing changes.
	run(t, gopan(t.Context(), nil, "put", "-r", "-T", "--credentials", creds, src, "/src"))
	server.stop(t)
	server = serve()
	compare(t, creds, want)
	fsck := gopan(t.Context(), nil, "fsck", "--read-data", "--json", "--data", dir)
	var report struct {
		Versions, Blobs, ReadBytes, Bytes, Orphans, YoungOrphans int64
		Problems                                                 []any
	}
	if err := json.Unmarshal(run(t, fsck), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) != 0 || report.ReadBytes != report.Bytes || report.Versions != int64(len(want)) ||
		report.Orphans != report.YoungOrphans {
		t.Errorf("fsck: %+v; want no problem and %d versions", report, len(want))
	}
	server.stop(t)
}

// goSources finds the sources of the Go that runs the tests.
func goSources(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "src")
}

// walk reads every regular file of a tree.
func walk(t *testing.T, root string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// compare downloads the tree and holds every file against what was sent.
func compare(t *testing.T, creds string, want map[string][]byte) {
	t.Helper()
	back := filepath.Join(t.TempDir(), "back")
	run(t, gopan(t.Context(), nil, "get", "-r", "--credentials", creds, "/src", back))
	got := walk(t, back)
	if len(got) != len(want) {
		t.Errorf("%d files came back, %d were sent", len(got), len(want))
	}
	for name, b := range want {
		if !bytes.Equal(got[name], b) {
			t.Fatalf("%s came back with %d bytes, want %d", name, len(got[name]), len(b))
		}
	}
	if err := os.RemoveAll(back); err != nil {
		t.Fatal(err)
	}
}

// run runs a command that must succeed and gives what it printed.
func run(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", cmd.Args[1:], err, tail(string(out), 4000), tail(stderr.String(), 4000))
	}
	return out
}
