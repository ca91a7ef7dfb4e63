package app

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zeromicro/go-zero/core/logx"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// remote is a store far away, which is opened when it answers (promise A3) and has shown its id (fault F18). Until
// then everything fails with errs.Busy.
type remote struct {
	name string
	open func(context.Context) (blob.Stager, error)

	opened atomic.Pointer[blob.Stager]
	told   atomic.Bool

	mu   sync.Mutex
	last error // of an attempt that failed,
	at   time.Time
}

const (
	// openWait is how long a start, or a request, waits for the store to show its id.
	openWait = 5 * time.Second
	// openAgain is how long an attempt that failed stands.
	openAgain = time.Second
)

// store opens the store unless that was done before.
func (r *remote) store(ctx context.Context) (blob.Stager, error) {
	if s := r.opened.Load(); s != nil {
		return *s, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.opened.Load(); s != nil {
		return *s, nil
	}
	if r.last != nil && time.Since(r.at) < openAgain {
		return nil, r.last
	}
	look, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	s, err := r.open(look)
	if err == nil {
		r.opened.Store(&s)
		return s, nil
	}
	if look.Err() != nil { // also when the store's client calls it something else
		err = errs.E(errs.Busy, "app.remote", errs.Code("store_unavailable"), time.Second, err)
	}
	if ctx.Err() == nil { // else it says nothing of the store
		r.last, r.at = err, time.Now()
	}
	return nil, err
}

// use gives the store to a request. One that is refused only now, as another than it should be, is as good as one that
// does not answer, and is logged once.
func (r *remote) use(ctx context.Context) (blob.Stager, error) {
	s, err := r.store(ctx)
	if err == nil || errs.Is(errs.Busy, err) {
		return s, err
	}
	if r.told.CompareAndSwap(false, true) {
		logx.Errorw("a blob store is refused", logx.Field("store", r.name), logx.Field("error", err.Error()))
	}
	return nil, errs.E(errs.Busy, "app.remote", errs.Code("store_unavailable"), time.Second, err)
}

// Create implements blob.Store.
func (r *remote) Create(ctx context.Context, size int64) (blob.Pending, error) {
	s, err := r.use(ctx)
	if err != nil {
		return nil, err
	}
	return s.Create(ctx, size)
}

// Open implements blob.Store.
func (r *remote) Open(ctx context.Context, ref blob.Ref) (blob.Reader, []blob.Sum, error) {
	s, err := r.use(ctx)
	if err != nil {
		return nil, nil, err
	}
	return s.Open(ctx, ref)
}

// Delete implements blob.Store.
func (r *remote) Delete(ctx context.Context, d blob.Digest, putBefore time.Time) (bool, error) {
	s, err := r.use(ctx)
	if err != nil {
		return false, err
	}
	return s.Delete(ctx, d, putBefore)
}

// List implements blob.Store.
func (r *remote) List(ctx context.Context, fn func(blob.Entry) error) error {
	s, err := r.use(ctx)
	if err != nil {
		return err
	}
	return s.List(ctx, fn)
}

// ListPart implements blob.PartLister.
func (r *remote) ListPart(ctx context.Context, first byte, fn func(blob.Entry) error) error {
	s, err := r.use(ctx)
	if err != nil {
		return err
	}
	return blob.ListPart(ctx, s, first, fn)
}

// Check implements blob.Store.
func (r *remote) Check(ctx context.Context) error {
	s, err := r.use(ctx)
	if err != nil {
		return err
	}
	return s.Check(ctx)
}

// Stage implements blob.Stager.
func (r *remote) Stage(ctx context.Context, size int64) (string, error) {
	s, err := r.use(ctx)
	if err != nil {
		return "", err
	}
	return s.Stage(ctx, size)
}

// Staged implements blob.Stager.
func (r *remote) Staged(ctx context.Context, id string, size int64) (blob.Staged, error) {
	s, err := r.use(ctx)
	if err != nil {
		return nil, err
	}
	return s.Staged(ctx, id, size)
}

// PartSize implements blob.Stager. Who asks has staged something, and so the store is open.
func (r *remote) PartSize(size int64) int64 {
	if s := r.opened.Load(); s != nil {
		return (*s).PartSize(size)
	}
	return blob.BlockSize
}

// Sweep implements blob.Stager.
func (r *remote) Sweep(ctx context.Context, before time.Time) (blob.Swept, error) {
	s, err := r.use(ctx)
	if err != nil {
		return blob.Swept{}, err
	}
	return s.Sweep(ctx, before)
}

// Link implements blob.Linker.
func (r *remote) Link(ctx context.Context, ref blob.Ref, h blob.LinkHeaders, ttl time.Duration) (string, error) {
	s, err := r.use(ctx)
	if err != nil {
		return "", err
	}
	l, ok := s.(blob.Linker)
	if !ok {
		return "", errs.E(errs.Unsupported, "app.remote.Link")
	}
	return l.Link(ctx, ref, h, ttl)
}
