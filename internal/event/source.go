package event

import (
	"context"
	"time"
)

// Remembered is how long those who apply events know what became of each. An event that is older may have taken effect,
// and so must not be brought back.
const Remembered = 7 * 24 * time.Hour

// Version of the form in which this program publishes events.
const Version = "1"

// Record is an event as it stands in a partition of a log that other processes apply.
type Record struct {
	Event
	Offset int64
	// Version of its form; nobody here can read one that is not Version.
	Version string
	// Published is when it was.
	Published time.Time
	// Origin is the address of the process that published it and waits for what becomes of it.
	Origin string
}

// Batch is records of one partition, in their order.
type Batch struct {
	Topic     string
	Partition int32
	// From is the position that the partition must be at, Next the one after the last record.
	From, Next int64
	Records    []Record
}

// Sink applies what was published. Its methods are called for several partitions at once.
type Sink interface {
	// Position is up to where a partition is applied; the next record to be applied is the one there.
	Position(ctx context.Context, topic string, partition int32) (int64, error)
	// Apply applies a batch and moves the position, in one step. It is errs.Stale when the position is not the batch's
	// From, as somebody else has the partition by now. Any other error says that nothing was done, and that it may
	// succeed later.
	Apply(ctx context.Context, b Batch) error
}

// Source is the end of a log from which events are applied.
type Source interface {
	// Run gives a sink what is published, until ctx ends.
	Run(ctx context.Context, to Sink) error
	// Bury puts a record that can never be applied where an operator finds it, with the reason.
	Bury(ctx context.Context, topic string, partition int32, r Record, reason string) error
}
