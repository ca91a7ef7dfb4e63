package transfer_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	kvlocal "github.com/livil/gopan/internal/kv/local"
	"github.com/livil/gopan/internal/transfer"
)

// scrubbing gives a world whose work reads everything, as fast as it can.
func scrubbing(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	store, err := kvlocal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.KV, w.ScrubEvery, w.ScrubRate = store, 24*time.Hour, 1<<40
	return w
}

func (w *world) scrub() {
	w.t.Helper()
	if err := w.Scrub(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) scrubStatus() transfer.ScrubStatus {
	w.t.Helper()
	st, err := w.ScrubStatus(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// counting is a store that counts how often blobs are opened, and tells each time.
type counting struct {
	blob.Stager
	n      atomic.Int64
	opened func(n int64)
}

func (c *counting) Open(ctx context.Context, ref blob.Ref) (blob.Reader, []blob.Sum, error) {
	if n := c.n.Add(1); c.opened != nil {
		c.opened(n)
	}
	return c.Stager.Open(ctx, ref)
}

// counted has a world's store count.
func (w *world) counted() *counting {
	c := new(counting)
	w.replace(0, func(s blob.Stager) blob.Stager { c.Stager = s; return c })
	return c
}

// F23, F24, D6: everything is read; damage and loss are found, counted and named; and what is fine is no news. It is
// done again when it is time, and not before.
func TestScrub(t *testing.T) {
	w := scrubbing(t)
	if st := w.scrubStatus(); st.Now != nil || st.Last != nil {
		t.Errorf("before: %+v", st)
	}
	_, good := w.file("/good", random(1, 2*blob.BlockSize+5))
	_, bad := w.file("/bad", random(2, blob.BlockSize+5))
	_, lost := w.file("/lost", random(3, 1000))
	orphan := w.put(random(4, asFile))
	w.scrub()
	st := w.scrubStatus()
	if l := st.Last; st.Now != nil || l == nil || l.Damaged != 0 || l.Blobs != 3 || l.Bytes != good.Size+bad.Size+lost.Size || l.Ended.IsZero() {
		t.Fatalf("all is well: %+v", l)
	}
	before := damagedTotal(t)
	flip(t, w.path(bad), blob.BlockSize+1)
	if _, err := w.store.Delete(t.Context(), lost.Digest, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	flip(t, w.path(orphan), 5) // nobody misses it
	reads := w.counted()
	w.later(23 * time.Hour)
	w.scrub()
	if reads.n.Load() != 0 {
		t.Errorf("read %d blobs before it was time", reads.n.Load())
	}
	w.later(24 * time.Hour)
	w.scrub()
	l := w.scrubStatus().Last
	if l.Damaged != 2 || len(l.Problems) != 2 || l.Blobs != 3 {
		t.Fatalf("%+v", l)
	}
	codes := map[string]string{}
	for _, p := range l.Problems {
		codes[strings.SplitN(p.Detail, ":", 2)[0]] = p.Code
	}
	if codes[bad.Digest.String()] != "damaged_blob" || codes[lost.Digest.String()] != "missing_blob" {
		t.Errorf("%v", codes)
	}
	if got := damagedTotal(t) - before; got != 2 {
		t.Errorf("the metric rose by %v", got)
	}
	w.ScrubEvery = 0
	w.later(1000 * time.Hour)
	n := reads.n.Load()
	w.scrub()
	if reads.n.Load() != n {
		t.Error("read although it is off")
	}
}

func damagedTotal(t *testing.T) float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "gopan_scrub_damaged_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("there is no such metric")
	return 0
}

// A scrub that is stopped anywhere goes on behind what it has read, in another process too, and keeps what it found; one
// in a process that died goes on when its lease is over.
func TestScrubResumes(t *testing.T) {
	w := scrubbing(t)
	const files = 5
	var first blob.Ref
	for i := range int64(files) {
		_, ref := w.file(fmt.Sprintf("/f%d", i), random(i, asFile))
		if i == 0 || ref.Digest.String() < first.Digest.String() {
			first = ref
		}
	}
	flip(t, w.path(first), 1)
	reads := w.counted()
	ctx, cancel := context.WithCancel(t.Context())
	reads.opened = func(n int64) {
		if n == 3 {
			cancel()
		}
	}
	if err := w.Scrub(ctx); err == nil {
		t.Fatal("a scrub that was cancelled reports success")
	}
	st := w.scrubStatus()
	if st.Last != nil || st.Now == nil || st.Now.Blobs != 2 || st.Now.Damaged != 1 {
		t.Fatalf("%+v", st.Now)
	}
	reads.opened = nil
	again := *w.Service
	if err := again.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l := w.scrubStatus().Last; l == nil || l.Blobs != files || l.Damaged != 1 || reads.n.Load() != files+1 {
		t.Errorf("%+v, %d reads", l, reads.n.Load())
	}

	// Another process reads: this one leaves it alone, until that one's lease is over.
	w.later(25 * time.Hour)
	if mine, err := w.KV.Swap(t.Context(), "transfer/scrub/lease", nil, []byte("other"), time.Hour); err != nil || !mine {
		t.Fatal(mine, err)
	}
	n := reads.n.Load()
	w.scrub()
	if reads.n.Load() != n {
		t.Error("two processes read at once")
	}
	w.KV.(*kvlocal.Store).Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	w.scrub()
	if reads.n.Load() != n+files {
		t.Errorf("read %d blobs after the lease was over", reads.n.Load()-n)
	}
}

// A store that does not answer is no damage: reading stops, and goes on when it does. Neither is a blob that went for
// ever since it was listed.
func TestScrubNoFalseAlarm(t *testing.T) {
	w := scrubbing(t)
	var ids []int64
	var refs []blob.Ref
	for i := range int64(3) {
		id, ref := w.file(fmt.Sprintf("/f%d", i), random(i, 1000))
		ids, refs = append(ids, id), append(refs, ref)
	}
	w.replace(0, func(s blob.Stager) blob.Stager { return unreachable{s} })
	if err := w.Scrub(t.Context()); !errs.Is(errs.Busy, err) {
		t.Fatalf("no answer: %v", err)
	}
	w.replace(0, func(s blob.Stager) blob.Stager { return s.(unreachable).Stager })
	reads := w.counted()
	reads.opened = func(n int64) {
		if n != 1 {
			return
		}
		for i := range ids {
			w.purge(ids[i])
			if _, err := w.store.Delete(context.Background(), refs[i].Digest, time.Now().Add(time.Hour)); err != nil {
				t.Error(err)
			}
		}
	}
	w.scrub()
	if l := w.scrubStatus().Last; l == nil || l.Damaged != 0 {
		t.Errorf("%+v", l)
	}
}

// The same holds for whoever checks everything, in all stores.
func TestCheckStores(t *testing.T) {
	w := newWorld(t)
	second := w.second()
	_, here := w.file("/here", random(1, 100))
	_, there := w.file("/there", random(2, blob.BlockSize+1))
	w.migrate(transfer.Migration{From: "local", To: "second", MinSize: blob.BlockSize})
	w.put(random(2, blob.BlockSize+1)) // again, so it is in both
	w.put(random(3, 50))
	if c := w.check(true); len(c.Problems) != 0 || c.Duplicated != 1 || c.Orphans != 1 || c.Stores[0].YoungOrphans != 1 || c.Stores[1].YoungOrphans != 0 ||
		c.ReadBytes != here.Size+there.Size {
		t.Errorf("%+v", c)
	}
	if _, err := w.store.Delete(t.Context(), there.Digest, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	name := there.Digest.String()
	flip(t, second+"/"+name[:2]+"/"+name, 7)
	if c := w.check(true); len(c.Problems) != 1 || c.Problems[0].Code != "damaged_blob" || c.Duplicated != 0 {
		t.Errorf("damaged in the second store: %+v", c)
	}
	w.replace(1, func(s blob.Stager) blob.Stager { return unreachable{s} })
	if _, err := w.Check(t.Context(), false, nil); !errs.Is(errs.Busy, err) {
		t.Errorf("a store that does not answer: %v", err)
	}
	usage, err := w.Usage(t.Context())
	if err != nil || len(usage) != 2 || usage[0].Error != "" || usage[0].Blobs != 2 || usage[1].Error == "" {
		t.Errorf("%+v, %v", usage, err)
	}
}
