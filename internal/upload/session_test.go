package upload_test

import (
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
)

// G56: contents of every size around a block's arrive, announced or not.
func TestSessionSizes(t *testing.T) {
	s := newServer(t, 0)
	for i, size := range []int64{0, 1, blob.BlockSize - 1, blob.BlockSize, blob.BlockSize + 1, 3*blob.BlockSize + 7} {
		c := contentOf(blobtest.Bytes(int64(i), size))
		u := s.begin("/f", c, nil)
		if u.MissingCount != blob.Blocks(size) || u.Token == "" || u.Challenge != nil {
			t.Fatalf("%d bytes: %+v", size, u)
		}
		s.fill(u, c)
		status := 200
		if i == 0 {
			status = 201
		}
		n := s.complete(u.ID).node(t, status)
		s.wantContent(n, c.data)
		if again := s.complete(u.ID).node(t, status); again != n {
			t.Errorf("completed again: %+v, before %+v", again, n)
		}
		if got := s.show(u.ID); got.Node == nil || *got.Node != n || got.Token != "" {
			t.Errorf("%+v", got)
		}
		if s.staged() != 0 {
			t.Error("something is left in the staging")
		}
	}
}
