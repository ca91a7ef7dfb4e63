package user

import (
	"testing"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/oauth"
)

// A way to sign in that an administrator turned off takes nobody in, from that moment on, by no route; but
// administrators by their password, so that it can be turned on again.
func TestMethods(t *testing.T) {
	f, _ := newSMSFixture(t)
	f.Providers = []Provider{{Name: "github", Title: "GitHub", Register: true}}
	site := f.serve(t, false) + "/api/v1"
	boss := f.as(t, admin)
	turn := func(name string, on string) SignInMethodList {
		t.Helper()
		return post[SignInMethodList](t, "PUT", site+"/admin/methods/"+name, `{"on":`+on+`}`, boss)
	}
	ways := map[string]func() error{
		"password": func() error { _, err := f.signIn(t.Context(), "ann", password, "", ""); return err },
		"sms": func() error {
			_, err := f.sendCode(t.Context(), "+8613800138000", signInCode)
			if err == nil || errs.CodeOf(err) == "code_wait" {
				_, err = f.bySMS(t.Context(), "+8613800138000", "000000", "none", "")
			}
			return err
		},
		"passkey": func() error { _, err := f.byPasskey(t.Context(), "none", "{}"); return err },
		"github": func() error {
			_, err := f.byIdentity(t.Context(), "github", oauth.Identity{Subject: "7"})
			return err
		},
	}
	for name, enter := range ways {
		if err := enter(); errs.CodeOf(err) == "method_off" {
			t.Errorf("%s at first: %v", name, err)
		}
		for _, m := range turn(name, "false").Items {
			if m.On == (m.Name == name) {
				t.Errorf("%s is off: %+v", name, m)
			}
		}
		if err := enter(); errs.CodeOf(err) != "method_off" || !errs.Is(errs.Denied, err) {
			t.Errorf("%s is off: %v", name, err)
		}
		if err := f.turn(t.Context(), name, false); err != nil {
			t.Errorf("%s, off again: %v", name, err)
		}
		if _, err := f.signIn(t.Context(), "admin", password, "", ""); err != nil {
			t.Errorf("admin while %s is off: %v", name, err)
		}
		shown := get[SignInMethods](t, site+"/auth/methods")
		if shown.Password == (name == "password") || shown.SMS == (name == "sms") || (len(shown.Providers) == 0) != (name == "github") {
			t.Errorf("%s is off: %+v", name, shown)
		}
		turn(name, "true")
		if err := enter(); errs.CodeOf(err) == "method_off" {
			t.Errorf("%s is on again: %v", name, err)
		}
	}
	if e := f.log(t, "policy.method"); len(e) != 2*len(ways) || e[0].ActorID != admin {
		t.Errorf("%+v", e)
	}

	// With passwords off nobody makes an account by one.
	if err := f.setRegistration(t.Context(), "open"); err != nil {
		t.Fatal(err)
	}
	turn("password", "false")
	if _, err := f.register(t.Context(), "", "bob", "", "Gr4nite-otter-lamp"); errs.CodeOf(err) != "method_off" {
		t.Errorf("registration: %v", err)
	}
	// A wrong password is told from a right one no more than before, and the right one locks nobody.
	for range 2 * freeFailures {
		if _, err := f.signIn(t.Context(), "ann", password, "", ""); errs.CodeOf(err) != "method_off" {
			t.Fatal(err)
		}
	}
	if _, err := f.signIn(t.Context(), "ann", "wrong", "", ""); errs.CodeOf(err) != "bad_credentials" {
		t.Errorf("a wrong password: %v", err)
	}
	fetch(t, 404, "not_found", "PUT", site+"/admin/methods/telepathy", `{"on":true}`, boss)
	fetch(t, 400, "bad_field", "PUT", site+"/admin/methods/sms", `{}`, boss)
	if n := f.together(t, 8, func(s *Service, i int) error { return s.turn(t.Context(), "sms", i%2 == 0) }, func(error) bool { return false }); n != 8 {
		t.Errorf("%d of 8 turned it", n)
	}
}
