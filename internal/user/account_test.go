package user

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/db/dbtest"
	"github.com/livil/gopan/internal/errs"
)

// G14: processes that start at once on one folder make one admin, with one of their passwords.
func TestEnsureAdminTogether(t *testing.T) {
	dir := t.TempDir()
	var made atomic.Int64
	var wg sync.WaitGroup
	services := make([]*Service, 4)
	for i := range services {
		services[i] = &Service{DB: dbtest.Open(t, dir)}
	}
	for i, s := range services {
		for j := range 2 {
			wg.Go(func() {
				ok, err := s.EnsureAdmin(t.Context(), password+string(rune('a'+2*i+j)))
				if err != nil {
					t.Error(err)
				}
				if ok {
					made.Add(1)
				}
			})
		}
	}
	wg.Wait()
	var rows []account
	if err := services[0].DB.Read(t.Context(), func(tx *gorm.DB) error { return tx.Raw("SELECT * FROM users").Scan(&rows).Error }); err != nil {
		t.Fatal(err)
	}
	if made.Load() != 1 || len(rows) != 1 || rows[0].Login != "admin" || rows[0].Role != "admin" {
		t.Errorf("%d made one, rows %+v", made.Load(), rows)
	}
	for _, s := range services {
		if need, err := s.NeedsAdmin(t.Context()); err != nil || need {
			t.Errorf("needs one still: %v, %v", need, err)
		}
	}
}

func TestEnsureAdminPassword(t *testing.T) {
	dir := t.TempDir()
	f := fixture{dir: dir, clock: &clock{now: time.Now()}}
	s := f.another(t)
	for _, short := range []string{"", "1234567"} {
		if made, err := s.EnsureAdmin(t.Context(), short); !errs.Is(errs.Invalid, err) || made {
			t.Errorf("%q: %v, %v", short, made, err)
		}
	}
	if _, err := s.EnsureAdmin(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	// An account that is there is left alone, whatever password a later start brings.
	if made, err := s.EnsureAdmin(t.Context(), "another password"); err != nil || made {
		t.Errorf("%v, %v", made, err)
	}
	if _, err := s.signIn(t.Context(), AdminLogin, "another password", "", ""); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("the later password: %v", err)
	}
	if _, err := s.signIn(t.Context(), AdminLogin, password, "", ""); err != nil {
		t.Errorf("the first password: %v", err)
	}
}

// G06, S18, B036: what ends a session ends its tokens and its cookie, in every process, at the next question.
func TestWhatEndsASession(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, f fixture, session int64){
		"logout": func(t *testing.T, f fixture, session int64) {
			if err := f.another(t).end(t.Context(), 1001, session); err != nil {
				t.Fatal(err)
			}
		},
		"account disabled": func(t *testing.T, f fixture, _ int64) {
			f.exec(t, "UPDATE users SET disabled_at = 1 WHERE login = 'ann'")
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			s := f.signedIn(t)
			p, err := f.byToken(t.Context(), s.access)
			if err != nil {
				t.Fatal(err)
			}
			end(t, f, p.GetSessionId())
			f.dead(t, name, s)

			g := newFixture(t)
			cookie := g.cookie(t)
			if p, err = g.byCookie(t.Context(), cookie); err != nil || p.GetLogin() != "ann" {
				t.Fatal(p, err)
			}
			same, err := g.byID(t.Context(), p.GetSessionId())
			if err != nil || same.GetUserId() != p.GetUserId() || same.GetSessionId() != p.GetSessionId() || same.GetExpiresAt() != p.GetExpiresAt() {
				t.Fatalf("by its id the session is %v, %v; by its cookie %v", same, err, p)
			}
			end(t, g, p.GetSessionId())
			if _, err := g.byCookie(t.Context(), cookie); !errs.Is(errs.Unauthenticated, err) {
				t.Errorf("the cookie: %v", err)
			}
			if _, err := g.byID(t.Context(), p.GetSessionId()); !errs.Is(errs.Unauthenticated, err) {
				t.Errorf("the id: %v", err)
			}
			if _, err := g.byID(t.Context(), p.GetSessionId()+1); !errs.Is(errs.Unauthenticated, err) {
				t.Errorf("an id that is no session's: %v", err)
			}
		})
	}
}

// Tokens are stored as hashes: who reads the database cannot sign in with what is there.
func TestStoredTokensAreHashes(t *testing.T) {
	f := newFixture(t)
	s := f.signedIn(t)
	cookie := f.cookie(t)
	var n int64
	if err := f.DB.Read(t.Context(), func(tx *gorm.DB) error {
		return tx.Raw(`SELECT (SELECT count(*) FROM refresh_tokens WHERE hash = ? OR hash = ?) +
			(SELECT count(*) FROM sessions WHERE cookie_hash = ? OR cookie_hash = ?)`,
			s.refresh, []byte(s.refresh), cookie, []byte(cookie)).Scan(&n).Error
	}); err != nil || n != 0 {
		t.Errorf("%d tokens are stored as they are, %v", n, err)
	}
}

// The whole of it over HTTP, as a program does it: sign in, ask, refresh, sign out.
func TestProgram(t *testing.T) {
	f := newFixture(t)
	url := f.serve(t, false)
	resp, body := call(t, "POST", url+"/api/v1/auth/login", `{"login":"ann","password":"`+password+`"}`, "Content-Type: application/json")
	if resp.StatusCode != 200 || len(resp.Cookies()) > 0 || resp.Header.Get("Cache-Control") != "no-store" || strings.Contains(body, "horse") ||
		!strings.Contains(body, `"expiresIn":900`) || !strings.Contains(body, `"id":"1001"`) {
		t.Fatalf("%d %s %v", resp.StatusCode, body, resp.Header)
	}
	access, refresh := between(t, body, `"accessToken":"`), between(t, body, `"refreshToken":"`)
	if resp, body := call(t, "GET", url+"/api/v1/me", "", "Authorization: Bearer "+access); resp.StatusCode != 200 || !strings.Contains(body, `"login":"ann"`) {
		t.Fatalf("me: %d %s", resp.StatusCode, body)
	}
	for _, wrong := range []string{"Authorization: Bearer " + refresh, "Cookie: gopan_session=" + access, "Cookie: gopan_session=" + refresh} {
		if resp, _ := call(t, "GET", url+"/api/v1/me", "", wrong); resp.StatusCode != 401 {
			t.Errorf("%.30s…: %d", wrong, resp.StatusCode)
		}
	}
	if resp, body := call(t, "POST", url+"/api/v1/auth/refresh", `{"refreshToken":"`+access+`"}`); resp.StatusCode != 401 || !strings.Contains(body, "bad_refresh") {
		t.Errorf("access as refresh: %d %s", resp.StatusCode, body)
	}
	resp, body = call(t, "POST", url+"/api/v1/auth/refresh", `{"refreshToken":"`+refresh+`"}`)
	if resp.StatusCode != 200 {
		t.Fatalf("refresh: %d %s", resp.StatusCode, body)
	}
	next := between(t, body, `"accessToken":"`)
	if resp, body := call(t, "POST", url+"/api/v1/auth/logout", "", "Authorization: Bearer "+next); resp.StatusCode != 204 || body != "" {
		t.Fatalf("logout: %d %s", resp.StatusCode, body)
	}
	for _, token := range []string{access, next} {
		if resp, _ := call(t, "GET", url+"/api/v1/me", "", "Authorization: Bearer "+token); resp.StatusCode != 401 {
			t.Errorf("after logout: %d", resp.StatusCode)
		}
	}
	if resp, _ := call(t, "POST", url+"/api/v1/auth/refresh", `{"refreshToken":"`+between(t, body, `"refreshToken":"`)+`"}`); resp.StatusCode != 401 {
		t.Errorf("refresh after logout: %d", resp.StatusCode)
	}
}

func between(t *testing.T, s, before string) string {
	t.Helper()
	_, rest, ok := strings.Cut(s, before)
	value, _, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 || value == "" {
		t.Fatalf("no %s in %s", before, s)
	}
	return value
}

// The browser's session: a cookie that scripts cannot read and other sites cannot send, until logout (S4, B038).
func TestBrowser(t *testing.T) {
	f := newFixture(t)
	for _, secure := range []bool{false, true} {
		url := f.serve(t, secure)
		sign := `{"login":"ann","password":"` + password + `"}`
		if resp, body := call(t, "POST", url+"/api/v1/auth/session", sign, "Origin: https://evil.example"); resp.StatusCode != 403 || len(resp.Cookies()) > 0 {
			t.Errorf("from another site: %d %s", resp.StatusCode, body)
		}
		resp, body := call(t, "POST", url+"/api/v1/auth/session", sign, "Origin: "+url)
		if resp.StatusCode != 200 || len(resp.Cookies()) != 2 || strings.Contains(body, "oken") {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		c := sessionCookie(t, resp)
		for _, other := range resp.Cookies() {
			if !other.HttpOnly || other.SameSite != http.SameSiteStrictMode || other.Secure != secure {
				t.Errorf("%+v", other)
			}
			if resp, _ := call(t, "GET", url+"/api/v1/me", "", "Cookie: "+auth.CookieName+"="+other.Value); other.Name != c.Name && resp.StatusCode != 401 {
				t.Errorf("the cookie %s as a session: %d", other.Name, resp.StatusCode)
			}
		}
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Secure != secure || c.MaxAge <= 0 || len(c.Value) < 32 {
			t.Errorf("%+v", c)
		}
		if strings.Contains(body, c.Value) {
			t.Error("the body tells the cookie")
		}
		cookie := "Cookie: " + c.Name + "=" + c.Value
		if resp, body := call(t, "GET", url+"/api/v1/me", "", cookie); resp.StatusCode != 200 || !strings.Contains(body, `"ann"`) {
			t.Errorf("me: %d %s", resp.StatusCode, body)
		}
		if resp, _ := call(t, "GET", url+"/api/v1/me", "", "Authorization: Bearer "+c.Value); resp.StatusCode != 401 {
			t.Errorf("a cookie as a token: %d", resp.StatusCode)
		}
		for _, foreign := range []string{"Origin: https://evil.example", "Origin: null", "X-None: no origin at all"} {
			if resp, _ := call(t, "POST", url+"/api/v1/auth/logout", "", cookie, foreign); resp.StatusCode != 403 {
				t.Errorf("logout, %s: %d", foreign, resp.StatusCode)
			}
		}
		resp, _ = call(t, "POST", url+"/api/v1/auth/logout", "", cookie, "Sec-Fetch-Site: same-origin")
		if got := resp.Cookies(); resp.StatusCode != 204 || len(got) != 1 || got[0].MaxAge >= 0 || got[0].Value != "" {
			t.Errorf("logout: %d %v", resp.StatusCode, got)
		}
		if resp, _ := call(t, "GET", url+"/api/v1/me", "", cookie); resp.StatusCode != 401 {
			t.Errorf("after logout: %d", resp.StatusCode)
		}
	}
	// Behind a proxy that ends TLS the page's origin tells that it was HTTPS.
	url := f.serve(t, false)
	resp, _ := call(t, "POST", url+"/api/v1/auth/session", `{"login":"ann","password":"`+password+`"}`,
		"Origin: "+strings.Replace(url, "http:", "https:", 1))
	for _, c := range resp.Cookies() {
		if !c.Secure {
			t.Errorf("%+v", c)
		}
	}
}
