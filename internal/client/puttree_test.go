package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/livil/gopan/internal/client/clienttest"
)

func TestPutTreeAndAgain(t *testing.T) {
	s := clienttest.New(t)
	s.PageSize = 3
	c := signedIn(t, s)
	src := t.TempDir()
	when := time.Date(2020, 2, 29, 12, 30, 15, 123456789, time.UTC)
	files := map[string][]byte{
		"a.txt": []byte("a"), "empty": nil, "deep/er/b": random(t, 100), "deep/c": random(t, 2<<20), "中文/名 字.txt": []byte("x"),
		"big": random(t, 9<<20),
	}
	for name, data := range files {
		write(t, filepath.Join(src, name), data)
		if err := os.Chtimes(filepath.Join(src, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"nothing/in/here", "deep/none"} {
		if err := os.MkdirAll(filepath.Join(src, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	rec := newRecord()
	sum, err := (&Transfer{Client: c, Progress: rec}).PutTree(t.Context(), []Pair{{src, "/up/src"}})
	if err != nil || sum.Files != 6 || sum.Failed+sum.Skipped+sum.Unchanged != 0 || sum.Folders != 2 {
		t.Fatalf("%+v, %v, %v", sum, err, rec.errs)
	}
	if rec.files != 6 || rec.bytes != sum.Bytes || !rec.planned {
		t.Errorf("planned %d files, %d bytes", rec.files, rec.bytes)
	}
	for name, data := range files {
		f := s.Get("/up/src/" + name)
		if f == nil || string(f.Data) != string(data) || !f.Modified.Equal(when) {
			t.Errorf("%s did not arrive as it is", name)
		}
	}
	for _, dir := range []string{"/up/src/nothing/in/here", "/up/src/deep/none"} {
		if f := s.Get(dir); f == nil || !f.Folder {
			t.Errorf("%s is not there", dir)
		}
	}

	// One file changes to another of the same size, one is gone on the server.
	write(t, filepath.Join(src, "a.txt"), []byte("b"))
	n, err := c.Stat(t.Context(), "/up/src/deep/c")
	if err == nil {
		err = c.Trash(t.Context(), n.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	puts, lists, stats := s.Calls("PUT /uploads/content"), s.Calls("GET /files?path=/up/src/deep"), s.Calls("GET /stat")
	sum, err = (&Transfer{Client: c}).PutTree(t.Context(), []Pair{{src, "/up/src"}})
	if err != nil || sum.Files != 2 || sum.Unchanged != 4 || sum.Folders != 0 {
		t.Errorf("second run: %+v, %v", sum, err)
	}
	if n, m := s.Calls("PUT /uploads/content")-puts, s.Calls("POST /uploads/batch"); n != 1 || m != 2 {
		t.Errorf("second run: %d PUTs, want the large file's; %d batches in all, want one a run", n, m)
	}
	if n := s.Calls("GET /files?path=/up/src/deep") - lists; n != 1 {
		t.Errorf("second run: a folder of one page was listed %d times", n)
	}
	if n := s.Calls("GET /stat") - stats; n != 1 {
		t.Errorf("second run: %d stats, want the one of the named folder", n)
	}
}

func TestPutTreeSkipsAndFails(t *testing.T) {
	s := clienttest.New(t)
	s.Put("/up/is-a-folder-there/x", nil, time.Now())
	s.Put("/up/is-a-file-there", nil, time.Now())
	c := signedIn(t, s)
	src := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	write(t, outside, []byte("secret"))
	e1 := "caf\u00e9"
	for _, name := range []string{"good", "bad\\name", "raw\xff", "dir\xff/below", e1, norm.NFD.String(e1), "is-a-folder-there", "is-a-file-there/x", "last"} {
		write(t, filepath.Join(src, name), []byte(name))
	}
	for link, target := range map[string]string{"link": outside, "dirlink": filepath.Dir(outside), "broken": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(src, link)); err != nil {
			t.Fatal(err)
		}
	}
	mkfifo(t, filepath.Join(src, "fifo"))

	rec := newRecord()
	sum, err := (&Transfer{Client: c, Progress: rec}).PutTree(t.Context(), []Pair{{src, "/up"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{
		"link": ErrSkipped, "dirlink": ErrSkipped, "broken": ErrSkipped, "fifo": ErrSkipped,
		"raw\xff": ErrNotUTF8, "dir\xff": ErrNotUTF8, "is-a-folder-there": ErrInTheWay, "is-a-file-there": ErrInTheWay,
		"good": nil, "last": nil,
	} {
		if got := rec.errs["/up/"+name]; !errors.Is(got, want) {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	if !HasStatus(rec.errs["/up/bad\\name"], http.StatusBadRequest) {
		t.Errorf("refused name: %v", rec.errs["/up/bad\\name"])
	}
	// The two spellings of one name: one goes over, and the other does not write over it.
	same := 0
	for _, name := range []string{e1, norm.NFD.String(e1)} {
		if errors.Is(rec.errs["/up/"+name], ErrSameName) {
			same++
		}
	}
	if same != 1 {
		t.Errorf("%d of the two spellings were refused, want 1", same)
	}
	if sum.Files != 3 || sum.Skipped != 4 || sum.Failed != 6 {
		t.Errorf("%+v", sum)
	}
	for _, p := range []string{"/up/link", "/up/dirlink", "/up/dirlink/secret"} {
		if s.Get(p) != nil {
			t.Errorf("a link was followed to %s", p)
		}
	}
}

// A named link is followed, as cp does; those inside are not.
func TestPutTreeFollowsWhatIsNamed(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "real", "f"), []byte("f"))
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	rec := newRecord()
	sum, err := (&Transfer{Client: c, Progress: rec}).PutTree(t.Context(), []Pair{{filepath.Join(dir, "link"), "/l"}, {filepath.Join(dir, "none"), "/none"}})
	if err != nil || sum.Files != 1 || s.Get("/l/f") == nil || !errors.Is(rec.errs["/none"], os.ErrNotExist) {
		t.Errorf("%+v, %v, %v", sum, err, rec.errs)
	}
}

// Many named files ask for their folder once.
func TestPutTreeOfManyNames(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	dir := t.TempDir()
	var pairs []Pair
	for i := range 20 {
		name := fmt.Sprintf("f%d", i)
		write(t, filepath.Join(dir, name), []byte(name))
		pairs = append(pairs, Pair{filepath.Join(dir, name), "/d/" + name})
	}
	for round, want := range []Summary{{Files: 20, Bytes: 50}, {Unchanged: 20}} {
		sum, err := (&Transfer{Client: c}).PutTree(t.Context(), pairs)
		if err != nil || sum != want {
			t.Errorf("round %d: %+v, %v; want %+v", round, sum, err, want)
		}
	}
	if n, m := s.Calls("GET /stat"), s.Calls("GET /files?path=/d"); n != 0 || m != 2 {
		t.Errorf("%d stats and %d listings, want 0 and 2", n, m)
	}
}

// One server's end ends the transfer, instead of a wait for every file.
func TestPutTreeWithoutAServer(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	src := t.TempDir()
	data := random(t, smallFile+1)
	for i := range 40 {
		write(t, filepath.Join(src, fmt.Sprint(i)), data)
	}
	var puts atomic.Int32
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if isPut(r) && puts.Add(1) > 10 {
			hangUp(w, r)
			return true
		}
		return false
	})
	sum, err := (&Transfer{Client: c, Parallel: 4}).PutTree(t.Context(), []Pair{{src, "/d"}})
	if !IsUnavailable(err) || sum.Files != 10 || sum.Failed < 4 || sum.Failed > 8 {
		t.Errorf("%+v, %v", sum, err)
	}
	// It comes back, and what is missing goes over.
	s.Intercept(nil)
	sum, err = (&Transfer{Client: c, Parallel: 4}).PutTree(t.Context(), []Pair{{src, "/d"}})
	if err != nil || sum.Files != 30 || sum.Unchanged != 10 {
		t.Errorf("afterwards: %+v, %v", sum, err)
	}
}

func TestPutTreeCancelled(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	src := t.TempDir()
	data := random(t, smallFile+1)
	for i := range 40 {
		write(t, filepath.Join(src, fmt.Sprint(i)), data)
	}
	ctx, cancel := context.WithCancel(t.Context())
	rec := newRecord()
	s.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if isPut(r) && s.Calls("PUT /uploads/content") >= 10 {
			cancel()
		}
		return false
	})
	sum, err := (&Transfer{Client: c, Progress: rec}).PutTree(ctx, []Pair{{src, "/d"}})
	if !errors.Is(err, context.Canceled) || sum.Failed != 0 || sum.Files >= 40 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// The server's digest is compared with what was sent.
func TestPutTreeNoticesOtherBytes(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	src := t.TempDir()
	write(t, filepath.Join(src, "small"), []byte("right"))
	write(t, filepath.Join(src, "large"), random(t, 2<<20))
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !isPut(r) {
			return false
		}
		size := r.ContentLength
		p := r.URL.Query().Get("path")
		s.Put(p, []byte(strings.Repeat("w", int(size))), time.Now())
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"n","path":%q,"kind":"file","size":%d,"digest":%q,"etag":"e"}`, p, size, clienttest.Digest(s.Get(p).Data))
		return true
	})
	rec := newRecord()
	sum, err := (&Transfer{Client: c, Progress: rec}).PutTree(t.Context(), []Pair{{src, "/d"}})
	if err != nil || sum.Failed != 2 || !errors.Is(rec.errs["/d/small"], ErrDigest) || !errors.Is(rec.errs["/d/large"], ErrDigest) {
		t.Errorf("%+v, %v, %v", sum, err, rec.errs)
	}
}
