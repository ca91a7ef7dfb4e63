package user

import (
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// A person changes the name and the login; what a request does not mention stays, and "" takes the name away.
func TestUpdateMe(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	me := f.as(t, ann)
	for _, c := range []struct{ request, login, name string }{
		{`{"name":"Ann Example"}`, "ann", "Ann Example"},
		{`{}`, "ann", "Ann Example"},
		{`{"name":null,"login":null}`, "ann", "Ann Example"},
		{`{"login":"anna"}`, "anna", "Ann Example"},
		{`{"login":"anna","name":"安娜 🙂"}`, "anna", "安娜 🙂"},
		{`{"name":""}`, "anna", ""},
		{`{"login":"Ann"}`, "ann", ""},
	} {
		if a := post[Account](t, "PATCH", site+"/me", c.request, me); a.Login != c.login || a.Name != c.name {
			t.Errorf("%s: %+v", c.request, a)
		}
	}
	for _, taken := range []string{"admin", "ADMIN", "ａｄｍｉｎ", "Admin"} {
		if text := fetch(t, 409, "login_taken", "PATCH", site+"/me", body("login", taken), me); !strings.Contains(text, `"field":"login"`) {
			t.Errorf("%s: %s", taken, text)
		}
	}
	// B026: what could pass for another's login, or cannot be seen, is none.
	for _, bad := range []string{"a", "a b", "ann\u202eevil", "ann\u200b", "ann\x00", " ann", "ann/../admin", "ann:x", strings.Repeat("a", 65), "\u0301", "..a\n"} {
		if text := fetch(t, 400, "", "PATCH", site+"/me", body("login", bad), me); !strings.Contains(text, `"field":"login"`) {
			t.Errorf("%q: %s", bad, text)
		}
	}
	if a := get[Account](t, site+"/me", me); a.Login != "ann" || a.ID != "1001" || a.Role != "user" || !a.HasPassword || a.TOTP || a.Phone != "" {
		t.Errorf("%+v", a)
	}
	// Two that differ in how they are written alone are one (normalisation).
	post[Account](t, "PATCH", site+"/me", `{"login":"caf\u00e9"}`, me)
	fetch(t, 409, "login_taken", "PATCH", site+"/me", `{"login":"cafe\u0301"}`, f.as(t, admin))
	// Whoever took the login of before is somebody else.
	post[Account](t, "PATCH", site+"/me", `{"login":"ann"}`, f.as(t, admin))
	if u := get[User](t, site+"/auth/whoami", me); u.ID != "1001" || u.Login != "café" {
		t.Errorf("%+v", u)
	}
	if n := f.together(t, 8, func(s *Service, i int) error {
		a, err := s.account(t.Context(), "id = ?", admin+i%2)
		if err == nil {
			err = s.updateAccount(t.Context(), a, "both", nil)
		}
		return err
	}, func(err error) bool { return errs.CodeOf(err) == "login_taken" }); n < 1 || f.number(t, "SELECT count(*) FROM users WHERE login = 'both'") != 1 {
		t.Errorf("%d took one login", n)
	}
}

// S18: a new password ends all sessions but the one that set it, and the old password is good no more.
func TestSetPassword(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	me, other := f.as(t, ann), f.as(t, ann)
	set := func(current, next string) string { return body("currentPassword", current, "password", next) }
	fetch(t, 403, "wrong_password", "PUT", site+"/me/password", set("wrong", newPassword), me)
	fetch(t, 403, "wrong_password", "PUT", site+"/me/password", body("password", newPassword), me)
	if text := fetch(t, 403, "wrong_password", "PUT", site+"/me/password", set("wrong", newPassword), me, "Accept-Language: zh-CN"); !strings.Contains(text, "当前密码错误") ||
		!strings.Contains(text, `"field":"currentPassword"`) {
		t.Errorf("%s", text)
	}
	f.exec(t, "UPDATE users SET name = 'kx7w2plq9zzt' WHERE id = 1001")
	for _, weak := range []string{"12345678", "password", "qwertyuiop", "ann12345", "kx7w2plq9zzt", "aaaaaaaaaaaaaaaa", "admin123", "P@ssw0rd"} {
		text := fetch(t, 400, "common_password", "PUT", site+"/me/password", set(password, weak), me)
		if !strings.Contains(text, `"field":"password"`) || !strings.Contains(text, "easy to guess") || strings.Contains(text, weak) && weak != "password" {
			t.Errorf("%q: %s", weak, text)
		}
		if text := fetch(t, 400, "common_password", "PUT", site+"/me/password", set(password, weak), me, "Accept-Language: zh"); !strings.Contains(text, "容易被猜到") {
			t.Errorf("%q: %s", weak, text)
		}
	}
	for _, bad := range []string{"", "1234567", strings.Repeat("p", MaxPassword+1), "密码密码密码密"} {
		if text := fetch(t, 400, "bad_field", "PUT", site+"/me/password", set(password, bad), me); !strings.Contains(text, `"field":"password"`) ||
			!strings.Contains(text, "8 to 1024") {
			t.Errorf("%q: %s", bad, text)
		}
	}
	fetch(t, 200, "", "GET", site+"/me", "", other)
	fetch(t, 204, "", "PUT", site+"/me/password", set(password, newPassword), me)
	fetch(t, 200, "", "GET", site+"/me", "", me)
	fetch(t, 401, "", "GET", site+"/me", "", other)
	fetch(t, 401, "bad_credentials", "POST", site+"/auth/login", body("login", "ann", "password", password))
	fetch(t, 200, "", "POST", site+"/auth/login", body("login", "ann", "password", newPassword))
	if e := f.log(t, "password."); len(e) < 3 || e[0].Action != "password.change" || e[0].ActorID != ann || e[1].Action != "password.wrong" {
		t.Errorf("%+v", e)
	}
	// Two changes at once, both sure of the same old password: one is made.
	a := f.ann(t)
	if n := f.together(t, 4, func(s *Service, i int) error {
		return s.setPassword(t.Context(), a, newPassword+string(rune('a'+i)), 0)
	}, func(err error) bool { return errs.Is(errs.Stale, err) }); n != 1 {
		t.Errorf("%d changes were made", n)
	}
}

// Judging a password takes a bounded time, whatever it is made of.
func TestChoosingTakesNoTime(t *testing.T) {
	for name, p := range map[string]string{
		"one letter": strings.Repeat("a", MaxPassword), "leet": strings.Repeat("4@8({[<369!1|07$5+%2", 51), "words": strings.Repeat("password", 128),
		"keyboard": strings.Repeat("qwertyuiop", 102), "dates": strings.Repeat("19991231", 128), "pairs": strings.Repeat("abababab", 128),
	} {
		begin := time.Now()
		if _, err := choosePassword(t.Context(), p, "ann"); err != nil && errs.CodeOf(err) != "common_password" {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s: %v", name, took)
		}
	}
}

// Who has no password has signed in a moment ago to change what guards the account.
func TestSureWithoutPassword(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	f.exec(t, "UPDATE users SET password_hash = '', phone = '+8613800138000' WHERE id = 1001")
	me := f.as(t, ann)
	f.forward(fresh)
	post[TOTPSecret](t, "POST", site+"/me/totp", "{}", me)
	f.forward(time.Second)
	for path, request := range map[string]string{
		"POST /me/totp": "{}", "POST /me/totp/delete": "{}", "POST /me/recovery-codes": "{}", "POST /me/passkeys/begin": "{}", "POST /me/delete": "{}",
		"PUT /me/password": body("password", newPassword), "POST /me/keys": `{"name":"x","kind":"app"}`, "POST /me/identities/github": "{}",
	} {
		method, path, _ := strings.Cut(path, " ")
		fetch(t, 403, "reauthenticate", method, site+path, request, me)
		// A password that is given where there is none opens nothing.
		fetch(t, 403, "reauthenticate", method, site+path, strings.Replace(strings.Replace(request, "{", `{"currentPassword":"x",`, 1), ",}", "}", 1), me)
	}
	me = f.as(t, ann)
	fetch(t, 204, "", "PUT", site+"/me/password", body("password", newPassword), me)
	if a := get[Account](t, site+"/me", me); !a.HasPassword {
		t.Errorf("%+v", a)
	}
	fetch(t, 403, "wrong_password", "POST", site+"/me/totp", "{}", me)
}

// S11: who sits at somebody's session guesses the password ten times and no more.
func TestSureIsGuessedTenTimes(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	judged := 0
	for judged < 2*int(DefaultLimits.Failures) {
		resp, text := call(t, "POST", site+"/me/totp", `{"currentPassword":"wrong"}`, f.as(t, ann))
		if resp.StatusCode == 429 && f.number(t, "SELECT count(*) FROM audit WHERE action = 'signin.locked'") > 0 {
			break
		}
		switch resp.StatusCode {
		case 403:
			judged++
		case 429:
			f.forward(delay(int64(judged)))
		default:
			t.Fatalf("%d %s", resp.StatusCode, text)
		}
	}
	if judged != int(DefaultLimits.Failures) {
		t.Errorf("%d were judged", judged)
	}
	resp, text := call(t, "POST", site+"/me/totp", sureBody, f.as(t, ann))
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the right one after that: %d %s", resp.StatusCode, text)
	}
	// Signing in is another matter: the owner can.
	if _, err := f.signIn(t.Context(), "ann", password, "", ""); err != nil {
		t.Error(err)
	}
	f.forward(FailureWindow)
	post[TOTPSecret](t, "POST", site+"/me/totp", sureBody, f.as(t, ann))
}

// A person closes the account; it is gone for whoever signs in, and the login stays taken while it can be brought back.
func TestDeleteMe(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	me := f.as(t, ann)
	fetch(t, 403, "wrong_password", "POST", site+"/me/delete", "{}", me)
	fetch(t, 204, "", "POST", site+"/me/delete", sureBody, me)
	fetch(t, 401, "", "GET", site+"/me", "", me)
	fetch(t, 401, "bad_credentials", "POST", site+"/auth/login", body("login", "ann", "password", password))
	boss := f.as(t, admin)
	if u := get[ManagedUser](t, site+"/admin/users/1001", boss); u.State != "deleted" || u.EraseAt != millis(f.clock.Now().Add(f.eraseAfter()).UnixMilli()) {
		t.Errorf("%+v", u)
	}
	fetch(t, 409, "login_taken", "POST", site+"/admin/users", body("login", "ann"), boss)
	if u := post[ManagedUser](t, "PATCH", site+"/admin/users/1001", body("state", "active"), boss); u.State != "active" || u.EraseAt != "" {
		t.Errorf("%+v", u)
	}
	fetch(t, 401, "", "GET", site+"/me", "", me)
	fetch(t, 200, "", "POST", site+"/auth/login", body("login", "ann", "password", password))
	// The last administrator cannot go.
	fetch(t, 409, "last_admin", "POST", site+"/me/delete", sureBody, boss)
	fetch(t, 200, "", "GET", site+"/me", "", boss)
}
