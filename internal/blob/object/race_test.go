package object_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/cos"
	"github.com/livil/gopan/internal/blob/cos/costest"
	"github.com/livil/gopan/internal/blob/object"
	"github.com/livil/gopan/internal/errs"
)

// A shuffler lets the requests that wait at a server through one at a time, in an order of its own: a chance of one in
// four that the one picked is put off for some turns, as a process is that stops for a while.
type shuffler struct {
	mu      sync.Mutex
	rnd     *rand.Rand
	waiting []*turn
	wake    chan struct{}
	done    chan struct{}
}

type turn struct {
	through chan struct{}
	putOff  int
}

func newShuffler(t *testing.T, seed uint64) *shuffler {
	s := &shuffler{rnd: rand.New(rand.NewPCG(seed, 1)), wake: make(chan struct{}, 1), done: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-s.wake:
			case <-s.done:
				return
			}
			for range 50 {
				runtime.Gosched() // others may come to wait, too
			}
			for s.next() {
			}
		}
	}()
	t.Cleanup(func() { close(s.done); <-ended })
	return s
}

// next lets one through, unless none waits.
func (s *shuffler) next() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return false
	}
	i := s.rnd.IntN(len(s.waiting))
	w := s.waiting[i]
	if w.putOff == 0 && s.rnd.IntN(4) == 0 {
		w.putOff = 2 + s.rnd.IntN(80)
	}
	if w.putOff > 1 {
		w.putOff--
		return true
	}
	s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
	close(w.through)
	return len(s.waiting) > 0
}

// pass is for costest's Break.
func (s *shuffler) pass(_ http.ResponseWriter, r *http.Request) bool {
	w := &turn{through: make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	select {
	case <-w.through:
	case <-r.Context().Done():
	}
	return false
}

func openCOS(t *testing.T, server *costest.Server) *object.Store {
	t.Helper()
	s, err := cos.Open(t.Context(), cos.Config{
		Bucket: "test-1250000000", Endpoint: server.URL, SecretID: costest.SecretID, SecretKey: costest.SecretKey,
		Store: object.Config{Init: true, Attempts: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put puts data by one of two ways, picked by chance.
func put(ctx context.Context, s *object.Store, data []byte, staged bool) error {
	size := int64(len(data))
	if !staged {
		_, err := blob.Write(ctx, s, bytes.NewReader(data), blob.Want{Size: size, Limit: -1})
		return err
	}
	id, err := s.Stage(ctx, size)
	if err != nil {
		return err
	}
	st, err := s.Staged(ctx, id, size)
	if err != nil {
		return err
	}
	if err := st.Write(ctx, 0, size, bytes.NewReader(data)); err != nil {
		return err
	}
	return st.Commit(ctx, sumsOf(data))
}

func sumsOf(data []byte) []blob.Sum {
	var all []blob.Sum
	for len(data) > 0 {
		n := min(len(data), blob.BlockSize)
		all = append(all, sha256.Sum256(data[:n]))
		data = data[n:]
	}
	return all
}

func same(ctx context.Context, s *object.Store, data []byte) error {
	r, err := (&blob.Verifier{Store: s, Always: true}).Open(ctx, blob.Ref{Digest: blobtest.DigestOf(data), Size: int64(len(data))})
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err == nil && !bytes.Equal(got, data) {
		err = fmt.Errorf("read %d other bytes", len(got))
	}
	return err
}

// round runs puts on a store whose requests are shuffled, and others over and over until the puts have ended, and once
// more after that.
func round(server *costest.Server, s *shuffler, puts []func(), others ...func()) {
	server.Break(s.pass)
	defer server.Break(nil)
	var putting, wg sync.WaitGroup
	ended := make(chan struct{})
	for _, fn := range puts {
		putting.Go(fn)
	}
	for _, fn := range others {
		wg.Go(func() {
			for last := false; !last; {
				select {
				case <-ended:
					last = true
				default:
				}
				fn()
			}
		})
	}
	putting.Wait()
	close(ended)
	wg.Wait()
}

// D7: a put that succeeded survives everything that a collector and a sweeper do at the same time, in whatever order their
// requests come: only a Delete of what is as old as the put may take it, and only one that has not ended before.
func TestPutsAgainstCollectors(t *testing.T) {
	for size, seeds := range map[int]uint64{1000: 12, blob.BlockSize + 1: 4} {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%d/%d", size, seed), func(t *testing.T) {
				server := costest.New(t)
				stores := []*object.Store{openCOS(t, server), openCOS(t, server)}
				data := blobtest.Bytes(int64(seed), int64(size))
				digest := blobtest.DigestOf(data)
				shuffle := newShuffler(t, seed)
				long, soon := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
				var mu sync.Mutex
				acked := 0
				putting := func(i int) func() {
					return func() {
						err := put(t.Context(), stores[i%2], data, i%3 == 0)
						switch {
						case err == nil:
							mu.Lock()
							acked++
							mu.Unlock()
						case !errs.Is(errs.Busy, err) && !errs.Is(errs.NotFound, err) && !errs.Is(errs.Internal, err):
							t.Errorf("put: %v", err)
						}
					}
				}
				sweeping := func(i int, before time.Time) func() {
					return func() {
						if _, err := stores[i%2].Sweep(t.Context(), before); err != nil {
							t.Errorf("sweep: %v", err)
						}
					}
				}
				deleting := func(i int, before time.Time) func() {
					return func() {
						if _, err := stores[i%2].Delete(t.Context(), digest, before); err != nil {
							t.Errorf("delete: %v", err)
						}
					}
				}
				check := func(when string, must bool) {
					t.Helper()
					for _, s := range stores {
						listed := 0
						if err := s.List(t.Context(), func(blob.Entry) error { listed++; return nil }); err != nil {
							t.Fatal(err)
						}
						err := same(t.Context(), s, data)
						if must && (err != nil || listed != 1) {
							t.Fatalf("%s: %v, listed %d times; keys %s", when, err, listed, strings.Join(server.Keys(), " "))
						}
						if err != nil && !errs.Is(errs.Corrupt, err) { // the Verifier's word for not there
							t.Fatalf("%s: %v", when, err)
						}
					}
				}

				// Sweeps of everything, and collectors of what is old: what was acknowledged stays.
				round(server, shuffle, []func(){putting(0), putting(1), putting(2), putting(3)}, sweeping(0, soon), sweeping(1, soon),
					deleting(0, long), deleting(1, long))
				check("after sweeps", acked > 0)

				// Puts of what is there, while it is collected; those whose time has come, so they may or may not be left.
				round(server, shuffle, []func(){putting(3), putting(4), putting(5)}, deleting(0, soon), sweeping(1, soon))
				check("after deletes", false)

				// A put that begins when all deletes have ended is there.
				acked = 0
				round(server, shuffle, []func(){putting(1), putting(2)}, sweeping(0, long), deleting(1, long))
				check("after another put", acked > 0)
				if acked != 2 {
					t.Errorf("%d of two puts that nobody disturbs were acknowledged", acked)
				}

				// Nothing is left of a blob that is gone.
				if gone, err := stores[0].Delete(t.Context(), digest, soon); !gone || err != nil {
					t.Fatalf("Delete = %v, %v", gone, err)
				}
				if _, err := stores[1].Sweep(t.Context(), time.Now().Add(48*time.Hour)); err != nil {
					t.Fatal(err)
				}
				if keys := server.Keys(); len(keys) != 1 || server.Uploads() != 0 {
					t.Errorf("%d uploads, and left %v", server.Uploads(), keys)
				}
			})
		}
	}
}
