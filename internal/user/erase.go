package user

import (
	"context"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/userpb"
)

// deleteMe closes an account for its owner; it is erased when the grace period is over, and until then an
// administrator can bring it back.
func (s *Service) deleteMe(ctx context.Context, a account) error {
	return errs.Wrap("user.deleteMe", s.manage(ctx, a.ID, change{state: deleted}))
}

// departed is how many accounts are erased in one go.
const departed = 100

// Departed implements the RPC.
func (s *Service) Departed(ctx context.Context, _ *userpb.DepartedRequest) (*userpb.DepartedResponse, error) {
	out := new(userpb.DepartedResponse)
	err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT id FROM users WHERE erase_at > 0 AND erase_at <= ? ORDER BY erase_at LIMIT ?", s.now().UnixMilli(), departed).
			Scan(&out.UserIds).Error
	})
	return out, errs.Wrap("user.Departed", err)
}

// ownedTables hold what belongs to accounts alone, in the order in which it can go.
var ownedTables = []string{"identities", "recovery_codes", "passkeys", "access_keys", "user_group_members"}

// Erased implements the RPC. Of the account only its id stays, in the audit log.
func (s *Service) Erased(ctx context.Context, req *userpb.ErasedRequest) (*userpb.ErasedResponse, error) {
	const op = errs.Op("user.Erased")
	id := req.GetUserId()
	a, err := s.account(ctx, "id = ?", id)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if a.ID == 0 {
		return &userpb.ErasedResponse{}, nil
	}
	err = s.recorded(ctx, "user.erase", id, "", func(tx *gorm.DB) error {
		a, err := accountWhere(tx, "id = ? AND erase_at > 0 AND erase_at <= ?", id, s.now().UnixMilli())
		if err != nil {
			return err
		}
		if a.ID == 0 {
			return errs.E(errs.Conflict, op, "it was brought back")
		}
		if err := tx.Exec("DELETE FROM refresh_tokens WHERE session_id IN (SELECT id FROM sessions WHERE user_id = ?)", id).Error; err != nil {
			return err
		}
		for _, table := range append([]string{"sessions"}, ownedTables...) {
			if err := tx.Exec("DELETE FROM "+table+" WHERE user_id = ?", id).Error; err != nil {
				return err
			}
		}
		if err := tx.Exec("DELETE FROM one_time_links WHERE user_id = ?", id).Error; err != nil {
			return err
		}
		return tx.Exec("DELETE FROM users WHERE id = ?", id).Error
	})
	return &userpb.ErasedResponse{}, errs.Wrap(op, err)
}
