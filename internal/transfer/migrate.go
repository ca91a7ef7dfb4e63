package transfer

import (
	"context"
	"sync"
	"time"

	"github.com/zeromicro/go-zero/core/mr"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/faultpoint"
)

// Migration is what to move from one store to another.
type Migration struct {
	From, To string
	// MinSize and MaxSize bound the size in bytes of what moves; a MaxSize of 0 is no bound.
	MinSize, MaxSize int64
	// Rate bounds how fast bytes move, in bytes a second; 0: no bound.
	Rate int64
	// Parallel is how many blobs move at once; 0: 4.
	Parallel int
	// DryRun only counts.
	DryRun bool
	// Progress, if not nil, is told of blobs as they are done. Calls come one after the other.
	Progress func(Migrated)
}

// Migrated is what a migration did, for people and programs.
type Migrated struct {
	// Blobs and Bytes that moved, or would in a dry run.
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
	// Left are blobs that no version refers to: the collection's, or of uploads under way.
	Left int64 `json:"left"`
	// Kept are blobs that were copied and stay in the first store, too, because they were put there again meanwhile.
	Kept int64 `json:"kept"`
	// Problems are blobs that are damaged and stay where they are.
	Problems []Problem `json:"problems"`
}

// Migrate moves content between stores while the drive is in use. Each blob is read and checked block by block, put
// into the other store so that it would survive a power cut there, and only then deleted here, unless it was put
// again meanwhile. So at every moment it is in one store at least, readers follow it (blob.Stores), and a
// migration that was cut off anywhere goes on when it is run again.
func (s *Service) Migrate(ctx context.Context, m Migration) (Migrated, error) {
	const op = errs.Op("transfer.Migrate")
	from, ok := s.Blobs.Named(m.From)
	to, ok2 := s.Blobs.Named(m.To)
	if !ok || !ok2 || m.From == m.To {
		return Migrated{}, errs.E(errs.Invalid, op, "two different stores of the settings")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	run := &migrating{
		Service: s, Migration: m, from: from, to: to, at: newPace(m.Rate), cancel: cancel, done: Migrated{Problems: []Problem{}},
	}
	workers := m.Parallel
	if workers <= 0 {
		workers = 4
	}
	// Not with the context: ForEach would leave with it and let its workers run on.
	mr.ForEach(func(source chan<- blob.Entry) {
		if err := run.list(ctx, source); err != nil {
			cancel(err)
		}
	}, func(e blob.Entry) {
		if ctx.Err() != nil {
			return
		}
		if err := run.move(ctx, e); err != nil {
			cancel(err)
		}
	}, mr.WithWorkers(workers))
	return run.done, errs.Wrap(op, context.Cause(ctx))
}

// migrating is one migration.
type migrating struct {
	*Service
	Migration
	from, to blob.Named
	at       *pace
	cancel   context.CancelCauseFunc

	mu   sync.Mutex
	done Migrated
}

// tell changes what was done, and tells of it.
func (r *migrating) tell(change func(*Migrated)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.done)
	if r.Progress != nil {
		r.Progress(r.done)
	}
}

// list sends what is to move.
func (r *migrating) list(ctx context.Context, source chan<- blob.Entry) error {
	var batch []blob.Entry
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		used, err := r.referenced(ctx, batch)
		if err != nil {
			return err
		}
		for _, e := range batch {
			if !used[e.Digest] {
				r.tell(func(m *Migrated) { m.Left++ })
				continue
			}
			select {
			case source <- e:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		batch = batch[:0]
		return nil
	}
	err := r.from.List(ctx, func(e blob.Entry) error {
		if e.Foreign != "" || e.Size < r.MinSize || r.MaxSize > 0 && e.Size > r.MaxSize {
			return nil
		}
		if batch = append(batch, e); len(batch) == batchSize {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// move moves one blob. That the other store has it already, as after a migration that was cut off, spares no copy: it
// may be about to be collected there, and putting it again is what keeps it.
func (r *migrating) move(ctx context.Context, e blob.Entry) error {
	if r.DryRun {
		r.tell(func(m *Migrated) { m.Blobs++; m.Bytes += e.Size })
		return nil
	}
	content, err := (&blob.Verifier{Store: r.from, Always: true}).Open(ctx, e.Ref)
	if err == nil {
		_, err = blob.Write(ctx, r.to, &paced{ctx: ctx, r: content, at: r.at}, blob.Want{Size: e.Size, Digest: e.Digest, Limit: -1})
		if cerr := content.Close(); err == nil {
			err = cerr
		}
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case missing(err):
		return nil // deleted for ever, or moved by somebody else, since it was listed
	case errs.Is(errs.Corrupt, err):
		r.tell(func(m *Migrated) {
			m.Problems = append(m.Problems, Problem{"damaged_blob", e.Digest.String() + ": " + err.Error()})
		})
		return nil
	default:
		return err
	}
	faultpoint.Hit("migrate.copied")
	gone, err := r.from.Delete(ctx, e.Digest, e.PutAt.Add(time.Nanosecond))
	if err != nil {
		return err
	}
	faultpoint.Hit("migrate.deleted")
	r.tell(func(m *Migrated) {
		m.Blobs++
		m.Bytes += e.Size
		if !gone {
			m.Kept++
		}
	})
	return nil
}
