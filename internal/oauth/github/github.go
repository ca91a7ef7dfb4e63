// Package github has GitHub, or a GitHub Enterprise server, say who somebody is.
package github

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/oauth"
)

// Options say whom to ask, and as whom.
type Options struct {
	// BaseURL of GitHub Enterprise; empty: github.com.
	BaseURL string
	// ClientID and ClientSecret of the OAuth app; the latter is a secret.
	ClientID, ClientSecret string
	// Scopes to ask for. Who somebody is needs none.
	Scopes []string
	// Timeout of one Identity; 0: oauth.DefaultTimeout.
	Timeout time.Duration
}

// Provider is an oauth.Provider. A Subject is the account's number in decimal; Login is its name at the moment, which
// its owner can change and another can then take.
type Provider struct {
	site *oauth.Site
	conf oauth2.Config
	user string // URL of the account that a token is for
}

var _ oauth.Provider = (*Provider)(nil)

// New makes a Provider; nothing is asked of the site before somebody comes.
func New(o Options) (*Provider, error) {
	const op = errs.Op("github.New")
	if err := oauth.CheckClient(op, o.ClientID, o.ClientSecret); err != nil {
		return nil, err
	}
	if o.BaseURL == "" {
		o.BaseURL = "https://github.com"
	}
	base, err := oauth.ParseURL(strings.TrimSuffix(o.BaseURL, "/"))
	if err == nil && base.RawQuery != "" {
		err = errors.New("an address of GitHub has no query")
	}
	if err != nil {
		return nil, errs.E(errs.Invalid, op, errs.Field("baseUrl"), err)
	}
	api := base.JoinPath("api", "v3")
	if host := strings.ToLower(base.Host); host == "github.com" || strings.HasSuffix(host, ".ghe.com") {
		u := *base
		u.Host = "api." + host
		api = &u
	}
	return &Provider{
		site: oauth.NewSite(o.Timeout),
		conf: oauth2.Config{
			ClientID: o.ClientID, ClientSecret: o.ClientSecret, Scopes: o.Scopes,
			Endpoint: oauth2.Endpoint{
				AuthURL:   base.JoinPath("login", "oauth", "authorize").String(),
				TokenURL:  base.JoinPath("login", "oauth", "access_token").String(),
				AuthStyle: oauth2.AuthStyleInParams,
			},
		},
		user: api.JoinPath("user").String(),
	}, nil
}

// to gives the settings for those who come back to callback.
func (p *Provider) to(callback string) *oauth2.Config {
	c := p.conf
	c.RedirectURL = callback
	return &c
}

// AuthURL implements oauth.Provider. GitHub knows no nonce: state and verifier have to do.
func (p *Provider) AuthURL(_ context.Context, state, _, verifier, callback string) (string, error) {
	return oauth.AuthURL("github.AuthURL", p.to(callback), state, verifier)
}

// Identity implements oauth.Provider.
func (p *Provider) Identity(ctx context.Context, code, _, verifier, callback string) (oauth.Identity, error) {
	const op = errs.Op("github.Identity")
	ctx, cancel := p.site.Begin(ctx)
	defer cancel()
	token, err := oauth.Exchange(ctx, op, p.to(callback), code, verifier)
	if err != nil {
		return oauth.Identity{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.user, nil)
	if err != nil {
		return oauth.Identity{}, errs.E(errs.Internal, op, err)
	}
	r.Header.Set("Accept", "application/vnd.github+json")
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	body, err := p.site.Do(op, r)
	if err != nil {
		return oauth.Identity{}, err
	}
	var who struct {
		ID    int64  `json:"id"`
		Login string `json:"login"`
		Name  string `json:"name"` // null where the account has none, which leaves it empty
	}
	if err := json.Unmarshal(body, &who); err != nil || who.ID <= 0 {
		return oauth.Identity{}, oauth.Failed(ctx, op, "does not describe an account", nil)
	}
	return oauth.Identity{Subject: strconv.FormatInt(who.ID, 10), Login: who.Login, Name: who.Name}, nil
}
