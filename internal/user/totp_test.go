package user

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/livil/gopan/internal/errs"
)

// app is an authenticator app.
type app struct {
	f      fixture
	secret string
}

// code is what the app shows, some steps from now.
func (p app) code(t *testing.T, steps int) string {
	t.Helper()
	c, err := totp.GenerateCode(p.secret, p.f.clock.Now().Add(time.Duration(steps)*totpPeriod*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// withApp turns the second factor on for ann.
func (f fixture) withApp(t *testing.T) (app, []string) {
	t.Helper()
	key, err := f.beginTOTP(t.Context(), f.ann(t), "Gopan")
	if err != nil {
		t.Fatal(err)
	}
	p := app{f, key.Secret()}
	codes, err := f.confirmTOTP(t.Context(), f.ann(t), p.code(t, 0))
	if err != nil {
		t.Fatal(err)
	}
	return p, codes
}

// wrongCode is six digits that are none of the codes that are good now.
func (p app) wrongCode(t *testing.T) string {
	t.Helper()
	for _, c := range []string{"000000", "111111", "222222", "333333"} {
		if c != p.code(t, -1) && c != p.code(t, 0) && c != p.code(t, 1) {
			return c
		}
	}
	t.Fatal("no wrong code")
	return ""
}

// The whole of it as a person does it: on by the password and a first code, asked for at every sign-in, off again.
func TestTOTP(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	me := f.as(t, ann)
	fetch(t, 403, "wrong_password", "POST", site+"/me/totp", `{"currentPassword":"wrong"}`, me)
	fetch(t, 403, "wrong_password", "POST", site+"/me/totp", `{}`, me)
	fetch(t, 400, "bad_totp", "PUT", site+"/me/totp", body("totp", "000000"), me)
	begun := post[TOTPSecret](t, "POST", site+"/me/totp", sureBody, me)
	uri, err := url.Parse(begun.URI)
	if err != nil || uri.Scheme != "otpauth" || uri.Host != "totp" || uri.Path != "/Gopan:ann" || uri.Query().Get("secret") != begun.Secret || len(begun.Secret) < 32 {
		t.Errorf("URI %s, %v", begun.URI, err)
	}
	picture, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(begun.QR, "data:image/png;base64,"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(picture)); err != nil {
		t.Errorf("the QR code: %v", err)
	}
	// Nothing is asked for before a code was shown.
	login := func(totp string) string { return body("login", "ann", "password", password, "totp", totp) }
	fetch(t, 200, "", "POST", site+"/auth/login", login(""))
	p := app{f, begun.Secret}
	got := fetch(t, 400, "bad_totp", "PUT", site+"/me/totp", body("totp", p.wrongCode(t)), me)
	if !strings.Contains(got, `"field":"totp"`) {
		t.Errorf("which field: %s", got)
	}
	codes := post[RecoveryCodes](t, "PUT", site+"/me/totp", body("totp", p.code(t, 0)), me).Codes
	different := make(map[string]bool)
	for _, c := range codes {
		different[c] = true
	}
	if len(different) != recoveryCodes {
		t.Errorf("recovery codes %v", codes)
	}
	fetch(t, 409, "totp_is_on", "POST", site+"/me/totp", sureBody, me)
	fetch(t, 409, "totp_is_on", "PUT", site+"/me/totp", body("totp", p.code(t, 1)), me)
	if a := get[Account](t, site+"/me", me); !a.TOTP || a.RecoveryCodes != recoveryCodes {
		t.Errorf("%+v", a)
	}

	for _, path := range []string{"/auth/login", "/auth/session"} {
		resp, got := call(t, "POST", site+path, login(""))
		if resp.StatusCode != 401 || !strings.Contains(got, "totp_required") || len(resp.Cookies()) > 0 || strings.Contains(got, "accessToken") {
			t.Errorf("%s without a code: %d %s", path, resp.StatusCode, got)
		}
		// Who does not know the password does not hear of a second factor (B024).
		fetch(t, 401, "bad_credentials", "POST", site+path, body("login", "ann", "password", "wrong", "totp", p.code(t, 1)))
		fetch(t, 401, "bad_totp", "POST", site+path, login(p.wrongCode(t)))
	}
	fetch(t, 401, "bad_totp", "POST", site+"/auth/login", login(p.code(t, 0))) // it was shown when this was turned on
	f.forward(totpPeriod * time.Second)
	fetch(t, 200, "", "POST", site+"/auth/login", login(p.code(t, 0)))
	fetch(t, 401, "bad_totp", "POST", site+"/auth/login", login(p.code(t, 0)))

	me = f.as(t, ann)
	fetch(t, 403, "wrong_password", "POST", site+"/me/totp/delete", `{}`, me)
	fetch(t, 204, "", "POST", site+"/me/totp/delete", sureBody, me)
	if a := get[Account](t, site+"/me", me); a.TOTP || a.RecoveryCodes != 0 {
		t.Errorf("%+v", a)
	}
	fetch(t, 200, "", "POST", site+"/auth/login", login(""))
	fetch(t, 409, "totp_is_off", "POST", site+"/me/recovery-codes", sureBody, me)
}

// A code is good for its own half minute and those beside it, and once, also for many at once (C8, S10).
func TestTOTPCodesWorkOnce(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withApp(t)
	f.forward(10 * totpPeriod * time.Second)
	a := f.ann(t)
	for _, c := range []struct {
		steps int
		good  bool
	}{{-2, false}, {2, false}, {-1, true}, {-1, false}, {0, true}, {1, true}, {0, false}, {-1, false}, {1, false}} {
		if good, err := f.useCode(t.Context(), a, p.code(t, c.steps)); err != nil || good != c.good {
			t.Errorf("the code of step %d: %v, %v; want %v", c.steps, good, err, c.good)
		}
	}
	f.forward(10 * totpPeriod * time.Second)
	used := errs.E(errs.Exists, "test")
	if n := f.together(t, 20, func(s *Service, _ int) error {
		good, err := s.useCode(t.Context(), a, p.code(t, 0))
		if err == nil && !good {
			return used
		}
		return err
	}, func(err error) bool { return errs.Is(errs.Exists, err) }); n != 1 {
		t.Errorf("one code was good %d times", n)
	}
}

// Recovery codes stand in for the app, each once, however they are typed; new ones void the old ones.
func TestRecoveryCodes(t *testing.T) {
	f := newFixture(t)
	_, codes := f.withApp(t)
	signIn := func(code string) error {
		_, err := f.signIn(t.Context(), "ann", password, code, "")
		return err
	}
	for i, typed := range []string{codes[0], strings.ToLower(codes[1]), strings.ReplaceAll(codes[2], "-", ""), strings.ReplaceAll(codes[3], "-", " ")} {
		if err := signIn(typed); err != nil {
			t.Errorf("%q: %v", typed, err)
		}
		if err := signIn(codes[i]); errs.CodeOf(err) != "bad_totp" {
			t.Errorf("%q again: %v", typed, err)
		}
		f.forward(FailureWindow)
	}
	if n := f.number(t, "SELECT count(*) FROM recovery_codes WHERE user_id = 1001"); n != recoveryCodes-4 {
		t.Errorf("%d left", n)
	}
	f.exec(t, "INSERT INTO users (id, login, password_hash, role, created_at, totp_on, totp_secret) SELECT 1002, 'eve', password_hash, 'user', 1, 1, totp_secret FROM users WHERE id = 1001")
	for _, code := range []string{codes[4], codes[5]} {
		if _, err := f.signIn(t.Context(), "eve", password, code, ""); errs.CodeOf(err) != "bad_totp" {
			t.Errorf("another's recovery code: %v", err)
		}
	}
	// A secret that was copied to another account opens nothing: it is sealed for its owner.
	if _, err := f.signIn(t.Context(), "eve", password, "123456", ""); !errs.Is(errs.Corrupt, err) {
		t.Errorf("another's secret: %v", err)
	}
	used := errs.E(errs.Exists, "test")
	a := f.ann(t)
	if n := f.together(t, 20, func(s *Service, _ int) error {
		good, err := s.useCode(t.Context(), a, codes[6])
		if err == nil && !good {
			return used
		}
		return err
	}, func(err error) bool { return errs.Is(errs.Exists, err) }); n != 1 {
		t.Errorf("one recovery code was good %d times", n)
	}
	fresh, err := f.renewRecoveryCodes(t.Context(), a)
	if err != nil || len(fresh) != recoveryCodes {
		t.Fatal(fresh, err)
	}
	if err := signIn(codes[9]); errs.CodeOf(err) != "bad_totp" {
		t.Errorf("an old one: %v", err)
	}
	f.forward(FailureWindow)
	if err := signIn(fresh[0]); err != nil {
		t.Errorf("a new one: %v", err)
	}
	if n := len(f.log(t, "totp.recovery-code")); n != 6 {
		t.Errorf("%d uses in the log", n)
	}
}

// S11: codes are guessed ten times and no more, by who has the password; asking what is needed is no guess.
func TestTOTPGuessing(t *testing.T) {
	f := newFixture(t)
	p, _ := f.withApp(t)
	for range 3 * DefaultLimits.Failures {
		if _, err := f.signIn(t.Context(), "ann", password, "", ""); errs.CodeOf(err) != "totp_required" {
			t.Fatalf("without a code: %v", err)
		}
	}
	device := f.deviceFor(f.ann(t)) // the password is right, so that all this time it is the code alone that is guessed
	for judged := 0; judged < int(DefaultLimits.Failures); {
		_, err := f.signIn(t.Context(), "ann", password, p.wrongCode(t), device)
		switch {
		case errs.CodeOf(err) == "bad_totp":
			judged++
		case errs.Is(errs.TooMany, err) && toWait(err) <= delay(DefaultLimits.Failures):
			f.forward(toWait(err))
		default:
			t.Fatal(judged, err)
		}
	}
	f.forward(delay(DefaultLimits.Failures))
	if _, err := f.signIn(t.Context(), "ann", password, p.code(t, 0), device); !errs.Is(errs.TooMany, err) {
		t.Errorf("the right one after that: %v", err)
	}
	f.forward(FailureWindow)
	if _, err := f.signIn(t.Context(), "ann", password, p.code(t, 0), ""); err != nil {
		t.Errorf("the owner after the window: %v", err)
	}
}

// The app's secret and the recovery codes are nowhere as they are (S17).
func TestTOTPIsStoredSealed(t *testing.T) {
	f := newFixture(t)
	p, codes := f.withApp(t)
	if a := f.ann(t); bytes.Contains(a.TOTPSecret, []byte(p.secret)) {
		t.Error("the secret is stored as it is")
	}
	for _, c := range codes {
		for _, form := range []string{c, strings.ReplaceAll(c, "-", "")} {
			if n := f.number(t, "SELECT count(*) FROM recovery_codes WHERE hash = ? OR hash = ?", form, hashOf(form)); n != 0 {
				t.Errorf("a recovery code is stored as it is, or as a hash that needs no key")
			}
		}
	}
	// An administrator helps somebody who lost all of it.
	site := f.serve(t, false) + "/api/v1"
	fetch(t, 204, "", "DELETE", site+"/admin/users/1001/totp", "", f.as(t, admin))
	if _, err := f.signIn(t.Context(), "ann", password, "", ""); err != nil {
		t.Errorf("after that: %v", err)
	}
	fetch(t, 404, "not_found", "DELETE", site+"/admin/users/4711/totp", "", f.as(t, admin))
}
