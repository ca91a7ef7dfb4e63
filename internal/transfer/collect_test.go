package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/mem"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/filemeta"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/transfer"
)

// D7, F02: what nothing refers to goes once it is older than the grace period; whatever is referred to stays,
// however old.
func TestCollect(t *testing.T) {
	w := newWorld(t)
	_, used := w.file("/used", random(1, 1000))
	_, large := w.file("/large", random(2, 2*blob.BlockSize+5))
	orphan, largeOrphan := w.put(random(3, 2000)), w.put(random(4, blob.BlockSize+1))

	if c := w.collectTwice(); c.Deleted != 0 || c.Waiting != 0 || c.YoungOrphans != 2 || c.Unreferenced != 0 || c.Blobs != 4 {
		t.Errorf("within the grace period: %+v", c)
	}
	w.whole(orphan)
	w.later(2 * grace)
	unreferenced := orphan.Size + largeOrphan.Size
	if c := w.collectHow(transfer.Collection{DryRun: true}); c.Deleted != 0 || c.Unreferenced != 2 || c.UnreferencedBytes != unreferenced || c.YoungOrphans != 0 {
		t.Errorf("dry run: %+v", c)
	}
	w.whole(orphan)
	w.whole(largeOrphan)
	if c := w.collect(); c.Deleted != 0 || c.Waiting != 2 || c.Unreferenced != 2 {
		t.Errorf("the first round: %+v", c)
	}
	w.whole(orphan)
	w.whole(largeOrphan)
	if c := w.collect(); c.Deleted != 2 || c.DeletedBytes != unreferenced || c.Waiting != 0 {
		t.Errorf("the second round: %+v", c)
	}
	w.gone(orphan)
	w.gone(largeOrphan)
	if c := w.collectTwice(); c.Unreferenced != 0 || c.Blobs != 2 {
		t.Errorf("collected again: %+v", c)
	}
	w.later(1000 * grace)
	w.collectTwice()
	w.whole(used)
	w.whole(large)
	if c := w.check(true); len(c.Problems) != 0 || c.Orphans != 0 {
		t.Errorf("afterwards: %+v", c)
	}
}

// D7, B064: trash and old versions are references; what two files share goes with the second; after the purge the
// blob goes, and not before.
func TestCollectReferences(t *testing.T) {
	w := newWorld(t)
	ctx := auth.With(t.Context(), principal)
	h, must := w.asOwner()
	_, old := w.file("/versioned", random(1, 100))
	id, current := w.file("/versioned", random(2, 200))
	shared := random(3, 300)
	one, ref := w.file("/d/one", shared)
	two, _ := w.file("/two", shared)
	w.later(2 * grace)
	everything := []blob.Ref{old, current, ref}
	stays := func(what string) {
		t.Helper()
		if c := w.collectTwice(); c.Unreferenced != 0 {
			t.Errorf("%s: %+v", what, c)
		}
		for _, r := range everything {
			w.whole(r)
		}
	}
	takeApart := func() {
		for more := true; more; {
			var err error
			more, err = w.tree.PurgeSome(t.Context())
			must(err)
		}
	}
	del := func(id int64) { must(h.DeleteNode(ctx, &filemeta.DeleteNodeRequest{ID: fmt.Sprint(id)})) }
	purge := func(id int64) {
		must(h.PurgeNode(ctx, &filemeta.NodeRequest{ID: fmt.Sprint(id)}))
		takeApart()
	}
	stays("old versions")
	del(id)
	del(one)
	stays("trash")
	purge(one)
	stays("one of two purged")
	must(h.PurgeNode(ctx, &filemeta.NodeRequest{ID: fmt.Sprint(id)}))
	stays("purged, not yet taken apart")
	takeApart()
	if c := w.collectTwice(); c.Deleted != 2 {
		t.Errorf("after the purge: %+v", c)
	}
	w.gone(old)
	w.gone(current)
	w.whole(ref)
	del(two)
	purge(two)
	if c := w.collectTwice(); c.Deleted != 1 || c.Blobs != 1 {
		t.Errorf("after the last purge: %+v", c)
	}
	w.gone(ref)
}

// F25: what is not ours is reported and stays.
func TestCollectForeign(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"ab/notes.txt", "ab/ABCDEF", "00/lost+found"} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.later(1000 * grace)
	c := w.collectTwice()
	if len(c.Foreign) != 3 || c.Deleted != 0 || c.Blobs != 0 {
		t.Errorf("%+v", c)
	}
	for _, name := range c.Foreign {
		if _, err := os.Stat(filepath.Join(w.dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// More blobs than are asked about in one call.
func TestCollectBatches(t *testing.T) {
	w := newWorld(t)
	const n = 1203
	for i := range int64(n) {
		// Straight into the folders: durability is not what is tested here.
		ref := blob.Ref{Digest: blob.DigestOf([]blob.Sum{{byte(i), byte(i >> 8)}}), Size: 1}
		if err := os.WriteFile(w.path(ref), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, kept := w.file("/kept", random(1, 10))
	w.later(2 * grace)
	if c := w.collectTwice(); c.Deleted != n || c.Blobs != n+1 || c.DeletedBytes != n {
		t.Errorf("%+v", c)
	}
	w.whole(kept)
}

// A collection that is cut off deletes nothing more and says so; the next one goes on.
func TestCollectInterrupted(t *testing.T) {
	w := newWorld(t)
	orphan := w.put(random(1, 10))
	w.later(2 * grace)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Collect(ctx, transfer.Collection{}); err == nil {
		t.Error("a collection that was cancelled reports success")
	}
	w.whole(orphan)
	if c := w.collectTwice(); c.Deleted != 1 {
		t.Errorf("%+v", c)
	}
}

// D7: content that lies around unused for long is uploaded again while it is being collected. Whatever the order,
// each file that was acknowledged has its bytes.
func TestCollectDuringUploads(t *testing.T) {
	w := newWorld(t)
	const files, rounds = 6, 8
	for round := range int64(rounds) {
		content := make([][]byte, files)
		for i := range content {
			size := int64(100_000) // a file, whose age the test can set
			if i == 0 {
				size = blob.BlockSize + 1000 // with block sums in a file of their own
			}
			content[i] = random(round*files+int64(i), size)
			w.age(w.put(content[i]))
		}
		refs := make([]blob.Ref, files)
		start, done := make(chan struct{}), make(chan struct{})
		var uploads, collections sync.WaitGroup
		for range 2 {
			collections.Go(func() {
				<-start
				for {
					if _, err := w.Collect(t.Context(), transfer.Collection{}); err != nil {
						t.Error(err)
						return
					}
					select {
					case <-done:
						return
					default:
					}
				}
			})
		}
		for i := range content {
			uploads.Go(func() {
				<-start
				ref, err := blob.Write(t.Context(), w.store, newSlowly(content[i]), blob.Want{Size: -1, Limit: -1})
				if err != nil {
					t.Error(err)
					return
				}
				refs[i] = ref
				if _, err := w.tree.Commit(t.Context(), &filemetapb.CommitRequest{
					Target: &filemetapb.Target{Actor: &filemetapb.Actor{UserId: owner}, Path: fmt.Sprintf("/%d-%d", round, i)},
					Blob:   &filemetapb.Blob{Digest: ref.Digest[:], Size: ref.Size},
				}); err != nil {
					t.Error(err)
				}
			})
		}
		close(start)
		uploads.Wait()
		close(done)
		collections.Wait()
		for _, ref := range refs {
			w.whole(ref)
		}
	}
	if c := w.check(true); len(c.Problems) != 0 {
		t.Errorf("afterwards: %+v", c.Problems)
	}
}

// Run collects by itself, round after round, and ends with its context.
func TestRun(t *testing.T) {
	w := newWorld(t)
	_, ref := w.file("/f", random(1, blob.BlockSize+1))
	orphan := w.put(random(2, 10))
	w.later(2 * grace)
	w.Every = time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx, func(err error) { t.Error(err); cancel() })
	}()
	for {
		missing, err := w.tree.MissingSums(ctx, &filemetapb.MissingSumsRequest{Limit: 10})
		if err != nil {
			t.Fatal(err) // also when nothing happened for so long that ctx ended
		}
		if _, err := os.Stat(w.path(orphan)); err != nil && len(missing.GetBlobs()) == 0 {
			break
		}
	}
	cancel()
	<-ended
	w.whole(ref)
}

// D7: a condemned blob waits as long as Confirm says, by the tree's clock, and through several rounds; Now waits for
// nothing but keeps the grace period.
func TestCollectConfirm(t *testing.T) {
	w := newWorld(t)
	w.Confirm = 3 * time.Hour
	w.file("/used", random(1, 10))
	orphan := w.put(random(2, 1000))
	if c := w.collectHow(transfer.Collection{Now: true}); c.Deleted != 0 || c.YoungOrphans != 1 {
		t.Errorf("now, but within the grace period: %+v", c)
	}
	w.later(2 * grace)
	for round := range 3 {
		w.tree.Now = func() time.Time { return time.Now().Add(time.Duration(round) * time.Hour) }
		if c := w.collect(); c.Deleted != 0 || c.Waiting != 1 {
			t.Errorf("round %d: %+v", round, c)
		}
	}
	w.whole(orphan)
	w.tree.Now = func() time.Time { return time.Now().Add(4 * time.Hour) }
	if c := w.collect(); c.Deleted != 1 || c.Waiting != 0 {
		t.Errorf("after the wait: %+v", c)
	}
	w.gone(orphan)

	orphan = w.put(random(3, 1000))
	if c := w.collectHow(transfer.Collection{Now: true}); c.Deleted != 1 || c.DeletedBytes != 1000 {
		t.Errorf("now: %+v", c)
	}
	w.gone(orphan)
}

// D7: content that is put again, or committed, after it was condemned is safe, and has to be condemned anew.
func TestCollectPardons(t *testing.T) {
	w := newWorld(t)
	data := [][]byte{random(1, asFile), random(2, asFile)}
	again, used := w.put(data[0]), w.put(data[1])
	w.age(again)
	w.age(used)
	if c := w.collect(); c.Waiting != 2 {
		t.Fatalf("%+v", c)
	}
	w.put(data[0])
	id, _ := w.file("/used", data[1])
	w.later(2 * grace)
	if c := w.collect(); c.Deleted != 0 || c.Waiting != 1 {
		t.Errorf("put again: %+v", c)
	}
	w.whole(again)
	w.purge(id)
	if c := w.collect(); c.Deleted != 1 || c.Waiting != 1 {
		t.Errorf("unused again: %+v", c)
	}
	w.whole(used)
	if c := w.collect(); c.Deleted != 1 {
		t.Errorf("at the end: %+v", c)
	}
}

// reserve begins an upload of content, and tells who holds it.
func (w *world) reserve(path string, ref blob.Ref) *filemetapb.ReserveResponse {
	w.t.Helper()
	r, err := w.tree.Reserve(w.t.Context(), &filemetapb.ReserveRequest{
		Target: &filemetapb.Target{Actor: &filemetapb.Actor{UserId: owner}, Path: path, Size: ref.Size},
		Digest: ref.Digest[:], ExpiresAt: time.Now().Add(time.Hour).UnixMilli(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// D7: what a live upload has claimed stays as long as it lives, whatever becomes of the file that it was found in; and what
// is about to be deleted cannot be claimed.
func TestCollectClaims(t *testing.T) {
	w := newWorld(t)
	id, ref := w.file("/f", random(1, 1000))
	claim := w.reserve("/g", ref)
	if claim.GetHolder() != filemetapb.Holder_HOLDER_SELF {
		t.Fatalf("%v", claim)
	}
	w.purge(id)
	w.later(2 * grace)
	for range 3 {
		if c := w.collect(); c.Deleted != 0 || c.Waiting != 0 {
			t.Errorf("claimed: %+v", c)
		}
	}
	w.whole(ref)
	if _, err := w.tree.Release(t.Context(), &filemetapb.ReleaseRequest{Reservation: claim.GetReservation()}); err != nil {
		t.Fatal(err)
	}
	if c := w.collectTwice(); c.Deleted != 1 {
		t.Errorf("released: %+v", c)
	}
	w.gone(ref)
}

// D7, F10: a collection that dies at any step keeps what is used and what is used again meanwhile; the next ones come to
// the end.
func TestCollectCutOff(t *testing.T) {
	for n := int64(1); ; n++ {
		w := newWorld(t)
		_, used := w.file("/used", random(1, 100))
		data := random(2, asFile)
		orphans := []blob.Ref{w.put(random(3, asFile)), w.put(random(4, blob.BlockSize+1)), w.put(data)}
		for _, o := range orphans {
			w.age(o)
		}
		d := newDying(n)
		stores, tree := w.Blobs, w.Tree
		w.Blobs = blob.Local(dyingStore{stores.All[0].Stager, d})
		w.Tree = dyingTree{tree, d}
		_, err := w.Collect(t.Context(), transfer.Collection{Now: true})
		w.Blobs, w.Tree = stores, tree
		// One of them is wanted again, wherever its end had got to.
		_, again := w.file("/again", data)
		w.whole(used)
		w.whole(again)
		w.later(2 * grace)
		for range 3 {
			w.collect()
		}
		w.whole(used)
		w.whole(again)
		for _, o := range orphans[:2] {
			w.gone(o)
		}
		if c := w.check(true); len(c.Problems) != 0 || c.Orphans != 0 {
			t.Errorf("dead at step %d: %+v", n, c)
		}
		if err == nil {
			if n < 6 { // two rounds, three deletions, and a memory that is cleared
				t.Errorf("took %d steps", n)
			}
			return
		}
	}
}

// A store that does not answer keeps no other from being collected, and is named.
func TestCollectStores(t *testing.T) {
	w := newWorld(t)
	w.second()
	inFirst := w.put(random(1, 100))
	inSecond, err := blob.Write(t.Context(), w.Blobs.All[1], bytes.NewReader(random(2, 200)), blob.Want{Size: -1, Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	w.later(2 * grace)
	w.replace(0, func(s blob.Stager) blob.Stager { return unreachable{s} })
	for range 2 {
		c, err := w.Collect(t.Context(), transfer.Collection{})
		if !errs.Is(errs.Busy, err) || len(c.Stores) != 2 || c.Stores[0].Error == "" || c.Stores[1].Error != "" {
			t.Errorf("%+v, %v", c, err)
		}
	}
	w.replace(0, func(s blob.Stager) blob.Stager { return s.(unreachable).Stager })
	w.whole(inFirst)
	if _, _, err := w.Blobs.Open(t.Context(), inSecond); !errs.Is(errs.NotFound, err) {
		t.Errorf("in the second store: %v", err)
	}
	if c := w.collectTwice(); c.Deleted != 1 || c.Stores[0].Deleted != 1 || c.Stores[0].Name != "local" {
		t.Errorf("%+v", c)
	}
}

// F32: what uploads began and nobody will finish is swept, once it is older than an upload may live; other things not.
func TestCollectSweeps(t *testing.T) {
	w := newWorld(t)
	m := new(mem.Store)
	w.Blobs.All = append(w.Blobs.All, blob.Named{Name: "mem", Stager: m})
	w.UploadLife = 72 * time.Hour
	id, err := m.Stage(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		later time.Duration
		how   transfer.Collection
		want  int64
	}{
		{0, transfer.Collection{}, 0}, {72 * time.Hour, transfer.Collection{}, 0},
		{1000 * time.Hour, transfer.Collection{DryRun: true}, 0}, {97 * time.Hour, transfer.Collection{}, 1}, {98 * time.Hour, transfer.Collection{}, 0},
	} {
		w.later(c.later)
		if got := w.collectHow(c.how); got.Swept.Staged != c.want || got.Swept.Bytes != c.want*1000 {
			t.Errorf("%v later, %+v: swept %+v", c.later, c.how, got.Swept)
		}
	}
	st, err := m.Staged(t.Context(), id, 1000)
	if err == nil {
		err = st.Commit(t.Context(), nil)
	}
	if !errs.Is(errs.NotFound, err) {
		t.Errorf("what was swept: %v", err)
	}
}

// D7: uploads that put content, that claim it and are instant, files that are deleted for ever, and collectors that wait
// for nothing, all at once on a few contents. Every file that was acknowledged and not deleted has its bytes.
func TestCollectRace(t *testing.T) {
	w := newWorld(t)
	dirs := []string{w.dir, w.second()}
	const contents, workers, steps = 6, 3, 30
	var putting sync.RWMutex // held from a put to its commit, which takes less than the grace period
	done := make(chan struct{})
	var collectors, uploads sync.WaitGroup
	for range 2 {
		collectors.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := w.Collect(t.Context(), transfer.Collection{Now: true}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var instant, plain, purged atomic.Int64
	for g := range int64(workers) {
		uploads.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 1))
			var mine []int64 // files that are there
			for i := range steps {
				if len(mine) > 0 && rnd.IntN(2) == 0 {
					w.purge(mine[0])
					mine = mine[1:]
					purged.Add(1)
					continue
				}
				data := random(int64(rnd.IntN(contents)), asFile)
				ref := w.ref(data)
				path := fmt.Sprintf("/%d-%d", g, i)
				r := w.reserve(path, ref)
				claimed := r.GetHolder() == filemetapb.Holder_HOLDER_SELF
				if !claimed {
					putting.RLock()
					to := w.Blobs.All[rnd.IntN(2)]
					if _, err := blob.Write(t.Context(), to, bytes.NewReader(data), blob.Want{Size: -1, Limit: -1}); err != nil {
						t.Error(err)
						return
					}
				}
				resp, err := w.tree.Commit(t.Context(), &filemetapb.CommitRequest{
					Target: &filemetapb.Target{Actor: &filemetapb.Actor{UserId: owner}, Path: path},
					Blob:   &filemetapb.Blob{Digest: ref.Digest[:], Size: ref.Size}, Reservation: r.GetReservation(), Claimed: claimed,
				})
				if claimed {
					instant.Add(1)
				} else {
					putting.RUnlock()
					plain.Add(1)
				}
				if err != nil {
					t.Error(err)
					return
				}
				w.whole(ref)
				mine = append(mine, resp.GetNode().GetId())
			}
		})
	}
	// Time passes: all that is there grows old, but for what is being put. What is put again was so later than before.
	collectors.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			putting.Lock()
			old := time.Now().Add(-2 * grace)
			for _, dir := range dirs {
				files, err := filepath.Glob(filepath.Join(dir, "??", "*"))
				for _, f := range files {
					if cerr := os.Chtimes(f, old, old); err == nil && !errors.Is(cerr, fs.ErrNotExist) {
						err = cerr
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
			putting.Unlock()
		}
	})
	uploads.Wait()
	close(done)
	collectors.Wait()
	if c := w.check(true); len(c.Problems) != 0 {
		t.Errorf("%+v", c.Problems)
	}
	t.Logf("%d instant, %d put, %d purged", instant.Load(), plain.Load(), purged.Load())
	if instant.Load() == 0 || plain.Load() < contents+1 || purged.Load() == 0 {
		t.Error("not all kinds of it happened")
	}
}
