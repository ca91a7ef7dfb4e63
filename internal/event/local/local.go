// Package local is the commit log of one process: events that come in while the database is busy with the ones
// before are gathered and applied together, so that one wait for the disk serves them all.
package local

import (
	"context"
	"runtime"
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

var _ event.Batcher = (*Log)(nil)

// publish is events of one publisher, who waits for what became of each.
type publish struct {
	events []event.Event
	answer chan []error
}

// MaxBatch bounds how many events one transaction applies, as far as they come from several publishers.
const MaxBatch = 512

// New starts a log that applies with fn.
func New(fn event.Apply) *Log {
	l := &Log{apply: fn, queue: make(chan publish, MaxBatch), done: make(chan struct{})}
	go l.run()
	return l
}

// Publish implements event.Log. When ctx ends first the event may still be applied.
func (l *Log) Publish(ctx context.Context, e event.Event) error {
	return l.PublishAll(ctx, []event.Event{e})[0]
}

// PublishAll implements event.Batcher: all events are applied in one transaction. When ctx ends first they may still
// be applied.
func (l *Log) PublishAll(ctx context.Context, events []event.Event) []error {
	const op = errs.Op("event.Publish")
	failed := make([]error, len(events))
	if len(events) == 0 {
		return failed
	}
	all := func(err error) []error {
		for i := range failed {
			failed[i] = err
		}
		return failed
	}
	p := publish{events, make(chan []error, 1)}
	l.mu.RLock()
	if l.closed {
		l.mu.RUnlock()
		return all(errs.E(errs.Busy, op, "the log is closed"))
	}
	select {
	case l.queue <- p:
		l.mu.RUnlock()
	case <-ctx.Done():
		l.mu.RUnlock()
		return all(errs.Wrap(op, ctx.Err()))
	}
	select {
	case answers := <-p.answer:
		for i, err := range answers {
			failed[i] = errs.Wrap(op, err)
		}
		return failed
	case <-ctx.Done():
		return all(errs.Wrap(op, ctx.Err()))
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

// run applies what is published: what has come in by the time that the batch before is done, at once.
func (l *Log) run() {
	defer close(l.done)
	for first := range l.queue {
		batch, n := []publish{first}, len(first.events)
		for before := 0; n > before && n < MaxBatch; {
			before = n
			// Those who were answered just now, and those whom a flush elsewhere woke, are on their way here: let them
			// come along. apply keeps a processor for as long as it waits for the disk, and they would wait for it, too.
			runtime.Gosched()
			for n < MaxBatch && len(l.queue) > 0 {
				// Nobody else receives, so this does not wait; a closed queue still gives what is in it.
				p := <-l.queue
				batch = append(batch, p)
				n += len(p.events)
			}
		}
		events := make([]event.Event, 0, n)
		for _, p := range batch {
			events = append(events, p.events...)
		}
		answers := l.applyAll(events)
		for _, p := range batch {
			p.answer <- answers[:len(p.events)]
			answers = answers[len(p.events):]
		}
	}
}

// applyAll applies events and says what became of each. If they fail as a whole it applies each half alone, so that
// one that the database chokes on does not take the others with it.
func (l *Log) applyAll(events []event.Event) []error {
	// Not the publishers' contexts: an event that was taken is applied even if its publisher has gone.
	refused, err := l.apply(context.Background(), events)
	switch {
	case err == nil:
		return refused
	case len(events) == 1:
		return []error{err}
	case errs.Is(errs.Busy, err):
		// The database is not there, and more attempts would only pile up; or the batch may be applied after all,
		// and must not be a second time.
		all := make([]error, len(events))
		for i := range all {
			all[i] = err
		}
		return all
	}
	half := len(events) / 2
	return append(l.applyAll(events[:half]), l.applyAll(events[half:])...)
}
