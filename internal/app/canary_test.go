package app

import (
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/zeromicro/go-zero/core/logx"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/auth"
)

// S17, G22, L05: whatever goes well or wrong, no password, token, cookie, key or content is in the log, the metrics
// or the answers to errors.
func TestNoSecretGetsOut(t *testing.T) {
	var out lockedBuffer
	d := newDrive(t, func(p *Process) { p.Config.Log.All = true; p.Out = &out })
	var logged lockedBuffer
	old := logx.Reset()
	logx.SetWriter(logx.NewWriter(&logged))
	logx.SetLevel(logx.DebugLevel)
	log.SetOutput(&logged)
	oldSlog := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	t.Cleanup(func() {
		logx.SetWriter(old)
		logx.SetLevel(logx.InfoLevel)
		slog.SetDefault(oldSlog)
		log.SetOutput(os.Stderr)
	})

	const content, key, wrong = "c4nary-content-of-a-file", "c4nary-idempotency-key", "c4nary-wrong-password"
	body := content + strings.Repeat(" ", 100_000) // a file of the store, which can be damaged from outside
	secrets := []string{content, key, wrong, adminPassword}
	var replies []reply
	ask := func(method, path, body string, headers ...string) reply {
		r := d.ask(t, method, path, body, headers...)
		if r.StatusCode >= 400 {
			replies = append(replies, r)
		}
		return r
	}

	var tokens struct {
		AccessToken  string `json:"accessToken"`
		RefreshToken string `json:"refreshToken"`
	}
	ask("POST", "/api/v1/auth/login", `{"login":"admin","password":"`+adminPassword+`"}`).into(t, &tokens)
	secrets = append(secrets, tokens.AccessToken, tokens.RefreshToken)
	session := ask("POST", "/api/v1/auth/session", `{"login":"admin","password":"`+adminPassword+`"}`, "Origin: "+d.URL())
	cookie := ""
	for _, c := range session.Cookies() {
		secrets = append(secrets, c.Value)
		if c.Name == auth.CookieName {
			cookie = c.Value
		}
	}
	signingKey := d.key(t)
	secrets = append(secrets, string(signingKey))

	// What is wrong with a request must not be told by repeating it.
	for _, body := range []string{
		`{"login":"admin","password":"` + wrong + `"}`, `{"login":"` + wrong + `","password":"` + wrong + `"}`, `{"login":"admin","password":["` + wrong + `"]}`,
		`{"login":"admin","password":"` + wrong, `{"login":"admin","password":"` + wrong + `","extra":"` + wrong + `"}`, wrong, `"` + wrong + `"`,
	} {
		ask("POST", "/api/v1/auth/login", body)
		ask("POST", "/api/v1/auth/session", body, "Origin: "+d.URL())
		ask("POST", "/api/v1/auth/refresh", strings.ReplaceAll(body, "password", "refreshToken"))
	}
	ask("POST", "/api/v1/auth/refresh", `{"refreshToken":"`+tokens.AccessToken+`"}`)
	good := bearer(tokens.AccessToken)
	for _, credential := range []string{good, "Cookie: gopan_session=" + cookie, bearer(tokens.RefreshToken), bearer(wrong), "Authorization: Basic " + wrong, "Cookie: gopan_session=" + wrong} {
		for _, path := range []string{"/api/v1/me", "/api/v1/nowhere", "/api/v1/files/1?token=" + wrong, "/api/v1/files?limit=" + wrong, "/api/v1/files?cursor=" + wrong, "/api/v1/files?sort=%zz" + wrong} {
			ask("GET", path, "", credential)
		}
		ask("POST", "/api/v1/folders", `{"path":["`+content+`"]}`, credential, "Idempotency-Key: "+key+"-folder", "Origin: "+d.URL())
		ask("POST", "/api/v1/folders", `{"path":"/x"}`, credential, "Idempotency-Key: "+key+"-folder", "Origin: https://evil.example")
	}
	// What accounts have that is secret: keys, links, second factors, codes.
	sure := `"currentPassword":"` + adminPassword + `"`
	var appKey struct{ Secret string }
	d.ask(t, "POST", "/api/v1/me/keys", `{"name":"x","kind":"app",`+sure+`}`, good).into(t, &appKey)
	var invite, reset struct{ Link string }
	d.ask(t, "POST", "/api/v1/admin/invites", `{"note":"x"}`, good).into(t, &invite)
	d.ask(t, "POST", "/api/v1/admin/users/100001/reset", "", good).into(t, &reset)
	var factor struct{ Secret string }
	d.ask(t, "POST", "/api/v1/me/totp", `{`+sure+`}`, good).into(t, &factor)
	secrets = append(secrets, appKey.Secret, factor.Secret)
	for _, link := range []string{invite.Link, reset.Link} {
		_, token, _ := strings.Cut(link, "#")
		secrets = append(secrets, token)
		ask("POST", "/api/v1/auth/link", `{"token":"`+token+`"}`)
		ask("POST", "/api/v1/auth/register", `{"invite":"`+token+`","login":"x","password":"`+wrong+`"}`)
		ask("POST", "/api/v1/auth/reset", `{"token":"`+token+`","password":"short"}`)
	}
	ask("PUT", "/api/v1/me/totp", `{"code":"123456"}`, good)
	ask("PUT", "/api/v1/me/password", `{"currentPassword":"`+wrong+`","password":"`+wrong+`"}`, good)
	ask("POST", "/api/v1/me/keys", `{"name":"x","kind":"app","currentPassword":"`+wrong+`"}`, good)
	ask("GET", "/api/v1/files", "", basic("admin", appKey.Secret))
	ask("GET", "/api/v1/me", "", basic("admin", appKey.Secret))
	ask("GET", "/api/v1/files", "", basic("mallory", appKey.Secret))
	ask("GET", "/api/v1/files", "", basic("admin", wrong))
	ask("GET", "/api/v1/files", "", bearer(appKey.Secret+"x"))
	put := func(path, body string, headers ...string) reply {
		return ask("PUT", "/api/v1/uploads/content?path="+path, body, append(headers, good)...)
	}
	if r := put("/a.txt", body, "Idempotency-Key: "+key); r.StatusCode >= 300 {
		t.Fatal(r.StatusCode, r.body)
	}
	if r := put("/a.txt", body, "Idempotency-Key: "+key); r.StatusCode >= 300 {
		t.Fatal(r.StatusCode, r.body)
	}
	put("/b.txt", body, "Idempotency-Key: "+key)
	put("/c.txt", body, "Idempotency-Key: "+strings.Repeat(key, 100))
	put("/d.txt", body, "Gopan-Digest: "+strings.Repeat("0", 64))
	put("/e.txt", body, "Content-Encoding: gzip")
	put("/f%0a.txt", body)
	var u struct{ ID, Token string }
	ask("POST", "/api/v1/uploads", `{"path":"/g.txt","size":`+strconv.Itoa(len(body))+`}`, good, "Idempotency-Key: "+key+"-upload").into(t, &u)
	secrets = append(secrets, u.Token)
	token := "Upload-Token: " + u.Token
	for _, at := range []string{u.ID, strings.Repeat("A", 26)} {
		path := "/api/v1/uploads/" + at
		ask("PUT", path+"/blocks/0", body[1:], token)
		ask("PUT", path+"/blocks/0", body, token, "Content-Digest: sha-256=:"+wrong+":")
		ask("POST", path+"/proof", `{"answers":["`+wrong+`"]}`, token)
		ask("POST", path+"/complete", "", token)
	}
	ask("POST", "/api/v1/uploads/batch", body, good)
	if got := ask("GET", "/api/v1/content?path=/a.txt", "", good); got.body != body {
		t.Fatalf("the file is not there: %d", got.StatusCode)
	}

	events := d.ask(t, "GET", "/api/v1/admin/events/export", "", good).body
	if !strings.Contains(events, `"key.create"`) || !strings.Contains(events, `"signin.fail"`) {
		t.Errorf("the audit log: %s", events)
	}

	// Failures of ours, which are logged most fully: damaged content, then a database that is gone.
	spoil := func(how func(name string) error) {
		t.Helper()
		err := filepath.WalkDir(filepath.Join(d.dir, "blobs"), func(name string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() || len(e.Name()) != 64 {
				return err
			}
			return how(name)
		})
		if err := errors.Join(err, d.Stop(t.Context()), d.Start(t.Context())); err != nil { // content is checked anew
			t.Fatal(err)
		}
	}
	spoil(func(name string) error { return os.WriteFile(name, []byte(strings.ToUpper(body)), 0o600) })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL()+"/api/v1/content?path=/a.txt", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode < 500 && err == nil {
			t.Errorf("damaged content: %d", resp.StatusCode)
		}
	}
	spoil(os.Remove)
	if r := ask("GET", "/api/v1/content?path=/a.txt", "", good); r.StatusCode < 500 {
		t.Errorf("missing content: %d %s", r.StatusCode, r.body)
	}
	if err := d.db.Write(t.Context(), func(tx *gorm.DB) error { return tx.Exec("ALTER TABLE sessions RENAME TO lost").Error }); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/auth/login", "/api/v1/auth/session", "/api/v1/auth/refresh"} {
		body := `{"login":"admin","password":"` + adminPassword + `"}`
		if strings.HasSuffix(path, "refresh") {
			body = `{"refreshToken":"` + tokens.RefreshToken + `"}`
		}
		if r := ask("POST", path, body, "Origin: "+d.URL()); r.StatusCode != 503 {
			t.Errorf("%s with a broken database: %d %s", path, r.StatusCode, r.body)
		}
	}
	eventually(t, "the failures are noticed", func() bool { // tokens are kept for half a second
		return ask("GET", "/api/v1/me", "", good).StatusCode == 503
	})
	metrics := d.ask(t, "GET", "/metrics", "").body

	lines := logged.String()
	if !strings.Contains(lines, "/api/v1/auth/login") || strings.Count(lines, "\n") < 50 || !strings.Contains(metrics, "gopan_http_requests_total") {
		t.Fatalf("the log or the metrics were not caught: %d lines", strings.Count(lines, "\n"))
	}
	places := map[string]string{"the log": lines, "the metrics": metrics, "what the start printed": out.String(), "the audit log": events}
	for _, r := range replies {
		var head strings.Builder
		_ = r.Header.Write(&head) // a Builder does not fail
		places["the answer to "+r.Request.Method+" "+r.Request.URL.Path] += head.String() + r.body
	}
	for _, s := range secrets {
		for place, text := range places {
			if i := strings.Index(strings.ToLower(text), strings.ToLower(s)); i >= 0 {
				t.Errorf("%.12q… is in %s: %q", s, place, text[max(0, i-200):i])
			}
		}
	}
	if len(replies) < 50 {
		t.Errorf("only %d requests failed: the test does not try what it says", len(replies))
	}
}

// The password that a first start makes up is printed once, to who started it, and is no admin's of a second start.
func TestMadeUpPassword(t *testing.T) {
	var first, second lockedBuffer
	p := process(t.TempDir())
	p.AdminPassword = ""
	p.Out = &first
	for _, out := range []io.Writer{&first, &second} {
		p.Out = out
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, rest, ok := strings.Cut(first.String(), "with password ")
	password, _, _ := strings.Cut(rest, " ")
	if !ok || len(password) < 16 || strings.Count(first.String(), password) != 2 { // once in each language
		t.Errorf("%q", first.String())
	}
	if second.String() != "" {
		t.Errorf("a second start printed %q", second.String())
	}
}
