package filemeta

import (
	"context"
	"encoding/hex"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

// HTTP answers api/filemeta.api.
type HTTP struct{ *Service }

var _ API = HTTP{}

// toHTTP is a node as the API shows it.
func toHTTP(at placed, err error) (*httpapi.Node, error) {
	if err != nil {
		return nil, err
	}
	return httpapi.NodeOf(toPB(at.node, at.path), at.path.IsRoot()), nil
}

// inField says which field of a request an error is about.
func inField(field errs.Field, err error) error {
	if errs.Is(errs.Invalid, err) {
		return errs.E(errs.Invalid, "filemeta.HTTP", errs.CodeOf(err), field, err)
	}
	return err
}

// GetDrive implements API.
func (h HTTP) GetDrive(ctx context.Context) (*Drive, error) {
	who, err := askerIn(ctx)
	if err != nil {
		return nil, err
	}
	d, err := h.driveOf(ctx, who.user)
	if err != nil {
		return nil, err
	}
	if err := h.DB.Read(ctx, func(tx *gorm.DB) error {
		if d, err = driveWhere(tx, "id = ?", d.ID); err != nil {
			return err
		}
		if err := d.mayUse(who.user); err != nil {
			return err
		}
		_, err = who.bounds(tx) // a key whose folder is gone opens nothing
		return err
	}); err != nil {
		return nil, err
	}
	return &Drive{ID: d.ID.String(), RootID: d.RootID.String(), Quota: d.Quota, Used: d.Used, Reserved: d.Reserved}, nil
}

// ListFolder implements API.
func (h HTTP) ListFolder(ctx context.Context, req *ListRequest) (*NodePage, error) {
	who, err := askerIn(ctx)
	if err != nil {
		return nil, err
	}
	p, err := drivepath.Parse(req.Path)
	if err != nil {
		return nil, inField("path", err)
	}
	pg, err := h.list(ctx, who, p, order{By: req.Sort, Desc: req.Order == "desc"}, req.Limit, req.Cursor)
	if err != nil {
		return nil, err
	}
	at, err := toHTTP(pg.folder, nil)
	if err != nil {
		return nil, err
	}
	out := &NodePage{Folder: *at, Items: make([]httpapi.Node, len(pg.items)), Total: pg.total, NextCursor: pg.next}
	for i, n := range pg.items {
		out.Items[i] = *httpapi.NodeOf(toPB(n, p.Join(drivepath.Name(n.Name))), false)
	}
	return out, nil
}

// StatPath implements API.
func (h HTTP) StatPath(ctx context.Context, req *StatRequest) (*httpapi.Node, error) {
	who, err := askerIn(ctx)
	if err != nil {
		return nil, err
	}
	p, err := drivepath.Parse(req.Path)
	if err != nil {
		return nil, inField("path", err)
	}
	return toHTTP(h.stat(ctx, who, p))
}

// about gives the asker and the node that a request is about.
func about(ctx context.Context, id string) (asker, NodeID, error) {
	who, err := askerIn(ctx)
	if err != nil {
		return who, 0, err
	}
	n, err := parseID(id)
	return who, n, err
}

// StatNode implements API.
func (h HTTP) StatNode(ctx context.Context, req *NodeRequest) (*httpapi.Node, error) {
	who, id, err := about(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	return toHTTP(h.statID(ctx, who, id))
}

// CreateFolder implements API.
func (h HTTP) CreateFolder(ctx context.Context, req *CreateFolderRequest) (*httpapi.Node, error) {
	who, err := askerIn(ctx)
	if err != nil {
		return nil, err
	}
	p, err := drivepath.Parse(req.Path)
	if err != nil {
		return nil, inField("path", err)
	}
	key, err := httpapi.IdempotencyKey(req.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	return toHTTP(h.createFolder(ctx, who, p, req.Parents, key))
}

// UpdateNode implements API.
func (h HTTP) UpdateNode(ctx context.Context, req *UpdateNodeRequest) (*httpapi.Node, error) {
	who, id, err := about(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	m := move{ifMatch: req.IfMatch}
	if m.key, err = httpapi.IdempotencyKey(req.IdempotencyKey); err != nil {
		return nil, err
	}
	if req.Name != "" {
		if m.name, err = drivepath.ParseName(req.Name); err != nil {
			return nil, inField("name", err)
		}
	}
	if req.ParentPath != "" {
		p, err := drivepath.Parse(req.ParentPath)
		if err != nil {
			return nil, inField("parentPath", err)
		}
		m.parentPath = &p
	}
	if req.ParentID != "" {
		if m.parentPath != nil {
			return nil, errs.E(errs.Invalid, "filemeta.UpdateNode", errs.Code("bad_field"), errs.Field("parentId"))
		}
		if m.parent, err = parseID(req.ParentID); err != nil {
			return nil, errs.E(errs.NotFound, "filemeta.UpdateNode", errs.Code("parent_not_found"), err)
		}
	}
	return toHTTP(h.update(ctx, who, id, m))
}

// DeleteNode implements API.
func (h HTTP) DeleteNode(ctx context.Context, req *DeleteNodeRequest) error {
	who, id, err := about(ctx, req.ID)
	if err != nil {
		return err
	}
	return h.delete(ctx, who, id, req.IfMatch)
}

// ListVersions implements API.
func (h HTTP) ListVersions(ctx context.Context, req *VersionsRequest) (*VersionPage, error) {
	who, id, err := about(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	items, next, err := h.versions(ctx, who, id, req.Limit, req.Cursor)
	if err != nil {
		return nil, err
	}
	out := &VersionPage{Items: make([]Version, len(items)), NextCursor: next}
	for i, v := range items {
		out.Items[i] = Version{
			Version: v.Version, Size: v.Size, Digest: hex.EncodeToString(v.Digest), CreatedAt: httpapi.Time(v.CreatedAt),
		}
	}
	return out, nil
}

// ListTrash implements API.
func (h HTTP) ListTrash(ctx context.Context, req *TrashRequest) (*TrashPage, error) {
	who, err := askerIn(ctx)
	if err != nil {
		return nil, err
	}
	items, total, next, err := h.trashPage(ctx, who, req.Limit, req.Cursor)
	if err != nil {
		return nil, err
	}
	out := &TrashPage{Items: make([]httpapi.Node, len(items)), Total: total, NextCursor: next}
	for i, n := range items {
		was, err := drivepath.Parse(n.OriginPath)
		if err != nil {
			return nil, errs.E(errs.Internal, "filemeta.ListTrash", err)
		}
		pb := toPB(n, was)
		pb.ParentId = int64(n.OriginParent)
		out.Items[i] = *httpapi.NodeOf(pb, false)
	}
	return out, nil
}

// RestoreNode implements API.
func (h HTTP) RestoreNode(ctx context.Context, req *RestoreRequest) (*httpapi.Node, error) {
	who, id, err := about(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	var to *drivepath.Path
	if req.ParentPath != "" {
		p, err := drivepath.Parse(req.ParentPath)
		if err != nil {
			return nil, inField("parentPath", err)
		}
		to = &p
	}
	return toHTTP(h.restore(ctx, who, id, to, req.Conflict == "rename"))
}

// PurgeNode implements API.
func (h HTTP) PurgeNode(ctx context.Context, req *NodeRequest) error {
	who, id, err := about(ctx, req.ID)
	if err != nil {
		return err
	}
	return h.purgeOne(ctx, who, id)
}

// EmptyTrash implements API.
func (h HTTP) EmptyTrash(ctx context.Context) error {
	who, err := askerIn(ctx)
	if err != nil {
		return err
	}
	return h.emptyTrash(ctx, who)
}
