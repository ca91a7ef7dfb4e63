// Package drivetest has clients that write and read a drive through its API while somebody breaks it, and judges whether
// all that they were told can be true.
//
// Each client has files of its own, which only it changes, so that it knows after every answer what they hold. Beside
// these there are paths that all of them write, and of which the whole history is held against a model at the end:
// there must be one order in which everything happened, each thing between its request and its answer (linearizability).
package drivetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say who writes and reads what.
type Options struct {
	// URL of the drive, or of the gateway before it; the account's login is admin.
	URL, Password string
	// Seed of everything that is chosen by chance. When requests are answered is not, so the same seed is not the same run.
	Seed    uint64
	Clients int
	// Large also writes contents of several blocks, up to 17 MiB.
	Large bool
}

// Crowd are clients at work.
type Crowd struct {
	Pulse   *Pulse
	clients []*client
	shared  *shared
}

// New makes clients. Their files are in a folder that no other crowd has.
func New(o Options) *Crowd {
	folder := fmt.Sprintf("/campaign-%d-%d", o.Seed, time.Now().UnixNano())
	c := &Crowd{Pulse: &Pulse{last: time.Now()}, shared: newShared(folder)}
	for i := range o.Clients {
		c.clients = append(c.clients, newClient(o, folder, i, c))
	}
	return c
}

// Work writes and reads until ctx ends, and then waits until every request has its answer.
func (c *Crowd) Work(ctx context.Context) {
	var all sync.WaitGroup
	for _, cl := range c.clients {
		all.Go(func() { cl.work(ctx) })
	}
	all.Wait()
}

// WorkFor works until some more requests have succeeded, or ctx ends.
func (c *Crowd) WorkFor(ctx context.Context, requests int64) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for want := c.Pulse.Count() + requests; c.Pulse.Count() < want && ctx.Err() == nil; {
			rest(ctx, 10*time.Millisecond)
		}
		stop()
	}()
	c.Work(ctx)
}

// Finish reads all files once more, when everything runs again, and judges.
func (c *Crowd) Finish(ctx context.Context) Report {
	r := Report{Operations: map[string]int{}}
	for _, cl := range c.clients {
		cl.readBack(ctx)
	}
	if len(c.clients) > 0 {
		c.clients[0].readShared(ctx)
	}
	for _, cl := range c.clients {
		r.add(cl.Report)
	}
	c.shared.judge(&r)
	return r
}

// Report is what came of it.
type Report struct {
	// Acknowledged requests, and how many of them wrote something.
	Acknowledged, Writes int
	// Refused are writes whose If-Match or If-None-Match did not hold, as they have to be.
	Refused int
	// Unknown requests never had an answer, however often they were tried.
	Unknown int
	// Again are upload sessions that were forgotten under way, and begun again; nothing of them had been acknowledged as a file.
	Again int
	// Lost are acknowledged writes of which nothing is there, Wrong all other answers that cannot be true.
	Lost, Wrong int
	// Histories of shared paths, the operations in them, how many histories cannot be, and how many took too long to be judged.
	Histories, Judged, Impossible, Undecided int
	// Slowest is the longest time that a request which succeeded in the end took with all its tries.
	Slowest time.Duration
	// Operations counts acknowledged ones by their kind.
	Operations map[string]int
	Problems   []string
}

// maxProblems are told; more would not say more.
const maxProblems = 50

func (r *Report) add(o Report) {
	r.Acknowledged += o.Acknowledged
	r.Writes += o.Writes
	r.Refused += o.Refused
	r.Unknown += o.Unknown
	r.Again += o.Again
	r.Lost += o.Lost
	r.Wrong += o.Wrong
	r.Slowest = max(r.Slowest, o.Slowest)
	for kind, n := range o.Operations {
		r.Operations[kind] += n
	}
	r.Problems = append(r.Problems, o.Problems[:min(len(o.Problems), maxProblems-min(maxProblems, len(r.Problems)))]...)
}

// did counts an acknowledged operation.
func (r *Report) did(kind string, writes bool) {
	r.Acknowledged++
	r.Operations[kind]++
	if writes {
		r.Writes++
	}
}

// problem notes one.
func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (r Report) String() string {
	var b strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintln(&b, p)
	}
	fmt.Fprintf(&b, "acknowledged %d (%d of them writes), refused as asked %d, unknown %d, sessions begun again %d; lost %d, wrong %d; the slowest success took %.1f s\n",
		r.Acknowledged, r.Writes, r.Refused, r.Unknown, r.Again, r.Lost, r.Wrong, r.Slowest.Seconds())
	for i, kind := range slices.Sorted(maps.Keys(r.Operations)) {
		fmt.Fprintf(&b, "%s%s %d", map[bool]string{true: "", false: ", "}[i == 0], kind, r.Operations[kind])
	}
	fmt.Fprintf(&b, "\nhistories of %d paths with several writers, %d operations: %d linearizable, %d not, %d took too long to judge",
		r.Histories, r.Judged, r.Histories-r.Impossible-r.Undecided, r.Impossible, r.Undecided)
	return b.String()
}

// Err is nil if nothing was lost and no answer was wrong.
func (r Report) Err() error {
	if r.Lost+r.Wrong > 0 {
		return errors.New("the drive broke a promise")
	}
	return nil
}

// Pulse is when any client last succeeded.
type Pulse struct {
	mu   sync.Mutex
	last time.Time
	gap  time.Duration
	n    int64
}

// beat notes a success.
func (p *Pulse) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.gap = max(p.gap, now.Sub(p.last))
	p.last = now
	p.n++
}

// Begin starts to look for the longest time without a success.
func (p *Pulse) Begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gap = 0
}

// Longest time without a success since Begin.
func (p *Pulse) Longest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gap
}

// Count of successes.
func (p *Pulse) Count() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

// Settle waits, a minute at most, until clients have succeeded some times more.
func (p *Pulse) Settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for want := p.Count() + 20; p.Count() < want && ctx.Err() == nil; {
		rest(ctx, 20*time.Millisecond)
	}
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
