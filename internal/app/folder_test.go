package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/livil/gopan/internal/config"
)

// Processes that start at once on a new folder make one of it, with one store and one key.
func TestFolderMadeTogether(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	folders, keys := make([]Folder, 8), make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range folders {
		wg.Go(func() {
			var err error
			if folders[i], err = OpenFolder(dir, true); err != nil {
				t.Error(err)
				return
			}
			if keys[i], err = folders[i].tokenKey(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, f := range folders {
		if f != folders[0] || f.StoreID == "" || !bytes.Equal(keys[i], keys[0]) || len(keys[i]) < 32 {
			t.Errorf("%+v, key of %d bytes; the first has %+v", f, len(keys[i]), folders[0])
		}
	}
	for _, name := range []string{"", "secrets", "blobs"} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
}

// S3, G02: two installations share neither key nor store.
func TestTwoInstallations(t *testing.T) {
	var folders [2]Folder
	var keys [2][]byte
	for i := range folders {
		var err error
		if folders[i], err = OpenFolder(t.TempDir(), true); err != nil {
			t.Fatal(err)
		}
		if keys[i], err = folders[i].tokenKey(); err != nil {
			t.Fatal(err)
		}
	}
	if bytes.Equal(keys[0], keys[1]) || folders[0].StoreID == folders[1].StoreID {
		t.Error("they share a secret")
	}
	if bytes.Equal(keys[0], make([]byte, 32)) {
		t.Error("the key is zeros")
	}
}

// A folder that holds other things is left alone, and nothing is made where nothing may be.
func TestFolderRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFolder(dir, true); err == nil || !strings.Contains(err.Error(), "thesis.tex") {
		t.Errorf("a folder with other files: %v", err)
	}
	for _, name := range []string{"secrets", "blobs", "gopan.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was made there", name)
		}
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := OpenFolder(missing, false); err == nil {
		t.Error("a folder that is not there was opened")
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a folder was made that was only to be opened")
	}
	for _, marker := range []string{"", "{", "[]", `{"layout":1}`, `{"layout":2,"storeId":"x"}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "gopan.json"), []byte(marker), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenFolder(dir, true); err == nil {
			t.Errorf("marker %q: opened", marker)
		}
	}
}

// A start that was cut off while it made the folder is done over by the next; its key, which signed nothing, is
// not used.
func TestFolderHalfMade(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secrets", tokenKeyFile), []byte("example"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "blobs", "store.json"), []byte(`{"id":"other"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFolder(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := f.tokenKey(); err != nil || len(key) < 32 {
		t.Errorf("%d bytes, %v", len(key), err)
	}
	p := process(dir)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// S3, B168, F18: a start that would be unsafe, or would begin an empty store beside a full tree, is refused with
// words that say what to do; put right, the same folder starts again.
func TestStartRefused(t *testing.T) {
	dir := t.TempDir()
	p := process(dir)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	key, store := filepath.Join(dir, "secrets", tokenKeyFile), filepath.Join(dir, "blobs", "store.json")
	write := func(name string, b []byte, mode os.FileMode) func() error {
		return func() error {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				return err
			}
			return os.Chmod(name, mode)
		}
	}
	keep := map[string][]byte{}
	for _, name := range []string{key, store} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		keep[name] = b
	}
	for _, c := range []struct {
		name, says string
		spoil      func() error
	}{
		{"key missing", tokenKeyFile + " is missing", func() error { return os.Remove(key) }},
		{"key empty", "too short", write(key, nil, 0o600)},
		{"key short", "too short", write(key, []byte("secret"), 0o600)},
		{"key for everybody", "0600", write(key, keep[key], 0o644)},
		{"key for the group", "0600", write(key, keep[key], 0o640)},
		{"store without its id", "store.json", func() error { return os.Remove(store) }},
		{"another store", "", write(store, []byte(`{"id":"other"}`), 0o600)},
		{"garbage for an id", "", write(store, []byte(`{`), 0o600)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.spoil(); err != nil {
				t.Fatal(err)
			}
			p := process(dir)
			err := p.Start(t.Context())
			if err == nil {
				t.Error("started", p.Stop(t.Context()))
			} else if !strings.Contains(err.Error(), c.says) || bytes.Contains([]byte(err.Error()), keep[key]) {
				t.Errorf("says: %v", err)
			}
			for name, b := range keep {
				if err := write(name, b, 0o600)(); err != nil {
					t.Fatal(err)
				}
			}
			p = process(dir)
			if err := p.Start(t.Context()); err != nil {
				t.Fatalf("put right: %v", err)
			}
			if err := p.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A choice of roles or settings that cannot work is an error at the start.
func TestStartWrongChoice(t *testing.T) {
	for name, change := range map[string]func(*Process){
		"no such role":          func(p *Process) { p.Roles = []string{"user", "usr"} },
		"needs a role nowhere":  func(p *Process) { p.Roles = []string{"upload"} },
		"called, does not hear": func(p *Process) { p.Roles = []string{"user"} },
		"peer's address wrong":  func(p *Process) { p.Config.RPC.Peers = map[string][]string{"user": {"nowhere"}} },
		"token life too long":   func(p *Process) { p.Config.Auth.AccessLife *= 2 },
		"address taken":         func(p *Process) { p.Config.Listen = "203.0.113.1:1" },
		"TLS files missing":     func(p *Process) { p.Config.TLS = config.TLS{Cert: "none.crt", Key: "none.key"} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := process(dir)
			change(p)
			if err := p.Start(t.Context()); err == nil {
				t.Fatal("started", p.Stop(t.Context()))
			}
			// What had started has stopped again: the folder is free.
			p = process(dir)
			if err := p.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := p.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
