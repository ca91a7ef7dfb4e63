package upload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"google.golang.org/grpc"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// faulty is a store in which one kind of operation fails.
type faulty struct {
	blob.Stager
	op  string
	err error
	// after so many operations of that kind that went well.
	after int64
	calls atomic.Int64
}

func (f *faulty) fail(op string) error {
	if op == f.op && f.calls.Add(1) > f.after {
		return f.err
	}
	return nil
}

func (f *faulty) Create(ctx context.Context, size int64) (blob.Pending, error) {
	if err := f.fail("create"); err != nil {
		return nil, err
	}
	p, err := f.Stager.Create(ctx, size)
	return &faultyPending{p, f}, err
}

type faultyPending struct {
	blob.Pending
	*faulty
}

func (p *faultyPending) Write(b []byte) (int, error) {
	if err := p.fail("write"); err != nil {
		return 0, err
	}
	return p.Pending.Write(b)
}

func (p *faultyPending) Commit(ctx context.Context, size int64, sums []blob.Sum) error {
	if err := p.fail("commit"); err != nil {
		p.Pending.Abort() // as every store does
		return err
	}
	return p.Pending.Commit(ctx, size, sums)
}

// D4, D9, F14, F16, F17, G38: whatever of the store fails, and however, the answer says so, the file is as it was,
// nothing lies around, and the next upload succeeds.
func TestStoreFails(t *testing.T) {
	kinds := []struct {
		err    error
		status int
		code   string
	}{
		{errs.E(errs.OverQuota, "test", errs.Code("disk_full"), syscall.ENOSPC), 507, "disk_full"},
		{errs.E(errs.Internal, "test", syscall.EIO), 500, "internal"},
		{errs.E(errs.Busy, "test", errs.Code("store_unavailable"), syscall.EROFS), 503, "store_unavailable"},
		{errors.New("a store that gives its errors no kind"), 500, "internal"},
	}
	s := newServer(t, 0)
	s.put(to("/d/f", "parents=true"), strings.NewReader("old")).node(t, 201)
	before := s.state()
	large := blobtest.Bytes(1, blob.BlockSize+100_000)
	for _, op := range []struct {
		name  string
		after int64
		size  int
	}{{"create", 0, 10}, {"write", 0, 10}, {"write", 0, len(large)}, {"write", 3, len(large)}, {"commit", 0, 10}, {"commit", 0, len(large)}} {
		for _, k := range kinds {
			t.Run(fmt.Sprint(op.name, op.after, op.size, k.code), func(t *testing.T) {
				for _, path := range []string{"/d/f", "/new/g"} {
					f := &faulty{Stager: s.store, op: op.name, err: k.err, after: op.after}
					stores := s.up.Blobs
					s.up.Blobs = blob.Local(f)
					defer func() { s.up.Blobs = stores }()
					a := s.put(to(path, "parents=true"), bytes.NewReader(large[:op.size]))
					a.wantProblem(t, k.status, k.code)
					if a.StatusCode == 503 && a.Header.Get("Retry-After") == "" {
						t.Error("503 without Retry-After")
					}
					if op.name == "commit" && f.calls.Load() != 1 {
						t.Errorf("%d attempts to make it durable", f.calls.Load()) // D9
					}
					s.wantState(before)
				}
			})
		}
	}
	n := s.put(to("/d/f"), bytes.NewReader(large)).node(t, 200)
	if !bytes.Equal(s.content(n), large) {
		t.Error("the upload after the faults is not whole")
	}
}

// lossy is a tree whose answers to Commit get lost, before it or after it did its work.
type lossy struct {
	filemetapb.FileMetaClient
	after bool
}

func (l lossy) Commit(ctx context.Context, in *filemetapb.CommitRequest, opts ...grpc.CallOption) (*filemetapb.CommitResponse, error) {
	if l.after {
		if _, err := l.FileMetaClient.Commit(ctx, in, opts...); err != nil {
			return nil, err
		}
	}
	return nil, errs.E(errs.Busy, "test", errs.Code("role_unavailable"))
}

// C6, F02, F03: when the tree's answer is lost, the upload fails, and a retry converges: one file, one version,
// with an Idempotency-Key and without.
func TestTreeFails(t *testing.T) {
	for _, after := range []bool{false, true} {
		for _, key := range []string{"", "Idempotency-Key: one"} {
			t.Run(fmt.Sprintf("after %v %s", after, key), func(t *testing.T) {
				s := newServer(t, 0)
				var headers []string
				if key != "" {
					headers = append(headers, key)
				}
				put := func() answer { return s.put(to("/f.txt"), strings.NewReader("text"), headers...) }
				healthy := s.up.Tree
				s.up.Tree = lossy{healthy, after}
				put().wantProblem(t, 503, "role_unavailable")
				a := s.do(http.MethodGet, "/api/v1/stat?path=/f.txt", nil)
				if after != (a.StatusCode == 200) {
					t.Errorf("after a lost answer: %d", a.StatusCode)
				}
				s.up.Tree = healthy
				status := 201
				if after && key == "" {
					status = 200 // it finds the file and says that it was there
				}
				if n := put().node(t, status); n.Version != 1 || string(s.content(n)) != "text" {
					t.Errorf("the retry answered %+v", n)
				}
				if got := strings.Count(s.state(), "Name:f"); got != 1 {
					t.Errorf("%d files", got)
				}
			})
		}
	}
}

// A1: more bodies at once than there are slots are told to come again, and slots come back.
func TestSlots(t *testing.T) {
	s := newServer(t, 0)
	s.up.Slots = make(chan struct{}, 1)
	s.up.Slots <- struct{}{}
	a := s.put(to("/f"), strings.NewReader("x"))
	a.wantProblem(t, 503, "busy")
	if a.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	<-s.up.Slots
	for range 3 {
		s.put(to("/f", "conflict=rename"), strings.NewReader("x")).node(t, 201)
	}
	if len(s.up.Slots) != 0 {
		t.Errorf("%d slots are taken by nobody", len(s.up.Slots))
	}
}
