package upload_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/mem"
	"github.com/livil/gopan/internal/errs"
)

// F50, C6: two replicas take one upload's blocks in any order and at once, the same ones twice, and are both told to
// complete it, several times at once: one file, one version, one answer.
func TestTwoReplicas(t *testing.T) {
	s := newServer(t, 0)
	replicas := []*server{s, s.replica()}
	c := contentOf(blobtest.Bytes(1, 6*blob.BlockSize+1))
	u := s.begin("/f", c, nil)
	var wg sync.WaitGroup
	for n := range int64(7) {
		for i := range int64(3) {
			wg.Go(func() { replicas[(n+i)%2].block(u.ID, (n*3+i)%7, c.block((n*3+i)%7)).wantStatus(t, 204) })
		}
	}
	wg.Wait()
	answers := make(chan string, 8)
	for i := range cap(answers) {
		wg.Go(func() {
			a := replicas[i%2].complete(u.ID)
			s.wantContent(a.node(t, 201), c.data)
			answers <- string(a.body)
		})
	}
	wg.Wait()
	close(answers) // one that failed has said so, and sent none
	first := <-answers
	for a := range answers {
		if a != first {
			t.Errorf("%s and %s", first, a)
		}
	}
	if got := strings.Count(s.state(), "Version:1 "); got != 1 {
		t.Errorf("%d files in\n%s", got, s.state())
	}
	if s.staged() != 0 {
		t.Error("something is left in the staging")
	}
}

// Two who send different bytes for one block: one wins, and the content is all theirs.
func TestBlockRace(t *testing.T) {
	s := newServer(t, 0)
	replicas := []*server{s, s.replica()}
	var contents []content
	for i := range int64(2) {
		contents = append(contents, contentOf(blobtest.Bytes(i, blob.BlockSize)))
	}
	u := s.begin("/f", contents[0], nil)
	var won [2]atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			a := replicas[i/2%2].block(u.ID, 0, contents[i%2].data)
			if a.StatusCode == 204 {
				won[i%2].Add(1)
				return
			}
			a.wantProblem(t, 409, "block_differs")
		})
	}
	wg.Wait()
	if a, b := won[0].Load(), won[1].Load(); a+b != 8 || a*b != 0 {
		t.Fatalf("%d and %d won", a, b)
	}
	winner := contents[0]
	if won[1].Load() > 0 {
		winner = contents[1]
	}
	s.wantContent(s.complete(u.ID).node(t, 201), winner.data)
}

// C9: when kv loses everything the upload is gone, and nothing else. Beginning anew works.
func TestKVLost(t *testing.T) {
	s := newServer(t, 100*mib)
	c := contentOf(blobtest.Bytes(1, 2*blob.BlockSize))
	done := s.upload("/done", contentOf([]byte("done")), 201)
	u := s.begin("/f", c, announced(c), "Idempotency-Key: one")
	s.block(u.ID, 0, c.block(0)).wantStatus(t, 204)
	s.clock.advance(20 * life)
	if err := s.kv.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(-20 * life)
	s.block(u.ID, 1, c.block(1)).wantProblem(t, 404, "not_found")
	s.complete(u.ID).wantProblem(t, 404, "not_found")
	s.wantContent(done, []byte("done"))
	room := s.available(1)
	again := s.begin("/f", c, announced(c), "Idempotency-Key: one")
	if s.available(1) != room {
		t.Error("one upload has room twice")
	}
	s.fill(again, c)
	s.wantContent(s.complete(again.ID).node(t, 201), c.data)
}

// The tree's refusals at the end leave the upload as it is: what is in the way can be taken out of it.
func TestRefusedAtTheEnd(t *testing.T) {
	s := newServer(t, 0)
	c := contentOf(blobtest.Bytes(1, blob.BlockSize+1))
	u := s.begin("/f", c, fields{"conflict": "fail"})
	s.fill(u, c)
	n := s.put(to("/f"), strings.NewReader("meanwhile")).node(t, 201)
	for range 2 {
		s.complete(u.ID).wantProblem(t, 409, "name_taken")
		s.wantMissing(u.ID)
	}
	s.do(http.MethodDelete, "/api/v1/files/"+n.ID, nil).wantStatus(t, 204)
	s.wantContent(s.complete(u.ID).node(t, 201), c.data)

	n = s.put(to("/g"), strings.NewReader("old")).node(t, 201)
	u = s.begin("/g", c, nil, "If-Match: "+n.ETag)
	s.fill(u, c)
	n = s.put(to("/g"), strings.NewReader("meanwhile")).node(t, 200)
	s.complete(u.ID).wantProblem(t, 412, "stale")
	s.wantContent(n, []byte("meanwhile"))

	wrong := s.begin("/h", c, fields{"digest": contentOf([]byte("other")).digest})
	s.fill(wrong, c)
	before := s.state()
	s.complete(wrong.ID).wantProblem(t, 400, "digest_mismatch")
	s.wantState(before)
}

// fickle is a store in memory whose staging fails as a test wants.
type fickle struct {
	*mem.Store
	epoch atomic.Pointer[string]
	// fail is asked before every operation of a staged blob.
	fail func(op string) error
	// lose is what a power cut took: offsets whose bytes are zeros when they are read back.
	lose map[int64]bool
}

func newFickle() *fickle {
	f := &fickle{Store: new(mem.Store), fail: func(string) error { return nil }}
	f.cut("first")
	return f
}

func (f *fickle) cut(epoch string, lost ...int64) {
	f.epoch.Store(&epoch)
	f.lose = make(map[int64]bool)
	for _, n := range lost {
		f.lose[n*blob.BlockSize] = true
	}
}

func (f *fickle) Stage(ctx context.Context, size int64) (string, error) {
	if err := f.fail("stage"); err != nil {
		return "", err
	}
	return f.Store.Stage(ctx, size)
}

func (f *fickle) Staged(ctx context.Context, id string, size int64) (blob.Staged, error) {
	st, err := f.Store.Staged(ctx, id, size)
	return fickleStaged{st, f}, err
}

type fickleStaged struct {
	blob.Staged
	*fickle
}

func (f fickleStaged) Epoch() string { return *f.epoch.Load() }

func (f fickleStaged) Write(ctx context.Context, off, n int64, r io.Reader) error {
	if err := f.fail("write"); err != nil {
		return err
	}
	if err := f.Staged.Write(ctx, off, n, r); err != nil {
		return err
	}
	delete(f.lose, off)
	return f.fail("written")
}

func (f fickleStaged) ReadAt(ctx context.Context, p []byte, off int64) error {
	if err := f.fail("read"); err != nil {
		return err
	}
	if f.lose[off] {
		clear(p)
		return nil
	}
	return f.Staged.ReadAt(ctx, p, off)
}

func (f fickleStaged) Commit(ctx context.Context, sums []blob.Sum) error {
	if err := f.fail("commit"); err != nil {
		return err
	}
	if err := f.Staged.Commit(ctx, sums); err != nil {
		return err
	}
	return f.fail("committed")
}

// on makes a server keep its blobs in f.
func (f *fickle) on(t *testing.T) *server {
	t.Helper()
	s := newServer(t, 0)
	s.up.Blobs = blob.Local(f)
	return s
}

func (f *fickle) want(t *testing.T, digest string, data []byte) {
	t.Helper()
	d, err := blob.ParseDigest(digest)
	if err != nil {
		t.Fatal(err)
	}
	r, err := (&blob.Verifier{Store: f, Always: true}).Open(t.Context(), blob.Ref{Digest: d, Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the content is not what was sent (%v)", err)
	}
}

// D2, F13: after a power cut the blocks from before it are read back. What was lost is missing again.
func TestPowerCut(t *testing.T) {
	f := newFickle()
	s := f.on(t)
	for i, announce := range []bool{false, true} {
		c := contentOf(blobtest.Bytes(int64(i), 3*blob.BlockSize+9))
		var more fields
		if announce {
			more = announced(c)
		}
		f.cut(fmt.Sprint("before", i))
		u := s.begin(fmt.Sprint("/", i), c, more)
		for n := range int64(3) {
			s.block(u.ID, n, c.block(n)).wantStatus(t, 204)
		}
		f.cut(fmt.Sprint("after", i), 1)
		s.block(u.ID, 3, c.block(3)).wantStatus(t, 204)
		s.complete(u.ID).wantProblem(t, 409, "blocks_missing")
		s.wantMissing(u.ID, 1)
		s.block(u.ID, 1, blobtest.Bytes(9, blob.BlockSize)).wantProblem(t, 409-9*i, map[bool]string{false: "block_differs", true: "block_mismatch"}[announce])
		s.block(u.ID, 1, c.block(1)).wantStatus(t, 204)
		f.want(t, s.complete(u.ID).node(t, 201).Digest, c.data)
	}
	// A block that is sent again is written again, even if nobody knows that it was lost.
	c := contentOf(blobtest.Bytes(5, blob.BlockSize))
	u := s.begin("/again", c, nil)
	s.block(u.ID, 0, c.data).wantStatus(t, 204)
	f.cut("last", 0)
	s.block(u.ID, 0, c.data).wantStatus(t, 204)
	f.want(t, s.complete(u.ID).node(t, 201).Digest, c.data)
}

// D4, F14, F16, G38: whatever of the store fails, and however, the answer says so, and the same requests again succeed
// once it is well.
func TestStagingFails(t *testing.T) {
	f := newFickle()
	s := f.on(t)
	kinds := []struct {
		err    error
		status int
		code   string
	}{
		{errs.E(errs.OverQuota, "test", errs.Code("disk_full"), syscall.ENOSPC), 507, "disk_full"},
		{errs.E(errs.Internal, "test", syscall.EIO), 500, "internal"},
		{errs.E(errs.Busy, "test", errs.Code("store_unavailable"), syscall.EROFS), 503, "store_unavailable"},
	}
	for i, k := range kinds {
		for j, op := range []string{"stage", "write", "written", "read", "commit", "committed"} {
			t.Run(op+" "+k.code, func(t *testing.T) {
				defer func() { f.fail = func(string) error { return nil } }()
				fail := func() {
					f.fail = func(at string) error {
						if at == op {
							return k.err
						}
						return nil
					}
				}
				well := func() { f.fail = func(string) error { return nil } }
				path := fmt.Sprint("/", i, j)
				c := contentOf(blobtest.Bytes(int64(10*i+j), blob.BlockSize+1))
				if op == "stage" {
					fail()
					s.post("", fields{"path": path, "size": len(c.data)}).wantProblem(t, k.status, k.code)
					well()
				}
				u := s.begin(path, c, nil)
				if op == "write" || op == "written" {
					fail()
					s.block(u.ID, 0, c.block(0)).wantProblem(t, k.status, k.code)
					s.wantMissing(u.ID, 0, 1)
					well()
				}
				s.fill(u, c)
				before := s.state() // with the room that the session has reserved
				fail()
				if op == "read" {
					f.cut(path)
				}
				if op == "read" || strings.HasPrefix(op, "commit") {
					a := s.complete(u.ID)
					if op == "read" && k.status != 503 { // what cannot be read is as good as lost
						a.wantProblem(t, 409, "blocks_missing")
						well()
						s.fill(s.show(u.ID), c)
					} else {
						a.wantProblem(t, k.status, k.code)
					}
					s.wantState(before)
				}
				well()
				f.want(t, s.complete(u.ID).node(t, 201).Digest, c.data)
			})
		}
	}
}

// When what had arrived is lost, the client is told to begin anew.
func TestStagingLost(t *testing.T) {
	s := newServer(t, 100*mib)
	c := contentOf(blobtest.Bytes(1, blob.BlockSize+1))
	room := s.available(1)
	u := s.begin("/f", c, nil)
	s.fill(u, c)
	if swept, err := s.store.Sweep(t.Context(), s.clock.Now().Add(life)); err != nil || swept.Staged != 1 {
		t.Fatalf("%+v %v", swept, err)
	}
	s.complete(u.ID).wantProblem(t, 404, "not_found")
	s.do(http.MethodGet, "/api/v1/uploads/"+u.ID, nil).wantProblem(t, 404, "not_found")
	if got := s.available(1); got != room {
		t.Errorf("%d bytes of room, were %d", got, room)
	}
}

// C7, B158: of 100 uploads that are begun at once as many have room as there is, exactly, and they all get to an end.
func TestQuotaRace(t *testing.T) {
	const size, fit = 1000, 10
	s := newServer(t, fit*size+size/2)
	var wg sync.WaitGroup
	var begun sync.Map
	var full atomic.Int32
	for i := range 100 {
		wg.Go(func() {
			c := contentOf(blobtest.Bytes(int64(i), size))
			a := s.post("", fields{"path": fmt.Sprint("/", i), "size": size})
			if a.StatusCode == 507 {
				a.wantProblem(t, 507, "quota_exceeded")
				full.Add(1)
				return
			}
			begun.Store(a.upload(t, 201).ID, c)
		})
	}
	wg.Wait()
	if full.Load() != 100-fit {
		t.Errorf("%d had no room, want %d", full.Load(), 100-fit)
	}
	begun.Range(func(id, c any) bool {
		s.block(id.(string), 0, c.(content).data).wantStatus(t, 204)
		s.wantContent(s.complete(id.(string)).node(t, 201), c.(content).data)
		return true
	})
	if got := s.available(1); got != size/2 {
		t.Errorf("%d bytes of room, want %d", got, size/2)
	}
}

// A block whose bytes are still coming when the upload is completed without it changes nothing of the file any more, even
// if they are others: they were refused as long as the upload went on, and are when nothing is known of its blocks.
func TestLateBlock(t *testing.T) {
	s := newServer(t, 0)
	c, other := contentOf(blobtest.Bytes(1, blob.BlockSize)), blobtest.Bytes(2, blob.BlockSize)
	for name, want := range map[string]string{"complete": "upload_complete", "delete": "not_found"} {
		u := s.begin("/"+name, c, nil)
		conn := s.dial()
		send(t, conn, fmt.Sprintf("PUT /api/v1/uploads/%s/blocks/0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 1\r\nContent-Length: %d\r\n\r\n", u.ID, blob.BlockSize)+
			string(other[:3*mib]))
		for end := time.Now().Add(patience); s.up.Memory.Used() == 0; {
			if time.Now().After(end) {
				t.Fatal("the block does not arrive")
			}
		}
		s.block(u.ID, 0, c.data).wantStatus(t, 204)
		if name == "complete" {
			s.complete(u.ID).node(t, 201)
		} else {
			s.remove(u.ID).wantStatus(t, 204)
		}
		send(t, conn, string(other[3*mib:]))
		a := read(t, conn)
		if a.StatusCode < 400 || !strings.Contains(string(a.body), want) {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	s.wantContent(s.do(http.MethodGet, "/api/v1/stat?path=/complete", nil).node(t, 200), c.data)
}
