package user

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/userpb"
)

// S19: what matters to the safety of accounts leaves one event, with who did it, to whom, and from where. S17: none
// holds a secret.
func TestEveryActIsLogged(t *testing.T) {
	f := newPasskeyFixture(t)
	site := f.serve(t, false) + "/api/v1"
	boss, me := f.as(t, admin), f.as(t, ann)
	secrets := []string{password, newPassword}
	keep := func(s ...string) { secrets = append(secrets, s...) }
	var p app
	var codes []string
	var key NewAccessKey
	var link, invite string
	k := newToken()
	var group Group
	refresh := f.signedIn(t).refresh
	ok := func(status int, method, path, request string, who ...*string) func() {
		return func() {
			headers := []string{"X-None: 1"}
			for _, w := range who {
				headers = append(headers, *w)
			}
			fetch(t, status, "", method, site+path, request, headers...)
		}
	}
	for _, c := range []struct {
		name string
		act  func()
		// want is "ACTION ACTOR USER" of each event.
		want []string
	}{
		{"sign in", ok(200, "POST", "/auth/login", body("login", "ann", "password", password)), []string{"signin.ok 1001 1001"}},
		{"a wrong password", ok(401, "POST", "/auth/login", body("login", "ann", "password", "wrong-secret")), []string{"signin.fail 0 1001"}},
		{"nobody's login", ok(401, "POST", "/auth/login", body("login", "nobody", "password", "wrong-secret")), []string{"signin.fail 0 0"}},
		{"a wrong current password", ok(403, "POST", "/me/totp", `{"currentPassword":"wrong-secret"}`, &me), []string{"password.wrong 1001 1001"}},
		{"begin a second factor", func() { p = app{f, post[TOTPSecret](t, "POST", site+"/me/totp", sureBody, me).Secret}; keep(p.secret) }, nil},
		{"turn it on", func() {
			codes = post[RecoveryCodes](t, "PUT", site+"/me/totp", body("totp", p.code(t, 0)), me).Codes
			keep(codes...)
		}, []string{"totp.on 1001 1001"}},
		{"a wrong code", func() {
			fetch(t, 401, "", "POST", site+"/auth/login", body("login", "ann", "password", password, "totp", p.wrongCode(t)))
		}, []string{"signin.fail 0 1001"}},
		{"a recovery code", func() {
			fetch(t, 200, "", "POST", site+"/auth/login", body("login", "ann", "password", password, "totp", codes[0]))
		}, []string{"totp.recovery-code 0 1001", "signin.ok 1001 1001"}},
		{"new recovery codes", func() {
			keep(post[RecoveryCodes](t, "POST", site+"/me/recovery-codes", sureBody, me).Codes...)
		}, []string{"totp.new-recovery-codes 1001 1001"}},
		{"turn it off", ok(204, "POST", "/me/totp/delete", sureBody, &me), []string{"totp.off 1001 1001"}},
		{"add a passkey", func() {
			c := post[Ceremony](t, "POST", site+"/me/passkeys/begin", sureBody, me)
			post[Passkey](t, "POST", site+"/me/passkeys", body("name", "Key", "ceremony", c.ID, "passkey", k.create(t, c.Options)), me)
			keep(c.ID)
		}, []string{"passkey.add 1001 1001"}},
		{"sign in by it", func() { f.enter(t, site, &k) }, []string{"signin.ok 1001 1001"}},
		{"a wrong answer of it", func() {
			c := post[Ceremony](t, "POST", site+"/auth/passkey", "")
			fetch(t, 401, "bad_passkey", "POST", site+"/auth/session", body("ceremony", c.ID, "passkey", "{}"))
		}, []string{"signin.fail 0 0"}},
		{"rename it", func() {
			fetch(t, 204, "", "PATCH", site+"/me/passkeys/"+get[PasskeyList](t, site+"/me/passkeys", me).Items[0].ID, body("name", "Blue"), me)
		}, []string{"passkey.rename 1001 1001"}},
		{"remove it", func() {
			fetch(t, 204, "", "DELETE", site+"/me/passkeys/"+get[PasskeyList](t, site+"/me/passkeys", me).Items[0].ID, "", me)
		}, []string{"passkey.remove 1001 1001"}},
		{"make a key", func() {
			key = post[NewAccessKey](t, "POST", site+"/me/keys", body("name", "Laptop", "kind", "app", "currentPassword", password), me)
			keep(key.Secret)
		}, []string{"key.create 1001 1001"}},
		{"use it", func() { fetch(t, 200, "", "GET", site+"/auth/whoami", "", basic("ann", key.Secret)) }, nil},
		{"revoke it", func() { fetch(t, 204, "", "DELETE", site+"/me/keys/"+key.Key.ID, "", me) }, []string{"key.revoke 1001 1001"}},
		{"a new name", ok(200, "PATCH", "/me", body("name", "Ann"), &me), []string{"user.rename 1001 1001"}},
		{"a new login", ok(200, "PATCH", "/me", body("login", "anna"), &me), []string{"user.rename 1001 1001"}},
		{"end the other sessions", ok(204, "DELETE", "/me/sessions", "", &me), []string{"session.end-others 1001 1001"}},
		{"a refresh token after that", ok(401, "POST", "/auth/refresh", body("refreshToken", refresh)), nil},
		{"a refresh token twice", func() {
			s := f.signedIn(t)
			fetch(t, 200, "", "POST", site+"/auth/refresh", body("refreshToken", s.refresh))
			for range 2 {
				fetch(t, 401, "bad_refresh", "POST", site+"/auth/refresh", body("refreshToken", s.refresh))
			}
			keep(s.refresh, s.access)
		}, []string{"signin.ok 1001 1001", "session.reuse 0 1001"}},
		{"change the password", ok(204, "PUT", "/me/password", body("currentPassword", password, "password", newPassword), &me), []string{"password.change 1001 1001"}},
		{"sign out", ok(204, "POST", "/auth/logout", "", &me), []string{"session.end 1001 1001"}},
		{"a link to set a password", func() {
			link = tokenOf(t, post[OneTimeLink](t, "POST", site+"/admin/users/1001/reset", "", boss).Link)
			keep(link)
		}, []string{"link.reset 1000 1001"}},
		{"set it", func() { fetch(t, 204, "", "POST", site+"/auth/reset", body("token", link, "password", newPassword)) }, []string{"password.reset 0 1001"}},
		{"invite", func() {
			invite = tokenOf(t, post[NewInvite](t, "POST", site+"/admin/invites", `{"note":"for Bob"}`, boss).Link)
			keep(invite)
		}, []string{"link.invite 1000 0"}},
		{"accept", func() {
			fetch(t, 200, "", "POST", site+"/auth/register", body("invite", invite, "login", "bob", "password", newPassword))
		}, []string{"user.create 0 " + "NEW"}},
		{"invite and withdraw", func() {
			i := post[NewInvite](t, "POST", site+"/admin/invites", `{}`, boss)
			fetch(t, 204, "", "DELETE", site+"/admin/invites/"+i.Invite.ID, "", boss)
		}, []string{"link.invite 1000 0", "link.withdraw 1000 0"}},
		{"make an account", ok(200, "POST", "/admin/users", body("login", "carl", "password", newPassword), &boss), []string{"user.create 1000 NEW"}},
		{"rename, promote and disable", ok(200, "PATCH", "/admin/users/1001", body("name", "A", "role", "admin", "state", "disabled"), &boss),
			[]string{"user.name 1000 1001", "user.role 1000 1001", "user.state 1000 1001"}},
		{"enable", ok(200, "PATCH", "/admin/users/1001", body("state", "active"), &boss), []string{"user.state 1000 1001"}},
		{"what is refused is no act", ok(404, "PATCH", "/admin/users/4711", body("state", "disabled"), &boss), nil},
		{"clear a second factor", ok(204, "DELETE", "/admin/users/1001/totp", "", &boss), []string{"totp.off 1000 1001"}},
		{"end all", ok(204, "DELETE", "/admin/users/1001/sessions", "", &boss), []string{"session.end-all 1000 1001"}},
		{"make a group", func() { group = post[Group](t, "POST", site+"/admin/groups", body("name", "Staff"), boss) }, []string{"group.create 1000 0"}},
		{"rename it", func() { fetch(t, 204, "", "PATCH", site+"/admin/groups/"+group.ID, body("name", "Crew"), boss) }, []string{"group.rename 1000 0"}},
		{"fill it", func() { fetch(t, 204, "", "PUT", site+"/admin/groups/"+group.ID+"/members/1001", "", boss) }, []string{"group.add 1000 1001"}},
		{"empty it", func() { fetch(t, 204, "", "DELETE", site+"/admin/groups/"+group.ID+"/members/1001", "", boss) }, []string{"group.remove 1000 1001"}},
		{"delete it", func() { fetch(t, 204, "", "DELETE", site+"/admin/groups/"+group.ID, "", boss) }, []string{"group.delete 1000 0"}},
		{"set the policy", ok(200, "PUT", "/admin/policy", body("registration", "closed"), &boss), []string{"policy.registration 1000 0"}},
		{"export an account", ok(200, "GET", "/admin/users/1001/export", "", &boss), []string{"user.export 1000 1001"}},
		{"export the log", ok(200, "GET", "/admin/events/export", "", &boss), []string{"audit.export 1000 0"}},
		{"read it", ok(200, "GET", "/admin/events", "", &boss), nil},
		{"delete", ok(200, "PATCH", "/admin/users/1001", body("state", "deleted"), &boss), []string{"user.state 1000 1001"}},
	} {
		before := len(f.log(t, ""))
		c.act()
		all := f.log(t, "")
		var got []string
		for _, e := range all[:len(all)-before] {
			user := fmt.Sprint(e.UserID)
			if e.UserID > 0 && e.UserID < admin {
				user = "NEW"
			}
			got = append(got, fmt.Sprintf("%s %d %s", e.Action, e.ActorID, user))
			if e.Address != "127.0.0.1" && e.Address != "" || e.Address == "" && e.Action != "signin.ok" {
				t.Errorf("%s: from %q", c.name, e.Address)
			}
			if e.At == 0 || e.UserID != 0 && e.Object != fmt.Sprint("user ", e.UserID) {
				t.Errorf("%s: %+v", c.name, e)
			}
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		f.forward(delay(DefaultLimits.Failures))
		if c.name == "turn it on" || c.name == "sign out" {
			me = f.as(t, ann)
		}
		boss, me = f.again(t, boss, admin), f.again(t, me, ann)
	}
	everything := fetch(t, 200, "", "GET", site+"/admin/events/export", "", f.as(t, admin)) + fetch(t, 200, "", "GET", site+"/admin/users/1001/export", "", f.as(t, admin))
	for _, s := range append(secrets, "wrong-secret") {
		for _, form := range []string{s, url.QueryEscape(s), strings.ReplaceAll(s, "-", "")} {
			if strings.Contains(everything, form) {
				t.Errorf("the log or the export tells %q", form)
			}
		}
	}
}

// S19: nothing in the program changes or removes an event, and no route does.
func TestAuditIsAppendOnly(t *testing.T) {
	touches := regexp.MustCompile(`(?is)\b(update|delete\s+from|replace\s+into|truncate(\s+table)?|insert\s+into)\s+audit\b|\b(save|delete|updates?|updatecolumns?|model)\(&?event\b`)
	if !touches.MatchString(`tx.Exec("DELETE FROM audit")`) || !touches.MatchString("tx.Model(&event{})") {
		t.Fatal("the test sees nothing")
	}
	seen := 0
	for _, root := range []string{"..", "../../cmd"} {
		if err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			seen++
			if found := touches.Find(text); found != nil {
				t.Errorf("%s: %s", path, found)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if seen < 50 {
		t.Fatalf("%d files were read", seen)
	}
	for _, r := range Routes(HTTP{}) {
		if strings.Contains(r.Path, "events") && r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.Path)
		}
	}
}

// fill writes n events at the same moment.
func (f fixture) fill(t *testing.T, n int, action string, user int64) {
	t.Helper()
	for i := range n {
		if err := f.record(t.Context(), action, user, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// C10: page by page, each event that was there throughout comes once, in order, while others are written.
func TestEventsPageByPage(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	boss := f.as(t, admin)
	other := f.another(t)
	f.fill(t, 10, "test.one", ann)
	f.forward(time.Second)
	for i := range 5 { // with ids of another process, which may be lower
		if err := other.record(t.Context(), "test.one", ann, fmt.Sprint("other", i)); err != nil {
			t.Fatal(err)
		}
	}
	f.fill(t, 10, "test.one", ann)
	want := make(map[string]int)
	for _, e := range f.log(t, "test.one") {
		want[decimal(e.ID)] = 0
	}
	for cursor, pages := "", 0; ; pages++ {
		page := get[EventPage](t, site+"/admin/events?action=test.&limit=4&cursor="+cursor, boss)
		for _, e := range page.Items {
			if _, was := want[e.ID]; was {
				want[e.ID]++
			}
		}
		if !slices.IsSortedFunc(page.Items, func(a, b AccountEvent) int { return strings.Compare(b.At, a.At) }) || len(page.Items) > 4 {
			t.Errorf("%+v", page)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
		if pages > 100 {
			t.Fatal("there is no end")
		}
		f.fill(t, 1, "test.two", ann)
		if err := other.record(t.Context(), "test.two", ann, ""); err != nil {
			t.Fatal(err)
		}
	}
	for id, n := range want {
		if n != 1 {
			t.Errorf("event %s came %d times", id, n)
		}
	}
	if len(want) != 25 {
		t.Errorf("%d events", len(want))
	}
}

// Events are picked by action, by account and by time.
func TestEventFilters(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	begin := f.clock.Now()
	f.fill(t, 2, "a.one", ann)
	f.forward(time.Minute)
	f.fill(t, 3, "a.two", admin)
	f.fill(t, 1, "a", 0)
	f.fill(t, 1, "ab.one", 0)
	f.forward(time.Minute)
	f.fill(t, 4, "a.one", 0)
	boss := f.as(t, admin)
	at := func(d time.Duration) string { return url.QueryEscape(begin.Add(d).Format(time.RFC3339)) }
	for query, want := range map[string]int{
		"action=a.":                          9,
		"action=a.one":                       6,
		"action=a":                           1,
		"action=a%25":                        0,
		"action=_.one":                       0,
		"action=x":                           0,
		"action=a.&userId=1001":              2,
		"action=a.&userId=1000":              3,
		"action=a.&userId=4711":              0,
		"action=a.&since=" + at(time.Minute): 7,
		"action=a.&until=" + at(time.Minute): 2,
		"action=a.&since=" + at(time.Minute) + "&until=" + at(2*time.Minute):    3,
		"action=a.one&userId=1001&since=" + at(0) + "&until=" + at(time.Second): 2,
		"action=a.&since=" + at(time.Hour):                                      0,
	} {
		if got := get[EventPage](t, site+"/admin/events?"+query, boss).Items; len(got) != want {
			t.Errorf("%s: %d, want %d", query, len(got), want)
		}
		lines := strings.Count(fetch(t, 200, "", "GET", site+"/admin/events/export?"+query, "", boss), "\n")
		if lines != want {
			t.Errorf("export, %s: %d, want %d", query, lines, want)
		}
	}
	for query, field := range map[string]string{
		"userId=x": "userId", "userId=-1": "userId", "userId=0": "userId", "since=yesterday": "since", "until=1": "until", "since=2026-01-01": "since",
		"limit=0": "limit", "limit=1001": "limit", "cursor=x": "cursor", "cursor=1": "cursor", "cursor=1.2x": "cursor", "cursor=1.-2": "cursor",
		"cursor=1.99999999999999999999": "cursor", "action=%FF": "action",
	} {
		if text := fetch(t, 400, "", "GET", site+"/admin/events?"+query, "", boss); !strings.Contains(text, `"field":"`+field+`"`) {
			t.Errorf("%s: %s", query, text)
		}
		if strings.HasPrefix(query, "limit") || strings.HasPrefix(query, "cursor") {
			continue
		}
		if text := fetch(t, 400, "", "GET", site+"/admin/events/export?"+query, "", boss); !strings.Contains(text, `"field":"`+field+`"`) {
			t.Errorf("export, %s: %s", query, text)
		}
	}
}

// The export is all of the log, a line of JSON each, the oldest first, however long, and while more is written.
func TestExportEvents(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	const many = 2*exportPage + 37
	f.fill(t, many, "test.fill", ann)
	boss := f.as(t, admin)
	stop, written := make(chan struct{}), sync.WaitGroup{}
	written.Go(func() {
		other := f.another(t)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := other.record(t.Context(), "test.more", ann, ""); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer written.Wait()
	defer close(stop)
	req, err := http.NewRequestWithContext(t.Context(), "GET", site+"/admin/events/export?action=test.fill", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", strings.TrimPrefix(boss, "Authorization: "))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	h := resp.Header
	if resp.StatusCode != 200 || h.Get("Content-Type") != "application/x-ndjson" || h.Get("Content-Disposition") != `attachment; filename="gopan-events.ndjson"` ||
		h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || resp.ContentLength != -1 {
		t.Errorf("%d %v, %d bytes announced", resp.StatusCode, h, resp.ContentLength)
	}
	next := 0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); next++ {
		var e AccountEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Detail != fmt.Sprint(next) || e.UserLogin != "ann" || e.UserID != "1001" || e.ActorID != "" {
			t.Fatalf("line %d: %s, %v", next, lines.Text(), err)
		}
	}
	if next != many {
		t.Errorf("%d lines, want %d", next, many)
	}
	// The log of who was there when, in one account's export: one JSON object with the events in it.
	var whole struct {
		Account ManagedUser    `json:"account"`
		Events  []AccountEvent `json:"events"`
	}
	read(t, fetch(t, 200, "", "GET", site+"/admin/users/1001/export", "", boss), &whole)
	if whole.Account.Login != "ann" || len(whole.Events) < many {
		t.Errorf("%+v, %d events", whole.Account, len(whole.Events))
	}
}

// An export of one's own account holds what is known of it, no secret, and nobody else's.
func TestExportMe(t *testing.T) {
	f := newPasskeyFixture(t)
	site := f.serve(t, false) + "/api/v1"
	f.exec(t, "INSERT INTO identities (provider, subject, user_id, login, linked_at) VALUES ('github', '7', 1001, 'ann-hub', 1)")
	f.withPasskey(t, ann)
	f.withPasskey(t, admin)
	_, secret := f.key(t, accessKey{UserID: ann, Kind: "app", Name: "Laptop"}, 0)
	f.key(t, accessKey{UserID: admin, Kind: "app", Name: "Server room"}, 0)
	p, _ := f.withApp(t)
	boss, me := f.as(t, admin), f.as(t, ann)
	fetch(t, 200, "", "PATCH", site+"/admin/users/1001", body("name", "Ann"), boss)
	text := fetch(t, 200, "", "GET", site+"/me/export", "", me)
	var got struct {
		Account    ManagedUser    `json:"account"`
		Sessions   []Session      `json:"sessions"`
		Keys       []AccessKey    `json:"keys"`
		Passkeys   []Passkey      `json:"passkeys"`
		Identities []Identity     `json:"identities"`
		Events     []AccountEvent `json:"events"`
	}
	read(t, text, &got)
	if got.Account.Login != "ann" || len(got.Sessions) != 1 || len(got.Keys) != 1 || len(got.Passkeys) != 1 || len(got.Identities) != 1 || len(got.Events) < 5 {
		t.Errorf("%s", text)
	}
	hash := f.ann(t).PasswordHash
	for _, never := range []string{secret, p.secret, hash, "argon2id", "Server room", "hash"} {
		if strings.Contains(text, never) {
			t.Errorf("it tells %q", never)
		}
	}
	// Where an administrator sat is not told; who it was is.
	told := false
	for _, list := range [][]AccountEvent{got.Events, get[EventPage](t, site+"/me/events?userId=1000", me).Items} {
		for _, e := range list {
			if e.ActorID != "1001" && e.UserID != "1001" {
				t.Errorf("another's: %+v", e)
			}
			if e.Action == "user.name" {
				told = e.Address == "" && e.ActorLogin == "admin"
			}
		}
	}
	if !told {
		t.Error("the administrator's act is not told as it should be")
	}
	for _, e := range get[EventPage](t, site+"/admin/events?action=user.name", boss).Items {
		if e.Address != "127.0.0.1" {
			t.Errorf("to administrators: %+v", e)
		}
	}
}

// S19: what is written is one line, of a bounded length, that shows all that is in it.
func TestClip(t *testing.T) {
	for in, want := range map[string]string{
		"":                                     "",
		"plain":                                "plain",
		"a\nb\r\tc\x00\x1b[31m":                "a b  c  [31m",
		"a\u202eb\u200bc\u2028d\u0085e\ufefff": "a b c d e f",
		"\xff":                                 "\uFFFD",
		"文件":                                   "文件",
	} {
		if got := clip(in, 255); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for _, long := range []string{strings.Repeat("a", 300), strings.Repeat("文", 100), "a" + strings.Repeat("文", 100), "ab" + strings.Repeat("🙂", 100),
		strings.Repeat("a", 254) + "\xff", strings.Repeat("a", 253) + "é", strings.Repeat("a", 254) + "é"} {
		if got := clip(long, 255); len(got) > 255 || len(got) < 252 || !utf8.ValidString(got) {
			t.Errorf("%.10q…: %d bytes: %q", long, len(got), got)
		}
	}
	f := newFixture(t)
	name := strings.Repeat("🙂", 64)
	f.key(t, accessKey{UserID: ann, Kind: "token", Name: name}, 0)
	if e := f.log(t, "key.create"); len(e) != 1 || len(e[0].Detail) > 255 || !strings.HasPrefix(e[0].Detail, "token 🙂") {
		t.Errorf("%+v", e)
	}
}

// Other roles write to the log by the RPC; what they say is bounded, too.
func TestRecord(t *testing.T) {
	f := newFixture(t)
	for _, action := range []string{"", strings.Repeat("a", 65)} {
		if _, err := f.Record(t.Context(), &userpb.RecordRequest{Action: action}); !errs.Is(errs.Invalid, err) {
			t.Errorf("%q: %v", action, err)
		}
	}
	long := strings.Repeat("x\n", 500)
	if _, err := f.Record(t.Context(), &userpb.RecordRequest{Action: "file.delete", ActorId: ann, Object: "node 7" + long, Address: "192.0.2.1" + long, Detail: long}); err != nil {
		t.Fatal(err)
	}
	e := f.log(t, "file.delete")
	if len(e) != 1 || e[0].ActorID != ann || !strings.HasPrefix(e[0].Object, "node 7x ") || len(e[0].Object) > 255 || len(e[0].Address) > 64 || len(e[0].Detail) > 255 ||
		strings.ContainsAny(e[0].Object+e[0].Address+e[0].Detail, "\n") {
		t.Errorf("%+v", e)
	}
}
