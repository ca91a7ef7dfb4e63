// Package download is bytes out: whole files or ranges of them, straight from the page cache where that is safe.
package download

import (
	"encoding/base64"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Service gives out content.
type Service struct {
	// Blobs opens blobs and checks them.
	Blobs *blob.Verifier
	// Tree is the filemeta role.
	Tree filemetapb.FileMetaClient
	// Archives bound an archive; the zero value does not.
	Archives Archives
	// Limits bound a user; nil does not.
	Limits *Limits
	// Redirect sends callers to the store; the zero value does not.
	Redirect Redirect

	archives atomic.Pointer[Archives]
}

// Tune changes, in a Service that may be running, what an archive may hold and what a user may take. Downloads that are
// under way without a bound of their rate end so.
func (s *Service) Tune(a Archives, downloads int, bytesPerSecond int64) {
	s.archives.Store(&a)
	if s.Limits != nil {
		s.Limits.set(downloads, bytesPerSecond)
	}
}

// archiveLimits are those that count now.
func (s *Service) archiveLimits() Archives {
	if a := s.archives.Load(); a != nil {
		return *a
	}
	return s.Archives
}

var _ API = (*Service)(nil)

// GetContentByPath implements API.
func (s *Service) GetContentByPath(w http.ResponseWriter, r *http.Request) error {
	var req ContentByPathRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	return s.serve(w, r, &filemetapb.ResolveRequest{Path: req.Path, Version: req.Version})
}

// HeadContentByPath implements API.
func (s *Service) HeadContentByPath(w http.ResponseWriter, r *http.Request) error {
	return s.GetContentByPath(w, r)
}

// GetContentByID implements API.
func (s *Service) GetContentByID(w http.ResponseWriter, r *http.Request) error {
	var req ContentByIDRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	id, err := strconv.ParseInt(req.ID, 10, 64)
	if err != nil || id <= 0 {
		return errs.E(errs.NotFound, "download.GetContentByID")
	}
	return s.serve(w, r, &filemetapb.ResolveRequest{Id: id, Version: req.Version})
}

// HeadContentByID implements API.
func (s *Service) HeadContentByID(w http.ResponseWriter, r *http.Request) error {
	return s.GetContentByID(w, r)
}

// serve answers GET and HEAD for one version of a file.
func (s *Service) serve(w http.ResponseWriter, r *http.Request, req *filemetapb.ResolveRequest) error {
	const op = errs.Op("download.serve")
	who, err := auth.From(r.Context())
	if err != nil {
		return err
	}
	if req.GetVersion() < 0 {
		return errs.E(errs.Invalid, op, errs.Code("bad_field"), errs.Field("version"))
	}
	if r.Method != http.MethodHead {
		u, end, err := s.Limits.begin(who.UserID)
		if err != nil {
			return err
		}
		defer end()
		w = u.pace(r.Context(), w)
	}
	req.Actor = who.Actor()
	n, err := s.Tree.Resolve(r.Context(), req)
	if err != nil {
		if errs.Is(errs.Invalid, err) {
			return errs.E(errs.Invalid, op, errs.CodeOf(err), errs.Field("path"), err)
		}
		return errs.Wrap(op, err)
	}
	if n.GetFolder() {
		return errs.E(errs.Conflict, op, errs.Code("is_a_folder"))
	}
	ref := blob.Ref{Digest: blob.Digest(n.GetDigest()), Size: n.GetSize()}
	if done, err := s.Redirect.take(w, r, n, ref); done || err != nil {
		return err
	}
	setHeaders(w.Header(), n)
	content, err := s.Blobs.Open(r.Context(), ref)
	if errs.Is(errs.Corrupt, err) {
		return errs.E(errs.Corrupt, op, errs.Code("content_unavailable"), err) // whatever is wrong with it (fault F24)
	}
	if err != nil {
		return errs.Wrap(op, err)
	}
	modified := time.UnixMilli(n.GetModifiedAt())
	if asked := r.Header.Values("Range"); len(asked) > 0 {
		r = r.Clone(r.Context())
		if r.Method == http.MethodHead { // RFC 9110, section 14.2: Range is for GET
			r.Header.Del("Range")
		} else {
			ranges := cleanRange(asked, ref.Size)
			r.Header.Set("Range", ranges)
			blob.Until(content, rangesEnd(ranges, ref.Size))
			w = &rangeWriter{ResponseWriter: w}
		}
	}
	if f, ok := content.(*os.File); ok {
		// Every block of the blob is known to be good: net/http has the kernel send the file.
		defer f.Close()
		http.ServeContent(w, r, "", modified, f)
	} else {
		guard := &guarded{Reader: content}
		defer guard.Close()
		http.ServeContent(w, r, "", modified, guard)
		// ServeContent tells nobody that a read failed; the guard does, so that the connection is cut.
		if err := guard.failed(); err != nil {
			return err
		}
	}
	if rw, ok := w.(*rangeWriter); ok && rw.refused {
		return errs.E(errs.Invalid, op, errs.Code("range_not_satisfiable"), errs.Field("Range"))
	}
	return nil
}

// setSafe keeps content from running in our origin, whatever it is: no other type than it has is guessed, and it is in
// a sandbox (promise S8). With it goes disposition, which makes it an attachment.
func setSafe(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// setHeaders sets what is true of a file's bytes whatever part of them is sent.
func setHeaders(h http.Header, n *filemetapb.Node) {
	setSafe(h)
	h.Set("ETag", n.GetEtag())
	h.Set("Content-Type", contentType(n.GetName()))
	h.Set("Content-Disposition", disposition(n.GetName()))
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Accept-Ranges", "bytes")
	if sum := n.GetSha256(); len(sum) > 0 { // RFC 9530
		h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
	}
	h.Set("Gopan-Digest", blob.Digest(n.GetDigest()).String())
}

// disposition is an attachment with the name in RFC 6266's form, which RFC 8187 encodes where ASCII falls short.
func disposition(name string) string {
	if d := mime.FormatMediaType("attachment", map[string]string{"filename": name}); d != "" {
		return d
	}
	return "attachment"
}

// contentType by the name's ending, from a table of ours: the system's differs from machine to machine.
func contentType(name string) string {
	if t, ok := types[strings.ToLower(path.Ext(name))]; ok {
		return t
	}
	return "application/octet-stream"
}
