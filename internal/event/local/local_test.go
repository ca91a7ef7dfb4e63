package local_test

import (
	"context"
	"sync"
	"testing"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/event/eventtest"
	"github.com/livil/gopan/internal/event/local"
)

func open(t *testing.T, r *eventtest.Recorder) event.Log {
	l := local.New(r.Apply)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestLog(t *testing.T) { eventtest.Run(t, open) }

// While one batch is being applied the next gathers, so many publishers need few transactions.
func TestGathers(t *testing.T) {
	gate, began := make(chan struct{}), make(chan struct{})
	var once sync.Once
	batches := 0
	r := &eventtest.Recorder{Fail: func([]event.Event) error {
		once.Do(func() { close(began); <-gate })
		batches++
		return nil
	}}
	l := local.New(r.Apply)
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Publish(t.Context(), event.Event{}) })
	<-began
	entered := make(chan struct{}, 100)
	for range 100 {
		wg.Go(func() {
			entered <- struct{}{}
			if err := l.Publish(t.Context(), event.Event{}); err != nil {
				t.Error(err)
			}
		})
	}
	for range 100 {
		<-entered
	}
	close(gate)
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(r.Applied()); n != 101 || batches > 50 {
		t.Errorf("%d events in %d batches", n, batches)
	}
}

// What is published at once is one transaction, whatever its size, and so is what waits with it.
func TestOneTransaction(t *testing.T) {
	var sizes []int
	r := &eventtest.Recorder{Fail: func(batch []event.Event) error {
		sizes = append(sizes, len(batch))
		return nil
	}}
	l := local.New(r.Apply)
	for _, err := range l.PublishAll(t.Context(), make([]event.Event, 3*local.MaxBatch)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if len(sizes) != 1 || sizes[0] != 3*local.MaxBatch {
		t.Errorf("transactions of %v events", sizes)
	}
	for _, err := range l.PublishAll(t.Context(), make([]event.Event, 2)) {
		if !errs.Is(errs.Busy, err) {
			t.Errorf("a closed log answers %v", err)
		}
	}
}

// F33, F34: a batch that the database did not take, or may have taken, is not applied again in parts.
func TestBusyBatchIsNotRepeated(t *testing.T) {
	times := 0
	l := local.New(func(context.Context, []event.Event) ([]error, error) {
		times++
		return nil, errs.E(errs.Busy, "test")
	})
	for _, err := range l.PublishAll(t.Context(), make([]event.Event, 8)) {
		if !errs.Is(errs.Busy, err) {
			t.Errorf("answered %v", err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if times != 1 {
		t.Errorf("applied %d times", times)
	}
}
