package download

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/livil/gopan/internal/errs"
)

// Limits bound what one user takes, so that others get theirs (promise A1). They are this process's: of several
// replicas each has its own.
type Limits struct {
	// Downloads at once; 0: any number.
	Downloads int
	// Rate of all downloads of a user together in bytes a second; 0: no bound.
	Rate int64

	mu    sync.Mutex
	users map[int64]*usage
	sweep int // look for usages to forget when there are this many
}

// usage is what a user takes at the moment.
type usage struct {
	active int
	bucket *rate.Limiter // of rate.Inf: no bound
}

// keepUsages is how many usages are kept without looking whether they still say anything.
const keepUsages = 1024

// begin counts a download in, or refuses it with errs.TooMany. The caller calls end when it is over.
func (l *Limits) begin(user int64) (u *usage, end func(), err error) {
	if l == nil {
		return &usage{bucket: rate.NewLimiter(rate.Inf, 0)}, func() {}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	u, ok := l.users[user]
	if !ok {
		u = &usage{bucket: rate.NewLimiter(limit(l.Rate), burst(l.Rate))}
		l.add(user, u)
	}
	if l.Downloads > 0 && u.active >= l.Downloads {
		return nil, nil, errs.E(errs.TooMany, "download.begin", errs.Code("too_many_downloads"), 5*time.Second)
	}
	u.active++
	return u, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		u.active--
	}, nil
}

// add remembers a usage, and forgets those that are like new. The caller holds mu.
func (l *Limits) add(user int64, u *usage) {
	if len(l.users) >= max(l.sweep, keepUsages) {
		for id, old := range l.users {
			if old.active == 0 && (old.bucket.Limit() == rate.Inf || old.bucket.Tokens() >= float64(old.bucket.Burst())) {
				delete(l.users, id)
			}
		}
		l.sweep = 2 * len(l.users)
	}
	if l.users == nil {
		l.users = make(map[int64]*usage)
	}
	l.users[user] = u
}

// set changes the limits.
func (l *Limits) set(downloads int, bytesPerSecond int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Downloads, l.Rate = downloads, bytesPerSecond
	for _, u := range l.users {
		u.bucket.SetBurst(burst(bytesPerSecond))
		u.bucket.SetLimit(limit(bytesPerSecond))
	}
}

// limit is a rate as a bucket has it.
func limit(bytesPerSecond int64) rate.Limit {
	if bytesPerSecond <= 0 {
		return rate.Inf
	}
	return rate.Limit(bytesPerSecond)
}

// burst is how much may go at once at a rate: a quarter of a second's worth, in bounds.
func burst(bytesPerSecond int64) int { return int(min(max(bytesPerSecond/4, 4<<10), 4<<20)) }

// pace gives w at the user's rate.
func (u *usage) pace(ctx context.Context, w http.ResponseWriter) http.ResponseWriter {
	if u.bucket.Limit() == rate.Inf {
		return w
	}
	return &paced{ResponseWriter: w, ctx: ctx, bucket: u.bucket}
}

// paced writes in pieces that the bucket allows. It waits between them, never in one, so that the wait does not count
// as a caller's standing still; and it holds no bytes meanwhile.
type paced struct {
	http.ResponseWriter
	ctx    context.Context
	bucket *rate.Limiter
}

// wait takes up to n bytes from the bucket and says how many.
func (p *paced) wait(n int64) (int64, error) {
	n = min(n, int64(p.bucket.Burst()))
	return n, p.bucket.WaitN(p.ctx, int(n))
}

// Write implements io.Writer.
func (p *paced) Write(b []byte) (total int, err error) {
	for len(b) > 0 {
		n, err := p.wait(int64(len(b)))
		if err != nil {
			return total, errs.Wrap("download.Write", err)
		}
		m, err := p.ResponseWriter.Write(b[:n])
		total += m
		if err != nil {
			return total, err
		}
		b = b[n:]
	}
	return total, nil
}

// ReadFrom implements io.ReaderFrom, for sendfile's sake.
func (p *paced) ReadFrom(r io.Reader) (total int64, err error) {
	rest := int64(1<<63 - 1)
	if lr, ok := r.(*io.LimitedReader); ok {
		r, rest = lr.R, lr.N
		defer func() { lr.N -= total }()
	}
	for rest > 0 {
		want, err := p.wait(rest)
		if err != nil {
			return total, errs.Wrap("download.ReadFrom", err)
		}
		n, err := io.Copy(p.ResponseWriter, &io.LimitedReader{R: r, N: want})
		total += n
		rest -= n
		if err != nil || n < want {
			return total, err
		}
	}
	return total, nil
}

// Unwrap lets http.ResponseController reach the connection.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }
