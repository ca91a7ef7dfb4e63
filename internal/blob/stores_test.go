package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/mem"
	"github.com/livil/gopan/internal/errs"
)

// far is a store whose readers ask it anew for every piece, as those of an object store do; it counts how often it is
// asked for a blob, and can be down.
type far struct {
	mem.Store
	opened atomic.Int64
	down   atomic.Bool
}

func (f *far) Open(ctx context.Context, ref blob.Ref) (blob.Reader, []blob.Sum, error) {
	f.opened.Add(1)
	if f.down.Load() {
		return nil, nil, errs.E(errs.Busy, "far.Open")
	}
	r, sums, err := f.Store.Open(ctx, ref)
	return &farReader{r, f, ref}, sums, err
}

type farReader struct {
	blob.Reader
	store *far
	ref   blob.Ref
}

func (r *farReader) Read(p []byte) (int, error) {
	if _, _, err := r.store.Store.Open(context.Background(), r.ref); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

func (r *farReader) ReadAt(p []byte, off int64) (int, error) {
	if _, _, err := r.store.Store.Open(context.Background(), r.ref); err != nil {
		return 0, err
	}
	return r.Reader.ReadAt(p, off)
}

func put(t *testing.T, s blob.Store, data []byte) blob.Ref {
	t.Helper()
	ref, err := blob.Write(t.Context(), s, bytes.NewReader(data), blob.Want{Size: -1, Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func twoStores() (a, b *far, s *blob.Stores) {
	a, b = new(far), new(far)
	return a, b, &blob.Stores{All: []blob.Named{{Name: "a", Stager: a}, {Name: "b", Stager: b}}}
}

// forever is later than every put.
var forever = time.Unix(math.MaxInt32, 0)

// New content goes where the first rule that fits says.
func TestRules(t *testing.T) {
	_, _, s := twoStores()
	s.All = append(s.All, blob.Named{Name: "c", Stager: new(far)})
	s.Rules = []blob.Rule{{Drive: 7, MinSize: 10, Store: "b"}, {MinSize: 100, Store: "c"}, {Drive: 8, Store: "b"}}
	for _, c := range []struct {
		drive, size int64
		want        string
	}{
		{1, 0, "a"}, {1, 99, "a"}, {1, 100, "c"}, {1, -1, "c"}, {7, 9, "a"}, {7, 10, "b"}, {7, 1000, "b"}, {7, -1, "b"},
		{8, 0, "b"}, {8, 100, "c"},
	} {
		if got := s.For(c.drive, c.size).Name; got != c.want {
			t.Errorf("drive %d, size %d: %s, want %s", c.drive, c.size, got, c.want)
		}
	}
}

// A blob is found wherever it is, and where it was found it is looked for first.
func TestFound(t *testing.T) {
	a, b, s := twoStores()
	ref := put(t, b, []byte("hello"))
	for range 3 {
		r, _, err := s.Open(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != "hello" {
			t.Errorf("%q, %v", got, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if a.opened.Load() != 1 || b.opened.Load() != 3 {
		t.Errorf("asked the first store %d times, the second %d times", a.opened.Load(), b.opened.Load())
	}
}

// F30: only when every store has said so is a blob not there.
func TestNotFound(t *testing.T) {
	a, b, s := twoStores()
	ref := put(t, b, []byte("hello"))
	b.down.Store(true)
	if _, _, err := s.Open(t.Context(), ref); !errs.Is(errs.Busy, err) {
		t.Errorf("a store is down: %v, want Busy", err)
	}
	b.down.Store(false)
	a.down.Store(true)
	if r, _, err := s.Open(t.Context(), ref); err != nil {
		t.Errorf("the other store is down: %v", err)
	} else if err := r.Close(); err != nil {
		t.Error(err)
	}
	a.down.Store(false)
	if _, err := b.Delete(t.Context(), ref.Digest, forever); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Open(t.Context(), ref); !errs.Is(errs.NotFound, err) {
		t.Errorf("nowhere: %v, want NotFound", err)
	}
}

// A reader goes on where it was when its blob moves, by Read, by ReadAt and after Seek.
func TestReaderFollows(t *testing.T) {
	a, b, s := twoStores()
	data := blobtest.Bytes(1, blob.BlockSize+1000)
	ref := put(t, a, data)
	r, _, err := s.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	move := func(from, to *far) {
		t.Helper()
		put(t, to, data)
		if gone, err := from.Delete(t.Context(), ref.Digest, forever); err != nil || !gone {
			t.Fatal(gone, err)
		}
	}
	head := make([]byte, 1000)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	move(a, b)
	next := make([]byte, 1000)
	if _, err := io.ReadFull(r, next); err != nil || !bytes.Equal(append(head, next...), data[:2000]) {
		t.Fatalf("after the move: %v", err)
	}
	move(b, a)
	if _, err := r.ReadAt(next, 5000); err != nil || !bytes.Equal(next, data[5000:6000]) {
		t.Fatalf("at a place: %v", err)
	}
	if _, err := r.Seek(-1000, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	move(a, b)
	if rest, err := io.ReadAll(r); err != nil || !bytes.Equal(rest, data[blob.BlockSize:]) {
		t.Fatalf("to the end: %v", err)
	}
	if _, err := b.Delete(t.Context(), ref.Digest, forever); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(next, 0); !errs.Is(errs.NotFound, err) {
		t.Errorf("deleted for ever: %v", err)
	}
}

// Whoever opens and reads blobs that move to and fro always finds them.
func TestOpenWhileMoving(t *testing.T) {
	a, b, s := twoStores()
	data := blobtest.Bytes(2, 2000)
	ref := put(t, a, data)
	done := make(chan struct{})
	var readers sync.WaitGroup
	var finished [4]chan struct{} // a reader has been through; closed: it gave up
	for i := range finished {
		finished[i] = make(chan struct{}, 1)
		readers.Go(func() {
			defer close(finished[i])
			for {
				r, _, err := s.Open(t.Context(), ref)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(r)
				if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes, %v", len(got), err)
					return
				}
				select {
				case <-done:
					return
				case finished[i] <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 50 {
		for _, to := range []struct{ from, to *far }{{a, b}, {b, a}} {
			put(t, to.to, data)
			if _, err := to.from.Delete(t.Context(), ref.Digest, forever); err != nil {
				t.Error(err)
			}
			// Not so fast that the blob moves several times while one reader looks for it.
			for _, f := range finished {
				select {
				case <-f: // long ago
				default:
				}
				<-f
			}
		}
	}
	close(done)
	readers.Wait()
}
