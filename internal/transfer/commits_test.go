package transfer_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/transfer"
)

// grave is a log of which only the end matters where dead letters go.
type grave struct {
	event.Source
	mu     sync.Mutex
	buried []string
	full   error
}

func (g *grave) Bury(_ context.Context, _ string, _ int32, r event.Record, _ string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.full == nil {
		g.buried = append(g.buried, r.ID)
	}
	return g.full
}

// choking is a tree whose database fails as a whole wherever a certain record is in a batch.
type choking struct {
	filemetapb.FileMetaClient
	on string
}

func (c *choking) ApplyBatch(ctx context.Context, in *filemetapb.ApplyBatchRequest, opts ...grpc.CallOption) (*filemetapb.ApplyBatchResponse, error) {
	if slices.ContainsFunc(in.GetRecords(), func(r *filemetapb.Record) bool { return r.GetId() == c.on && !r.GetDead() }) {
		return nil, errs.E(errs.Internal, "test")
	}
	return c.FileMetaClient.ApplyBatch(ctx, in, opts...)
}

// listener is a publisher who waits for answers.
type listener struct {
	filemetapb.FileMetaClient
	mu    sync.Mutex
	heard map[string]*filemetapb.CommitOutcome
}

func (l *listener) Answer(_ context.Context, in *filemetapb.AnswerRequest, _ ...grpc.CallOption) (*filemetapb.AnswerResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range in.GetAnswers() {
		l.heard[a.GetId()] = a.GetOutcome()
	}
	return new(filemetapb.AnswerResponse), nil
}

// commits is what applies a partition, with all that it touches.
type commits struct {
	*transfer.Commits
	w        *world
	grave    *grave
	choking  *choking
	listener *listener
	at, ids  int64
}

func newCommits(t *testing.T) *commits {
	t.Helper()
	w := newWorld(t)
	w.file("/before", []byte("x"))
	w.tree.SeveralWays = true
	c := &commits{w: w, grave: new(grave), choking: &choking{FileMetaClient: w.Tree}, listener: &listener{heard: make(map[string]*filemetapb.CommitOutcome)}, ids: 1 << 40}
	c.Commits = &transfer.Commits{Tree: c.choking, Source: c.grave, Origin: func(address string) (filemetapb.FileMetaClient, error) {
		if address != "publisher" {
			return nil, errors.New("nobody is there")
		}
		return c.listener, nil
	}}
	return c
}

// batch has a good commit for each id, of a file of its name.
func (c *commits) batch(ids ...string) event.Batch {
	b := event.Batch{Topic: "t", From: c.at, Next: c.at + int64(len(ids))}
	for i, id := range ids {
		c.ids += 10
		digest := make([]byte, 32)
		copy(digest, id)
		payload, err := proto.Marshal(&filemetapb.Committed{Request: &filemetapb.CommitRequest{
			Target: &filemetapb.Target{Actor: &filemetapb.Actor{UserId: owner}, Path: "/" + id}, Blob: &filemetapb.Blob{Digest: digest, Size: 1},
		}, FirstId: c.ids, Key: id})
		if err != nil {
			c.w.t.Fatal(err)
		}
		b.Records = append(b.Records, event.Record{
			Event: event.Event{ID: id, Payload: payload}, Offset: c.at + int64(i), Version: event.Version, Published: time.Now(), Origin: "publisher",
		})
	}
	return b
}

func (c *commits) position() int64 {
	c.w.t.Helper()
	at, err := c.Position(c.w.t.Context(), "t", 0)
	if err != nil {
		c.w.t.Fatal(err)
	}
	return at
}

// there tells which of the files are.
func (c *commits) there(names ...string) (found []string) {
	for _, n := range names {
		_, err := c.w.tree.Resolve(c.w.t.Context(), &filemetapb.ResolveRequest{Actor: &filemetapb.Actor{UserId: owner}, Path: "/" + n})
		if err == nil {
			found = append(found, n)
		}
	}
	return found
}

// F44: records that cannot be read, or that the database fails at, are buried; all others are applied, the partition goes
// on, and every publisher hears.
func TestCommitsBuryTheDead(t *testing.T) {
	c := newCommits(t)
	b := c.batch("a", "b", "c", "d", "e", "f", "g")
	b.Records[2].Payload = []byte("{}")
	b.Records[3].Version = "2"
	c.choking.on = "f"
	b.Records[0].Origin = "somebody who is gone"
	if err := c.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	slices.Sort(c.grave.buried)
	if want := []string{"c", "d", "f"}; !slices.Equal(c.grave.buried, want) {
		t.Errorf("buried %v, want %v", c.grave.buried, want)
	}
	if got, want := c.there("a", "b", "c", "d", "e", "f", "g"), []string{"a", "b", "e", "g"}; !slices.Equal(got, want) {
		t.Errorf("applied %v, want %v", got, want)
	}
	if at := c.position(); at != 7 {
		t.Errorf("the partition is at %d, want 7", at)
	}
	for _, id := range []string{"b", "e", "g"} {
		if c.listener.heard[id].GetDone().GetNode().GetPath() != "/"+id {
			t.Errorf("the publisher of %s heard %v", id, c.listener.heard[id])
		}
	}
	if len(c.listener.heard) != 3 {
		t.Errorf("%d were heard of", len(c.listener.heard))
	}
}

// A record that cannot be buried is not passed over: nothing is lost while the place for dead letters is away.
func TestCommitsWaitForTheGrave(t *testing.T) {
	c := newCommits(t)
	b := c.batch("a", "b")
	b.Records[1].Payload = nil
	c.grave.full = errs.E(errs.Busy, "test")
	if err := c.Apply(t.Context(), b); !errs.Is(errs.Busy, err) {
		t.Fatalf("%v, want errs.Busy", err)
	}
	if at, there := c.position(), c.there("a", "b"); at != 0 || len(there) > 0 {
		t.Errorf("the partition is at %d, %v are there", at, there)
	}
	c.grave.full = nil
	if err := c.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if at := c.position(); at != 2 || !slices.Equal(c.grave.buried, []string{"b"}) {
		t.Errorf("the partition is at %d, buried %v", at, c.grave.buried)
	}
}

// F06: who comes second with a batch hears that the partition is elsewhere.
func TestCommitsSecondIsStale(t *testing.T) {
	c := newCommits(t)
	b := c.batch("a")
	if err := c.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(t.Context(), b); !errs.Is(errs.Stale, err) {
		t.Errorf("%v, want errs.Stale", err)
	}
}
