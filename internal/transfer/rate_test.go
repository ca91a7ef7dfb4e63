package transfer

import (
	"testing"
	"time"
)

// The rate holds for files of any size.
func TestRate(t *testing.T) {
	for _, c := range []struct {
		n, rate int64
		want    time.Duration
	}{
		{0, 1, 0}, {1000, 1000, time.Second}, {9 << 30, 1 << 30, 9 * time.Second},
		{100 << 30, 1 << 20, 100 * 1024 * time.Second}, {5 << 40, 50 << 20, 104857 * time.Second},
	} {
		l := &limited{n: c.n, rate: c.rate, began: time.Now()}
		if got := l.ahead(); got > c.want+time.Second || got < c.want-time.Minute {
			t.Errorf("%d bytes at %d a second: %s ahead, want %s", c.n, c.rate, got, c.want)
		}
	}
}
