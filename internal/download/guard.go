package download

import (
	"io"
	"os"
	"sync"

	"github.com/livil/gopan/internal/blob"
)

// guarded remembers a read that failed, and does not close under a read: for several ranges net/http reads in a
// goroutine of its own, which may outlive ServeContent when the caller goes away.
type guarded struct {
	blob.Reader

	mu     sync.Mutex
	closed bool
	err    error
}

// Read implements io.Reader.
func (g *guarded) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return 0, os.ErrClosed
	}
	n, err := g.Reader.Read(p)
	if err != nil && err != io.EOF {
		g.err = err
	}
	return n, err
}

// Seek implements io.Seeker.
func (g *guarded) Seek(offset int64, whence int) (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return 0, os.ErrClosed
	}
	return g.Reader.Seek(offset, whence)
}

// Close waits for a read that is under way; there is none after it.
func (g *guarded) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return g.Reader.Close()
}

// failed is the read that failed, if one did.
func (g *guarded) failed() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
