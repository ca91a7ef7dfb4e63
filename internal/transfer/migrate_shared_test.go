package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/db/dbtest"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/filemeta"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/transfer"
)

// replica is one more process with the work on the same stores and the same database, each opened anew. at is called
// before it puts a blob into the second store.
func (w *world) replica(second string, at func(context.Context)) *transfer.Service {
	w.t.Helper()
	d := dbtest.Open(w.t, w.dbDir)
	return &transfer.Service{
		Blobs: &blob.Stores{All: []blob.Named{
			{Name: "local", Stager: openFolder(w.t, w.dir)},
			{Name: "second", Stager: &watched{Stager: openFolder(w.t, second), at: at}},
		}},
		Tree: client(&filemeta.Service{DB: d}), Grace: grace,
	}
}

// watched is a store that counts what is put into it.
type watched struct {
	blob.Stager
	at func(context.Context)

	mu  sync.Mutex
	put map[blob.Digest]int
}

func (s *watched) Create(ctx context.Context, size int64) (blob.Pending, error) {
	if s.at != nil {
		s.at(ctx)
	}
	p, err := s.Stager.Create(ctx, size)
	return watchedPending{p, s}, err
}

type watchedPending struct {
	blob.Pending
	s *watched
}

func (p watchedPending) Commit(ctx context.Context, size int64, sums []blob.Sum) error {
	err := p.Pending.Commit(ctx, size, sums)
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	if p.s.put == nil {
		p.s.put = make(map[blob.Digest]int)
	}
	p.s.put[blob.DigestOf(sums)]++
	return err
}

// putBy are the blobs that a replica has put into the second store, and how often.
func putBy(s *transfer.Service) map[blob.Digest]int { return s.Blobs.All[1].Stager.(*watched).put }

// start writes a migration down and leaves it to others.
func (w *world) start(m transfer.Migration) int64 {
	w.t.Helper()
	st, err := w.StartMigration(w.t.Context(), m)
	if err != nil {
		w.t.Fatal(err)
	}
	return st.ID
}

func (w *world) status(id int64) transfer.MigrationStatus {
	w.t.Helper()
	st, err := w.MigrationStatus(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// D6, D7, C1: processes share a migration. Both move, each blob moves once, every read meanwhile finds the bytes, and the
// counts are right.
func TestMigrateTogether(t *testing.T) {
	w := newWorld(t)
	second := w.second()
	const n = 120
	contents := make([][]byte, n)
	var size int64
	for i := range contents {
		contents[i] = random(int64(i), int64(50+i*10))
		if i%40 == 0 {
			contents[i] = random(int64(i), blob.BlockSize+int64(i))
		}
		size += int64(len(contents[i]))
		w.file(fmt.Sprintf("/f%d", i), contents[i])
	}
	w.put(random(1000, 100)) // nobody's
	// Neither gets far before both are there.
	var both sync.WaitGroup
	both.Add(2)
	arrive := func() func(context.Context) {
		var once sync.Once
		return func(context.Context) { once.Do(func() { both.Done(); both.Wait() }) }
	}
	a, b := w.replica(second, arrive()), w.replica(second, arrive())

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var readers, movers sync.WaitGroup
	var reads atomic.Int64
	for g := range 2 {
		readers.Go(func() {
			for i := g; ctx.Err() == nil; i++ {
				data := contents[i%n]
				r, err := (&blob.Verifier{Store: w.Blobs}).Open(t.Context(), w.ref(data))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(r)
				if cerr := r.Close(); err != nil || cerr != nil || !bytes.Equal(got, data) {
					t.Errorf("%d of %d bytes: %v, %v", len(got), len(data), err, cerr)
					return
				}
				reads.Add(1)
			}
		})
	}
	id := w.start(toSecond)
	for _, s := range []*transfer.Service{a, b} {
		movers.Go(func() {
			if err := s.MoveSome(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	movers.Wait()
	m := w.migrate(toSecond) // a new one, with nothing to do, unless the other was left open
	stop()
	readers.Wait()
	if st := w.status(id); st.State != "done" || st.Blobs != n || st.Bytes != size || st.Left != 1 || st.Kept != 0 || st.Damaged != 0 ||
		st.PartsDone != 256 || st.Processes != 0 || st.Ended.IsZero() {
		t.Errorf("%+v", st)
	}
	if m.ID == id || m.Blobs != 0 || m.Left != 1 {
		t.Errorf("once more: %+v", m)
	}
	if x, y := len(putBy(a)), len(putBy(b)); x == 0 || y == 0 || x+y != n {
		t.Errorf("one moved %d and the other %d of %d", x, y, n)
	}
	for _, s := range []*transfer.Service{a, b} {
		for d, times := range putBy(s) {
			if times != 1 {
				t.Errorf("%s was put %d times", d, times)
			}
		}
	}
	if first, other := w.in(); first != 1 || other != n || reads.Load() == 0 {
		t.Errorf("%d and %d, %d reads", first, other, reads.Load())
	}
	if c := w.check(true); len(c.Problems) != 0 || c.Duplicated != 0 {
		t.Errorf("%+v", c)
	}
}

// paused is the way to a tree that nothing comes through for a while, as for a process that has been stopped.
type paused struct {
	filemetapb.FileMetaClient
	now atomic.Bool
}

func (p *paused) SaveMigration(ctx context.Context, in *filemetapb.SaveMigrationRequest, opts ...grpc.CallOption) (*filemetapb.SaveMigrationResponse, error) {
	if p.now.Load() {
		return nil, errs.E(errs.Busy, "test")
	}
	return p.FileMetaClient.SaveMigration(ctx, in, opts...)
}

// A process that is away for longer than its lease loses its parts to others, who go on where it was. When it is back, it
// changes nothing of what they have written down, and goes on with something else.
func TestMigrateLeaseLost(t *testing.T) {
	w := newWorld(t)
	second := w.second()
	const n = 60
	var size int64
	for i := range int64(n) {
		w.file(fmt.Sprintf("/f%d", i), random(i, 50+i))
		size += 50 + i
	}
	away, back := make(chan struct{}), make(chan struct{})
	var once sync.Once
	slow := w.replica(second, nil)
	way := &paused{FileMetaClient: slow.Tree}
	slow.Tree = way
	slow.Lease = 300 * time.Millisecond
	slow.Blobs.All[1].Stager.(*watched).at = func(context.Context) {
		once.Do(func() {
			way.now.Store(true)
			close(away)
		})
		<-back
	}
	id := w.start(toSecond)
	ended := make(chan error, 1)
	go func() { ended <- slow.MoveSome(t.Context()) }()
	<-away
	quick := w.replica(second, nil)
	if m, err := quick.Migrate(t.Context(), toSecond); err != nil || m.ID != id || m.Blobs != n || m.Bytes != size {
		t.Errorf("%+v, %v; want all of %d", m, err, id)
	}
	before := w.status(id)
	way.now.Store(false)
	close(back)
	if err := <-ended; err != nil {
		t.Errorf("the one that lost its lease: %v", err)
	}
	if after := w.status(id); fmt.Sprint(after) != fmt.Sprint(before) || after.State != "done" {
		t.Errorf("%+v\n%+v", after, before)
	}
	if first, other := w.in(); first != 0 || other != n || len(putBy(quick)) != n {
		t.Errorf("%d and %d, %d by the quick one", first, other, len(putBy(quick)))
	}
	if c := w.check(true); len(c.Problems) != 0 || c.Duplicated != 0 {
		t.Errorf("%+v", c)
	}
}

// A migration that is stopped in good order goes on exactly where it was, also with another rate, and counts nothing twice.
func TestMigrateGoesOn(t *testing.T) {
	w := newWorld(t)
	w.second()
	const n = 40
	for i := range int64(n) {
		w.file(fmt.Sprintf("/f%d", i), random(i, 50+i))
	}
	_, bad := w.file("/bad", random(1000, asFile))
	flip(t, w.path(bad), 5)
	w.put(random(1001, 10))
	var id int64
	for round := 1; ; round++ {
		ctx, cancel := context.WithCancel(t.Context())
		left := int64(round)
		var mu sync.Mutex
		good := w.Blobs.All[1].Stager
		w.replace(1, func(s blob.Stager) blob.Stager {
			return &hooked{Stager: s, committed: func() {
				mu.Lock()
				defer mu.Unlock()
				if left--; left == 0 {
					cancel()
				}
			}}
		})
		m, err := w.Migrate(ctx, transfer.Migration{From: "local", To: "second", Parallel: 1 + round%3, Rate: int64(round) << 30})
		cancel()
		w.replace(1, func(blob.Stager) blob.Stager { return good })
		if id == 0 {
			id = m.ID
		}
		switch {
		case m.ID != id || round > n:
			t.Fatalf("round %d: %+v, %v", round, m, err)
		case err == nil:
			if m.Blobs != n || m.Left != 1 || m.Damaged != 1 || len(m.Problems) != 1 || round < 3 {
				t.Errorf("after %d rounds: %+v", round, m)
			}
			if all, err := w.Migrations(t.Context()); err != nil || len(all) != 1 || all[0].Rate != int64(round)<<30 {
				t.Errorf("%+v, %v", all, err)
			}
			return
		case !errs.Is(errs.Canceled, err):
			t.Fatal(err)
		}
		if st := w.status(id); st.State != "running" || st.Processes != 0 || st.Error != "" {
			t.Errorf("stopped: %+v", st)
		}
	}
}

// Cancelled, a migration ends in all processes, within moments; what has moved stays, and what has not does.
func TestMigrateCancelled(t *testing.T) {
	w := newWorld(t)
	second := w.second()
	const n = 30
	var refs []blob.Ref
	for i := range int64(n) {
		_, ref := w.file(fmt.Sprintf("/f%d", i), random(i, 1000))
		refs = append(refs, ref)
	}
	m := toSecond
	m.Rate = 100 // bytes a second: it would take minutes
	a, b := w.replica(second, nil), w.replica(second, nil)
	a.Lease, b.Lease = time.Second, time.Second
	ended := make(chan error, 2)
	go func() { _, err := a.Migrate(t.Context(), m); ended <- err }()
	until(t, func() bool {
		all, err := w.Migrations(t.Context())
		return err == nil && len(all) == 1 && all[0].Processes == 1
	})
	go func() { ended <- b.MoveSome(t.Context()) }()
	all, err := w.Migrations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return w.status(all[0].ID).Processes == 2 })
	st, err := w.CancelMigration(t.Context(), all[0].ID)
	if err != nil || st.State != "cancelled" || st.Processes != 0 || st.Blobs >= n || st.Ended.IsZero() {
		t.Errorf("%+v, %v", st, err)
	}
	if first, second := <-ended, <-ended; !errors.Is(errors.Join(first, second), transfer.ErrCancelled) || first != nil && second != nil {
		t.Errorf("%v; %v", first, second)
	}
	if first, other := w.in(); first+other != n || other != st.Blobs {
		t.Errorf("%d and %d, %d moved", first, other, st.Blobs)
	}
	for _, ref := range refs {
		w.whole(ref)
	}
	if err := b.MoveSome(t.Context()); err != nil {
		t.Error(err)
	}
	if again, err := w.CancelMigration(t.Context(), st.ID); err != nil || fmt.Sprint(again) != fmt.Sprint(st) {
		t.Errorf("cancelled twice: %+v, %v", again, err)
	}
	if rest := w.migrate(toSecond); rest.ID == st.ID || rest.Blobs != n-st.Blobs {
		t.Errorf("the rest: %+v", rest)
	}
	if _, err := w.CancelMigration(t.Context(), 77); !errs.Is(errs.NotFound, err) {
		t.Errorf("one that was never there: %v", err)
	}
}

// until waits for a condition.
func until(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal("it never came to that")
		}
	}
}

// Of one drive moves what its versions refer to, old ones and those in the trash as well, and no other drive's do.
func TestMigrateDrive(t *testing.T) {
	w := newWorld(t)
	w.second()
	const other = 2
	ids, must := w.asOwner()
	_, old := w.file("/own", random(1, 100))
	_, own := w.file("/own", random(2, 200))
	shared := random(3, 300)
	trash, ref := w.file("/shared", shared)
	w.fileOf(other, "/shared", shared)
	_, theirs := w.fileOf(other, "/theirs", random(4, 400))
	nobody := w.put(random(5, 500))
	must(ids.DeleteNode(asUser(t.Context()), &filemeta.DeleteNodeRequest{ID: fmt.Sprint(trash)}))

	prepared, err := w.tree.Prepare(t.Context(), &filemetapb.Target{Actor: &filemetapb.Actor{UserId: owner}, Path: "/x", Size: -1})
	must(err)
	m := toSecond
	m.Drive = prepared.GetDrive()
	m.DryRun = true
	if would := w.migrate(m); would.Blobs != 2 || would.Bytes != 300 || would.Shared != 1 || would.Left != 2 {
		t.Errorf("dry run: %+v", would)
	}
	m.DryRun = false
	if did := w.migrate(m); did.Blobs != 2 || did.Bytes != 300 || did.Shared != 1 || did.Left != 2 {
		t.Errorf("%+v", did)
	}
	in := func(store int, ref blob.Ref) bool {
		r, _, err := w.Blobs.All[store].Open(t.Context(), ref)
		if err != nil {
			return false
		}
		must(r.Close())
		return true
	}
	for _, c := range []struct {
		what  string
		ref   blob.Ref
		moved bool
	}{{"an old version", old, true}, {"a current one", own, true}, {"both drives'", ref, false}, {"the other drive's", theirs, false}, {"nobody's", nobody, false}} {
		if in(0, c.ref) == c.moved || in(1, c.ref) != c.moved {
			t.Errorf("%s: moved %v, want %v", c.what, in(1, c.ref), c.moved)
		}
	}
	if all := w.migrate(toSecond); all.Blobs != 2 || all.Left != 1 || all.Shared != 0 {
		t.Errorf("all the rest: %+v", all)
	}
}

// A store that does not answer stops nothing for ever: what failed is told, and done when it answers again.
func TestMigrateInBackground(t *testing.T) {
	w := newWorld(t)
	w.second()
	_, ref := w.file("/f", random(1, 1000))
	_, third := openStore(t)
	w.Blobs.All = append(w.Blobs.All, blob.Named{Name: "third", Stager: third})
	id, other := w.start(toSecond), w.start(transfer.Migration{From: "second", To: "third"})
	w.replace(0, func(s blob.Stager) blob.Stager { return unreachable{s} })
	if err := w.MoveSome(t.Context()); !errs.Is(errs.Busy, err) {
		t.Errorf("no answer: %v", err)
	}
	if st := w.status(other); st.State != "done" {
		t.Errorf("one that needs other stores: %+v", st)
	}
	if st := w.status(id); st.State != "running" || st.Error == "" || st.Processes != 0 {
		t.Errorf("%+v", st)
	}
	w.replace(0, func(s blob.Stager) blob.Stager { return s.(unreachable).Stager })
	w.Every, w.Confirm = time.Millisecond, time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx, func(err error) { t.Error(err) }) }()
	until(t, func() bool { return w.status(id).State == "done" })
	cancel()
	<-ended
	if st := w.status(id); st.Blobs != 1 || st.Error != "" {
		t.Errorf("%+v", st)
	}
	w.whole(ref)
	w.gone(ref)
}
