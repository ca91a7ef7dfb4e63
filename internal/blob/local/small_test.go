package local

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/errs"
)

// later is a moment before which everything was put.
func later() time.Time { return time.Now().Add(time.Hour) }

// sql runs a statement on a store's database behind its back.
func sql(t *testing.T, s *Store, query string, values ...driver.Value) {
	t.Helper()
	c, err := s.small.connect()
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Conn.(driver.ExecerContext).ExecContext(t.Context(), query, args(values...))
	if err := errors.Join(err, c.close()); err != nil {
		t.Fatal(err)
	}
}

func mustPut(t testing.TB, s *Store, data []byte) blob.Ref {
	t.Helper()
	if err := put(s, data, nil)(t.Context()); err != nil {
		t.Fatal(err)
	}
	return blob.Ref{Digest: blobtest.DigestOf(data), Size: int64(len(data))}
}

// What is small is a row, also when nobody knew before; what is large is a file, which the kernel can send.
func TestWhereBlobsAre(t *testing.T) {
	s := open(t)
	for _, n := range []int64{0, 1, smallLimit, smallLimit + 1, 3 * smallLimit} {
		for _, size := range []int64{-1, n} {
			data := blobtest.Bytes(n, n)
			ref, err := blob.Write(t.Context(), s, bytes.NewReader(data), blob.Want{Size: size, Limit: -1})
			if err != nil {
				t.Fatal(err)
			}
			_, isRow, err := s.small.putAt(ref.Digest)
			if err != nil {
				t.Fatal(err)
			}
			_, err = os.Stat(filepath.Join(s.dir, name(ref.Digest)))
			if isFile := err == nil; isRow != (n <= smallLimit) || isFile != (n > smallLimit) {
				t.Errorf("%d bytes, announced as %d: row %v, file %v", n, size, isRow, isFile)
			}
			r, _, err := s.Open(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			if _, isFile := r.(*os.File); isFile != (n > smallLimit) {
				t.Errorf("%d bytes: the reader is a %T", n, r)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if gone, err := s.Delete(t.Context(), ref.Digest, later()); !gone || err != nil {
				t.Fatalf("Delete = %v, %v", gone, err)
			}
		}
	}
}

// While one group waits for the disk the next gathers.
func TestGathers(t *testing.T) {
	const writers = 100
	s := open(t)
	gate, began := make(chan struct{}), make(chan struct{})
	var once sync.Once
	groups := 0
	s.fault = func(op string) error {
		if op == "fsync" {
			groups++
			once.Do(func() { close(began); <-gate })
		}
		return nil
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.small.put(blob.Digest{255}, []byte("x")) })
	<-began
	for i := range int64(writers) {
		wg.Go(func() { _ = s.small.put(blob.Digest{byte(i)}, []byte("x")) })
	}
	for len(s.small.queue) < writers {
		runtime.Gosched()
	}
	close(gate)
	wg.Wait()
	if groups != 2 {
		t.Errorf("%d groups", groups)
	}
	n := 0
	if err := s.List(t.Context(), func(blob.Entry) error { n++; return nil }); err != nil || n != writers+1 {
		t.Errorf("%d blobs, %v", n, err)
	}
}

// F23, F24, D6: damage to a row is an error for those who read; putting the blob again mends it.
func TestDamagedRow(t *testing.T) {
	for what, query := range map[string]string{
		"first byte": "UPDATE blobs SET data = CAST(x'00' || substr(data, 2) AS BLOB)",
		"last byte":  "UPDATE blobs SET data = CAST(substr(data, 1, length(data) - 1) || x'00' AS BLOB)",
		"short":      "UPDATE blobs SET data = substr(data, 1, 99)",
		"long":       "UPDATE blobs SET data = CAST(data || x'00' AS BLOB)",
		"empty":      "UPDATE blobs SET data = x''",
		"text":       "UPDATE blobs SET data = 'text'",
		"missing":    "DELETE FROM blobs",
	} {
		t.Run(what, func(t *testing.T) {
			s := open(t)
			data := bytes.Repeat([]byte{7}, 100)
			ref := mustPut(t, s, data)
			v := &blob.Verifier{Store: s}
			if r, err := v.Open(t.Context(), ref); err != nil || r.Close() != nil {
				t.Fatal(err)
			}
			sql(t, s, query)
			if _, err := v.Open(t.Context(), ref); !errs.Is(errs.Corrupt, err) {
				t.Errorf("err = %v, want errs.Corrupt", err)
			}
			mustPut(t, s, data)
			wantBytes(t, s, ref, data)
		})
	}
}

// F23: pages of the database that are damaged on the disk give errors, and never wrong bytes.
func TestDamagedPages(t *testing.T) {
	s := open(t)
	blobs := make(map[blob.Ref][]byte)
	for i := range int64(50) {
		data := blobtest.Bytes(i, 3000)
		blobs[mustPut(t, s, data)] = data
	}
	if err := s.Close(); err != nil { // and the log is empty
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, smallFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 4096; at < len(whole); at += 4096 {
		damaged := bytes.Clone(whole)
		copy(damaged[at:], bytes.Repeat([]byte{0xa5}, 4096))
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(s.dir, testID)
		if err != nil {
			continue // damage that is seen at once
		}
		for ref, data := range blobs {
			r, err := (&blob.Verifier{Store: s}).Open(t.Context(), ref)
			if errs.Is(errs.Corrupt, err) {
				continue
			}
			var got bytes.Buffer
			if err == nil {
				_, err = got.ReadFrom(r)
			}
			if err != nil || !bytes.Equal(got.Bytes(), data) {
				t.Fatalf("page %d damaged: %v, %v", at/4096, ref, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Log(err) // it may well fail
		}
	}
}

// F14, F15: what the database says of a full disk, of one that may not be written to, and of another's lock.
func TestDatabaseRefuses(t *testing.T) {
	for _, c := range []struct {
		name, pragma string
		kind         errs.Kind
		code         errs.Code
	}{
		{"full", "PRAGMA max_page_count = 1", errs.OverQuota, "disk_full"},
		{"read-only", "PRAGMA query_only = 1", errs.Busy, "store_unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			// The group's own connection is the only one that the pragma holds for.
			first := true
			s.small.on = func(op string, fn func() error) error {
				if op == "begin" && first {
					first = false
					w := s.small.writer
					if _, err := w.Conn.(driver.ExecerContext).ExecContext(context.Background(), c.pragma, nil); err != nil {
						return err
					}
				}
				return fn()
			}
			data := blobtest.Bytes(1, smallLimit)
			if err := put(s, data, nil)(t.Context()); !errs.Is(c.kind, err) || errs.CodeOf(err) != c.code {
				t.Fatalf("err = %v, want %v %s", err, c.kind, c.code)
			}
			if first {
				t.Fatal("the pragma was not set")
			}
			ref := mustPut(t, s, data)
			wantBytes(t, s, ref, data)
		})
	}
}

// A store that an earlier release made, with every blob in a file, is taken over as it is.
func TestOldStore(t *testing.T) {
	s := open(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, again := blobtest.Bytes(1, 100), blobtest.Bytes(2, 100)
	ref, both := blob.Ref{Digest: blobtest.DigestOf(data), Size: 100}, blob.Ref{Digest: blobtest.DigestOf(again), Size: 100}
	if err := errors.Join(
		os.Remove(filepath.Join(s.dir, smallFile)),
		os.Remove(filepath.Join(s.dir, stageDir)),
		os.WriteFile(filepath.Join(s.dir, idFile), fmt.Appendf(nil, "{%q:%q}\n", "id", testID), 0o600),
		os.WriteFile(filepath.Join(s.dir, name(ref.Digest)), data, 0o600),
		os.WriteFile(filepath.Join(s.dir, name(both.Digest)), again, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s.dir)
	wantBytes(t, s, ref, data)
	mustPut(t, s, again)
	wantBytes(t, s, both, again)
	seen := make(map[blob.Ref]int)
	if err := s.List(t.Context(), func(e blob.Entry) error { seen[e.Ref]++; return nil }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 2 || seen[ref] != 1 || seen[both] != 1 {
		t.Errorf("listed %v", seen)
	}

	// D7: the younger of two counts, whichever it is.
	old := time.Now().Add(-10 * time.Hour)
	file := filepath.Join(s.dir, name(both.Digest))
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	wantKept := func(why string) {
		t.Helper()
		if gone, err := s.Delete(t.Context(), both.Digest, time.Now().Add(-time.Hour)); gone || err != nil {
			t.Fatalf("%s: Delete = %v, %v", why, gone, err)
		}
		if _, err := os.Stat(file); err != nil {
			t.Fatalf("%s: %v", why, err)
		}
	}
	wantKept("the row is young")
	sql(t, s, "UPDATE blobs SET put_at = ?", old.UnixNano())
	if err := os.Chtimes(file, time.Time{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	wantKept("the file is young")
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.List(t.Context(), func(e blob.Entry) error {
		if e.Ref == both && !e.PutAt.Equal(st.ModTime()) {
			t.Errorf("listed as put at %v, the younger of its two is of %v", e.PutAt, st.ModTime())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []blob.Ref{ref, both} {
		if gone, err := s.Delete(t.Context(), r.Digest, later()); !gone || err != nil {
			t.Fatalf("Delete = %v, %v", gone, err)
		}
		if _, _, err := s.Open(t.Context(), r); !errs.Is(errs.NotFound, err) {
			t.Errorf("Open after Delete = %v", err)
		}
	}
}

// D1: what was put is there after a process that never closed the store, for one that opens it later.
func TestNotClosed(t *testing.T) {
	s := open(t)
	data := blobtest.Bytes(1, 5000)
	ref := mustPut(t, s, data)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, reopen(t, copied), ref, data)
}

// A store that is closed says so, to those who wait too.
func TestClosed(t *testing.T) {
	s := open(t)
	if err := s.small.close(); err != nil {
		t.Fatal(err)
	}
	if err := put(s, []byte("x"), nil)(t.Context()); !errs.Is(errs.Busy, err) {
		t.Errorf("put = %v", err)
	}
	if _, _, err := s.Open(t.Context(), blob.Ref{Size: 1}); !errs.Is(errs.Busy, err) {
		t.Errorf("Open = %v", err)
	}
	if err := s.small.close(); err != nil {
		t.Errorf("close again = %v", err)
	}
}
