package kafka

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
)

// Log is the publisher's end. Publish returns when the answer of who applied the event has come. When none comes in
// time, be it that Kafka is down or who applies, the publisher applies the event itself: the same event by two ways takes
// effect once. While the log does not answer, events go the direct way at once.
type Log struct {
	client *kgo.Client
	topic  string
	origin string
	apply  event.Apply
	wait   time.Duration

	waiting sync.Map // event ID → chan error
	breaker breaker

	mu     sync.RWMutex // held for reading while publishing
	closed bool
}

var (
	_ event.Batcher  = (*Log)(nil)
	_ event.Answerer = (*Log)(nil)
)

// Deadline is how long an event waits for its answer unless another time is set.
const Deadline = 3 * time.Second

// NewLog gives a log that publishes in the name of origin, where answers are expected, and applies directly with apply what
// is not answered within deadline; 0 means Deadline.
func NewLog(c Config, origin string, apply event.Apply, deadline time.Duration) (*Log, error) {
	if deadline == 0 {
		deadline = Deadline
	}
	client, err := kgo.NewClient(append(c.options(),
		// Several in-sync replicas have it before it counts, once however often it is sent.
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(time.Millisecond),
		// Who waits has gone his own way by then; what was sent and not answered may arrive all the same.
		kgo.RecordDeliveryTimeout(2*deadline), kgo.ProduceRequestTimeout(deadline), kgo.AllowIdempotentProduceCancellation(),
		kgo.MaxBufferedRecords(20_000),
	)...)
	if err != nil {
		return nil, errs.E(errs.Internal, "kafka.NewLog", err)
	}
	return &Log{client: client, topic: c.Topic, origin: origin, apply: apply, wait: deadline, breaker: breaker{cool: deadline}}, nil
}

// Publish implements event.Log.
func (l *Log) Publish(ctx context.Context, e event.Event) error {
	return l.PublishAll(ctx, []event.Event{e})[0]
}

// errUnsent is the answer to an event that Kafka did not take.
var errUnsent = errors.New("kafka: not taken")

// PublishAll implements event.Batcher.
func (l *Log) PublishAll(ctx context.Context, events []event.Event) []error {
	const op = errs.Op("kafka.Publish")
	answers := make([]error, len(events))
	if len(events) == 0 {
		return answers
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		for i := range answers {
			answers[i] = errs.E(errs.Busy, op, "the log is closed")
		}
		return answers
	}
	switch l.breaker.state() {
	case down:
		return l.direct(ctx, events)
	case probing:
		// This one goes both ways: nobody has to wait to find out whether the log answers again.
		go func() {
			if _, missed := l.publish(context.WithoutCancel(ctx), events); len(missed) == 0 {
				l.breaker.succeed()
			}
		}()
		return l.direct(ctx, events)
	}
	answers, missed := l.publish(ctx, events)
	if len(missed) == 0 {
		l.breaker.succeed()
		return answers
	}
	if err := ctx.Err(); err != nil {
		for _, i := range missed {
			answers[i] = errs.Wrap(op, err)
		}
		return answers
	}
	l.breaker.fail()
	rest := make([]event.Event, len(missed))
	for n, i := range missed {
		rest[n] = events[i]
	}
	for n, err := range l.direct(ctx, rest) {
		answers[missed[n]] = err
	}
	return answers
}

// publish sends events and waits for their answers; missed are those that got none.
func (l *Log) publish(ctx context.Context, events []event.Event) (answers []error, missed []int) {
	ctx, cancel := context.WithTimeout(ctx, l.wait)
	defer cancel()
	answers = make([]error, len(events))
	waits := make([]chan error, len(events))
	for i, e := range events {
		ch := make(chan error, 1)
		waits[i] = ch
		l.waiting.Store(e.ID, ch)
		defer l.waiting.CompareAndDelete(e.ID, ch)
		l.client.TryProduce(context.WithoutCancel(ctx), encode(l.topic, event.Version, l.origin, e), func(_ *kgo.Record, err error) {
			if err != nil {
				tell(ch, errUnsent)
			}
		})
	}
	for i, ch := range waits {
		select {
		case answers[i] = <-ch:
			if answers[i] == errUnsent { //nolint:errorlint // it is this very value
				missed = append(missed, i)
				continue
			}
			published.Inc()
			answers[i] = errs.Wrap("kafka.Publish", answers[i])
		case <-ctx.Done():
			missed = append(missed, i)
		}
	}
	return answers, missed
}

func tell(ch chan error, answer error) {
	select {
	case ch <- answer:
	default: // another came first
	}
}

// Answer implements event.Answerer.
func (l *Log) Answer(id string, refused error) {
	if ch, ok := l.waiting.Load(id); ok {
		tell(ch.(chan error), refused)
	}
}

// direct applies events here and now. If they fail as a whole each half is applied alone, so that one that the database
// chokes on does not take the others with it.
func (l *Log) direct(ctx context.Context, events []event.Event) []error {
	refused, err := l.apply(ctx, events)
	switch {
	case err == nil:
		direct.Add(float64(len(events)))
		return refused
	case len(events) == 1:
		return []error{err}
	}
	half := len(events) / 2
	return append(l.direct(ctx, events[:half]), l.direct(ctx, events[half:])...)
}

// Close implements event.Log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.client.Close()
	}
	return nil
}

// breaker remembers that the log did not answer.
type breaker struct {
	// cool is the time between two tries.
	cool time.Duration
	// next try, in nanoseconds since 1970; 0: the log answers.
	next atomic.Int64
}

type state int

const (
	up state = iota
	down
	probing
)

// state tells how to publish. Of those who ask while the log is down, one in each time to cool is to try.
func (b *breaker) state() state {
	next := b.next.Load()
	if next == 0 {
		return up
	}
	if now := time.Now(); now.UnixNano() >= next && b.next.CompareAndSwap(next, now.Add(b.cool).UnixNano()) {
		return probing
	}
	return down
}

func (b *breaker) succeed() {
	b.next.Store(0)
	open.Set(0)
}

func (b *breaker) fail() {
	b.next.Store(time.Now().Add(b.cool).UnixNano())
	open.Set(1)
}
