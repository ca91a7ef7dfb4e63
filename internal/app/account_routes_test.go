package app

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/livil/gopan/internal/pb/userpb"
	"github.com/livil/gopan/internal/rpc"
)

// accountRoute is a request that changes nothing, whoever makes it, and the status that each gets who makes it: another
// user and an administrator, both signed in. 0: that one may, and gets no error.
type accountRoute struct {
	target, body string
	user, admin  int
}

const (
	bad    = http.StatusBadRequest
	denied = http.StatusForbidden
	none   = http.StatusNotFound
)

// accountRoutes are all routes of accounts. The ids are of nothing, or of what belongs to somebody else.
var accountRoutes = map[string]accountRoute{
	"GET /api/v1/auth/methods":                       {"/api/v1/auth/methods", "", 0, 0},
	"GET /api/v1/auth/providers/{provider}":          {"/api/v1/auth/providers/github", "", none, none},
	"GET /api/v1/auth/providers/{provider}/callback": {"/api/v1/auth/providers/github/callback?state=x&code=x", "", bad, bad},
	"POST /api/v1/auth/link":                         {"/api/v1/auth/link", `{}`, bad, bad},
	"POST /api/v1/auth/login":                        {"/api/v1/auth/login", `{}`, bad, bad},
	"POST /api/v1/auth/passkey":                      {"/api/v1/auth/passkey", "", denied, denied},
	"POST /api/v1/auth/refresh":                      {"/api/v1/auth/refresh", `{}`, bad, bad},
	"POST /api/v1/auth/register":                     {"/api/v1/auth/register", `{}`, bad, bad},
	"POST /api/v1/auth/reset":                        {"/api/v1/auth/reset", `{}`, bad, bad},
	"POST /api/v1/auth/session":                      {"/api/v1/auth/session", `{}`, http.StatusUnauthorized, http.StatusUnauthorized},
	"POST /api/v1/auth/sms/code":                     {"/api/v1/auth/sms/code", `{}`, bad, bad},
	"POST /api/v1/auth/sms/login":                    {"/api/v1/auth/sms/login", `{}`, bad, bad},

	"GET /api/v1/auth/whoami": {"/api/v1/auth/whoami", "", 0, 0},

	"GET /api/v1/me":                          {"/api/v1/me", "", 0, 0},
	"PATCH /api/v1/me":                        {"/api/v1/me", `{"login":"a/b"}`, bad, bad},
	"POST /api/v1/me/delete":                  {"/api/v1/me/delete", `{}`, denied, denied},
	"PUT /api/v1/me/password":                 {"/api/v1/me/password", `{}`, bad, bad},
	"POST /api/v1/me/phone/code":              {"/api/v1/me/phone/code", `{}`, bad, bad},
	"PUT /api/v1/me/phone":                    {"/api/v1/me/phone", `{}`, bad, bad},
	"POST /api/v1/me/totp":                    {"/api/v1/me/totp", `{}`, denied, denied},
	"PUT /api/v1/me/totp":                     {"/api/v1/me/totp", `{}`, bad, bad},
	"POST /api/v1/me/totp/delete":             {"/api/v1/me/totp/delete", `{}`, denied, denied},
	"POST /api/v1/me/recovery-codes":          {"/api/v1/me/recovery-codes", `{}`, denied, denied},
	"GET /api/v1/me/passkeys":                 {"/api/v1/me/passkeys", "", 0, 0},
	"POST /api/v1/me/passkeys/begin":          {"/api/v1/me/passkeys/begin", `{}`, denied, denied},
	"POST /api/v1/me/passkeys":                {"/api/v1/me/passkeys", `{}`, bad, bad},
	"PATCH /api/v1/me/passkeys/{id}":          {"/api/v1/me/passkeys/1", `{"name":"x"}`, none, none},
	"DELETE /api/v1/me/passkeys/{id}":         {"/api/v1/me/passkeys/1", "", none, none},
	"GET /api/v1/me/sessions":                 {"/api/v1/me/sessions", "", 0, 0},
	"PATCH /api/v1/me/sessions/{id}":          {"/api/v1/me/sessions/1", `{"name":"x"}`, none, none},
	"DELETE /api/v1/me/sessions/{id}":         {"/api/v1/me/sessions/1", "", none, none},
	"DELETE /api/v1/me/sessions":              {"/api/v1/me/sessions", "", 0, 0},
	"GET /api/v1/me/keys":                     {"/api/v1/me/keys", "", 0, 0},
	"POST /api/v1/me/keys":                    {"/api/v1/me/keys", `{}`, bad, bad},
	"DELETE /api/v1/me/keys/{id}":             {"/api/v1/me/keys/1", "", none, none},
	"GET /api/v1/me/identities":               {"/api/v1/me/identities", "", 0, 0},
	"POST /api/v1/me/identities/{provider}":   {"/api/v1/me/identities/github", `{}`, denied, denied},
	"DELETE /api/v1/me/identities/{provider}": {"/api/v1/me/identities/github", "", none, none},
	"GET /api/v1/me/events":                   {"/api/v1/me/events", "", 0, 0},
	"GET /api/v1/me/export":                   {"/api/v1/me/export", "", 0, 0},

	"GET /api/v1/admin/users":                           {"/api/v1/admin/users", "", denied, 0},
	"POST /api/v1/admin/users":                          {"/api/v1/admin/users", `{}`, denied, bad},
	"GET /api/v1/admin/users/{id}":                      {"/api/v1/admin/users/9", "", denied, none},
	"PATCH /api/v1/admin/users/{id}":                    {"/api/v1/admin/users/9", `{"name":"x"}`, denied, none},
	"POST /api/v1/admin/users/{id}/reset":               {"/api/v1/admin/users/9/reset", "", denied, none},
	"DELETE /api/v1/admin/users/{id}/totp":              {"/api/v1/admin/users/9/totp", "", denied, none},
	"DELETE /api/v1/admin/users/{id}/sessions":          {"/api/v1/admin/users/9/sessions", "", denied, none},
	"GET /api/v1/admin/users/{id}/export":               {"/api/v1/admin/users/9/export", "", denied, none},
	"GET /api/v1/admin/invites":                         {"/api/v1/admin/invites", "", denied, 0},
	"POST /api/v1/admin/invites":                        {"/api/v1/admin/invites", `{"role":"king"}`, denied, bad},
	"DELETE /api/v1/admin/invites/{id}":                 {"/api/v1/admin/invites/9", "", denied, none},
	"GET /api/v1/admin/groups":                          {"/api/v1/admin/groups", "", denied, 0},
	"POST /api/v1/admin/groups":                         {"/api/v1/admin/groups", `{}`, denied, bad},
	"PATCH /api/v1/admin/groups/{id}":                   {"/api/v1/admin/groups/9", `{"name":"x"}`, denied, none},
	"DELETE /api/v1/admin/groups/{id}":                  {"/api/v1/admin/groups/9", "", denied, none},
	"PUT /api/v1/admin/groups/{id}/members/{userId}":    {"/api/v1/admin/groups/9/members/9", "", denied, none},
	"DELETE /api/v1/admin/groups/{id}/members/{userId}": {"/api/v1/admin/groups/9/members/9", "", denied, none},
	"GET /api/v1/admin/methods":                         {"/api/v1/admin/methods", "", denied, 0},
	"PUT /api/v1/admin/methods/{name}":                  {"/api/v1/admin/methods/none", `{"on":true}`, denied, none},
	"GET /api/v1/admin/policy":                          {"/api/v1/admin/policy", "", denied, 0},
	"PUT /api/v1/admin/policy":                          {"/api/v1/admin/policy", `{}`, denied, bad},
	"GET /api/v1/admin/events":                          {"/api/v1/admin/events", "", denied, 0},
	"GET /api/v1/admin/events/export":                   {"/api/v1/admin/events/export", "", denied, 0},

	"GET /api/v1/admin/storage":           {"/api/v1/admin/storage", "", denied, 0},
	"GET /api/v1/admin/drives/{userId}":   {"/api/v1/admin/drives/9", "", denied, none},
	"PATCH /api/v1/admin/drives/{userId}": {"/api/v1/admin/drives/9", `{"quota":7}`, denied, none},

	"POST /api/v1/auth/logout": {"/api/v1/auth/logout", "", 0, 0},
}

// key makes an access key of whoever asks with the credential.
func (d *drive) accessKey(t *testing.T, owner, kind, more string) string {
	t.Helper()
	var made struct{ Secret string }
	d.ask(t, "POST", "/api/v1/me/keys", `{"name":"x","kind":"`+kind+`","currentPassword":"`+adminPassword+`"`+more+`}`, owner).into(t, &made)
	if made.Secret == "" {
		t.Fatal("no key")
	}
	return made.Secret
}

// S1, G61: what each may do with accounts, route by route. A key for programs is never good enough for what decides about
// an account or the installation, whosever it is.
func TestAccountRoutes(t *testing.T) {
	d := newDrive(t)
	d.put(t, "/vault/plan.txt", "c4nary content")
	admin, mallory := bearer(d.admin), bearer(d.mallory)
	keys := map[string]string{
		"admin's token":        bearer(d.accessKey(t, admin, "token", "")),
		"mallory's token":      bearer(d.accessKey(t, mallory, "token", "")),
		"a read-only token":    bearer(d.accessKey(t, admin, "token", `,"readOnly":true`)),
		"admin's app password": basic("admin", d.accessKey(t, admin, "app", "")),
	}
	users := d.ask(t, "GET", "/api/v1/admin/users", "", admin).body
	routes := slices.Sorted(func(yield func(string) bool) {
		for route := range accountRoutes {
			if route != "POST /api/v1/auth/logout" && !yield(route) {
				return
			}
		}
	})
	for _, route := range append(routes, "POST /api/v1/auth/logout") { // it ends what the others need
		a := accountRoutes[route]
		method, _, _ := strings.Cut(route, " ")
		check := func(who string, r reply, want int) {
			t.Helper()
			if want == 0 && r.StatusCode >= 300 || want != 0 && r.StatusCode != want {
				t.Errorf("%s as %s: %d %.200s, want %d", route, who, r.StatusCode, r.body, want)
			}
		}
		for who, key := range keys {
			r := d.ask(t, method, a.target, a.body, key)
			status, open := public[route]
			switch {
			case open && status != http.StatusOK:
				check(who, r, status)
			case open || route == "GET /api/v1/auth/whoami":
				check(who, r, 0)
			default:
				check(who, r, http.StatusForbidden)
				if !strings.Contains(r.body, "key_not_enough") {
					t.Errorf("%s as %s: %s", route, who, r.body)
				}
			}
		}
		r := d.ask(t, method, a.target, a.body, mallory)
		check("mallory", r, a.user)
		if strings.Contains(r.body, `"admin"`) || strings.Contains(r.body, "c4nary") {
			t.Errorf("%s tells mallory of admin: %.300s", route, r.body)
		}
		check("admin", d.ask(t, method, a.target, a.body, admin), a.admin)
	}
	if after := d.ask(t, "GET", "/api/v1/admin/users", "", bearer(d.signIn(t, "admin"))).body; withoutSeen(after) != withoutSeen(users) {
		t.Errorf("something changed:\n%s\nbefore:\n%s", after, users)
	}
}

// withoutSeen is a list of accounts without when each was last seen.
func withoutSeen(body string) string {
	for {
		before, rest, ok := strings.Cut(body, `"seenAt":"`)
		if !ok {
			return body
		}
		_, rest, _ = strings.Cut(rest, `"`)
		body = before + rest
	}
}

// S1: what belongs to an account does not exist for another: its sessions, keys, passkeys.
func TestAnothersThings(t *testing.T) {
	d := newDrive(t)
	admin, mallory := bearer(d.admin), bearer(d.mallory)
	key := bearer(d.accessKey(t, admin, "token", ""))
	var sessions, keys struct{ Items []struct{ ID string } }
	d.ask(t, "GET", "/api/v1/me/sessions", "", admin).into(t, &sessions)
	d.ask(t, "GET", "/api/v1/me/keys", "", admin).into(t, &keys)
	if len(sessions.Items) == 0 || len(keys.Items) != 1 {
		t.Fatal(sessions, keys)
	}
	for _, c := range []struct{ method, path, body string }{
		{"DELETE", "/api/v1/me/sessions/" + sessions.Items[0].ID, ""},
		{"PATCH", "/api/v1/me/sessions/" + sessions.Items[0].ID, `{"name":"mine"}`},
		{"DELETE", "/api/v1/me/keys/" + keys.Items[0].ID, ""},
	} {
		if r := d.ask(t, c.method, c.path, c.body, mallory); r.StatusCode != 404 {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.StatusCode, r.body)
		}
	}
	for who, c := range map[string]string{"session": admin, "key": key} {
		if r := d.ask(t, "GET", "/api/v1/auth/whoami", "", c); r.StatusCode != 200 || !strings.Contains(r.body, `"admin"`) {
			t.Errorf("%s: %d %s", who, r.StatusCode, r.body)
		}
	}
}

// G61: a key that only reads changes nothing, by any route.
func TestReadOnlyKeyChangesNothing(t *testing.T) {
	d := newDrive(t)
	file, doomed := d.put(t, "/vault/plan.txt", "content"), d.put(t, "/vault/old.txt", "content")
	d.ask(t, "DELETE", "/api/v1/files/"+doomed.ID, "", bearer(d.admin))
	key := bearer(d.accessKey(t, bearer(d.admin), "token", `,"readOnly":true`))
	for route, a := range attempts(file.ID, doomed.ID, d.begin(t)) {
		method, _, _ := strings.Cut(route, " ")
		r := d.ask(t, method, a.target, a.body, key)
		if method == "GET" || method == "HEAD" || route == "POST /api/v1/archive" {
			if r.StatusCode >= 300 {
				t.Errorf("%s: %d %s", route, r.StatusCode, r.body)
			}
		} else if r.StatusCode != 403 || !strings.Contains(r.body, "read_only_key") {
			t.Errorf("%s: %d %s", route, r.StatusCode, r.body)
		}
	}
}

// S18: what ends an account, a session or a key ends it within a second, for whoever has been let in a moment ago.
func TestWhatIsEndedWorksNoMore(t *testing.T) {
	for name, end := range map[string]func(d *drive, t *testing.T) reply{
		"sessions ended by an administrator": func(d *drive, t *testing.T) reply {
			return d.ask(t, "DELETE", "/api/v1/admin/users/100001/sessions", "", bearer(d.admin))
		},
		"account disabled": func(d *drive, t *testing.T) reply {
			return d.ask(t, "PATCH", "/api/v1/admin/users/100001", `{"state":"disabled"}`, bearer(d.admin))
		},
		"account deleted": func(d *drive, t *testing.T) reply {
			return d.ask(t, "PATCH", "/api/v1/admin/users/100001", `{"state":"deleted"}`, bearer(d.admin))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDrive(t)
			key := bearer(d.accessKey(t, bearer(d.mallory), "token", ""))
			if r := d.ask(t, "GET", "/api/v1/drive", "", bearer(d.mallory)); r.StatusCode != 200 {
				t.Fatal(r.StatusCode)
			}
			if r := end(d, t); r.StatusCode >= 300 {
				t.Fatal(r.StatusCode, r.body)
			}
			ended := time.Now()
			for _, c := range []string{bearer(d.mallory), key} {
				for d.ask(t, "GET", "/api/v1/drive", "", c).StatusCode != 401 {
					if time.Since(ended) > time.Second {
						t.Fatal("still good after a second")
					}
				}
			}
		})
	}
}

// S20, G61: no method of any role answers a caller without a certificate of this installation; a role that is asked by
// itself answers.
func TestEveryRPCIsGuarded(t *testing.T) {
	d := newDrive(t)
	ours, err := d.mutual()
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	server, err := rpc.NewServer(address, d.services, ours)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop(t.Context())
	friend, err := rpc.Dial([]string{address}, ours)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a process of this installation is answered", func() bool {
		_, err := userpb.NewUserClient(friend).Departed(t.Context(), new(userpb.DepartedRequest))
		return err == nil
	})
	stranger, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(
		&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	plain, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	tried := 0
	for _, s := range d.services {
		for _, m := range s.Desc.Methods {
			method := "/" + s.Desc.ServiceName + "/" + m.MethodName
			for who, c := range map[string]*grpc.ClientConn{"without a certificate": stranger, "without TLS": plain} {
				tried++
				err := c.Invoke(t.Context(), method, new(emptypb.Empty), new(emptypb.Empty))
				if status.Code(err) != codes.Unavailable { // no connection, so no answer of the role
					t.Errorf("%s %s: %v", method, who, err)
				}
			}
		}
	}
	if tried < 40 {
		t.Errorf("%d methods tried", tried/2)
	}
}
