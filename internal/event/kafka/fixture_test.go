package kafka

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/event/eventtest"
)

// layout of the topics of tests.
var layout = Layout{Partitions: 4, Replicas: 3, InSync: 2, Retention: time.Hour}

// prepare makes topics of a test.
func prepare(t *testing.T, brokers []string) Config {
	t.Helper()
	name := "test-" + rand.Text()
	c := Config{Brokers: brokers, Topic: name, DeadLetters: name + "-dead", Group: name}
	made, err := Prepare(t.Context(), c, layout)
	if err != nil || len(made) != 2 || !made[0].Created || !made[1].Created {
		t.Fatalf("%+v, %v", made, err)
	}
	return c
}

// sink applies with a Recorder, keeps the positions as the database does, and tells the log.
type sink struct {
	apply event.Apply
	log   func() event.Answerer
	// mute turns answers off, lost the sink's own to who gave it the batch.
	mute, lost atomic.Bool
	// stuck is one more than the partition that nothing can be applied of.
	stuck atomic.Int32

	mu    sync.Mutex
	at    map[int32]int64
	stale int
}

func (s *sink) Position(_ context.Context, _ string, p int32) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at[p], nil
}

func (s *sink) Apply(ctx context.Context, b event.Batch) error {
	if s.stuck.Load() == b.Partition+1 {
		return errs.E(errs.Busy, "test")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at[b.Partition] != b.From {
		s.stale++
		return errs.E(errs.Stale, "test")
	}
	var events []event.Event
	for _, r := range b.Records {
		if r.Key == warmUp {
			s.log().Answer(r.ID, nil)
			continue
		}
		events = append(events, r.Event)
	}
	var refused []error
	if len(events) > 0 {
		var err error
		if refused, err = s.apply(ctx, events); err != nil {
			return err
		}
	}
	s.at[b.Partition] = b.Next
	if s.lost.Load() {
		return errs.E(errs.Busy, "test")
	}
	for i, e := range events {
		if !s.mute.Load() {
			s.log().Answer(e.ID, refused[i])
		}
	}
	return nil
}

// warmUp is the key of events that are of no test.
const warmUp = -1

const testDeadline = time.Second

// world is a log and those who apply what is published to it.
type world struct {
	*Log
	sink *sink
	c    Config
}

func openWorld(t *testing.T, c Config, r *eventtest.Recorder) *world {
	t.Helper()
	w := &world{c: c}
	w.sink = &sink{apply: r.Apply, at: make(map[int32]int64), log: func() event.Answerer { return w.Log }}
	log, err := NewLog(w.c, "test", r.Apply, testDeadline)
	if err != nil {
		t.Fatal(err)
	}
	w.Log = log
	t.Cleanup(func() { _ = log.Close() })
	w.consume(t, c.Group)
	// The group needs a moment to find together; until then commits would go the direct way.
	wait(t, func() bool { return w.answers(event.Event{ID: rand.Text(), Key: warmUp}) })
	return w
}

// answers tells whether an event is answered through the log.
func (w *world) answers(e event.Event) bool {
	_, missed := w.publish(context.Background(), []event.Event{e})
	return len(missed) == 0
}

// consume starts another who applies, in a group; the function ends it.
func (w *world) consume(t *testing.T, group string) (stop func()) {
	t.Helper()
	c := w.c
	c.Group = group
	source := NewSource(c, Gather{Records: 100, Bytes: 1 << 20, Wait: time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx, w.sink) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := errors.Join(<-done, source.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); {
		if time.Now().After(end) {
			t.Fatal("it did not come to that within a minute")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func nth(key int64, n uint64) event.Event {
	return event.Event{ID: rand.Text(), Key: key, Payload: binary.BigEndian.AppendUint64(nil, n)}
}

// inOrder checks that each of so many keys has had so many events, once and in their order.
func inOrder(t *testing.T, r *eventtest.Recorder, keys int, each uint64) {
	t.Helper()
	next := make(map[int64]uint64)
	for _, e := range r.Applied() {
		if n := binary.BigEndian.Uint64(e.Payload); n != next[e.Key] {
			t.Fatalf("key %d: event %d where %d was due", e.Key, n, next[e.Key])
		}
		next[e.Key]++
	}
	if len(next) != keys {
		t.Errorf("events of %d keys, want %d", len(next), keys)
	}
	for key, n := range next {
		if n != each {
			t.Errorf("key %d: %d events, want %d", key, n, each)
		}
	}
}

// publishMany publishes so many events of so many keys, each key's one after the other.
func (w *world) publishMany(t *testing.T, keys int64, each uint64) {
	t.Helper()
	var publishers sync.WaitGroup
	for key := range keys {
		publishers.Go(func() {
			for n := range each {
				if err := w.Publish(context.Background(), nth(key, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	publishers.Wait()
}
