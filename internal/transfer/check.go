package transfer

import (
	"context"
	"io"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Checked is what a check found, for people and programs.
type Checked struct {
	Drives   int64 `json:"drives"`
	Nodes    int64 `json:"nodes"`
	Versions int64 `json:"versions"`
	// Blobs that versions refer to, and their bytes.
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
	// ReadBytes were read and held against their sums.
	ReadBytes int64 `json:"readBytes"`
	// Orphans are blobs that no version refers to; YoungOrphans of them are within the grace period, as uploads
	// under way are.
	Orphans      int64 `json:"orphans"`
	YoungOrphans int64 `json:"youngOrphans"`
	// Problems found. None: all is well.
	Problems []Problem `json:"problems"`
	// Foreign things in the store are not ours; they harm nothing.
	Foreign []string `json:"foreign,omitempty"`
}

// Problem is one breach of what we promise.
type Problem struct {
	// Code is a stable word: missing_blob, damaged_blob, quota_drift and so on.
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Check looks for breaches of the promises D6 and D10: in the tree of each drive, and between the tree and the
// store. With readData it also reads every byte and holds it against its sum. progress, if not nil, is told of
// blobs as they are done.
func (s *Service) Check(ctx context.Context, readData bool, progress func(Checked)) (Checked, error) {
	const op = errs.Op("transfer.Check")
	c := Checked{Problems: []Problem{}}
	for last := int64(0); ; {
		resp, err := s.Tree.CheckTree(ctx, &filemetapb.CheckTreeRequest{AfterDrive: last})
		if err != nil {
			return c, errs.Wrap(op, err)
		}
		if last = resp.GetDrive(); last == 0 {
			break
		}
		c.Drives++
		c.Nodes += resp.GetNodes()
		c.Versions += resp.GetVersions()
		for _, p := range resp.GetProblems() {
			c.Problems = append(c.Problems, Problem{p.GetCode(), p.GetDetail()})
		}
	}
	// References first, the store after: a blob that is referred to stays, so what is missing then is missing.
	var after []byte
	for {
		page, err := s.Tree.ScanBlobs(ctx, &filemetapb.ScanBlobsRequest{After: after, Limit: batchSize})
		if err != nil {
			return c, errs.Wrap(op, err)
		}
		for _, b := range page.GetBlobs() {
			after = b.GetDigest()
			if err := s.checkBlob(ctx, b, readData, &c); err != nil {
				return c, errs.Wrap(op, err)
			}
		}
		if progress != nil {
			progress(c)
		}
		if len(page.GetBlobs()) < batchSize {
			break
		}
	}
	found, err := s.Collect(ctx, true)
	if err != nil {
		return c, errs.Wrap(op, err)
	}
	c.Foreign, c.YoungOrphans, c.Orphans = found.Foreign, found.YoungOrphans, found.Unreferenced+found.YoungOrphans
	return c, nil
}

func (s *Service) checkBlob(ctx context.Context, b *filemetapb.Blob, readData bool, c *Checked) error {
	ref := blob.Ref{Digest: blob.Digest(b.GetDigest()), Size: b.GetSize()}
	c.Blobs++
	c.Bytes += ref.Size
	r, err := (&blob.Verifier{Store: s.Blobs, Always: true}).Open(ctx, ref)
	if err == nil {
		if readData {
			var n int64
			n, err = io.Copy(io.Discard, &stoppable{ctx, r})
			c.ReadBytes += n
		}
		if cerr := r.Close(); err == nil {
			err = cerr
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errs.Is(errs.Busy, err):
		return err
	}
	code := "damaged_blob"
	if missing(err) {
		code = "missing_blob"
	}
	c.Problems = append(c.Problems, Problem{code, ref.Digest.String() + ": " + err.Error()})
	return nil
}

// stoppable ends with its context.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (s *stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

// missing tells whether a blob is not there at all, among the ways in which it can be bad.
func missing(err error) bool {
	for {
		e, ok := err.(*errs.Error) //nolint:errorlint // walks the chain link by link
		if !ok {
			return false
		}
		if e.Kind == errs.NotFound {
			return true
		}
		err = e.Err
	}
}
