package transfer

import (
	"context"
	"encoding/binary"
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
	// Duplicated blobs are in several stores, as after a migration that was cut off. They harm nothing.
	Duplicated int64 `json:"duplicated"`
	// Problems found. None: all is well.
	Problems []Problem `json:"problems"`
	// Stores are the counts of each store.
	Stores []InStore `json:"stores"`
	// Foreign things in the stores are not ours; they harm nothing.
	Foreign []string `json:"foreign,omitempty"`
}

// Problem is one breach of what we promise.
type Problem struct {
	// Code is a stable word: missing_blob, damaged_blob, quota_drift and so on.
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Check looks for breaches of the promises D6 and D10: in the tree of each drive, and between the tree and the
// stores. With readData it also reads every byte and holds it against its sum. progress, if not nil, is told of
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
	// References first, the stores after: a blob that is referred to stays, so what is missing then is missing.
	var after []byte
	for {
		page, err := s.Tree.ScanBlobs(ctx, &filemetapb.ScanBlobsRequest{After: after, Limit: batchSize})
		if err != nil {
			return c, errs.Wrap(op, err)
		}
		for _, b := range page.GetBlobs() {
			after = b.GetDigest()
			ref := blob.Ref{Digest: blob.Digest(b.GetDigest()), Size: b.GetSize()}
			c.Blobs++
			c.Bytes += ref.Size
			n, p, err := s.checkBlob(ctx, ref, readData, nil)
			c.ReadBytes += n
			if err != nil {
				return c, errs.Wrap(op, err)
			}
			if p != nil {
				c.Problems = append(c.Problems, *p)
			}
		}
		if progress != nil {
			progress(c)
		}
		if len(page.GetBlobs()) < batchSize {
			break
		}
	}
	var seen places
	found, err := s.Collect(ctx, Collection{DryRun: true, each: func(store int, e blob.Entry) {
		if len(s.Blobs.All) > 1 {
			seen.add(store, e.Digest)
		}
	}})
	if err != nil {
		return c, errs.Wrap(op, err)
	}
	c.Foreign, c.YoungOrphans, c.Orphans = found.Foreign, found.YoungOrphans, found.Unreferenced+found.YoungOrphans
	c.Stores, c.Duplicated = found.Stores, seen.several
	return c, nil
}

// checkBlob finds out whether a blob is there, and with read whether it is whole; it gives the bytes that it read and the
// problem with it, if there is one.
func (s *Service) checkBlob(ctx context.Context, ref blob.Ref, read bool, at *pace) (n int64, p *Problem, err error) {
	if read {
		n, err = readAll(ctx, s.Blobs, ref, at, io.Discard)
	} else {
		var r blob.Reader
		if r, err = (&blob.Verifier{Store: s.Blobs, Always: true}).Open(ctx, ref); err == nil {
			err = r.Close()
		}
	}
	switch {
	case err == nil:
		return n, nil, nil
	case ctx.Err() != nil:
		return n, nil, ctx.Err()
	case errs.Is(errs.Busy, err):
		return n, nil, err // the store's trouble, not the blob's
	}
	code := "damaged_blob"
	if missing(err) {
		code = "missing_blob"
		// Its last version may have gone since the tree was asked, and the blob with it.
		used, rerr := s.referenced(ctx, []blob.Entry{{Info: blob.Info{Ref: ref}}})
		if rerr != nil || !used[ref.Digest] {
			return n, nil, rerr
		}
	}
	return n, &Problem{code, ref.Digest.String() + ": " + err.Error()}, nil
}

// places counts the blobs that are in several stores. It keeps 8 bytes of a digest: a chance meeting of two among
// millions is a miscount and no more.
type places struct {
	in      map[uint64]int // the store that a blob was seen in first, or -1 once it was counted
	several int64
}

func (p *places) add(store int, d blob.Digest) {
	if p.in == nil {
		p.in = make(map[uint64]int)
	}
	key := binary.LittleEndian.Uint64(d[:])
	switch at, ok := p.in[key]; {
	case !ok:
		p.in[key] = store
	case at != store && at >= 0:
		p.in[key] = -1
		p.several++
	}
}
