package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/event/eventtest"
)

// The tests of this file run against brokers in the process, which speak Kafka's protocol and can be told to fail;
// cluster_test.go runs most of them against Kafka itself.

// fake gives brokers in the process, with topics.
func fake(t *testing.T) (*kfake.Cluster, Config) {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k, prepare(t, k.ListenAddrs())
}

func fakeTopics(t *testing.T) Config {
	t.Helper()
	_, c := fake(t)
	return c
}

func TestSuite(t *testing.T)       { suite(t, fakeTopics) }
func TestRebalance(t *testing.T)   { rebalance(t, fakeTopics(t)) }
func TestAnswerLost(t *testing.T)  { answerLost(t, fakeTopics(t)) }
func TestResultLost(t *testing.T)  { resultLost(t, fakeTopics(t)) }
func TestTwoGroups(t *testing.T)   { twoGroups(t, fakeTopics(t)) }
func TestOneStuck(t *testing.T)    { oneStuck(t, fakeTopics(t)) }
func TestDeadLetters(t *testing.T) { deadLetterKept(t, fakeTopics(t)) }

func suite(t *testing.T, topics func(*testing.T) Config) {
	eventtest.Run(t, func(t *testing.T, r *eventtest.Recorder) event.Log { return openWorld(t, topics(t), r) })
}

// C6, F06: with those who apply coming and going, each event is applied once, and each key's in order.
func rebalance(t *testing.T, c Config) {
	r := new(eventtest.Recorder)
	w := openWorld(t, c, r)
	published := make(chan struct{})
	go func() {
		defer close(published)
		w.publishMany(t, 8, 150)
	}()
	second := w.consume(t, c.Group)
	w.consume(t, c.Group)
	second()
	<-published
	inOrder(t, r, 8, 150)
}

// F42: an event whose answer is lost is answered all the same, once, and what comes after does not wait for it.
func answerLost(t *testing.T, c Config) {
	refusal := errs.E(errs.OverQuota, "test")
	var refuse atomic.Bool
	r := &eventtest.Recorder{Refuse: func(e event.Event) error {
		if refuse.Load() && binary.BigEndian.Uint64(e.Payload) == 7 {
			return refusal
		}
		return nil
	}}
	w := openWorld(t, c, r)
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
	once(t, r)
	for _, e := range r.Applied() {
		if e.Key == 1 {
			t.Error("the refused event was applied")
		}
	}
}

// once checks that no event was applied twice.
func once(t *testing.T, r *eventtest.Recorder) {
	t.Helper()
	seen := make(map[string]bool)
	for _, e := range r.Applied() {
		if seen[e.ID] {
			t.Errorf("event %x of key %d was applied twice", e.Payload, e.Key)
		}
		seen[e.ID] = true
	}
}

// F43: a batch that was applied, of which nobody learnt that, is not applied again, and its partition goes on.
func resultLost(t *testing.T, c Config) {
	r := new(eventtest.Recorder)
	w := openWorld(t, c, r)
	w.sink.lost.Store(true)
	if err := w.Publish(t.Context(), nth(1, 0)); err != nil {
		t.Error(err)
	}
	w.sink.lost.Store(false)
	// The partition itself goes on; that the direct way does would not tell.
	n := uint64(1)
	wait(t, func() bool {
		n++
		return w.answers(nth(1, n-1))
	})
	inOrder(t, r, 1, n)
	once(t, r)
	w.sink.mu.Lock()
	defer w.sink.mu.Unlock()
	if w.sink.stale == 0 {
		t.Error("the batch did not come again: nothing was tested")
	}
}

// F06: two who both believe to have all partitions apply each event once and in order.
func twoGroups(t *testing.T, c Config) {
	r := new(eventtest.Recorder)
	w := openWorld(t, c, r)
	w.consume(t, c.Group+"-zombie")
	// The second must be at work too: it is when it comes late with something.
	for n := uint64(0); ; n++ {
		if err := w.Publish(t.Context(), nth(100, n)); err != nil {
			t.Fatal(err)
		}
		w.sink.mu.Lock()
		stale := w.sink.stale
		w.sink.mu.Unlock()
		if stale > 0 {
			break
		}
		if n > 100_000 {
			t.Fatal("nobody ever came late")
		}
	}
	before := len(r.Applied())
	w.publishMany(t, 8, 100)
	if n := len(r.Applied()) - before; n != 800 {
		t.Errorf("%d applied, want 800", n)
	}
	once(t, r)
	next := make(map[int64]uint64)
	for _, e := range r.Applied() {
		if n := binary.BigEndian.Uint64(e.Payload); n != next[e.Key] {
			t.Fatalf("key %d: event %d where %d was due", e.Key, n, next[e.Key])
		}
		next[e.Key]++
	}
}

// A partition of which nothing can be applied holds up no other, and all of it is applied once that can be again.
func oneStuck(t *testing.T, c Config) {
	r := new(eventtest.Recorder)
	w := openWorld(t, c, r)
	client, err := kgo.NewClient(c.options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	send := func(e event.Event) int32 {
		sent, err := client.ProduceSync(t.Context(), encode(c.Topic, event.Version, "", e)).First()
		if err != nil {
			t.Fatal(err)
		}
		return sent.Partition
	}
	stuck := send(nth(1, 0))
	wait(t, func() bool { return len(r.Applied()) == 1 })
	other := int64(2)
	for ; send(event.Event{ID: "find", Key: other}) == stuck; other++ {
	}
	w.sink.stuck.Store(stuck + 1)
	const n = 10 * maxQueue
	for i := range uint64(n) {
		send(nth(1, i+1)) // one after the other, so that they are fetched in pieces
		if !w.answers(nth(other, i)) {
			t.Fatalf("after %d of the partition that is stuck another one does not go on", i+1)
		}
	}
	// It is not the whole of it that is fetched, so the lag may be less.
	wait(t, func() bool { return lagOf(t, stuck) >= maxQueue })
	w.sink.stuck.Store(0)
	wait(t, func() bool { return lagOf(t, stuck) == 0 && len(of(r, 1)) == n+1 })
	for i, v := range of(r, 1) {
		if v != uint64(i) {
			t.Fatalf("event %d where %d was due", v, i)
		}
	}
	once(t, r)
}

// of gives the events of a key in the order in which they were applied.
func of(r *eventtest.Recorder, key int64) (all []uint64) {
	for _, e := range r.Applied() {
		if e.Key == key && len(e.Payload) == 8 {
			all = append(all, binary.BigEndian.Uint64(e.Payload))
		}
	}
	return all
}

func lagOf(t *testing.T, partition int32) float64 {
	t.Helper()
	m := new(dto.Metric)
	if err := lag.WithLabelValues(strconv.Itoa(int(partition))).Write(m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

// F44: a dead letter keeps what it was, and can be published again, as long as it is known what became of it.
func deadLetterKept(t *testing.T, c Config) {
	s := NewSource(c, Gather{})
	recent := time.Now().Add(-time.Hour)
	newer, old := nth(5, 1), nth(6, 2)
	for _, rec := range []event.Record{
		{Event: newer, Version: "2", Offset: 42, Published: recent},
		{Event: old, Version: event.Version, Offset: 43, Published: time.Now().Add(-event.Remembered)},
	} {
		if err := s.Bury(t.Context(), c.Topic, 3, rec, "not a commit"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var letters []DeadLetter
	if err := Letters(t.Context(), c, 0, func(d DeadLetter) error { letters = append(letters, d); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(letters) != 2 {
		t.Fatalf("%+v", letters)
	}
	first := letters[0]
	if first.Reason != "not a commit" || first.Partition != "3" || first.At != "42" || first.ID != newer.ID || first.Version != "2" ||
		first.Drive != 5 || first.Published.UnixMilli() != recent.UnixMilli() {
		t.Errorf("%+v", first)
	}
	if err := Replay(t.Context(), c, first); err != nil {
		t.Fatal(err)
	}
	if err := Replay(t.Context(), c, letters[1]); !errs.Is(errs.Conflict, err) {
		t.Errorf("one that is %v old: %v, want errs.Conflict", event.Remembered, err)
	}
	client, err := kgo.NewClient(append(c.options(), kgo.ConsumeTopics(c.Topic))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	again := client.PollFetches(t.Context()).Records()
	if len(again) != 1 {
		t.Fatalf("%d are published again, want 1", len(again))
	}
	if got := decode(again[0]); got.ID != newer.ID || got.Version != "2" || got.Key != 5 || !slices.Equal(got.Payload, newer.Payload) {
		t.Errorf("published again as %+v", got)
	}
	other := layout
	other.Partitions++
	differs, err := Prepare(t.Context(), c, other)
	if err != nil || differs[0].Created || len(differs[0].Differs) != 1 || len(differs[1].Differs) != 0 {
		t.Errorf("%+v, %v: want one difference, in the partitions of the first", differs, err)
	}
}

// F42: while no broker takes anything, the first event waits for the deadline and those after it for nothing; once they
// take events again these go through the log.
func TestOutage(t *testing.T) {
	k, c := fake(t)
	r := new(eventtest.Recorder)
	w := openWorld(t, c, r)
	var away atomic.Bool
	away.Store(true)
	k.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		if away.Load() {
			return nil, errors.New("the connection is lost"), true
		}
		return nil, nil, false
	})
	began := time.Now()
	if err := w.Publish(t.Context(), nth(1, 0)); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d > 3*testDeadline {
		t.Errorf("the first took %v", d)
	}
	// For a time in which the log is tried again more than once.
	n := uint64(1)
	for ; time.Since(began) < 5*testDeadline; n++ {
		one := time.Now()
		if err := w.Publish(t.Context(), nth(1, n)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(one); d > testDeadline/2 {
			t.Errorf("event %d took %v during the outage", n, d)
		}
	}
	if w.breaker.next.Load() == 0 {
		t.Error("the log is taken to answer")
	}
	away.Store(false)
	wait(t, func() bool {
		err := w.Publish(context.Background(), nth(1, n))
		n++
		return err == nil && w.breaker.next.Load() == 0
	})
	if !w.answers(nth(1, n)) {
		t.Error("events do not go through the log again")
	}
	inOrder(t, r, 1, n+1)
}
