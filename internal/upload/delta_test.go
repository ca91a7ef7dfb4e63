package upload_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/mem"
)

// Of a new version the client sends the blocks that no earlier version has; editing 1 MiB of a large file sends two
// blocks at most.
func TestOnlyWhatChanged(t *testing.T) {
	const blocks = 11
	old := blobtest.Bytes(1, blocks*blob.BlockSize+100)
	older := blobtest.Bytes(2, 4*blob.BlockSize)
	edit := func(fn func(b []byte) []byte) content { return contentOf(fn(bytes.Clone(old))) }
	for name, c := range map[string]struct {
		now  content
		sent int64
	}{
		"1 MiB over a block's edge": {edit(func(b []byte) []byte { copy(b[3*blob.BlockSize-mib/2:], make([]byte, mib)); return b }), 2},
		"appended":                  {edit(func(b []byte) []byte { return append(b, "more"...) }), 1},
		"shortened":                 {edit(func(b []byte) []byte { return b[:5*blob.BlockSize+1] }), 1},
		"a block put in":            {edit(func(b []byte) []byte { return slices.Insert(b, 2*blob.BlockSize, blobtest.Bytes(7, blob.BlockSize)...) }), 1},
		"blocks moved about": {edit(func(b []byte) []byte {
			return append(append(b[7*blob.BlockSize:10*blob.BlockSize:10*blob.BlockSize], b[:2*blob.BlockSize]...), b[4*blob.BlockSize:6*blob.BlockSize]...)
		}), 0},
		"one block many times": {edit(func(b []byte) []byte { return bytes.Repeat(b[blob.BlockSize:2*blob.BlockSize], 9) }), 0},
		"from two versions":    {edit(func(b []byte) []byte { copy(b[4*blob.BlockSize:], older[:3*blob.BlockSize]); return b }), 0},
		"all new":              {contentOf(blobtest.Bytes(3, 3*blob.BlockSize)), 3},
	} {
		for _, part := range []int64{0, 2 * blob.BlockSize} {
			t.Run(fmt.Sprint(name, part), func(t *testing.T) {
				s := newServer(t, 0)
				var store blob.Opener = s.store
				if part > 0 {
					m := &mem.Store{Part: part}
					s.up.Blobs, store = blob.Local(m), m
				}
				put := func(data []byte, status int) { s.put(to("/f"), bytes.NewReader(data)).node(t, status) }
				put(older, 201)
				put(old, 200)
				u := s.begin("/f", c.now, announced(c.now))
				if u.MissingCount != c.sent {
					t.Fatalf("%d blocks are missing, want %d: %v", u.MissingCount, c.sent, u.Missing)
				}
				s.fill(u, c.now)
				n := s.complete(u.ID).node(t, 200)
				d, err := blob.ParseDigest(n.Digest)
				if err != nil {
					t.Fatal(err)
				}
				r, err := (&blob.Verifier{Store: store, Always: true}).Open(t.Context(), blob.Ref{Digest: d, Size: n.Size})
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, c.now.data) {
					t.Errorf("not what it should have become (%v)", err)
				}
			})
		}
	}
}

// D4, D6: a source that is gone or damaged when the upload is completed is not copied; its blocks are asked for.
func TestSourceLost(t *testing.T) {
	old := contentOf(blobtest.Bytes(1, 6*blob.BlockSize))
	now := contentOf(append(bytes.Clone(old.data), "more"...))
	for _, part := range []int64{0, 2 * blob.BlockSize} {
		for name, spoil := range map[string]func(s *mem.Store, d blob.Digest){
			"damaged": func(s *mem.Store, d blob.Digest) { s.Damage(d, 3*blob.BlockSize+17) },
			"gone":    func(s *mem.Store, d blob.Digest) { _, _ = s.Delete(t.Context(), d, time.Now().Add(time.Hour)) },
		} {
			t.Run(fmt.Sprint(name, part), func(t *testing.T) {
				m := &mem.Store{Part: part}
				s := newServer(t, 0)
				s.up.Blobs = blob.Local(m)
				s.put(to("/f"), bytes.NewReader(old.data)).node(t, 201)
				u := s.begin("/f", now, announced(now))
				s.wantMissing(u.ID, 6)
				s.fill(u, now)
				d, _ := blob.ParseDigest(old.digest)
				spoil(m, d)
				s.complete(u.ID).wantProblem(t, 409, "blocks_missing")
				missing := s.show(u.ID)
				switch {
				case name == "gone" && missing.MissingCount != 6,
					name == "damaged" && !slices.Contains(missing.Missing, 3),
					name == "damaged" && missing.MissingCount > max(1, part/blob.BlockSize):
					t.Errorf("missing are %v", missing.Missing)
				}
				s.fill(missing, now)
				f := &fickle{Store: m}
				f.want(t, s.complete(u.ID).node(t, 200).Digest, now.data)
			})
		}
	}
}

// A block that would be copied may be sent as well, and what is copied is only what was announced.
func TestCopiedAndSent(t *testing.T) {
	s := newServer(t, 0)
	old := contentOf(blobtest.Bytes(1, 3*blob.BlockSize))
	s.put(to("/f"), bytes.NewReader(old.data)).node(t, 201)
	now := contentOf(append(bytes.Clone(old.data), "more"...))
	u := s.begin("/f", now, announced(now))
	s.wantMissing(u.ID, 3)
	s.block(u.ID, 1, now.block(2)).wantProblem(t, 400, "block_mismatch")
	s.block(u.ID, 1, now.block(1)).wantStatus(t, 204)
	s.block(u.ID, 3, now.block(3)).wantStatus(t, 204)
	s.wantMissing(u.ID)
	s.do(http.MethodGet, "/api/v1/uploads/"+u.ID, nil).upload(t, 200)
	s.wantContent(s.complete(u.ID).node(t, 200), now.data)
}
