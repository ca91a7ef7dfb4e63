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

// guarded is a store that is asked for nothing until look has found it to be the right one (fault F18). Until then
// everything fails with errs.Busy.
type guarded struct {
	blob.Stager
	look func(context.Context) error

	good, told atomic.Bool
	mu         sync.Mutex
	last       error // of a look that failed,
	at         time.Time
}

// lookAgain is how long a look that failed stands.
const lookAgain = time.Second

// ready looks at the store unless that went well before.
func (g *guarded) ready(ctx context.Context) error {
	if g.good.Load() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.good.Load() {
		return nil
	}
	if g.last != nil && time.Since(g.at) < lookAgain {
		return g.last
	}
	err := g.look(ctx)
	if err == nil {
		g.good.Store(true)
		g.last = nil
		return nil
	}
	if ctx.Err() == nil { // else it says nothing of the store
		g.last, g.at = err, time.Now()
	}
	return err
}

// usable is ready for a request: a wrong store, found only now, is logged, and is as good as none.
func (g *guarded) usable(ctx context.Context) error {
	err := g.ready(ctx)
	if err == nil || errs.Is(errs.Busy, err) {
		return err
	}
	if g.told.CompareAndSwap(false, true) {
		logx.Errorw("a blob store is refused", logx.Field("error", err.Error()))
	}
	return errs.E(errs.Busy, "app.guarded", errs.Code("store_unavailable"), time.Second, err)
}

// Create implements blob.Store.
func (g *guarded) Create(ctx context.Context, size int64) (blob.Pending, error) {
	if err := g.usable(ctx); err != nil {
		return nil, err
	}
	return g.Stager.Create(ctx, size)
}

// Open implements blob.Store.
func (g *guarded) Open(ctx context.Context, ref blob.Ref) (blob.Reader, []blob.Sum, error) {
	if err := g.usable(ctx); err != nil {
		return nil, nil, err
	}
	return g.Stager.Open(ctx, ref)
}

// Delete implements blob.Store.
func (g *guarded) Delete(ctx context.Context, d blob.Digest, putBefore time.Time) (bool, error) {
	if err := g.usable(ctx); err != nil {
		return false, err
	}
	return g.Stager.Delete(ctx, d, putBefore)
}

// List implements blob.Store.
func (g *guarded) List(ctx context.Context, fn func(blob.Entry) error) error {
	if err := g.usable(ctx); err != nil {
		return err
	}
	return g.Stager.List(ctx, fn)
}

// Check implements blob.Store.
func (g *guarded) Check(ctx context.Context) error {
	if err := g.usable(ctx); err != nil {
		return err
	}
	return g.Stager.Check(ctx)
}

// Stage implements blob.Stager.
func (g *guarded) Stage(ctx context.Context, size int64) (string, error) {
	if err := g.usable(ctx); err != nil {
		return "", err
	}
	return g.Stager.Stage(ctx, size)
}

// Staged implements blob.Stager.
func (g *guarded) Staged(ctx context.Context, id string, size int64) (blob.Staged, error) {
	if err := g.usable(ctx); err != nil {
		return nil, err
	}
	return g.Stager.Staged(ctx, id, size)
}

// Sweep implements blob.Stager.
func (g *guarded) Sweep(ctx context.Context, before time.Time) (blob.Swept, error) {
	if err := g.usable(ctx); err != nil {
		return blob.Swept{}, err
	}
	return g.Stager.Sweep(ctx, before)
}

// Link implements blob.Linker.
func (g *guarded) Link(ctx context.Context, ref blob.Ref, h blob.LinkHeaders, ttl time.Duration) (string, error) {
	l, ok := g.Stager.(blob.Linker)
	if !ok {
		return "", errs.E(errs.Unsupported, "app.guarded.Link")
	}
	if err := g.usable(ctx); err != nil {
		return "", err
	}
	return l.Link(ctx, ref, h, ttl)
}
