package transfer

import (
	"testing"
	"time"
)

// The rate holds for files of any size, and for several at once.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		n, rate int64
		want    time.Duration
	}{
		{0, 1, 0}, {1000, 1000, time.Second}, {9 << 30, 1 << 30, 9 * time.Second},
		{100 << 30, 1 << 20, 100 * 1024 * time.Second}, {5 << 40, 50 << 20, 104857600 * time.Millisecond},
	} {
		p, now := newPace(c.rate), time.Now()
		if got := p.after(now, c.n); (got - c.want).Abs() > time.Second {
			t.Errorf("%d bytes at %d a second: %s, want %s", c.n, c.rate, got, c.want)
		}
		if got := p.after(now, c.n); (got - 2*c.want).Abs() > time.Second {
			t.Errorf("and again as many: %s, want %s", got, 2*c.want)
		}
		// An hour without anything to do is not made up for.
		now = now.Add(2*c.want + time.Hour)
		if got := p.after(now, c.n); (got - c.want).Abs() > time.Second {
			t.Errorf("after a pause: %s, want %s", got, c.want)
		}
	}
	if newPace(0) != nil || (*pace)(nil).wait(t.Context(), 1<<40) != nil {
		t.Error("no rate is a bound")
	}
}
