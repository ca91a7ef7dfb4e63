package object_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/cos/costest"
	"github.com/livil/gopan/internal/errs"
)

// openRaw puts data and opens it as the store's own reader.
func openRaw(t *testing.T, server *costest.Server, data []byte) blob.Reader {
	t.Helper()
	s := openCOS(t, server)
	if err := put(t.Context(), s, data, false); err != nil {
		t.Fatal(err)
	}
	r, _, err := s.Open(t.Context(), blob.Ref{Digest: blobtest.DigestOf(data), Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// Who reads in order is read ahead for, by several requests at once, and gets the bytes in order.
func TestReadAhead(t *testing.T) {
	server := costest.New(t)
	data := blobtest.Bytes(1, 17<<20)
	r := openRaw(t, server, data)
	var mu sync.Mutex
	asked, waiting := 0, 0
	many := make(chan struct{})
	server.Break(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet || !strings.HasPrefix(req.URL.Path, "/data/") {
			return false
		}
		mu.Lock()
		asked++
		first := asked <= 2 // parts of 1 and 2 MiB, alone and by two
		if !first {
			if waiting++; waiting == 2 {
				close(many)
			}
		}
		mu.Unlock()
		if !first {
			<-many // ends only if another comes while this one is under way
		}
		return false
	})
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("read %d bytes, %v", len(got), err)
	}
}

// Nothing is fetched beyond where the reader's user means to stop; who goes on all the same gets what is there.
func TestReadAheadStops(t *testing.T) {
	server := costest.New(t)
	data := blobtest.Bytes(6, 17<<20)
	r := openRaw(t, server, data)
	const end = 5 << 20
	var mu sync.Mutex
	last := 0
	server.Break(func(_ http.ResponseWriter, req *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		_, to, _ := strings.Cut(req.Header.Get("Range"), "-")
		if n, err := strconv.Atoi(to); err == nil {
			last = max(last, n)
		}
		return false
	})
	blob.Until(r, end)
	got := make([]byte, end)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	if last != end-1 {
		t.Errorf("byte %d was asked for, want none after %d", last, end-1)
	}
	mu.Unlock()
	rest, err := io.ReadAll(r)
	if got = append(got, rest...); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

// Reads and seeks of any kind, and ReadAt beside them, give what is there.
func TestReaderSeeks(t *testing.T) {
	data := blobtest.Bytes(2, 9<<20+17)
	r := openRaw(t, costest.New(t), data)
	rnd := rand.New(rand.NewPCG(3, 4))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			p := make([]byte, 100_000)
			for n := range int64(5) {
				off := int64(i)*2_000_000 + n*300_000
				if got, err := r.ReadAt(p, off); got != len(p) || err != nil || !bytes.Equal(p, data[off:off+int64(got)]) {
					t.Errorf("ReadAt %d = %d, %v", off, got, err)
				}
			}
		})
	}
	for range 20 {
		off := rnd.Int64N(int64(len(data)))
		if _, err := r.Seek(off-int64(len(data)), io.SeekEnd); err != nil {
			t.Fatal(err)
		}
		n := min(rnd.Int64N(3<<20)+1, int64(len(data))-off)
		got, err := io.ReadAll(io.LimitReader(r, n))
		if err != nil || !bytes.Equal(got, data[off:off+n]) {
			t.Fatalf("%d bytes from %d: %d, %v", n, off, len(got), err)
		}
	}
	wg.Wait()
	if n, err := r.ReadAt(make([]byte, 100), int64(len(data))-10); n != 10 || err != io.EOF {
		t.Errorf("ReadAt over the end = %d, %v", n, err)
	}
	if n, err := r.ReadAt(make([]byte, 1), int64(len(data))); n != 0 || err != io.EOF {
		t.Errorf("ReadAt behind the end = %d, %v", n, err)
	}
	if _, err := r.Seek(-1, io.SeekStart); !errs.Is(errs.Invalid, err) {
		t.Errorf("Seek before the start = %v", err)
	}
}

// Close ends what is being fetched, even when the store does not answer.
func TestCloseEndsFetches(t *testing.T) {
	server := costest.New(t)
	r := openRaw(t, server, blobtest.Bytes(5, 9<<20))
	asked, gone := make(chan struct{}, 100), make(chan struct{}, 100)
	server.Break(func(_ http.ResponseWriter, req *http.Request) bool {
		asked <- struct{}{}
		<-req.Context().Done()
		gone <- struct{}{}
		return true
	})
	failed := make(chan error, 1)
	go func() {
		_, err := r.Read(make([]byte, 10))
		failed <- err
	}()
	<-asked
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errs.Is(errs.Canceled, err) {
		t.Errorf("Read = %v", err)
	}
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Error("the request goes on")
	}
}
