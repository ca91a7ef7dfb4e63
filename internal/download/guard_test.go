package download

import (
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/livil/gopan/internal/blob"
)

// touchy is a reader that must not be closed while it is being read, as its buffer is anybody's from then on.
type touchy struct {
	blob.Reader
	reading, closed atomic.Bool
	began, release  chan struct{}
	hurt            atomic.Bool
}

func (r *touchy) Read(p []byte) (int, error) {
	r.reading.Store(true)
	defer r.reading.Store(false)
	close(r.began)
	<-r.release
	if r.closed.Load() {
		r.hurt.Store(true)
	}
	return len(p), nil
}

func (r *touchy) Close() error {
	r.closed.Store(true)
	if r.reading.Load() {
		r.hurt.Store(true)
	}
	return nil
}

// D6: nobody gets a buffer that another request still reads into.
func TestNoCloseUnderRead(t *testing.T) {
	for range 200 {
		r := &touchy{began: make(chan struct{}), release: make(chan struct{})}
		g := &guarded{Reader: r}
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.ReadFull(g, make([]byte, 1)) })
		<-r.began
		about := make(chan struct{})
		wg.Go(func() { close(about); _ = g.Close() })
		<-about
		runtime.Gosched()
		close(r.release)
		wg.Wait()
		if r.hurt.Load() {
			t.Fatal("closed while it was being read")
		}
		if _, err := g.Read(make([]byte, 1)); err == nil {
			t.Fatal("read after it was closed")
		}
	}
}
