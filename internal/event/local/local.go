// Package local is the commit log of one process: events that come in while the database is busy with the ones
// before are gathered and applied together, so that one wait for the disk serves them all.
package local

import (
	"context"
	"sync"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
)

// Log is an event.Log whose Publish returns when the event is applied.
type Log struct {
	apply event.Apply
	queue chan publish
	done  chan struct{}

	mu     sync.RWMutex // held for reading while sending to queue
	closed bool
}

type publish struct {
	event  event.Event
	answer chan error
}

// MaxBatch bounds how many events one transaction applies.
const MaxBatch = 512

// New starts a log that applies with fn.
func New(fn event.Apply) *Log {
	l := &Log{apply: fn, queue: make(chan publish, MaxBatch), done: make(chan struct{})}
	go l.run()
	return l
}

// Publish implements event.Log. When ctx ends first the event may still be applied.
func (l *Log) Publish(ctx context.Context, e event.Event) error {
	const op = errs.Op("event.Publish")
	p := publish{e, make(chan error, 1)}
	l.mu.RLock()
	if l.closed {
		l.mu.RUnlock()
		return errs.E(errs.Busy, op, "the log is closed")
	}
	select {
	case l.queue <- p:
		l.mu.RUnlock()
	case <-ctx.Done():
		l.mu.RUnlock()
		return errs.Wrap(op, ctx.Err())
	}
	select {
	case err := <-p.answer:
		return errs.Wrap(op, err)
	case <-ctx.Done():
		return errs.Wrap(op, ctx.Err())
	}
}

// Close implements event.Log.
func (l *Log) Close() error {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.mu.Unlock()
	<-l.done
	return nil
}

func (l *Log) run() {
	defer close(l.done)
	batch := make([]publish, 0, MaxBatch)
	for p := range l.queue {
		batch = append(batch[:0], p)
	gather:
		for len(batch) < MaxBatch {
			select {
			case p, ok := <-l.queue:
				if !ok {
					break gather
				}
				batch = append(batch, p)
			default:
				break gather
			}
		}
		l.applyAll(batch)
	}
}

// applyAll applies a batch; if it fails as a whole, it applies each event alone, so that one that the database
// chokes on does not take the others with it.
func (l *Log) applyAll(batch []publish) {
	events := make([]event.Event, len(batch))
	for i, p := range batch {
		events[i] = p.event
	}
	// Not the publishers' contexts: an event that was taken is applied even if its publisher has gone.
	refused, err := l.apply(context.Background(), events)
	if err != nil && len(batch) > 1 {
		for _, p := range batch {
			l.applyAll([]publish{p})
		}
		return
	}
	for i, p := range batch {
		switch {
		case err != nil:
			p.answer <- err
		default:
			p.answer <- refused[i]
		}
	}
}
