package upload

import (
	"net/http"
	"time"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

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
	p := put{asks: r.Header.Get("Expect") != ""}
	p.target, p.modifiedAt, err = targetOf(who, wish{
		path: req.Path, parents: req.Parents, conflict: req.Conflict, ifMatch: req.IfMatch, ifNoneMatch: req.IfNoneMatch,
		modifiedAt: req.ModifiedAt, size: r.ContentLength,
	})
	if err != nil {
		return err
	}
	if p.target.IdempotencyKey, err = httpapi.IdempotencyKey(req.IdempotencyKey); err != nil {
		return err
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
		return inPath(err)
	}
	return writeNode(w, done)
}

// inPath says which field of a request the tree found no path in.
func inPath(err error) error {
	if errs.Is(errs.Invalid, err) && errs.CodeOf(err) == "bad_path" {
		return errs.E(errs.Invalid, "upload.HTTP", errs.Code("bad_path"), errs.Field("path"), err)
	}
	return err
}

// writeNode answers with the file that a commit made.
func writeNode(w http.ResponseWriter, done *filemetapb.CommitResponse) error {
	w.Header().Set("ETag", done.GetNode().GetEtag())
	return httpapi.WriteJSON(w, statusOf(done), httpapi.NodeOf(done.GetNode(), false))
}

func statusOf(done *filemetapb.CommitResponse) int {
	if done.GetCreated() {
		return http.StatusCreated
	}
	return http.StatusOK
}

// wish is what a request says of the file to be, whatever it brings the bytes by.
type wish struct {
	path, conflict, ifMatch, ifNoneMatch, modifiedAt string
	parents                                          bool
	size                                             int64
}

// targetOf reads a wish, and the content's own time in milliseconds, 0 for none.
func targetOf(who auth.Principal, w wish) (t *filemetapb.Target, modifiedAt int64, err error) {
	const op = errs.Op("upload.targetOf")
	t = &filemetapb.Target{
		Actor: who.Actor(), Path: w.path, Parents: w.parents, Conflict: conflicts[w.conflict],
		IfMatch: w.ifMatch, Size: w.size,
	}
	switch w.ifNoneMatch {
	case "":
	case "*":
		t.IfNoneMatch = true
	default:
		return nil, 0, errs.E(errs.Invalid, op, errs.Code("bad_field"), errs.Field("If-None-Match"))
	}
	if w.modifiedAt != "" {
		at, err := time.Parse(time.RFC3339, w.modifiedAt)
		if err != nil || !plausible(at) {
			return nil, 0, errs.E(errs.Invalid, op, errs.Code("bad_time"), errs.Field("modifiedAt"))
		}
		modifiedAt = at.UnixMilli()
	}
	return t, modifiedAt, nil
}

// plausible tells whether a content's own time can be shown as one.
func plausible(t time.Time) bool { return t.UTC().Year() >= 1970 && t.UTC().Year() <= 9999 }

var conflicts = map[string]filemetapb.Conflict{
	"replace": filemetapb.Conflict_CONFLICT_REPLACE,
	"rename":  filemetapb.Conflict_CONFLICT_RENAME,
	"fail":    filemetapb.Conflict_CONFLICT_FAIL,
}

var _ API = (*Service)(nil)
