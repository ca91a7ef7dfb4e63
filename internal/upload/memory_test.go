package upload_test

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/upload"
)

// A1, G36: with memory for two blocks many senders at once get their blocks stored all the same, one after the other;
// halves of blocks do not wait for one another.
func TestLittleMemory(t *testing.T) {
	s := newServer(t, 0)
	s.up.Memory = &upload.Memory{Size: 2 * blob.BlockSize, Wait: time.Minute}
	c := contentOf(blobtest.Bytes(1, 12*blob.BlockSize))
	for i, announce := range []fields{nil, announced(c)} {
		u := s.begin("/f", c, announce, as(1+i)...)
		var wg sync.WaitGroup
		for n := range int64(12) {
			wg.Go(func() { s.block(u.ID, n, c.block(n), as(1+i, digestOf(c.block(n)))...).wantStatus(t, 204) })
		}
		// A body that has to wait for its digest as a whole is more than there is memory for.
		body := c.data[:3*blob.BlockSize]
		wg.Go(func() { s.block(u.ID, 0, body, as(1+i, digestOf(body))...).wantStatus(t, 204) })
		wg.Wait()
		s.wantContent(s.complete(u.ID, as(1+i)...).node(t, 201), c.data)
	}
	if used := s.up.Memory.Used(); used != 0 {
		t.Errorf("%d bytes are held by nobody", used)
	}
}

// A1, F22: who sends slowly holds what has arrived and no more; when memory is gone others are told when to come again,
// and one user cannot take all of it.
func TestSlowSenders(t *testing.T) {
	s := newServer(t, 0)
	s.up.Memory = &upload.Memory{Size: 4 * blob.BlockSize, Wait: time.Millisecond}
	s.up.UserUploads = 3
	c := contentOf(blobtest.Bytes(1, blob.BlockSize))
	u := s.begin("/f", c, nil)
	var conns []func()
	slow := func(n int) {
		conn := s.dial()
		head := fmt.Sprintf("PUT /api/v1/uploads/%s/blocks/0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 1\r\nContent-Length: %d\r\n\r\n", u.ID, blob.BlockSize)
		if _, err := conn.Write(append([]byte(head), c.data[:n]...)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, func() { _ = conn.Close() })
	}
	used := func(want int64) {
		t.Helper()
		for end := time.Now().Add(patience); s.up.Memory.Used() != want; {
			if time.Now().After(end) {
				t.Fatalf("%d bytes are held, want %d", s.up.Memory.Used(), want)
			}
		}
	}
	slow(1)
	used(32 << 10)
	slow(2*mib + 1) // a piece more than half of it
	used(32<<10 + blob.BlockSize)
	slow(blob.BlockSize - 1)
	used(32<<10 + 2*blob.BlockSize)
	// A fourth of this user's is too many; of another user's there is room.
	a := s.block(u.ID, 0, c.data)
	a.wantProblem(t, 429, "too_many")
	if a.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	theirs := s.begin("/f", c, nil, as(2)...)
	s.block(theirs.ID, 0, c.data, as(2)...).wantStatus(t, 204)
	for _, hangUp := range conns {
		hangUp()
	}
	used(0)
	// One user has half of it: as much as two blocks.
	s.up.UserUploads = 0
	conns = nil
	slow(blob.BlockSize - 1)
	slow(blob.BlockSize - 1)
	used(2 * blob.BlockSize)
	a = s.block(u.ID, 0, c.data)
	a.wantProblem(t, 503, "busy")
	if a.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	s.do(http.MethodPut, "/api/v1/uploads/"+theirs.ID+"/blocks/0", bytes.NewReader(c.data), as(2)...).wantStatus(t, 204)
	for _, hangUp := range conns {
		hangUp()
	}
	used(0)
	s.wantContent(s.complete(theirs.ID, as(2)...).node(t, 201), c.data)
}
