package github_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/oauth"
	"github.com/livil/gopan/internal/oauth/github"
	"github.com/livil/gopan/internal/oauth/oauthtest"
)

var suite = oauthtest.Suite{
	Site: oauthtest.NewGitHub,
	Open: func(base string, s *oauthtest.Server, timeout time.Duration) (oauth.Provider, error) {
		return github.New(github.Options{BaseURL: base, ClientID: s.ClientID, ClientSecret: s.ClientSecret, Timeout: timeout})
	},
	Subject: func(_ string, id int64) string { return strconv.FormatInt(id, 10) },
	Steps:   []oauthtest.Step{oauthtest.Token, oauthtest.User},
	Faults: map[oauthtest.Step]map[oauthtest.Fault]errs.Code{
		oauthtest.Token: {oauthtest.Refuse: "provider_refused", oauthtest.NoToken: "provider_unavailable"},
		oauthtest.User: {
			oauthtest.NoID: "provider_unavailable", oauthtest.ZeroID: "provider_unavailable", oauthtest.StringID: "provider_unavailable",
			oauthtest.FloatID: "provider_unavailable", oauthtest.NullName: "",
		},
	},
}

func TestProvider(t *testing.T) { suite.Run(t) }

// F47, B030: an account without any names is one like any other.
func TestNoNames(t *testing.T) {
	p := suite.Start(t).Patient(t)
	nobody := oauthtest.Person{ID: 7, Login: "ann", Name: "Ann", Step: oauthtest.User, Fault: oauthtest.NullName}
	if got, err := oauthtest.SignIn(t, p, nobody); got != (oauth.Identity{Subject: "7"}) || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	// What goes wrong with one sign-in goes wrong with no other.
	nobody.Fault = oauthtest.None
	if got, err := oauthtest.SignIn(t, p, nobody); got != (oauth.Identity{Subject: "7", Login: "ann", Name: "Ann"}) || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOptions(t *testing.T) {
	v := oauth2.GenerateVerifier()
	for base, want := range map[string]string{
		"":                              "https://github.com/login/oauth/authorize?",
		"https://github.example.org":    "https://github.example.org/login/oauth/authorize?",
		"https://example.org/github/":   "https://example.org/github/login/oauth/authorize?",
		"http://localhost:3000":         "http://localhost:3000/login/oauth/authorize?",
		"http://github.example.org":     "",
		"github.example.org":            "",
		"https://a:b@github.org":        "",
		"https://github.org/?x=1":       "",
		"https://:443":                  "",
		"ftp://github.org":              "",
		"http://127.0.0.1.example.org/": "",
	} {
		p, err := github.New(github.Options{BaseURL: base, ClientID: "id", ClientSecret: "secret", Scopes: []string{"read:user"}})
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v", base, err)
		}
		if err != nil {
			continue
		}
		page, err := p.AuthURL(t.Context(), "st", "", v, oauthtest.Callback)
		if err != nil || !strings.HasPrefix(page, want) || !strings.Contains(page, "scope=read%3Auser") {
			t.Errorf("%q: %s, %v", base, page, err)
		}
	}
	for _, o := range []github.Options{{}, {ClientID: "id"}, {ClientSecret: "secret"}} {
		if _, err := github.New(o); !errs.Is(errs.Invalid, err) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
