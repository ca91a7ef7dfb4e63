package filemeta

import (
	"context"
	"fmt"
	"strconv"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/userpb"
)

// account finds an account by its id in a request, and its login.
func (s *Service) account(ctx context.Context, id string) (UserID, string, error) {
	const op = errs.Op("filemeta.account")
	n, err := parseID(id)
	if err != nil {
		return 0, "", errs.Wrap(op, err)
	}
	known, err := s.Users.Logins(ctx, &userpb.LoginsRequest{UserIds: []int64{int64(n)}})
	if err != nil {
		return 0, "", errs.Wrap(op, err)
	}
	login, ok := known.GetLogins()[int64(n)]
	if !ok {
		return 0, "", errs.E(errs.NotFound, op)
	}
	return UserID(n), login, nil
}

func (u use) show(login string) DriveUse {
	return DriveUse{
		UserID: strconv.FormatInt(int64(u.OwnerID), 10), Login: login, Quota: u.Quota, Used: u.Used, Reserved: u.Reserved, Files: u.files,
	}
}

// GetDriveOf implements API.
func (h HTTP) GetDriveOf(ctx context.Context, req *DriveOfRequest) (*DriveUse, error) {
	user, login, err := h.account(ctx, req.UserID)
	if err != nil {
		return nil, err
	}
	u, err := h.useOf(ctx, user)
	if err != nil {
		return nil, err
	}
	out := u.show(login)
	return &out, nil
}

// SetQuota implements API.
func (h HTTP) SetQuota(ctx context.Context, req *SetQuotaRequest) (*DriveUse, error) {
	by, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	user, _, err := h.account(ctx, req.UserID)
	if err != nil {
		return nil, err
	}
	if err := h.setQuota(ctx, by, user, req.Quota); err != nil {
		return nil, err
	}
	return h.GetDriveOf(ctx, &DriveOfRequest{UserID: req.UserID})
}

// ListStorage implements API.
func (h HTTP) ListStorage(ctx context.Context, req *StorageRequest) (*StoragePage, error) {
	const op = errs.Op("filemeta.ListStorage")
	var after mark
	out := new(StoragePage)
	if req.Cursor == "" {
		total, err := h.stored(ctx)
		if err != nil {
			return nil, err
		}
		out.Total = &total
	} else if n, err := fmt.Sscanf(req.Cursor, "%d.%d", &after.used, &after.id); n != 2 || err != nil || after.id <= 0 {
		return nil, errs.E(errs.Invalid, op, errs.Code("bad_cursor"), errs.Field("cursor"))
	}
	list, err := h.storage(ctx, after, req.Limit+1)
	if err != nil {
		return nil, err
	}
	if len(list) > req.Limit {
		list = list[:req.Limit]
		last := list[len(list)-1]
		out.NextCursor = fmt.Sprintf("%d.%d", last.Used, last.ID)
	}
	ids := make([]int64, len(list))
	for i, u := range list {
		ids[i] = int64(u.OwnerID)
	}
	known, err := h.Users.Logins(ctx, &userpb.LoginsRequest{UserIds: ids})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	out.Items = make([]DriveUse, len(list))
	for i, u := range list {
		out.Items[i] = u.show(known.GetLogins()[int64(u.OwnerID)])
	}
	return out, nil
}
