// Package upload is bytes in: it stores what a client sends as a blob, durable and checked, and then commits it
// to the tree.
package upload

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Service takes uploads.
type Service struct {
	// Blobs are where bytes go.
	Blobs *blob.Stores
	// Tree is the filemeta role.
	Tree filemetapb.FileMetaClient
	// Slots bounds how many bodies are received at once; more are told to come again. Nil: no bound.
	Slots chan struct{}
}

// put is one file in one request.
type put struct {
	target     *filemetapb.Target
	modifiedAt int64
	digest     blob.Digest // zero: not announced
	sums       wholeSums
}

// Put stores body as the content of a file. It answers when the bytes and the commit are durable.
func (s *Service) Put(ctx context.Context, p put, body io.Reader) (*filemetapb.CommitResponse, error) {
	const op = errs.Op("upload.Put")
	if s.Slots != nil {
		select {
		case s.Slots <- struct{}{}:
			defer func() { <-s.Slots }()
		default:
			return nil, errs.E(errs.Busy, op, time.Second, "all upload slots are taken")
		}
	}
	// Before the first byte is read: a client that waits for 100 Continue is spared a body that cannot be kept.
	ready, err := s.Tree.Prepare(ctx, p.target)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if done := ready.GetDone(); done != nil {
		return done, nil // this request was here before, and its answer got lost
	}
	from := &bodyReader{r: body}
	b := new(filemetapb.Blob)
	ref, err := blob.Write(ctx, s.Blobs.For(ready.GetDrive(), p.target.GetSize()), from, blob.Want{
		Size: p.target.GetSize(), Digest: p.digest, Limit: ready.GetAvailable(), Hashes: p.sums.hashes(),
		Check: func(blocks []blob.Sum) error {
			switch len(blocks) { // the plain SHA-256 of all there is
			case 0:
				none := blob.DigestOf(nil)
				b.Sha256 = none[:]
			case 1:
				b.Sha256 = blocks[0][:]
			}
			return p.sums.check()
		},
	})
	switch {
	case from.err != nil:
		return nil, errs.E(errs.Invalid, op, errs.Code("body_interrupted"), from.err)
	case errs.Is(errs.OverQuota, err) && errs.CodeOf(err) != "disk_full":
		return nil, errs.E(errs.OverQuota, op, errs.Code("quota_exceeded"), err)
	case err != nil:
		return nil, errs.Wrap(op, err)
	}
	b.Digest, b.Size = ref.Digest[:], ref.Size
	p.target.Size = ref.Size
	done, err := s.Tree.Commit(ctx, &filemetapb.CommitRequest{Target: p.target, Blob: b, ModifiedAt: p.modifiedAt})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if b.Sha256 = p.sums.sha256(); b.Sha256 != nil && ref.Size > blob.BlockSize {
		// The sums are a convenience, kept where they were computed anyway; the upload stands without them.
		_, _ = s.Tree.PutSums(ctx, b)
	}
	return done, nil
}

// bodyReader tells a body that broke off from every other failure.
type bodyReader struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errs.E(errs.Invalid, "upload.body", err) // not the end that io.ReadFull would take it for
		}
	}
	return n, err
}

// PutContent implements API.
func (s *Service) PutContent(w http.ResponseWriter, r *http.Request) error {
	const op = errs.Op("upload.PutContent")
	who, err := auth.From(r.Context())
	if err != nil {
		return err
	}
	var req PutContentRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	if r.Header.Get("Content-Range") != "" { // RFC 9110, section 14.5: it would be taken for the whole
		return errs.E(errs.Invalid, op, errs.Code("bad_field"), errs.Field("Content-Range"))
	}
	p := put{target: &filemetapb.Target{
		Actor: &filemetapb.Actor{UserId: who.UserID}, Path: req.Path, Parents: req.Parents, Conflict: conflicts[req.Conflict],
		IfMatch: req.IfMatch, Size: r.ContentLength,
	}}
	if p.target.IdempotencyKey, err = httpapi.IdempotencyKey(req.IdempotencyKey); err != nil {
		return err
	}
	switch req.IfNoneMatch {
	case "":
	case "*":
		p.target.IfNoneMatch = true
	default:
		return errs.E(errs.Invalid, op, errs.Code("bad_field"), errs.Field("If-None-Match"))
	}
	if req.ModifiedAt != "" {
		t, err := time.Parse(time.RFC3339, req.ModifiedAt)
		if err != nil || t.Year() < 1970 || t.Year() > 9999 {
			return errs.E(errs.Invalid, op, errs.Code("bad_time"), errs.Field("modifiedAt"))
		}
		p.modifiedAt = t.UnixMilli()
	}
	if req.GopanDigest != "" {
		if p.digest, err = blob.ParseDigest(req.GopanDigest); err != nil {
			return errs.E(errs.Invalid, op, errs.Code("bad_digest"), errs.Field("Gopan-Digest"))
		}
		if p.digest == (blob.Digest{}) { // no content has it, and further down it would pass for none announced
			return errs.E(errs.Invalid, op, errs.Code("digest_mismatch"), errs.Field("Gopan-Digest"))
		}
	}
	if p.sums, err = parseReprDigest(req.ReprDigest); err != nil {
		return err
	}
	done, err := s.Put(r.Context(), p, r.Body)
	if err != nil {
		if errs.Is(errs.Invalid, err) && errs.CodeOf(err) == "bad_path" {
			return errs.E(errs.Invalid, op, errs.Code("bad_path"), errs.Field("path"), err)
		}
		return err
	}
	status := http.StatusOK
	if done.GetCreated() {
		status = http.StatusCreated
	}
	w.Header().Set("ETag", done.GetNode().GetEtag())
	return httpapi.WriteJSON(w, status, httpapi.NodeOf(done.GetNode(), false))
}

var conflicts = map[string]filemetapb.Conflict{
	"replace": filemetapb.Conflict_CONFLICT_REPLACE,
	"rename":  filemetapb.Conflict_CONFLICT_RENAME,
	"fail":    filemetapb.Conflict_CONFLICT_FAIL,
}

var _ API = (*Service)(nil)
