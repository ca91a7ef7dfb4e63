package transfer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/blob"
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
