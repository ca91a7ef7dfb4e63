package user

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zeromicro/go-zero/core/logx"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/oauth"
	"github.com/livil/gopan/internal/oauth/github"
	"github.com/livil/gopan/internal/oauth/oauthtest"
	"github.com/livil/gopan/internal/oauth/oidc"
)

// octo is somebody with an account at the other sites, whose login there is ann's here and whose number is beyond 2^53.
var octo = oauthtest.Person{ID: 9007199254740993, Login: "ann", Name: "Octo Cat"}

// newSitesFixture is a fixture where one can sign in by a site like GitHub, and by another that speaks OpenID Connect.
func newSitesFixture(t *testing.T) (f fixture, hub, other *oauthtest.Server) {
	t.Helper()
	f, hub, other = newFixture(t), oauthtest.NewGitHub(), oauthtest.NewOIDC()
	at := map[*oauthtest.Server]string{}
	for _, s := range []*oauthtest.Server{hub, other} {
		ts := httptest.NewServer(s)
		t.Cleanup(ts.Close)
		at[s] = ts.URL
	}
	g, err := github.New(github.Options{BaseURL: at[hub], ClientID: hub.ClientID, ClientSecret: hub.ClientSecret, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	o, err := oidc.New(oidc.Options{Issuer: at[other], ClientID: other.ClientID, ClientSecret: other.ClientSecret, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	f.Providers = []Provider{{Name: "github", Title: "GitHub", Register: true, Provider: g}, {Name: "other", Title: "Other", Register: true, Provider: o}}
	return f, hub, other
}

// person is a browser that goes from page to page as it is sent, one step at a time.
type person struct {
	t    *testing.T
	url  string // of the drive
	http http.Client
}

func newPerson(t *testing.T, drive string) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, url: drive, http: http.Client{
		Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// do asks the drive; what it answers has no body that matters, but when it is an error.
func (p *person) do(method, path, body string) (*http.Response, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept", "text/html,application/json")
	resp, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp, readAll(p.t, resp)
}

// leave goes to a site's page and gives its address.
func (p *person) leave(provider, next string) string {
	p.t.Helper()
	resp, body := p.do("GET", "/api/v1/auth/providers/"+provider+"?next="+url.QueryEscape(next), "")
	if resp.StatusCode != 303 {
		p.t.Fatalf("%d %s", resp.StatusCode, body)
	}
	return resp.Header.Get("Location")
}

// back comes back from a site with what it sent along.
func (p *person) back(provider string, with url.Values) *http.Response {
	p.t.Helper()
	resp, _ := p.do("GET", "/api/v1/auth/providers/"+provider+"/callback?"+with.Encode(), "")
	return resp
}

// signIn does all of it, and gives where one ends up.
func (p *person) signIn(provider, next string, who oauthtest.Person) *http.Response {
	p.t.Helper()
	with, err := who.Allow(p.t.Context(), p.leave(provider, next))
	if err != nil {
		p.t.Fatal(err)
	}
	return p.back(provider, with)
}

// id is the account that the browser is signed in to; "": none.
func (p *person) id() string {
	p.t.Helper()
	resp, body := p.do("GET", "/api/v1/me", "")
	if resp.StatusCode != 200 {
		return ""
	}
	return object(p.t, body)["id"].(string)
}

// Somebody signs in by another site: a first time, which makes an account, and again from another browser.
func TestSiteStory(t *testing.T) {
	f, _, _ := newSitesFixture(t)
	drive := f.serve(t, false)
	p := newPerson(t, drive)
	resp, _ := p.do("GET", "/api/v1/auth/providers/github?next=/drive/photos%3Fsort%3Dname", "")
	var state *http.Cookie
	for _, c := range resp.Cookies() {
		state = c
	}
	page, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != 303 || len(resp.Cookies()) != 1 {
		t.Fatalf("%d %v %v", resp.StatusCode, resp.Header, err)
	}
	// S14: at least 128 random bits, PKCE, the exact address to come back to; the state is the browser's, and no script's.
	q := page.Query()
	if len(q.Get("state")) < 26 || q.Get("code_challenge_method") != "S256" || q.Get("redirect_uri") != drive+"/api/v1/auth/providers/github/callback" {
		t.Errorf("%v", q)
	}
	if state.Value != q.Get("state") || !state.HttpOnly || state.SameSite != http.SameSiteLaxMode || state.Path != "/api/v1/auth/providers" || state.MaxAge > 600 {
		t.Errorf("%+v", state)
	}
	with, err := octo.Allow(t.Context(), page.String())
	if err != nil {
		t.Fatal(err)
	}
	// G26: what comes back is a redirect that nobody keeps, with a cookie that no script reads and no token in any address.
	resp = p.back("github", with)
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/drive/photos?sort=name" || resp.Header.Get("Cache-Control") != "no-store" ||
		resp.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if c := sessionCookie(t, resp); !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" {
		t.Errorf("%+v", c)
	}
	_, body := p.do("GET", "/api/v1/me", "")
	me := object(t, body)
	// S14: the login there is no login here, and opens nothing of whose it is here.
	if me["login"] == "ann" || me["id"] == "1001" || me["name"] != "Octo Cat" || me["role"] != "user" || me["hasPassword"] != false {
		t.Errorf("%s", body)
	}
	again := newPerson(t, drive)
	renamed := oauthtest.Person{ID: octo.ID, Login: "renamed"}
	if resp := again.signIn("github", "", renamed); resp.StatusCode != 303 || resp.Header.Get("Location") != "/" || again.id() != me["id"] {
		t.Errorf("again: %d %v, account %s", resp.StatusCode, resp.Header, again.id())
	}
	// G19: the number is kept as it is.
	var id identity
	if list, err := f.identities(t.Context(), mustNumber(t, me["id"].(string))); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	} else {
		id = list[0]
	}
	if id.Subject != "9007199254740993" || id.Provider != "github" {
		t.Errorf("%+v", id)
	}
	// The next number, which a double does not tell from it, is somebody else.
	next := newPerson(t, drive)
	if next.signIn("github", "", oauthtest.Person{ID: octo.ID - 1, Login: "ann"}); next.id() == "" || next.id() == me["id"] {
		t.Errorf("account %s", next.id())
	}
	// The same login, name and number at another site are somebody else, too.
	if next.signIn("other", "", octo); next.id() == "" || next.id() == me["id"] {
		t.Errorf("account %s", next.id())
	}
	if n := f.count(t, "users"); n != 5 {
		t.Errorf("%d accounts", n)
	}
}

func mustNumber(t *testing.T, text string) int64 {
	t.Helper()
	n, err := number(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// problem is the word with which a page of ours is told what went wrong.
func problem(t *testing.T, resp *http.Response) string {
	t.Helper()
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != 303 || u.Host != "" || u.Path != "/signin" && u.Path != "/account/security" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
		return ""
	}
	return u.Query().Get("problem")
}

// G16, S14, B028: who comes back without the state that this browser was given, with an old or a used one, or with another's, is not let in; a
// program is told 400.
func TestState(t *testing.T) {
	f, hub, _ := newSitesFixture(t)
	drive := f.serve(t, false)
	// allowed is what octo's browser would bring back now.
	allowed := func(p *person) url.Values {
		with, err := octo.Allow(t.Context(), p.leave("github", ""))
		if err != nil {
			t.Fatal(err)
		}
		return with
	}
	for name, spoil := range map[string]func(p *person, with url.Values) *person{
		"without": func(p *person, with url.Values) *person { with.Del("state"); return p },
		"empty":   func(p *person, with url.Values) *person { with.Set("state", ""); return p },
		"wrong":   func(p *person, with url.Values) *person { with.Set("state", strings.Repeat("A", 26)); return p },
		"in small letters": func(p *person, with url.Values) *person {
			with.Set("state", strings.ToLower(with.Get("state")))
			return p
		},
		"twice": func(p *person, with url.Values) *person { with.Add("state", with.Get("state")); return p },
		"long":  func(p *person, with url.Values) *person { with.Set("state", strings.Repeat("A", 10_000)); return p },
		"late":  func(p *person, _ url.Values) *person { f.forward(journeyLife); return p },
		// An attacker's answer in the browser of a victim, who went nowhere, or to the site as well: sign-in CSRF.
		"of another browser":                  func(_ *person, _ url.Values) *person { return newPerson(t, drive) },
		"of another browser, which went, too": func(*person, url.Values) *person { v := newPerson(t, drive); v.leave("github", ""); return v },
		"of an earlier journey":               func(p *person, _ url.Values) *person { p.leave("github", ""); return p },
	} {
		before := hub.Calls(oauthtest.Token)
		p := newPerson(t, drive)
		with := allowed(p)
		p = spoil(p, with)
		if word := problem(t, p.back("github", with)); word != "bad_state" && (name != "twice" || word != "bad_field") {
			t.Errorf("%s: %s", name, word)
		}
		if p.id() != "" || hub.Calls(oauthtest.Token) != before {
			t.Errorf("%s: signed in as %s, the site was asked %d times", name, p.id(), hub.Calls(oauthtest.Token)-before)
		}
	}
	// To another provider's address.
	p := newPerson(t, drive)
	if word := problem(t, p.back("other", allowed(p))); word != "bad_state" {
		t.Errorf("another provider: %s", word)
	}
	if word := problem(t, newPerson(t, drive).back("nobody", url.Values{"state": {"A"}, "code": {"B"}})); word != "bad_state" {
		t.Errorf("no provider: %s", word)
	}
	// Used up: nobody comes back twice.
	p = newPerson(t, drive)
	with := allowed(p)
	cookie := "Cookie: " + stateCookie + "=" + with.Get("state")
	if resp := p.back("github", with); resp.Header.Get("Location") != "/" {
		t.Errorf("%v", resp.Header)
	}
	resp, body := call(t, "GET", drive+"/api/v1/auth/providers/github/callback?"+with.Encode(), "", cookie)
	if resp.StatusCode != 400 || !strings.Contains(body, `"bad_state"`) {
		t.Errorf("again: %d %s", resp.StatusCode, body)
	}
	// Of many at once one is let in.
	p = newPerson(t, drive)
	with = allowed(p)
	cookie = "Cookie: " + stateCookie + "=" + with.Get("state")
	var in atomic.Int64
	together(10, func(int) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", drive+"/api/v1/auth/providers/github/callback?"+with.Encode(), nil)
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Cookie", strings.TrimPrefix(cookie, "Cookie: "))
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
		if resp.StatusCode == 303 {
			in.Add(1)
		}
	})
	if in.Load() != 1 {
		t.Errorf("%d of 10 were let in", in.Load())
	}
	if n := f.count(t, "users"); n != 3 {
		t.Errorf("%d accounts", n)
	}
}

// B028, G17: whatever comes back for a code goes to the site as one value, or nowhere.
func TestOddCodes(t *testing.T) {
	f, hub, _ := newSitesFixture(t)
	drive := f.serve(t, false)
	for _, c := range []struct {
		name  string
		with  url.Values
		want  string
		asked int
	}{
		{"denied", url.Values{"error": {"access_denied"}}, "provider_refused", 0},
		{"denied, with a code", url.Values{"error": {"access_denied"}, "code": {"x"}}, "provider_refused", 0},
		{"an error with lines", url.Values{"error": {"x\r\nSet-Cookie: a=b"}}, "provider_refused", 0},
		{"none", url.Values{}, "provider_refused", 0},
		{"empty", url.Values{"code": {""}}, "provider_refused", 0},
		{"10 kB", url.Values{"code": {strings.Repeat("x", 10_000)}}, "provider_refused", 0},
		{"two", url.Values{"code": {"x", "y"}}, "bad_field", 0},
		{"a made-up one", url.Values{"code": {"x"}}, "provider_refused", 1},
		{"with parameters", url.Values{"code": {"x&redirect_uri=//evil.example&client_id=other"}}, "provider_refused", 1},
		{"with lines", url.Values{"code": {"x\r\nHost: evil.example"}}, "provider_refused", 1},
	} {
		p, before := newPerson(t, drive), hub.Calls(oauthtest.Token)
		page, err := url.Parse(p.leave("github", ""))
		if err != nil {
			t.Fatal(err)
		}
		c.with.Set("state", page.Query().Get("state"))
		if word := problem(t, p.back("github", c.with)); word != c.want {
			t.Errorf("%s: %s", c.name, word)
		}
		if n := hub.Calls(oauthtest.Token) - before; n != c.asked || p.id() != "" {
			t.Errorf("%s: asked %d times, signed in as %q", c.name, n, p.id())
		}
	}
	if n := f.count(t, "users"); n != 2 {
		t.Errorf("%d accounts", n)
	}
}

// F47, G18, G20: whatever the site answers, there is an end to it soon, a page says what is wrong, nobody is signed in and no half account stays
// behind; the log tells an operator, and holds no secret (S17).
func TestSiteInDisorder(t *testing.T) {
	f, hub, other := newSitesFixture(t)
	var logged lockedBuffer
	logx.SetLevel(logx.DebugLevel)
	logx.SetWriter(logx.NewWriter(&logged))
	t.Cleanup(logx.Disable)
	drive := serveAs(t, f.Service, httpapi.Server{LogAll: true})
	for _, site := range []struct {
		name  string
		s     *oauthtest.Server
		steps []oauthtest.Step
	}{{"github", hub, []oauthtest.Step{oauthtest.Token, oauthtest.User}}, {"other", other, []oauthtest.Step{oauthtest.Token}}} {
		for _, step := range site.steps {
			for _, fault := range oauthtest.General() {
				p := newPerson(t, drive)
				with, err := octo.Allow(t.Context(), p.leave(site.name, ""))
				if err != nil {
					t.Fatal(err)
				}
				site.s.Misbehave(step, fault)
				start := time.Now()
				word := problem(t, p.back(site.name, with))
				if word != "provider_unavailable" && word != "provider_timeout" && word != "provider_refused" || time.Since(start) > 10*time.Second {
					t.Errorf("%s, %s, %s: %q after %v", site.name, step, fault, word, time.Since(start))
				}
				if p.id() != "" {
					t.Errorf("%s, %s, %s: signed in", site.name, step, fault)
				}
				site.s.Misbehave(step, oauthtest.None)
				for _, secret := range []string{with.Get("code"), with.Get("state")} {
					if strings.Contains(logged.String(), secret) {
						t.Errorf("%s, %s, %s: the log holds %s", site.name, step, fault, secret)
					}
				}
			}
		}
	}
	if n, ids := f.count(t, "users"), f.count(t, "identities"); n != 2 || ids != 0 {
		t.Errorf("%d accounts, %d identities", n, ids)
	}
	if !strings.Contains(logged.String(), "provider_timeout") || !strings.Contains(logged.String(), "provider_unavailable") ||
		strings.Contains(logged.String(), "c4nary") {
		t.Errorf("the log: %s", logged.String())
	}
	// A site that is well again lets people in.
	p := newPerson(t, drive)
	if p.signIn("github", "", octo); p.id() == "" {
		t.Error("nobody")
	}
}

// G18: an account without a name, or with one that cannot be shown, has none here.
func TestNamesOfSites(t *testing.T) {
	f, hub, _ := newSitesFixture(t)
	drive := f.serve(t, false)
	for i, c := range []struct{ theirs, want string }{
		{"", ""}, {"李明", "李明"}, {"a\u202eb", ""}, {"a\u200bb", ""}, {strings.Repeat("x", 65), ""}, {" a", ""}, {"<b>a</b>", "<b>a</b>"},
	} {
		p := newPerson(t, drive)
		p.signIn("github", "", oauthtest.Person{ID: int64(i + 1), Login: "x", Name: c.theirs})
		_, body := p.do("GET", "/api/v1/me", "")
		if name, _ := object(t, body)["name"].(string); name != c.want || p.id() == "" {
			t.Errorf("%q: %s", c.theirs, body)
		}
	}
	hub.Misbehave(oauthtest.User, oauthtest.NullName)
	p := newPerson(t, drive)
	if p.signIn("github", "", octo); p.id() == "" {
		t.Error("no names at all: nobody")
	}
}

// G21: while the database is away a sign-in by another site fails with 503, and later there is no account of it.
func TestSiteAndDatabaseDown(t *testing.T) {
	f, _, _ := newSitesFixture(t)
	g := f.another(t)
	g.Providers = f.Providers
	drive := fixture{Service: g}.serve(t, false)
	p := newPerson(t, drive)
	with, err := octo.Allow(t.Context(), p.leave("github", ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.DB.Close(); err != nil {
		t.Fatal(err)
	}
	resp, body := call(t, "GET", drive+"/api/v1/auth/providers/github/callback?"+with.Encode(), "", "Cookie: "+stateCookie+"="+with.Get("state"))
	if resp.StatusCode != 503 || len(resp.Cookies()) > 0 && resp.Cookies()[0].MaxAge >= 0 {
		t.Errorf("%d %s %v", resp.StatusCode, body, resp.Cookies())
	}
	if n, ids := f.count(t, "users"), f.count(t, "identities"); n != 2 || ids != 0 {
		t.Errorf("%d accounts, %d identities", n, ids)
	}
}

// C9: while kv is away nobody goes to another site, and nobody comes back from one.
func TestSiteFailsClosed(t *testing.T) {
	f, hub, _ := newSitesFixture(t)
	drive := f.serve(t, false)
	p := newPerson(t, drive)
	with, err := octo.Allow(t.Context(), p.leave("github", ""))
	if err != nil {
		t.Fatal(err)
	}
	g := f.another(t)
	g.Providers, g.KV = f.Providers, brokenKV{errDown}
	down := fixture{Service: g}.serve(t, false)
	if resp, body := call(t, "GET", down+"/api/v1/auth/providers/github", ""); resp.StatusCode != 503 || len(resp.Cookies()) > 0 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	resp, body := call(t, "GET", down+"/api/v1/auth/providers/github/callback?"+with.Encode(), "", "Cookie: "+stateCookie+"="+with.Get("state"))
	if resp.StatusCode != 503 || hub.Calls(oauthtest.Token) != 0 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// G15: a hundred people who sign up at once, at two processes, get a hundred accounts, each their own, and enter the same ones later.
func TestSitesInParallel(t *testing.T) {
	f := newFixture(t)
	f.Providers = []Provider{{Name: "github", Register: true}, {Name: "other", Register: true}}
	g := f.another(t)
	g.Providers = f.Providers
	const people = 100
	var ids [2][people]int64
	for round := range 2 {
		together(people, func(i int) {
			s := f.Service
			if (i+round)%2 == 1 {
				s = g
			}
			a, err := s.byIdentity(t.Context(), "github", oauth.Identity{Subject: fmt.Sprint(i + 1), Login: "same", Name: "Same"})
			if err != nil {
				t.Error(err)
			}
			ids[round][i] = a.ID
		})
	}
	seen := map[int64]bool{}
	for i := range people {
		if ids[0][i] != ids[1][i] || ids[0][i] == 0 || seen[ids[0][i]] {
			t.Errorf("person %d: accounts %d and %d", i, ids[0][i], ids[1][i])
		}
		seen[ids[0][i]] = true
	}
	// G14: and one person in fifty windows gets one.
	var first atomic.Int64
	together(50, func(i int) {
		s := f.Service
		if i%2 == 1 {
			s = g
		}
		a, err := s.byIdentity(t.Context(), "other", oauth.Identity{Subject: "1"})
		if err != nil {
			t.Error(err)
		}
		if first.CompareAndSwap(0, a.ID); first.Load() != a.ID {
			t.Errorf("accounts %d and %d", first.Load(), a.ID)
		}
	})
	if n, ids := f.count(t, "users"), f.count(t, "identities"); n != people+3 || ids != people+1 {
		t.Errorf("%d accounts, %d identities", n, ids)
	}
}

// Who may register decides whether somebody from another site gets an account; who has one enters, unless it is closed.
func TestSiteRegistrationPolicy(t *testing.T) {
	f, _, _ := newSitesFixture(t)
	drive := f.serve(t, false)
	p := newPerson(t, drive)
	p.signIn("github", "", octo)
	id := p.id()
	for policy, open := range map[string]bool{"closed": false, "invite": false, "sms": true, "open": true} {
		if err := f.setRegistration(t.Context(), policy); err != nil {
			t.Fatal(err)
		}
		if p := newPerson(t, drive); p.signIn("github", "", octo) == nil || p.id() != id {
			t.Errorf("%s: who has an account: %q", policy, p.id())
		}
		before := f.count(t, "users")
		p := newPerson(t, drive)
		resp := p.signIn("github", "", oauthtest.Person{ID: before, Login: "new"})
		if open != (p.id() != "") || !open && problem(t, resp) != "registration_closed" || !open && f.count(t, "users") != before {
			t.Errorf("%s: who has none: %q, %v", policy, p.id(), resp.Header)
		}
	}
	// A site that anybody has an account at may be for those alone who have one here.
	f.Providers[0].Register = false
	if p := newPerson(t, drive); p.signIn("github", "", octo) == nil || p.id() != id {
		t.Errorf("who has an account: %q", p.id())
	}
	stranger := newPerson(t, drive)
	if word := problem(t, stranger.signIn("github", "", oauthtest.Person{ID: 77, Login: "new"})); word != "registration_closed" || stranger.id() != "" {
		t.Errorf("who has none: %s", word)
	}
	for _, state := range []string{disabled, deleted} {
		if err := f.manage(t.Context(), mustNumber(t, id), change{state: state}); err != nil {
			t.Fatal(err)
		}
		p := newPerson(t, drive)
		if word := problem(t, p.signIn("github", "", octo)); word != "account_closed" || p.id() != "" {
			t.Errorf("%s: %s, signed in as %q", state, word, p.id())
		}
	}
}

// Nobody is sent to another place from here than to a page of this drive.
func TestOurs(t *testing.T) {
	for _, ok := range []string{"/", "/drive", "/drive/a%20b?x=1&y=2#part", "/s/abc", "/drive/%2F%2Fevil.example", "/%E6%96%87", "/?next=https://evil.example"} {
		if got := ours(ok); got != ok {
			t.Errorf("%q: %q", ok, got)
		}
	}
	bad := []string{
		"", "drive", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "https:evil.example", "javascript:alert(1)",
		"data:text/html,x", "/\tevil.example", "/\t/evil.example", "\t//evil.example", " //evil.example", "/\n/evil.example", "/drive\r\nSet-Cookie: a=b", "/%zz",
		"//user@evil.example", "@evil.example", ".evil.example", "?next", "#x", "/" + strings.Repeat("x", 2048), "/\x00", "/x\x7f", "http:///x", "//", "//?x", "//#x", "///",
		"/.//evil.example", "/x/..//evil.example", "/a//b", "/api/v1/auth/providers/github",
	}
	for _, b := range bad {
		if got := ours(b); got != "/" {
			t.Errorf("%q: %q", b, got)
		}
	}
	f, _, _ := newSitesFixture(t)
	drive := f.serve(t, false)
	for _, next := range append(bad, "/drive/photos") {
		p := newPerson(t, drive)
		want := "/"
		if next == "/drive/photos" {
			want = next
		}
		if resp := p.signIn("github", next, octo); resp.Header.Get("Location") != want {
			t.Errorf("%q: sent to %q", next, resp.Header.Get("Location"))
		}
		f.forward(time.Second)
	}
}

// S14: an account at another site is linked by who is signed in, sure to be the owner, and came back in time to the same browser.
func TestLinkASite(t *testing.T) {
	f, _, _ := newSitesFixture(t)
	drive := f.serve(t, false)
	in := func(login string) *person {
		p := newPerson(t, drive)
		if resp, body := p.do("POST", "/api/v1/auth/session", `{"login":"`+login+`","password":"`+password+`"}`); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		return p
	}
	ask := func(p *person, site, given string) (string, *http.Response) {
		resp, body := p.do("POST", "/api/v1/me/identities/"+site, `{"currentPassword":"`+given+`"}`)
		to, _ := object(t, body)["url"].(string)
		return to, resp
	}
	ann := in("ann")
	for _, given := range []string{"", "wrong"} {
		if to, resp := ask(ann, "github", given); resp.StatusCode != 403 || to != "" {
			t.Errorf("%q: %d", given, resp.StatusCode)
		}
	}
	if _, resp := ask(newPerson(t, drive), "github", password); resp.StatusCode != 401 {
		t.Errorf("nobody: %d", resp.StatusCode)
	}
	if _, resp := ask(ann, "nobody", password); resp.StatusCode != 404 {
		t.Errorf("no such site: %d", resp.StatusCode)
	}
	to, _ := ask(ann, "github", password)
	with, err := octo.Allow(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	// In another browser nothing is linked, to nobody: neither to a stranger's account nor to ann's.
	if word := problem(t, in("admin").back("github", with)); word != "bad_state" {
		t.Errorf("in admin's browser: %s", word)
	}
	if resp := ann.back("github", with); resp.Header.Get("Location") != "/account/security?linked=github" {
		t.Errorf("%v", resp.Header)
	}
	if p := newPerson(t, drive); p.signIn("github", "", oauthtest.Person{ID: octo.ID}) == nil || p.id() != "1001" {
		t.Errorf("by the linked site: %q", p.id())
	}
	// Who has it already keeps it, and the other hears so.
	admin := in("admin")
	to, _ = ask(admin, "github", password)
	if with, err = octo.Allow(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if word := problem(t, admin.back("github", with)); word != "identity_taken" {
		t.Errorf("taken: %s", word)
	}
	// A session that has ended meanwhile links nothing (S18).
	to, _ = ask(admin, "other", password)
	if with, err = octo.Allow(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if resp, _ := admin.do("POST", "/api/v1/auth/logout", ""); resp.StatusCode != 204 {
		t.Fatal(resp.Status)
	}
	if word := problem(t, admin.back("other", with)); word != "unauthenticated" {
		t.Errorf("after logout: %s", word)
	}
	if admin.id() != "" {
		t.Errorf("after logout: signed in as %s", admin.id())
	}
	if n := f.count(t, "identities"); n != 1 {
		t.Errorf("%d identities", n)
	}
	if n := f.count(t, "audit WHERE action = 'identity.link' AND user_id = 1001 AND detail = 'github'"); n != 1 {
		t.Errorf("%d in the audit log", n)
	}
	// Denied at the site: a person who linked is back where they were.
	to, _ = ask(ann, "other", password)
	if with, err = octo.Deny(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if resp := ann.back("other", with); resp.Header.Get("Location") != "/account/security?problem=provider_refused" {
		t.Errorf("denied: %v", resp.Header)
	}
}

// What was unlinked opens nothing any more, and the last way in stays.
func TestUnlinkASite(t *testing.T) {
	f, _, _ := newSitesFixture(t)
	drive := f.serve(t, false)
	p := newPerson(t, drive)
	p.signIn("github", "", octo)
	id := p.id()
	if resp, body := p.do("DELETE", "/api/v1/me/identities/github", ""); resp.StatusCode != 409 || !strings.Contains(body, "last_way_in") {
		t.Errorf("the last one: %d %s", resp.StatusCode, body)
	}
	f.exec(t, "UPDATE users SET phone = ? WHERE id = ?", string(bobPhone), id)
	other := newPerson(t, drive)
	if resp, _ := other.do("DELETE", "/api/v1/me/identities/github", ""); resp.StatusCode != 401 {
		t.Errorf("nobody: %d", resp.StatusCode)
	}
	other.signIn("other", "", octo)
	if resp, _ := other.do("DELETE", "/api/v1/me/identities/github", ""); resp.StatusCode != 404 {
		t.Errorf("another's: %d", resp.StatusCode)
	}
	if resp, body := p.do("DELETE", "/api/v1/me/identities/github", ""); resp.StatusCode != 204 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, _ := p.do("DELETE", "/api/v1/me/identities/github", ""); resp.StatusCode != 404 {
		t.Errorf("again: %d", resp.StatusCode)
	}
	again := newPerson(t, drive)
	if again.signIn("github", "", octo); again.id() == id || again.id() == "" {
		t.Errorf("enters %s, was %s", again.id(), id)
	}
	if n := f.count(t, "audit WHERE action = 'identity.unlink'"); n != 1 {
		t.Errorf("%d in the audit log", n)
	}
}

// Two accounts that link one account of another site at once: one has it.
func TestLinkInParallel(t *testing.T) {
	f := newFixture(t)
	g := f.another(t)
	var linked atomic.Int64
	together(20, func(i int) {
		s, user := f.Service, int64(1000)
		if i%2 == 1 {
			s, user = g, 1001
		}
		switch err := s.link(t.Context(), user, "github", oauth.Identity{Subject: "1"}); {
		case err == nil:
			linked.Or(1 << (user - 1000))
		case errs.CodeOf(err) != "identity_taken":
			t.Error(err)
		}
	})
	if n := f.count(t, "identities"); n != 1 || linked.Load() != 1 && linked.Load() != 2 {
		t.Errorf("%d identities, linked %b", n, linked.Load())
	}
}
