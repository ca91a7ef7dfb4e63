package download

import (
	"io"

	"github.com/livil/gopan/internal/blob"
)

// guarded remembers a read that failed.
type guarded struct {
	blob.Reader
	err error
}

// Read implements io.Reader.
func (g *guarded) Read(p []byte) (int, error) {
	n, err := g.Reader.Read(p)
	if err != nil && err != io.EOF {
		g.err = err
	}
	return n, err
}
