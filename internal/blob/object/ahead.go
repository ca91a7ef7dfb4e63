package object

import (
	"context"
	"time"
)

// The first part that is fetched ahead of a reader; each later one is twice as large, up to Config.ReadPart, so that
// who reads a little fetches little.
const firstAhead = 1 << 20

// slowPart is how long a reader may take for a part and still be worth fetching more than one ahead for.
const slowPart = 2 * time.Second

// ahead fetches an object's parts before they are read, some at once, and gives them out in order.
type ahead struct {
	s      *Store
	ctx    context.Context
	cancel context.CancelFunc
	key    string

	// pos is the next byte to be read, end the next to be fetched, of those before stopAt.
	pos, end, stopAt int64
	parts            []*aheadPart
	// many is how many parts may be fetched at once, and part how large the next one is.
	many int
	part int64
	// since is when the first of parts became it.
	since time.Time
}

// aheadPart is a range that is being fetched into memory; or, when there is none to be had, a stream that waits for its
// reader.
type aheadPart struct {
	off  int64
	n    int64
	buf  *[]byte
	done chan struct{} // closed when buf is full or err is set
	err  error

	stream *stream
}

func newAhead(ctx context.Context, s *Store, key string, off, stopAt int64) *ahead {
	ctx, cancel := context.WithCancel(ctx)
	return &ahead{
		s: s, ctx: ctx, cancel: cancel, key: key, pos: off, end: off, stopAt: stopAt,
		many: 1, part: min(firstAhead, s.cfg.ReadPart),
	}
}

// fetch begins as many parts as there may be.
func (a *ahead) fetch() {
	for len(a.parts) < a.many && a.end < a.stopAt {
		p := &aheadPart{off: a.end, n: min(a.part, a.stopAt-a.end), done: make(chan struct{})}
		if a.s.readMem.TryAcquire(footprint(p.n)) {
			p.buf = getBuffer(p.n)
			go func() {
				defer close(p.done)
				p.err = a.s.fill(a.ctx, a.key, p.off, *p.buf)
			}()
		} else {
			// Without memory only the part that is being read can be under way.
			if len(a.parts) > 0 {
				return
			}
			p.stream = a.s.stream(a.ctx, a.key, p.off, p.n)
			close(p.done)
		}
		if len(a.parts) == 0 {
			a.since = time.Now()
		}
		a.parts = append(a.parts, p)
		a.end += p.n
		a.part = min(2*a.part, a.s.cfg.ReadPart)
	}
}

// read gives some of the next bytes; there is at least one left.
func (a *ahead) read(p []byte) (int, error) {
	a.fetch()
	first := a.parts[0]
	<-first.done // it fails when the context ends
	if first.err != nil {
		return 0, first.err
	}
	var n int
	var err error
	if first.stream != nil {
		n, err = first.stream.Read(p)
	} else {
		n = copy(p, (*first.buf)[a.pos-first.off:])
	}
	a.pos += int64(n)
	if err == nil && a.pos == first.off+first.n {
		a.next()
	}
	return n, err
}

// next lets go of the first part and judges its reader's speed.
func (a *ahead) next() {
	a.release(a.parts[0])
	a.parts = a.parts[1:]
	if now := time.Now(); now.Sub(a.since) > slowPart {
		a.many, a.since = 1, now
	} else {
		a.many, a.since = min(a.many+1, a.s.cfg.ReadAhead), now
	}
	a.fetch()
}

func (a *ahead) release(p *aheadPart) {
	if p.stream != nil {
		_ = p.stream.Close() // it was only read
		return
	}
	<-p.done
	putBuffer(p.buf)
	a.s.readMem.Release(footprint(p.n))
}

// stop ends what is under way.
func (a *ahead) stop() {
	a.cancel()
	for _, p := range a.parts {
		a.release(p)
	}
	a.parts = nil
}
