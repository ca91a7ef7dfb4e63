package user

import (
	"context"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
)

// Ways to sign in, beside the names of providers.
const (
	byPassword = "password"
	byPhone    = "sms"
	byPasskeys = "passkey"
)

// method is a way to sign in.
type method struct {
	name, title string
	// ready: the settings have what it needs. on: no administrator has turned it off.
	ready, on bool
}

// methods are all ways to sign in that this installation knows.
func (s *Service) methods(ctx context.Context) ([]method, error) {
	const op = errs.Op("user.methods")
	var off []string
	if err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT name FROM account_policy WHERE name LIKE 'off.%'").Scan(&off).Error
	}); err != nil {
		return nil, errs.Wrap(op, err)
	}
	isOff := make(map[string]bool)
	for _, name := range off {
		isOff[name] = true
	}
	_, err := s.relyingParty(ctx)
	all := []method{{name: byPassword, ready: true}, {name: byPhone, ready: s.SMS != nil}, {name: byPasskeys, ready: err == nil}}
	for _, p := range s.Providers {
		all = append(all, method{name: p.Name, title: p.Title, ready: true})
	}
	for i := range all {
		all[i].on = !isOff[offRow(all[i].name)]
	}
	return all, nil
}

// offRow is the name of the row of account_policy that turns a way off.
func offRow(name string) string { return "off." + name }

// offered fails when an administrator has turned a way to sign in off.
func (s *Service) offered(ctx context.Context, name string) error {
	const op = errs.Op("user.offered")
	var n int64
	err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT count(*) FROM account_policy WHERE name = ?", offRow(name)).Scan(&n).Error
	})
	if err == nil && n > 0 {
		err = errs.E(errs.Denied, op, errs.Code("method_off"))
	}
	return errs.Wrap(op, err)
}

// turn turns a way to sign in on or off, from now on.
func (s *Service) turn(ctx context.Context, name string, on bool) error {
	const op = errs.Op("user.turn")
	all, err := s.methods(ctx)
	if err != nil {
		return errs.Wrap(op, err)
	}
	for _, m := range all {
		if m.name != name {
			continue
		}
		if m.on == on {
			return nil
		}
		how := name + " off"
		if on {
			how = name + " on"
		}
		err := s.recorded(ctx, "policy.method", 0, how, func(tx *gorm.DB) error {
			if err := tx.Exec("DELETE FROM account_policy WHERE name = ?", offRow(name)).Error; err != nil || on {
				return err
			}
			return tx.Exec("INSERT INTO account_policy (name, value) VALUES (?, 'off')", offRow(name)).Error
		})
		if db.Taken(err) {
			err = nil // another administrator did so at this moment
		}
		return errs.Wrap(op, err)
	}
	return errs.E(errs.NotFound, op)
}
