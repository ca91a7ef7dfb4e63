package user

import (
	"context"

	"github.com/livil/gopan/internal/errs"
)

// bySMS gives the account of who shows a code; a phone without one gets one where registration allows it.
func (s *Service) bySMS(ctx context.Context, phone, code, requestID, totp string) (account, error) {
	const op = errs.Op("user.bySMS")
	if s.SMS == nil {
		return account{}, errs.E(errs.Denied, op, errs.Code("sms_off"))
	}
	if err := s.offered(ctx, byPhone); err != nil {
		return account{}, errs.Wrap(op, err)
	}
	to, err := s.phone(phone)
	if err != nil {
		return account{}, errs.Wrap(op, err)
	}
	try, err := s.attempt(ctx, "sms-signin", string(to)+" "+requestID)
	if err != nil {
		return account{}, errs.Wrap(op, err)
	}
	h, err := s.showCode(ctx, to, signInCode, requestID, code)
	if err != nil {
		if errs.CodeOf(err) == "bad_code" {
			if rerr := s.record(ctx, "signin.fail", 0, "sms "+to.Masked()); rerr != nil {
				err = rerr
			}
		}
		return account{}, errs.Wrap(op, err)
	}
	if err := try.succeeded(ctx); err != nil {
		return account{}, errs.Wrap(op, err)
	}
	a, err := s.account(ctx, "phone = ?", string(to))
	if err != nil {
		return account{}, errs.Wrap(op, err)
	}
	if a.ID != 0 {
		// The code is used up when nothing else is missing: it is sent again with the second factor.
		if err := s.secondFactor(ctx, a, totp); err != nil {
			if gerr := h.giveBack(ctx); gerr != nil {
				err = gerr
			}
			return account{}, errs.Wrap(op, err)
		}
	}
	if err := h.take(ctx); err != nil {
		return account{}, errs.Wrap(op, err)
	}
	if a.ID != 0 {
		return a, errs.Wrap(op, usable(a))
	}
	if err := s.mayRegister(ctx, "sms"); err != nil {
		return account{}, errs.Wrap(op, err)
	}
	a, err = s.create(ctx, newAccount{Role: roleUser, Phone: to}, "sms")
	return a, errs.Wrap(op, err)
}

// usable tells whether one can sign in to an account at all. Only who has proven to be its owner is told.
func usable(a account) error {
	if a.DisabledAt != 0 {
		return errs.E(errs.Denied, "user.usable", errs.Code("account_closed"))
	}
	return nil
}
