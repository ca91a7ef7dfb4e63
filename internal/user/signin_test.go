package user

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// B024, G23: who is unknown, disabled or wrong gets the same answer, to the byte.
func TestSignInTellsNothing(t *testing.T) {
	f := newFixture(t)
	f.exec(t, "INSERT INTO users (id, login, password_hash, role, created_at) VALUES (1002, 'nopass', '', 'user', 1)")
	f.exec(t, "INSERT INTO users (id, login, password_hash, role, created_at, disabled_at) SELECT 1003, 'gone', password_hash, 'user', 1, 1 FROM users WHERE login = 'admin'")
	f.exec(t, "INSERT INTO users (id, login, password_hash, role, created_at) VALUES (1004, 'odd', 'plain text', 'user', 1)")
	url := f.serve(t, false)
	var want string
	for _, c := range []struct{ login, password string }{
		{"ann", "wrong password"}, {"nobody", password}, {"nobody", "wrong password"}, {"gone", password}, {"nopass", password},
		{"nopass", ""}, {"odd", "plain text"}, {"ann", ""}, {"", password}, {"ANN", password}, {"ann ", password}, {"ann\x00", password},
		{"ann' OR '1'='1", password}, {"%", password}, {strings.Repeat("a", 256), password}, {"ann", strings.Repeat("p", MaxPassword+1)},
		{"ann", "$argon2id$v=19$m=19456,t=2,p=1$$"},
	} {
		for _, path := range []string{"/api/v1/auth/login", "/api/v1/auth/session"} {
			body := `{"login":` + quote(c.login) + `,"password":` + quote(c.password) + `}`
			resp, got := call(t, "POST", url+path, body)
			got = strings.Replace(got, resp.Header.Get("X-Request-Id"), "ID", 1)
			if want == "" {
				want = got
			}
			if resp.StatusCode != 401 || got != want || !strings.Contains(got, `"bad_credentials"`) || len(resp.Cookies()) > 0 {
				t.Errorf("%s %.40q: %d %s, want %s", path, c.login, resp.StatusCode, got, want)
			}
		}
	}
	if resp, body := call(t, "POST", url+"/api/v1/auth/login", `{"login":"ann","password":"`+password+`"}`); resp.StatusCode != 200 {
		t.Errorf("the right one: %d %s", resp.StatusCode, body)
	}
}

// quote makes a JSON string.
func quote(s string) string {
	return strings.ReplaceAll(strconv.QuoteToASCII(s), `\x`, `\u00`)
}

// S11: after ten failures within the window nobody signs in to the account, with the right password or a wrong
// one; then the owner does again. An unknown login is no different.
func TestLockout(t *testing.T) {
	f := newFixture(t)
	for _, login := range []string{"ann", "nobody"} {
		for i := range maxFailures {
			if _, err := f.signIn(t.Context(), login, "wrong"); !errs.Is(errs.Unauthenticated, err) {
				t.Fatalf("%s, failure %d: %v", login, i+1, err)
			}
		}
		for _, given := range []string{"wrong", password} {
			_, err := f.signIn(t.Context(), login, given)
			if !errs.Is(errs.TooMany, err) || errs.CodeOf(err) != "locked_out" {
				t.Errorf("%s with %q: %v", login, given, err)
			}
		}
	}
	if _, err := f.signIn(t.Context(), "admin", password); err != nil {
		t.Errorf("another account: %v", err)
	}
	url := f.serve(t, false)
	resp, _ := call(t, "POST", url+"/api/v1/auth/login", `{"login":"ann","password":"`+password+`"}`)
	if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode != 429 || err != nil || after < 1 || after > int(window.Seconds()) {
		t.Errorf("%d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	// Attempts while locked out do not prolong it.
	f.forward(window - time.Second)
	if _, err := f.signIn(t.Context(), "ann", password); !errs.Is(errs.TooMany, err) {
		t.Errorf("before the window ends: %v", err)
	}
	f.forward(2 * time.Second)
	if _, err := f.signIn(t.Context(), "ann", password); err != nil {
		t.Errorf("after the window: %v", err)
	}
	// A success gives the failures before it back.
	for range maxFailures - 1 {
		if _, err := f.signIn(t.Context(), "ann", "wrong"); !errs.Is(errs.Unauthenticated, err) {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := f.signIn(t.Context(), "ann", password); err != nil {
			t.Errorf("the owner: %v", err)
		}
	}
}

// C8: of many attempts at once, by several processes, exactly ten are judged.
func TestLockoutInParallel(t *testing.T) {
	f := newFixture(t)
	here, there := f.Service, f.another(t)
	var judged, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 60 {
		s := here
		if i%2 == 1 {
			s = there
		}
		wg.Go(func() {
			switch _, err := s.signIn(t.Context(), "ann", "wrong"); {
			case errs.Is(errs.Unauthenticated, err):
				judged.Add(1)
			case errs.Is(errs.TooMany, err):
				refused.Add(1)
			default:
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if judged.Load() != maxFailures || refused.Load() != 60-maxFailures {
		t.Errorf("%d judged, %d refused", judged.Load(), refused.Load())
	}
}

// C9, F39: while attempts cannot be counted nobody signs in, and who is signed in stays so (A4).
func TestSignInFailsClosed(t *testing.T) {
	f := newFixture(t)
	before := f.signedIn(t)
	f.KV = brokenKV{f.KV, errs.E(errs.Busy, "test", errs.Code("kv_unavailable"))}
	for _, given := range []string{password, "wrong"} {
		if _, err := f.login(t.Context(), "ann", given, "test"); !errs.Is(errs.Busy, err) {
			t.Errorf("login with %q: %v", given, err)
		}
		if _, _, _, err := f.openCookie(t.Context(), "ann", given, "test"); !errs.Is(errs.Busy, err) {
			t.Errorf("session with %q: %v", given, err)
		}
	}
	if _, err := f.byToken(t.Context(), before.access); err != nil {
		t.Errorf("a token from before: %v", err)
	}
	if _, err := f.refresh(t.Context(), before.refresh); err != nil {
		t.Errorf("a refresh token from before: %v", err)
	}
}

// While the database does not answer nobody comes in, and nobody is told that the credential is wrong.
func TestDatabaseDown(t *testing.T) {
	f := newFixture(t)
	got := f.signedIn(t)
	if err := f.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.signIn(t.Context(), "ann", password); !errs.Is(errs.Busy, err) {
		t.Errorf("sign-in: %v", err)
	}
	if _, err := f.byToken(t.Context(), got.access); !errs.Is(errs.Busy, err) {
		t.Errorf("token: %v", err)
	}
	if _, err := f.refresh(t.Context(), got.refresh); !errs.Is(errs.Busy, err) {
		t.Errorf("refresh: %v", err)
	}
	if _, err := f.byCookie(t.Context(), "x"); !errs.Is(errs.Busy, err) {
		t.Errorf("cookie: %v", err)
	}
}
