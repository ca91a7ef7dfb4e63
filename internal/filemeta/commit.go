package filemeta

import (
	"context"
	"crypto/rand"
	"errors"

	"google.golang.org/protobuf/proto"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// outcome is what Apply decided about a commit.
type outcome struct {
	node    *filemetapb.Node
	created bool
}

// Prepare implements the RPC: it runs the checks of a commit that can be run before its bytes are here.
func (s *Service) Prepare(ctx context.Context, t *filemetapb.Target) (*filemetapb.PrepareResponse, error) {
	const op = errs.Op("filemeta.Prepare")
	who := askerOf(t.GetActor())
	p, err := targetPath(t.GetPath())
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if _, err := s.driveOf(ctx, who.user); err != nil {
		return nil, errs.Wrap(op, err)
	}
	resp := new(filemetapb.PrepareResponse)
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		a := &applier{tx: tx, now: s.now(), memo: &s.memo}
		d, err := a.driveFor(who, p)
		if err != nil {
			return err
		}
		resp.Drive = int64(d.ID)
		if before, ok, err := a.doneBefore(who, t.GetIdempotencyKey(), p); err != nil || ok {
			resp.Done = &filemetapb.CommitResponse{Node: before.node, Created: before.created}
			return err
		}
		resp.Available = d.available(0)
		if t.GetSize() > resp.Available {
			return errs.E(errs.OverQuota, op, errs.Code("quota_exceeded"))
		}
		_, err = a.place(d, p, t)
		return err
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return resp, nil
}

// targetPath parses the path of a file to be; the root is none.
func targetPath(s string) (drivepath.Path, error) {
	p, err := drivepath.Parse(s)
	if err != nil {
		return p, err
	}
	if p.IsRoot() {
		return p, errs.E(errs.Conflict, "filemeta.targetPath", errs.Code("is_a_folder"))
	}
	return p, nil
}

// Commit implements the RPC: it makes a stored blob the content of a file. When it returns, the change is
// durable and every reader sees it.
func (s *Service) Commit(ctx context.Context, req *filemetapb.CommitRequest) (*filemetapb.CommitResponse, error) {
	done, failed := s.commitAll(ctx, askerOf(req.GetTarget().GetActor()), []*filemetapb.CommitRequest{req})
	return done[0], errs.Wrap("filemeta.Commit", failed[0])
}

// maxCommits in one call of CommitMany.
const maxCommits = 1000

// CommitMany implements the RPC. Commits take effect one after the other, in their order: one sees the folders
// that those before it have made.
func (s *Service) CommitMany(ctx context.Context, req *filemetapb.CommitManyRequest) (*filemetapb.CommitManyResponse, error) {
	const op = errs.Op("filemeta.CommitMany")
	reqs := req.GetCommits()
	resp := &filemetapb.CommitManyResponse{Outcomes: make([]*filemetapb.CommitOutcome, len(reqs))}
	if len(reqs) == 0 {
		return resp, nil
	}
	if len(reqs) > maxCommits {
		return nil, errs.E(errs.Invalid, op, errs.Field("commits"))
	}
	who := askerOf(reqs[0].GetTarget().GetActor())
	for _, r := range reqs {
		if askerOf(r.GetTarget().GetActor()) != who {
			return nil, errs.E(errs.Invalid, op, errs.Field("actor"))
		}
	}
	done, failed := s.commitAll(ctx, who, reqs)
	for i, err := range failed {
		resp.Outcomes[i] = outcomeOf(done[i], err)
	}
	return resp, nil
}

// outcomeOf is what became of a commit, as others are told.
func outcomeOf(done *filemetapb.CommitResponse, failed error) *filemetapb.CommitOutcome {
	o := &filemetapb.CommitOutcome{Done: done}
	if failed != nil {
		o.Failure = &filemetapb.Failure{Kind: int32(errs.KindOf(failed)), Code: string(errs.CodeOf(failed))} //nolint:gosec // kinds are few
		var e *errs.Error
		if errors.As(failed, &e) {
			o.Failure.Field = string(e.Field)
		}
	}
	return o
}

// idsOf checks what can be checked of a commit alone, and counts the ids that it may need: for the file and for every
// folder that may have to be made above it.
func idsOf(req *filemetapb.CommitRequest) (int, error) {
	p, err := targetPath(req.GetTarget().GetPath())
	if err != nil {
		return 0, err
	}
	if len(req.GetBlob().GetDigest()) != 32 || req.GetBlob().GetSize() < 0 {
		return 0, errs.E(errs.Invalid, "filemeta.idsOf", errs.Field("blob"))
	}
	if req.GetTarget().GetParents() {
		return p.Depth(), nil
	}
	return 1, nil
}

// commitAll publishes commits of one asker at once, and says what became of each.
func (s *Service) commitAll(ctx context.Context, who asker, reqs []*filemetapb.CommitRequest) ([]*filemetapb.CommitResponse, []error) {
	done, failed := make([]*filemetapb.CommitResponse, len(reqs)), make([]error, len(reqs))
	need, ids := make([]int, len(reqs)), 0
	for i, r := range reqs {
		need[i], failed[i] = idsOf(r)
		ids += need[i]
	}
	d, err := s.driveOf(ctx, who.user)
	var next int64
	if err == nil && ids > 0 {
		next, err = s.newIDs(ctx, ids)
	}
	var events []event.Event
	var which []int // of reqs is in which event
	var decided []chan outcome
	for i, r := range reqs {
		if failed[i] != nil {
			continue
		}
		if failed[i] = err; err != nil {
			continue
		}
		key := rand.Text()
		payload, err := proto.Marshal(&filemetapb.Committed{Request: r, FirstId: next, Key: key})
		if err != nil {
			failed[i] = errs.E(errs.Internal, "filemeta.commitAll", err)
			continue
		}
		next += int64(need[i])
		ch := make(chan outcome, 1)
		s.outcomes.Store(key, ch)
		defer s.outcomes.Delete(key)
		events = append(events, event.Event{ID: key, Key: int64(d.ID), Payload: payload})
		which, decided = append(which, i), append(decided, ch)
	}
	for n, err := range event.PublishAll(ctx, s.Log, events) {
		if failed[which[n]] = err; err == nil {
			o := <-decided[n]
			done[which[n]] = &filemetapb.CommitResponse{Node: o.node, Created: o.created}
		}
	}
	return done, failed
}
