package user

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

// G03: nobody is told of another's account but administrators, and they of no password's hash, which no answer has a place for.
func TestNoHashIsTold(t *testing.T) {
	f, _ := newSMSFixture(t)
	url := f.serve(t, false)
	admin, err := f.account(t.Context(), "login = 'admin'")
	if err != nil {
		t.Fatal(err)
	}
	root, err := f.openTokens(t.Context(), admin, "test")
	if err != nil {
		t.Fatal(err)
	}
	ann := f.signedIn(t)
	for _, path := range []string{"/api/v1/admin/users", "/api/v1/admin/users/1000", "/api/v1/admin/users/1001", "/api/v1/admin/users/1001/export", "/api/v1/me", "/api/v1/me/export"} {
		for who, token := range map[string]string{"ann": ann.access, "admin": root.access} {
			resp, body := call(t, "GET", url+path, "", "Authorization: Bearer "+token)
			want := 200
			if who == "ann" && strings.Contains(path, "/admin/") {
				want = 403
			}
			if resp.StatusCode != want {
				t.Errorf("%s %s: %d %s", who, path, resp.StatusCode, body)
			}
			for _, word := range []string{"argon2", "assword_hash", "asswordHash", "cookieHash", "totpSecret"} {
				if strings.Contains(body, word) {
					t.Errorf("%s %s tells %s: %s", who, path, word, body)
				}
			}
			if want == 403 && (strings.Contains(body, "ann") || strings.Contains(body, "8000")) {
				t.Errorf("%s %s: %s", who, path, body)
			}
		}
	}
}

// G09: whatever there is a limit to answers 429 once it is reached, with a time in seconds after which it is worth to come again.
func TestLimitsAnswer429(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, body, code string
		most                     int // requests that are not refused
	}{
		"a code for one phone":   {"POST", "/api/v1/auth/sms/code", `{"phone":"13800138000"}`, "code_wait", 1},
		"a password":             {"POST", "/api/v1/auth/login", `{"login":"ann","password":"wrong password"}`, "locked_out", freeFailures},
		"a browser's password":   {"POST", "/api/v1/auth/session", `{"login":"ann","password":"wrong password"}`, "locked_out", freeFailures},
		"a code":                 {"POST", "/api/v1/auth/sms/login", `{"phone":"13800138000","code":"123456","requestId":"A"}`, "locked_out", freeFailures},
		"one's own password":     {"PUT", "/api/v1/me/password", `{"currentPassword":"wrong password","password":"another good one"}`, "locked_out", freeFailures},
		"another site":           {"GET", "/api/v1/auth/providers/github", "", "too_many", int(DefaultLimits.AddressFailures)},
		"another's registration": {"POST", "/api/v1/auth/register", `{"login":"ann","password":"another good one"}`, "too_many", int(DefaultLimits.AddressAccounts)},
	} {
		t.Run(name, func(t *testing.T) {
			f, _, _ := newSitesFixture(t)
			g, _ := newSMSFixture(t)
			g.Providers = f.Providers
			if err := g.setRegistration(t.Context(), "open"); err != nil {
				t.Fatal(err)
			}
			url, bearer := g.serve(t, false), "Authorization: Bearer "+g.signedIn(t).access
			for i := range c.most {
				if r, body := plainly(t, c.method, url+c.path, c.body, bearer); r == 429 {
					t.Fatalf("request %d: %s", i, body)
				}
			}
			resp, body := call(t, c.method, url+c.path, c.body, bearer)
			after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
			if resp.StatusCode != 429 || err != nil || after < 1 || !strings.Contains(body, `"`+c.code+`"`) {
				t.Fatalf("%d, Retry-After %q: %s", resp.StatusCode, resp.Header.Get("Retry-After"), body)
			}
			g.forward(time.Duration(after) * time.Second)
			if r, body := plainly(t, c.method, url+c.path, c.body, bearer); r == 429 {
				t.Errorf("after %d seconds: %s", after, body)
			}
		})
	}
}

// plainly is a call that follows no redirect.
func plainly(t *testing.T, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, readAll(t, resp)
}

// G13: an account that was made by SMS has no password, so that none opens it, until its owner sets one.
func TestNoPasswordUntilSet(t *testing.T) {
	f, p := newSMSFixture(t)
	id, code := f.asked(t, p, bobPhone)
	bob, err := f.bySMS(t.Context(), string(bobPhone), code, id, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{"", " ", "password", bob.Login, string(bobPhone)} {
		if _, err := f.signIn(t.Context(), bob.Login, given, "", ""); errs.CodeOf(err) != "bad_credentials" {
			t.Errorf("%q: %v", given, err)
		}
	}
	f.forward(FailureWindow)
	tok, err := f.openTokens(t.Context(), bob, "sms")
	if err != nil {
		t.Fatal(err)
	}
	who, err := f.byToken(t.Context(), tok.access)
	if err != nil {
		t.Fatal(err)
	}
	ctx := auth.With(t.Context(), auth.Principal{UserID: bob.ID, SessionID: who.GetSessionId(), Role: roleUser})
	if err := (HTTP{Service: f.Service}).SetPassword(ctx, &PasswordRequest{Password: "another good one"}); err != nil {
		t.Fatal(err)
	}
	if a, err := f.signIn(t.Context(), bob.Login, "another good one", "", ""); err != nil || a.ID != bob.ID {
		t.Errorf("%v", err)
	}
}

// G24, G25: whatever public route is asked whatever, the status and the word are of a fixed list, and the body has the fields of a problem
// and no others.
func TestAnswersToNonsense(t *testing.T) {
	f, _ := newSMSFixture(t)
	url := f.serve(t, false)
	words := []string{"bad_json", "bad_field", "unknown_field", "not_json", "bad_link", "registration_closed", "bad_credentials", "bad_refresh", "bad_state",
		"no_such_provider", "passkeys_off", "bad_phone", "bad_code", "locked_out", "method_not_allowed", "code_wait", "bad_passkey"}
	statuses := []int{400, 401, 403, 404, 405, 415, 429}
	for _, r := range Routes(HTTP{Service: f.Service}) {
		if r.Access != httpapi.Public || r.Path == "/api/v1/auth/methods" || strings.HasSuffix(r.Path, "/auth/passkey") {
			continue
		}
		path := strings.Replace(r.Path, ":provider", "github", 1)
		for _, body := range []string{
			"", "null", "[]", "{}", "{", `"x"`, "\x00", `{"x":1}`, `{"login":1}`, `{"login":null}`, `{"phone":{}}`, `{"phone":"13800138000","phone":"13912345678"}`,
			`{"login":"\ud800"}`, strings.Repeat("[", 20_000), `{"token":"` + strings.Repeat("x", 200) + `"}`, `{"refreshToken":[]}`, "phone=13800138000",
		} {
			status, got := plainly(t, r.Method, url+path, body)
			var m map[string]json.RawMessage
			if err := json.Unmarshal([]byte(got), &m); err != nil {
				t.Errorf("%s %.30q: %d %s", r.Path, body, status, got)
				continue
			}
			var keys []string
			for k := range m {
				if k != "fields" {
					keys = append(keys, k)
				}
			}
			slices.Sort(keys)
			word := object(t, got)["code"]
			if fmt.Sprint(keys) != "[code requestId status title type]" || !slices.Contains(statuses, status) || !slices.Contains(words, fmt.Sprint(word)) {
				t.Errorf("%s %.30q: %d %s", r.Path, body, status, got)
			}
		}
	}
}
