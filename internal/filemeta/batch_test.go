package filemeta

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	eventlocal "github.com/livil/gopan/internal/event/local"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// many commits files of one user at once.
func (f *fixture) many(targets []*filemetapb.Target, blobs ...*filemetapb.Blob) ([]*filemetapb.CommitOutcome, error) {
	req := new(filemetapb.CommitManyRequest)
	for i, t := range targets {
		req.Commits = append(req.Commits, &filemetapb.CommitRequest{Target: t, Blob: blobs[i%len(blobs)]})
	}
	resp, err := f.CommitMany(f.t.Context(), req)
	return resp.GetOutcomes(), err
}

// Commits in one batch behave as one after the other: in one new folder, of one path, with one key.
func TestCommitMany(t *testing.T) {
	f := newFixture(t, 100)
	f.file(alice, "/old", 1)
	got, err := f.many([]*filemetapb.Target{
		target(alice, "/new/a", withParents),
		target(alice, "/new/b", withParents),
		target(alice, "/new/a"),
		target(alice, "/new/a", orFail),
		target(alice, "/new/a", orRename),
		target(alice, "/old/x"),
		target(alice, "/none/x"),
		target(alice, "/"),
		target(alice, "/keyed", withKey("k")),
		target(alice, "/keyed", withKey("k")),
		target(alice, "/large"),
		target(alice, "/bad"),
		target(alice, "/last"),
	}, bytesOf("0", 1), bytesOf("1", 2), bytesOf("2", 3), bytesOf("3", 4), bytesOf("4", 5), bytesOf("5", 6), bytesOf("6", 7),
		bytesOf("7", 8), bytesOf("8", 9), bytesOf("9", 10), bytesOf("10", 1000), &filemetapb.Blob{Digest: []byte("short")}, bytesOf("12", 13))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/new/a created", "/new/b created", "/new/a v2", "exists name_taken", "/new/a (1) created", "conflict not_a_folder",
		"not_found parent_not_found", "conflict is_a_folder", "/keyed created", "/keyed created", "over_quota quota_exceeded",
		"invalid invalid blob", "/last created",
	}
	for i, o := range got {
		said := fmt.Sprintf("%s v%d", o.GetDone().GetNode().GetPath(), o.GetDone().GetNode().GetVersion())
		if o.GetDone().GetCreated() {
			said = o.GetDone().GetNode().GetPath() + " created"
		}
		if fail := o.GetFailure(); fail != nil {
			said = fmt.Sprint(errs.Kind(fail.GetKind()), " ", fail.GetCode())
			if fail.GetField() != "" {
				said += " " + fail.GetField()
			}
			if o.GetDone() != nil {
				t.Errorf("commit %d both failed and did not", i)
			}
		}
		if said != want[i] {
			t.Errorf("commit %d: %s, want %s", i, said, want[i])
		}
	}
	if got[8].GetDone().GetNode().GetId() != got[9].GetDone().GetNode().GetId() {
		t.Error("one key made two files")
	}
	if names := f.names(alice, "/new", order{By: "name"}, 10); !slices.Equal(names, []string{"a", "a (1)", "b"}) {
		t.Errorf("the folder holds %q", names)
	}
	f.sound(alice)
}

// A batch takes few transactions, and only so much at once, of one user.
func TestCommitManyLimits(t *testing.T) {
	f := newFixture(t, 0)
	targets := make([]*filemetapb.Target, maxCommits)
	for i := range targets {
		targets[i] = target(alice, fmt.Sprint("/d/", i), withParents)
	}
	counted := &batches{Log: f.log}
	f.Log = counted
	got, err := f.many(targets, bytesOf("x", 1))
	if err != nil || counted.n != 1 {
		t.Fatalf("%v; published in %d batches", err, counted.n)
	}
	for i, o := range got {
		if o.GetDone().GetNode().GetName() != fmt.Sprint(i) {
			t.Fatalf("commit %d: %v", i, o)
		}
	}
	if n := len(f.names(alice, "/d", order{By: "name"}, 1000)); n != maxCommits {
		t.Errorf("the folder holds %d files", n)
	}
	f.sound(alice)
	if _, err := f.many(append(targets, targets[0]), bytesOf("x", 1)); !errs.Is(errs.Invalid, err) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := f.many([]*filemetapb.Target{targets[0], target(bob, "/x")}, bytesOf("x", 1)); !errs.Is(errs.Invalid, err) {
		t.Errorf("of two users: %v", err)
	}
	if got, err := f.many(nil); err != nil || len(got) != 0 {
		t.Errorf("of none: %v, %v", got, err)
	}
	got, err = f.many([]*filemetapb.Target{target(0, "/x")}, bytesOf("x", 1))
	if err != nil || errs.Kind(got[0].GetFailure().GetKind()) != errs.Unauthenticated {
		t.Errorf("of nobody: %v, %v", got, err)
	}
}

// batches counts what is published at once.
type batches struct {
	*eventlocal.Log
	n int
}

func (b *batches) PublishAll(ctx context.Context, events []event.Event) []error {
	b.n++
	return b.Log.PublishAll(ctx, events)
}
