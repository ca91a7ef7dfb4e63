//go:build cluster

package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/db/dbtest"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/event/kafka"
	eventlocal "github.com/livil/gopan/internal/event/local"
	"github.com/livil/gopan/internal/filemeta"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/rpc"
	"github.com/livil/gopan/internal/transfer"
)

// oneByOne is a log that applies each event in a transaction of its own.
type oneByOne struct{ apply event.Apply }

func (l oneByOne) Publish(ctx context.Context, e event.Event) error {
	for {
		refused, err := l.apply(ctx, []event.Event{e})
		switch {
		case err == nil:
			return refused[0]
		case !errs.Is(errs.Busy, err): // all connections to the database were taken for too long
			return err
		}
	}
}

func (oneByOne) Close() error { return nil }

// BenchmarkClusterIngest commits files whose bytes are stored already, by many connections of several users, in the three ways
// that there are, to the same MySQL group. An operation is one commit; it is acknowledged when it is applied, so nothing is
// left to drain when the last one is.
func BenchmarkClusterIngest(b *testing.B) {
	const users, connections = 16, 512
	for name, log := range map[string]func(b *testing.B, s *filemeta.Service) (event.Log, func()){
		"OneByOne": func(_ *testing.B, s *filemeta.Service) (event.Log, func()) { return oneByOne{s.Apply}, func() {} },
		"Direct":   func(_ *testing.B, s *filemeta.Service) (event.Log, func()) { return eventlocal.New(s.Apply), func() {} },
		"Kafka":    throughKafka,
	} {
		b.Run(name, func(b *testing.B) {
			s := &filemeta.Service{DB: dbtest.Open(b, b.TempDir())}
			l, stop := log(b, s)
			s.Log = l
			defer stop()
			commit := func(n int) error {
				sum := sha256.Sum256(fmt.Append(nil, n))
				_, err := s.Commit(context.Background(), &filemetapb.CommitRequest{
					Target: &filemetapb.Target{
						Actor: &filemetapb.Actor{UserId: int64(n%users) + 1}, Path: fmt.Sprintf("/%d/%d", n%100, n), Parents: true, Conflict: filemetapb.Conflict_CONFLICT_REPLACE,
					},
					Blob: &filemetapb.Blob{Digest: sum[:], Size: 4096},
				})
				return err
			}
			for n := range 100 * users { // makes the drives, and the folders of most
				if n < users || n%7 == 0 {
					if err := commit(n); err != nil {
						b.Fatal(err)
					}
				}
			}
			var mu sync.Mutex
			var took []time.Duration
			next := 100 * users
			b.ResetTimer()
			var all sync.WaitGroup
			for range connections {
				all.Go(func() {
					for {
						mu.Lock()
						n := next
						next++
						mu.Unlock()
						if n >= 100*users+b.N {
							return
						}
						began := time.Now()
						if err := commit(n); err != nil {
							b.Error(err)
						}
						d := time.Since(began)
						mu.Lock()
						took = append(took, d)
						mu.Unlock()
					}
				})
			}
			all.Wait()
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			if err := l.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// throughKafka is a log in Kafka and who applies what is published to it.
func throughKafka(b *testing.B, s *filemeta.Service) (event.Log, func()) {
	brokers := os.Getenv("GOPAN_TEST_KAFKA")
	if brokers == "" {
		b.Fatal("GOPAN_TEST_KAFKA is not set: run make cluster-up and . .cluster/env")
	}
	name := "bench-" + rand.Text()
	c := kafka.Config{Brokers: strings.Split(brokers, ","), Topic: name, DeadLetters: name + "-dead", Group: name}
	if _, err := kafka.Prepare(b.Context(), c, kafka.Layout{Partitions: 4, Replicas: 3, InSync: 2, Retention: time.Hour}); err != nil {
		b.Fatal(err)
	}
	s.SeveralWays = true
	log, err := kafka.NewLog(c, here, s.Apply, 10*time.Second)
	if err != nil {
		b.Fatal(err)
	}
	tree := filemetapb.NewFileMetaClient(rpc.Local([]rpc.Service{{Desc: &filemetapb.FileMeta_ServiceDesc, Impl: filemeta.RPC{Service: s}}}))
	source := kafka.NewSource(c, kafka.Gather{Records: 1000, Bytes: 4 << 20, Wait: 5 * time.Millisecond})
	commits := &transfer.Commits{
		Tree: tree, Source: source, Origin: func(string) (filemetapb.FileMetaClient, error) { return tree, nil },
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- commits.Run(ctx) }()
	return log, func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}
