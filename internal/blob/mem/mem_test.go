package mem_test

import (
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/mem"
)

func TestStore(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return new(mem.Store) })
}

func TestTwoOpenings(t *testing.T) {
	blobtest.RunStager(t, func(*testing.T) (first, second blob.Stager) {
		s := new(mem.Store)
		return s, s
	})
}
