package user

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/livil/gopan/internal/errs"
)

const day = 24 * time.Hour

func managedOf(m managed) ManagedUser {
	out := ManagedUser{
		ID: decimal(m.ID), Login: m.Login, Name: m.Name, Role: m.Role, HasPassword: m.PasswordHash != "", TOTP: m.TOTPOn > 0, State: m.state(),
		CreatedAt: millis(m.CreatedAt), SeenAt: millis(m.SeenAt), EraseAt: millis(m.EraseAt), GroupNames: m.groups,
	}
	if m.Phone != nil {
		out.Phone = *m.Phone
	}
	if out.GroupNames == nil {
		out.GroupNames = []string{}
	}
	return out
}

// ListUsers implements API.
func (h HTTP) ListUsers(ctx context.Context, req *UsersRequest) (*UserPage, error) {
	after, err := base64.RawURLEncoding.DecodeString(req.Cursor)
	if err != nil || !utf8.Valid(after) {
		return nil, errs.E(errs.Invalid, "user.ListUsers", errs.Code("bad_cursor"), errs.Field("cursor"))
	}
	if !utf8.ValidString(req.Query) {
		return nil, errs.E(errs.Invalid, "user.ListUsers", errs.Code("bad_field"), errs.Field("query"))
	}
	rows, err := h.accounts(ctx, req.Query, req.State, string(after), req.Limit+1)
	if err != nil {
		return nil, err
	}
	out := new(UserPage)
	if len(rows) > req.Limit {
		rows = rows[:req.Limit]
		out.NextCursor = base64.RawURLEncoding.EncodeToString([]byte(rows[len(rows)-1].Login))
	}
	out.Items = list(rows, managedOf)
	return out, nil
}

// CreateUser implements API.
func (h HTTP) CreateUser(ctx context.Context, req *CreateUserRequest) (*CreatedUser, error) {
	n := newAccount{Login: req.Login, Name: req.Name, Role: req.Role}
	if req.Phone != "" {
		var err error
		if n.Phone, err = h.phone(req.Phone); err != nil {
			return nil, err
		}
	}
	a, l, token, err := h.createManaged(ctx, n, req.Password)
	if err != nil {
		return nil, err
	}
	out := &CreatedUser{User: managedOf(managed{account: a})}
	if token != "" {
		out.Link, out.LinkExpiresAt = welcome(token), millis(l.ExpiresAt)
	}
	return out, nil
}

// GetUser implements API.
func (h HTTP) GetUser(ctx context.Context, req *IDRequest) (*ManagedUser, error) {
	id, err := number(req.ID)
	if err != nil {
		return nil, err
	}
	m, err := h.managed(ctx, id)
	shown := managedOf(m)
	return &shown, err
}

// ManageUser implements API.
func (h HTTP) ManageUser(ctx context.Context, req *ManageUserRequest) (*ManagedUser, error) {
	id, err := number(req.ID)
	if err != nil {
		return nil, err
	}
	if err := h.manage(ctx, id, change{role: req.Role, state: req.State, name: req.Name}); err != nil {
		return nil, err
	}
	return h.GetUser(ctx, &IDRequest{ID: req.ID})
}

// ResetUser implements API.
func (h HTTP) ResetUser(ctx context.Context, req *IDRequest) (*OneTimeLink, error) {
	id, err := number(req.ID)
	if err != nil {
		return nil, err
	}
	l, token, err := h.resetLink(ctx, id)
	return &OneTimeLink{Link: welcome(token), ExpiresAt: millis(l.ExpiresAt)}, err
}

// ClearUserTOTP implements API.
func (h HTTP) ClearUserTOTP(ctx context.Context, req *IDRequest) error {
	id, err := number(req.ID)
	if err != nil {
		return err
	}
	if _, err := h.managed(ctx, id); err != nil {
		return err
	}
	return h.endTOTP(ctx, id)
}

// EndUserSessions implements API.
func (h HTTP) EndUserSessions(ctx context.Context, req *IDRequest) error {
	id, err := number(req.ID)
	if err != nil {
		return err
	}
	return h.signOut(ctx, id)
}

// ExportUser implements API.
func (h HTTP) ExportUser(w http.ResponseWriter, r *http.Request) error {
	id, err := number(r.PathValue("id"))
	if err != nil {
		return err
	}
	return h.export(w, r, id, func(e AccountEvent, _ string) AccountEvent { return e })
}

func inviteOf(l oneTimeLink) Invite {
	return Invite{ID: decimal(l.ID), Role: l.Role, Note: l.Note, CreatedAt: millis(l.CreatedAt), ExpiresAt: millis(l.ExpiresAt)}
}

// ListInvites implements API.
func (h HTTP) ListInvites(ctx context.Context) (*InviteList, error) {
	rows, err := h.invites(ctx)
	return &InviteList{Items: list(rows, inviteOf)}, err
}

// CreateInvite implements API.
func (h HTTP) CreateInvite(ctx context.Context, req *CreateInviteRequest) (*NewInvite, error) {
	l, token, err := h.invite(ctx, req.Role, req.Note, time.Duration(req.ExpiresIn)*day)
	return &NewInvite{Invite: inviteOf(l), Link: welcome(token)}, err
}

// DeleteInvite implements API.
func (h HTTP) DeleteInvite(ctx context.Context, req *IDRequest) error {
	id, err := number(req.ID)
	if err != nil {
		return err
	}
	return h.withdraw(ctx, id)
}

func groupOf(g group, members []account) Group {
	return Group{ID: decimal(g.ID), Name: g.Name, Members: list(members, func(a account) User { return *userOf(a) })}
}

// ListGroups implements API.
func (h HTTP) ListGroups(ctx context.Context) (*GroupList, error) {
	rows, members, err := h.groups(ctx)
	return &GroupList{Items: list(rows, func(g group) Group { return groupOf(g, members[g.ID]) })}, err
}

// CreateGroup implements API.
func (h HTTP) CreateGroup(ctx context.Context, req *CreateGroupRequest) (*Group, error) {
	g, err := h.createGroup(ctx, req.Name)
	shown := groupOf(g, nil)
	return &shown, err
}

// RenameGroup implements API.
func (h HTTP) RenameGroup(ctx context.Context, req *NameRequest) error {
	id, err := number(req.ID)
	if err != nil {
		return err
	}
	return h.renameGroup(ctx, id, req.Name)
}

// DeleteGroup implements API.
func (h HTTP) DeleteGroup(ctx context.Context, req *IDRequest) error {
	id, err := number(req.ID)
	if err != nil {
		return err
	}
	return h.deleteGroup(ctx, id)
}

// AddMember implements API.
func (h HTTP) AddMember(ctx context.Context, req *MemberRequest) error {
	return h.member(ctx, req, h.addMember)
}

// RemoveMember implements API.
func (h HTTP) RemoveMember(ctx context.Context, req *MemberRequest) error {
	return h.member(ctx, req, h.removeMember)
}

func (h HTTP) member(ctx context.Context, req *MemberRequest, do func(context.Context, int64, int64) error) error {
	id, err := number(req.ID)
	if err != nil {
		return err
	}
	user, err := number(req.UserID)
	if err != nil {
		return err
	}
	return do(ctx, id, user)
}

// GetPolicy implements API.
func (h HTTP) GetPolicy(ctx context.Context) (*Policy, error) {
	p, err := h.registration(ctx)
	return &Policy{Registration: p}, err
}

// SetPolicy implements API.
func (h HTTP) SetPolicy(ctx context.Context, req *Policy) (*Policy, error) {
	return req, h.setRegistration(ctx, req.Registration)
}

// ListMethods implements API.
func (h HTTP) ListMethods(ctx context.Context) (*SignInMethodList, error) {
	all, err := h.methods(ctx)
	return &SignInMethodList{Items: list(all, func(m method) SignInMethod {
		return SignInMethod{Name: m.name, Title: m.title, Ready: m.ready, On: m.on}
	})}, err
}

// TurnMethod implements API.
func (h HTTP) TurnMethod(ctx context.Context, req *TurnMethodRequest) (*SignInMethodList, error) {
	if err := h.turn(ctx, req.Name, req.On); err != nil {
		return nil, err
	}
	return h.ListMethods(ctx)
}

// ListEvents implements API.
func (h HTTP) ListEvents(ctx context.Context, req *EventsRequest) (*EventPage, error) {
	return h.eventPage(ctx, req)
}
