package filemeta

import (
	"context"
	"crypto/rand"

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
	user := UserID(t.GetActor().GetUserId())
	p, err := targetPath(t.GetPath())
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if _, err := s.driveOf(ctx, user); err != nil {
		return nil, errs.Wrap(op, err)
	}
	resp := new(filemetapb.PrepareResponse)
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		a := &applier{tx: tx, now: s.now()}
		d, err := a.driveOf(user)
		if err != nil {
			return err
		}
		if before, ok, err := a.doneBefore(user, t.GetIdempotencyKey(), p); err != nil || ok {
			resp.Done = &filemetapb.CommitResponse{Node: before.node, Created: before.created}
			return err
		}
		resp.Available = d.available()
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
	const op = errs.Op("filemeta.Commit")
	t := req.GetTarget()
	p, err := targetPath(t.GetPath())
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if len(req.GetBlob().GetDigest()) != 32 || req.GetBlob().GetSize() < 0 {
		return nil, errs.E(errs.Invalid, op, errs.Field("blob"))
	}
	d, err := s.driveOf(ctx, UserID(t.GetActor().GetUserId()))
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	// Ids for the file and for every folder that may have to be made above it.
	n := 1
	if t.GetParents() {
		n = p.Depth()
	}
	first, err := s.newIDs(ctx, n)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	key := rand.Text()
	payload, err := proto.Marshal(&filemetapb.Committed{Request: req, FirstId: first, Key: key})
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	decided := make(chan outcome, 1)
	s.outcomes.Store(key, decided)
	defer s.outcomes.Delete(key)
	if err := s.Log.Publish(ctx, event.Event{Key: int64(d.ID), Payload: payload}); err != nil {
		return nil, errs.Wrap(op, err)
	}
	o := <-decided
	return &filemetapb.CommitResponse{Node: o.node, Created: o.created}, nil
}
