package user

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/userpb"
)

// HTTP answers api/user.api.
type HTTP struct {
	*Service
	// SecureCookies marks cookies for HTTPS only. They are in any case when the request came by HTTPS.
	SecureCookies bool
}

var _ API = HTTP{}

// RPC answers api/user.proto.
type RPC struct {
	*Service
	later
}

// later answers methods that a newer caller may know; embedded one level down, it gives way to Service.
type later struct{ userpb.UnimplementedUserServer }

var _ userpb.UserServer = RPC{}

func userOf(id int64, login, role string) User {
	return User{ID: strconv.FormatInt(id, 10), Login: login, Role: role}
}

func (h HTTP) answer(t tokens, err error) (*Tokens, error) {
	if err != nil {
		return nil, err
	}
	return &Tokens{
		AccessToken: t.access, RefreshToken: t.refresh, ExpiresIn: int64(h.accessLife().Seconds()),
		User: userOf(t.account.ID, t.account.Login, t.account.Role),
	}, nil
}

// Login implements API.
func (h HTTP) Login(ctx context.Context, req *LoginRequest) (*Tokens, error) {
	return h.answer(h.login(ctx, req.Login, req.Password, "api"))
}

// Refresh implements API.
func (h HTTP) Refresh(ctx context.Context, req *RefreshRequest) (*Tokens, error) {
	return h.answer(h.refresh(ctx, req.RefreshToken))
}

// OpenSession implements API.
func (h HTTP) OpenSession(w http.ResponseWriter, r *http.Request) error {
	if err := httpapi.SameOrigin(r); err != nil {
		return err
	}
	var req LoginRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	value, life, a, err := h.openCookie(r.Context(), req.Login, req.Password, "browser")
	if err != nil {
		return err
	}
	http.SetCookie(w, h.cookie(r, value, int(life.Seconds())))
	return httpapi.WriteJSON(w, http.StatusOK, userOf(a.ID, a.Login, a.Role))
}

func (h HTTP) cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure wherever HTTPS is spoken; a drive at home may speak HTTP
		Name: auth.CookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: h.SecureCookies || r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://"),
	}
}

// Me implements API.
func (h HTTP) Me(ctx context.Context) (*User, error) {
	p, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	u := userOf(p.UserID, p.Login, p.Role)
	return &u, nil
}

// Logout implements API.
func (h HTTP) Logout(w http.ResponseWriter, r *http.Request) error {
	p, err := auth.From(r.Context())
	if err != nil {
		return err
	}
	if err := h.end(r.Context(), p.SessionID); err != nil {
		return err
	}
	if p.Cookie {
		http.SetCookie(w, h.cookie(r, "", -1))
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
