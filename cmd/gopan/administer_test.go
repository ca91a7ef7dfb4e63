package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// admin runs "gopan admin" on a data folder.
func admin(t *testing.T, data string, args ...string) (out string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := gopan(t.Context(), nil, append(append([]string{"admin"}, args...), "--data", data)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return stdout.String() + stderr.String(), cmd.ProcessState.ExitCode()
}

// Whoever has the machine looks after accounts while the drive runs, and what is done there takes effect in it.
func TestAdminUser(t *testing.T) {
	data := t.TempDir()
	s := startServer(t, "--data", data, "--listen", "127.0.0.1:0")
	must := func(args ...string) string {
		t.Helper()
		out, code := admin(t, data, args...)
		if code != exitOK {
			t.Fatalf("%v: %d %s", args, code, out)
		}
		return out
	}
	post := func(path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/v1"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b.String()
	}
	token := func(link string) string {
		t.Helper()
		line, _, _ := strings.Cut(link, "\n")
		_, token, ok := strings.Cut(line, "/welcome#")
		if !ok {
			t.Fatalf("no link in %q", link)
		}
		return token
	}
	const first, second = "Gr4nite-otter-lamp", "Quiet-h4rbour-mint"
	signIn := func(password string) int {
		status, _ := post("/auth/login", `{"login":"ann","password":"`+password+`"}`)
		return status
	}

	link := token(must("user", "add", "ann", "--name", "Ann"))
	if status, body := post("/auth/reset", `{"token":"`+link+`","password":"`+first+`"}`); status >= 300 {
		t.Fatal(status, body)
	}
	if status, _ := post("/auth/reset", `{"token":"`+link+`","password":"`+second+`"}`); status < 400 {
		t.Errorf("the link works twice: %d", status)
	}
	if status := signIn(first); status != 200 {
		t.Errorf("sign-in: %d", status)
	}
	// The secrets of other sites may be where the drive is started, and nowhere else.
	settings := filepath.Join(t.TempDir(), "gopan.yaml")
	if err := os.WriteFile(settings, []byte(`publicUrl: https://drive.example
auth:
  sms: {driver: tencent, tencent: {appId: "1", sign: s, template: "2"}}
  providers: [{name: github, kind: github, title: GitHub, clientId: x}]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := must("user", "invite", "--config", settings); !strings.HasPrefix(out, "https://drive.example/welcome#") {
		t.Error(out)
	}
	if out := must("methods", "--config", settings); !strings.Contains(out, "github: on") || !strings.Contains(out, "sms: on") {
		t.Error(out)
	}
	if out := must("user", "list"); !strings.Contains(out, "ann") || !strings.Contains(out, "admin") {
		t.Error(out)
	}
	var users []struct{ Login, State string }
	if err := json.Unmarshal([]byte(must("user", "list", "an", "--json")), &users); err != nil || len(users) != 1 || users[0].Login != "ann" {
		t.Error(users, err)
	}
	must("user", "disable", "ann")
	if status := signIn(first); status != 401 {
		t.Errorf("disabled: %d", status)
	}
	must("user", "enable", "ann")
	if status := signIn(first); status != 200 {
		t.Errorf("enabled: %d", status)
	}
	if status, body := post("/auth/reset", `{"token":"`+token(must("user", "reset", "ann"))+`","password":"`+second+`"}`); status >= 300 {
		t.Fatal(status, body)
	}
	if status := signIn(second); status != 200 {
		t.Errorf("the new password: %d", status)
	}
	must("user", "role", "ann", "admin")
	must("user", "name", "ann", "Anna")
	must("user", "delete", "ann")
	if out := must("user", "list", "--state", "deleted"); !strings.Contains(out, "Anna") || strings.Contains(out, "\nadmin") {
		t.Error(out)
	}
	must("user", "enable", "ann")
	must("user", "sign-out", "ann")
	must("user", "clear-totp", "ann")
	if out := must("user", "export", "ann"); !strings.Contains(out, `"ann"`) || !json.Valid([]byte(out)) {
		t.Error(out)
	}

	// Who is invited makes an account; closed to invitations, nobody does.
	must("registration", "invite")
	if out := must("registration"); strings.TrimSpace(out) != "invite" {
		t.Error(out)
	}
	invite := token(must("user", "invite", "--note", "for Bo", "--days", "1"))
	if status, body := post("/auth/register", `{"invite":"`+invite+`","login":"bo","password":"`+first+`"}`); status >= 300 {
		t.Errorf("by invitation: %d %s", status, body)
	}
	must("registration", "closed")
	invite = token(must("user", "invite"))
	if status, _ := post("/auth/register", `{"invite":"`+invite+`","login":"cy","password":"`+first+`"}`); status != 403 {
		t.Errorf("closed: %d", status)
	}

	must("user", "quota", "ann", "10GiB")
	if out := must("usage"); !strings.Contains(out, "ann") || !strings.Contains(out, "10.0 GiB") && !strings.Contains(out, "10 GiB") {
		t.Error(out)
	}
	must("methods", "off", "password")
	if out := must("methods"); !strings.Contains(out, "password: off") || !strings.Contains(out, "sms: not set up") {
		t.Error(out)
	}
	must("user", "role", "ann", "user")
	if status := signIn(second); status != 403 {
		t.Errorf("passwords are off: %d", status)
	}
	must("methods", "on", "password")
	if status := signIn(second); status != 200 {
		t.Errorf("passwords are on: %d", status)
	}

	must("group", "add", "staff")
	must("group", "join", "staff", "ann")
	must("group", "rename", "staff", "crew")
	if out := must("group", "list"); strings.TrimSpace(out) != "crew: ann" {
		t.Error(out)
	}
	must("group", "leave", "crew", "ann")
	must("group", "delete", "crew")
	if out := must("group", "list"); out != "" {
		t.Error(out)
	}

	for _, line := range strings.Split(strings.TrimSpace(must("events", "--user", "ann")), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("event %q", line)
		}
	}
	events := must("events")
	for _, want := range []string{"user.create", "signin.ok", "signin.fail", "policy.registration"} {
		if !strings.Contains(events, `"`+want+`"`) {
			t.Errorf("no event %s in %s", want, events)
		}
	}
	for _, secret := range []string{first, second, link, invite} {
		if strings.Contains(events, secret) {
			t.Error("a secret is in the audit log")
		}
	}
}

// What makes no sense is said so, and changes nothing.
func TestAdminUserRefuses(t *testing.T) {
	data := t.TempDir()
	startServer(t, "--data", data, "--listen", "127.0.0.1:0")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"user", "reset", "nobody"}, exitNotFound, "no account has this login"},
		{[]string{"user", "add", "a/b"}, exitFailed, "login"},
		{[]string{"user", "add", "admin"}, exitConflict, "taken"},
		{[]string{"user", "add"}, exitFailed, "arg"},
		{[]string{"user", "role", "admin", "king"}, exitFailed, ""},
		{[]string{"user", "role", "admin", "user"}, exitConflict, ""},
		{[]string{"user", "disable", "admin"}, exitConflict, ""},
		{[]string{"user", "quota", "admin", "much"}, exitUsage, "not a number of bytes"},
		{[]string{"methods", "off", "telepathy"}, exitNotFound, ""},
		{[]string{"methods", "maybe", "sms"}, exitUsage, "on or off"},
		{[]string{"registration", "everybody"}, exitFailed, ""},
		{[]string{"group", "join", "none", "admin"}, exitNotFound, "no group has this name"},
		{[]string{"user", "list", "--state", "odd"}, exitFailed, ""},
	} {
		out, code := admin(t, data, c.args...)
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%v: %d %s", c.args, code, out)
		}
	}
	if out, code := admin(t, t.TempDir()+"/nothing", "user", "list"); code != exitNotFound {
		t.Errorf("without a drive: %d %s", code, out)
	}
	if out, _ := admin(t, data, "user", "list"); strings.Count(out, "\n") != 1 {
		t.Error(out)
	}
}
