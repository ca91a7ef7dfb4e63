package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// figures are what one sample gives, by name: "rate", "p50", "p99", "cpu".
type figures map[string]float64

// job is a sample of many small requests to one server.
type job struct {
	addr  string
	conns int
	n     int
	// head tells that answers have no body.
	head bool
	// make appends request i to b.
	make func(b []byte, i int) []byte
	// check looks at answer i; other than 2xx has failed already. Nil: nothing more to check.
	check func(i int, body []byte) error
}

// run sends the requests, each connection taking the next as soon as it has its answer, and gives requests per
// second and times in milliseconds.
func (j job) run(ctx context.Context) (figures, error) {
	conns := make([]*conn, j.conns)
	for i := range conns {
		c, err := dial(ctx, j.addr)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		conns[i] = c
	}
	return inParallel(ctx, j.conns, j.n, func(worker int) func(int) error {
		c, b := conns[worker], make([]byte, 0, 16<<10)
		return func(i int) error {
			b = j.make(b[:0], i)
			status, err := c.roundTrip(b, j.head)
			switch {
			case err != nil:
				return fmt.Errorf("request %d: %w", i, err)
			case status < 200 || status > 299:
				return fmt.Errorf("request %d: status %d %s", i, status, c.body)
			case j.check != nil:
				return j.check(i, c.body)
			}
			return nil
		}
	})
}

// inParallel does n things by a number of workers and times each.
func inParallel(ctx context.Context, workers, n int, worker func(int) func(int) error) (figures, error) {
	took := make([]time.Duration, n)
	failed := make([]error, workers)
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for w := range workers {
		do := worker(w)
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				start := time.Now()
				if failed[w] = do(i); failed[w] != nil {
					next.Store(int64(n)) // the others need not go on
					return
				}
				took[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	if err := errors.Join(append(failed, ctx.Err())...); err != nil {
		return nil, err
	}
	f := timesOf(took)
	f["rate"] = float64(n) / elapsed.Seconds()
	f["total"] = ms(elapsed)
	return f, nil
}

// timesOf gives the median and the 99th percentile in milliseconds. It sorts took.
func timesOf(took []time.Duration) figures {
	slices.Sort(took)
	at := func(q float64) float64 { return ms(took[min(len(took)-1, int(q*float64(len(took))))]) }
	return figures{"p50": at(0.5), "p99": at(0.99)}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
