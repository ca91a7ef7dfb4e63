package user

import (
	"context"
	"net/http"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/oauth"
	"github.com/livil/gopan/internal/sms"
)

// accountOf is an account as its owner sees it.
func (h HTTP) accountOf(ctx context.Context, a account) (*Account, error) {
	out := &Account{
		ID: decimal(a.ID), Login: a.Login, Name: a.Name, Role: a.Role, HasPassword: a.PasswordHash != "", TOTP: a.TOTPOn > 0,
		CreatedAt: millis(a.CreatedAt),
	}
	if a.Phone != nil {
		out.Phone = sms.Phone(*a.Phone).Masked()
	}
	err := h.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT count(*) FROM recovery_codes WHERE user_id = ?", a.ID).Scan(&out.RecoveryCodes).Error
	})
	return out, err
}

// UpdateMe implements API.
func (h HTTP) UpdateMe(ctx context.Context, req *UpdateAccountRequest) (*Account, error) {
	a, _, err := h.me(ctx)
	if err != nil {
		return nil, err
	}
	if req.Login != "" || req.Name != nil {
		if err := h.updateAccount(ctx, a, req.Login, req.Name); err != nil {
			return nil, err
		}
	}
	return h.Me(ctx)
}

// DeleteMe implements API.
func (h HTTP) DeleteMe(ctx context.Context, req *SureRequest) error {
	a, _, err := h.sure(ctx, req.CurrentPassword)
	if err != nil {
		return err
	}
	return h.deleteMe(ctx, a)
}

// SetPassword implements API.
func (h HTTP) SetPassword(ctx context.Context, req *PasswordRequest) error {
	a, p, err := h.sure(ctx, req.CurrentPassword)
	if err != nil {
		return err
	}
	return h.setPassword(ctx, a, req.Password, p.SessionID)
}

// SendPhoneCode implements API.
func (h HTTP) SendPhoneCode(ctx context.Context, req *CodeRequest) (*SentCode, error) {
	p, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	to, err := h.phone(req.Phone)
	if err != nil {
		return nil, err
	}
	return sentCode(h.sendCode(ctx, to, phoneCode(p.UserID)))
}

// SetPhone implements API.
func (h HTTP) SetPhone(ctx context.Context, req *PhoneRequest) (*Account, error) {
	to, err := h.phone(req.Phone)
	if err != nil {
		return nil, err
	}
	a, _, err := h.sure(ctx, req.CurrentPassword)
	if err != nil {
		return nil, err
	}
	shown, err := h.showCode(ctx, to, phoneCode(a.ID), req.RequestID, req.Code)
	if err != nil {
		return nil, err
	}
	if err := shown.take(ctx); err != nil {
		return nil, err
	}
	if err := h.setPhone(ctx, a, to); err != nil {
		return nil, err
	}
	return h.Me(ctx)
}

// BeginTOTP implements API.
func (h HTTP) BeginTOTP(ctx context.Context, req *SureRequest) (*TOTPSecret, error) {
	a, _, err := h.sure(ctx, req.CurrentPassword)
	if err != nil {
		return nil, err
	}
	key, err := h.beginTOTP(ctx, a, "Gopan")
	if err != nil {
		return nil, err
	}
	picture, err := qr(key)
	return &TOTPSecret{Secret: key.Secret(), URI: key.URL(), QR: picture}, err
}

// ConfirmTOTP implements API.
func (h HTTP) ConfirmTOTP(ctx context.Context, req *TOTPRequest) (*RecoveryCodes, error) {
	a, _, err := h.me(ctx)
	if err != nil {
		return nil, err
	}
	codes, err := h.confirmTOTP(ctx, a, req.TOTP)
	return &RecoveryCodes{Codes: codes}, err
}

// EndTOTP implements API.
func (h HTTP) EndTOTP(ctx context.Context, req *SureRequest) error {
	a, _, err := h.sure(ctx, req.CurrentPassword)
	if err != nil {
		return err
	}
	return h.endTOTP(ctx, a.ID)
}

// NewRecoveryCodes implements API.
func (h HTTP) NewRecoveryCodes(ctx context.Context, req *SureRequest) (*RecoveryCodes, error) {
	a, _, err := h.sure(ctx, req.CurrentPassword)
	if err != nil {
		return nil, err
	}
	codes, err := h.renewRecoveryCodes(ctx, a)
	return &RecoveryCodes{Codes: codes}, err
}

func passkeyOf(p passkey) Passkey {
	return Passkey{ID: decimal(p.ID), Name: p.Name, CreatedAt: millis(p.CreatedAt), UsedAt: millis(p.UsedAt)}
}

// ListPasskeys implements API.
func (h HTTP) ListPasskeys(ctx context.Context) (*PasskeyList, error) {
	p, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := h.passkeys(ctx, p.UserID)
	return &PasskeyList{Items: list(rows, passkeyOf)}, err
}

// BeginPasskey implements API.
func (h HTTP) BeginPasskey(ctx context.Context, req *SureRequest) (*Ceremony, error) {
	a, _, err := h.sure(ctx, req.CurrentPassword)
	if err != nil {
		return nil, err
	}
	id, options, err := h.beginPasskey(ctx, a)
	return &Ceremony{ID: id, Options: options}, err
}

// AddPasskey implements API.
func (h HTTP) AddPasskey(ctx context.Context, req *AddPasskeyRequest) (*Passkey, error) {
	a, _, err := h.me(ctx)
	if err != nil {
		return nil, err
	}
	p, err := h.addPasskey(ctx, a, req.Ceremony, req.Name, req.Passkey)
	shown := passkeyOf(p)
	return &shown, err
}

// RenamePasskey implements API.
func (h HTTP) RenamePasskey(ctx context.Context, req *NameRequest) error {
	p, id, err := mine(ctx, req.ID)
	if err != nil {
		return err
	}
	return h.renamePasskey(ctx, p.UserID, id, req.Name)
}

// mine gives who asks, and the number of what it is about.
func mine(ctx context.Context, id string) (auth.Principal, int64, error) {
	p, err := auth.From(ctx)
	if err != nil {
		return p, 0, err
	}
	n, err := number(id)
	return p, n, err
}

// RemovePasskey implements API.
func (h HTTP) RemovePasskey(ctx context.Context, req *IDRequest) error {
	p, id, err := mine(ctx, req.ID)
	if err != nil {
		return err
	}
	return h.removePasskey(ctx, p.UserID, id)
}

// sessionOf shows a session; current is the one that asks.
func sessionOf(current int64) func(session) Session {
	return func(ses session) Session {
		kind, agent := ses.kind()
		return Session{
			ID: decimal(ses.ID), Name: ses.Name, Kind: kind, Agent: agent, Address: ses.Address, CreatedAt: millis(ses.CreatedAt),
			SeenAt: millis(max(ses.SeenAt, ses.CreatedAt)), ExpiresAt: millis(ses.ExpiresAt), Current: ses.ID == current,
		}
	}
}

// ListSessions implements API.
func (h HTTP) ListSessions(ctx context.Context) (*SessionList, error) {
	p, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := h.sessions(ctx, p.UserID)
	return &SessionList{Items: list(rows, sessionOf(p.SessionID))}, err
}

// NameSession implements API.
func (h HTTP) NameSession(ctx context.Context, req *NameRequest) error {
	p, id, err := mine(ctx, req.ID)
	if err != nil {
		return err
	}
	return h.nameSession(ctx, p.UserID, id, req.Name)
}

// EndSession implements API.
func (h HTTP) EndSession(ctx context.Context, req *IDRequest) error {
	p, id, err := mine(ctx, req.ID)
	if err != nil {
		return err
	}
	return h.end(ctx, p.UserID, id)
}

// EndOtherSessions implements API.
func (h HTTP) EndOtherSessions(ctx context.Context) error {
	p, err := auth.From(ctx)
	if err != nil {
		return err
	}
	return h.recorded(ctx, "session.end-others", p.UserID, "", func(tx *gorm.DB) error { return h.endAll(tx, p.UserID, p.SessionID) })
}

func keyOf(k accessKey) AccessKey {
	out := AccessKey{
		ID: decimal(k.ID), Name: k.Name, Kind: k.Kind, ReadOnly: k.ReadOnly, CreatedAt: millis(k.CreatedAt), ExpiresAt: millis(k.ExpiresAt),
		UsedAt: millis(k.UsedAt),
	}
	if k.FolderID != 0 {
		out.FolderID = decimal(k.FolderID)
	}
	return out
}

// ListKeys implements API.
func (h HTTP) ListKeys(ctx context.Context) (*AccessKeyList, error) {
	p, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := h.keys(ctx, p.UserID)
	return &AccessKeyList{Items: list(rows, keyOf)}, err
}

// CreateKey implements API.
func (h HTTP) CreateKey(ctx context.Context, req *CreateAccessKeyRequest) (*NewAccessKey, error) {
	k := accessKey{Kind: req.Kind, Name: req.Name, ReadOnly: req.ReadOnly}
	if req.FolderID != "" {
		id, err := number(req.FolderID)
		if err != nil {
			return nil, errs.E(errs.Invalid, "user.CreateKey", errs.Code("bad_field"), errs.Field("folderId"))
		}
		k.FolderID = id
	}
	a, _, err := h.sure(ctx, req.CurrentPassword)
	if err != nil {
		return nil, err
	}
	k.UserID = a.ID
	k, value, err := h.createKey(ctx, k, time.Duration(req.ExpiresIn)*day)
	return &NewAccessKey{Key: keyOf(k), Secret: value}, err
}

// RevokeKey implements API.
func (h HTTP) RevokeKey(ctx context.Context, req *IDRequest) error {
	p, id, err := mine(ctx, req.ID)
	if err != nil {
		return err
	}
	return h.revokeKey(ctx, p.UserID, id)
}

func (h HTTP) identityOf(i identity) Identity {
	out := Identity{Provider: i.Provider, Title: i.Provider, Login: i.Login, LinkedAt: millis(i.LinkedAt)}
	if p, err := h.provider(i.Provider); err == nil {
		out.Title = p.Title
	}
	return out
}

// ListIdentities implements API.
func (h HTTP) ListIdentities(ctx context.Context) (*IdentityList, error) {
	p, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := h.identities(ctx, p.UserID)
	return &IdentityList{Items: list(rows, h.identityOf)}, err
}

// UnlinkIdentity implements API.
func (h HTTP) UnlinkIdentity(ctx context.Context, req *ProviderRequest) error {
	p, err := auth.From(ctx)
	if err != nil {
		return err
	}
	return h.unlink(ctx, p.UserID, req.Provider)
}

// ListMyEvents implements API.
func (h HTTP) ListMyEvents(ctx context.Context, req *EventsRequest) (*EventPage, error) {
	p, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	own := *req
	own.UserID = decimal(p.UserID)
	page, err := h.eventPage(ctx, &own)
	if err != nil {
		return nil, err
	}
	for i := range page.Items {
		page.Items[i] = forOwner(page.Items[i], own.UserID)
	}
	return page, nil
}

// ExportMe implements API.
func (h HTTP) ExportMe(w http.ResponseWriter, r *http.Request) error {
	p, err := auth.From(r.Context())
	if err != nil {
		return err
	}
	return h.export(w, r, p.UserID, forOwner)
}

// finishLink links what somebody came back with to the account of the session that had sent them, if that still lives.
func (h HTTP) finishLink(ctx context.Context, j journey, who oauth.Identity) error {
	const op = errs.Op("user.finishLink")
	var ses session
	err := h.DB.Read(ctx, func(tx *gorm.DB) (err error) {
		ses, _, err = liveSession(tx, h.now().UnixMilli(), "sessions.id = ?", j.SessionID)
		return err
	})
	if err != nil {
		return errs.Wrap(op, err)
	}
	if ses.ID == 0 || ses.UserID != j.UserID {
		return errs.E(errs.Unauthenticated, op)
	}
	return h.link(ctx, j.UserID, j.Provider, who)
}
