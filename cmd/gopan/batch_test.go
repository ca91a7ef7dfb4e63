package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Many small files against the real server: a folder of them goes up, comes back the same, and a second run sends
// nothing and makes no versions (C6).
func TestSmallFilesInBatches(t *testing.T) {
	server := startServer(t, "--data", t.TempDir(), "--listen", "127.0.0.1:0")
	wire := newCounter(t, server.url)
	work := t.TempDir()
	creds := filepath.Join(work, "credentials.json")
	login := gopan(t.Context(), nil, "login", wire.URL, "--credentials", creds, "--password-stdin")
	login.Stdin = strings.NewReader(testPassword + "\n")
	run(t, login)
	src := filepath.Join(work, "照片")
	for i := range 700 {
		name := filepath.Join(src, fmt.Sprintf("ordner %d", i%9), fmt.Sprintf("%s-%d.txt", strings.Repeat("é", i%60), i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(strings.Repeat("x", i*13)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put := func() string {
		return string(run(t, gopan(t.Context(), nil, "put", "-r", "-T", "--json", "--credentials", creds, src, "/src")))
	}
	if out := put(); strings.Count(out, `"event":"transferred"`) != 700 || !strings.Contains(out, `"failed":0`) {
		t.Errorf("the first run says %s", tail(out, 500))
	}
	if n, m := wire.called("POST /uploads/batch"), wire.called("PUT /uploads/content"); n != 4 || m != 0 {
		t.Errorf("%d batches and %d single files, want 4 and none", n, m)
	}
	compare(t, creds, walk(t, src))
	if out := put(); strings.Count(out, `"event":"unchanged"`) != 700 {
		t.Errorf("the second run says %s", tail(out, 500))
	}
	out := string(run(t, gopan(t.Context(), nil, "stat", "--json", "--credentials", creds, "/src/ordner 0/-0.txt")))
	if !strings.Contains(out, `"version":1`) {
		t.Errorf("after two runs: %s", out)
	}
	server.stop(t)
}
