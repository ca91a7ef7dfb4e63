package user

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/userpb"
	"github.com/livil/gopan/internal/rpc"
	"github.com/livil/gopan/internal/sms"
	"github.com/livil/gopan/internal/sms/console"
)

// phones are those of a test's people: a sender for consoles writes to them.
type phones struct {
	mu    sync.Mutex
	lines []string
}

func (p *phones) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, string(line))
	return len(line), nil
}

// count is how many messages came in all.
func (p *phones) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}

// code is the last one that came to a phone.
func (p *phones) code(t *testing.T, to sms.Phone) string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.lines) - 1; i >= 0; i-- {
		if rest, ok := strings.CutPrefix(p.lines[i], "SMS "+string(to)+": "); ok {
			code, _, _ := strings.Cut(rest, " ")
			return code
		}
	}
	t.Fatalf("nothing came to %s", to)
	return ""
}

// The phones of the tests. ann's is that of an account; nobody has an account with bob's.
const (
	annPhone = sms.Phone("+8613800138000")
	bobPhone = sms.Phone("+8613912345678")
)

// newSMSFixture is a fixture that sends messages, in which ann has a phone.
func newSMSFixture(t *testing.T) (fixture, *phones) {
	t.Helper()
	f, p := newFixture(t), new(phones)
	f.SMS = &console.Sender{Out: p}
	f.exec(t, "UPDATE users SET phone = ? WHERE id = 1001", string(annPhone))
	return f, p
}

// asked is a code that was asked for to sign in, and came.
func (f fixture) asked(t *testing.T, p *phones, to sms.Phone) (requestID, code string) {
	t.Helper()
	requestID, err := f.sendCode(t.Context(), to, signInCode)
	if err != nil {
		t.Fatal(err)
	}
	return requestID, p.code(t, to)
}

// count is how many rows a table has.
func (f fixture) count(t *testing.T, from string, args ...any) (n int64) {
	t.Helper()
	if err := f.DB.Read(t.Context(), func(tx *gorm.DB) error { return tx.Raw("SELECT count(*) FROM "+from, args...).Scan(&n).Error }); err != nil {
		t.Fatal(err)
	}
	return n
}

// wrong is the nth code that is not this one.
func wrong(code string, n int) string {
	v, _ := strconv.Atoi(code)
	return fmt.Sprintf("%06d", (v+n)%1_000_000)
}

// serveAs answers over HTTP as a process with only this role would, with settings of the server's own.
func serveAs(t *testing.T, s *Service, server httpapi.Server) string {
	t.Helper()
	local := rpc.Local([]rpc.Service{{Desc: &userpb.User_ServiceDesc, Impl: RPC{Service: s}}})
	server.Routes = Routes(HTTP{Service: s})
	server.Check = (&auth.Checker{User: userpb.NewUserClient(local), Keep: time.Nanosecond}).Check
	h, err := server.Handler()
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	return ts.URL
}

// behindProxy serves with a proxy on this machine, so that a test can call from any address by X-Forwarded-For; a call
// that takes longer than timeout is given up, 0 is the usual one.
func behindProxy(t *testing.T, s *Service, timeout time.Duration) string {
	t.Helper()
	return serveAs(t, s, httpapi.Server{JSONTimeout: timeout, Addresses: httpapi.Addresses{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
}

// requestsFrom gives contexts of requests from addresses.
func requestsFrom(t *testing.T) func(addr string) context.Context {
	t.Helper()
	ctx := t.Context()
	h, err := (&httpapi.Server{UI: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx = context.WithoutCancel(r.Context())
	})}).Handler()
	if err != nil {
		t.Fatal(err)
	}
	return func(addr string) context.Context {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.RemoteAddr = addr
		if a, err := netip.ParseAddr(addr); err == nil {
			r.RemoteAddr = netip.AddrPortFrom(a, 1).String()
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		return ctx
	}
}

func object(t *testing.T, body string) map[string]any {
	t.Helper()
	var m map[string]any
	dec := json.NewDecoder(bytes.NewReader([]byte(body)))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return m
}

// A person without an account types a phone and then a code, and has one: two requests. The next time it is the same.
func TestSMSStory(t *testing.T) {
	f, p := newSMSFixture(t)
	url := f.serve(t, false)
	var first string
	for range 2 {
		resp, body := call(t, "POST", url+"/api/v1/auth/sms/code", `{"phone":"139 1234 5678"}`)
		sent := object(t, body)
		if resp.StatusCode != 200 || sent["expiresIn"] != json.Number("300") || sent["retryIn"] != json.Number("60") || len(sent) != 3 ||
			resp.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		resp, body = call(t, "POST", url+"/api/v1/auth/session",
			fmt.Sprintf(`{"phone":"139 1234 5678","code":%q,"requestId":%q}`, p.code(t, bobPhone), sent["requestId"]), "Origin: "+url)
		if resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		c := sessionCookie(t, resp)
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || strings.Contains(body, c.Value) {
			t.Errorf("%+v", c)
		}
		me, body := call(t, "GET", url+"/api/v1/me", "", "Cookie: "+c.Name+"="+c.Value)
		got := object(t, body)
		if me.StatusCode != 200 || got["role"] != "user" || got["hasPassword"] != false || got["phone"] != bobPhone.Masked() {
			t.Errorf("%d %s", me.StatusCode, body)
		}
		if first == "" {
			first = got["id"].(string)
		}
		if got["id"] != first {
			t.Errorf("account %s the first time, %s then", first, got["id"])
		}
		f.forward(codePause)
	}
	if n := f.count(t, "users"); n != 3 {
		t.Errorf("%d accounts", n)
	}
	// A program signs in likewise and gets tokens.
	_, body := call(t, "POST", url+"/api/v1/auth/sms/code", `{"phone":"`+string(bobPhone)+`"}`)
	resp, body := call(t, "POST", url+"/api/v1/auth/sms/login",
		fmt.Sprintf(`{"phone":%q,"code":%q,"requestId":%q}`, bobPhone, p.code(t, bobPhone), object(t, body)["requestId"]))
	if resp.StatusCode != 200 || len(resp.Cookies()) > 0 || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if resp, body := call(t, "GET", url+"/api/v1/me", "", "Authorization: Bearer "+between(t, body, `"accessToken":"`)); object(t, body)["id"] != first {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if n := f.count(t, "audit WHERE action = 'signin.ok' AND detail = 'sms' AND actor_id NOT IN (1000, 1001)"); n != 3 {
		t.Errorf("the audit log has %d sign-ins", n)
	}
}

// Whoever signs in by a page of another site does not get a session here (B038).
func TestSMSFromAnotherSite(t *testing.T) {
	f, p := newSMSFixture(t)
	url := f.serve(t, false)
	id, code := f.asked(t, p, annPhone)
	body := fmt.Sprintf(`{"phone":%q,"code":%q,"requestId":%q}`, annPhone, code, id)
	if resp, got := call(t, "POST", url+"/api/v1/auth/session", body, "Origin: https://evil.example"); resp.StatusCode != 403 || len(resp.Cookies()) > 0 {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
	if resp, got := call(t, "POST", url+"/api/v1/auth/session", body, "Origin: "+url); resp.StatusCode != 200 {
		t.Errorf("the code is spent: %d %s", resp.StatusCode, got)
	}
}

// However a number is written, it is one phone: one account, and one count of messages.
func TestPhonesAsPeopleWriteThem(t *testing.T) {
	f, p := newSMSFixture(t)
	url := f.serve(t, false)
	for _, written := range []string{
		"13800138000", "+86 138-0013-8000", "0086 138 0013 8000", "008613800138000", "+8613800138000", "(138) 0013-8000",
		"１３８００１３８０００", "＋８６　１３８ ００１３ ８０００", "（１３８）００１３－８０００",
	} {
		resp, body := call(t, "POST", url+"/api/v1/auth/sms/code", `{"phone":"`+written+`"}`)
		if resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", written, resp.StatusCode, body)
			continue
		}
		// S10: the pause is the phone's, not the spelling's.
		if resp, body := call(t, "POST", url+"/api/v1/auth/sms/code", `{"phone":"+86 13800138000"}`); resp.StatusCode != 429 {
			t.Errorf("%s, and again in other words: %d %s", written, resp.StatusCode, body)
		}
		resp, got := call(t, "POST", url+"/api/v1/auth/sms/login",
			fmt.Sprintf(`{"phone":"%s","code":%q,"requestId":%q}`, written, p.code(t, annPhone), object(t, body)["requestId"]))
		if resp.StatusCode != 200 || !strings.Contains(got, `"id":"1001"`) {
			t.Errorf("%s: %d %s", written, resp.StatusCode, got)
		}
		f.forward(time.Hour)
	}
	before := p.count()
	for _, nonsense := range []string{
		`""`, `"1"`, `"1380013800"`, `"138001380001"`, `"hello"`, `"+999 123 4567"`, `"+86"`, `"13800138000 ext. 5"`, `"13800138000;1"`,
		`"13800138000\n13912345678"`, `"13800138000,13912345678"`, `"tel:13800138000"`, `"13800138000\u0000"`, `"' OR 1=1 --"`, `"+"`, `"00000000000"`,
		`"12345678901"`, `"` + strings.Repeat("1", 100_000) + `"`, `13800138000`, `["13800138000"]`, `{"phone":"13800138000"}`, `null`, `true`,
		`"١٣٨٠٠١٣٨٠٠٠x"`,
	} {
		resp, body := call(t, "POST", url+"/api/v1/auth/sms/code", `{"phone":`+nonsense+`}`)
		if resp.StatusCode != 400 || !strings.Contains(body, `"field":"phone"`) {
			t.Errorf("%.40s: %d %s", nonsense, resp.StatusCode, body)
		}
	}
	if p.count() != before {
		t.Errorf("%d messages went out", p.count()-before)
	}
}

// B020: what is no code is refused as such, and costs the code that was sent nothing.
func TestNoCodes(t *testing.T) {
	f, p := newSMSFixture(t)
	url := f.serve(t, false)
	id, code := f.asked(t, p, annPhone)
	fields := `"phone":"` + string(annPhone) + `","requestId":"` + id + `"`
	for _, path := range []string{"/api/v1/auth/session", "/api/v1/auth/sms/login"} {
		for _, bad := range []string{
			`" 123456"`, `"123456 "`, `"１２３４５６"`, `"12345"`, `"0123456"`, `null`, `["123456"]`, `123456`, `""`, `"12345a"`, `"-12345"`, `"1e5000"`, `{}`,
			`"123456\n"`,
		} {
			if resp, body := call(t, "POST", url+path, `{`+fields+`,"code":`+bad+`}`); resp.StatusCode != 400 || !strings.Contains(body, `"code"`) {
				t.Errorf("%s %s: %d %s", path, bad, resp.StatusCode, body)
			}
		}
		if resp, body := call(t, "POST", url+path, `{`+fields+`}`); resp.StatusCode != 400 {
			t.Errorf("%s without a code: %d %s", path, resp.StatusCode, body)
		}
	}
	if resp, body := call(t, "POST", url+"/api/v1/auth/session", `{`+fields+`,"code":"`+code+`"}`); resp.StatusCode != 200 {
		t.Errorf("the right one: %d %s", resp.StatusCode, body)
	}
}

// S10, S2: a phone with an account and one without get the same answers, whoever may register.
func TestSameAnswersForAnyPhone(t *testing.T) {
	for _, policy := range policies {
		f, _ := newSMSFixture(t)
		if err := f.setRegistration(t.Context(), policy); err != nil {
			t.Fatal(err)
		}
		f.exec(t, "INSERT INTO users (id, login, password_hash, role, created_at, disabled_at, phone) VALUES (1002, 'gone', '', 'user', 1, 1, '+8613812345678')")
		url := f.serve(t, false)
		var want []string
		for _, to := range []sms.Phone{annPhone, bobPhone, "+8613812345678"} {
			var got []string
			requestID := ""
			note := func(resp *http.Response, body string) {
				body = strings.Replace(body, resp.Header.Get("X-Request-Id"), "ID", 1)
				if id, ok := object(t, body)["requestId"].(string); ok && id != "ID" {
					if len(id) != 26 {
						t.Errorf("request id %q", id)
					}
					requestID = id
					body = strings.Replace(body, id, "ID", 1)
				}
				resp.Header.Del("Date")
				resp.Header.Del("X-Request-Id")
				got = append(got, fmt.Sprint(resp.StatusCode, body, resp.Header))
			}
			note(call(t, "POST", url+"/api/v1/auth/sms/code", `{"phone":"`+string(to)+`"}`))
			note(call(t, "POST", url+"/api/v1/auth/sms/code", `{"phone":"`+string(to)+`"}`))
			code := "000000"
			if f.SMS.(*console.Sender).Out.(*phones).code(t, to) == code {
				code = "000001"
			}
			for range 2 * codeAttempts {
				note(call(t, "POST", url+"/api/v1/auth/session", fmt.Sprintf(`{"phone":%q,"code":%q,"requestId":%q}`, to, code, requestID)))
			}
			if want == nil {
				want = got
			}
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("%s, answer %d: %s\nwant %s", to, i, got[i], want[i])
				}
			}
		}
	}
}

// Who may register decides whether a phone without an account gets one; who has one enters in any case.
func TestSMSRegistrationPolicy(t *testing.T) {
	for policy, open := range map[string]bool{"closed": false, "invite": false, "sms": true, "open": true} {
		f, p := newSMSFixture(t)
		if err := f.setRegistration(t.Context(), policy); err != nil {
			t.Fatal(err)
		}
		id, code := f.asked(t, p, annPhone)
		if a, err := f.bySMS(t.Context(), string(annPhone), code, id, ""); err != nil || a.ID != 1001 {
			t.Errorf("%s: ann: %v", policy, err)
		}
		id, code = f.asked(t, p, bobPhone)
		_, err := f.bySMS(t.Context(), string(bobPhone), code, id, "")
		if open && err != nil || !open && errs.CodeOf(err) != "registration_closed" {
			t.Errorf("%s: bob: %v", policy, err)
		}
		want := int64(2)
		if open {
			want = 3
		}
		if n := f.count(t, "users"); n != want {
			t.Errorf("%s: %d accounts", policy, n)
		}
		// Where it was refused, the code is spent all the same.
		if _, err := f.bySMS(t.Context(), string(bobPhone), code, id, ""); errs.CodeOf(err) != "bad_code" {
			t.Errorf("%s: again: %v", policy, err)
		}
	}
}

// Only who shows the code of its phone hears that an account is closed, and nobody enters it or gets another by that phone.
func TestSMSToAClosedAccount(t *testing.T) {
	f, p := newSMSFixture(t)
	for _, state := range []string{disabled, deleted} {
		if err := f.manage(t.Context(), 1001, change{state: state}); err != nil {
			t.Fatal(err)
		}
		id, code := f.asked(t, p, annPhone)
		if _, err := f.bySMS(t.Context(), string(annPhone), wrong(code, 1), id, ""); errs.CodeOf(err) != "bad_code" {
			t.Errorf("%s, a wrong code: %v", state, err)
		}
		if _, err := f.bySMS(t.Context(), string(annPhone), code, id, ""); errs.CodeOf(err) != "account_closed" {
			t.Errorf("%s: %v", state, err)
		}
		f.forward(codePause)
	}
	if n := f.count(t, "users"); n != 2 {
		t.Errorf("%d accounts", n)
	}
	if n := f.count(t, "sessions"); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// A drive without a sender has no way in by SMS, and says so.
func TestSMSOff(t *testing.T) {
	f := newFixture(t)
	url := f.serve(t, false)
	for path, body := range map[string]string{
		"/api/v1/auth/sms/code":  `{"phone":"13800138000"}`,
		"/api/v1/auth/sms/login": `{"phone":"13800138000","code":"123456"}`,
		"/api/v1/auth/session":   `{"phone":"13800138000","code":"123456"}`,
	} {
		if resp, got := call(t, "POST", url+path, body); resp.StatusCode != 403 || !strings.Contains(got, `"sms_off"`) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, got)
		}
	}
	if _, body := call(t, "GET", url+"/api/v1/auth/methods", ""); object(t, body)["sms"] != false {
		t.Error(body)
	}
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
