package user

import (
	"context"
	"slices"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
)

// Who may make an account, from the strictest: nobody, who was invited, who shows a phone or an account at another site
// of this installation's choice, anybody. Each allows what those before it do.
var policies = []string{"closed", "invite", "sms", "open"}

// defaultPolicy holds until an administrator decides.
const defaultPolicy = "sms"

// registration says who may make an account.
func (s *Service) registration(ctx context.Context) (string, error) {
	var row struct{ Value string }
	err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT value FROM account_policy WHERE name = 'registration'").Scan(&row).Error
	})
	if err == nil && row.Value == "" {
		row.Value = defaultPolicy
	}
	return row.Value, errs.Wrap("user.registration", err)
}

// mayRegister tells whether an account can be made this way.
func (s *Service) mayRegister(ctx context.Context, way string) error {
	const op = errs.Op("user.mayRegister")
	p, err := s.registration(ctx)
	if err != nil {
		return errs.Wrap(op, err)
	}
	if slices.Index(policies, p) < slices.Index(policies, way) {
		return errs.E(errs.Denied, op, errs.Code("registration_closed"))
	}
	return nil
}

func (s *Service) setRegistration(ctx context.Context, to string) error {
	return errs.Wrap("user.setRegistration", s.recorded(ctx, "policy.registration", 0, to, func(tx *gorm.DB) error {
		if err := tx.Exec("DELETE FROM account_policy WHERE name = 'registration'").Error; err != nil {
			return err
		}
		return tx.Exec("INSERT INTO account_policy (name, value) VALUES ('registration', ?)", to).Error
	}))
}
