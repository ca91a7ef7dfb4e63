package filemeta

import (
	"testing"

	"github.com/livil/gopan/internal/errs"
)

// C6: a key stands for one request; with another one it is refused, and nothing is done.
func TestKeyReused(t *testing.T) {
	made := request{Deed: deed("make", "/a")}
	if err := made.is(deed("make", "/a")); err != nil {
		t.Errorf("the same request again: %v", err)
	}
	for _, other := range [][]byte{deed("put", "/a"), deed("make", "/b"), nil} {
		if err := made.is(other); !errs.Is(errs.Conflict, err) || errs.CodeOf(err) != "key_reused" {
			t.Errorf("another request: %v", err)
		}
	}
}
