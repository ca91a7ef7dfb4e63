package user

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
)

// token is a person's security key, or what stands for one, and the browser that talks to it.
type token struct {
	site virtualwebauthn.RelyingParty
	auth virtualwebauthn.Authenticator
	cred virtualwebauthn.Credential
}

func newToken() token {
	return token{
		site: virtualwebauthn.RelyingParty{ID: "drive.example", Name: "Gopan", Origin: "https://drive.example"},
		auth: virtualwebauthn.NewAuthenticator(),
		cred: newCredential(),
	}
}

// newCredential makes a key on P-256. virtualwebauthn leaves leading zeros out of coordinates, and such a key is refused.
func newCredential() virtualwebauthn.Credential {
	const wholeKey = 77 // bytes of a COSE_Key with two coordinates of 32
	for {
		if c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2); len(c.Key.AttestationData()) == wholeKey {
			return c
		}
	}
}

// create answers a ceremony that makes a passkey, and remembers whose it is.
func (k *token) create(t *testing.T, options string) string {
	t.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(options)
	if err != nil {
		t.Fatal(err)
	}
	k.auth.Options.UserHandle = []byte(o.UserID)
	return virtualwebauthn.CreateAttestationResponse(k.site, k.auth, k.cred, *o)
}

// show answers a ceremony that signs in; its counter goes up.
func (k *token) show(t *testing.T, options string) string {
	t.Helper()
	o, err := virtualwebauthn.ParseAssertionOptions(options)
	if err != nil {
		t.Fatal(err)
	}
	k.cred.Counter++
	return virtualwebauthn.CreateAssertionResponse(k.site, k.auth, k.cred, *o)
}

// withPasskey makes a passkey for an account.
func (f fixture) withPasskey(t *testing.T, id int64) *token {
	t.Helper()
	k := newToken()
	a, err := f.account(t.Context(), "id = ?", id)
	if err != nil {
		t.Fatal(err)
	}
	ceremony, options, err := f.beginPasskey(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.addPasskey(t.Context(), a, ceremony, "key", k.create(t, options)); err != nil {
		t.Fatal(err)
	}
	return &k
}

func newPasskeyFixture(t *testing.T) fixture {
	t.Helper()
	f := newFixture(t)
	f.PublicURL = "https://drive.example"
	return f
}

// A person adds a passkey, enters by it alone although a second factor is on, renames it and removes it.
func TestPasskey(t *testing.T) {
	f := newPasskeyFixture(t)
	f.withApp(t)
	site := f.serve(t, false) + "/api/v1"
	me, k := f.as(t, ann), newToken()
	if !get[SignInMethods](t, site+"/auth/methods").Passkeys {
		t.Error("passkeys are not offered")
	}
	fetch(t, 403, "wrong_password", "POST", site+"/me/passkeys/begin", `{}`, me)
	c := post[Ceremony](t, "POST", site+"/me/passkeys/begin", sureBody, me)
	if o := c.Options; !strings.Contains(o, `"residentKey":"required"`) || !strings.Contains(o, `"userVerification":"required"`) || !strings.Contains(o, `"attestation":"none"`) ||
		strings.Contains(o, `"1001"`) {
		t.Errorf("options %s", o)
	}
	added := post[Passkey](t, "POST", site+"/me/passkeys", body("name", "Blue key", "ceremony", c.ID, "passkey", k.create(t, c.Options)), me)
	if added.Name != "Blue key" || added.UsedAt != "" {
		t.Errorf("%+v", added)
	}
	if again := post[Ceremony](t, "POST", site+"/me/passkeys/begin", sureBody, me); !excludes(t, again.Options, k.cred) {
		t.Errorf("the browser is not told that this key is there: %s", again.Options)
	}

	c = post[Ceremony](t, "POST", site+"/auth/passkey", "")
	if strings.Contains(c.Options, "allowCredentials") || !strings.Contains(c.Options, `"userVerification":"required"`) {
		t.Errorf("options %s", c.Options)
	}
	resp, text := call(t, "POST", site+"/auth/session", body("ceremony", c.ID, "passkey", k.show(t, c.Options)))
	if resp.StatusCode != 200 || !strings.Contains(text, `"login":"ann"`) {
		t.Fatalf("%d %s", resp.StatusCode, text)
	}
	cookie := "Cookie: " + sessionCookie(t, resp).String()
	if got := get[PasskeyList](t, site+"/me/passkeys", cookie).Items; len(got) != 1 || got[0].UsedAt == "" {
		t.Errorf("%+v", got)
	}
	if e := f.log(t, "signin.ok"); len(e) == 0 || e[0].Detail != "passkey" || e[0].ActorID != ann {
		t.Errorf("%+v", e)
	}

	// Another account cannot touch it, and is told the same as of one that is not there (S2).
	stranger := f.as(t, admin)
	for _, id := range []string{added.ID, "4711", "0", "-1", "x"} {
		fetch(t, 404, "not_found", "PATCH", site+"/me/passkeys/"+id, body("name", "mine"), stranger)
		fetch(t, 404, "not_found", "DELETE", site+"/me/passkeys/"+id, "", stranger)
	}
	if got := get[PasskeyList](t, site+"/me/passkeys", stranger).Items; len(got) != 0 {
		t.Errorf("another's: %+v", got)
	}
	fetch(t, 204, "", "PATCH", site+"/me/passkeys/"+added.ID, body("name", "Red key"), me)
	if got := get[PasskeyList](t, site+"/me/passkeys", me).Items; len(got) != 1 || got[0].Name != "Red key" {
		t.Errorf("%+v", got)
	}
	fetch(t, 204, "", "DELETE", site+"/me/passkeys/"+added.ID, "", me)
	fetch(t, 404, "not_found", "DELETE", site+"/me/passkeys/"+added.ID, "", me)
	c = post[Ceremony](t, "POST", site+"/auth/passkey", "")
	fetch(t, 401, "bad_passkey", "POST", site+"/auth/session", body("ceremony", c.ID, "passkey", k.show(t, c.Options)))
}

func excludes(t *testing.T, options string, cred virtualwebauthn.Credential) bool {
	t.Helper()
	o, err := virtualwebauthn.ParseAttestationOptions(options)
	return err == nil && cred.IsExcludedForAttestation(*o)
}

// What is not the answer of this account's own key, at our own page, to this ceremony, now, lets nobody in.
func TestPasskeyRefused(t *testing.T) {
	f := newPasskeyFixture(t)
	site := f.serve(t, false) + "/api/v1"
	k := f.withPasskey(t, ann)
	other := f.withPasskey(t, admin)
	change := func(old, with string) func(string) string {
		return func(answer string) string { return strings.Replace(answer, old, with, 1) }
	}
	handle := func(h []byte) func(t *testing.T, k *token) {
		return func(_ *testing.T, k *token) { k.auth.Options.UserHandle = h }
	}
	for name, c := range map[string]struct {
		// before changes the key; after changes its answer.
		before func(t *testing.T, k *token)
		after  func(string) string
		// otherChallenge has it answer another ceremony than it says.
		otherChallenge bool
	}{
		"another origin":             {before: func(_ *testing.T, k *token) { k.site.Origin = "https://evil.example" }},
		"our origin without TLS":     {before: func(_ *testing.T, k *token) { k.site.Origin = "http://drive.example" }},
		"a subdomain":                {before: func(_ *testing.T, k *token) { k.site.Origin = "https://a.drive.example" }},
		"another port":               {before: func(_ *testing.T, k *token) { k.site.Origin = "https://drive.example:444" }},
		"another relying party":      {before: func(_ *testing.T, k *token) { k.site.ID = "evil.example" }},
		"user not verified":          {before: func(_ *testing.T, k *token) { k.auth.Options.UserNotVerified = true }},
		"user not present":           {before: func(_ *testing.T, k *token) { k.auth.Options.UserNotPresent = true }},
		"another user's handle":      {before: handle(other.auth.Options.UserHandle)},
		"the account's id as handle": {before: handle([]byte("1001"))},
		"no handle":                  {before: handle(nil)},
		"the counter went back":      {before: func(_ *testing.T, k *token) { k.cred.Counter -= 2 }},
		"the counter stood still":    {before: func(_ *testing.T, k *token) { k.cred.Counter-- }},
		"another's key": {before: func(_ *testing.T, k *token) {
			id := k.cred.ID
			k.cred = other.cred
			k.cred.ID = id
		}},
		"a key that nobody has": {before: func(_ *testing.T, k *token) { k.cred = newCredential() }},
		"another challenge":     {otherChallenge: true},
		"no JSON":               {after: func(string) string { return "passkey" }},
		"an empty object":       {after: func(string) string { return "{}" }},
		"of another type":       {after: change("public-key", "password")},
		"without a signature":   {after: change(`"signature":"`, `"signatur":"`)},
		"the signature of something": {after: func(answer string) string {
			i := strings.Index(answer, `"signature":"`) + 40
			with := "A"
			if answer[i] == 'A' {
				with = "B"
			}
			return answer[:i] + with + answer[i+1:]
		}},
		"two ids": {after: change(`"rawId":"`, `"rawId":"AAAA`)},
	} {
		t.Run(name, func(t *testing.T) {
			// An entry that is good, so that the counter is above zero.
			f.enter(t, site, k)
			bad := *k
			if c.before != nil {
				c.before(t, &bad)
			}
			ceremony := post[Ceremony](t, "POST", site+"/auth/passkey", "")
			options := ceremony.Options
			if c.otherChallenge {
				options = post[Ceremony](t, "POST", site+"/auth/passkey", "").Options
			}
			answer := bad.show(t, options)
			if c.after != nil {
				changed := c.after(answer)
				if changed == answer {
					t.Fatalf("nothing was changed in %s", answer)
				}
				answer = changed
			}
			resp, text := call(t, "POST", site+"/auth/session", body("ceremony", ceremony.ID, "passkey", answer))
			if resp.StatusCode != 401 || !strings.Contains(text, `"bad_passkey"`) || len(resp.Cookies()) > 0 {
				t.Errorf("%d %s", resp.StatusCode, text)
			}
			f.enter(t, site, k)
		})
	}
}

// enter signs in by a passkey over HTTP.
func (f fixture) enter(t *testing.T, site string, k *token) {
	t.Helper()
	c := post[Ceremony](t, "POST", site+"/auth/passkey", "")
	fetch(t, 200, "", "POST", site+"/auth/session", body("ceremony", c.ID, "passkey", k.show(t, c.Options)))
	f.forward(time.Minute) // so that attempts are far enough apart
}

// A ceremony is good once, for five minutes, for who began it and for what it was begun.
func TestCeremonies(t *testing.T) {
	f := newPasskeyFixture(t)
	site := f.serve(t, false) + "/api/v1"
	k := f.withPasskey(t, ann)

	c := post[Ceremony](t, "POST", site+"/auth/passkey", "")
	answer := body("ceremony", c.ID, "passkey", k.show(t, c.Options))
	fetch(t, 200, "", "POST", site+"/auth/session", answer)
	fetch(t, 401, "bad_passkey", "POST", site+"/auth/session", answer)
	fetch(t, 401, "bad_passkey", "POST", site+"/auth/session", body("ceremony", "AAAAAAAAAAAAAAAAAAAAAAAAAA", "passkey", k.show(t, c.Options)))
	fetch(t, 401, "bad_passkey", "POST", site+"/auth/session", body("passkey", k.show(t, c.Options)))

	c = post[Ceremony](t, "POST", site+"/auth/passkey", "")
	f.forward(ceremonyLife + time.Second)
	fetch(t, 401, "bad_passkey", "POST", site+"/auth/session", body("ceremony", c.ID, "passkey", k.show(t, c.Options)))

	// One that makes a passkey signs nobody in, and the other way round.
	me, fresh := f.as(t, ann), newToken()
	c = post[Ceremony](t, "POST", site+"/me/passkeys/begin", sureBody, me)
	o, err := virtualwebauthn.ParseAttestationOptions(c.Options)
	if err != nil {
		t.Fatal(err)
	}
	k.cred.Counter++
	shown := virtualwebauthn.CreateAssertionResponse(k.site, k.auth, k.cred, virtualwebauthn.AssertionOptions{Challenge: o.Challenge, RelyingPartyID: o.RelyingPartyID})
	fetch(t, 401, "bad_passkey", "POST", site+"/auth/session", body("ceremony", c.ID, "passkey", shown))
	c = post[Ceremony](t, "POST", site+"/auth/passkey", "")
	login, err := virtualwebauthn.ParseAssertionOptions(c.Options)
	if err != nil {
		t.Fatal(err)
	}
	made := virtualwebauthn.CreateAttestationResponse(fresh.site, fresh.auth, fresh.cred, virtualwebauthn.AttestationOptions{Challenge: login.Challenge, RelyingPartyID: login.RelyingPartyID})
	fetch(t, 400, "bad_passkey", "POST", site+"/me/passkeys", body("name", "x", "ceremony", c.ID, "passkey", made), me)

	// What makes a passkey: for whom it was begun, at our page, once, with the person verified, and no key twice.
	begin := func() Ceremony { return post[Ceremony](t, "POST", site+"/me/passkeys/begin", sureBody, me) }
	refused := func(name, ceremony, answer, who string) {
		t.Helper()
		got := fetch(t, 400, "bad_passkey", "POST", site+"/me/passkeys", body("name", "x", "ceremony", ceremony, "passkey", answer), who)
		if !strings.Contains(got, `"field":"passkey"`) {
			t.Errorf("%s: %s", name, got)
		}
	}
	c = begin()
	refused("another account's ceremony", c.ID, fresh.create(t, c.Options), f.as(t, admin))
	refused("a ceremony that another account used up", c.ID, fresh.create(t, c.Options), me)
	c = begin()
	refused("another ceremony's answer", c.ID, fresh.create(t, begin().Options), me)
	for name, spoil := range map[string]func(k *token){
		"another origin":        func(k *token) { k.site.Origin = "https://evil.example" },
		"another relying party": func(k *token) { k.site.ID = "evil.example" },
		"not verified":          func(k *token) { k.auth.Options.UserNotVerified = true },
		"not present":           func(k *token) { k.auth.Options.UserNotPresent = true },
	} {
		bad := newToken()
		spoil(&bad)
		c = begin()
		refused(name, c.ID, bad.create(t, c.Options), me)
	}
	for _, answer := range []string{"x", "{}", `{"id":1}`, "[]"} {
		refused("no answer at all", begin().ID, answer, me)
	}
	c = begin()
	answer = body("name", "x", "ceremony", c.ID, "passkey", fresh.create(t, c.Options))
	fetch(t, 200, "", "POST", site+"/me/passkeys", answer, me)
	fetch(t, 400, "bad_passkey", "POST", site+"/me/passkeys", answer, me)
	// The id of a key that is somebody's cannot become another's.
	stranger := f.as(t, admin)
	c = post[Ceremony](t, "POST", site+"/me/passkeys/begin", sureBody, stranger)
	thief := newToken()
	thief.cred.ID = k.cred.ID
	refused("the id of another's key", c.ID, thief.create(t, c.Options), stranger)
	if n := f.number(t, "SELECT count(*) FROM passkeys WHERE user_id = 1001"); n != 2 {
		t.Errorf("ann has %d", n)
	}
}

// Browsers want a name and a secure context; where there is none, passkeys are not offered.
func TestPasskeysNeedHTTPS(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1" // http://127.0.0.1
	for public, want := range map[string]bool{
		"https://drive.example": true, "https://drive.example:8443/": true, "http://localhost:8080": true, "http://drive.localhost": true,
		"http://drive.example": false, "http://127.0.0.1": false, "https://192.0.2.1": false, "https://[2001:db8::1]:8443": false, "": false,
		"http://localhost.evil.example": false, "http://notlocalhost": false,
	} {
		f.PublicURL = public
		if got := get[SignInMethods](t, site+"/auth/methods").Passkeys; got != want {
			t.Errorf("%q: offered %v, want %v", public, got, want)
		}
		status, code := 403, "passkeys_off"
		if want {
			status, code = 200, ""
		}
		fetch(t, status, code, "POST", site+"/auth/passkey", "")
		fetch(t, status, code, "POST", site+"/me/passkeys/begin", sureBody, f.as(t, ann))
	}
}

// A disabled account is told so by its own key alone; its owner cannot remove the last way in.
func TestPasskeyOfAClosedAccount(t *testing.T) {
	f := newPasskeyFixture(t)
	site := f.serve(t, false) + "/api/v1"
	k := f.withPasskey(t, ann)
	f.exec(t, "UPDATE users SET password_hash = '' WHERE id = 1001")
	id := strconv.FormatInt(f.number(t, "SELECT id FROM passkeys WHERE user_id = 1001"), 10)
	fetch(t, 409, "last_way_in", "DELETE", site+"/me/passkeys/"+id, "", f.as(t, ann))
	f.enter(t, site, k)
	f.exec(t, "UPDATE users SET phone = '+8613800138000' WHERE id = 1001")
	fetch(t, 204, "", "DELETE", site+"/me/passkeys/"+id, "", f.as(t, ann))

	k = f.withPasskey(t, ann)
	f.exec(t, "UPDATE users SET disabled_at = 1 WHERE id = 1001")
	c := post[Ceremony](t, "POST", site+"/auth/passkey", "")
	fetch(t, 403, "account_closed", "POST", site+"/auth/session", body("ceremony", c.ID, "passkey", k.show(t, c.Options)))
}

// Two ways in are removed at the same moment, by two processes: one of them stays, whoever's it is.
func TestLastWayInInParallel(t *testing.T) {
	f := newFixture(t)
	const people = 40
	if err := f.DB.Write(t.Context(), func(tx *gorm.DB) error {
		for id := int64(5000); id < 5000+people; id++ {
			for _, row := range []any{
				&account{ID: id, Login: "u" + decimal(id), Role: roleUser},
				&passkey{ID: id, UserID: id, Credential: []byte(decimal(id)), Data: "{}"},
				&identity{Provider: "github", Subject: decimal(id), UserID: id},
			} {
				if err := tx.Create(row).Error; err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n := f.together(t, 2*people, func(s *Service, i int) error {
		id := int64(5000 + i/2)
		if i%2 == 0 {
			return s.removePasskey(t.Context(), id, id)
		}
		return s.unlink(t.Context(), id, "github")
	}, func(err error) bool { return errs.CodeOf(err) == "last_way_in" }); n != people {
		t.Errorf("%d ways in of %d people were removed", n, people)
	}
	if n := f.number(t, "SELECT (SELECT count(*) FROM passkeys) + (SELECT count(*) FROM identities)"); n != people {
		t.Errorf("%d are left", n)
	}
}

// S11: the wrong answers of a neighbour keep nobody out who has a key, and are bounded all the same.
func TestWrongPasskeysLockNobodyOut(t *testing.T) {
	f := newPasskeyFixture(t)
	k := f.withPasskey(t, ann)
	sign := func(answer string) error {
		id, options, err := f.beginPasskeyLogin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if answer == "" {
			answer = k.show(t, options)
		}
		_, err = f.byPasskey(t.Context(), id, answer)
		return err
	}
	for range 3 * DefaultLimits.Failures {
		if err := sign("{}"); errs.CodeOf(err) != "bad_passkey" {
			t.Fatal(err)
		}
	}
	if err := sign(""); err != nil {
		t.Errorf("the owner: %v", err)
	}
	judged := 0
	for range 2 * DefaultLimits.AddressFailures {
		if err := sign("{}"); errs.CodeOf(err) == "bad_passkey" {
			judged++
		} else if !errs.Is(errs.TooMany, err) || toWait(err) == 0 {
			t.Fatal(err)
		}
	}
	if judged != int(DefaultLimits.AddressFailures-3*DefaultLimits.Failures-1) {
		t.Errorf("%d more were judged", judged)
	}
	f.forward(FailureWindow)
	if err := sign(""); err != nil {
		t.Errorf("after the window: %v", err)
	}
	// While answers cannot be counted nobody comes in (C9).
	id, options, err := f.beginPasskeyLogin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.KV = brokenKV{errs.E(errs.Busy, "test", errs.Code("kv_unavailable"))}
	if _, err := f.byPasskey(t.Context(), id, k.show(t, options)); !errs.Is(errs.Busy, err) {
		t.Errorf("without kv: %v", err)
	}
	if _, _, err := f.beginPasskeyLogin(t.Context()); !errs.Is(errs.Busy, err) {
		t.Errorf("without kv: %v", err)
	}
}

// C8: of many that are added at once no more than the limit are.
func TestPasskeyLimit(t *testing.T) {
	f := newPasskeyFixture(t)
	a := f.ann(t)
	type answer struct{ ceremony, text string }
	answers := make([]answer, maxPasskeys+10)
	for i := range answers {
		k := newToken()
		id, options, err := f.beginPasskey(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		answers[i] = answer{id, k.create(t, options)}
	}
	full := func(err error) bool { return errs.CodeOf(err) == "too_many_keys" }
	if n := f.together(t, len(answers), func(s *Service, i int) error {
		_, err := s.addPasskey(t.Context(), a, answers[i].ceremony, "key", answers[i].text)
		return err
	}, full); n != maxPasskeys {
		t.Errorf("%d were added", n)
	}
	if _, _, err := f.beginPasskey(t.Context(), a); !full(err) {
		t.Errorf("one more: %v", err)
	}
}

// Of a passkey only what is public is kept, and of its owner the ceremony tells nothing but a name of no meaning.
func TestPasskeyHandle(t *testing.T) {
	f := newPasskeyFixture(t)
	one, two := f.withPasskey(t, ann), f.withPasskey(t, ann)
	if h := string(one.auth.Options.UserHandle); len(h) != 32 || h != string(two.auth.Options.UserHandle) || strings.Contains(h, "1001") {
		t.Errorf("handles %x, %x", h, two.auth.Options.UserHandle)
	}
	rows, err := f.passkeys(t.Context(), ann)
	if err != nil || len(rows) != 2 {
		t.Fatal(rows, err)
	}
	for _, r := range rows {
		if !json.Valid([]byte(r.Data)) || len(r.Data) > 4096 {
			t.Errorf("%d bytes: %s", len(r.Data), r.Data)
		}
	}
}
