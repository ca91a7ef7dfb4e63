package transfer

import (
	"context"
	"crypto/md5"  //nolint:gosec // a transport checksum that clients ask for, never identity (promise S7)
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"io"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// FillSums computes the whole-content sums of blobs that have none yet.
func (s *Service) FillSums(ctx context.Context) error {
	const op = errs.Op("transfer.FillSums")
	if s.SumRate <= 0 {
		return nil
	}
	at := newPace(s.SumRate)
	var after []byte
	for {
		page, err := s.Tree.MissingSums(ctx, &filemetapb.MissingSumsRequest{After: after, Limit: batchSize})
		if err != nil {
			return errs.Wrap(op, err)
		}
		for _, b := range page.GetBlobs() {
			if err := s.sum(ctx, b, at); err != nil && !errs.Is(errs.Corrupt, err) {
				return errs.Wrap(op, err)
			}
			after = b.GetDigest() // damage is for the check to report, and no reason to stop
		}
		if len(page.GetBlobs()) < batchSize {
			return nil
		}
	}
}

func (s *Service) sum(ctx context.Context, b *filemetapb.Blob, at *pace) error {
	h256, h1, h5 := sha256.New(), sha1.New(), md5.New()
	ref := blob.Ref{Digest: blob.Digest(b.GetDigest()), Size: b.GetSize()}
	if _, err := readAll(ctx, s.Blobs, ref, at, io.MultiWriter(h256, h1, h5)); err != nil {
		return err
	}
	b.Sha256, b.Sha1, b.Md5 = h256.Sum(nil), h1.Sum(nil), h5.Sum(nil)
	_, err := s.Tree.PutSums(ctx, b)
	return err
}
