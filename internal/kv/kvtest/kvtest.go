// Package kvtest is the suite that every kv.Store passes.
package kvtest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/kv"
)

// Clock lets the suite move a store's time.
type Clock struct {
	ms atomic.Int64
}

// Now is the clock's time.
func (c *Clock) Now() time.Time { return time.UnixMilli(1_700_000_000_000 + c.ms.Load()) }

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// Run puts a store through the suite. open gives an empty one; expire makes d pass for it.
func Run(t *testing.T, open func(t *testing.T) (s kv.Store, expire func(d time.Duration))) {
	t.Run("Values", func(t *testing.T) { values(t, open) })
	t.Run("Swap", func(t *testing.T) { swap(t, open) })
	t.Run("Add", func(t *testing.T) { add(t, open) })
	t.Run("Many", func(t *testing.T) { many(t, open) })
	t.Run("Cancelled", func(t *testing.T) {
		s, _ := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Set(ctx, "k", nil, time.Minute); err == nil {
			t.Error("Set with a context that has ended succeeded")
		}
	})
}

func wantValue(t *testing.T, s kv.Store, key, want string) {
	t.Helper()
	v, err := s.Get(t.Context(), key)
	if want == "" {
		if !errs.Is(errs.NotFound, err) {
			t.Errorf("Get(%q) = %q, %v; want errs.NotFound", key, v, err)
		}
	} else if err != nil || string(v) != want {
		t.Errorf("Get(%q) = %q, %v; want %q", key, v, err, want)
	}
}

func values(t *testing.T, open func(*testing.T) (kv.Store, func(time.Duration))) {
	s, expire := open(t)
	wantValue(t, s, "a", "")
	must(t, s.Set(t.Context(), "a", []byte("1"), time.Minute))
	must(t, s.Set(t.Context(), "b", []byte("\x00\xff"), time.Hour))
	must(t, s.Set(t.Context(), "a", []byte("2"), time.Minute))
	wantValue(t, s, "a", "2")
	wantValue(t, s, "b", "\x00\xff")
	expire(2 * time.Minute)
	wantValue(t, s, "a", "")
	wantValue(t, s, "b", "\x00\xff")
	must(t, s.Delete(t.Context(), "b"))
	must(t, s.Delete(t.Context(), "b"))
	wantValue(t, s, "b", "")
}

// Many values are those that Get gives, whether the store can give them at once or not.
func many(t *testing.T, open func(*testing.T) (kv.Store, func(time.Duration))) {
	s, expire := open(t)
	var keys, want []string
	for i := range 2*kv.MaxMany + 3 {
		key, value := fmt.Sprint("k", i), ""
		if i%3 > 0 {
			value = fmt.Sprint("v", i)
			must(t, s.Set(t.Context(), key, []byte(value), time.Duration(i%3)*time.Hour))
		}
		keys, want = append(keys, key), append(want, value)
	}
	must(t, s.Set(t.Context(), "empty", nil, time.Hour))
	check := func(keys, want []string) {
		t.Helper()
		for name, s := range map[string]kv.Store{"at once": s, "one by one": struct{ kv.Store }{s}} {
			values, err := kv.GetMany(t.Context(), s, keys)
			if err != nil || len(values) != len(keys) {
				t.Fatalf("%s: %d values, %v; want %d", name, len(values), err, len(keys))
			}
			for i, v := range values {
				if string(v) != want[i] || (v == nil) != (want[i] == "") {
					t.Fatalf("%s: %s is %q, want %q", name, keys[i], v, want[i])
				}
			}
		}
	}
	check(keys, want)
	check(nil, nil)
	check([]string{"k1", "none", "k1"}, []string{"v1", "", "v1"})
	if v, err := kv.GetMany(t.Context(), s, []string{"empty"}); err != nil || v[0] == nil || len(v[0]) != 0 {
		t.Errorf("an empty value is %q, %v", v, err)
	}
	expire(90 * time.Minute)
	for i := range want {
		if i%3 == 1 {
			want[i] = ""
		}
	}
	check(keys, want)
}

func swap(t *testing.T, open func(*testing.T) (kv.Store, func(time.Duration))) {
	s, expire := open(t)
	step := func(old, value string, want bool) {
		t.Helper()
		var o []byte
		if old != "" {
			o = []byte(old)
		}
		if ok, err := s.Swap(t.Context(), "k", o, []byte(value), time.Minute); err != nil || ok != want {
			t.Errorf("Swap(%q, %q) = %v, %v; want %v", old, value, ok, err, want)
		}
	}
	step("x", "1", false)
	step("", "1", true)
	step("", "2", false)
	step("2", "3", false)
	step("1", "3", true)
	wantValue(t, s, "k", "3")
	expire(2 * time.Minute)
	step("3", "4", false)
	step("", "4", true)

	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			ok, err := s.Swap(t.Context(), "k", []byte("4"), fmt.Append(nil, "w", i), time.Minute)
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("%d of 20 won", n)
	}
}

// C8: of 50 at once, each gets a number of its own.
func add(t *testing.T, open func(*testing.T) (kv.Store, func(time.Duration))) {
	s, expire := open(t)
	var seen [51]atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			n, err := s.Add(t.Context(), "n", 1, time.Minute)
			if err != nil || n < 1 || n > 50 {
				t.Errorf("Add = %d, %v", n, err)
				return
			}
			seen[n].Add(1)
		})
	}
	wg.Wait()
	for n := 1; n <= 50; n++ {
		if c := seen[n].Load(); c != 1 {
			t.Errorf("%d was given %d times", n, c)
		}
	}
	expire(30 * time.Second)
	if n, err := s.Add(t.Context(), "n", -10, time.Hour); err != nil || n != 40 {
		t.Errorf("Add = %d, %v; want 40", n, err)
	}
	expire(45 * time.Second)
	if n, err := s.Add(t.Context(), "n", 5, time.Minute); err != nil || n != 5 {
		t.Errorf("Add after it expired = %d, %v; want 5: the first Add sets the time", n, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
