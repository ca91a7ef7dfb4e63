package user

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
)

// eraseAfter is how long a deleted account can be brought back.
func (s *Service) eraseAfter() time.Duration {
	if s.EraseAfter > 0 {
		return s.EraseAfter
	}
	return 30 * 24 * time.Hour
}

// States of an account.
const (
	active   = "active"
	disabled = "disabled"
	deleted  = "deleted"
)

func (a account) state() string {
	switch {
	case a.EraseAt > 0:
		return deleted
	case a.DisabledAt > 0:
		return disabled
	}
	return active
}

// stateWhere is the condition for a state; "" is any.
var stateWhere = map[string]string{
	"": "1 = 1", active: "disabled_at = 0 AND erase_at = 0", disabled: "disabled_at > 0 AND erase_at = 0", deleted: "erase_at > 0",
}

// managed is an account with what an administrator sees of it.
type managed struct {
	account
	SeenAt int64
	groups []string
}

// accounts lists accounts by login, from after one. query is the beginning of a login, a name or a phone.
func (s *Service) accounts(ctx context.Context, query, state, after string, limit int) (list []managed, err error) {
	where, args := stateWhere[state]+" AND login > ?", []any{after}
	if query != "" {
		// Databases differ in which letters of other cases they take for the same; both forms find the name in each.
		where += ` AND (login LIKE ? ESCAPE '!' OR name LIKE ? ESCAPE '!' OR lower(name) LIKE ? ESCAPE '!' OR phone LIKE ? ESCAPE '!')`
		like := strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(query) + "%"
		small := strings.ToLower(like)
		args = append(args, small, like, small, like)
	}
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		var rows []account
		if err := tx.Raw("SELECT * FROM users WHERE "+where+" ORDER BY login LIMIT ?", append(args, limit)...).Scan(&rows).Error; err != nil {
			return err
		}
		list, err = manageable(tx, rows)
		return err
	})
	return list, errs.Wrap("user.accounts", err)
}

// manageable adds what other tables know of accounts.
func manageable(tx *gorm.DB, rows []account) ([]managed, error) {
	out, at, ids := make([]managed, len(rows)), make(map[int64]*managed), make([]int64, len(rows))
	for i, a := range rows {
		out[i].account, ids[i] = a, a.ID
		at[a.ID] = &out[i]
	}
	if len(rows) == 0 {
		return out, nil
	}
	var seen []struct{ UserID, SeenAt int64 }
	if err := tx.Raw("SELECT user_id, max(CASE WHEN seen_at > created_at THEN seen_at ELSE created_at END) AS seen_at FROM sessions WHERE user_id IN ? GROUP BY user_id",
		ids).Scan(&seen).Error; err != nil {
		return nil, err
	}
	for _, x := range seen {
		at[x.UserID].SeenAt = x.SeenAt
	}
	var groups []struct {
		UserID int64
		Name   string
	}
	err := tx.Raw("SELECT m.user_id, g.name FROM user_group_members m JOIN user_groups g ON g.id = m.group_id WHERE m.user_id IN ? ORDER BY g.name",
		ids).Scan(&groups).Error
	for _, g := range groups {
		at[g.UserID].groups = append(at[g.UserID].groups, g.Name)
	}
	return out, err
}

func (s *Service) managed(ctx context.Context, id int64) (m managed, err error) {
	const op = errs.Op("user.managed")
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		a, err := accountWhere(tx, "id = ?", id)
		if err != nil || a.ID == 0 {
			return notThere(op, err)
		}
		list, err := manageable(tx, []account{a})
		if err == nil {
			m = list[0]
		}
		return err
	})
	return m, errs.Wrap(op, err)
}

// createManaged makes an account for somebody, with a password or a link to set one.
func (s *Service) createManaged(ctx context.Context, n newAccount, password string) (a account, l oneTimeLink, token string, err error) {
	const op = errs.Op("user.createManaged")
	if password != "" {
		if n.PasswordHash, err = choosePassword(ctx, password, n.Login, n.Name); err != nil {
			return a, l, "", errs.Wrap(op, err)
		}
	}
	if a, err = s.create(ctx, n, "admin"); err != nil || password != "" {
		return a, l, "", errs.Wrap(op, err)
	}
	l, token, err = s.resetLink(ctx, a.ID)
	return a, l, token, errs.Wrap(op, err)
}

// change is what an administrator changes of an account: a role and a state, unless "", and a name, unless nil.
type change struct {
	role, state string
	name        *string
}

// manage changes an account. There is always an administrator who can sign in.
func (s *Service) manage(ctx context.Context, id int64, c change) error {
	const op = errs.Op("user.manage")
	var events []event
	for _, part := range []struct {
		action, to string
		changes    bool
	}{
		{"user.role", c.role, c.role != ""},
		{"user.state", c.state, c.state != ""},
		{"user.name", "", c.name != nil}, // what the person is called goes with the account, and the log stays
	} {
		if !part.changes {
			continue
		}
		e, err := s.about(ctx, part.action, id, part.to)
		if err != nil {
			return errs.Wrap(op, err)
		}
		events = append(events, e)
	}
	return errs.Wrap(op, s.DB.Write(ctx, func(tx *gorm.DB) error {
		a, err := lockAccount(tx, id)
		if err != nil || a.ID == 0 {
			return notThere(op, err)
		}
		now := s.now().UnixMilli()
		if a.EraseAt > 0 && a.EraseAt <= now { // what it had is on its way out: it must not come back to the rest
			return notThere(op, nil)
		}
		if c.role != "" {
			a.Role = c.role
		}
		if c.name != nil {
			a.Name = *c.name
		}
		if c.state != "" && c.state != a.state() {
			a.DisabledAt, a.EraseAt = 0, 0
			if c.state != active {
				a.DisabledAt = now
			}
			if c.state == deleted {
				a.EraseAt = s.now().Add(s.eraseAfter()).UnixMilli()
			}
		}
		if err := tx.Exec("UPDATE users SET role = ?, name = ?, disabled_at = ?, erase_at = ? WHERE id = ?",
			a.Role, a.Name, a.DisabledAt, a.EraseAt, id).Error; err != nil {
			return err
		}
		if err := anAdminIsLeft(tx, op); err != nil {
			return err
		}
		if a.DisabledAt > 0 {
			if err := s.endAll(tx, id, 0); err != nil {
				return err
			}
		}
		if a.EraseAt > 0 {
			if err := voidResets(tx, id); err != nil {
				return err
			}
		}
		for _, e := range events {
			if err := tx.Create(&e).Error; err != nil {
				return err
			}
		}
		return nil
	}))
}

// lockAccount reads an account that is about to be changed. All that change accounts in this way wait for one another:
// whether an administrator is left is not a matter of one row.
func lockAccount(tx *gorm.DB, id int64) (account, error) {
	if err := tx.Exec("UPDATE users SET role = role WHERE role = 'admin'").Error; err != nil {
		return account{}, err
	}
	return accountWhere(tx, "id = ?", id)
}

func anAdminIsLeft(tx *gorm.DB, op errs.Op) error {
	var n int64
	if err := tx.Raw("SELECT count(*) FROM users WHERE role = 'admin' AND disabled_at = 0").Scan(&n).Error; err != nil {
		return err
	}
	if n == 0 {
		return errs.E(errs.Conflict, op, errs.Code("last_admin"))
	}
	return nil
}

// signOut ends all sessions and keys of an account.
func (s *Service) signOut(ctx context.Context, id int64) error {
	const op = errs.Op("user.signOut")
	return errs.Wrap(op, s.recorded(ctx, "session.end-all", id, "with keys", func(tx *gorm.DB) error {
		a, err := accountWhere(tx, "id = ?", id)
		if err != nil || a.ID == 0 {
			return notThere(op, err)
		}
		if err := s.endAll(tx, id, 0); err != nil {
			return err
		}
		return s.revokeKeys(tx, id)
	}))
}
