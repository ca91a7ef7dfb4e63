package oidc_test

import (
	"context"
	"net"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/oauth"
	"github.com/livil/gopan/internal/oauth/oauthtest"
	"github.com/livil/gopan/internal/oauth/oidc"
)

var suite = oauthtest.Suite{
	Site: oauthtest.NewOIDC,
	Open: func(base string, s *oauthtest.Server, timeout time.Duration) (oauth.Provider, error) {
		return oidc.New(oidc.Options{Issuer: base, ClientID: s.ClientID, ClientSecret: s.ClientSecret, Timeout: timeout})
	},
	Subject: func(base string, id int64) string { return base + "#" + strconv.FormatInt(id, 10) },
	Steps:   []oauthtest.Step{oauthtest.Discovery, oauthtest.Token, oauthtest.Keys},
	Faults: map[oauthtest.Step]map[oauthtest.Fault]errs.Code{
		oauthtest.Discovery: {
			oauthtest.OtherIssuer: unavailable, oauthtest.PlainToken: unavailable, oauthtest.NoTokenURL: unavailable,
			oauthtest.ScriptedPage: unavailable,
		},
		oauthtest.Token: {
			oauthtest.Refuse: refused, oauthtest.WrongNonce: refused, oauthtest.NoNonce: refused,
			oauthtest.NoToken: unavailable, oauthtest.NoIDToken: unavailable, oauthtest.NotJWT: unavailable,
			oauthtest.WrongIssuer: unavailable, oauthtest.WrongAudience: unavailable, oauthtest.ExtraAudience: unavailable,
			oauthtest.OtherParty: unavailable, oauthtest.NoIssuer: unavailable, oauthtest.NoAudience: unavailable,
			oauthtest.NoExpiry: unavailable, oauthtest.Expired: unavailable, oauthtest.NotYet: unavailable,
			oauthtest.AlgNone: unavailable, oauthtest.NoSignature: unavailable, oauthtest.HS256Secret: unavailable,
			oauthtest.HS256Key: unavailable, oauthtest.OtherKey: unavailable, oauthtest.Changed: unavailable,
			oauthtest.NoSubject: unavailable, oauthtest.SpacedSubject: unavailable, oauthtest.LongSubject: unavailable,
			oauthtest.ForeignSubject: unavailable,
			oauthtest.ForUsOfTwo:     "", oauthtest.OddNames: "", oauthtest.NewKey: "",
		},
	},
}

const (
	unavailable = errs.Code("provider_unavailable")
	refused     = errs.Code("provider_refused")
)

var ann = oauthtest.Person{ID: 1, Login: "ann", Name: "Ann Lee"}

func TestProvider(t *testing.T) { suite.Run(t) }

// Names are for show: odd ones keep nobody out, and show nothing.
func TestOddNames(t *testing.T) {
	s := suite.Start(t)
	odd := ann
	odd.Step, odd.Fault = oauthtest.Token, oauthtest.OddNames
	if got, err := oauthtest.SignIn(t, s.Patient(t), odd); got != (oauth.Identity{Subject: s.Base + "#1"}) || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

// The words in the log are what an administrator sets things right by; and each fault is found for what it is.
func TestReasons(t *testing.T) {
	s := suite.Start(t)
	p := s.Patient(t)
	for fault, want := range map[oauthtest.Fault]string{
		oauthtest.NoIDToken: "no id token", oauthtest.NotJWT: "form", oauthtest.WrongNonce: "nonce", oauthtest.NoNonce: "nonce",
		oauthtest.WrongIssuer: "issuer", oauthtest.NoIssuer: "issuer", oauthtest.WrongAudience: "audience", oauthtest.NoAudience: "audience",
		oauthtest.ExtraAudience: "authorized party", oauthtest.OtherParty: "authorized party",
		oauthtest.Expired: "clocks", oauthtest.NoExpiry: "clocks", oauthtest.NotYet: "clocks",
		oauthtest.AlgNone: "algorithm", oauthtest.HS256Secret: "algorithm", oauthtest.HS256Key: "algorithm",
		oauthtest.NoSignature: "signature", oauthtest.OtherKey: "signature", oauthtest.Changed: "signature",
		oauthtest.NoSubject: "subject", oauthtest.SpacedSubject: "subject", oauthtest.LongSubject: "subject",
		oauthtest.ForeignSubject: "subject",
	} {
		who := ann
		who.Step, who.Fault = oauthtest.Token, fault
		if _, err := oauthtest.SignIn(t, p, who); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", fault, err, want)
		}
	}
	s.Misbehave(oauthtest.Discovery, oauthtest.OtherIssuer)
	if _, err := s.Patient(t).AuthURL(t.Context(), "st", "n", oauthtest.Verifier(), oauthtest.Callback); err == nil ||
		!strings.Contains(err.Error(), "the setting issuer") {
		t.Error(err)
	}
}

// Nobody is sent to a site that could not bring them back, or would have us tell secrets to everybody on the way.
func TestDiscovery(t *testing.T) {
	s := suite.Start(t)
	for _, f := range []oauthtest.Fault{oauthtest.OtherIssuer, oauthtest.PlainToken, oauthtest.NoTokenURL, oauthtest.ScriptedPage} {
		s.Misbehave(oauthtest.Discovery, f)
		if page, err := s.Patient(t).AuthURL(t.Context(), "st", "n", oauthtest.Verifier(), oauthtest.Callback); errs.CodeOf(err) != unavailable {
			t.Errorf("%s: sent to %q, %v", f, page, err)
		}
	}
}

// A sign-in is bound to whoever began it, without exception.
func TestNonce(t *testing.T) {
	p, v := suite.Start(t).Patient(t), oauthtest.Verifier()
	if _, err := p.AuthURL(t.Context(), "st", "", v, oauthtest.Callback); !errs.Is(errs.Internal, err) {
		t.Errorf("sent somebody away without a nonce: %v", err)
	}
	for nonce, want := range map[string]errs.Kind{"": errs.Internal, "another": errs.Unauthenticated} {
		if _, err := p.Identity(t.Context(), oauthtest.Allow(t, p, ann, v), nonce, v, oauthtest.Callback); !errs.Is(want, err) {
			t.Errorf("%q: %v", nonce, err)
		}
	}
}

// A4: the drive starts while the site is down, and no failure is remembered.
func TestSiteComesLater(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := oauthtest.NewOIDC()
	s.Callbacks = []string{oauthtest.Callback}
	down := httptest.NewUnstartedServer(s)
	_ = down.Listener.Close()
	down.Listener = l // nobody answers yet
	p, err := suite.Open("http://"+l.Addr().String(), s, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	v := oauthtest.Verifier()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.AuthURL(ctx, "st", "n", v, oauthtest.Callback); errs.CodeOf(err) != "provider_timeout" {
		t.Errorf("nobody is there: %v", err)
	}
	s.Misbehave(oauthtest.Discovery, oauthtest.Down)
	down.Start()
	defer down.Close()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := p.AuthURL(t.Context(), "st", "n", v, oauthtest.Callback); errs.CodeOf(err) != unavailable {
				t.Errorf("it is down: %v", err)
			}
		})
	}
	wg.Wait()
	s.Misbehave(oauthtest.Discovery, oauthtest.None)
	s.Misbehave(oauthtest.Keys, oauthtest.Down)
	if _, err := oauthtest.SignIn(t, p, ann); errs.CodeOf(err) != unavailable {
		t.Errorf("its keys are away: %v", err)
	}
	s.Misbehave(oauthtest.Keys, oauthtest.None)
	for range 3 {
		if _, err := oauthtest.SignIn(t, p, ann); err != nil {
			t.Error(err)
		}
	}
	// A new key is found without a restart.
	later := ann
	later.Step, later.Fault = oauthtest.Token, oauthtest.NewKey
	for range 2 {
		if _, err := oauthtest.SignIn(t, p, later); err != nil {
			t.Error(err)
		}
	}
	if n := s.Calls(oauthtest.Keys); n != 3 {
		t.Errorf("asked for keys %d times: once in vain, once for each key", n)
	}
}

// Whoever waits with others for the site's description may leave, and the others go on waiting.
func TestLeave(t *testing.T) {
	s := suite.Start(t)
	p, v := s.Open(t, 300*time.Millisecond), oauthtest.Verifier()
	s.Misbehave(oauthtest.Discovery, oauthtest.Hang)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.AuthURL(ctx, "st", "n", v, oauthtest.Callback); !errs.Is(errs.Canceled, err) {
		t.Errorf("went, and got %v", err)
	}
	if _, err := p.AuthURL(t.Context(), "st", "n", v, oauthtest.Callback); errs.CodeOf(err) != "provider_timeout" {
		t.Errorf("stayed, and got %v", err)
	}
}

// S14: two sites with the same numbers are two sites, and a code of one is nothing at the other.
func TestTwoSites(t *testing.T) {
	one, two := suite.Start(t), suite.Start(t)
	two.ClientID = "gopan-at-two"
	p, q := one.Patient(t), two.Patient(t)
	a, err := oauthtest.SignIn(t, p, ann)
	if err != nil {
		t.Fatal(err)
	}
	b, err := oauthtest.SignIn(t, q, ann)
	if err != nil {
		t.Fatal(err)
	}
	if a.Subject == b.Subject || a.Subject == "" {
		t.Errorf("%q and %q", a.Subject, b.Subject)
	}
	v := oauthtest.Verifier()
	if _, err := oauthtest.Ask(t.Context(), t, q, oauthtest.Allow(t, p, ann, v), v); errs.CodeOf(err) != refused {
		t.Errorf("%v", err)
	}
}

// Sites differ in where they want the secret, and say so.
func TestSecretInParams(t *testing.T) {
	s := suite.Start(t)
	s.InParams = true
	if _, err := oauthtest.SignIn(t, s.Patient(t), ann); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for issuer, good := range map[string]bool{
		"https://login.example.org": true, "https://login.example.org/realms/a/": true, "http://[::1]:8080": true,
		"": false, "login.example.org": false, "http://login.example.org": false, "https://login.example.org?x": false,
		"https://login.example.org/#": false, "https://a:b@login.example.org": false, "https://login.example.org/?": false,
	} {
		if _, err := oidc.New(oidc.Options{Issuer: issuer, ClientID: "id", ClientSecret: "secret"}); (err == nil) != good {
			t.Errorf("%q: %v", issuer, err)
		}
	}
	for _, o := range []oidc.Options{{}, {ClientID: "id"}, {ClientSecret: "secret"}} {
		o.Issuer = "https://login.example.org"
		if _, err := oidc.New(o); !errs.Is(errs.Invalid, err) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	// openid is asked for in any case, or there is no id token.
	s := suite.Start(t)
	for want, scopes := range map[string][]string{
		"openid profile": nil, "openid email": {"email"}, "groups openid": {"groups", "openid"},
	} {
		p, err := oidc.New(oidc.Options{Issuer: s.Base, ClientID: s.ClientID, ClientSecret: s.ClientSecret, Scopes: scopes})
		if err != nil {
			t.Fatal(err)
		}
		page, err := p.AuthURL(t.Context(), "st", "n", oauthtest.Verifier(), oauthtest.Callback)
		if u, parseErr := url.Parse(page); err != nil || parseErr != nil || u.Query().Get("scope") != want {
			t.Errorf("%v: %s, %v", scopes, page, err)
		}
	}
}
