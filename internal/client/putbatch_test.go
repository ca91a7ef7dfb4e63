package client

import (
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

const toBatch = "POST /uploads/batch"

func isBatch(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/uploads/batch") }

// Many small files go in few requests, each to its place, with its time and its bytes.
func TestManySmallFiles(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	src := t.TempDir()
	when := time.Date(2021, 3, 4, 5, 6, 7, 89, time.UTC)
	for i := range 450 {
		name := filepath.Join(src, fmt.Sprintf("d%d", i%7), strings.Repeat("long ", i%40)+fmt.Sprint(i))
		write(t, name, []byte(strings.Repeat("x", i)))
		if err := os.Chtimes(name, when, when); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 12 {
		write(t, filepath.Join(src, "mib", fmt.Sprint(i)), random(t, smallFile))
	}
	var moved atomic.Int64
	rec := newRecord()
	rec.advance = func(_ *Item, n int64) { moved.Add(n) }
	sum, err := (&Transfer{Client: c, Progress: rec}).PutTree(t.Context(), []Pair{{src, "/many"}})
	if err != nil || sum.Files != 462 || sum.Failed != 0 || moved.Load() != sum.Bytes {
		t.Fatalf("%+v, %v, told of %d bytes", sum, err, moved.Load())
	}
	// 450 files by their number, 12 MiB by their bytes.
	if n, m := s.Calls(toBatch), s.Calls("PUT /uploads/content"); n < 4 || n > 5 || m != 0 {
		t.Errorf("%d batches and %d single files, want 4 or 5 and none", n, m)
	}
	for p, want := range tree(t, src) {
		if strings.HasSuffix(p, "/") {
			continue
		}
		f := s.Get("/many/" + p)
		if f == nil || string(f.Data) != want {
			t.Fatalf("%s did not arrive as it is", p)
		}
		if !strings.HasPrefix(p, "mib/") && !f.Modified.Equal(when) {
			t.Errorf("%s has the time %v", p, f.Modified)
		}
	}
}

// What a batch does not settle goes file by file, and what it refuses is refused.
func TestBatchAnswers(t *testing.T) {
	const files = 10
	rows := []struct {
		name   string
		answer http.HandlerFunc
		// sent, failed and single are the files that arrive, that fail, and that go by themselves.
		sent, failed, single int
		status               int
	}{
		{"no such route", func(w http.ResponseWriter, _ *http.Request) {
			clienttest.Problem(w, http.StatusNotFound, "no_route")
		}, files, 0, files, 0},
		{"too large for this server", func(w http.ResponseWriter, _ *http.Request) {
			clienttest.Problem(w, http.StatusRequestEntityTooLarge, "too_large")
		}, files, 0, files, 0},
		{"fewer results than files", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"results":[]}`)
		}, files, 0, files, 0},
		{"a busy moment and a refusal", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"results":[{"status":503,"code":"busy"},{"status":507,"code":"over_quota"},{"status":413,"code":"too_large"},
				{"status":409,"code":"is_folder","title":"A folder is there."}]}`)
		}, files - 1, 1, files - 1, http.StatusConflict},
		{"other bytes", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"results":[{"status":201,"node":{"id":"n","size":1,"digest":"00"}},{"status":201}]}`)
		}, files - 2, 2, files - 2, 0},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			s := clienttest.New(t)
			c := signedIn(t, s)
			src := t.TempDir()
			for i := range files {
				write(t, filepath.Join(src, fmt.Sprint(i)), []byte("x"))
			}
			s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !isBatch(r) {
					return false
				}
				_, _ = io.Copy(io.Discard, r.Body)
				row.answer(w, r)
				return true
			})
			rec := newRecord()
			sum, err := (&Transfer{Client: c, Progress: rec}).PutTree(t.Context(), []Pair{{src, "/d"}})
			if err != nil || sum.Files != int64(row.sent) || sum.Failed != int64(row.failed) {
				t.Errorf("%+v, %v, %v", sum, err, rec.errs)
			}
			if n := s.Calls("PUT /uploads/content"); n != row.single {
				t.Errorf("%d single files, want %d", n, row.single)
			}
			if row.status != 0 && !HasStatus(rec.errs["/d/3"], row.status) {
				t.Errorf("refused with %v", rec.errs["/d/3"])
			}
		})
	}
}

// A batch whose answer was lost goes again and makes no second versions (C6); its progress is counted once.
func TestBatchWithALostAnswer(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	src := t.TempDir()
	for i := range 50 {
		write(t, filepath.Join(src, fmt.Sprint(i)), random(t, 1000))
	}
	s.Intercept(first(1, isBatch, func(w http.ResponseWriter, r *http.Request) {
		// The server does it, and the answer is lost.
		again, err := http.NewRequestWithContext(r.Context(), r.Method, s.URL+r.URL.String(), r.Body)
		if err == nil {
			again.Header = r.Header.Clone()
			var resp *http.Response
			if resp, err = http.DefaultClient.Do(again); err == nil {
				resp.Body.Close()
			}
		}
		if err != nil {
			t.Error(err)
		}
		hangUp(w, r)
	}))
	var moved atomic.Int64
	rec := newRecord()
	rec.advance = func(_ *Item, n int64) { moved.Add(n) }
	sum, err := (&Transfer{Client: c, Progress: rec}).PutTree(t.Context(), []Pair{{src, "/d"}})
	if err != nil || sum.Files != 50 || moved.Load() != 50_000 || s.Calls(toBatch) != 3 {
		t.Errorf("%+v, %v, told of %d bytes, %d batches", sum, err, moved.Load(), s.Calls(toBatch))
	}
	for i := range 50 {
		if f := s.Get(fmt.Sprintf("/d/%d", i)); f == nil || f.Version != 1 {
			t.Fatalf("file %d: %+v, want one version", i, f)
		}
	}
}

// A server that is gone ends the transfer; it is not asked again for every file.
func TestBatchWithoutAServer(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	src := t.TempDir()
	for i := range 500 {
		write(t, filepath.Join(src, fmt.Sprint(i)), []byte("x"))
	}
	s.Intercept(first(1000, isBatch, hangUp))
	sum, err := (&Transfer{Client: c}).PutTree(t.Context(), []Pair{{src, "/d"}})
	if !IsUnavailable(err) || sum.Files != 0 || s.Calls("PUT /uploads/content") != 0 {
		t.Errorf("%+v, %v, %d single files", sum, err, s.Calls("PUT /uploads/content"))
	}
}

// A file that grows after its folder was read goes by itself; one that is gone fails alone.
func TestBatchOfFilesThatChange(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	src := t.TempDir()
	tr := &Transfer{Client: c, Parallel: 1, Progress: newRecord()}
	rec := tr.Progress.(*record)
	grown, gone := filepath.Join(src, "grown"), filepath.Join(src, "gone")
	for _, name := range []string{"a", "grown", "gone", "z"} {
		write(t, filepath.Join(src, name), []byte("x"))
	}
	_, err := tr.start(t.Context(), 4, func(ctx context.Context, r *run) {
		for _, name := range []string{"a", "grown", "gone", "z"} {
			local := filepath.Join(src, name)
			r.file(ctx, &source{&Item{Local: local, Remote: "/d/" + name, Size: 1}, func() (*os.File, error) { return os.Open(local) }, nil})
		}
		write(t, grown, random(t, smallFile+5))
		if err := os.Remove(gone); err != nil {
			t.Error(err)
		}
		r.flush(ctx)
	})
	if err != nil || !errors.Is(rec.errs["/d/gone"], os.ErrNotExist) {
		t.Errorf("%v, %v", err, rec.errs)
	}
	for name, size := range map[string]int{"a": 1, "z": 1, "grown": smallFile + 5} {
		if f := s.Get("/d/" + name); f == nil || len(f.Data) != size {
			t.Errorf("%s did not arrive as it is", name)
		}
	}
}
