//go:build cluster

package kafka

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/event/eventtest"
)

// topics makes topics of the test in the cluster that make cluster-up started.
func topics(t *testing.T) Config {
	t.Helper()
	brokers := os.Getenv("GOPAN_TEST_KAFKA")
	if brokers == "" {
		t.Fatal("GOPAN_TEST_KAFKA is not set: run make test-cluster, or make cluster-up ONLY=kafka and . .cluster/env")
	}
	name := "test-" + rand.Text()
	c := Config{Brokers: strings.Split(brokers, ","), Topic: name, DeadLetters: name + "-dead", Group: name}
	made, err := Prepare(t.Context(), c, Layout{Partitions: 4, Replicas: 3, InSync: 2, Retention: time.Hour})
	if err != nil || len(made) != 2 || !made[0].Created || !made[1].Created {
		t.Fatalf("%+v, %v", made, err)
	}
	t.Cleanup(func() {
		client, err := kgo.NewClient(c.options()...)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		_, _ = kadm.NewClient(client).DeleteTopics(context.Background(), c.Topic, c.DeadLetters)
	})
	return c
}

// sink applies with a Recorder, keeps the positions as the database does, and tells the log.
type sink struct {
	apply event.Apply
	log   func() event.Answerer
	// answers can be turned off.
	mute atomic.Bool

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

func openWorld(t *testing.T, r *eventtest.Recorder) *world {
	t.Helper()
	w := &world{c: topics(t)}
	w.sink = &sink{apply: r.Apply, at: make(map[int32]int64), log: func() event.Answerer { return w.Log }}
	log, err := NewLog(w.c, "test", r.Apply, testDeadline)
	if err != nil {
		t.Fatal(err)
	}
	w.Log = log
	t.Cleanup(func() { _ = log.Close() })
	w.consume(t)
	// The group needs a moment to find together; until then commits would go the direct way.
	wait(t, func() bool {
		_, missed := log.publish(t.Context(), []event.Event{{ID: rand.Text(), Key: warmUp}})
		return len(missed) == 0
	})
	return w
}

// consume starts another who applies; the function ends it.
func (w *world) consume(t *testing.T) (stop func()) {
	t.Helper()
	source := NewSource(w.c, Gather{Records: 100, Bytes: 1 << 20, Wait: time.Millisecond})
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

// C6, F06: with those who apply coming and going, each event is applied once, and each key's in order.
func TestClusterRebalance(t *testing.T) {
	r := new(eventtest.Recorder)
	w := openWorld(t, r)
	const keys, each = 8, 150
	var publishers sync.WaitGroup
	for key := range int64(keys) {
		publishers.Go(func() {
			for n := range uint64(each) {
				if err := w.Publish(t.Context(), nth(key, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	second := w.consume(t)
	w.consume(t)
	second()
	publishers.Wait()
	next := make(map[int64]uint64)
	for _, e := range r.Applied() {
		if n := binary.BigEndian.Uint64(e.Payload); n != next[e.Key] {
			t.Fatalf("key %d: event %d where %d was due", e.Key, n, next[e.Key])
		}
		next[e.Key]++
	}
	for key, n := range next {
		if n != each {
			t.Errorf("key %d: %d events", key, n)
		}
	}
}

// F42: an event whose answer is lost is answered all the same, once, and what comes after does not wait for it.
func TestClusterAnswerLost(t *testing.T) {
	refusal := errs.E(errs.OverQuota, "test")
	var refuse atomic.Bool
	r := &eventtest.Recorder{Refuse: func(e event.Event) error {
		if refuse.Load() && binary.BigEndian.Uint64(e.Payload) == 7 {
			return refusal
		}
		return nil
	}}
	w := openWorld(t, r)
	w.sink.mute.Store(true)
	refuse.Store(true)
	if err := w.Publish(t.Context(), nth(1, 7)); !errors.Is(err, refusal) {
		t.Errorf("%v, want what the other way refused it with", err)
	}
	refuse.Store(false) // it is free to be applied now, and must not be
	began := time.Now()
	for n := range uint64(20) {
		if err := w.Publish(t.Context(), nth(2, n)); err != nil {
			t.Error(err)
		}
	}
	if d := time.Since(began); d > 10*testDeadline {
		t.Errorf("20 events took %v", d)
	}
	w.sink.mute.Store(false)
	wait(t, func() bool {
		return w.Publish(t.Context(), nth(3, 0)) == nil && w.breaker.next.Load() == 0
	})
	seen := make(map[string]int)
	for _, e := range r.Applied() {
		if seen[e.ID]++; seen[e.ID] > 1 {
			t.Errorf("event %x of key %d was applied twice", e.Payload, e.Key)
		}
		if e.Key == 1 {
			t.Error("the refused event was applied")
		}
	}
}

func TestClusterSuite(t *testing.T) {
	eventtest.Run(t, func(t *testing.T, r *eventtest.Recorder) event.Log {
		return openWorld(t, r)
	})
}

// F44: a dead letter keeps what it was, and can be published again.
func TestClusterDeadLetters(t *testing.T) {
	c := topics(t)
	s := NewSource(c, Gather{})
	e := nth(5, 1)
	if err := s.Bury(t.Context(), c.Topic, 3, event.Record{Event: e, Offset: 42}, "not a commit"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var letters []DeadLetter
	if err := Letters(t.Context(), c, 0, func(d DeadLetter) error { letters = append(letters, d); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(letters) != 1 || letters[0].Reason != "not a commit" || letters[0].Partition != "3" || letters[0].At != "42" || letters[0].ID != e.ID {
		t.Fatalf("%+v", letters)
	}
	if err := Replay(t.Context(), c, letters[0]); err != nil {
		t.Fatal(err)
	}
	again, err := Prepare(t.Context(), c, Layout{Partitions: 5, Replicas: 3, InSync: 2, Retention: time.Hour})
	if err != nil || again[0].Created || len(again[0].Differs) != 1 || len(again[1].Differs) != 0 {
		t.Errorf("%+v, %v: want one difference, in the partitions of the first", again, err)
	}
}
