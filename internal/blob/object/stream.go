package object

import (
	"context"
	"io"

	"github.com/livil/gopan/internal/errs"
)

// stream reads a range of an object, however often the connection breaks (fault F26): it goes on where it was, and
// gives up after so many failures in a row. It never ends early without an error.
type stream struct {
	s    *Store
	ctx  context.Context
	key  string
	off  int64
	end  int64
	body io.ReadCloser // nil: to be opened at off
	// failed attempts since the last byte.
	failed int
}

func (s *Store) stream(ctx context.Context, key string, off, n int64) *stream {
	return &stream{s: s, ctx: ctx, key: key, off: off, end: off + n}
}

// Read implements io.Reader.
func (r *stream) Read(p []byte) (int, error) {
	const op = errs.Op("object.Read")
	if r.off >= r.end {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if r.body == nil {
			body, err := r.s.bucket.Get(r.ctx, r.key, r.off, r.end-r.off)
			if err != nil {
				return 0, errs.Wrap(op, err)
			}
			r.body = body
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.end-r.off)])
		r.off += int64(n)
		if n > 0 {
			r.failed = 0
		}
		if err != nil && r.off < r.end {
			_ = r.body.Close() // err says what is wrong with it
			r.body = nil
			if n == 0 {
				if err := r.again(err); err != nil {
					return 0, err
				}
			}
		}
		if n > 0 {
			return n, nil
		}
	}
}

// again waits before the next attempt, or says that there is none.
func (r *stream) again(cause error) error {
	const op = errs.Op("object.Read")
	if r.ctx.Err() != nil {
		return errs.Wrap(op, r.ctx.Err())
	}
	if r.failed++; r.failed >= r.s.bucket.attempts {
		if cause == io.EOF {
			cause = io.ErrUnexpectedEOF
		}
		return unavailable(op, cause)
	}
	return pause(r.ctx, r.failed)
}

// Close implements io.Closer.
func (r *stream) Close() error {
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}

// fill reads as much of an object as p holds.
func (s *Store) fill(ctx context.Context, key string, off int64, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	r := s.stream(ctx, key, off, int64(len(p)))
	_, err := io.ReadFull(r, p)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return err
}
