package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livil/gopan/internal/client/clienttest"
)

func TestGetTreeAndAgain(t *testing.T) {
	s := clienttest.New(t)
	s.PageSize = 2
	c := signedIn(t, s)
	when := time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)
	want := map[string]string{"empty": "", "d/": "", "d/b": string(random(t, 3<<20)), "d/e/": "", "d/e/c": "c", "none/": "", "中文": "x"}
	for name, data := range want {
		if dir, ok := strings.CutSuffix(name, "/"); ok {
			s.Mkdir("/down/" + dir)
		} else {
			s.Put("/down/"+name, []byte(data), when)
		}
	}
	dst := filepath.Join(t.TempDir(), "new", "dst")
	rec := newRecord()
	sum, err := (&Transfer{Client: c, Progress: rec, Sync: true}).GetTree(t.Context(), []Pair{{dst, "/down"}})
	if err != nil || sum.Files != 4 || sum.Folders != 4 || sum.Failed != 0 || rec.files != 4 || !rec.planned {
		t.Fatalf("%+v, %v, %v", sum, err, rec.errs)
	}
	if got := tree(t, dst); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("what arrived differs")
	}
	if info, err := os.Stat(filepath.Join(dst, "d", "b")); err != nil || !info.ModTime().Equal(when) {
		t.Errorf("time %v, %v; want %v", info.ModTime(), err, when)
	}

	write(t, filepath.Join(dst, "d/e/c"), []byte("C"))
	now := time.Now()
	if err := os.Chtimes(filepath.Join(dst, "d/b"), now, now); err != nil {
		t.Fatal(err)
	}
	sum, err = (&Transfer{Client: c}).GetTree(t.Context(), []Pair{{dst, "/down"}})
	if err != nil || sum.Files != 1 || sum.Unchanged != 3 || sum.Folders != 0 {
		t.Errorf("second run: %+v, %v", sum, err)
	}
	if got := tree(t, dst); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("second run: what is there differs")
	}
	if info, _ := os.Stat(filepath.Join(dst, "d", "b")); !info.ModTime().Equal(when) {
		t.Error("second run: the time of an unchanged file was not put right")
	}
}

func TestGetOneFile(t *testing.T) {
	s := clienttest.New(t)
	s.Put("/d/f", []byte("f"), time.Now())
	c := signedIn(t, s)
	dst := t.TempDir()
	rec := newRecord()
	sum, err := (&Transfer{Client: c, Progress: rec}).GetTree(t.Context(), []Pair{{filepath.Join(dst, "g"), "/d/f"}, {filepath.Join(dst, "h"), "/none"}})
	if err != nil || sum.Files != 1 || sum.Failed != 1 || !IsNotFound(rec.errs["/none"]) {
		t.Errorf("%+v, %v, %v", sum, err, rec.errs)
	}
	if got := tree(t, dst); fmt.Sprint(got) != "map[g:f]" {
		t.Errorf("got %v", got)
	}
}

func TestSafeName(t *testing.T) {
	for _, name := range []string{"", ".", "..", "/", "a/b", "../x", "/etc/passwd", "a\x00b"} {
		if safeName(name) {
			t.Errorf("%q is taken", name)
		}
	}
	for _, name := range []string{"a", "...", "a..b", ".git", "中文", "a b", "-rf", "~"} {
		if !safeName(name) {
			t.Errorf("%q is refused", name)
		}
	}
}

// Whatever names a server gives, and whatever links lie in the target, nothing is written outside it.
func TestGetTreeStaysInside(t *testing.T) {
	s := clienttest.New(t)
	for _, p := range []string{"/down/ok", "/down/escape/f", "/down/file-link"} {
		s.Put(p, []byte("new"), time.Now())
	}
	c := signedIn(t, s)
	top := t.TempDir()
	dst, outside := filepath.Join(top, "dst"), filepath.Join(top, "outside")
	write(t, filepath.Join(outside, "f"), []byte("old"))
	if err := os.Mkdir(dst, 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"escape": "../outside", "file-link": "../outside/f"} {
		if err := os.Symlink(target, filepath.Join(dst, link)); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"..", "../evil", "../../evil", "/evil", "a/../../evil", "", "."}
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/api/v1/files" || r.URL.Query().Get("path") != "/down" || r.URL.Query().Get("cursor") != "" {
			return false
		}
		var items []string
		for i, n := range names {
			kind := []string{"file", "folder"}[i%2]
			items = append(items, fmt.Sprintf(`{"id":"n1","name":%q,"path":"/down/bad%d","kind":%q,"size":3,"etag":"e"}`, n, i, kind))
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"items":[%s],"nextCursor":"0"}`, strings.Join(items, ","))
		return true
	})
	rec := newRecord()
	sum, err := (&Transfer{Client: c, Progress: rec}).GetTree(t.Context(), []Pair{{dst, "/down"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		if got := rec.errs[fmt.Sprintf("/down/bad%d", i)]; !errors.Is(got, ErrUnsafeName) {
			t.Errorf("name %q: %v, want ErrUnsafeName", names[i], got)
		}
	}
	if rec.outcomes["/down/escape"] != Failed {
		t.Errorf("a link out of the target was taken for a folder: %+v", sum)
	}
	if got := tree(t, outside); fmt.Sprint(got) != "map[f:old]" {
		t.Errorf("outside is now %v", got)
	}
	if got := tree(t, top); got["evil"] != "" || got["dst/ok"] != "new" || got["dst/file-link"] != "new" {
		t.Errorf("the tree is now %v", got)
	}
	if info, err := os.Lstat(filepath.Join(dst, "file-link")); err != nil || !info.Mode().IsRegular() {
		t.Error("the link to a file was written through, not replaced")
	}
}

// What an interrupted run has of a large file is where the next run begins.
func TestGetTreeGoesOnInTheNextRun(t *testing.T) {
	s := clienttest.New(t)
	data := random(t, 10<<20)
	s.Put("/big", data, time.Now())
	c := signedIn(t, s)
	dst := t.TempDir()
	pairs := []Pair{{filepath.Join(dst, "big"), "/big"}}

	ctx, cancel := context.WithCancel(t.Context())
	rec := newRecord()
	var moved atomic.Int64
	rec.advance = func(_ *Item, n int64) {
		if moved.Add(n) > 6<<20 {
			cancel()
		}
	}
	if _, err := (&Transfer{Client: c, Progress: rec}).GetTree(ctx, pairs); !errors.Is(err, context.Canceled) {
		t.Fatalf("first run: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dst, "big")); err == nil {
		t.Fatal("an unfinished file has its name")
	}
	var from string
	s.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/api/v1/content") {
			from = r.Header.Get("Range")
		}
		return false
	})
	sum, err := (&Transfer{Client: c}).GetTree(t.Context(), pairs)
	if err != nil || sum.Files != 1 {
		t.Fatalf("second run: %+v, %v", sum, err)
	}
	var start int
	if _, err := fmt.Sscanf(from, "bytes=%d-", &start); err != nil || start < 5<<20 {
		t.Errorf("second run asked for %q", from)
	}
	if got := tree(t, dst); len(got) != 1 || got["big"] != string(data) {
		t.Errorf("%d files, or other bytes", len(got))
	}
}

// A part that was damaged, or belongs to another version, does not get into the file.
func TestGetTreeWithADamagedPart(t *testing.T) {
	s := clienttest.New(t)
	data := random(t, 10<<20)
	s.Put("/big", data, time.Now())
	c := signedIn(t, s)
	dst := t.TempDir()
	root, err := os.OpenRoot(dst)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	n, err := c.Stat(t.Context(), "/big")
	if err != nil {
		t.Fatal(err)
	}
	for name, left := range map[string][]byte{"damaged": random(t, 4<<20), "too long": random(t, 11<<20)} {
		p, err := (&targetTree{root: root}).openPart(t.Context(), "big", n)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.f.Write(left)
		p.f.Close()
		if err != nil {
			t.Fatal(err)
		}
		sum, err := (&Transfer{Client: c}).GetTree(t.Context(), []Pair{{filepath.Join(dst, "big"), "/big"}})
		if err != nil || sum.Files != 1 {
			t.Errorf("%s: %+v, %v", name, sum, err)
		}
		if got := tree(t, dst); len(got) != 1 || got["big"] != string(data) {
			t.Errorf("%s: %d files, or other bytes", name, len(got))
		}
		if err := os.Remove(filepath.Join(dst, "big")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPartIsOneProcesses(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	n := &Node{Size: keepFrom, Digest: "d"}
	tt := &targetTree{root: root}
	p, err := tt.openPart(t.Context(), "f", n)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tt.openPart(t.Context(), "f", n); !errors.Is(err, ErrBusyPart) {
		t.Errorf("a second opening: %v, want ErrBusyPart", err)
	}
	p.f.Close()
	if p, err = tt.openPart(t.Context(), "f", n); err != nil {
		t.Errorf("after the first was closed: %v", err)
	} else {
		p.f.Close()
	}
}

// Bytes that are not the file's never get its name, and the file that is there stays.
func TestGetTreeWithOtherBytes(t *testing.T) {
	for name, wrong := range map[string]string{"other bytes": "wrong!", "too many": "right!+", "too few": "right"} {
		t.Run(name, func(t *testing.T) {
			s := clienttest.New(t)
			s.Put("/f", []byte("right!"), time.Now())
			c := signedIn(t, s)
			dst := filepath.Join(t.TempDir(), "f")
			write(t, dst, []byte("before"))
			s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, "/api/v1/content") {
					return false
				}
				// Without a length, so that the client has only the bytes to go by.
				_ = http.NewResponseController(w).Flush()
				_, _ = io.WriteString(w, wrong)
				return true
			})
			rec := newRecord()
			sum, err := (&Transfer{Client: c, Progress: rec}).GetTree(t.Context(), []Pair{{dst, "/f"}})
			if err != nil || sum.Failed != 1 || !errors.Is(rec.errs["/f"], ErrDigest) {
				t.Errorf("%+v, %v, %v", sum, err, rec.errs)
			}
			if got := tree(t, filepath.Dir(dst)); fmt.Sprint(got) != "map[f:before]" {
				t.Errorf("the folder is now %v", got)
			}
		})
	}
}

// A file that is replaced between the listing and the download arrives as the new one.
func TestGetTreeOfAFileThatIsReplaced(t *testing.T) {
	s := clienttest.New(t)
	s.Put("/d/f", []byte("old"), time.Now())
	c := signedIn(t, s)
	dst := t.TempDir()
	fresh := random(t, 9<<20)
	var once atomic.Bool
	s.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/api/v1/content") && !once.Swap(true) {
			s.Put("/d/f", fresh, time.Now())
		}
		return false
	})
	sum, err := (&Transfer{Client: c}).GetTree(t.Context(), []Pair{{dst, "/d"}})
	if err != nil || sum.Files != 1 || sum.Bytes != int64(len(fresh)) {
		t.Errorf("%+v, %v", sum, err)
	}
	if got, _ := os.ReadFile(filepath.Join(dst, "f")); !bytes.Equal(got, fresh) {
		t.Error("the file is not the new one")
	}
}
