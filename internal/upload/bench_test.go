package upload_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
)

// known is a content of 256 MiB: as much work for a proof as one of any size above 64 MiB.
func known(b *testing.B) (*server, content) {
	s, c := newServer(b, 0), contentOf(blobtest.Bytes(1, 64*blob.BlockSize))
	s.upload("/known", c, 201)
	b.ReportAllocs()
	return s, c
}

// longest reports the time of the slowest of the b.N, which do does once each and times itself.
func longest(b *testing.B, do func(i int) time.Duration) {
	var most time.Duration
	for i := 0; b.Loop(); i++ {
		most = max(most, do(i))
	}
	b.ReportMetric(float64(most.Microseconds())/1000, "ms-longest")
}

// BenchmarkProof is from the answers to a challenge of 16 blocks to the file. Each time it is another user's, and the blocks
// are read for the first time in a process, which checks them: the most that a proof can cost.
func BenchmarkProof(b *testing.B) {
	s, c := known(b)
	longest(b, func(i int) time.Duration {
		b.StopTimer()
		who, r := as(i+2), s.replica()
		u := r.begin("/mine", c, announced(c), who...)
		if u.Challenge == nil || len(u.Challenge.Blocks) != 16 {
			b.Fatalf("%+v", u)
		}
		answers := c.answers(b, u.Challenge)
		b.StartTimer()
		start := time.Now()
		got := r.prove(u.ID, answers, who...)
		took := time.Since(start)
		if u := got.upload(b, 200); u.Node == nil || u.Node.Digest != c.digest {
			b.Fatalf("%s", got.body)
		}
		return took
	})
}

// BenchmarkInstant is an upload of what its owner has already, from the announcement to the file.
func BenchmarkInstant(b *testing.B) {
	s, c := known(b)
	longest(b, func(i int) time.Duration {
		start := time.Now()
		u := s.begin(fmt.Sprintf("/f%d", i), c, announced(c))
		took := time.Since(start)
		if u.Node == nil {
			b.Fatalf("%+v", u)
		}
		return took
	})
}
