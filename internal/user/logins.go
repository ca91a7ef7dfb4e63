package user

import (
	"context"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/userpb"
)

// maxLogins that are asked for at once.
const maxLogins = 1000

// Logins implements the RPC.
func (s *Service) Logins(ctx context.Context, req *userpb.LoginsRequest) (*userpb.LoginsResponse, error) {
	const op = errs.Op("user.Logins")
	if len(req.GetUserIds()) > maxLogins {
		return nil, errs.E(errs.Invalid, op, errs.Field("user_ids"))
	}
	logins, err := s.logins(ctx, req.GetUserIds())
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return &userpb.LoginsResponse{Logins: logins}, nil
}
