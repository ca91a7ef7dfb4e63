package download_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/download"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// hold begins a download and reads no further than the first byte of its status line.
func (s *server) hold(path string) net.Conn {
	s.t.Helper()
	c, err := (&net.Dialer{}).DialContext(s.t.Context(), "tcp", s.addr)
	if err == nil {
		_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 1\r\n\r\n", path)
	}
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// A1: who downloads as much at once as is allowed is told to come again, and nobody else; an end makes room,
// also one that the caller did not mean.
func TestDownloadsOfAUser(t *testing.T) {
	s := newServer(t, false)
	s.down.Limits = &download.Limits{Downloads: 2}
	s.put("/d/large", blobtest.Bytes(1, 16*blob.BlockSize)) // more than fits into the sockets between
	s.put("/small", []byte("x"))
	one, two := s.hold(content("/d/large")), s.hold(archive("/d"))
	for _, target := range []string{content("/small"), archive("/small")} {
		a := s.get(http.MethodGet, target)
		a.wantProblem(t, 429, "too_many_downloads")
		if a.Header.Get("Retry-After") != "5" {
			t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
		}
		if a := s.get(http.MethodHead, target); a.StatusCode != 200 {
			t.Errorf("HEAD: %d", a.StatusCode)
		}
		if a := s.get(http.MethodGet, target, "Authorization: Bearer 2"); a.StatusCode != 404 {
			t.Errorf("another user: %d", a.StatusCode)
		}
	}
	for _, c := range []net.Conn{one, two} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Both places are free again: one is held, and the other lets requests through one after the other.
	deadline := time.Now().Add(20 * time.Second)
	for s.get(http.MethodGet, content("/small")).StatusCode != 200 {
		if time.Now().After(deadline) {
			t.Fatal("no room after the downloads broke off")
		}
	}
	three := s.hold(content("/d/large"))
	defer three.Close()
	for s.get(http.MethodGet, content("/small")).StatusCode != 200 {
		if time.Now().After(deadline) {
			t.Fatal("only one place is free")
		}
	}
}

// A1, F21: all downloads of a user together keep to their rate, whole and not taken for standing still; others are as
// fast as ever.
func TestRateOfAUser(t *testing.T) {
	const rate, size = 128 << 10, 144 << 10
	for _, always := range []bool{false, true} { // by sendfile and through the check
		s := newServerLike(t, always, &httpapi.Server{StallTimeout: time.Second})
		data := blobtest.Bytes(2, size)
		_, ref := s.put("/d/a", data)
		if a := s.get(http.MethodGet, content("/d/a")); !bytes.Equal(a.body, data) { // it has been checked now
			t.Fatal(a.StatusCode, a.err)
		}
		other, err := s.tree.Commit(t.Context(), &filemetapb.CommitRequest{
			Target: &filemetapb.Target{Actor: &filemetapb.Actor{UserId: 2}, Path: "/b"},
			Blob:   &filemetapb.Blob{Digest: ref.Digest[:], Size: ref.Size},
		})
		if err != nil || other.GetNode() == nil {
			t.Fatal(err)
		}
		s.down.Limits = &download.Limits{Rate: rate}
		start := time.Now()
		var wg sync.WaitGroup
		for _, target := range []string{content("/d/a"), archive("/d")} {
			wg.Go(func() {
				a := s.get(http.MethodGet, target)
				if a.err != nil || !bytes.Contains(a.body, data) {
					t.Errorf("%s: %d, %d bytes, %v", target, a.StatusCode, len(a.body), a.err)
				}
			})
		}
		if a := s.get(http.MethodGet, content("/b"), "Authorization: Bearer 2"); !bytes.Equal(a.body, data) {
			t.Error(a.StatusCode, a.err)
		}
		wg.Wait()
		// A quarter of a second's worth may go at once.
		if took, least := time.Since(start), time.Duration(float64(2*size-rate/4)/rate*float64(time.Second)); took < least {
			t.Errorf("%v, want at least %v", took, least)
		}
	}
}

// Pieces of a paced answer add up, however it is written.
func TestPacedRanges(t *testing.T) {
	s := newServer(t, false)
	s.down.Limits = &download.Limits{Rate: 4 << 20, Downloads: 8}
	data := blobtest.Bytes(3, 3<<20)
	s.put("/f", data)
	for range 2 {
		for _, c := range []struct {
			from, to int
		}{{0, 1}, {1 << 20, 2 << 20}, {3<<20 - 1, 3 << 20}, {5, 1<<20 + 6}} {
			a := s.get(http.MethodGet, content("/f"), fmt.Sprintf("Range: bytes=%d-%d", c.from, c.to-1))
			if a.StatusCode != 206 || !bytes.Equal(a.body, data[c.from:c.to]) {
				t.Errorf("%v: %d, %d bytes, %v", c, a.StatusCode, len(a.body), a.err)
			}
		}
		_, bodies := parts(t, s.get(http.MethodGet, content("/f"), "Range: bytes=0-9,1000000-1999999"))
		if strings.Join(bodies, "") != string(data[:10])+string(data[1000000:2000000]) {
			t.Error("several ranges differ")
		}
	}
	if a := s.get(http.MethodGet, content("/f")); !bytes.Equal(a.body, data) {
		t.Error(a.StatusCode, a.err)
	}
}
