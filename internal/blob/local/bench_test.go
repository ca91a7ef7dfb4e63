package local

import (
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
)

// BenchmarkPut stores blobs of 4 KiB from 16 writers at once, as files and as rows; decision 0013 has the results.
func BenchmarkPut(b *testing.B) {
	const writers, size = 16, 4096
	for _, c := range []struct {
		name  string
		begin func(*Store) (*pending, error)
	}{
		{"files", func(s *Store) (*pending, error) {
			p := &pending{store: s}
			return p, p.create()
		}},
		{"rows", func(s *Store) (*pending, error) {
			p, err := s.Create(b.Context(), size)
			return p.(*pending), err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := open(b)
			var n atomic.Uint64
			b.SetParallelism((writers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			b.ResetTimer()
			start, cpu := time.Now(), cpuTime(b)
			b.RunParallel(func(pb *testing.PB) {
				data := make([]byte, size)
				for pb.Next() {
					binary.LittleEndian.PutUint64(data, n.Add(1))
					p, err := c.begin(s)
					if err == nil {
						_, err = p.Write(data)
					}
					if err == nil {
						err = p.Commit(b.Context(), size, []blob.Sum{sha256.Sum256(data)})
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "files/s")
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/file")
		})
	}
}

// BenchmarkOpen reads blobs of 4 KiB.
func BenchmarkOpen(b *testing.B) {
	s := open(b)
	var refs []blob.Ref
	data := make([]byte, 4096)
	for i := range 1000 {
		binary.LittleEndian.PutUint64(data, uint64(i))
		refs = append(refs, mustPut(b, s, data))
	}
	v := &blob.Verifier{Store: s}
	b.ResetTimer()
	for i := range b.N {
		r, err := v.Open(b.Context(), refs[i%len(refs)])
		if err != nil {
			b.Fatal(err)
		}
		if n, err := r.Read(data); n != len(data) {
			b.Fatal(n, err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// cpuTime is what this process has used, in the kernel too.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
