package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/mem"
	"github.com/livil/gopan/internal/errs"
)

// watched is a store whose readers tell what is read of them, and can be held up.
type watched struct {
	*mem.Store
	// stop, if set, holds up a read at this offset until the context ends.
	stop int64

	mu    sync.Mutex
	moved *sync.Cond
	read  int64 // bytes
	seeks int
	most  int64 // the furthest byte that was read
	holds int   // reads that are held up
}

func newWatched() *watched {
	w := &watched{Store: new(mem.Store), stop: -1}
	w.moved = sync.NewCond(&w.mu)
	return w
}

// Open implements blob.Opener.
func (w *watched) Open(ctx context.Context, ref blob.Ref) (blob.Reader, []blob.Sum, error) {
	r, sums, err := w.Store.Open(ctx, ref)
	return &watchedReader{Reader: r, w: w, ctx: ctx}, sums, err
}

// until waits for a condition on what was read.
func (w *watched) until(is func() bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !is() {
		w.moved.Wait()
	}
}

type watchedReader struct {
	blob.Reader
	w   *watched
	ctx context.Context
	pos int64
}

func (r *watchedReader) Read(p []byte) (int, error) {
	if r.pos == r.w.stop {
		r.w.mu.Lock()
		r.w.holds++
		r.w.moved.Broadcast()
		r.w.mu.Unlock()
		<-r.ctx.Done()
		return 0, r.ctx.Err()
	}
	n, err := r.Reader.Read(p[:min(len(p), 1<<20)])
	r.pos += int64(n)
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.read += int64(n)
	r.w.most = max(r.w.most, r.pos)
	r.w.moved.Broadcast()
	return n, err
}

func (r *watchedReader) Seek(off int64, whence int) (int64, error) {
	r.w.mu.Lock()
	r.w.seeks++
	r.w.mu.Unlock()
	n, err := r.Reader.Seek(off, whence)
	r.pos = n
	return n, err
}

func store(t *testing.T, s blob.Store, data []byte) blob.Ref {
	t.Helper()
	ref, err := blob.Write(t.Context(), s, bytes.NewReader(data), blob.Want{Size: -1, Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func open(t *testing.T, v *blob.Verifier, ref blob.Ref) blob.Reader {
	t.Helper()
	r, err := v.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each byte of a store is read once and in order, and the next blocks while one is being sent: two of them, no more.
func TestReadAhead(t *testing.T) {
	const b = blob.BlockSize
	w := newWatched()
	data := blobtest.Bytes(1, 7*b+5)
	ref := store(t, w, data)
	r := open(t, &blob.Verifier{Store: w}, ref)
	got := make([]byte, b+1) // the first block, and a byte of the second
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	w.until(func() bool { return w.most == 4*b }) // nobody asked for the third and the fourth
	rest, err := io.ReadAll(r)
	if got = append(got, rest...); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if w.read != ref.Size || w.seeks != 0 {
		t.Errorf("%d bytes of %d were read, with %d seeks", w.read, ref.Size, w.seeks)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// A part of one block costs that block alone.
func TestNoReadAheadForLittle(t *testing.T) {
	w := newWatched()
	ref := store(t, w, blobtest.Bytes(2, 4*blob.BlockSize))
	r := open(t, &blob.Verifier{Store: w}, ref)
	if _, err := r.ReadAt(make([]byte, 10), blob.BlockSize+3); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil { // it would wait for what is under way
		t.Fatal(err)
	}
	if w.read != blob.BlockSize {
		t.Errorf("%d bytes were read", w.read)
	}
}

// Nothing is read beyond where the reader's user means to stop; who goes on all the same gets what is there.
func TestReadAheadStops(t *testing.T) {
	const b = blob.BlockSize
	w := newWatched()
	data := blobtest.Bytes(6, 9*b)
	r := open(t, &blob.Verifier{Store: w}, store(t, w, data))
	blob.Until(r, 4*b-10)
	got := make([]byte, 4*b-10)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	if w.most != 4*b {
		t.Errorf("%d bytes were read, want %d", w.most, 4*b)
	}
	rest, err := io.ReadAll(r)
	if got = append(got, rest...); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if w.seeks != 0 || w.read != 9*b {
		t.Errorf("%d bytes were read, with %d seeks", w.read, w.seeks)
	}
}

// F26: when the caller goes away, reads that wait for a store end, and nothing of them is left.
func TestReadAheadEnds(t *testing.T) {
	const b = blob.BlockSize
	w := newWatched()
	w.stop = 2 * b
	ref := store(t, w, blobtest.Bytes(3, 5*b))
	v := &blob.Verifier{Store: w}
	before := runtime.NumGoroutine()
	for range 40 { // more than there is room for at once
		r := open(t, v, ref)
		w.mu.Lock()
		w.holds = 0
		w.mu.Unlock()
		if _, err := io.ReadFull(r, make([]byte, b+1)); err != nil {
			t.Fatal(err)
		}
		w.until(func() bool { return w.holds == 1 })
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for runtime.NumGoroutine() > before {
		runtime.Gosched() // Close returns when a block is done; its goroutine may be about to end
	}
	// The same by the context.
	ctx, cancel := context.WithCancel(t.Context())
	r, err := v.Open(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		w.until(func() bool { return w.holds == 2 })
		cancel()
	}()
	if _, err := io.ReadAll(r); !errs.Is(errs.Canceled, err) {
		t.Errorf("read: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// A1: all readers together read no more ahead than there is room for; who finds none reads all the same.
func TestReadAheadIsBounded(t *testing.T) {
	const b, readers = blob.BlockSize, 20
	w := newWatched()
	data := blobtest.Bytes(4, 5*b)
	ref := store(t, w, data)
	v := &blob.Verifier{Store: w}
	var all []blob.Reader
	for range readers {
		r := open(t, v, ref)
		all = append(all, r)
		if _, err := io.ReadFull(r, make([]byte, b+1)); err != nil {
			t.Fatal(err)
		}
	}
	const most = readers*2*b + 16*b
	w.until(func() bool { return w.read >= most })
	for i, r := range all {
		rest, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(rest, data[b+1:]) {
			t.Errorf("reader %d: %d bytes, %v", i, len(rest), err)
		}
		if i == 0 {
			// The first gave its room back, and nobody else asked for it.
			w.mu.Lock()
			if w.read > most+b {
				t.Errorf("%d blocks read", w.read/b)
			}
			w.mu.Unlock()
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// D6: blocks from a store that is no local disk are checked at every read, and no byte of a bad one comes out, nor any
// after it.
func TestRemoteIsAlwaysChecked(t *testing.T) {
	const b = blob.BlockSize
	s := new(mem.Store)
	for _, size := range []int64{1, b, 6*b + 9} {
		data := blobtest.Bytes(size, size)
		ref := store(t, s, data)
		v := &blob.Verifier{Store: s}
		for range 2 {
			r := open(t, v, ref)
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		bad := (size - 1) / b
		s.Damage(ref.Digest, bad*b)
		r := open(t, v, ref)
		got, err := io.ReadAll(r)
		if !errs.Is(errs.Corrupt, err) || !bytes.Equal(got, data[:bad*b]) {
			t.Errorf("%d bytes, damaged in block %d: %d came, %v", size, bad, len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// However a blob is read, the bytes are its bytes.
func TestReadsLikeBytes(t *testing.T) {
	data := blobtest.Bytes(5, 6*blob.BlockSize+77)
	s := new(mem.Store)
	ref := store(t, s, data)
	v := &blob.Verifier{Store: s}
	rapid.Check(t, func(t *rapid.T) {
		r, err := v.Open(context.Background(), ref)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		model := bytes.NewReader(data)
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			n := slices.Max([]int{1, rapid.IntRange(0, 5<<20).Draw(t, "n")})
			off := rapid.Int64Range(0, ref.Size).Draw(t, "off")
			a, b := make([]byte, n), make([]byte, n)
			switch rapid.IntRange(0, 3).Draw(t, "how") {
			case 0:
				_, ea := r.Seek(off, io.SeekStart)
				_, eb := model.Seek(off, io.SeekStart)
				if ea != nil || eb != nil {
					t.Fatal(ea, eb)
				}
			case 1:
				na, ea := r.ReadAt(a, off)
				nb, eb := model.ReadAt(b, off)
				if na != nb || !errors.Is(ea, eb) || !bytes.Equal(a, b) {
					t.Fatalf("ReadAt %d of %d: %d %v, want %d %v", n, off, na, ea, nb, eb)
				}
			default:
				na, ea := io.ReadFull(r, a)
				nb, eb := io.ReadFull(model, b)
				if na != nb || !errors.Is(ea, eb) || !bytes.Equal(a, b) {
					t.Fatalf("Read %d: %d %v, want %d %v", n, na, ea, nb, eb)
				}
			}
		}
	})
}
