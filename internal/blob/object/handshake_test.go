package object_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/cos/costest"
	"github.com/livil/gopan/internal/errs"
)

// isRequest picks requests of a method for keys in a folder, lists of it included.
func isRequest(method, folder string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		at := strings.TrimPrefix(r.URL.Path, "/") + r.URL.Query().Get("prefix")
		return r.Method == method && strings.HasPrefix(at, folder)
	}
}

// gate stops the n-th request that matches, from 1 on, until it is opened.
type gate struct {
	match   func(*http.Request) bool
	n       int
	reached chan struct{}
	opened  chan struct{}
}

func newGate(n int, match func(*http.Request) bool) *gate {
	return &gate{match: match, n: n, reached: make(chan struct{}), opened: make(chan struct{})}
}

// gates has requests stop at gates, each of which stops one.
func gates(server *costest.Server, all ...*gate) {
	var mu sync.Mutex
	server.Break(func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		var at *gate
		for _, g := range all {
			if at == nil && g.n > 0 && g.match(r) {
				if g.n--; g.n == 0 {
					at = g
				}
			}
		}
		mu.Unlock()
		if at != nil {
			close(at.reached)
			<-at.opened
		}
		return false
	})
}

// stages are the requests by which bytes are dropped, each as the one that the dropper stops before.
var stages = []struct {
	name  string
	n     int
	match func(*http.Request) bool
}{
	{"generations listed", 1, isRequest(http.MethodPut, "drop/")},
	{"bytes marked", 2, isRequest(http.MethodGet, "blobs/")},
	{"not named", 1, isRequest(http.MethodDelete, "data/")},
	{"bytes gone", 1, isRequest(http.MethodDelete, "drop/")},
}

// D7: Delete stops somewhere, somebody puts the same blob meanwhile, and Delete goes on. The put succeeds, and the blob has
// its bytes.
func TestPutInTheMiddleOfDelete(t *testing.T) {
	for _, at := range stages {
		for _, staged := range []bool{false, true} {
			t.Run(at.name, func(t *testing.T) {
				server := costest.New(t)
				deleter, putter := openCOS(t, server), openCOS(t, server)
				data := blobtest.Bytes(1, blob.BlockSize+1)
				if err := put(t.Context(), deleter, data, false); err != nil {
					t.Fatal(err)
				}
				g := newGate(at.n, at.match)
				gates(server, g)
				deleted := make(chan error, 1)
				go func() {
					_, err := deleter.Delete(t.Context(), blobtest.DigestOf(data), time.Now().Add(time.Hour))
					deleted <- err
				}()
				<-g.reached
				err := put(t.Context(), putter, data, staged)
				close(g.opened)
				if derr := <-deleted; err != nil || derr != nil {
					t.Fatalf("put = %v, Delete = %v", err, derr)
				}
				if err := same(t.Context(), putter, data); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// D7: a put has stored its bytes and stops; a sweeper, which takes them for nobody's, comes so far and stops; the put goes
// on, then the sweeper. Either the put fails, or the blob has its bytes.
func TestSweepInTheMiddleOfPut(t *testing.T) {
	for _, at := range stages {
		for _, before := range []string{"blobs/", "drop/"} {
			t.Run(at.name+", put before "+before, func(t *testing.T) {
				server := costest.New(t)
				sweeper, putter := openCOS(t, server), openCOS(t, server)
				data := blobtest.Bytes(1, blob.BlockSize+1)
				stopPut := newGate(1, isRequest(http.MethodPut, "blobs/"))
				stopSweep := newGate(at.n, at.match)
				gates(server, stopPut, stopSweep)
				acked, swept := make(chan error, 1), make(chan error, 1)
				go func() { acked <- put(t.Context(), putter, data, false) }()
				<-stopPut.reached
				go func() {
					_, err := sweeper.Sweep(t.Context(), time.Now().Add(time.Hour))
					swept <- err
				}()
				<-stopSweep.reached
				// The put comes to its end, or, the other way round, only as far as the look for marks.
				if before == "drop/" {
					look := newGate(1, isRequest(http.MethodGet, "drop/"))
					gates(server, look)
					close(stopPut.opened)
					<-look.reached
					close(stopSweep.opened)
					if err := <-swept; err != nil {
						t.Fatal(err)
					}
					close(look.opened)
				} else {
					close(stopPut.opened)
				}
				err := <-acked
				if before == "blobs/" {
					close(stopSweep.opened)
					if err := <-swept; err != nil {
						t.Fatal(err)
					}
				}
				if err == nil {
					if err := same(t.Context(), putter, data); err != nil {
						t.Errorf("acknowledged, and then: %v", err)
					}
				} else if !errs.Is(errs.Busy, err) {
					t.Errorf("put = %v", err)
				}
				if err := put(t.Context(), putter, data, false); err != nil {
					t.Fatalf("the next put = %v", err)
				}
				if err := same(t.Context(), sweeper, data); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
