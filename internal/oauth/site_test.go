package oauth_test

import (
	"testing"
	"time"

	"github.com/livil/gopan/internal/oauth"
)

// G20: nobody waits for another site for more than 10 seconds, however many calls it takes, unless the settings say so.
func TestBounds(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: 10 * time.Second, time.Second: time.Second, time.Minute: time.Minute} {
		ctx, cancel := oauth.NewSite(timeout).Begin(t.Context())
		defer cancel()
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > want || time.Until(end) < want/2 {
			t.Errorf("%v: until %v, %v", timeout, end, ok)
		}
	}
}
