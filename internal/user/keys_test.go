package user

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/userpb"
)

// basic is the header of a login and a password (RFC 7617).
func basic(login, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(login+":"+password))
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// key makes an access key of an account.
func (f fixture) key(t *testing.T, k accessKey, life time.Duration) (accessKey, string) {
	t.Helper()
	if k.Name == "" {
		k.Name = "test"
	}
	made, secret, err := f.createKey(t.Context(), k, life)
	if err != nil {
		t.Fatal(err)
	}
	return made, secret
}

// byKey asks whom a key lets in.
func (f fixture) byKey(t *testing.T, secret, login string) (*userpb.Principal, error) {
	t.Helper()
	return f.Authenticate(t.Context(), &userpb.AuthenticateRequest{
		Credential: &userpb.AuthenticateRequest_AccessKey{AccessKey: secret}, Login: login,
	})
}

// S15: an app password is shown once, kept hashed, listed with its last use, and revoked.
func TestAppPassword(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	me := f.as(t, ann)
	ask := func(pairs ...string) string {
		return body(append(pairs, "name", "Laptop", "currentPassword", password)...)
	}
	fetch(t, 403, "wrong_password", "POST", site+"/me/keys", `{"name":"x","kind":"app"}`, me)
	fetch(t, 403, "wrong_password", "POST", site+"/me/keys", `{"name":"x","kind":"app","currentPassword":"wrong"}`, me)
	made := post[NewAccessKey](t, "POST", site+"/me/keys", ask("kind", "app"), me)
	if !strings.HasPrefix(made.Secret, auth.KeyPrefix) || len(made.Secret) < len(auth.KeyPrefix)+26 || made.Key.UsedAt != "" || made.Key.ExpiresAt != "" {
		t.Errorf("%+v", made)
	}
	if n := f.number(t, "SELECT count(*) FROM access_keys WHERE hash = ? OR hash = ?", made.Secret, []byte(made.Secret)); n != 0 {
		t.Error("it is stored as it is")
	}
	if text := fetch(t, 200, "", "GET", site+"/me/keys", "", me); strings.Contains(text, made.Secret) {
		t.Error("it is shown again")
	}
	for _, login := range []string{"ann", "ANN", "ａｎｎ"} {
		if u := get[User](t, site+"/auth/whoami", basic(login, made.Secret)); u.Login != "ann" || u.Role != "user" {
			t.Errorf("%+v", u)
		}
	}
	if list := get[AccessKeyList](t, site+"/me/keys", me).Items; len(list) != 1 || list[0].UsedAt == "" || list[0].Name != "Laptop" || list[0].Kind != "app" {
		t.Errorf("%+v", list)
	}
	used := get[AccessKeyList](t, site+"/me/keys", me).Items[0].UsedAt
	f.forward(2 * time.Minute)
	get[User](t, site+"/auth/whoami", basic("ann", made.Secret))
	if now := get[AccessKeyList](t, site+"/me/keys", me).Items[0].UsedAt; now <= used {
		t.Errorf("used at %s, and two minutes later at %s", used, now)
	}
	// B040, S15: another's login, a password where a key should be, half of a key.
	for name, header := range map[string]string{
		"another login": basic("admin", made.Secret), "no such login": basic("nobody", made.Secret), "no login": basic("", made.Secret),
		"a login that is none": basic("a b", made.Secret), "the account's own password": basic("ann", password),
		"half of it": basic("ann", made.Secret[:len(made.Secret)-1]), "the prefix": basic("ann", auth.KeyPrefix), "more than it": basic("ann", made.Secret+"A"),
		"in lower case": basic("ann", strings.ToLower(made.Secret)), "a made up key": basic("ann", auth.KeyPrefix+strings.Repeat("A", 39)),
	} {
		resp, text := call(t, "GET", site+"/auth/whoami", "", header)
		if resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") != `Basic realm="gopan", charset="UTF-8"` {
			t.Errorf("%s: %d %s, %q", name, resp.StatusCode, text, resp.Header.Get("WWW-Authenticate"))
		}
	}
	// Not one's own, and not there: the same (S2).
	stranger := f.as(t, admin)
	fetch(t, 404, "not_found", "DELETE", site+"/me/keys/"+made.Key.ID, "", stranger)
	fetch(t, 404, "not_found", "DELETE", site+"/me/keys/4711", "", stranger)
	fetch(t, 200, "", "GET", site+"/auth/whoami", "", basic("ann", made.Secret))
	fetch(t, 204, "", "DELETE", site+"/me/keys/"+made.Key.ID, "", me)
	fetch(t, 404, "not_found", "DELETE", site+"/me/keys/"+made.Key.ID, "", me)
	fetch(t, 401, "", "GET", site+"/auth/whoami", "", basic("ann", made.Secret))
	if list := get[AccessKeyList](t, site+"/me/keys", me).Items; len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// A token is a bearer's alone, and what its owner allowed: reading, one folder, a time.
func TestPersonalAccessToken(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	made := post[NewAccessKey](t, "POST", site+"/me/keys", `{"name":"CI","kind":"token","readOnly":true,"folderId":"77","expiresIn":2,"currentPassword":"`+password+`"}`,
		f.as(t, ann))
	if k := made.Key; k.Kind != "token" || !k.ReadOnly || k.FolderID != "77" || k.ExpiresAt != millis(f.clock.Now().Add(48*time.Hour).UnixMilli()) {
		t.Errorf("%+v", k)
	}
	get[User](t, site+"/auth/whoami", bearer(made.Secret))
	fetch(t, 401, "", "GET", site+"/auth/whoami", "", basic("ann", made.Secret))
	fetch(t, 401, "", "GET", site+"/auth/whoami", "", "Cookie: "+auth.CookieName+"="+made.Secret)
	fetch(t, 401, "", "GET", site+"/auth/whoami?access_token="+made.Secret, "")
	p, err := f.byKey(t, made.Secret, "")
	if err != nil || p.GetUserId() != ann || p.GetRole() != "user" || !p.GetReadOnly() || p.GetFolderId() != 77 || p.GetKeyId() == 0 || p.GetSessionId() != 0 ||
		p.GetExpiresAt() > f.clock.Now().Add(keyAnswer).UnixMilli() {
		t.Errorf("%v, %v", p, err)
	}
	// An answer about it is not relied on past its end.
	f.forward(48*time.Hour - time.Minute)
	if p, err := f.byKey(t, made.Secret, ""); err != nil || p.GetExpiresAt() != f.clock.Now().Add(time.Minute).UnixMilli() {
		t.Errorf("%v, %v", p, err)
	}
	f.forward(time.Minute)
	fetch(t, 401, "", "GET", site+"/auth/whoami", "", bearer(made.Secret))
	for name, request := range map[string]string{
		"kind": `{"name":"x","kind":"admin","currentPassword":"` + password + `"}`, "folderId": `{"name":"x","kind":"app","folderId":"-1","currentPassword":"` + password + `"}`,
		"expiresIn": `{"name":"x","kind":"app","expiresIn":3651,"currentPassword":"` + password + `"}`, "name": `{"name":"","kind":"app","currentPassword":"` + password + `"}`,
	} {
		if text := fetch(t, 400, "bad_field", "POST", site+"/me/keys", request, f.as(t, ann)); !strings.Contains(text, `"field":"`+name+`"`) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// S15: a key opens nothing that is about the account, whoever's it is: it makes no keys, changes no password, sees no
// sessions and administers nothing.
func TestKeysOpenFilesAlone(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false)
	_, app := f.key(t, accessKey{UserID: admin, Kind: "app"}, 0)
	_, token := f.key(t, accessKey{UserID: admin, Kind: "token"}, 0)
	opened := make(map[string]bool)
	for _, r := range Routes(HTTP{Service: f.Service}) {
		if r.Access == httpapi.Public {
			continue
		}
		path := strings.NewReplacer(":id", "1001", ":userId", "1001", ":provider", "github").Replace(r.Path)
		for name, header := range map[string]string{"app password": basic("admin", app), "token": bearer(token)} {
			resp, text := call(t, r.Method, site+path, "", header)
			if resp.StatusCode == 403 && strings.Contains(text, "key_not_enough") {
				continue
			}
			opened[r.Method+" "+r.Path] = true
			if resp.StatusCode != 200 || strings.Contains(text, `"admin"}`) {
				t.Errorf("%s with an %s: %d %s", path, name, resp.StatusCode, text)
			}
		}
		// Nobody in particular, and a password by Basic, open nothing at all.
		for _, header := range []string{"X-None: 1", basic("admin", password), bearer(password), bearer("x")} {
			if resp, text := call(t, r.Method, site+path, "", header); resp.StatusCode != 401 {
				t.Errorf("%s %s with %.24s…: %d %s", r.Method, path, header, resp.StatusCode, text)
			}
		}
		// An account that does not administer is kept out of what is for administrators.
		if resp, text := call(t, r.Method, site+path, "", f.as(t, ann)); r.Access == httpapi.Admin && (resp.StatusCode != 403 || !strings.Contains(text, `"denied"`)) {
			t.Errorf("%s %s by a user: %d %s", r.Method, path, resp.StatusCode, text)
		}
	}
	if len(opened) != 1 || !opened["GET /api/v1/auth/whoami"] {
		t.Errorf("keys open %v", opened)
	}
}

// S18: what ends an account ends its keys; an account that is brought back has them again, unless they were revoked.
func TestKeysOfClosedAccounts(t *testing.T) {
	f := newFixture(t)
	_, app := f.key(t, accessKey{UserID: ann, Kind: "app"}, 0)
	for _, state := range []string{disabled, active, deleted, active} {
		if err := f.manage(t.Context(), ann, change{state: state}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.byKey(t, app, "ann"); (err == nil) != (state == active) || err != nil && !errs.Is(errs.Unauthenticated, err) {
			t.Errorf("%s: %v", state, err)
		}
	}
	if err := f.updateAccount(t.Context(), f.ann(t), "anna", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := f.byKey(t, app, "ann"); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("with the login of before: %v", err)
	}
	if _, err := f.byKey(t, app, "anna"); err != nil {
		t.Errorf("with the new login: %v", err)
	}
	if err := f.signOut(t.Context(), ann); err != nil {
		t.Fatal(err)
	}
	if _, err := f.byKey(t, app, "anna"); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("after all was ended: %v", err)
	}
}

// C8: an account has no more keys than the limit, however many are made at once; revoked ones make room.
func TestKeyLimit(t *testing.T) {
	f := newFixture(t)
	full := func(err error) bool { return errs.CodeOf(err) == "too_many_keys" }
	var last accessKey
	if n := f.together(t, maxKeys+20, func(s *Service, i int) error {
		_, _, err := s.createKey(t.Context(), accessKey{UserID: ann, Kind: "app", Name: fmt.Sprint(i)}, 0)
		return err
	}, full); n != maxKeys {
		t.Errorf("%d were made", n)
	}
	rows, err := f.keys(t.Context(), ann)
	if err != nil || len(rows) != maxKeys {
		t.Fatal(len(rows), err)
	}
	last = rows[0]
	if err := f.revokeKey(t.Context(), ann, last.ID); err != nil {
		t.Fatal(err)
	}
	f.key(t, accessKey{UserID: ann, Kind: "app"}, 0)
	f.key(t, accessKey{UserID: admin, Kind: "app"}, 0) // another's are another's
}
