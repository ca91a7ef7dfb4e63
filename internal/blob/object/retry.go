package object

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// Waits between attempts grow from one to the other, each cut at random so that many callers do not come back at once.
const (
	firstWait = 100 * time.Millisecond
	longWait  = 5 * time.Second
	// comeBack is what a caller is told when all attempts failed.
	comeBack = 5 * time.Second
)

// retrying is a Bucket that tries again what may pass (faults F27, F28). Everything a Store does may be done twice:
// keys are never used for two contents.
type retrying struct {
	Bucket
	attempts int
}

// try calls fn until it succeeds, fails for good, or has failed often enough: then the store is Busy.
func (r retrying) try(ctx context.Context, fn func() error) error {
	for n := 1; ; n++ {
		err := fn()
		switch {
		case err == nil || !errs.Is(errs.Busy, err):
			return err
		case ctx.Err() != nil:
			return errs.Wrap("object.try", ctx.Err())
		case n >= r.attempts:
			return unavailable("object.try", err)
		}
		if err := pause(ctx, n); err != nil {
			return err
		}
	}
}

// unavailable is what a caller sees of a store that does not answer.
func unavailable(op errs.Op, cause error) error {
	return errs.E(errs.Busy, op, errs.Code("store_unavailable"), comeBack, cause)
}

// pause waits before the attempt after the n-th.
func pause(ctx context.Context, n int) error {
	wait := min(firstWait<<min(n-1, 10), longWait)
	var b [1]byte
	_, _ = rand.Read(b[:]) // documented never to fail
	wait = wait/2 + wait/2*time.Duration(b[0])/256
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errs.Wrap("object.pause", ctx.Err())
	}
}

// send is try for a call with a body: from its beginning each time, and once only if it has no way back.
func (r retrying) send(ctx context.Context, b Body, fn func(Body) error) error {
	once := func() error {
		b, end := guarded(b)
		defer end()
		return fn(b)
	}
	seeker, ok := b.Reader.(io.Seeker)
	if !ok {
		return retrying{attempts: 1}.try(ctx, once)
	}
	return r.try(ctx, func() error {
		if _, err := seeker.Seek(0, io.SeekStart); err != nil {
			return errs.E(errs.Internal, "object.send", err)
		}
		return once()
	})
}

func (r retrying) Put(ctx context.Context, key string, b Body) error {
	return r.send(ctx, b, func(b Body) error { return r.Bucket.Put(ctx, key, b) })
}

func (r retrying) PutPart(ctx context.Context, key, upload string, part int, b Body) error {
	return r.send(ctx, b, func(b Body) error { return r.Bucket.PutPart(ctx, key, upload, part, b) })
}

func (r retrying) Get(ctx context.Context, key string, off, n int64) (body io.ReadCloser, err error) {
	err = r.try(ctx, func() (err error) {
		body, err = r.Bucket.Get(ctx, key, off, n)
		return err
	})
	return body, err
}

func (r retrying) Head(ctx context.Context, key string) (o Object, err error) {
	err = r.try(ctx, func() (err error) {
		o, err = r.Bucket.Head(ctx, key)
		return err
	})
	return o, err
}

// List goes on behind the last key that fn has seen.
func (r retrying) List(ctx context.Context, prefix, after string, fn func(Object) error) error {
	for n := 1; ; n++ {
		var stopped error
		last := after
		err := r.Bucket.List(ctx, prefix, after, func(o Object) error {
			after = o.Key
			stopped = fn(o)
			return stopped
		})
		if after != last {
			n = 1
		}
		switch {
		case stopped != nil:
			return stopped
		case err == nil || !errs.Is(errs.Busy, err):
			return err
		case ctx.Err() != nil:
			return errs.Wrap("object.List", ctx.Err())
		case n >= r.attempts:
			return unavailable("object.List", err)
		}
		if err := pause(ctx, n); err != nil {
			return err
		}
	}
}

func (r retrying) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	return r.try(ctx, func() error { return r.Bucket.Delete(ctx, keys...) })
}

func (r retrying) Begin(ctx context.Context, key string) (upload string, err error) {
	err = r.try(ctx, func() (err error) {
		upload, err = r.Bucket.Begin(ctx, key)
		return err
	})
	return upload, err
}

func (r retrying) CopyPart(ctx context.Context, key, upload string, part int, from string, off, n int64) error {
	return r.try(ctx, func() error { return r.Bucket.CopyPart(ctx, key, upload, part, from, off, n) })
}

func (r retrying) Parts(ctx context.Context, key, upload string) (parts []Part, err error) {
	err = r.try(ctx, func() (err error) {
		parts, err = r.Bucket.Parts(ctx, key, upload)
		return err
	})
	return parts, err
}

func (r retrying) Complete(ctx context.Context, key, upload string, parts []Part) error {
	return r.try(ctx, func() error { return r.Bucket.Complete(ctx, key, upload, parts) })
}

func (r retrying) Abort(ctx context.Context, key, upload string) error {
	return r.try(ctx, func() error { return r.Bucket.Abort(ctx, key, upload) })
}
