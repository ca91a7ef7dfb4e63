package filemeta

import (
	"context"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// RPC answers api/filemeta.proto. Its other methods are the Service's own.
type RPC struct {
	*Service
	later
}

// later answers methods that a newer caller may know; embedded one level down, it gives way to Service.
type later struct {
	filemetapb.UnimplementedFileMetaServer
}

var _ filemetapb.FileMetaServer = RPC{}

// Resolve implements the RPC.
func (s *Service) Resolve(ctx context.Context, req *filemetapb.ResolveRequest) (*filemetapb.Node, error) {
	const op = errs.Op("filemeta.Resolve")
	who := askerOf(req.GetActor())
	if _, err := s.driveOf(ctx, who.user); err != nil {
		return nil, errs.Wrap(op, err)
	}
	var p drivepath.Path
	if req.GetId() == 0 {
		var err error
		if p, err = drivepath.Parse(req.GetPath()); err != nil {
			return nil, errs.Wrap(op, err)
		}
	}
	var out *filemetapb.Node
	err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		var at placed
		var err error
		if req.GetId() != 0 {
			at, err = atID(tx, who, NodeID(req.GetId()))
		} else {
			at, err = s.atPath(ctx, tx, who, p)
		}
		if err != nil {
			return err
		}
		out = toPB(at.node, at.path)
		if v := req.GetVersion(); v != 0 && v != at.Version {
			var old version
			if err := tx.Raw("SELECT * FROM versions WHERE node_id = ? AND version = ?", at.ID, v).Scan(&old).Error; err != nil {
				return err
			}
			if old.Version == 0 {
				return errs.E(errs.NotFound, op, errs.Code("no_such_version"))
			}
			was := *at.node
			// The revision is the version's number, negative, so that no present or future ETag is like it.
			was.Size, was.Digest, was.SHA256, was.Version = old.Size, old.Digest, old.SHA256, v
			was.ModifiedAt, was.Rev = old.CreatedAt, -v
			out = toPB(&was, at.path)
		}
		if out.GetSize() > 4<<20 { // several blocks
			var known struct{ Sha256 []byte } // gorm would take bytes of their own for a list of rows
			err := tx.Raw("SELECT sha256 FROM sums WHERE digest = ?", out.GetDigest()).Scan(&known).Error
			out.Sha256 = known.Sha256
			return err
		}
		return nil
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return out, nil
}

// MakeFolder implements the RPC. A folder that is there already costs a look.
func (s *Service) MakeFolder(ctx context.Context, req *filemetapb.MakeFolderRequest) (*filemetapb.CommitResponse, error) {
	const op = errs.Op("filemeta.MakeFolder")
	who := askerOf(req.GetActor())
	p, err := drivepath.Parse(req.GetPath())
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	at, err := s.stat(ctx, who, p)
	if err == nil && at.Kind == folder {
		return &filemetapb.CommitResponse{Node: toPB(at.node, at.path)}, nil
	}
	if err != nil && !errs.Is(errs.NotFound, err) {
		return nil, errs.Wrap(op, err)
	}
	if at, err = s.createFolder(ctx, who, p, true, ""); err != nil {
		return nil, errs.Wrap(op, err)
	}
	return &filemetapb.CommitResponse{Node: toPB(at.node, at.path), Created: true}, nil
}
