package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/mem"
	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/transfer"
)

// with gives a process a second store in a folder, and policies.
func with(dir string, policies ...config.Policy) func(*Process) {
	return func(p *Process) {
		p.Config.Blob.Stores = map[string]config.Store{"second": {Kind: "local", Dir: dir}}
		p.Config.Blob.Policies = policies
	}
}

// stored counts the blobs in a store's folder.
func stored(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && len(e.Name()) == 64 {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A policy sends large content to another store; both are read alike, moved between by an operator while the drive runs,
// and whole for the check.
func TestSecondStore(t *testing.T) {
	second := t.TempDir()
	smallText, largeText := strings.Repeat("s", 80_000), strings.Repeat("l", 90_000) // both large enough to be files in a store
	d := newDrive(t, with(second, config.Policy{MinSize: 90_000, Store: "second"}))
	small, large := d.put(t, "/small", smallText), d.put(t, "/large", largeText)
	local := filepath.Join(d.dir, "blobs")
	if a, b := stored(t, local), stored(t, second); a != 1 || b != 1 {
		t.Errorf("%d blobs in the first store, %d in the second", a, b)
	}
	readable := func(when string) {
		t.Helper()
		for id, want := range map[string]string{small.ID: smallText, large.ID: largeText} {
			if r := d.ask(t, "GET", "/api/v1/content/"+id, "", bearer(d.admin)); r.StatusCode != 200 || r.body != want {
				t.Errorf("%s: %d, %d bytes", when, r.StatusCode, len(r.body))
			}
		}
	}
	readable("at first")
	for _, m := range []transfer.Migration{{From: "second", To: "local"}, {From: "local", To: "second"}} {
		if err := Operate(t.Context(), d.Config, func(ctx context.Context, s *transfer.Service) error {
			_, err := s.Migrate(ctx, m)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		readable("in " + m.To)
	}
	if a, b := stored(t, local), stored(t, second); a != 0 || b != 2 {
		t.Errorf("%d blobs in the first store, %d in the second", a, b)
	}
	if r := d.ask(t, "GET", "/readyz", ""); r.StatusCode != 200 {
		t.Errorf("not ready: %s", r.body)
	}
	// F18: the disk is gone.
	if err := os.Remove(filepath.Join(second, "store.json")); err != nil {
		t.Fatal(err)
	}
	if r := d.ask(t, "GET", "/readyz", ""); r.StatusCode != 503 {
		t.Errorf("ready without a store: %s", r.body)
	}
}

// F18: a store that is not mounted, empty where it was not, another's, or left out of the settings, is refused with
// words that say what to do; put right, the drive starts again.
func TestStoreRefused(t *testing.T) {
	dir, second, other := t.TempDir(), t.TempDir(), t.TempDir()
	start := func(change func(*Process)) error {
		p := process(dir)
		change(p)
		if err := p.Start(t.Context()); err != nil {
			return err
		}
		return p.Stop(t.Context())
	}
	if err := start(with(filepath.Join(second, "missing"))); err == nil || !strings.Contains(err.Error(), "mount the disk") {
		t.Errorf("a folder that is not there: %v", err)
	}
	if err := start(with(second)); err != nil {
		t.Fatal(err)
	}
	id := filepath.Join(second, "store.json")
	had, err := os.ReadFile(id)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, says string
		change     func(*Process)
		store      string // store.json; "-": none
	}{
		{"empty", "missing or not mounted", with(second), "-"},
		{"another's", "belongs to another drive", with(second), `{"id":"x"}`},
		{"elsewhere", "missing or not mounted", with(other), string(had)},
		{"left out", "gopan storage forget second", func(*Process) {}, string(had)},
		{"under another name", "belongs to another drive", func(p *Process) {
			p.Config.Blob.Stores = map[string]config.Store{"second": {Kind: "local", Dir: second}, "third": {Kind: "local", Dir: second + "/."}}
		}, string(had)},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := os.Remove(id)
			if c.store != "-" {
				err = os.WriteFile(id, []byte(c.store), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := start(c.change); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v; want it to say %q", err, c.says)
			}
			if _, err := os.Stat(filepath.Join(other, "store.json")); err == nil {
				t.Error("a new store was made in place of the old one")
			}
			if err := os.WriteFile(id, had, 0o600); err != nil {
				t.Fatal(err)
			}
		})
	}
	// "third" was met and refused; it is known, and bears no id.
	if err := Forget(dir, "third"); err != nil {
		t.Error(err)
	}
	if err := start(with(second)); err != nil {
		t.Errorf("put right: %v", err)
	}
	if err := Forget(dir, "second"); err != nil {
		t.Fatal(err)
	}
	if err := start(func(*Process) {}); err != nil {
		t.Errorf("forgotten: %v", err)
	}
	if err := start(with(second)); err == nil {
		t.Error("a store that bears an id was taken for a new one")
	}
	p := process(dir)
	with(second)(p)
	if adopted, err := Adopt(t.Context(), p.Config, "second"); err != nil || !strings.Contains(string(had), adopted) {
		t.Errorf("adopted %q, %v", adopted, err)
	}
	if err := start(with(second)); err != nil {
		t.Errorf("adopted: %v", err)
	}
	if err := Forget(dir, "nothing"); !errs.Is(errs.NotFound, err) {
		t.Errorf("%v", err)
	}
}

// faraway is a bucket of an object store, as far as opening it goes.
type faraway struct {
	mu    sync.Mutex
	id    string
	down  bool
	store mem.Store
}

func (f *faraway) set(id string, down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.id, f.down = id, down
}

func (f *faraway) open(_ context.Context, id string, first bool) (blob.Stager, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.down:
		return nil, errs.E(errs.Busy, "faraway", "no answer")
	case f.id == "" && first:
		f.id = id
	case f.id != id:
		return nil, errs.E(errs.Internal, "faraway", "another id")
	}
	return &f.store, nil
}

// A3, F18: a store that does not answer does not keep the process from starting, and is used once it does; a wrong one
// is refused at the start, and never used when it shows itself later. Its first use survives being cut off.
func TestStoreFarAway(t *testing.T) {
	folder, err := OpenFolder(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{folder: folder}
	bucket := &faraway{down: true}
	s, err := p.openRemote(t.Context(), "far", bucket.open)
	if err != nil {
		t.Fatalf("it does not answer: %v", err)
	}
	ref := blob.Ref{Digest: blob.DigestOf(nil)}
	tries := map[string]func(s blob.Stager) error{
		"check":  func(s blob.Stager) error { return s.Check(t.Context()) },
		"create": func(s blob.Stager) error { _, err := s.Create(t.Context(), 1); return err },
		"open":   func(s blob.Stager) error { _, _, err := s.Open(t.Context(), ref); return err },
		"delete": func(s blob.Stager) error { _, err := s.Delete(t.Context(), blob.Digest{1}, farFuture); return err },
		"list":   func(s blob.Stager) error { return s.List(t.Context(), func(blob.Entry) error { return nil }) },
		"stage":  func(s blob.Stager) error { _, err := s.Stage(t.Context(), 1); return err },
		"staged": func(s blob.Stager) error { _, err := s.Staged(t.Context(), "x", 1); return err },
		"sweep":  func(s blob.Stager) error { _, err := s.Sweep(t.Context(), farFuture); return err },
	}
	allBusy := func(when string) {
		t.Helper()
		for name, try := range tries {
			if err := try(s); !errs.Is(errs.Busy, err) {
				t.Errorf("%s: %s: %v, want Busy", when, name, err)
			}
		}
	}
	allBusy("no answer")
	bucket.set("", false)
	eventually(t, "it is used", func() bool { return s.Check(t.Context()) == nil })
	if _, err := blob.Write(t.Context(), s, strings.NewReader(""), blob.Want{Size: -1, Limit: -1}); err != nil {
		t.Fatal(err)
	}
	for name, try := range tries {
		if err := try(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	id := bucket.id
	if again, err := p.openRemote(t.Context(), "far", bucket.open); err != nil || again.Check(t.Context()) != nil {
		t.Errorf("a second start: %v", err)
	}

	for _, wrong := range []string{"", "other"} {
		bucket.set(wrong, false)
		if _, err := p.openRemote(t.Context(), "far", bucket.open); err == nil || errs.Is(errs.Busy, err) {
			t.Errorf("id %q: %v, want a refusal", wrong, err)
		}
		if bucket.id != wrong {
			t.Errorf("the wrong store got id %q", bucket.id)
		}
		bucket.set(wrong, true)
		if s, err = p.openRemote(t.Context(), "far", bucket.open); err != nil {
			t.Fatal(err)
		}
		bucket.set(wrong, false)
		allBusy("wrong, and found out later")
	}
	bucket.set(id, false)
	eventually(t, "the right one is back", func() bool { return s.Check(t.Context()) == nil })

	// The first use dies before, or after, the store bears the id.
	for _, after := range []bool{false, true} {
		bucket := new(faraway)
		name := map[bool]string{false: "before", true: "after"}[after]
		_, err := p.openRemote(t.Context(), name, func(ctx context.Context, id string, first bool) (blob.Stager, error) {
			if after {
				if _, err := bucket.open(ctx, id, first); err != nil {
					t.Error(err)
				}
			}
			return nil, errors.New("cut off")
		})
		if err == nil {
			t.Error("opened")
		}
		if _, err := p.openRemote(t.Context(), name, bucket.open); err != nil {
			t.Errorf("cut off %s: %v", name, err)
		}
	}
}

// S3: keys come from files for their owner alone, or from the environment, and their lack is told by name.
func TestStoreKeys(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		t.Helper()
		f := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(f, []byte(text), 0o600), os.Chmod(f, mode)); err != nil {
			t.Fatal(err)
		}
		return f
	}
	good, open := file("good", "s3cret\n", 0o600), file("open", "s3cret", 0o644)
	for _, c := range []struct {
		access, secret, says string
	}{
		{good, good, ""}, {good, open, "0600"}, {open, good, "0600"}, {good, filepath.Join(dir, "none"), "none"},
		{good, file("empty", "\n", 0o600), "one line"}, {good, file("two", "a\nb", 0o600), "one line"},
		{"", "", "GOPAN_STORE_COLD_1_ACCESS_KEY"},
	} {
		a, s, err := storeKeys("cold-1", config.Store{AccessKeyFile: c.access, SecretKeyFile: c.secret})
		if c.says == "" && (err != nil || a != "s3cret" || s != "s3cret") || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%+v: %q, %q, %v", c, a, s, err)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the error tells the key: %v", err)
		}
	}
	t.Setenv("GOPAN_STORE_COLD_1_ACCESS_KEY", "a")
	t.Setenv("GOPAN_STORE_COLD_1_SECRET_KEY", "s")
	if a, s, err := storeKeys("cold-1", config.Store{}); a != "a" || s != "s" || err != nil {
		t.Errorf("%q, %q, %v", a, s, err)
	}
}

var farFuture = time.Now().Add(1000 * time.Hour)
