package transfer_test

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// death is what everything answers once the process is dead.
var death = errs.E(errs.Internal, "test", errors.New("dead"))

// dying makes a process die at its n-th step of those that change something or ask the tree; what it had begun by then is
// done, and nothing after it.
type dying struct {
	left  atomic.Int64
	steps atomic.Int64 // taken while alive
}

// newDying dies at step n; 0: never.
func newDying(n int64) *dying {
	d := new(dying)
	d.left.Store(n)
	if n == 0 {
		d.left.Store(1 << 40)
	}
	return d
}

// step runs one, before it dies or after, or not at all.
func (d *dying) step(do func() error) error {
	if d.left.Add(-1) < 0 {
		return death
	}
	d.steps.Add(1)
	err := do()
	if d.left.Load() <= 0 {
		return death // it was done, but nobody hears of it
	}
	return err
}

// dyingStore is a store as a dying process sees it.
type dyingStore struct {
	blob.Stager
	*dying
}

func (s dyingStore) Delete(ctx context.Context, d blob.Digest, before time.Time) (gone bool, err error) {
	err = s.step(func() (err error) { gone, err = s.Stager.Delete(ctx, d, before); return err })
	return gone, err
}

func (s dyingStore) Create(ctx context.Context, size int64) (blob.Pending, error) {
	p, err := s.Stager.Create(ctx, size)
	return &dyingPending{p, s.dying}, err
}

type dyingPending struct {
	blob.Pending
	*dying
}

func (p *dyingPending) Commit(ctx context.Context, size int64, sums []blob.Sum) error {
	err := p.step(func() error { return p.Pending.Commit(ctx, size, sums) })
	if err != nil {
		p.Abort()
	}
	return err
}

// dyingTree is the tree as a dying process sees it.
type dyingTree struct {
	filemetapb.FileMetaClient
	*dying
}

func (t dyingTree) Condemn(ctx context.Context, in *filemetapb.CondemnRequest, opts ...grpc.CallOption) (out *filemetapb.CondemnResponse, err error) {
	err = t.step(func() (err error) { out, err = t.FileMetaClient.Condemn(ctx, in, opts...); return err })
	return out, err
}

func (t dyingTree) Forget(ctx context.Context, in *filemetapb.ForgetRequest, opts ...grpc.CallOption) (out *filemetapb.ForgetResponse, err error) {
	err = t.step(func() (err error) { out, err = t.FileMetaClient.Forget(ctx, in, opts...); return err })
	return out, err
}

func (t dyingTree) TakeMigration(ctx context.Context, in *filemetapb.TakeMigrationRequest, opts ...grpc.CallOption) (out *filemetapb.TakeMigrationResponse, err error) {
	err = t.step(func() (err error) { out, err = t.FileMetaClient.TakeMigration(ctx, in, opts...); return err })
	return out, err
}

func (t dyingTree) SaveMigration(ctx context.Context, in *filemetapb.SaveMigrationRequest, opts ...grpc.CallOption) (out *filemetapb.SaveMigrationResponse, err error) {
	err = t.step(func() (err error) { out, err = t.FileMetaClient.SaveMigration(ctx, in, opts...); return err })
	return out, err
}

// unreachable is a store that does not answer.
type unreachable struct{ blob.Stager }

func (unreachable) Open(context.Context, blob.Ref) (blob.Reader, []blob.Sum, error) {
	return nil, nil, errs.E(errs.Busy, "test", "no answer")
}

func (unreachable) List(context.Context, func(blob.Entry) error) error {
	return errs.E(errs.Busy, "test", "no answer")
}

func (unreachable) Check(context.Context) error { return errs.E(errs.Busy, "test", "no answer") }
