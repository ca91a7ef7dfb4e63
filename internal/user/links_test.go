package user

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/oauth"
)

// tokenOf takes the token from a link.
func tokenOf(t *testing.T, link string) string {
	t.Helper()
	token, ok := strings.CutPrefix(link, "/welcome#")
	if !ok || len(token) < 26 {
		t.Fatalf("the link %q", link)
	}
	return token
}

const newPassword = "staple battery"

// An administrator invites somebody, who makes an account of the role that the invitation says, once.
func TestInvitation(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	boss := f.as(t, admin)
	invite := func(request string) (NewInvite, string) {
		got := post[NewInvite](t, "POST", site+"/admin/invites", request, boss)
		return got, tokenOf(t, got.Link)
	}
	first, token := invite(`{"note":"for Bob","role":"admin"}`)
	if i := first.Invite; i.Role != "admin" || i.Note != "for Bob" || i.ExpiresAt != millis(f.clock.Now().Add(7*day).UnixMilli()) {
		t.Errorf("%+v", i)
	}
	if text := fetch(t, 200, "", "GET", site+"/admin/invites", "", boss); strings.Contains(text, token) || !strings.Contains(text, "for Bob") {
		t.Errorf("listed: %s", text)
	}
	if n := f.number(t, "SELECT count(*) FROM one_time_links WHERE hash = ? OR hash = ?", token, []byte(token)); n != 0 {
		t.Error("the token is stored as it is")
	}
	if l := post[Link](t, "POST", site+"/auth/link", body("token", token)); l.Purpose != "invite" || l.Login != "" || l.ExpiresAt != first.Invite.ExpiresAt {
		t.Errorf("%+v", l)
	}
	join := func(token, login, password string) string {
		return body("invite", token, "login", login, "name", "Bob", "password", password)
	}
	// What is wrong with the account that was asked for does not use the invitation up.
	fetch(t, 400, "common_password", "POST", site+"/auth/register", join(token, "bob", "password1"))
	for _, login := range []string{"ann", "ANN", "ａｎｎ", "Ann"} {
		if text := fetch(t, 409, "login_taken", "POST", site+"/auth/register", join(token, login, newPassword)); !strings.Contains(text, `"field":"login"`) {
			t.Errorf("%s: %s", login, text)
		}
	}
	if u := post[User](t, "POST", site+"/auth/register", join(token, "Bob", newPassword)); u.Login != "bob" || u.Name != "Bob" || u.Role != "admin" {
		t.Errorf("%+v", u)
	}
	fetch(t, 200, "", "POST", site+"/auth/login", body("login", "bob", "password", newPassword))
	fetch(t, 404, "bad_link", "POST", site+"/auth/register", join(token, "bob2", newPassword))
	fetch(t, 404, "bad_link", "POST", site+"/auth/link", body("token", token))
	if got := get[InviteList](t, site+"/admin/invites", boss).Items; len(got) != 0 {
		t.Errorf("a used one is listed: %+v", got)
	}
	if e := f.log(t, "user.create"); len(e) != 1 || e[0].Detail != "invite" || e[0].UserID == 0 {
		t.Errorf("%+v", e)
	}

	second, token := invite(`{}`)
	if second.Invite.Role != "user" {
		t.Errorf("%+v", second)
	}
	fetch(t, 204, "", "DELETE", site+"/admin/invites/"+second.Invite.ID, "", boss)
	fetch(t, 404, "not_found", "DELETE", site+"/admin/invites/"+second.Invite.ID, "", boss)
	fetch(t, 404, "bad_link", "POST", site+"/auth/register", join(token, "carl", newPassword))
	fetch(t, 404, "not_found", "DELETE", site+"/admin/invites/"+first.Invite.ID, "", boss) // it was used

	_, token = invite(`{"expiresIn":1}`)
	f.forward(day)
	boss = f.as(t, admin)
	fetch(t, 404, "bad_link", "POST", site+"/auth/link", body("token", token))
	fetch(t, 404, "bad_link", "POST", site+"/auth/register", join(token, "carl", newPassword))
	if got := get[InviteList](t, site+"/admin/invites", boss).Items; len(got) != 0 {
		t.Errorf("an expired one is listed: %+v", got)
	}
}

// C8, G14: of many who use one invitation at once exactly one gets an account.
func TestInvitationInParallel(t *testing.T) {
	f := newFixture(t)
	for _, login := range []func(i int) string{func(i int) string { return fmt.Sprint("bob", i) }, func(int) string { return "carl" }} {
		_, token, err := f.invite(t.Context(), roleUser, "", day)
		if err != nil {
			t.Fatal(err)
		}
		before := f.number(t, "SELECT count(*) FROM users")
		if n := f.together(t, 10, func(s *Service, i int) error {
			_, err := s.register(t.Context(), token, login(i), "", newPassword)
			return err
		}, func(err error) bool { return errs.CodeOf(err) == "bad_link" || errs.CodeOf(err) == "login_taken" }); n != 1 {
			t.Errorf("%d got an account", n)
		}
		if n := f.number(t, "SELECT count(*) FROM users") - before; n != 1 {
			t.Errorf("%d accounts", n)
		}
	}
}

// A link sets a password, once: sessions end, app passwords and the second factor stay.
func TestReset(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	boss, me := f.as(t, admin), f.as(t, ann)
	cookie := f.cookie(t)
	_, key := f.key(t, accessKey{UserID: ann, Kind: "app"}, 0)
	reset := func() string {
		l := post[OneTimeLink](t, "POST", site+"/admin/users/1001/reset", "", boss)
		if l.ExpiresAt != millis(f.clock.Now().Add(resetLife).UnixMilli()) {
			t.Errorf("%+v", l)
		}
		return tokenOf(t, l.Link)
	}
	old := reset()
	token := reset()
	fetch(t, 404, "bad_link", "POST", site+"/auth/reset", body("token", old, "password", newPassword))
	if l := post[Link](t, "POST", site+"/auth/link", body("token", token)); l.Purpose != "reset" || l.Login != "ann" {
		t.Errorf("%+v", l)
	}
	// Nothing has happened yet, and a password that is refused uses nothing up.
	fetch(t, 200, "", "GET", site+"/me", "", me)
	for _, weak := range []string{"password", "ann12345", "12345678", "qwertyuiop"} {
		fetch(t, 400, "common_password", "POST", site+"/auth/reset", body("token", token, "password", weak))
	}
	p, _ := f.withApp(t)
	fetch(t, 204, "", "POST", site+"/auth/reset", body("token", token, "password", newPassword))
	fetch(t, 404, "bad_link", "POST", site+"/auth/reset", body("token", token, "password", "another "+newPassword))
	fetch(t, 401, "", "GET", site+"/me", "", me)
	if _, err := f.byCookie(t.Context(), cookie); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("the browser: %v", err)
	}
	fetch(t, 200, "", "GET", site+"/auth/whoami", "", basic("ann", key))
	fetch(t, 401, "bad_credentials", "POST", site+"/auth/login", body("login", "ann", "password", password))
	fetch(t, 401, "totp_required", "POST", site+"/auth/login", body("login", "ann", "password", newPassword))
	f.forward(totpPeriod * time.Second)
	fetch(t, 200, "", "POST", site+"/auth/login", body("login", "ann", "password", newPassword, "totp", p.code(t, 0)))
	if e := f.log(t, "password.reset"); len(e) != 1 || e[0].UserID != ann || e[0].ActorID != 0 {
		t.Errorf("%+v", e)
	}

	// A password that was changed meanwhile, time, and the account's end void it.
	token = reset()
	if err := f.setPassword(t.Context(), f.ann(t), password+" 2", 0); err != nil {
		t.Fatal(err)
	}
	fetch(t, 404, "bad_link", "POST", site+"/auth/reset", body("token", token, "password", newPassword))
	token = reset()
	f.forward(resetLife)
	fetch(t, 404, "bad_link", "POST", site+"/auth/reset", body("token", token, "password", newPassword))
	boss = f.as(t, admin)
	token = reset()
	fetch(t, 200, "", "PATCH", site+"/admin/users/1001", body("state", "deleted"), boss)
	fetch(t, 404, "bad_link", "POST", site+"/auth/reset", body("token", token, "password", newPassword))
	fetch(t, 404, "bad_link", "POST", site+"/auth/link", body("token", token))
	for _, id := range []string{"1001", "4711"} { // deleted, and never there
		fetch(t, 404, "not_found", "POST", site+"/admin/users/"+id+"/reset", "", boss)
	}
}

// C8: of two who have the same link one sets the password.
func TestResetInParallel(t *testing.T) {
	f := newFixture(t)
	_, token, err := f.resetLink(t.Context(), ann)
	if err != nil {
		t.Fatal(err)
	}
	if n := f.together(t, 8, func(s *Service, i int) error {
		return s.resetPassword(t.Context(), token, fmt.Sprint(newPassword, i))
	}, func(err error) bool { return errs.CodeOf(err) == "bad_link" }); n != 1 {
		t.Errorf("%d set the password", n)
	}
	good := 0
	for i := range 8 {
		if ok, err := checkPassword(t.Context(), f.ann(t).PasswordHash, fmt.Sprint(newPassword, i)); err == nil && ok {
			good++
		}
	}
	if good != 1 {
		t.Errorf("%d passwords are good", good)
	}
}

// A token is good for what it was made for, and for nothing else.
func TestLinkPurposes(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	_, invite, err := f.invite(t.Context(), roleAdmin, "", day)
	if err != nil {
		t.Fatal(err)
	}
	_, reset, err := f.resetLink(t.Context(), ann)
	if err != nil {
		t.Fatal(err)
	}
	s := f.signedIn(t)
	_, key := f.key(t, accessKey{UserID: ann, Kind: "token"}, 0)
	fetch(t, 404, "bad_link", "POST", site+"/auth/reset", body("token", invite, "password", newPassword))
	fetch(t, 404, "bad_link", "POST", site+"/auth/register", body("invite", reset, "login", "eve", "password", newPassword))
	for name, token := range map[string]string{"a refresh token": s.refresh, "a cookie": f.cookie(t), "a key": key, "half of it": invite[:26], "nothing": "", "a word": "invite"} {
		fetch(t, 404, "bad_link", "POST", site+"/auth/link", body("token", token))
		fetch(t, 404, "bad_link", "POST", site+"/auth/reset", body("token", token, "password", newPassword))
		if token != "" {
			fetch(t, 404, "bad_link", "POST", site+"/auth/register", body("invite", token, "login", "eve", "password", newPassword))
		}
		_ = name
	}
	for _, token := range []string{invite, reset} {
		fetch(t, 401, "", "GET", site+"/me", "", bearer(token))
		fetch(t, 401, "", "GET", site+"/me", "", "Cookie: gopan_session="+token)
		fetch(t, 401, "bad_refresh", "POST", site+"/auth/refresh", body("refreshToken", token))
	}
	// All of this has used neither up.
	for _, token := range []string{invite, reset} {
		post[Link](t, "POST", site+"/auth/link", body("token", token))
	}
}

// Who may make an account: each policy allows what the stricter ones do, and nothing more.
func TestPolicy(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	f.Providers = []Provider{{Name: "github", Title: "GitHub", Register: true}}
	boss := f.as(t, admin)
	if p := get[Policy](t, site+"/admin/policy", boss).Registration; p != "sms" || p != get[SignInMethods](t, site+"/auth/methods").Registration {
		t.Errorf("at first: %s", p)
	}
	who := 0
	ways := map[string]func() error{
		"invite": func() error {
			_, token, err := f.invite(t.Context(), roleUser, "", day)
			if err == nil {
				_, err = f.register(t.Context(), token, fmt.Sprint("invited", who), "", newPassword)
			}
			return err
		},
		"sms": func() error {
			_, err := f.byIdentity(t.Context(), "github", oauth.Identity{Subject: fmt.Sprint(who)})
			return err
		},
		"open": func() error {
			_, err := f.register(t.Context(), "", fmt.Sprint("open", who), "", newPassword)
			return err
		},
	}
	for i, policy := range policies {
		if p := post[Policy](t, "PUT", site+"/admin/policy", body("registration", policy), boss); p.Registration != policy {
			t.Errorf("%+v", p)
		}
		if p := get[SignInMethods](t, site+"/auth/methods").Registration; p != policy {
			t.Errorf("%s is shown, not %s", p, policy)
		}
		for way, register := range ways {
			who++
			before := f.number(t, "SELECT count(*) FROM users")
			err := register()
			made := f.number(t, "SELECT count(*) FROM users") - before
			allowed := slices.Index(policies, way) <= i
			if allowed && (err != nil || made != 1) || !allowed && (errs.CodeOf(err) != "registration_closed" || made != 0) {
				t.Errorf("%s where registration is %s: %v, %d made", way, policy, err, made)
			}
		}
	}
	fetch(t, 400, "bad_field", "PUT", site+"/admin/policy", body("registration", "everybody"), boss)
	fetch(t, 400, "bad_field", "PUT", site+"/admin/policy", "{}", boss)
	if e := f.log(t, "policy.registration"); len(e) != len(policies) || e[0].Detail != "open" || e[0].ActorID != admin {
		t.Errorf("%+v", e)
	}
	if n := f.together(t, 12, func(s *Service, i int) error { return s.setRegistration(t.Context(), policies[i%len(policies)]) },
		func(error) bool { return false }); n != 12 {
		t.Errorf("%d of 12 set it", n)
	}
}

// Where anybody may make an account, one address makes only so many.
func TestOpenRegistrationIsBounded(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	if err := f.setRegistration(t.Context(), "open"); err != nil {
		t.Fatal(err)
	}
	for i := range DefaultLimits.AddressAccounts {
		fetch(t, 200, "", "POST", site+"/auth/register", body("login", fmt.Sprint("bot", i), "password", newPassword))
	}
	resp, text := call(t, "POST", site+"/auth/register", body("login", "bot", "password", newPassword))
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	// An invitation is not among them.
	_, token, err := f.invite(t.Context(), roleUser, "", day)
	if err != nil {
		t.Fatal(err)
	}
	fetch(t, 200, "", "POST", site+"/auth/register", body("invite", token, "login", "bob", "password", newPassword))
}
