package user

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

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
		{"nopass", ""}, {"odd", "plain text"}, {"ann", ""}, {"", password}, {"ann ", password}, {"ann\x00", password},
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
	f.forward(FailureWindow)
	for _, login := range []string{"ann", "ANN", "ａｎｎ"} {
		if resp, body := call(t, "POST", url+"/api/v1/auth/login", `{"login":"`+login+`","password":"`+password+`"}`); resp.StatusCode != 200 {
			t.Errorf("the right one, as %s: %d %s", login, resp.StatusCode, body)
		}
	}
}

// quote makes a JSON string.
func quote(s string) string {
	return strings.ReplaceAll(strconv.QuoteToASCII(s), `\x`, `\u00`)
}

// fail is one attempt with a wrong password that is judged, as soon as it may be.
func (f fixture) fail(t *testing.T, login string) {
	t.Helper()
	for range 2 {
		_, err := f.signIn(t.Context(), login, "wrong", "", "")
		if errs.Is(errs.Unauthenticated, err) {
			return
		}
		if !errs.Is(errs.TooMany, err) {
			t.Fatal(err)
		}
		f.forward(toWait(err))
	}
	t.Fatal("not judged after the time that was told")
}

// S11: after ten failures within the window nobody signs in to the account, with the right password or a wrong
// one; then the owner does again. An unknown login is no different.
func TestLockout(t *testing.T) {
	f := newFixture(t)
	for _, login := range []string{"ann", "nobody"} {
		for range DefaultLimits.Failures {
			f.fail(t, login)
		}
		f.forward(delay(DefaultLimits.Failures))
		for _, given := range []string{"wrong", password} {
			_, err := f.signIn(t.Context(), login, given, "", "")
			if !errs.Is(errs.TooMany, err) || errs.CodeOf(err) != "locked_out" {
				t.Errorf("%s with %q: %v", login, given, err)
			}
		}
	}
	if _, err := f.signIn(t.Context(), "admin", password, "", ""); err != nil {
		t.Errorf("another account: %v", err)
	}
	url := f.serve(t, false)
	resp, _ := call(t, "POST", url+"/api/v1/auth/login", `{"login":"ann","password":"`+password+`"}`)
	after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if resp.StatusCode != 429 || err != nil || after < 1 || after > int(FailureWindow.Seconds()) {
		t.Errorf("%d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	// Attempts while locked out do not prolong it.
	f.forward(FailureWindow)
	if _, err := f.signIn(t.Context(), "ann", password, "", ""); err != nil {
		t.Errorf("after the window: %v", err)
	}
	// A success gives the failures before it back.
	for range freeFailures - 1 {
		f.fail(t, "ann")
	}
	for range 2 {
		if _, err := f.signIn(t.Context(), "ann", password, "", ""); err != nil {
			t.Errorf("the owner: %v", err)
		}
	}
	for range freeFailures - 1 {
		if _, err := f.signIn(t.Context(), "ann", "wrong", "", ""); !errs.Is(errs.Unauthenticated, err) {
			t.Errorf("failures count anew: %v", err)
		}
	}
}

// S11: from the fifth failure on each one more makes the next attempt wait twice as long.
func TestDelayGrows(t *testing.T) {
	f := newFixture(t)
	for range freeFailures {
		f.fail(t, "ann")
	}
	for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		_, err := f.signIn(t.Context(), "ann", password, "", "")
		if got := toWait(err); !errs.Is(errs.TooMany, err) || got != want {
			t.Errorf("%v to wait, want %v: %v", got, want, err)
		}
		f.forward(want - time.Millisecond)
		if _, err := f.signIn(t.Context(), "ann", password, "", ""); !errs.Is(errs.TooMany, err) {
			t.Errorf("a moment before: %v", err)
		}
		f.forward(time.Millisecond)
		f.fail(t, "ann")
	}
}

// G12: a password whose hash was made with settings that are no longer ours is hashed anew when it is used, and still works.
func TestOldHashesAreMadeAnew(t *testing.T) {
	f := newFixture(t)
	old := strings.Replace(cheapHash(password), "m=64,t=1", "m=64,t=2", 1)
	salt := make([]byte, argonSalt)
	old = old[:strings.LastIndex(old, "$")+1] + b64.EncodeToString(argon2.IDKey([]byte(password), salt, 2, 64, 1, argonKey))
	f.exec(t, "UPDATE users SET password_hash = ? WHERE login = 'ann'", old)
	if _, err := f.signIn(t.Context(), "ann", "wrong", "", ""); !errs.Is(errs.Unauthenticated, err) || f.ann(t).PasswordHash != old {
		t.Errorf("a wrong password: %v, %s", err, f.ann(t).PasswordHash)
	}
	for range 2 {
		if _, err := f.signIn(t.Context(), "ann", password, "", ""); err != nil {
			t.Fatal(err)
		}
		if hash := f.ann(t).PasswordHash; hash == old || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("the hash is %s", hash)
		}
		dummyHash = realDummy // what new hashes are made like
	}
	t.Cleanup(func() { dummyHash = cheapHash("") })
}

// S11: a browser in which the account was signed in before is not kept out by the failures of strangers, and what it
// kept opens nothing and serves no other account.
func TestKnownDevice(t *testing.T) {
	f := newFixture(t)
	device := f.deviceFor(f.ann(t))
	for range DefaultLimits.Failures {
		f.fail(t, "ann")
	}
	for name, d := range map[string]string{
		"none": "", "made up": "aaaa.bbbb", "of another account": f.deviceFor(account{ID: 1000}), "changed": "x" + device, "half": strings.Split(device, ".")[0],
	} {
		if _, err := f.signIn(t.Context(), "ann", password, "", d); !errs.Is(errs.TooMany, err) {
			t.Errorf("device %s: %v", name, err)
		}
	}
	if _, err := f.signIn(t.Context(), "ann", "wrong", "", device); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("a wrong password there: %v", err)
	}
	if _, err := f.signIn(t.Context(), "ann", password, "", device); err != nil {
		t.Errorf("the owner's browser: %v", err)
	}
}

// C8: of many attempts at once, by several processes, no more than ten are judged.
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
			switch _, err := s.signIn(t.Context(), "ann", "wrong", "", ""); {
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
	if n := judged.Load(); n < freeFailures || n > DefaultLimits.Failures || n+refused.Load() != 60 {
		t.Errorf("%d judged, %d refused", judged.Load(), refused.Load())
	}
}

// C9, F39: while attempts cannot be counted nobody signs in, and who is signed in stays so (A4).
func TestSignInFailsClosed(t *testing.T) {
	f := newFixture(t)
	before := f.signedIn(t)
	f.KV = brokenKV{errs.E(errs.Busy, "test", errs.Code("kv_unavailable"))}
	for _, given := range []string{password, "wrong"} {
		if _, err := f.signIn(t.Context(), "ann", given, "", ""); !errs.Is(errs.Busy, err) {
			t.Errorf("with %q: %v", given, err)
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
	if _, err := f.signIn(t.Context(), "ann", password, "", ""); !errs.Is(errs.Busy, err) {
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
