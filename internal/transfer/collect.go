package transfer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/faultpoint"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Collection is how to collect.
type Collection struct {
	// DryRun only counts.
	DryRun bool
	// Now does two rounds at once and has nothing wait: for an operator who knows that no upload is under way.
	Now bool
	// each, if not nil, is told of all blobs of a store.
	each func(store int, e blob.Entry)
}

// Collected is what a collection did, for people and programs.
type Collected struct {
	Counted
	// Stores are the counts of each store.
	Stores []InStore `json:"stores"`
	// Foreign things in the stores are not ours and stay; those outside the local store have its name before them.
	Foreign []string `json:"foreign,omitempty"`
}

// InStore is what a collection counted in one store.
type InStore struct {
	Name string `json:"name"`
	Counted
	// Error tells why the store could not be looked through to its end.
	Error string `json:"error,omitempty"`
}

// Counted are the counts of a collection.
type Counted struct {
	// Blobs and Bytes that were there.
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
	// Unreferenced are older than the grace period, and no version refers to them, and no upload claims them.
	Unreferenced      int64 `json:"unreferenced"`
	UnreferencedBytes int64 `json:"unreferencedBytes"`
	// Waiting of those are condemned, and a later round deletes them.
	Waiting int64 `json:"waiting"`
	// Deleted of those; none in a dry run.
	Deleted      int64 `json:"deleted"`
	DeletedBytes int64 `json:"deletedBytes"`
	// YoungOrphans are unreferenced too, but within the grace period, as uploads under way are.
	YoungOrphans int64 `json:"youngOrphans"`
	// Swept is what was dropped of uploads that nobody will finish.
	Swept blob.Swept `json:"swept"`
}

func (c *Counted) add(o Counted) {
	c.Blobs += o.Blobs
	c.Bytes += o.Bytes
	c.Unreferenced += o.Unreferenced
	c.UnreferencedBytes += o.UnreferencedBytes
	c.Waiting += o.Waiting
	c.Deleted += o.Deleted
	c.DeletedBytes += o.DeletedBytes
	c.YoungOrphans += o.YoungOrphans
	c.Swept.Staged += o.Swept.Staged
	c.Swept.Bytes += o.Swept.Bytes
}

// sweepMargin is for clocks that differ: what an upload began is swept so long after its end.
const sweepMargin = 24 * time.Hour

// Collect does one round of the collection in two phases (promise D7). A blob older than Grace that no version
// refers to and no upload claims is condemned; one that is still so in a later round, Confirm after the first, is
// deleted. Whether it is, filemeta decides in one transaction; from then on nobody can claim it, and who puts it again
// makes it young, which the store looks at before it deletes. Then what uploads left that nobody will finish is
// swept. A store that fails keeps no other from its round.
func (s *Service) Collect(ctx context.Context, how Collection) (Collected, error) {
	var c Collected
	var failed []error
	for i, st := range s.Blobs.All {
		r := round{Service: s, how: how, index: i, store: st, name: rand.Text(), cutoff: s.now().Add(-s.Grace)}
		err := r.run(ctx)
		in := InStore{Name: st.Name, Counted: r.c}
		if err != nil {
			in.Error = err.Error()
			failed = append(failed, fmt.Errorf("store %s: %w", st.Name, err))
		}
		c.add(r.c)
		c.Stores = append(c.Stores, in)
		for _, f := range r.foreign {
			if i > 0 {
				f = st.Name + ":" + f
			}
			c.Foreign = append(c.Foreign, f)
		}
	}
	return c, errs.Wrap("transfer.Collect", errors.Join(failed...))
}

// round is one round of the collection in one store.
type round struct {
	*Service
	how    Collection
	index  int
	store  blob.Named
	name   string
	cutoff time.Time

	c       Counted
	foreign []string
	batch   []blob.Entry
}

func (r *round) run(ctx context.Context) error {
	err := r.store.List(ctx, func(e blob.Entry) error {
		if e.Foreign != "" {
			r.foreign = append(r.foreign, e.Foreign)
			return nil
		}
		if r.how.each != nil {
			r.how.each(r.index, e)
		}
		r.c.Blobs++
		r.c.Bytes += e.Size
		if r.batch = append(r.batch, e); len(r.batch) == batchSize {
			return r.judge(ctx)
		}
		return nil
	})
	if err == nil {
		err = r.judge(ctx)
	}
	if err == nil && !r.how.DryRun && r.UploadLife > 0 {
		r.c.Swept, err = r.store.Sweep(ctx, r.now().Add(-r.UploadLife-sweepMargin))
	}
	return err
}

// judge deals with the blobs gathered so far. Only those that no version refers to are condemned: of the many that
// one does, nothing need be written.
func (r *round) judge(ctx context.Context) error {
	if len(r.batch) == 0 {
		return nil
	}
	used, err := r.referenced(ctx, r.batch)
	if err != nil {
		return err
	}
	old := r.batch[:0]
	for _, e := range r.batch {
		switch {
		case used[e.Digest]:
		case e.PutAt.Before(r.cutoff):
			old = append(old, e)
		default:
			r.c.YoungOrphans++
		}
	}
	r.batch = r.batch[:0]
	if !r.how.DryRun && len(old) > 0 {
		return r.condemn(ctx, old)
	}
	for _, e := range old {
		r.c.Unreferenced++
		r.c.UnreferencedBytes += e.Size
	}
	return nil
}

// condemn asks filemeta what becomes of old blobs, and deletes those whose time has come.
func (r *round) condemn(ctx context.Context, old []blob.Entry) error {
	req := &filemetapb.CondemnRequest{Store: r.store.Name, Round: r.name, Wait: r.Confirm.Milliseconds()}
	for _, e := range old {
		req.Blobs = append(req.Blobs, &filemetapb.StoredBlob{Digest: e.Digest[:], PutAt: e.PutAt.UnixNano()})
	}
	if r.how.Now {
		req.Wait = 0
		if _, err := r.Tree.Condemn(ctx, req); err != nil {
			return err
		}
		req.Round = r.name + "again"
	}
	resp, err := r.Tree.Condemn(ctx, req)
	if err != nil {
		return err
	}
	faultpoint.Hit("gc.condemned")
	done := &filemetapb.ForgetRequest{Store: r.store.Name}
	var failed error
	for i, v := range resp.GetVerdicts() {
		e := old[i]
		if v == filemetapb.Verdict_VERDICT_USED {
			continue
		}
		r.c.Unreferenced++
		r.c.UnreferencedBytes += e.Size
		if v == filemetapb.Verdict_VERDICT_WAITS {
			r.c.Waiting++
			continue
		}
		// Exactly the blob that was judged: one that was put again since is another matter.
		gone, err := r.store.Delete(ctx, e.Digest, e.PutAt.Add(1))
		if err != nil {
			failed = err
			break
		}
		faultpoint.Hit("gc.deleted")
		if gone {
			r.c.Deleted++
			r.c.DeletedBytes += e.Size
		}
		done.Digests = append(done.Digests, e.Digest[:])
	}
	if len(done.GetDigests()) > 0 {
		_, err = r.Tree.Forget(ctx, done)
		faultpoint.Hit("gc.forgotten")
	}
	return errors.Join(failed, err)
}

// referenced finds which of the blobs a version refers to.
func (s *Service) referenced(ctx context.Context, entries []blob.Entry) (map[blob.Digest]bool, error) {
	req := new(filemetapb.ReferencedRequest)
	for _, e := range entries {
		req.Digests = append(req.Digests, e.Digest[:])
	}
	resp, err := s.Tree.Referenced(ctx, req)
	if err != nil {
		return nil, err
	}
	used := make(map[blob.Digest]bool, len(resp.GetDigests()))
	for _, d := range resp.GetDigests() {
		used[blob.Digest(d)] = true
	}
	return used, nil
}
