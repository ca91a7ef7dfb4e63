package client

import (
	"context"
	"crypto/rand"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/client/clienttest"
)

// signedIn is a client of a server, signed in, that does not wait between attempts.
func signedIn(t *testing.T, s *clienttest.Server) *Client {
	t.Helper()
	c := &Client{BaseURL: s.URL, Retry: Retry{Attempts: 4, Sleep: noSleep}}
	if _, err := c.Login(t.Context(), clienttest.Login, clienttest.Password); err != nil {
		t.Fatal(err)
	}
	return c
}

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// first answers the first n requests for which match holds by fn.
func first(n int, match func(*http.Request) bool, fn http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		mine := n > 0 && match(r)
		if mine {
			n--
		}
		mu.Unlock()
		if mine {
			fn(w, r)
		}
		return mine
	}
}

func isPut(r *http.Request) bool { return r.Method == http.MethodPut }

// hangUp cuts the connection without an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree reads all files below a folder, by their paths relative to it; folders end in a slash, and a link's content
// is where it points.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		switch {
		case e.IsDir():
			out[rel+"/"] = ""
			return nil
		case e.Type()&fs.ModeSymlink != 0:
			out[rel], err = os.Readlink(p)
			return err
		}
		data, err := os.ReadFile(p)
		out[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// record remembers a transfer's events.
type record struct {
	mu       sync.Mutex
	outcomes map[string]Outcome
	errs     map[string]error
	files    int64
	bytes    int64
	kept     int64
	planned  bool
	// advance, if set, hears of bytes that move.
	advance func(it *Item, n int64)
}

func newRecord() *record { return &record{outcomes: map[string]Outcome{}, errs: map[string]error{}} }

func (r *record) Plan(files, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files += files
	r.bytes += bytes
}

func (r *record) Planned() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.planned = true
}

func (r *record) Read(*Item)  {}
func (r *record) Start(*Item) {}

func (r *record) Advance(it *Item, n int64) {
	if r.advance != nil {
		r.advance(it, n)
	}
}

func (r *record) Kept(_ *Item, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept += n
}

func (r *record) Done(it *Item, o Outcome, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes[it.Remote] = o
	r.errs[it.Remote] = err
}
