package transfer

import (
	"context"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Collected is what a collection did, for people and programs.
type Collected struct {
	// Blobs and Bytes that were in the store.
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
	// Unreferenced are older than the grace period and no version refers to them.
	Unreferenced      int64 `json:"unreferenced"`
	UnreferencedBytes int64 `json:"unreferencedBytes"`
	// Deleted of those; none in a dry run.
	Deleted      int64 `json:"deleted"`
	DeletedBytes int64 `json:"deletedBytes"`
	// YoungOrphans are unreferenced too, but within the grace period, as uploads under way are.
	YoungOrphans int64 `json:"youngOrphans"`
	// Foreign things in the store are not ours and stay.
	Foreign []string `json:"foreign,omitempty"`
}

// Collect deletes the blobs that no version refers to and that were put longer than Grace ago; with dryRun it
// only counts them. A blob that is put again while this runs is young again, and the store itself holds
// its deletion against its age (promise D7).
func (s *Service) Collect(ctx context.Context, dryRun bool) (Collected, error) {
	var c Collected
	for _, st := range s.Blobs.All {
		if err := s.collectFrom(ctx, st, dryRun, &c); err != nil {
			return c, errs.Wrap("transfer.Collect", err)
		}
	}
	return c, nil
}

func (s *Service) collectFrom(ctx context.Context, from blob.Named, dryRun bool, c *Collected) error {
	cutoff := s.now().Add(-s.Grace)
	batch := make([]blob.Entry, 0, batchSize)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		used, err := s.referenced(ctx, batch)
		if err != nil {
			return err
		}
		for _, e := range batch {
			if used[e.Digest] {
				continue
			}
			if !e.PutAt.Before(cutoff) {
				c.YoungOrphans++
				continue
			}
			c.Unreferenced++
			c.UnreferencedBytes += e.Size
			if dryRun {
				continue
			}
			gone, err := from.Delete(ctx, e.Digest, cutoff)
			if err != nil {
				return err
			}
			if gone {
				c.Deleted++
				c.DeletedBytes += e.Size
			}
		}
		batch = batch[:0]
		return nil
	}
	err := from.List(ctx, func(e blob.Entry) error {
		if e.Foreign != "" {
			c.Foreign = append(c.Foreign, e.Foreign)
			return nil
		}
		c.Blobs++
		c.Bytes += e.Size
		if batch = append(batch, e); len(batch) == batchSize {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	return err
}

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
