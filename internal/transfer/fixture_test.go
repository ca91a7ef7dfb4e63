package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/local"
	"github.com/livil/gopan/internal/db/dbtest"
	eventlocal "github.com/livil/gopan/internal/event/local"
	"github.com/livil/gopan/internal/filemeta"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/rpc"
	"github.com/livil/gopan/internal/transfer"
)

const (
	storeID = "test-store"
	owner   = 1
	grace   = time.Hour
	// asFile is a size that the store keeps as a file, which tests can make old and damage.
	asFile = 70_000
)

// world is a store on disk, a tree that refers to it, and the work behind them.
type world struct {
	*transfer.Service
	t     *testing.T
	dir   string // of the store
	dbDir string
	tree  *filemeta.Service
	store *local.Store
}

// openStore makes a store in a folder of its own.
func openStore(t *testing.T) (string, *local.Store) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "blobs")
	if err := local.Init(dir, storeID); err != nil {
		t.Fatal(err)
	}
	return dir, openFolder(t, dir)
}

// openFolder opens a store that is there.
func openFolder(t *testing.T, dir string) *local.Store {
	t.Helper()
	s, err := local.Open(dir, storeID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	w.dir, w.store = openStore(t)
	w.dbDir = t.TempDir()
	d := dbtest.Open(t, w.dbDir)
	w.tree = &filemeta.Service{DB: d}
	log := eventlocal.New(w.tree.Apply)
	w.tree.Log = log
	t.Cleanup(func() {
		if err := errors.Join(log.Close(), d.Close()); err != nil {
			t.Error(err)
		}
	})
	w.Service = &transfer.Service{Blobs: blob.Local(w.store), Tree: client(w.tree), Grace: grace, SumRate: 1 << 40}
	return w
}

// client calls a tree as other roles do.
func client(tree *filemeta.Service) filemetapb.FileMetaClient {
	return filemetapb.NewFileMetaClient(rpc.Local([]rpc.Service{{Desc: &filemetapb.FileMeta_ServiceDesc, Impl: filemeta.RPC{Service: tree}}}))
}

// later sets the clock of the work ahead.
func (w *world) later(d time.Duration) { w.Now = func() time.Time { return time.Now().Add(d) } }

// put stores bytes that nothing refers to yet.
func (w *world) put(data []byte) blob.Ref {
	w.t.Helper()
	ref, err := blob.Write(w.t.Context(), w.store, bytes.NewReader(data), blob.Want{Size: -1, Limit: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	return ref
}

// file stores bytes as the content of a file.
func (w *world) file(path string, data []byte) (int64, blob.Ref) {
	w.t.Helper()
	return w.fileOf(owner, path, data)
}

// fileOf stores bytes as the content of a file of somebody.
func (w *world) fileOf(user int64, path string, data []byte) (int64, blob.Ref) {
	w.t.Helper()
	ref := w.put(data)
	r, err := w.tree.Commit(w.t.Context(), &filemetapb.CommitRequest{
		Target: &filemetapb.Target{Actor: &filemetapb.Actor{UserId: user}, Path: path, Parents: true},
		Blob:   &filemetapb.Blob{Digest: ref.Digest[:], Size: ref.Size},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r.GetNode().GetId(), ref
}

// second adds another store, in a folder of its own.
func (w *world) second() (dir string) {
	w.t.Helper()
	dir, s := openStore(w.t)
	w.Blobs.All = append(w.Blobs.All, blob.Named{Name: "second", Stager: s})
	return dir
}

// replace puts a store that tests can break into the place of one.
func (w *world) replace(i int, with func(blob.Stager) blob.Stager) {
	w.Blobs.All[i].Stager = with(w.Blobs.All[i].Stager)
}

// purge deletes a file for ever, and what was its content alone is referred to no more.
func (w *world) purge(id int64) {
	w.t.Helper()
	ctx := auth.With(w.t.Context(), principal)
	h, must := w.asOwner()
	must(h.DeleteNode(ctx, &filemeta.DeleteNodeRequest{ID: fmt.Sprint(id)}))
	must(h.PurgeNode(ctx, &filemeta.NodeRequest{ID: fmt.Sprint(id)}))
	for more := true; more; {
		var err error
		more, err = w.tree.PurgeSome(w.t.Context())
		must(err)
	}
}

// random are bytes that differ for each seed.
func random(seed, n int64) []byte { return blobtest.Bytes(seed, n) }

// collect does one round.
func (w *world) collect() transfer.Collected { return w.collectHow(transfer.Collection{}) }

// collectTwice does the two rounds that it takes to delete something, and gives what the second did.
func (w *world) collectTwice() transfer.Collected {
	w.t.Helper()
	if c := w.collect(); c.Deleted != 0 {
		w.t.Errorf("deleted in the first round: %+v", c)
	}
	return w.collect()
}

func (w *world) collectHow(how transfer.Collection) transfer.Collected {
	w.t.Helper()
	c, err := w.Collect(w.t.Context(), how)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) check(readData bool) transfer.Checked {
	w.t.Helper()
	c, err := w.Check(w.t.Context(), readData, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// whole fails the test unless a blob can be read and is what its digest says.
func (w *world) whole(ref blob.Ref) {
	w.t.Helper()
	r, err := (&blob.Verifier{Store: w.Blobs, Always: true}).Open(w.t.Context(), ref)
	if err != nil {
		w.t.Errorf("%s is gone: %v", ref.Digest, err)
		return
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil || int64(b.Len()) != ref.Size {
		w.t.Errorf("%s: %d of %d bytes, %v", ref.Digest, b.Len(), ref.Size, err)
	}
}

// gone fails the test if anything of a blob is left.
func (w *world) gone(ref blob.Ref) {
	w.t.Helper()
	for _, f := range []string{w.path(ref), w.path(ref) + ".sums"} {
		if _, err := os.Stat(f); !errors.Is(err, os.ErrNotExist) {
			w.t.Errorf("%s is still there: %v", filepath.Base(f), err)
		}
	}
}

// path of a blob's file.
func (w *world) path(ref blob.Ref) string {
	name := ref.Digest.String()
	return filepath.Join(w.dir, name[:2], name)
}

// age makes a blob look as if it had been put before the grace period.
func (w *world) age(ref blob.Ref) {
	w.t.Helper()
	old := time.Now().Add(-2 * grace)
	for _, f := range []string{w.path(ref), w.path(ref) + ".sums"} {
		if err := os.Chtimes(f, old, old); err != nil && !(strings.HasSuffix(f, ".sums") && ref.Size <= blob.BlockSize) {
			w.t.Fatal(err)
		}
	}
}

// asOwner is the tree as its owner calls it.
func (w *world) asOwner() (*filemeta.HTTP, func(error)) {
	return &filemeta.HTTP{Service: w.tree}, func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// asUser is the context of a request of the owner's.
func asUser(ctx context.Context) context.Context { return auth.With(ctx, principal) }

var principal = auth.Principal{UserID: owner}
