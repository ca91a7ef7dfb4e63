package user

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"database/sql"

	"github.com/zeromicro/go-zero/core/logx"

	"github.com/livil/gopan/internal/sms"
	"github.com/livil/gopan/internal/sms/smstest"
	"github.com/livil/gopan/internal/sms/tencent"
)

// newTencentFixture is a fixture that sends by Tencent Cloud's SDK, to an endpoint on this machine.
func newTencentFixture(t *testing.T) (fixture, *smstest.Server) {
	t.Helper()
	f, _ := newSMSFixture(t)
	s := &smstest.Server{SecretID: "AKIDtest", SecretKey: "c4nary-secret-key"}
	ts := httptest.NewServer(s)
	t.Cleanup(ts.Close)
	sender, err := tencent.New(tencent.Options{
		SecretID: s.SecretID, SecretKey: s.SecretKey, Region: "ap-guangzhou", Endpoint: ts.URL,
		AppID: "1400006666", Sign: "Gopan", Template: "449739", Timeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.SMS = sender
	return f, s
}

// codesKept is how many codes kv holds, judged or not.
func codesKept(t *testing.T, f fixture) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(f.dir, "kv.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM kv WHERE key LIKE 'sms-code:%'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// By the real SDK: a code comes to the phone that asked, with its life in minutes, and signs in.
func TestSMSByTencent(t *testing.T) {
	f, s := newTencentFixture(t)
	url := f.serve(t, false)
	resp, body := call(t, "POST", url+"/api/v1/auth/sms/code", `{"phone":"139 1234 5678"}`)
	sent := s.Sent()
	if resp.StatusCode != 200 || len(sent) != 1 || sent[0].Phone != string(bobPhone) || len(sent[0].Params) != 2 || sent[0].Params[1] != "5" || s.Calls() != 1 {
		t.Fatalf("%d %s: %+v", resp.StatusCode, body, sent)
	}
	if codesKept(t, f) != 1 {
		t.Errorf("%d codes kept", codesKept(t, f))
	}
	code, id := sent[0].Params[0], object(t, body)["requestId"]
	if resp, body := call(t, "POST", url+"/api/v1/auth/session", fmt.Sprintf(`{"phone":%q,"code":%q,"requestId":%q}`, bobPhone, wrong(code, 1), id)); resp.StatusCode != 401 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := call(t, "POST", url+"/api/v1/auth/session", fmt.Sprintf(`{"phone":%q,"code":%q,"requestId":%q}`, bobPhone, code, id)); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if n := f.count(t, "users WHERE phone = ?", string(bobPhone)); n != 1 {
		t.Errorf("%d accounts", n)
	}
}

// F46, G11, S10: whatever the provider does, the answer is 503 and soon, no code stays behind, nobody gets an account, and the
// message counts: asking again at once is refused before the provider is asked. The log tells the operator why, and no secret.
func TestProviderFailsSMS(t *testing.T) {
	f, s := newTencentFixture(t)
	url := f.serve(t, false)
	var logged lockedBuffer
	logx.SetLevel(logx.DebugLevel)
	logx.SetWriter(logx.NewWriter(&logged))
	t.Cleanup(logx.Disable)
	for i, c := range []struct {
		name   string
		odd    http.HandlerFunc
		status int
		why    string
	}{
		{"500", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", 500) }, 503, ""},
		{"an error with 200", smstest.Error("InternalError", "x"), 503, "InternalError"},
		{"no money", smstest.Status("FailedOperation.InsufficientBalanceInSmsPackage"), 503, "InsufficientBalance"},
		{"its own limit", smstest.Status("LimitExceeded.PhoneNumberDailyLimit"), 503, "LimitExceeded"},
		{"a number that it does not know", smstest.Status("InvalidParameterValue.IncorrectPhoneNumber"), 400, ""},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, 503, ""},
		{"the request as its words", func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			http.Error(w, string(b), 500)
		}, 503, ""},
		{"cut off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503, ""},
		{"a hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 503, "no answer in time"},
	} {
		s.Behave(c.odd)
		to, before := sms.Phone(fmt.Sprintf("+8613812340%03d", i)), s.Calls()
		start := time.Now()
		resp, body := call(t, "POST", url+"/api/v1/auth/sms/code", `{"phone":"`+string(to)+`"}`)
		if resp.StatusCode != c.status || c.status == 503 && (resp.Header.Get("Retry-After") == "" || !strings.Contains(body, "sms_unavailable")) {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, body)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s: after %v", c.name, d)
		}
		if n := codesKept(t, f); n != 0 {
			t.Errorf("%s: %d codes kept", c.name, n)
		}
		for _, guess := range []string{"000000", "123456"} {
			if resp, body := call(t, "POST", url+"/api/v1/auth/session", fmt.Sprintf(`{"phone":%q,"code":%q}`, to, guess)); resp.StatusCode != 401 {
				t.Errorf("%s, and a guess: %d %s", c.name, resp.StatusCode, body)
			}
		}
		s.Behave(nil)
		if resp, body := call(t, "POST", url+"/api/v1/auth/sms/code", `{"phone":"`+string(to)+`"}`); resp.StatusCode != 429 {
			t.Errorf("%s, and at once again: %d %s", c.name, resp.StatusCode, body)
		}
		if n := s.Calls() - before; n != 1 {
			t.Errorf("%s: asked %d times", c.name, n)
		}
		if !strings.Contains(logged.String(), c.why) {
			t.Errorf("%s: the log does not say %s", c.name, c.why)
		}
	}
	if n := f.count(t, "users"); n != 2 || len(s.Sent()) != 0 {
		t.Errorf("%d accounts, %d sent", n, len(s.Sent()))
	}
	for _, secret := range []string{s.SecretKey, "1381234", "PhoneNumberSet", "TC3-HMAC"} {
		if strings.Contains(logged.String(), secret) {
			t.Errorf("the log holds %s:\n%s", secret, logged.String())
		}
	}
	// A minute later it works.
	f.forward(codePause)
	if resp, body := call(t, "POST", url+"/api/v1/auth/sms/code", `{"phone":"+8613812340000"}`); resp.StatusCode != 200 || len(s.Sent()) != 1 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
