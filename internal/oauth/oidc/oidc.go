// Package oidc has any site that speaks OpenID Connect say who somebody is.
package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/oauth"
)

// Options say whom to ask, and as whom.
type Options struct {
	// Issuer is the site's URL, letter by letter as it calls itself.
	Issuer string
	// ClientID and ClientSecret that the site gave us; the latter is a secret.
	ClientID, ClientSecret string
	// Scopes to ask for; none: openid and profile. openid is asked for in any case.
	Scopes []string
	// Timeout of one AuthURL or Identity; 0: oauth.DefaultTimeout.
	Timeout time.Duration
}

// Provider is an oauth.Provider. A Subject is "ISSUER#sub": sites give out their subs without regard to one another, so
// that a Provider which one day is set up with another Issuer opens nobody's account.
//
// Login and Name come from the id token. The site's userinfo endpoint is not asked.
type Provider struct {
	o      Options
	site   *oauth.Site
	flight singleflight.Group
	found  atomic.Pointer[found]
}

// found is what a site says of itself.
type found struct {
	endpoint oauth2.Endpoint
	verifier *goidc.IDTokenVerifier
}

var _ oauth.Provider = (*Provider)(nil)

// New makes a Provider. The site is asked about itself when somebody first comes, and again until it has said it: it may
// be down when the drive starts.
func New(o Options) (*Provider, error) {
	const op = errs.Op("oidc.New")
	if err := oauth.CheckClient(op, o.ClientID, o.ClientSecret); err != nil {
		return nil, err
	}
	_, err := oauth.ParseURL(o.Issuer)
	if err == nil && strings.ContainsAny(o.Issuer, "?#") {
		err = errors.New("an issuer has neither query nor fragment")
	}
	if err != nil {
		return nil, errs.E(errs.Invalid, op, errs.Field("issuer"), err)
	}
	if len(o.Scopes) == 0 {
		o.Scopes = []string{goidc.ScopeProfile}
	}
	if !slices.Contains(o.Scopes, goidc.ScopeOpenID) {
		o.Scopes = append([]string{goidc.ScopeOpenID}, o.Scopes...)
	}
	return &Provider{o: o, site: oauth.NewSite(o.Timeout)}, nil
}

// discover gives what the site says of itself. Those who come while it is being asked wait for the same answer; what
// failed is asked again by the next.
func (p *Provider) discover(ctx context.Context) (*found, error) {
	const op = errs.Op("oidc.discover")
	if f := p.found.Load(); f != nil {
		return f, nil
	}
	select {
	case r := <-p.flight.DoChan("", func() (any, error) {
		// Not the context of whoever came first: others wait, too.
		ctx, cancel := p.site.Begin(context.WithoutCancel(ctx))
		defer cancel()
		f, err := p.ask(ctx)
		if err == nil {
			p.found.Store(f)
		}
		return f, err
	}):
		f, _ := r.Val.(*found)
		return f, errs.Wrap(op, r.Err)
	case <-ctx.Done():
		return nil, oauth.Failed(ctx, op, "does not answer", nil)
	}
}

// ask reads the site's own description: https://openid.net/specs/openid-connect-discovery-1_0.html
func (p *Provider) ask(ctx context.Context) (*found, error) {
	const op = errs.Op("oidc.ask")
	site, err := goidc.NewProvider(ctx, p.o.Issuer)
	var other *goidc.IssuerMismatchError
	if errors.As(err, &other) {
		return nil, oauth.Failed(ctx, op, "calls itself by another name than the setting issuer", nil)
	}
	if err != nil {
		return nil, oauth.Failed(ctx, op, "does not describe itself", err)
	}
	var says struct {
		Keys    string   `json:"jwks_uri"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := site.Claims(&says); err != nil {
		return nil, oauth.Failed(ctx, op, "does not describe itself", nil)
	}
	f := &found{endpoint: site.Endpoint(), verifier: site.Verifier(&goidc.Config{ClientID: p.o.ClientID})}
	for _, address := range []string{f.endpoint.AuthURL, f.endpoint.TokenURL, says.Keys} {
		u, err := oauth.ParseURL(address)
		if err != nil || u.Scheme == "http" && strings.HasPrefix(p.o.Issuer, "https:") {
			return nil, oauth.Failed(ctx, op, "names an address that secrets cannot go to", nil)
		}
	}
	f.endpoint.AuthStyle = oauth2.AuthStyleInHeader // what sites know that say nothing of it
	if len(says.Methods) > 0 && !slices.Contains(says.Methods, "client_secret_basic") {
		f.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return f, nil
}

// to gives the settings for those who come back to callback.
func (p *Provider) to(f *found, callback string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.o.ClientID, ClientSecret: p.o.ClientSecret, Endpoint: f.endpoint, Scopes: p.o.Scopes, RedirectURL: callback,
	}
}

// AuthURL implements oauth.Provider.
func (p *Provider) AuthURL(ctx context.Context, state, nonce, verifier, callback string) (string, error) {
	const op = errs.Op("oidc.AuthURL")
	if nonce == "" {
		return "", errs.E(errs.Internal, op, errors.New("no nonce"))
	}
	ctx, cancel := p.site.Begin(ctx)
	defer cancel()
	f, err := p.discover(ctx)
	if err != nil {
		return "", errs.Wrap(op, err)
	}
	return oauth.AuthURL(op, p.to(f, callback), state, verifier, goidc.Nonce(nonce))
}

// Identity implements oauth.Provider.
func (p *Provider) Identity(ctx context.Context, code, nonce, verifier, callback string) (oauth.Identity, error) {
	const op = errs.Op("oidc.Identity")
	if nonce == "" {
		return oauth.Identity{}, errs.E(errs.Internal, op, errors.New("no nonce"))
	}
	ctx, cancel := p.site.Begin(ctx)
	defer cancel()
	f, err := p.discover(ctx)
	if err != nil {
		return oauth.Identity{}, errs.Wrap(op, err)
	}
	token, err := oauth.Exchange(ctx, op, p.to(f, callback), code, verifier)
	if err != nil {
		return oauth.Identity{}, err
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return oauth.Identity{}, oauth.Failed(ctx, op, "gives no id token", nil)
	}
	id, err := f.verifier.Verify(ctx, raw)
	if err != nil {
		return oauth.Identity{}, oauth.Failed(ctx, op, "gives an id token that does not hold: "+fault(err), nil)
	}
	return p.identity(ctx, id, nonce)
}

// identity reads an id token that is signed, in time, by the issuer and for us, and sees that it is of this sign-in.
// https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
func (p *Provider) identity(ctx context.Context, id *goidc.IDToken, nonce string) (oauth.Identity, error) {
	const op = errs.Op("oidc.identity")
	var who struct {
		Party any `json:"azp"`
		// Sites put all sorts of things here; none keeps anybody from coming in.
		Login any `json:"preferred_username"`
		Name  any `json:"name"`
	}
	if err := id.Claims(&who); err != nil {
		return oauth.Identity{}, oauth.Failed(ctx, op, "gives an id token that cannot be read", nil)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1 {
		return oauth.Identity{}, errs.E(errs.Unauthenticated, op, errs.Code("provider_refused"), errors.New("the id token is of another sign-in: nonce"))
	}
	if who.Party != nil && who.Party != p.o.ClientID || who.Party == nil && len(id.Audience) > 1 {
		return oauth.Identity{}, oauth.Failed(ctx, op, "gives an id token that does not hold: authorized party", nil)
	}
	subject := p.o.Issuer + "#" + id.Subject
	if id.Subject == "" || !plain(subject) {
		return oauth.Identity{}, oauth.Failed(ctx, op, "gives an id token without a usable subject", nil)
	}
	login, _ := who.Login.(string)
	name, _ := who.Name.(string)
	return oauth.Identity{Subject: subject, Login: login, Name: name}, nil
}

// plain tells whether a subject has up to 255 characters of ASCII, as the standard wants of a sub, all of which show:
// two that look the same are the same to a database, too.
func plain(subject string) bool {
	return len(subject) <= 255 && !strings.ContainsFunc(subject, func(r rune) bool { return r <= ' ' || r > '~' })
}

// fault is what of an id token does not hold, in words of ours: go-oidc's repeat the token.
func fault(err error) string {
	var expired *goidc.TokenExpiredError
	if errors.As(err, &expired) {
		return "expired; if it should not be, compare the clocks"
	}
	for _, f := range []struct{ theirs, ours string }{
		{"issued by a different provider", "issuer"},
		{"expected audience", "audience"},
		{"not before", "not yet valid; compare the clocks"},
		{"fetching keys", "the site does not give its keys"},
		{"verify signature", "signature"},
		{"malformed jwt", "algorithm or form"},
	} {
		if strings.Contains(err.Error(), f.theirs) {
			return f.ours
		}
	}
	return "form"
}
