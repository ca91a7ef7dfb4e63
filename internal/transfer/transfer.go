// Package transfer is the work behind the scenes: it collects blobs that nothing refers to, reads what is stored to
// see that it is whole, fills in sums that clients may ask for, and moves content between stores.
package transfer

import (
	"context"
	"sync"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/kv"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Service does the work. Each kind of work can be cut off anywhere and be done again.
type Service struct {
	// Blobs are the stores that the work is on.
	Blobs *blob.Stores
	// Tree is the filemeta role.
	Tree filemetapb.FileMetaClient
	// KV keeps how far a scrub has come; nil: no scrub.
	KV kv.Store
	// Grace is how old a blob must be before it can be condemned: longer than any upload in one request.
	Grace time.Duration
	// Confirm is how long a condemned blob waits for its end.
	Confirm time.Duration
	// UploadLife is how long an upload in many requests may do nothing; 0: what such uploads left is not swept.
	UploadLife time.Duration
	// Every is the time between two rounds of work.
	Every time.Duration
	// SumRate bounds how fast blobs are read for their sums, in bytes a second; 0: do not compute them.
	SumRate int64
	// ScrubRate bounds how fast blobs are read to see that they are whole, in bytes a second.
	ScrubRate int64
	// ScrubEvery is the time from the beginning of one reading of everything to the next; 0: never.
	ScrubEvery time.Duration
	// Lease is how long a part of a migration stays with a process that died; 0: 15 seconds.
	Lease time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (s *Service) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// Run works, a round at a time, until ctx ends. What fails is reported and tried again in the next round.
func (s *Service) Run(ctx context.Context, failed func(error)) {
	rounds := func(every time.Duration, work ...func(context.Context) error) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			for _, w := range work {
				if err := w(ctx); err != nil && ctx.Err() == nil {
					failed(err)
				}
			}
		}
	}
	var wg sync.WaitGroup
	// Reading everything takes days, and the rest is not to wait for it.
	wg.Go(func() { rounds(min(s.Every, scrubLook), s.Scrub) })
	wg.Go(func() { s.keepMoving(ctx, failed) })
	rounds(s.Every, func(ctx context.Context) error { _, err := s.Collect(ctx, Collection{}); return err }, s.FillSums)
	wg.Wait()
}

// batchSize is how many blobs are asked about in one call.
const batchSize = 500
