package object

import (
	"io"
	"sync"
)

// guard is a reader that can be taken away from whoever has it: an HTTP client may go on reading a request's body after it
// has given the answer, when its memory already serves others.
type guard struct {
	mu sync.Mutex
	r  io.Reader // nil: taken away
}

// Read implements io.Reader.
func (g *guard) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.r == nil {
		return 0, io.ErrClosedPipe
	}
	return g.r.Read(p)
}

// take waits for a Read that is under way and lets no other through.
func (g *guard) take() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.r = nil
}

// seekGuard is a guard that can begin anew.
type seekGuard struct {
	guard
	io.Seeker
}

// Seek implements io.Seeker.
func (g *seekGuard) Seek(offset int64, whence int) (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.r == nil {
		return 0, io.ErrClosedPipe
	}
	return g.Seeker.Seek(offset, whence)
}

// guarded gives b for one attempt, and the end of that.
func guarded(b Body) (Body, func()) {
	if s, ok := b.Reader.(io.Seeker); ok {
		g := &seekGuard{guard{r: b.Reader}, s}
		b.Reader = g
		return b, g.take
	}
	g := &guard{r: b.Reader}
	b.Reader = g
	return b, g.take
}
