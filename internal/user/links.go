package user

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
)

// What a link can be for.
const (
	forInvite = "invite"
	forReset  = "reset"
)

// resetLife is how long a person has to set a password by a link.
const resetLife = 24 * time.Hour

// oneTimeLink is a row of one_time_links. The token itself is told once; it stands after the # of a page's address,
// which browsers send to no server, and goes to this role in a body.
type oneTimeLink struct {
	ID      int64 `gorm:"primaryKey;autoIncrement:false"`
	Hash    []byte
	Purpose string
	// UserID is whose password is set; for an invitation the account that came of it, 0 before.
	UserID    int64
	Role      string
	Note      string
	CreatedAt int64
	ExpiresAt int64
	UsedAt    int64
}

// TableName implements gorm's Tabler.
func (oneTimeLink) TableName() string { return "one_time_links" }

// welcome is the page that a link opens.
func welcome(token string) string { return "/welcome#" + token }

// newLink makes a link, and what is told of it in the audit log.
func (s *Service) newLink(ctx context.Context, l oneTimeLink, life time.Duration) (oneTimeLink, string, event, error) {
	id, err := s.newID(ctx)
	if err != nil {
		return l, "", event{}, err
	}
	e, err := s.about(ctx, "link."+l.Purpose, l.UserID, l.Note)
	token, hash := secret()
	l.ID, l.Hash, l.CreatedAt, l.ExpiresAt = id, hash, s.now().UnixMilli(), s.now().Add(life).UnixMilli()
	return l, token, e, err
}

// invite makes an invitation.
func (s *Service) invite(ctx context.Context, role, note string, life time.Duration) (oneTimeLink, string, error) {
	const op = errs.Op("user.invite")
	l, token, e, err := s.newLink(ctx, oneTimeLink{Purpose: forInvite, Role: role, Note: note}, life)
	if err != nil {
		return l, "", errs.Wrap(op, err)
	}
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := tx.Create(&l).Error; err != nil {
			return err
		}
		return tx.Create(&e).Error
	})
	return l, token, errs.Wrap(op, err)
}

// invites are those that are still good.
func (s *Service) invites(ctx context.Context) (list []oneTimeLink, err error) {
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT * FROM one_time_links WHERE purpose = 'invite' AND used_at = 0 AND expires_at > ? ORDER BY id DESC LIMIT 1000",
			s.now().UnixMilli()).Scan(&list).Error
	})
	return list, errs.Wrap("user.invites", err)
}

func (s *Service) withdraw(ctx context.Context, id int64) error {
	const op = errs.Op("user.withdraw")
	return errs.Wrap(op, s.recorded(ctx, "link.withdraw", 0, "invitation "+decimal(id), func(tx *gorm.DB) error {
		return touched(op, tx.Exec("DELETE FROM one_time_links WHERE id = ? AND purpose = 'invite' AND used_at = 0", id))
	}))
}

// resetLink makes a link by which the owner of an account sets a new password; those before it are void.
func (s *Service) resetLink(ctx context.Context, user int64) (oneTimeLink, string, error) {
	const op = errs.Op("user.resetLink")
	l, token, e, err := s.newLink(ctx, oneTimeLink{Purpose: forReset, UserID: user}, resetLife)
	if err != nil {
		return l, "", errs.Wrap(op, err)
	}
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		if a, err := accountWhere(tx, "id = ? AND erase_at = 0", user); err != nil || a.ID == 0 {
			return notThere(op, err)
		}
		if err := voidResets(tx, user); err != nil {
			return err
		}
		if err := tx.Create(&l).Error; err != nil {
			return err
		}
		return tx.Create(&e).Error
	})
	return l, token, errs.Wrap(op, err)
}

// voidResets makes the unused links void by which an account's password could be set.
func voidResets(tx *gorm.DB, user int64) error {
	return tx.Exec("DELETE FROM one_time_links WHERE user_id = ? AND purpose = 'reset' AND used_at = 0", user).Error
}

// liveLink finds a link that can still be used.
func (s *Service) liveLink(tx *gorm.DB, token, purpose string) (l oneTimeLink, err error) {
	bad := errs.E(errs.NotFound, "user.liveLink", errs.Code("bad_link"))
	err = tx.Raw("SELECT * FROM one_time_links WHERE hash = ? AND used_at = 0 AND expires_at > ?", hashOf(token), s.now().UnixMilli()).Scan(&l).Error
	if err == nil && (l.ID == 0 || purpose != "" && l.Purpose != purpose) {
		return oneTimeLink{}, bad
	}
	return l, err
}

// useLink uses a link up.
func (s *Service) useLink(tx *gorm.DB, l oneTimeLink, user int64) error {
	res := tx.Exec("UPDATE one_time_links SET used_at = ?, user_id = ? WHERE id = ? AND used_at = 0", s.now().UnixMilli(), user, l.ID)
	if res.Error == nil && res.RowsAffected != 1 {
		return errs.E(errs.NotFound, "user.useLink", errs.Code("bad_link"))
	}
	return res.Error
}

// openLink says what a link is good for, and whose password it sets.
func (s *Service) openLink(ctx context.Context, token string) (l oneTimeLink, login string, err error) {
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		if l, err = s.liveLink(tx, token, ""); err != nil || l.Purpose != forReset {
			return err
		}
		a, err := accountWhere(tx, "id = ?", l.UserID)
		login = a.Login
		return err
	})
	return l, login, errs.Wrap("user.openLink", err)
}

// resetPassword sets the password of the account that a link belongs to, and ends all its sessions. A second factor
// stays as it is.
func (s *Service) resetPassword(ctx context.Context, token, password string) error {
	const op = errs.Op("user.resetPassword")
	l, login, err := s.openLink(ctx, token)
	if err != nil {
		return errs.Wrap(op, err)
	}
	if l.Purpose != forReset {
		return errs.E(errs.NotFound, op, errs.Code("bad_link"))
	}
	hash, err := choosePassword(ctx, password, login)
	if err != nil {
		return errs.Wrap(op, err)
	}
	return errs.Wrap(op, s.recorded(ctx, "password.reset", l.UserID, "", func(tx *gorm.DB) error {
		if err := s.useLink(tx, l, l.UserID); err != nil {
			return err
		}
		if err := tx.Exec("UPDATE users SET password_hash = ? WHERE id = ?", hash, l.UserID).Error; err != nil {
			return err
		}
		return s.endAll(tx, l.UserID, 0)
	}))
}

// register makes an account for somebody who was invited, or for anybody where registration is open.
func (s *Service) register(ctx context.Context, invite, login, name, password string) (account, error) {
	const op = errs.Op("user.register")
	role, how := roleUser, "open"
	var l oneTimeLink
	if invite == "" {
		if err := s.mayRegister(ctx, "open"); err != nil {
			return account{}, errs.Wrap(op, err)
		}
		if err := s.offered(ctx, byPassword); err != nil {
			return account{}, errs.Wrap(op, err)
		}
		if err := s.atMost(ctx, s.key("register", address(ctx)), s.limits().AddressAccounts, time.Hour, "too_many"); err != nil {
			return account{}, errs.Wrap(op, err)
		}
	} else {
		// An invitation is an administrator's word: only a drive that takes nobody at all does not honour it.
		err := s.mayRegister(ctx, forInvite)
		if err == nil {
			l, _, err = s.openLink(ctx, invite)
		}
		if err == nil && l.Purpose != forInvite {
			err = errs.E(errs.NotFound, op, errs.Code("bad_link"))
		}
		if err != nil {
			return account{}, errs.Wrap(op, err)
		}
		role, how = l.Role, "invite"
	}
	hash, err := choosePassword(ctx, password, login, name)
	if err != nil {
		return account{}, errs.Wrap(op, err)
	}
	a, err := s.row(ctx, newAccount{Login: login, Name: name, Role: role, PasswordHash: hash})
	if err != nil {
		return account{}, errs.Wrap(op, err)
	}
	err = s.recorded(ctx, "user.create", a.ID, how, func(tx *gorm.DB) error {
		if l.ID != 0 {
			if err := s.useLink(tx, l, a.ID); err != nil {
				return err
			}
		}
		return insert(tx, a)
	})
	return a, errs.Wrap(op, err)
}
