package download

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

const (
	// maxItems is how many folders and files may be named for one archive.
	maxItems = 1000
	// plannedEntries is up to how many entries an archive is listed whole before its first byte. Then its length
	// is known, and it is of one moment. Each takes about a kilobyte meanwhile.
	plannedEntries = 10_000
)

// GetArchive implements API.
func (s *Service) GetArchive(w http.ResponseWriter, r *http.Request) error {
	var req ArchiveRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	var of ArchiveOfRequest
	if req.Path != "" {
		of.Paths = []string{req.Path}
	}
	if req.IDs != "" {
		of.IDs = strings.Split(req.IDs, ",")
	}
	if len(of.Paths) > 0 && len(of.IDs) > 0 {
		return errs.E(errs.Invalid, "download.GetArchive", errs.Code("bad_field"), errs.Field("ids"))
	}
	return s.archive(w, r, of, "path")
}

// HeadArchive implements API.
func (s *Service) HeadArchive(w http.ResponseWriter, r *http.Request) error {
	return s.GetArchive(w, r)
}

// PostArchive implements API.
func (s *Service) PostArchive(w http.ResponseWriter, r *http.Request) error {
	var req ArchiveOfRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	return s.archive(w, r, req, "ids")
}

// archive answers with a zip. field is at fault when nothing is named.
func (s *Service) archive(w http.ResponseWriter, r *http.Request, of ArchiveOfRequest, field errs.Field) error {
	const op = errs.Op("download.archive")
	who, err := auth.From(r.Context())
	if err != nil {
		return err
	}
	if n := len(of.IDs) + len(of.Paths); n == 0 || n > maxItems {
		if len(of.IDs) > 0 {
			field = "ids"
		}
		return errs.E(errs.Invalid, op, errs.Code("bad_field"), field)
	}
	if r.Method != http.MethodHead {
		u, end, err := s.Limits.begin(who.UserID)
		if err != nil {
			return err
		}
		defer end()
		w = u.pace(r.Context(), w)
	}
	t := tree{FileMetaClient: s.Tree, actor: who.Actor()}
	tops, err := t.tops(r.Context(), of)
	if err != nil {
		return err
	}
	planned, all, err := s.plan(r.Context(), t, tops)
	if err != nil {
		return err
	}
	h := w.Header()
	setSafe(h)
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", disposition(archiveName(tops)))
	// It is made anew each time, from whatever the folders hold then: no part of one fits another.
	h.Set("Accept-Ranges", "none")
	h.Set("Cache-Control", "private, no-store")
	walk := func(fn func(entry) error) error { return s.walk(r.Context(), t, tops, fn) }
	if all {
		h.Set("Content-Length", strconv.FormatInt(zipSize(planned), 10))
		walk = func(fn func(entry) error) error {
			for _, e := range planned {
				if err := fn(e); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return errs.Wrap(op, s.writeZip(r.Context(), w, walk))
}

// plan walks once to see whether the archive is within the limits, which can be said only before its first byte. Up
// to plannedEntries it gives all of them.
func (s *Service) plan(ctx context.Context, t tree, tops []entry) (planned []entry, all bool, err error) {
	all = true
	err = s.walk(ctx, t, tops, func(e entry) error {
		if all = all && len(planned) < plannedEntries; all {
			planned = append(planned, e)
		} else {
			planned = nil
		}
		return nil
	})
	return planned, all, err
}

// archiveName is what an archive is called when it is saved.
func archiveName(tops []entry) string {
	switch {
	case len(tops) > 1:
		return "files.zip"
	case tops[0].name == "":
		return "drive.zip"
	}
	return strings.TrimSuffix(tops[0].name, "/") + ".zip"
}

// tops are the things that were asked for, each with a name of its own in the archive. The drive's root has none.
func (t tree) tops(ctx context.Context, of ArchiveOfRequest) ([]entry, error) {
	const op = errs.Op("download.tops")
	reqs := make([]*filemetapb.ResolveRequest, 0, len(of.IDs)+len(of.Paths))
	for _, s := range of.IDs {
		id, err := strconv.ParseInt(s, 10, 64)
		if err != nil || id <= 0 {
			return nil, errs.E(errs.NotFound, op)
		}
		reqs = append(reqs, &filemetapb.ResolveRequest{Actor: t.actor, Id: id})
	}
	for _, p := range of.Paths {
		reqs = append(reqs, &filemetapb.ResolveRequest{Actor: t.actor, Path: p})
	}
	var tops []entry
	seen, taken := make(map[int64]bool), make(map[string]bool)
	for _, req := range reqs {
		n, err := t.Resolve(ctx, req)
		if errs.Is(errs.Invalid, err) {
			return nil, errs.E(errs.Invalid, op, errs.CodeOf(err), errs.Field("path"), err)
		}
		if err != nil {
			return nil, errs.Wrap(op, err)
		}
		if seen[n.GetId()] {
			continue
		}
		seen[n.GetId()] = true
		e := entry{node: n}
		if n.GetName() != "" {
			name, err := drivepath.ParseName(n.GetName())
			if err != nil {
				return nil, errs.E(errs.Internal, op, err)
			}
			e.name = free(string(name), taken)
			taken[e.name] = true
			if n.GetFolder() {
				e.name += "/"
			}
		}
		tops = append(tops, e)
	}
	return tops, nil
}

// free gives name, or one like it that is not taken: "a (1).txt" for "a.txt".
func free(name string, taken map[string]bool) string {
	ext := path.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	if stem == "" { // ".profile" has no ending
		stem, ext = name, ""
	}
	for i := 1; taken[name]; i++ {
		name = fmt.Sprintf("%s (%d)%s", stem, i, ext)
	}
	return name
}
