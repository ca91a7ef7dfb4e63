package object

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// nothing reads the blob of no bytes.
type nothing struct{ *bytes.Reader }

func (nothing) Close() error { return nil }

// whole reads a blob that is in memory.
type whole struct {
	*bytes.Reader
	release func()
}

// openWhole reads an object of n bytes, for which readMem was acquired.
func (s *Store) openWhole(ctx context.Context, key string, n int64) (blob.Reader, error) {
	buf := getBuffer(n)
	if err := s.fill(ctx, key, 0, *buf); err != nil {
		putBuffer(buf)
		s.readMem.Release(footprint(n))
		return nil, err
	}
	return &whole{bytes.NewReader(*buf), sync.OnceFunc(func() {
		putBuffer(buf)
		s.readMem.Release(footprint(n))
	})}, nil
}

// Close gives the memory back; reads after it find nothing.
func (w *whole) Close() error {
	w.Reset(nil)
	w.release()
	return nil
}

// reader reads a blob from its object. Read is served by parts that are fetched ahead; each ReadAt is a request of its
// own, and many may be under way: the Verifier, which reads by them, looks ahead by itself.
type reader struct {
	s      *Store
	ctx    context.Context
	cancel context.CancelFunc
	key    string
	size   int64
	pos    int64 // of Read; one goroutine reads and seeks

	mu    sync.Mutex
	until int64  // see blob.Bounded
	ahead *ahead // nil: none
}

func newReader(ctx context.Context, s *Store, key string, size int64) *reader {
	ctx, cancel := context.WithCancel(ctx)
	return &reader{s: s, ctx: ctx, cancel: cancel, key: key, size: size, until: size}
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.pos >= r.size {
		return 0, io.EOF
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := r.follow(p, r.pos)
	r.pos += int64(n)
	return n, err
}

// ReadAt implements io.ReaderAt.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errs.E(errs.Invalid, "object.ReadAt", "negative position")
	}
	n := min(int64(len(p)), max(r.size-off, 0))
	if n == 0 {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	if err := r.s.fill(r.ctx, r.key, off, p[:n]); err != nil {
		return 0, err
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// follow reads from the parts ahead, which begin anew where they were not going. The caller holds mu.
func (r *reader) follow(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.ahead == nil || r.ahead.pos != off || off == r.ahead.stopAt {
		if r.ahead != nil {
			r.ahead.stop()
		}
		stopAt := r.size
		if off < r.until {
			stopAt = r.until
		}
		r.ahead = newAhead(r.ctx, r.s, r.key, off, stopAt)
	}
	n, err := r.ahead.read(p)
	if err != nil {
		r.ahead.stop()
		r.ahead = nil
		return n, errs.Wrap("object.Read", err)
	}
	return n, nil
}

// Until implements blob.Bounded.
func (r *reader) Until(end int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until = min(end, r.size)
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errs.E(errs.Invalid, "object.Seek", "negative position")
	}
	r.pos = offset
	return offset, nil
}

// Close implements io.Closer. It ends what is being fetched.
func (r *reader) Close() error {
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ahead != nil {
		r.ahead.stop()
		r.ahead = nil
	}
	return nil
}
