// Package event is the commit log: what is published to it is durable and is applied to the database exactly
// once, whatever crashes next.
package event

import "context"

// Event is one commit on its way to the tree.
type Event struct {
	// ID names it among all events. It takes effect once, however often and in whatever way it comes.
	ID string
	// Key orders events: those of one drive are applied in the order in which they were published.
	Key int64
	// Payload is the commit, in its protobuf encoding.
	Payload []byte
}

// Apply puts a batch of events into the database, all in one transaction. refused[i] is why event i changed
// nothing, which is final; err is why the whole batch could not be applied, which may pass.
type Apply func(ctx context.Context, batch []Event) (refused []error, err error)

// Log takes events. Publish returns nil once the event is durable and applied, so that whoever looks then sees it, and
// errors.Is(err, …) of what Apply refused it with. When it fails with errs.Busy the event may or may not be applied
// later.
type Log interface {
	Publish(ctx context.Context, e Event) error
	// Close waits for what was published and is not applied, and ends the log.
	Close() error
}

// Answerer is a Log whose events are applied by another process, which tells what became of them.
type Answerer interface {
	// Answer says that an event was applied, or what it was refused with. One that nobody waits for is no error.
	Answer(id string, refused error)
}

// Batcher is a Log that can take several events at once, which costs it little more than one.
type Batcher interface {
	// PublishAll publishes events in their order and gives what Publish would have answered for each.
	PublishAll(ctx context.Context, events []Event) []error
}

// PublishAll publishes events in their order to a log, at once if it can.
func PublishAll(ctx context.Context, l Log, events []Event) []error {
	if b, ok := l.(Batcher); ok {
		return b.PublishAll(ctx, events)
	}
	failed := make([]error, len(events))
	for i, e := range events {
		failed[i] = l.Publish(ctx, e)
	}
	return failed
}
