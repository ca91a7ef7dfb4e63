package client

import (
	"bytes"
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

func TestDigest(t *testing.T) {
	for _, n := range []int{0, 1, BlockSize - 1, BlockSize, BlockSize + 1, 2*BlockSize + 5} {
		data := random(t, n)
		var d Digester
		// In pieces that fit no block.
		for piece := range bytes.SplitSeq(data, []byte{7}) {
			d.Write(piece)
		}
		got, size, err := DigestOf(bytes.NewReader(data))
		if err != nil || size != int64(n) || got != clienttest.Digest(data) {
			t.Errorf("%d bytes: %s, %d, %v; want %s", n, got, size, err, clienttest.Digest(data))
		}
	}
	if got, _, _ := DigestOf(strings.NewReader("")); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("of nothing: %s", got)
	}
	// Independent of this package: printf abc | rclone hashsum dropbox -
	if got, _, _ := DigestOf(strings.NewReader("abc")); got != "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358" {
		t.Errorf("of abc: %s", got)
	}
}

// An answer that was lost does not make a second version.
func TestPutWithALostAnswer(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	var keys []string
	var lost atomic.Bool
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !isPut(r) {
			return false
		}
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if lost.Swap(true) {
			return false
		}
		// The server does it, and the answer is lost.
		if data, err := io.ReadAll(r.Body); err == nil {
			s.Put("/a", data, time.Now())
		}
		hangUp(w, r)
		return true
	})
	if _, err := c.Put(t.Context(), "/a", Bytes([]byte("hello")), PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] {
		t.Errorf("keys %q, want one key twice", keys)
	}
	if _, err := c.Put(t.Context(), "/a", Bytes([]byte("hello")), PutOptions{}); err != nil || keys[2] == keys[1] {
		t.Errorf("another Put has the same key %q, %v", keys, err)
	}
}

func TestPutOfAStream(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	data := random(t, 3<<20)
	n, err := c.Put(t.Context(), "/x/y", Reader(bytes.NewReader(data), -1), PutOptions{Parents: true})
	if err != nil || n.Digest != clienttest.Digest(data) || n.Path != "/x/y" {
		t.Fatalf("%+v, %v", n, err)
	}
	// What was read once cannot be sent again; that must not become an empty file.
	s.Intercept(first(1, isPut, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 10))
		hangUp(w, r)
	}))
	_, err = c.Put(t.Context(), "/x/y", Reader(bytes.NewReader(random(t, 3<<20)), -1), PutOptions{})
	var ne *NetworkError
	if !errors.As(err, &ne) || ne.Tries != 1 || s.Calls("PUT /uploads/content") != 2 {
		t.Errorf("got %v after %d PUTs", err, s.Calls("PUT /uploads/content"))
	}
	if got := s.Get("/x/y"); !bytes.Equal(got.Data, data) {
		t.Error("the file changed")
	}
}

func TestNamesThatAreNotText(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	_, e1 := c.Put(t.Context(), "/caf\xe9", Bytes(nil), PutOptions{})
	_, e2 := c.Mkdir(t.Context(), "/caf\xe9", true)
	_, e3 := c.Rename(t.Context(), "root", "", "caf\xe9")
	for _, err := range []error{e1, e2, e3} {
		if !errors.Is(err, ErrNotUTF8) {
			t.Errorf("got %v, want ErrNotUTF8", err)
		}
	}
}

// cutting serves content and cuts each answer after limit bytes.
func cutting(s *clienttest.Server, limit int, ranges *[]string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/api/v1/content") {
			return false
		}
		*ranges = append(*ranges, r.Header.Get("Range")+" "+r.Header.Get("If-Range"))
		f := s.Get("/big")
		w.Header().Set("ETag", fmt.Sprintf(`"%s.%d"`, f.ID, f.Version))
		http.ServeContent(&cutWriter{ResponseWriter: w, left: limit}, r, "", time.Time{}, bytes.NewReader(f.Data))
		return true
	}
}

type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(p []byte) (int, error) {
	if len(p) >= c.left {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func TestDownloadGoesOnAfterACut(t *testing.T) {
	s := clienttest.New(t)
	data := random(t, 1<<20)
	s.Put("/big", data, time.Now())
	c := signedIn(t, s)
	var ranges []string
	s.Intercept(cutting(s, 300_000, &ranges))
	d, err := c.Get(t.Context(), ByPath("/big"), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got, err := io.ReadAll(d)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	want := []string{" ", `bytes=300000- "n1.1"`, `bytes=600000- "n1.1"`, `bytes=900000- "n1.1"`}
	if fmt.Sprint(ranges) != fmt.Sprint(want) {
		t.Errorf("asked for %q, want %q", ranges, want)
	}
}

func TestDownloadOfAFileThatIsReplaced(t *testing.T) {
	s := clienttest.New(t)
	s.Put("/big", random(t, 1<<20), time.Now())
	c := signedIn(t, s)
	var ranges []string
	s.Intercept(cutting(s, 300_000, &ranges))
	d, err := c.Get(t.Context(), ByPath("/big"), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s.Put("/big", random(t, 1<<20), time.Now())
	if got, err := io.ReadAll(d); !errors.Is(err, ErrChanged) || len(got) != 300_000 {
		t.Errorf("%d bytes, %v; want ErrChanged after the first piece", len(got), err)
	}
}

func TestDownloadGivesUp(t *testing.T) {
	s := clienttest.New(t)
	s.Put("/big", random(t, 1<<20), time.Now())
	c := signedIn(t, s)
	var ranges []string
	s.Intercept(cutting(s, 300_000, &ranges))
	d, err := c.Get(t.Context(), ByPath("/big"), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s.Close()
	_, err = io.ReadAll(d)
	var ne *NetworkError
	if !errors.As(err, &ne) {
		t.Errorf("got %v, want a NetworkError", err)
	}
}

func TestGetFromAnOffset(t *testing.T) {
	s := clienttest.New(t)
	s.Put("/f", []byte("0123456789"), time.Now())
	c := signedIn(t, s)
	for _, row := range []struct {
		offset int64
		etag   string
		want   string
	}{{0, "", "0123456789"}, {4, "", "456789"}, {4, `"n1.1"`, "456789"}, {4, `"other"`, "0123456789"}} {
		d, err := c.Get(t.Context(), ByID("n1"), row.offset, row.etag)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(d)
		d.Close()
		if string(got) != row.want || err != nil || d.Size != 10 || d.Offset != int64(10-len(row.want)) {
			t.Errorf("offset %d, etag %s: %q from %d of %d, %v", row.offset, row.etag, got, d.Offset, d.Size, err)
		}
	}
	if _, err := c.Get(t.Context(), ByPath("/none"), 0, ""); !IsNotFound(err) {
		t.Errorf("no such file: %v", err)
	}
}

func TestContentRange(t *testing.T) {
	for in, want := range map[string][2]int64{
		"bytes 5-9/10": {5, 10}, "bytes 0-0/1": {0, 1}, "bytes 5-9/*": {5, -1},
	} {
		start, total, ok := contentRange(in)
		if !ok || start != want[0] || total != want[1] {
			t.Errorf("contentRange(%q) = %d, %d, %v", in, start, total, ok)
		}
	}
	for _, in := range []string{"", "bytes", "bytes */10", "items 0-1/2", "bytes -1-2/3", "bytes 5-9/3", "bytes a-b/c"} {
		if _, _, ok := contentRange(in); ok {
			t.Errorf("contentRange(%q) is taken", in)
		}
	}
}

func TestListPages(t *testing.T) {
	s := clienttest.New(t)
	s.PageSize = 7
	for i := range 40 {
		s.Put(fmt.Sprintf("/d/f%02d", i), nil, time.Now())
	}
	c := signedIn(t, s)
	n := 0
	for node, err := range c.List(t.Context(), "/d") {
		if err != nil || node.Name != fmt.Sprintf("f%02d", n) {
			t.Fatalf("entry %d: %q, %v", n, node.Name, err)
		}
		n++
	}
	if n != 40 {
		t.Errorf("%d entries, want 40", n)
	}
	for _, err := range c.List(t.Context(), "/none") {
		if !IsNotFound(err) {
			t.Errorf("no such folder: %v", err)
		}
	}
}

func TestTrashWithALostAnswer(t *testing.T) {
	s := clienttest.New(t)
	s.Put("/f", nil, time.Now())
	c := signedIn(t, s)
	s.Intercept(first(1, func(r *http.Request) bool { return r.Method == http.MethodDelete }, hangUp))
	if err := c.Trash(t.Context(), "n1"); err != nil || s.Get("/f") != nil {
		t.Errorf("lost before it was done: %v", err)
	}
	if err := c.Trash(t.Context(), "n1"); !IsNotFound(err) {
		t.Errorf("again: %v, want not found", err)
	}
	// This one is lost after it was done.
	s.Intercept(first(1, func(r *http.Request) bool { return r.Method == http.MethodDelete }, hangUp))
	if err := c.Trash(t.Context(), "n1"); err != nil {
		t.Errorf("lost after it was done: %v", err)
	}
}

// A file that changes while it is sent must not become a file on the server, whatever its last bytes were.
func TestFileThatChangesWhileItIsSent(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, file string){
		"grows":   func(t *testing.T, f string) { appendTo(t, f, "more") },
		"shrinks": func(t *testing.T, f string) { truncate(t, f, 100) },
		"is rewritten": func(t *testing.T, f string) {
			write(t, f, random(t, 3<<20))
			later := time.Now().Add(time.Hour)
			if err := os.Chtimes(f, later, later); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := clienttest.New(t)
			c := signedIn(t, s)
			file := filepath.Join(t.TempDir(), "f")
			write(t, file, random(t, 3<<20))
			rec := newRecord()
			var once atomic.Bool
			rec.advance = func(*Item, int64) {
				if !once.Swap(true) {
					change(t, file)
				}
			}
			sum, err := (&Transfer{Client: c, Progress: rec}).PutTree(t.Context(), []Pair{{file, "/f"}})
			if err != nil || sum.Failed != 1 || !errors.Is(rec.errs["/f"], ErrChanged) {
				t.Errorf("%+v, %v, %v", sum, err, rec.errs)
			}
			if s.Get("/f") != nil {
				t.Error("it was uploaded")
			}
			if n := s.Calls("PUT /uploads/content"); n > 1 {
				t.Errorf("%d attempts, want one at most", n)
			}
		})
	}
}

func appendTo(t *testing.T, name, s string) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	if _, err := f.WriteString(s); err != nil {
		t.Error(err)
	}
}

func truncate(t *testing.T, name string, n int64) {
	if err := os.Truncate(name, n); err != nil {
		t.Error(err)
	}
}
