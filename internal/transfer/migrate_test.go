package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/transfer"
)

var toSecond = transfer.Migration{From: "local", To: "second"}

func (w *world) migrate(m transfer.Migration) transfer.Migrated {
	w.t.Helper()
	done, err := w.Migrate(w.t.Context(), m)
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

// in counts the blobs in each store.
func (w *world) in() (local, second int64) {
	w.t.Helper()
	usage, err := w.Usage(w.t.Context())
	if err != nil || len(usage) != 2 || usage[0].Error+usage[1].Error != "" {
		w.t.Fatalf("%+v, %v", usage, err)
	}
	return usage[0].Blobs, usage[1].Blobs
}

// D6, D7: what versions refer to moves, of the sizes that were asked for, and is whole there; the rest stays.
func TestMigrate(t *testing.T) {
	w := newWorld(t)
	w.second()
	var all []blob.Ref
	for i, size := range []int64{0, 1, 1000, blob.BlockSize, 2*blob.BlockSize + 7} {
		_, ref := w.file(fmt.Sprintf("/f%d", i), random(int64(i), size))
		all = append(all, ref)
	}
	orphan := w.put(random(100, 500))
	if m := w.migrate(transfer.Migration{From: "local", To: "second", MinSize: 2, MaxSize: blob.BlockSize, DryRun: true}); m.Blobs != 2 || m.Left != 1 {
		t.Errorf("dry run: %+v", m)
	}
	if a, b := w.in(); a != 6 || b != 0 {
		t.Errorf("after a dry run: %d and %d", a, b)
	}
	told := 0
	if m := w.migrate(transfer.Migration{
		From: "local", To: "second", MinSize: 2, MaxSize: blob.BlockSize, Progress: func(transfer.MigrationStatus) { told++ },
	}); m.Blobs != 2 || m.Bytes != 1000+blob.BlockSize || m.Left != 1 || m.Kept != 0 || len(m.Problems) != 0 || told == 0 {
		t.Errorf("by size: %+v, told %d times", m, told)
	}
	if a, b := w.in(); a != 4 || b != 2 {
		t.Errorf("by size: %d and %d", a, b)
	}
	if m := w.migrate(toSecond); m.Blobs != 3 || m.Left != 1 {
		t.Errorf("the rest: %+v", m)
	}
	if m := w.migrate(toSecond); m.Blobs != 0 || m.Left != 1 {
		t.Errorf("once more: %+v", m)
	}
	if a, b := w.in(); a != 1 || b != 5 {
		t.Errorf("at the end: %d and %d", a, b)
	}
	for _, ref := range append(all, orphan) {
		w.whole(ref)
	}
	if c := w.check(true); len(c.Problems) != 0 || c.Duplicated != 0 || c.Orphans != 1 || c.Blobs != 5 || len(c.Stores) != 2 || c.Stores[1].Blobs != 5 {
		t.Errorf("%+v", c)
	}
	for _, m := range []transfer.Migration{{From: "local", To: "local"}, {From: "local", To: "x"}, {From: "x", To: "local"}} {
		if _, err := w.Migrate(t.Context(), m); !errs.Is(errs.Invalid, err) {
			t.Errorf("%+v: %v", m, err)
		}
	}
}

// A blob that is put again while it moves stays in the first store, too: whoever put it relies on it there.
func TestMigratePutAgain(t *testing.T) {
	w := newWorld(t)
	w.second()
	data := random(1, asFile)
	_, ref := w.file("/f", data)
	w.age(ref)
	w.replace(1, func(s blob.Stager) blob.Stager {
		return &hooked{Stager: s, committed: func() { w.put(data) }}
	})
	if m := w.migrate(toSecond); m.Blobs != 1 || m.Kept != 1 {
		t.Errorf("%+v", m)
	}
	if a, b := w.in(); a != 1 || b != 1 {
		t.Errorf("%d and %d", a, b)
	}
	if c := w.check(true); c.Duplicated != 1 || len(c.Problems) != 0 || c.Orphans != 0 {
		t.Errorf("%+v", c)
	}
}

// hooked is a store that does something right after a blob was put.
type hooked struct {
	blob.Stager
	committed func()
}

func (h *hooked) Create(ctx context.Context, size int64) (blob.Pending, error) {
	p, err := h.Stager.Create(ctx, size)
	return hookedPending{p, h}, err
}

type hookedPending struct {
	blob.Pending
	h *hooked
}

func (p hookedPending) Commit(ctx context.Context, size int64, sums []blob.Sum) error {
	err := p.Pending.Commit(ctx, size, sums)
	p.h.committed()
	return err
}

// F23, F24: damaged content is named, stays where it is, and keeps nothing else from moving.
func TestMigrateDamaged(t *testing.T) {
	w := newWorld(t)
	second := w.second()
	_, bad := w.file("/bad", random(1, blob.BlockSize+10))
	_, good := w.file("/good", random(2, 1000))
	flip(t, w.path(bad), 5)
	m := w.migrate(toSecond)
	if m.Blobs != 1 || len(m.Problems) != 1 || m.Problems[0].Code != "damaged_blob" || !strings.Contains(m.Problems[0].Detail, bad.Digest.String()) {
		t.Errorf("%+v", m)
	}
	if _, err := os.Stat(w.path(bad)); err != nil {
		t.Error(err)
	}
	w.whole(good)
	w.gone(good) // from the first store
	name := bad.Digest.String()
	if _, err := os.Stat(filepath.Join(second, name[:2], name)); err == nil {
		t.Error("damage was copied")
	}
}

// A migration that dies at any step loses nothing; run again, it comes to its end, and nothing is left behind.
func TestMigrateCutOff(t *testing.T) {
	for n, over := int64(1), false; !over; n += 1 + n/3 { // each of the first steps, and then some
		t.Run(fmt.Sprint(n), func(t *testing.T) { over = cutOff(t, n) })
	}
}

// cutOff has a migration die at its n-th step, and says whether it was over before.
func cutOff(t *testing.T, n int64) bool {
	w := newWorld(t)
	w.second()
	var refs []blob.Ref
	for i := range int64(3) {
		_, ref := w.file(fmt.Sprintf("/f%d", i), random(i, 1000+i*blob.BlockSize))
		refs = append(refs, ref)
	}
	d := newDying(n)
	good, tree := w.Blobs, w.Tree
	w.Lease = 200 * time.Millisecond // of the dead
	w.Tree = dyingTree{tree, d}
	w.Blobs = &blob.Stores{}
	for _, s := range good.All {
		w.Blobs.All = append(w.Blobs.All, blob.Named{Name: s.Name, Stager: dyingStore{s.Stager, d}})
	}
	m := toSecond
	m.Parallel = 2
	_, err := w.Migrate(t.Context(), m)
	w.Blobs, w.Tree, w.Lease = good, tree, 0
	for _, ref := range refs {
		w.whole(ref)
	}
	if c := w.check(true); len(c.Problems) != 0 || c.Orphans != 0 {
		t.Errorf("dead: %+v", c)
	}
	if err == nil {
		if n < 20 {
			t.Errorf("took %d steps", n)
		}
		return true
	}
	w.migrate(toSecond)
	if a, b := w.in(); a != 0 || b != 3 {
		t.Errorf("and again: %d and %d", a, b)
	}
	if c := w.check(true); len(c.Problems) != 0 || c.Orphans != 0 || c.Duplicated != 0 {
		t.Errorf("and again: %+v", c)
	}
	return t.Failed()
}

// A migration ends with its context, with the cause, and leaves all in order; a store that does not answer ends it.
func TestMigrateStops(t *testing.T) {
	w := newWorld(t)
	w.second()
	_, ref := w.file("/f", random(1, 1000))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Migrate(ctx, toSecond); !errs.Is(errs.Canceled, err) {
		t.Errorf("cancelled: %v", err)
	}
	w.replace(0, func(s blob.Stager) blob.Stager { return unreachable{s} })
	if _, err := w.Migrate(t.Context(), toSecond); !errs.Is(errs.Busy, err) {
		t.Errorf("no answer: %v", err)
	}
	w.replace(0, func(s blob.Stager) blob.Stager { return s.(unreachable).Stager })
	w.whole(ref)
}

// D7, C1: while content moves to and fro, files are written, read and replaced. Every read finds the bytes, and in the
// end all is whole.
func TestMigrateInUse(t *testing.T) {
	w := newWorld(t)
	w.second()
	w.Blobs.Rules = []blob.Rule{{MinSize: 5000, Store: "second"}}
	content := func(i int64) []byte { return random(i%6, 1000+(i%6)*2000) }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var others, writers sync.WaitGroup
	forever := func(what string, fn func() error) {
		others.Go(func() {
			for ctx.Err() == nil {
				if err := fn(); err != nil && ctx.Err() == nil {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		})
	}
	var moved [2]atomic.Int64
	for i, m := range []transfer.Migration{toSecond, {From: "second", To: "local", MinSize: 3000}} {
		forever("migrate to "+m.To, func() error {
			done, err := w.Migrate(ctx, m)
			moved[i].Add(done.Blobs)
			return err
		})
	}
	verifier := &blob.Verifier{Store: w.Blobs}
	read := func(i int64) error {
		data := content(i)
		r, err := verifier.Open(ctx, w.ref(data))
		if err != nil {
			return err
		}
		got, err := io.ReadAll(r)
		if err == nil && !bytes.Equal(got, data) {
			err = errors.New("other bytes")
		}
		return errors.Join(err, r.Close())
	}
	for i := range int64(6) { // always there, under names that nobody replaces
		w.file(fmt.Sprintf("/always/%d", i), content(i))
	}
	for i := range int64(2) {
		n := i
		forever("read", func() error { n++; return read(n) })
	}
	for g := range int64(3) {
		writers.Go(func() {
			for i := range int64(20) {
				data := content(g*7 + i)
				ref, err := blob.Write(ctx, w.Blobs.For(0, int64(len(data))), bytes.NewReader(data), blob.Want{Size: int64(len(data)), Limit: -1})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := w.tree.Commit(ctx, &filemetapb.CommitRequest{
					Target: &filemetapb.Target{Actor: &filemetapb.Actor{UserId: owner}, Path: fmt.Sprintf("/f%d", i%5)},
					Blob:   &filemetapb.Blob{Digest: ref.Digest[:], Size: ref.Size},
				}); err != nil {
					t.Error(err)
					return
				}
				if err := read(g*7 + i); err != nil {
					t.Errorf("read what was written: %v", err)
				}
			}
		})
	}
	writers.Wait()
	cancel()
	others.Wait()
	if c := w.check(true); len(c.Problems) != 0 || c.Blobs != 6 || c.Orphans != 0 {
		t.Errorf("%+v", c)
	}
	if moved[0].Load() == 0 || moved[1].Load() == 0 {
		t.Errorf("moved %d to and %d fro", moved[0].Load(), moved[1].Load())
	}
}

// ref of bytes, without storing them.
func (w *world) ref(data []byte) blob.Ref {
	return blob.Ref{Digest: blobtest.DigestOf(data), Size: int64(len(data))}
}
