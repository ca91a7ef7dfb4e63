package user

import (
	"context"
	"strconv"
	"strings"
	"unicode"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/userpb"
)

// event is a row of audit: something that matters to the safety of accounts. Rows are only ever added. None holds a
// secret: no password, code or token (promises S17, S19).
type event struct {
	ID     int64 `gorm:"primaryKey;autoIncrement:false"`
	At     int64
	Action string
	// ActorID is the account that did it; 0: nobody was signed in.
	ActorID int64
	// UserID is the account that it is about; 0: none.
	UserID  int64
	Object  string
	Address string
	Detail  string
}

// TableName implements gorm's Tabler.
func (event) TableName() string { return "audit" }

// about makes an event by whoever asks in ctx, about an account. Its id is taken here, before the transaction that
// writes it: taking one is a transaction of its own.
func (s *Service) about(ctx context.Context, action string, user int64, detail string) (event, error) {
	id, err := s.newID(ctx)
	if err != nil {
		return event{}, err
	}
	e := event{
		ID: id, At: s.now().UnixMilli(), Action: action, UserID: user, Address: clip(httpapi.ClientAddress(ctx), 64),
		Detail: clip(detail, 255),
	}
	if p, err := auth.From(ctx); err == nil {
		e.ActorID = p.UserID
	}
	if user != 0 {
		e.Object = "user " + strconv.FormatInt(user, 10)
	}
	return e, nil
}

// record writes an event of its own. An act that cannot be recorded fails.
func (s *Service) record(ctx context.Context, action string, user int64, detail string) error {
	const op = errs.Op("user.record")
	e, err := s.about(ctx, action, user, detail)
	if err != nil {
		return errs.Wrap(op, err)
	}
	return errs.Wrap(op, s.DB.Write(ctx, func(tx *gorm.DB) error { return tx.Create(&e).Error }))
}

// recorded runs fn and writes the event in one transaction, so that neither is without the other.
func (s *Service) recorded(ctx context.Context, action string, user int64, detail string, fn func(tx *gorm.DB) error) error {
	const op = errs.Op("user.recorded")
	e, err := s.about(ctx, action, user, detail)
	if err != nil {
		return errs.Wrap(op, err)
	}
	return errs.Wrap(op, s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := fn(tx); err != nil {
			return err
		}
		return tx.Create(&e).Error
	}))
}

// clip makes one valid line of text that shows all that is in it, and shortens it to at most n bytes.
func clip(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // control characters, ends of lines, marks that turn the direction of text
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > n {
		text = strings.ToValidUTF8(text[:n], "") // without half a character
	}
	return text
}

// Record implements the RPC.
func (s *Service) Record(ctx context.Context, req *userpb.RecordRequest) (*userpb.RecordResponse, error) {
	const op = errs.Op("user.Record")
	if req.GetAction() == "" || len(req.GetAction()) > 64 {
		return nil, errs.E(errs.Invalid, op, errs.Field("action"))
	}
	id, err := s.newID(ctx)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	e := event{
		ID: id, At: s.now().UnixMilli(), Action: req.GetAction(), ActorID: req.GetActorId(), UserID: req.GetActorId(),
		Object: clip(req.GetObject(), 255), Address: clip(req.GetAddress(), 64), Detail: clip(req.GetDetail(), 255),
	}
	err = s.DB.Write(ctx, func(tx *gorm.DB) error { return tx.Create(&e).Error })
	return &userpb.RecordResponse{}, errs.Wrap(op, err)
}

// eventFilter picks events; zero values pick all.
type eventFilter struct {
	action       string // or its beginning, up to a dot
	user         int64  // the actor or the one it is about
	since, until int64
}

// where is the filter as a condition.
func (f eventFilter) where() (string, []any) {
	cond, args := []string{"1 = 1"}, []any{}
	if f.user != 0 {
		cond, args = append(cond, "(actor_id = ? OR user_id = ?)"), append(args, f.user, f.user)
	}
	if f.action != "" {
		// A range rather than LIKE: nothing in it is a pattern.
		if strings.HasSuffix(f.action, ".") {
			cond, args = append(cond, "action >= ? AND action < ?"), append(args, f.action, f.action[:len(f.action)-1]+"/")
		} else {
			cond, args = append(cond, "action = ?"), append(args, f.action)
		}
	}
	if f.since != 0 {
		cond, args = append(cond, "at >= ?"), append(args, f.since)
	}
	if f.until != 0 {
		cond, args = append(cond, "at < ?"), append(args, f.until)
	}
	return strings.Join(cond, " AND "), args
}

// mark is a place in the audit log.
type mark struct{ At, ID int64 }

// events gives those before a mark, the latest first; the zero mark is the end of the log.
func (s *Service) events(ctx context.Context, f eventFilter, before mark, limit int) (list []event, err error) {
	cond, args := f.where()
	if before != (mark{}) {
		cond, args = cond+" AND (at < ? OR at = ? AND id < ?)", append(args, before.At, before.At, before.ID)
	}
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT * FROM audit WHERE "+cond+" ORDER BY at DESC, id DESC LIMIT ?", append(args, limit)...).Scan(&list).Error
	})
	return list, errs.Wrap("user.events", err)
}

// eventsAfter gives those after a mark, the oldest first.
func (s *Service) eventsAfter(ctx context.Context, f eventFilter, after mark, limit int) (list []event, err error) {
	cond, args := f.where()
	args = append(args, after.At, after.At, after.ID, limit)
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT * FROM audit WHERE "+cond+" AND (at > ? OR at = ? AND id > ?) ORDER BY at, id LIMIT ?", args...).Scan(&list).Error
	})
	return list, errs.Wrap("user.eventsAfter", err)
}

// logins gives the logins of accounts, by id; those that are gone have none.
func (s *Service) logins(ctx context.Context, ids []int64) (map[int64]string, error) {
	out := make(map[int64]string)
	if len(ids) == 0 {
		return out, nil
	}
	var list []account
	err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT id, login FROM users WHERE id IN ?", ids).Scan(&list).Error
	})
	for _, a := range list {
		out[a.ID] = a.Login
	}
	return out, errs.Wrap("user.logins", err)
}
