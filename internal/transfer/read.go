package transfer

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// readAll reads a blob to its end, every block of it held against its sum, and gives how many bytes it read.
func readAll(ctx context.Context, from blob.Opener, ref blob.Ref, at *pace, to io.Writer) (int64, error) {
	r, err := (&blob.Verifier{Store: from, Always: true}).Open(ctx, ref)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(to, &paced{ctx: ctx, r: r, at: at})
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return n, err
}

// paced reads no faster than a pace, and ends with its context.
type paced struct {
	ctx context.Context //nolint:containedctx // io.Reader has no other way to be stopped
	r   io.Reader
	at  *pace
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	if werr := p.at.wait(p.ctx, n); werr != nil && err == nil {
		err = werr
	}
	return n, err
}

// pace bounds how many bytes a second several goroutines move together. Nil is no bound.
type pace struct {
	mu   sync.Mutex
	rate int64     // bytes a second; 0: no bound
	free time.Time // when all that was asked for so far is through
}

// newPace gives a pace of rate bytes a second; 0: no bound.
func newPace(rate int64) *pace {
	if rate <= 0 {
		return nil
	}
	return &pace{rate: rate}
}

// set changes the rate; 0: no bound.
func (p *pace) set(rate int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = rate
}

// wait returns when n more bytes are through, or ctx ends.
func (p *pace) wait(ctx context.Context, n int) error {
	if p == nil {
		return nil
	}
	t := time.NewTimer(p.after(time.Now(), int64(n)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// after takes n bytes' turn and says how long it is from now until its end.
func (p *pace) after(now time.Time, n int64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate <= 0 {
		p.free = now
		return 0
	}
	if p.free.Before(now) {
		p.free = now // time that was not used is not saved up
	}
	// In floats: bytes times nanoseconds leave 63 bits at 9 GB.
	p.free = p.free.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	return p.free.Sub(now)
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
