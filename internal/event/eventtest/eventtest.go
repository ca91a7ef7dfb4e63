// Package eventtest is the suite that every event.Log passes.
package eventtest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
)

// Recorder is an event.Apply that keeps what it applied, and does as it is told about the rest. As filemeta does, it
// applies an event once and remembers what it refused.
type Recorder struct {
	// Refuse says which events to refuse; Fail fails a whole batch.
	Refuse func(event.Event) error
	Fail   func([]event.Event) error

	mu      sync.Mutex
	applied []event.Event
	known   map[string]error
}

// Apply is the event.Apply.
func (r *Recorder) Apply(_ context.Context, batch []event.Event) ([]error, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Fail != nil {
		if err := r.Fail(batch); err != nil {
			return nil, err
		}
	}
	if r.known == nil {
		r.known = make(map[string]error)
	}
	refused := make([]error, len(batch))
	for i, e := range batch {
		before, known := r.known[e.ID]
		if known && e.ID != "" {
			refused[i] = before
			continue
		}
		if r.Refuse != nil {
			refused[i] = r.Refuse(e)
		}
		if refused[i] == nil {
			r.applied = append(r.applied, e)
		}
		r.known[e.ID] = refused[i]
	}
	return refused, nil
}

// Applied is what has been applied, in order.
func (r *Recorder) Applied() []event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]event.Event(nil), r.applied...)
}

func nth(key int64, n uint64) event.Event {
	return event.Event{ID: rand.Text(), Key: key, Payload: binary.BigEndian.AppendUint64(nil, n)}
}

// Run puts a log through the suite. open starts one that applies with r.
func Run(t *testing.T, open func(t *testing.T, r *Recorder) event.Log) {
	t.Run("OnceInOrder", func(t *testing.T) { onceInOrder(t, open) })
	t.Run("OneBadEvent", func(t *testing.T) { oneBadEvent(t, open) })
	t.Run("AllAtOnce", func(t *testing.T) { allAtOnce(t, open) })
	t.Run("CloseWaits", func(t *testing.T) { closeWaits(t, open) })
	t.Run("CallerGone", func(t *testing.T) {
		l := open(t, new(Recorder))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 100 { // either branch of a race may win; none may hang or panic
			if err := l.Publish(ctx, nth(1, 1)); err != nil && !errs.Is(errs.Canceled, err) {
				t.Fatal(err)
			}
		}
	})
}

// C6: what is acknowledged has been applied once, and each key's events in order.
func onceInOrder(t *testing.T, open func(*testing.T, *Recorder) event.Log) {
	r := new(Recorder)
	l := open(t, r)
	const keys, each = 8, 200
	var wg sync.WaitGroup
	for key := range int64(keys) {
		wg.Go(func() {
			for n := range uint64(each) {
				if err := l.Publish(t.Context(), nth(key, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var next [keys]uint64
	for _, e := range r.Applied() {
		if n := binary.BigEndian.Uint64(e.Payload); n != next[e.Key] {
			t.Fatalf("key %d: event %d where %d was due", e.Key, n, next[e.Key])
		}
		next[e.Key]++
	}
	for key, n := range next {
		if n != each {
			t.Errorf("key %d: %d events applied, want %d", key, n, each)
		}
	}
}

// F44: an event that is refused, or that the database chokes on, hurts no other.
func oneBadEvent(t *testing.T, open func(*testing.T, *Recorder) event.Log) {
	refusal, choke := errs.E(errs.OverQuota, "test"), errs.E(errs.Internal, "test")
	is := func(e event.Event, n uint64) bool { return binary.BigEndian.Uint64(e.Payload) == n }
	r := &Recorder{
		Refuse: func(e event.Event) error {
			if is(e, 13) {
				return refusal
			}
			return nil
		},
		Fail: func(batch []event.Event) error {
			for _, e := range batch {
				if is(e, 17) {
					return choke
				}
			}
			return nil
		},
	}
	l := open(t, r)
	var wg sync.WaitGroup
	for n := range uint64(50) {
		wg.Go(func() {
			err := l.Publish(t.Context(), nth(int64(n), n))
			var want error
			switch n {
			case 13:
				want = refusal
			case 17:
				want = choke
			}
			if !errors.Is(err, want) {
				t.Errorf("event %d: %v, want %v", n, err, want)
			}
		})
	}
	wg.Wait()
	if n := len(r.Applied()); n != 48 {
		t.Errorf("%d applied, want 48", n)
	}
}

// What is published at once is applied in its order, and each event is answered for itself.
func allAtOnce(t *testing.T, open func(*testing.T, *Recorder) event.Log) {
	refusal, choke := errs.E(errs.OverQuota, "test"), errs.E(errs.Internal, "test")
	is := func(e event.Event, n uint64) bool { return binary.BigEndian.Uint64(e.Payload) == n }
	r := &Recorder{
		Refuse: func(e event.Event) error {
			if is(e, 13) {
				return refusal
			}
			return nil
		},
		Fail: func(batch []event.Event) error {
			for _, e := range batch {
				if is(e, 17) {
					return choke
				}
			}
			return nil
		},
	}
	l := open(t, r)
	const n = 50
	events := make([]event.Event, n)
	for i := range events {
		events[i] = nth(1, uint64(i))
	}
	answers := event.PublishAll(t.Context(), l, events)
	if len(answers) != n {
		t.Fatalf("%d answers to %d events", len(answers), n)
	}
	for i, err := range answers {
		if want := map[int]error{13: refusal, 17: choke}[i]; !errors.Is(err, want) {
			t.Errorf("event %d: %v, want %v", i, err, want)
		}
	}
	last := -1
	for _, e := range r.Applied() {
		i := int(binary.BigEndian.Uint64(e.Payload))
		if i <= last {
			t.Fatalf("event %d after %d", i, last)
		}
		last = i
	}
	if got := len(r.Applied()); got != n-2 {
		t.Errorf("%d applied, want %d", got, n-2)
	}
	if none := event.PublishAll(t.Context(), l, nil); len(none) != 0 {
		t.Errorf("no events, %d answers", len(none))
	}
}

func closeWaits(t *testing.T, open func(*testing.T, *Recorder) event.Log) {
	gate := make(chan struct{})
	var once sync.Once
	began := make(chan struct{})
	r := &Recorder{Fail: func([]event.Event) error {
		once.Do(func() { close(began) })
		<-gate
		return nil
	}}
	l := open(t, r)
	published := make(chan error, 1)
	go func() { published <- l.Publish(context.Background(), nth(1, 1)) }()
	<-began
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	select {
	case <-closed:
		t.Fatal("Close returned while an event was being applied")
	case <-time.After(20 * time.Millisecond):
	}
	close(gate)
	if err := errors.Join(<-published, <-closed); err != nil {
		t.Fatal(err)
	}
	if n := len(r.Applied()); n != 1 {
		t.Errorf("%d applied", n)
	}
	if err := l.Publish(t.Context(), nth(1, 2)); err == nil {
		t.Error("a closed log took an event")
	}
}
