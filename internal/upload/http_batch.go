package upload

import (
	"context"
	"net/http"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// PutBatch implements API.
func (s *Service) PutBatch(w http.ResponseWriter, r *http.Request) error {
	const op = errs.Op("upload.PutBatch")
	who, err := auth.From(r.Context())
	if err != nil {
		return err
	}
	var req BatchRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	if ct := r.Header.Get("Content-Type"); ct != "" && ct != "application/x-tar" {
		return errs.E(errs.Unsupported, op, errs.Code("not_tar"))
	}
	b := &batch{
		Service: s, user: who.Actor(), conflict: conflicts[req.Conflict],
		limits: s.tuning().Batch.orDefault(), slots: make(chan struct{}, groupPuts),
	}
	if b.base, err = drivepath.Parse(req.Path); err != nil {
		return inPath(err)
	}
	release, err := s.admit(who.UserID)
	if err != nil {
		return err
	}
	defer release()
	if b.drive, err = b.driveOf(r.Context()); err != nil {
		return err
	}
	if err := b.take(r.Context(), http.MaxBytesReader(w, r.Body, b.limits.stream())); err != nil {
		return err
	}
	out := BatchResponse{Results: make([]BatchResult, len(b.all))}
	for i, e := range b.all {
		out.Results[i] = e.show(r)
	}
	return httpapi.WriteJSON(w, http.StatusOK, out)
}

// show is what became of an entry, as the API shows it.
func (e *entry) show(r *http.Request) BatchResult {
	out := BatchResult{Path: e.path}
	if e.err != nil {
		out.Status, out.Code, out.Title = httpapi.Outcome(r, e.err)
		return out
	}
	out.Status = statusOf(e.done)
	out.Node = httpapi.NodeOf(e.done.GetNode(), e.path == drivepath.Root.String())
	return out
}

// driveOf gives the drive that the batch's files go to, where new content's store depends on it; else 0.
func (b *batch) driveOf(ctx context.Context) (int64, error) {
	if !b.Blobs.ByDrive() {
		return 0, nil
	}
	// Something of any name can be put into the drive's root, or, by a key that opens one folder, into the batch's:
	// what is asked is which drive that is.
	in := drivepath.Root
	if b.user.GetFolderId() != 0 {
		in = b.base
	}
	ready, err := b.Tree.Prepare(ctx, &filemetapb.Target{
		Actor: b.user, Path: in.Join("-").String(), Parents: true, Conflict: filemetapb.Conflict_CONFLICT_RENAME, Size: -1,
	})
	return ready.GetDrive(), errs.Wrap("upload.driveOf", err)
}
