package user

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/zeromicro/go-zero/core/logx"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

func (h HTTP) tokens(ctx context.Context, a account, how string, err error) (*Tokens, error) {
	var t tokens
	if err == nil {
		t, err = h.openTokens(ctx, a, how)
	}
	return h.answer(t, err)
}

func (h HTTP) answer(t tokens, err error) (*Tokens, error) {
	if err != nil {
		return nil, err
	}
	return &Tokens{
		AccessToken: t.access, RefreshToken: t.refresh, ExpiresIn: int64(h.accessLife().Seconds()), User: *userOf(t.account),
	}, nil
}

// Login implements API.
func (h HTTP) Login(ctx context.Context, req *LoginRequest) (*Tokens, error) {
	a, err := h.signIn(ctx, req.Login, req.Password, req.TOTP, "")
	return h.tokens(ctx, a, "password", err)
}

// SmsLogin implements API.
func (h HTTP) SmsLogin(ctx context.Context, req *SMSLoginRequest) (*Tokens, error) {
	a, err := h.bySMS(ctx, req.Phone, req.Code, req.RequestID, req.TOTP)
	return h.tokens(ctx, a, "sms", err)
}

// Refresh implements API.
func (h HTTP) Refresh(ctx context.Context, req *RefreshRequest) (*Tokens, error) {
	return h.answer(h.refresh(ctx, req.RefreshToken))
}

// SignInMethods implements API.
func (h HTTP) SignInMethods(ctx context.Context) (*SignInMethods, error) {
	policy, err := h.registration(ctx)
	if err != nil {
		return nil, err
	}
	all, err := h.methods(ctx)
	if err != nil {
		return nil, err
	}
	out := &SignInMethods{Registration: policy, Providers: []SignInProvider{}}
	for _, m := range all {
		use := m.ready && m.on
		switch {
		case m.name == byPassword:
			out.Password = use
		case m.name == byPhone:
			out.SMS = use
		case m.name == byPasskeys:
			out.Passkeys = use
		case use:
			out.Providers = append(out.Providers, SignInProvider{Name: m.name, Title: m.title})
		}
	}
	return out, nil
}

func sentCode(requestID string, err error) (*SentCode, error) {
	if err != nil {
		return nil, err
	}
	return &SentCode{RequestID: requestID, ExpiresIn: int64(codeLife.Seconds()), RetryIn: int64(codePause.Seconds())}, nil
}

// SendCode implements API.
func (h HTTP) SendCode(ctx context.Context, req *CodeRequest) (*SentCode, error) {
	to, err := h.phone(req.Phone)
	if err != nil {
		return nil, err
	}
	return sentCode(h.sendCode(ctx, to, signInCode))
}

// BeginPasskeyLogin implements API.
func (h HTTP) BeginPasskeyLogin(ctx context.Context) (*Ceremony, error) {
	if err := h.atMost(ctx, h.key("passkey-from", address(ctx)), h.limits().AddressFailures, FailureWindow, "too_many"); err != nil {
		return nil, err
	}
	id, options, err := h.beginPasskeyLogin(ctx)
	return &Ceremony{ID: id, Options: options}, err
}

// Register implements API.
func (h HTTP) Register(ctx context.Context, req *RegisterRequest) (*User, error) {
	a, err := h.register(ctx, req.Invite, req.Login, req.Name, req.Password)
	return userOf(a), err
}

// OpenLink implements API.
func (h HTTP) OpenLink(ctx context.Context, req *LinkRequest) (*Link, error) {
	l, login, err := h.openLink(ctx, req.Token)
	return &Link{Purpose: l.Purpose, Login: login, ExpiresAt: millis(l.ExpiresAt)}, err
}

// ResetPassword implements API.
func (h HTTP) ResetPassword(ctx context.Context, req *ResetRequest) error {
	return h.resetPassword(ctx, req.Token, req.Password)
}

// OpenSession implements API.
func (h HTTP) OpenSession(w http.ResponseWriter, r *http.Request) error {
	if err := httpapi.SameOrigin(r); err != nil {
		return err
	}
	var req SessionRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	ctx := r.Context()
	var a account
	var err error
	how := "password"
	switch {
	case req.Passkey != "":
		how = "passkey"
		a, err = h.byPasskey(ctx, req.Ceremony, req.Passkey)
	case req.Phone != "" && req.Code == "":
		err = errs.E(errs.Invalid, "user.OpenSession", errs.Code("bad_field"), errs.Field("code"))
	case req.Phone != "":
		how = "sms"
		a, err = h.bySMS(ctx, req.Phone, req.Code, req.RequestID, req.TOTP)
	default:
		a, err = h.signIn(ctx, req.Login, req.Password, req.TOTP, cookieOf(r, deviceCookie))
	}
	if err == nil {
		err = h.enter(w, r, a, how)
	}
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, http.StatusOK, userOf(a))
}

// enter gives the browser a session.
func (h HTTP) enter(w http.ResponseWriter, r *http.Request, a account, how string) error {
	value, err := h.openCookie(r.Context(), a, how)
	if err != nil {
		return err
	}
	h.setCookie(w, r, cookie{name: auth.CookieName, path: "/", value: value, life: h.sessionLife()})
	if !h.knows(a, cookieOf(r, deviceCookie)) {
		h.setCookie(w, r, cookie{
			name: deviceCookie, path: "/api/v1/auth", value: h.deviceFor(a), life: 365 * 24 * time.Hour,
		})
	}
	return nil
}

// Logout implements API.
func (h HTTP) Logout(w http.ResponseWriter, r *http.Request) error {
	p, err := auth.From(r.Context())
	if err != nil {
		return err
	}
	if err := h.end(r.Context(), p.UserID, p.SessionID); err != nil && !errs.Is(errs.NotFound, err) {
		return err
	}
	if p.Cookie {
		h.setCookie(w, r, cookie{name: auth.CookieName, path: "/"})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// stateCookie holds what must come back from another site; Lax, since it is from there that the browser comes.
const stateCookie = "gopan_state"

func (h HTTP) setState(w http.ResponseWriter, r *http.Request, value string, life time.Duration) {
	h.setCookie(w, r, cookie{name: stateCookie, path: "/api/v1/auth/providers", value: value, life: life, fromElsewhere: true})
}

// StartProvider implements API.
func (h HTTP) StartProvider(w http.ResponseWriter, r *http.Request) error {
	var req ProviderStartRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	page, state, err := h.depart(r.Context(), req.Provider, req.Next, 0, 0)
	if err != nil {
		return back(w, r, "/signin", err)
	}
	h.setState(w, r, state, journeyLife)
	return redirect(w, r, page)
}

// LinkIdentity implements API.
func (h HTTP) LinkIdentity(w http.ResponseWriter, r *http.Request) error {
	var req LinkProviderRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	a, p, err := h.sure(r.Context(), req.CurrentPassword)
	if err != nil {
		return err
	}
	page, state, err := h.depart(r.Context(), req.Provider, "/account/security", p.SessionID, a.ID)
	if err != nil {
		return err
	}
	h.setState(w, r, state, journeyLife)
	return httpapi.WriteJSON(w, http.StatusOK, Redirect{URL: page})
}

// FinishProvider implements API.
func (h HTTP) FinishProvider(w http.ResponseWriter, r *http.Request) error {
	var req ProviderAnswerRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return back(w, r, "/signin", err)
	}
	h.setState(w, r, "", 0)
	j, who, err := h.arrive(r.Context(), req.Provider, req.State, cookieOf(r, stateCookie), req.Code, req.Error)
	if j.SessionID != 0 {
		if err == nil {
			err = h.finishLink(r.Context(), j, who)
		}
		if err != nil {
			return back(w, r, "/account/security", err)
		}
		return redirect(w, r, "/account/security?linked="+url.QueryEscape(req.Provider))
	}
	var a account
	if err == nil {
		a, err = h.byIdentity(r.Context(), req.Provider, who)
	}
	if err == nil {
		err = h.enter(w, r, a, req.Provider)
	}
	if err != nil {
		return back(w, r, "/signin", err)
	}
	return redirect(w, r, j.Next)
}

// redirect sends the browser on. Where to is nobody's to keep or to tell the next site.
func redirect(w http.ResponseWriter, _ *http.Request, to string) error {
	hd := w.Header()
	hd.Set("Location", to)
	hd.Set("Cache-Control", "no-store")
	hd.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// back tells a person in a browser what went wrong on a page of ours, and a program as any error.
func back(w http.ResponseWriter, r *http.Request, page string, err error) error {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") || errs.Is(errs.Internal, err) {
		return err
	}
	// Whoever serves routes logs errors, and sees none here.
	log := logx.Infow
	if errs.Is(errs.Busy, err) {
		log = logx.Errorw
	}
	log("no sign-in by another site", logx.Field("request", w.Header().Get("X-Request-Id")), logx.Field("error", err.Error()))
	return redirect(w, r, page+"?problem="+url.QueryEscape(string(errs.CodeOf(err))))
}
