package filemeta

import (
	"context"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// ListFolder implements the RPC. Whoever may read a folder may read what is in it; that they may is
// asked at every page, so a walk ends where its actor's rights do (promise S1).
func (s *Service) ListFolder(ctx context.Context, req *filemetapb.ListFolderRequest) (*filemetapb.ListFolderResponse, error) {
	const op = errs.Op("filemeta.ListFolder")
	if req.GetLimit() < 1 || req.GetLimit() > 1000 {
		return nil, errs.E(errs.Invalid, op, errs.Field("limit"))
	}
	limit := int(req.GetLimit())
	byName := order{By: "name"}
	out := new(filemetapb.ListFolderResponse)
	err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		at, err := atID(tx, askerOf(req.GetActor()), NodeID(req.GetId()))
		if err != nil {
			return err
		}
		if at, err = at.asFolder(); err != nil {
			return err
		}
		c, first := cursor{order: byName, Folder: at.ID, Kind: folder}, req.GetCursor() == ""
		if !first {
			c, err = parseCursor(req.GetCursor())
			if err == nil && (c.Folder != at.ID || c.order != byName || c.Kind != folder && c.Kind != file) {
				err = errs.E(errs.Invalid, op, errs.Code("bad_cursor"), errs.Field("cursor"))
			}
			if err != nil {
				return err
			}
		}
		found, err := children(tx, at.ID, c, first, limit+1)
		if err != nil {
			return err
		}
		if len(found) > limit {
			found = found[:limit]
			if c, err = c.after(tx, found[limit-1]); err != nil {
				return err
			}
			out.Next = c.String()
		}
		for _, n := range found {
			out.Nodes = append(out.Nodes, toPB(n, at.path.Join(drivepath.Name(n.Name))))
		}
		return nil
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return out, nil
}
