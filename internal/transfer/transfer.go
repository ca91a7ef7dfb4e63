// Package transfer is the work behind the scenes: it collects blobs that nothing refers to, fills in sums that
// clients may ask for, and checks that everything stored is whole.
package transfer

import (
	"context"
	"crypto/md5"  //nolint:gosec // a transport checksum that clients ask for, never identity (promise S7)
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"io"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Service does the work. Each kind of work can be cut off anywhere and be done again.
type Service struct {
	// Blobs are the stores that the work is on.
	Blobs *blob.Stores
	// Tree is the filemeta role.
	Tree filemetapb.FileMetaClient
	// Grace is how old a blob must be before it can be collected: longer than the longest upload.
	Grace time.Duration
	// Every is the time between two rounds of work.
	Every time.Duration
	// SumRate bounds how fast blobs are read for their sums, in bytes a second; 0: do not compute them.
	SumRate int64
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
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := s.Collect(ctx, false); err != nil && ctx.Err() == nil {
			failed(err)
		}
		if err := s.FillSums(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

// batchSize is how many blobs are asked about in one call.
const batchSize = 500

// FillSums computes the whole-content sums of blobs that have none yet.
func (s *Service) FillSums(ctx context.Context) error {
	const op = errs.Op("transfer.FillSums")
	if s.SumRate <= 0 {
		return nil
	}
	var after []byte
	for {
		page, err := s.Tree.MissingSums(ctx, &filemetapb.MissingSumsRequest{After: after, Limit: batchSize})
		if err != nil {
			return errs.Wrap(op, err)
		}
		for _, b := range page.GetBlobs() {
			if err := s.sum(ctx, b); err != nil && !errs.Is(errs.Corrupt, err) {
				return errs.Wrap(op, err)
			}
			after = b.GetDigest() // damage is for the check to report, and no reason to stop
		}
		if len(page.GetBlobs()) < batchSize {
			return nil
		}
	}
}

func (s *Service) sum(ctx context.Context, b *filemetapb.Blob) error {
	v := &blob.Verifier{Store: s.Blobs, Always: true}
	r, err := v.Open(ctx, blob.Ref{Digest: blob.Digest(b.GetDigest()), Size: b.GetSize()})
	if err != nil {
		return err
	}
	defer r.Close()
	h256, h1, h5 := sha256.New(), sha1.New(), md5.New()
	if _, err := io.Copy(io.MultiWriter(h256, h1, h5), &limited{ctx: ctx, r: r, rate: s.SumRate, began: time.Now()}); err != nil {
		return err
	}
	b.Sha256, b.Sha1, b.Md5 = h256.Sum(nil), h1.Sum(nil), h5.Sum(nil)
	_, err = s.Tree.PutSums(ctx, b)
	return err
}

// limited reads at most rate bytes a second, and ends with its context.
type limited struct {
	ctx   context.Context
	r     io.Reader
	rate  int64
	began time.Time
	n     int64
}

// ahead is how much sooner than its rate allows the reader has come so far.
func (l *limited) ahead() time.Duration {
	// In floats: bytes times nanoseconds leave 63 bits at 9 GB.
	return time.Duration(float64(l.n)/float64(l.rate)*float64(time.Second)) - time.Since(l.began)
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if ahead := l.ahead(); ahead > 0 {
		t := time.NewTimer(ahead)
		defer t.Stop()
		select {
		case <-t.C:
		case <-l.ctx.Done():
		}
	}
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := l.r.Read(p)
	l.n += int64(n)
	return n, err
}
