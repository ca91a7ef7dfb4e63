package transfer

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/zeromicro/go-zero/core/mr"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/faultpoint"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

var movedBytes = promauto.NewCounter(prometheus.CounterOpts{
	Name: "gopan_migrate_moved_bytes_total", Help: "Bytes that this process has moved from one store to another.",
})

// listPart lists the blobs of a part of a store that are behind a digest and have a size that is to move, in the order of
// their digests. Of a hundred million blobs it has less than half a million in memory, some 30 MiB.
func listPart(ctx context.Context, from blob.Named, first byte, after []byte, what *filemetapb.StartMigrationRequest) ([]blob.Entry, error) {
	var all []blob.Entry
	err := blob.ListPart(ctx, from, first, func(e blob.Entry) error {
		if e.Size >= what.GetMinSize() && (what.GetMaxSize() == 0 || e.Size <= what.GetMaxSize()) && bytes.Compare(e.Digest[:], after) > 0 {
			all = append(all, e)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b blob.Entry) int { return bytes.Compare(a.Digest[:], b.Digest[:]) })
	// A store may list one twice that changes its form meanwhile.
	return slices.CompactFunc(all, func(a, b blob.Entry) bool { return a.Digest == b.Digest }), err
}

// sortOut asks which blobs are to move, a batch at a time, and calls fn for each: stays is nil for one that moves, and
// else what it counts as.
func (s *Service) sortOut(ctx context.Context, entries []blob.Entry, drive int64,
	fn func(e blob.Entry, stays *filemetapb.MigrationCounts) error,
) error {
	for batch := range slices.Chunk(entries, batchSize) {
		req := &filemetapb.ReferencedRequest{Drive: drive}
		for _, e := range batch {
			req.Digests = append(req.Digests, e.Digest[:])
		}
		resp, err := s.Tree.Referenced(ctx, req)
		if err != nil {
			return err
		}
		stays := make(map[blob.Digest]*filemetapb.MigrationCounts, len(batch))
		for _, e := range batch {
			stays[e.Digest] = &filemetapb.MigrationCounts{Left: 1}
		}
		for _, d := range resp.GetDigests() {
			stays[blob.Digest(d)] = nil
		}
		for _, d := range resp.GetShared() {
			stays[blob.Digest(d)] = &filemetapb.MigrationCounts{Shared: 1}
		}
		for _, e := range batch {
			if err := fn(e, stays[e.Digest]); err != nil {
				return err
			}
		}
	}
	return nil
}

// item is a blob to move, at its place in its part.
type item struct {
	blob.Entry
	of    *part
	place int
}

// moveSome takes parts of a migration, or of any but some with 0, and moves what is in them. It says which migration that
// was; 0: there was nothing to take.
func (s *Service) moveSome(ctx context.Context, id int64, except []int64) (took int64, err error) {
	l, err := s.takeParts(ctx, id, except)
	if l == nil || err != nil {
		return 0, err
	}
	faultpoint.Hit("migrate.taken")
	return l.id, l.work(ctx)
}

// work moves all that is in the parts of the lease, in parallel, and gives the parts back.
func (l *lease) work(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	kept := l.keep(ctx, cancel)
	if from, to, err := l.ends(l.what.GetFrom(), l.what.GetTo()); err != nil {
		cancel(err) // another process may have other settings
	} else {
		// Not with the context: ForEach would leave with it and let its workers run on.
		mr.ForEach(func(source chan<- item) {
			if err := l.list(ctx, from, source); err != nil {
				cancel(err)
			}
		}, func(i item) {
			if ctx.Err() != nil {
				return
			}
			counts, err := l.move(ctx, from, to, i.Entry)
			if err != nil {
				cancel(err)
				return
			}
			l.settle(i.of, i.place, counts)
		}, mr.WithWorkers(int(l.what.GetWidth())))
	}
	cause := context.Cause(ctx)
	cancel(nil)
	<-kept
	return l.end(ctx, cause)
}

// list sends what is to move, part by part.
func (l *lease) list(ctx context.Context, from blob.Named, source chan<- item) error {
	for _, p := range l.parts {
		entries, err := listPart(ctx, from, p.first, p.state.GetAfter(), l.what)
		if err != nil {
			return err
		}
		l.begin(p, entries)
		place := 0
		err = l.sortOut(ctx, entries, l.what.GetDrive(), func(e blob.Entry, stays *filemetapb.MigrationCounts) error {
			i := item{e, p, place}
			place++
			if stays != nil {
				l.settle(p, i.place, stays)
				return nil
			}
			select {
			case source <- i:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// move moves one blob and gives what it counts as. That the other store has it already, as after a migration that was cut
// off, spares no copy: it may be about to be collected there, and putting it again is what keeps it.
func (l *lease) move(ctx context.Context, from, to blob.Named, e blob.Entry) (*filemetapb.MigrationCounts, error) {
	content, err := (&blob.Verifier{Store: from, Always: true}).Open(ctx, e.Ref)
	if err == nil {
		_, err = blob.Write(ctx, to, &paced{ctx: ctx, r: content, at: l.at}, blob.Want{Size: e.Size, Digest: e.Digest, Limit: -1})
		if cerr := content.Close(); err == nil {
			err = cerr
		}
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case missing(err):
		return new(filemetapb.MigrationCounts), nil // deleted for ever, or moved by somebody else, since it was listed
	case errs.Is(errs.Corrupt, err):
		return damagedBlob(e.Digest.String() + ": " + err.Error()), nil
	default:
		return nil, err
	}
	faultpoint.Hit("migrate.copied")
	// A process that is to stop does not leave half of it, which nobody would count.
	deleting, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.life)
	defer cancel()
	gone, err := from.Delete(deleting, e.Digest, e.PutAt.Add(time.Nanosecond))
	if err != nil {
		return nil, err
	}
	faultpoint.Hit("migrate.deleted")
	movedBytes.Add(float64(e.Size))
	counts := &filemetapb.MigrationCounts{Blobs: 1, Bytes: e.Size}
	if !gone {
		counts.Kept = 1
	}
	return counts, nil
}

func damagedBlob(detail string) *filemetapb.MigrationCounts {
	const most = 500 // bytes
	if len(detail) > most {
		detail = detail[:most]
	}
	return &filemetapb.MigrationCounts{
		Damaged: 1, Problems: []*filemetapb.Problem{{Code: "damaged_blob", Detail: strings.ToValidUTF8(detail, "")}},
	}
}

// problemsTold of one part are written down.
const problemsTold = 16

// addCounts adds what a blob counts as.
func addCounts(sum, c *filemetapb.MigrationCounts) {
	sum.Blobs += c.GetBlobs()
	sum.Bytes += c.GetBytes()
	sum.Left += c.GetLeft()
	sum.Shared += c.GetShared()
	sum.Kept += c.GetKept()
	sum.Damaged += c.GetDamaged()
	if len(sum.GetProblems()) < problemsTold {
		sum.Problems = append(sum.Problems, c.GetProblems()...)
	}
}
