package app

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/oauth"
	"github.com/livil/gopan/internal/oauth/github"
	"github.com/livil/gopan/internal/oauth/oidc"
	"github.com/livil/gopan/internal/pb/userpb"
	"github.com/livil/gopan/internal/rpc"
	"github.com/livil/gopan/internal/sms"
	"github.com/livil/gopan/internal/sms/console"
	"github.com/livil/gopan/internal/sms/tencent"
	"github.com/livil/gopan/internal/user"
)

func startUser(ctx context.Context, p *Process) error {
	s, err := p.accounts(ctx, secretOf)
	if err != nil {
		return err
	}
	if err := p.firstAdmin(ctx, s); err != nil {
		return err
	}
	p.serve(rpc.Service{Desc: &userpb.User_ServiceDesc, Impl: user.RPC{Service: s}},
		user.Routes(user.HTTP{Service: s, SecureCookies: p.secure()}))
	return nil
}

// secrets gives a secret that a file holds, or else a variable of the environment.
type secrets func(file, variable string) (string, error)

// accounts is the user role's service, with every way to sign in that is set up.
func (p *Process) accounts(ctx context.Context, secret secrets) (*user.Service, error) {
	d, err := p.database(ctx)
	if err != nil {
		return nil, err
	}
	store, err := p.values()
	if err != nil {
		return nil, err
	}
	key, err := p.folder.tokenKey()
	if err != nil {
		return nil, err
	}
	a := p.Config.Auth
	sender, err := p.smsSender(secret)
	if err != nil {
		return nil, fmt.Errorf("auth.sms: %w", err)
	}
	providers, err := siteList(a.Providers, secret)
	if err != nil {
		return nil, err
	}
	return &user.Service{
		DB: d, KV: store, Key: key, AccessLife: a.AccessLife, SessionLife: a.SessionLife, EraseAfter: a.EraseAfter,
		SMS: sender, Region: a.SMS.Country, Providers: providers, PublicURL: strings.TrimSuffix(p.Config.PublicURL, "/"),
		Limits: user.Limits(a.Limits),
	}, nil
}

// smsSender is who sends codes; nil: nobody.
func (p *Process) smsSender(secret secrets) (sms.Sender, error) {
	switch c := p.Config.Auth.SMS; c.Driver {
	case "console":
		return &console.Sender{Out: p.Out}, nil
	case "tencent":
		t := c.Tencent
		id, err := secret(t.SecretIDFile, "GOPAN_SMS_SECRET_ID")
		if err != nil {
			return nil, err
		}
		key, err := secret(t.SecretKeyFile, "GOPAN_SMS_SECRET_KEY")
		if err != nil {
			return nil, err
		}
		return tencent.New(tencent.Options{
			SecretID: id, SecretKey: key, Region: t.Region, Endpoint: t.Endpoint, AppID: t.AppID, Sign: t.Sign, Template: t.Template,
		})
	}
	return nil, nil
}

// siteList are the sites by whose accounts one can sign in. None of them is asked anything yet.
func siteList(list []config.Provider, secret secrets) (out []user.Provider, err error) {
	for _, c := range list {
		key, err := secret(c.ClientSecretFile, "GOPAN_PROVIDER_"+envName(c.Name)+"_SECRET")
		if err != nil {
			return nil, fmt.Errorf("auth.providers.%s: %w", c.Name, err)
		}
		var site oauth.Provider
		if c.Kind == "oidc" {
			site, err = oidc.New(oidc.Options{Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: key, Scopes: c.Scopes})
		} else {
			site, err = github.New(github.Options{BaseURL: c.BaseURL, ClientID: c.ClientID, ClientSecret: key, Scopes: c.Scopes})
		}
		if err != nil {
			return nil, fmt.Errorf("auth.providers.%s: %w", c.Name, err)
		}
		out = append(out, user.Provider{Name: c.Name, Title: c.Title, Register: c.Register, Provider: site})
	}
	return out, nil
}

// envName is a name of the settings as it stands in the names of environment variables.
func envName(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

// secretOf reads a secret from a file that nobody else can read, or else from the environment (promise S3).
func secretOf(file, variable string) (string, error) {
	if file != "" {
		return keyFile(file)
	}
	if v := os.Getenv(variable); v != "" {
		return v, nil
	}
	return "", fmt.Errorf("name a file with the secret, or set %s in the environment", variable)
}
