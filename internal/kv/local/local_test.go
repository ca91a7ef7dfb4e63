package local_test

import (
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/kv"
	"github.com/livil/gopan/internal/kv/kvtest"
	"github.com/livil/gopan/internal/kv/local"
)

func open(t *testing.T, dir string, clock *kvtest.Clock) *local.Store {
	t.Helper()
	s, err := local.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.Now = clock.Now
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) (kv.Store, func(time.Duration)) {
		clock := new(kvtest.Clock)
		return open(t, t.TempDir(), clock), clock.Advance
	})
}

// Two processes see each other's entries, and a restart keeps them.
func TestShared(t *testing.T) {
	dir, clock := t.TempDir(), new(kvtest.Clock)
	a, b := open(t, dir, clock), open(t, dir, clock)
	if err := a.Set(t.Context(), "k", []byte("v"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Get(t.Context(), "k"); err != nil || string(v) != "v" {
		t.Errorf("the other process sees %q, %v", v, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if v, err := open(t, dir, clock).Get(t.Context(), "k"); err != nil || string(v) != "v" {
		t.Errorf("after a restart: %q, %v", v, err)
	}
	clock.Advance(time.Hour)
	if err := b.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, err := b.Get(t.Context(), "k"); !errs.Is(errs.NotFound, err) {
		t.Errorf("expired: %q, %v", v, err)
	}
}
