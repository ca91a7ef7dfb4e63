package user

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

// filter reads what a request says of which events it wants.
func filter(action, user, since, until string) (f eventFilter, err error) {
	const op = errs.Op("user.filter")
	if !utf8.ValidString(action) {
		return f, errs.E(errs.Invalid, op, errs.Code("bad_field"), errs.Field("action"))
	}
	f.action = action
	if user != "" {
		if f.user, err = number(user); err != nil {
			return f, errs.E(errs.Invalid, op, errs.Code("bad_field"), errs.Field("userId"))
		}
	}
	for _, m := range []struct {
		text string
		to   *int64
		name errs.Field
	}{{since, &f.since, "since"}, {until, &f.until, "until"}} {
		if m.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, m.text)
		if err != nil {
			return f, errs.E(errs.Invalid, op, errs.Code("bad_time"), m.name)
		}
		*m.to = at.UnixMilli()
	}
	return f, nil
}

// eventPage gives a page of the audit log.
func (h HTTP) eventPage(ctx context.Context, req *EventsRequest) (*EventPage, error) {
	const op = errs.Op("user.eventPage")
	f, err := filter(req.Action, req.UserID, req.Since, req.Until)
	if err != nil {
		return nil, err
	}
	var before mark
	if req.Cursor != "" {
		at, id, _ := strings.Cut(req.Cursor, ".")
		var err1, err2 error
		before.At, err1 = strconv.ParseInt(at, 10, 64)
		before.ID, err2 = strconv.ParseInt(id, 10, 64)
		if err1 != nil || err2 != nil || before.ID < 1 {
			return nil, errs.E(errs.Invalid, op, errs.Code("bad_cursor"), errs.Field("cursor"))
		}
	}
	rows, err := h.events(ctx, f, before, req.Limit+1)
	if err != nil {
		return nil, err
	}
	out := new(EventPage)
	if len(rows) > req.Limit {
		rows = rows[:req.Limit]
		last := rows[len(rows)-1]
		out.NextCursor = fmt.Sprintf("%d.%d", last.At, last.ID)
	}
	out.Items, err = h.shown(ctx, rows)
	return out, err
}

// shown are events as the API shows them, with the logins of who did them and of whom they are about.
func (h HTTP) shown(ctx context.Context, rows []event) ([]AccountEvent, error) {
	ids := make(map[int64]bool)
	for _, e := range rows {
		ids[e.ActorID], ids[e.UserID] = true, true
	}
	delete(ids, 0)
	names, err := h.logins(ctx, slices.Collect(maps.Keys(ids)))
	return list(rows, func(e event) AccountEvent {
		out := AccountEvent{
			ID: decimal(e.ID), At: millis(e.At), Action: e.Action, ActorLogin: names[e.ActorID], UserLogin: names[e.UserID], Object: e.Object,
			Address: e.Address, Detail: e.Detail,
		}
		if e.ActorID != 0 {
			out.ActorID = decimal(e.ActorID)
		}
		if e.UserID != 0 {
			out.UserID = decimal(e.UserID)
		}
		return out
	}), err
}

// forOwner is an event as the owner of an account sees it: where an administrator sat is not theirs to know.
func forOwner(e AccountEvent, owner string) AccountEvent {
	if e.ActorID != "" && e.ActorID != owner {
		e.Address = ""
	}
	return e
}

// exportPage is how many events are read at a time.
const exportPage = 500

// eachEvent hands events to fn, the oldest first, until the log ends.
func (h HTTP) eachEvent(ctx context.Context, f eventFilter, fn func(AccountEvent) error) error {
	var after mark
	for {
		rows, err := h.eventsAfter(ctx, f, after, exportPage)
		if err != nil || len(rows) == 0 {
			return err
		}
		last := rows[len(rows)-1]
		after = mark{last.At, last.ID}
		page, err := h.shown(ctx, rows)
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := fn(e); err != nil {
				return err
			}
		}
	}
}

// ExportEvents implements API.
func (h HTTP) ExportEvents(w http.ResponseWriter, r *http.Request) error {
	var req ExportEventsRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	f, err := filter(req.Action, req.UserID, req.Since, req.Until)
	if err != nil {
		return err
	}
	if err := h.record(r.Context(), "audit.export", 0, ""); err != nil {
		return err
	}
	attachment(w, "application/x-ndjson", "gopan-events.ndjson")
	enc := json.NewEncoder(w)
	return h.eachEvent(r.Context(), f, func(e AccountEvent) error { return enc.Encode(e) })
}

func attachment(w http.ResponseWriter, kind, name string) {
	hd := w.Header()
	hd.Set("Content-Type", kind)
	hd.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	hd.Set("Cache-Control", "no-store")
	hd.Set("X-Content-Type-Options", "nosniff")
}

// export writes all that this role knows of an account, as one JSON object, its events as show has them. Secrets are not
// in it, not even hashed.
func (h HTTP) export(w http.ResponseWriter, r *http.Request, user int64, show func(e AccountEvent, owner string) AccountEvent) error {
	ctx := r.Context()
	m, err := h.managed(ctx, user)
	if err != nil {
		return err
	}
	known := struct {
		Account    ManagedUser `json:"account"`
		Sessions   []Session   `json:"sessions"`
		Keys       []AccessKey `json:"keys"`
		Passkeys   []Passkey   `json:"passkeys"`
		Identities []Identity  `json:"identities"`
	}{Account: managedOf(m)}
	sessions, err := h.sessions(ctx, user)
	if err != nil {
		return err
	}
	keys, err := h.keys(ctx, user)
	if err != nil {
		return err
	}
	passkeys, err := h.passkeys(ctx, user)
	if err != nil {
		return err
	}
	identities, err := h.identities(ctx, user)
	if err != nil {
		return err
	}
	known.Sessions, known.Keys = list(sessions, sessionOf(0)), list(keys, keyOf)
	known.Passkeys, known.Identities = list(passkeys, passkeyOf), list(identities, h.identityOf)
	if err := h.record(ctx, "user.export", user, ""); err != nil {
		return err
	}
	head, err := json.Marshal(known)
	if err != nil {
		return errs.E(errs.Internal, "user.export", err)
	}
	attachment(w, "application/json", "gopan-account-"+decimal(user)+".json")
	// The events, which may be many, become its last member as they are read.
	if _, err := fmt.Fprintf(w, "%s,\n\"events\":[", head[:len(head)-1]); err != nil {
		return err
	}
	comma := "\n"
	if err := h.eachEvent(ctx, eventFilter{user: user}, func(e AccountEvent) error {
		b, err := json.Marshal(show(e, decimal(user)))
		if err == nil {
			_, err = fmt.Fprintf(w, "%s%s", comma, b)
		}
		comma = ",\n"
		return err
	}); err != nil {
		return err
	}
	_, err = fmt.Fprint(w, "]}\n")
	return err
}
