package redis

import (
	"net"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// F39, F41: a Redis that is not there, or takes connections and says nothing, is errs.Busy within a few seconds.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{"mute": l.Addr().String(), "gone": gone.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			s := New(Config{Addresses: []string{address}})
			defer s.Close()
			began := time.Now()
			_, get := s.Get(t.Context(), "k")
			ok, swap := s.Swap(t.Context(), "k", []byte("a"), []byte("b"), time.Minute)
			_, add := s.Add(t.Context(), "k", 1, time.Minute)
			_, many := s.GetMany(t.Context(), []string{"k"})
			for what, err := range map[string]error{
				"Get": get, "Swap": swap, "Add": add, "GetMany": many,
				"Set": s.Set(t.Context(), "k", nil, time.Minute), "Delete": s.Delete(t.Context(), "k"), "Ping": s.Ping(t.Context()),
			} {
				if !errs.Is(errs.Busy, err) {
					t.Errorf("%s: %v, want errs.Busy", what, err)
				}
			}
			if ok {
				t.Error("Swap did")
			}
			if d := time.Since(began); d > time.Minute {
				t.Errorf("seven calls took %v", d)
			}
		})
	}
}
