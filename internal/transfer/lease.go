package transfer

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/faultpoint"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

const (
	// defaultLease is how long the parts of a process that died stay with it. It is longer than a database takes to fail over.
	defaultLease = 15 * time.Second
	// saveEvery is how often what was done is written down. A process that dies leaves so much uncounted at most; it is
	// moved all the same.
	saveEvery = time.Second
)

// lease is some parts of a migration that nobody else works on for as long as it is renewed. That keeps processes from
// doing the same twice, and the counts right; the content is safe without it (docs/decisions/0019-several-stores.md).
type lease struct {
	*Service
	id     int64
	holder string
	life   time.Duration
	what   *filemetapb.StartMigrationRequest
	at     *pace

	mu    sync.Mutex
	parts []*part
}

// part is one part and how far it is. The lease's mu guards what changes.
type part struct {
	first byte
	state *filemetapb.MigrationPart
	// dirty: state has changed since it was saved.
	dirty bool
	// entries are the blobs from the first one on that is not settled, and counts what those are that are.
	entries []blob.Entry
	counts  []*filemetapb.MigrationCounts
	settled int // so many entries are no more in the two
}

// takeParts takes a lease, or gives nil when there is nothing to take.
func (s *Service) takeParts(ctx context.Context, id int64, except []int64) (*lease, error) {
	l := &lease{Service: s, holder: rand.Text(), life: s.Lease, at: new(pace)}
	if l.life <= 0 {
		l.life = defaultLease
	}
	resp, err := s.Tree.TakeMigration(ctx, &filemetapb.TakeMigrationRequest{
		Id: id, Holder: l.holder, Life: l.life.Milliseconds(), Except: except,
	})
	if err != nil || len(resp.GetParts()) == 0 {
		return nil, err
	}
	l.id, l.what = resp.GetMigration().GetId(), resp.GetMigration().GetWhat()
	l.share(resp.GetMigration())
	for _, p := range resp.GetParts() {
		if p.GetCounts() == nil {
			p.Counts = new(filemetapb.MigrationCounts)
		}
		l.parts = append(l.parts, &part{first: byte(p.GetPart() & 0xff), state: p})
	}
	return l, nil
}

// share takes this process's share of the rate: all that move get the same.
func (l *lease) share(m *filemetapb.Migration) {
	rate := m.GetWhat().GetRate()
	if rate > 0 {
		rate = max(rate/int64(max(m.GetHolders(), 1)), 1)
	}
	l.at.set(rate)
}

// begin says what is in a part.
func (l *lease) begin(p *part, entries []blob.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.entries, p.counts = entries, make([]*filemetapb.MigrationCounts, len(entries))
	p.advance()
}

// settle says what became of the blob at a place in its part. It counts once all before it do, so that the place that is
// saved and the counts belong together.
func (l *lease) settle(p *part, place int, counts *filemetapb.MigrationCounts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.counts[place-p.settled] = counts
	p.advance()
}

// advance counts what can be counted.
func (p *part) advance() {
	n := 0
	for n < len(p.counts) && p.counts[n] != nil {
		addCounts(p.state.GetCounts(), p.counts[n])
		d := p.entries[n].Digest
		p.state.After = d[:]
		n++
	}
	p.entries, p.counts, p.settled = p.entries[n:], p.counts[n:], p.settled+n
	p.state.Done = len(p.counts) == 0
	p.dirty = p.dirty || n > 0 || p.state.GetDone()
}

// countMoved counts those that have moved behind one that is not settled, when no more will be: whoever goes on from there
// does not find them. Those that are still in the first store it finds, and counts.
func (l *lease) countMoved() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.parts {
		for i, c := range p.counts {
			if c.GetBlobs() > 0 && c.GetKept() == 0 {
				addCounts(p.state.GetCounts(), c)
				p.counts[i], p.dirty = new(filemetapb.MigrationCounts), true
			}
		}
	}
}

// save writes down what has changed and renews the lease, or gives it back with why.
func (l *lease) save(ctx context.Context, release bool, why string) (*filemetapb.Migration, error) {
	l.mu.Lock()
	req := &filemetapb.SaveMigrationRequest{Id: l.id, Holder: l.holder, Life: l.life.Milliseconds(), Release: release, Error: why}
	var changed, open []*part
	for _, p := range l.parts {
		if p.dirty {
			p.dirty = false
			changed = append(changed, p)
			req.Parts = append(req.Parts, proto.CloneOf(p.state))
		}
		if !p.state.GetDone() {
			open = append(open, p)
		}
	}
	req.Held = int32(min(len(open), blob.Parts))
	l.mu.Unlock()
	resp, err := l.Tree.SaveMigration(ctx, req)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		for _, p := range changed {
			p.dirty = true
		}
		return nil, err
	}
	return resp.GetMigration(), nil
}

var (
	errNotOurs = errors.New("the lease has gone to another process")
	errStopped = errors.New("the migration was cancelled")
)

// keep saves and renews until ctx ends, and ends it when the lease is lost or the migration cancelled. What it gives is
// closed when it has ended.
func (l *lease) keep(ctx context.Context, cancel context.CancelCauseFunc) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for last := time.Now(); wait(ctx, min(saveEvery, l.life/4)) == nil; {
			if !l.changed() && time.Since(last) < l.life/4 {
				continue
			}
			m, err := l.save(ctx, false, "")
			switch {
			case err == nil:
				faultpoint.Hit("migrate.saved")
				last = time.Now()
				l.share(m)
				if m.GetState() != filemetapb.MigrationState_MIGRATION_STATE_RUNNING {
					cancel(errStopped)
				}
			case errs.Is(errs.Stale, err) || time.Since(last) > l.life*3/4:
				cancel(errNotOurs)
			}
		}
	}()
	return ended
}

func (l *lease) changed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.parts {
		if p.dirty {
			return true
		}
	}
	return false
}

// end saves what was done and gives the rest back, with the cause why it is not done. Losing the lease and the end of the
// migration are none.
func (l *lease) end(ctx context.Context, cause error) error {
	expected := cause == nil || errors.Is(cause, errNotOurs) || errors.Is(cause, errStopped) || errs.Is(errs.Canceled, cause)
	why := ""
	if !expected {
		why = cause.Error()
	}
	l.countMoved()
	// Also when ctx is what ended it: others need not wait for the lease to run out.
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.life)
	defer cancel()
	_, err := l.save(saving, true, why)
	for errs.Is(errs.Busy, err) && wait(saving, waitAgain) == nil {
		_, err = l.save(saving, true, why)
	}
	switch {
	case err == nil:
		faultpoint.Hit("migrate.saved")
	case errs.Is(errs.Stale, err): // some are another's, who has its own place; the rest is given back as it was
		l.forget()
		_, err = l.save(saving, true, why)
	}
	if errors.Is(cause, errNotOurs) || errors.Is(cause, errStopped) {
		cause = nil
	}
	return errors.Join(cause, err)
}

// forget leaves unsaved what has changed.
func (l *lease) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.parts {
		p.dirty = false
	}
}
