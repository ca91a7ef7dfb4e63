package upload

import (
	"context"
	"io"
	"sync"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// reuse finds blocks of the plan in earlier contents of the file, which then are copied and not sent. An earlier
// content that cannot be read is no error: its blocks are sent.
func (s *Service) reuse(ctx context.Context, u *session, plan []planned, previous []*filemetapb.Blob) {
	left := len(plan)
	for _, p := range previous {
		if left == 0 || len(p.GetDigest()) != len(blob.Digest{}) {
			continue
		}
		src := source{Digest: p.GetDigest(), Size: p.GetSize()}
		sums := s.sumsOf(ctx, src.ref())
		place := make(map[blob.Sum]int, len(sums))
		for n, sum := range sums {
			place[sum] = n
		}
		last, found := -1, 0 // the block of this source that the one before came from
		for i := range plan {
			n, ok := place[plan[i].sum]
			if plan[i].from > 0 || !ok {
				last = -1
				continue
			}
			// Equal blocks are there more than once at times. What is next to one another is copied in one go, so
			// the same place is best, and then the one after the last.
			if i < len(sums) && sums[i] == plan[i].sum {
				n = i
			} else if last >= 0 && last+1 < len(sums) && sums[last+1] == plan[i].sum {
				n = last + 1
			}
			plan[i].from, plan[i].block = uint8(len(u.Sources)+1), uint32(n) //nolint:gosec // at most 16, and MaxBlocks
			last = n
			found++
		}
		if found > 0 {
			u.Sources = append(u.Sources, src)
			left -= found
		}
	}
}

// sumsOf gives the block sums of a stored blob, held against its digest; nil if it cannot.
func (s *Service) sumsOf(ctx context.Context, ref blob.Ref) []blob.Sum {
	r, sums, err := s.Blobs.Open(ctx, ref)
	if err != nil {
		return nil
	}
	defer r.Close()
	if blob.DigestOf(sums) != ref.Digest {
		return nil
	}
	return sums
}

// copiers is how many copies of one upload run at once.
const copiers = 4

// span is a run of blocks that are copied from one place.
type span struct {
	first, n int64
	from     source
	block    int64 // of the source
}

// spans gathers the blocks that are still to be copied into runs that are next to one another in their source, too,
// and lie in one part of the store.
func (u *session) spans(v *view, part int64) (all []span) {
	for n := v.first; n < v.first+int64(len(v.records)); n++ {
		p, ok := v.copies(n)
		if !ok || int(p.from) > len(u.Sources) {
			continue
		}
		next := span{n, 1, u.Sources[p.from-1], int64(p.block)}
		if len(all) > 0 && n*blob.BlockSize%part != 0 {
			last := &all[len(all)-1]
			if last.first+last.n == n && last.block+last.n == next.block && string(last.from.Digest) == string(next.from.Digest) {
				last.n++
				continue
			}
		}
		all = append(all, next)
	}
	return all
}

// copyBlocks copies what was planned and has not been copied yet. A block whose source is gone or damaged becomes a
// missing one; that is no error here.
func (s *Service) copyBlocks(ctx context.Context, u *session, v *view) error {
	st, store, err := s.staged(ctx, u)
	if err != nil {
		return err
	}
	spans := u.spans(v, store.PartSize(u.Size))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	todo := make(chan span)
	for range min(copiers, len(spans)) {
		wg.Go(func() {
			for sp := range todo {
				if err := s.copySpan(ctx, u, v, st, sp); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, sp := range spans {
		select {
		case todo <- sp:
		case <-ctx.Done():
		}
	}
	close(todo)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// copySpan copies one run of blocks, all or none.
func (s *Service) copySpan(ctx context.Context, u *session, v *view, st blob.Staged, sp span) error {
	const op = errs.Op("upload.copySpan")
	off, n := sp.first*blob.BlockSize, min(sp.n*blob.BlockSize, u.Size-sp.first*blob.BlockSize)
	epoch := st.Epoch()
	from, err := s.copyBytes(ctx, st, sp, off, n)
	if err != nil && from == nil {
		return errs.Wrap(op, err)
	}
	for i := sp.first; i < sp.first+sp.n; i++ {
		sum := v.plan[i-v.first].sum
		switch {
		case from == nil:
			if err := s.arrived(ctx, u, i, sum, epoch); err != nil {
				return errs.Wrap(op, err)
			}
			v.records[i-v.first] = record{done, sum, epoch}
		case errs.Is(errs.Corrupt, from):
			r := record{state: void, sum: sum}
			// Not over what somebody sent meanwhile.
			if _, err := s.KV.Swap(ctx, blockKey(u.ID, i), nil, r.encode(), s.ttl(u.End)); err != nil {
				return errs.Wrap(op, err)
			}
			v.records[i-v.first] = r
		default:
			return errs.Wrap(op, from)
		}
	}
	return nil
}

// copyBytes copies one run of blocks. It tells a source that fails from everything else that can.
func (s *Service) copyBytes(ctx context.Context, st blob.Staged, sp span, off, n int64) (from, err error) {
	r, err := s.verifier().Open(ctx, sp.from.ref())
	if err != nil {
		return err, err
	}
	defer r.Close()
	at := sp.block * blob.BlockSize
	blob.Until(r, at+n)
	if c, ok := st.(blob.Copier); ok {
		// The store copies what it has. That it has what the sums say is seen by reading it.
		if _, err := io.Copy(io.Discard, io.NewSectionReader(r, at, n)); err != nil {
			return err, err
		}
		if copied, err := c.Copy(ctx, off, sp.from.ref(), at, n); copied || err != nil {
			return nil, err
		}
	}
	in := &bodyReader{r: io.NewSectionReader(r, at, n)}
	err = st.Write(ctx, off, n, in)
	return in.err, err
}
