package user

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/livil/gopan/internal/errs"
)

// forge makes a token with any header and claims, signed with any method and key.
func forge(t *testing.T, method jwt.SigningMethod, key any, header, body map[string]any) string {
	t.Helper()
	tok := jwt.NewWithClaims(method, jwt.MapClaims(body))
	maps.Copy(tok.Header, header)
	maps.DeleteFunc(tok.Header, func(_ string, v any) bool { return v == nil })
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// parts are what a good token of a session of ann's is made of.
func (f fixture) parts(t *testing.T) (header, body map[string]any) {
	t.Helper()
	var c claims
	if _, _, err := jwt.NewParser().ParseUnverified(f.signedIn(t).access, &c); err != nil {
		t.Fatal(err)
	}
	now := f.clock.Now().Unix()
	return map[string]any{"typ": "at+jwt"}, map[string]any{
		"iss": "gopan", "aud": "gopan-api", "sub": "1001", "jti": "x", "iat": now, "nbf": now, "exp": now + 60, "sid": c.Session,
	}
}

// B034, G04, L14: a token that is not exactly what this role signs is refused, and nothing panics.
func TestTokens(t *testing.T) {
	f := newFixture(t)
	key := f.Key
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	now := f.clock.Now().Unix()
	header, body := f.parts(t)
	with := func(m map[string]any, pairs ...any) map[string]any {
		m = maps.Clone(m)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
			if pairs[i+1] == nil {
				delete(m, pairs[i].(string))
			}
		}
		return m
	}
	hs := jwt.SigningMethodHS256
	good := forge(t, hs, key, header, body)
	if p, err := f.byToken(t.Context(), good); err != nil || p.GetUserId() != 1001 {
		t.Fatalf("the token that the bad ones are made of is not good itself: %v", err)
	}
	seg := strings.Split(good, ".")
	enc := base64.RawURLEncoding.EncodeToString
	signed := func(headerJSON, bodyJSON string) string {
		in := enc([]byte(headerJSON)) + "." + enc([]byte(bodyJSON))
		sig, err := hs.Sign(in, key)
		if err != nil {
			t.Fatal(err)
		}
		return in + "." + enc(sig)
	}
	bodyJSON, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	session := f.signedIn(t)
	for name, token := range map[string]string{
		"empty": "", "dots": "..", "one segment": seg[0], "two segments": seg[0] + "." + seg[1], "no signature": seg[0] + "." + seg[1] + ".",
		"four segments": good + ".x", "five segments": good + ".x.y", "a megabyte": strings.Repeat("a", 1<<20),
		"a megabyte of dots": strings.Repeat(".", 1<<20), "deep": signed(`{"alg":"HS256","typ":"at+jwt","x":`+strings.Repeat("[", 50_000), "{}"),
		"not base64": "!." + seg[1] + "." + seg[2], "padded": seg[0] + "=." + seg[1] + "." + seg[2],
		"not JSON": signed("{", "{}"), "null": signed("null", "null"), "array": signed("[]", "[]"), "spaces": " " + good + " ",
		"NUL": good + "\x00", "not UTF-8": "\xff\xfe", "other signature": seg[0] + "." + seg[1] + "." + enc(make([]byte, 32)),
		"other body":                       seg[0] + "." + enc([]byte(strings.Replace(string(bodyJSON), "1001", "1", 1))) + "." + seg[2],
		"alg none":                         forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, header, body),
		"alg None":                         enc([]byte(`{"alg":"None","typ":"at+jwt"}`)) + "." + seg[1] + ".",
		"alg missing":                      signed(`{"typ":"at+jwt"}`, string(bodyJSON)),
		"alg a number":                     signed(`{"alg":256,"typ":"at+jwt"}`, string(bodyJSON)),
		"alg hs256":                        signed(`{"alg":"hs256","typ":"at+jwt"}`, string(bodyJSON)),
		"HS384":                            forge(t, jwt.SigningMethodHS384, key, header, body),
		"HS512":                            forge(t, jwt.SigningMethodHS512, key, header, body),
		"RS256":                            forge(t, jwt.SigningMethodRS256, rsaKey, header, body),
		"PS256":                            forge(t, jwt.SigningMethodPS256, rsaKey, header, body),
		"RS256 for HMAC":                   forge(t, hs, publicPEM, header, body),
		"named RS256, signed with our key": signed(`{"alg":"RS256","typ":"at+jwt"}`, string(bodyJSON)),
		"empty key":                        forge(t, hs, []byte{}, header, body),
		"another key":                      forge(t, hs, []byte(strings.Repeat("x", 32)), header, body),
		"key cut short":                    forge(t, hs, key[:31], header, body),
		"own key in the header":            forge(t, hs, []byte("mine"), with(header, "jwk", map[string]any{"kty": "oct", "k": "bWluZQ"}), body),
		"jku":                              forge(t, hs, []byte("mine"), with(header, "jku", "https://evil.example/keys"), body),
		"kid a path":                       forge(t, hs, []byte{}, with(header, "kid", "../../../../dev/null"), body),
		"kid SQL":                          forge(t, hs, []byte("mine"), with(header, "kid", "x' UNION SELECT 'mine' --"), body),
		"crit":                             forge(t, hs, key, with(header, "crit", []string{"exp"}), body),
		"typ JWT":                          forge(t, hs, key, with(header, "typ", "JWT"), body),
		"typ missing":                      forge(t, hs, key, with(header, "typ", nil), body),
		"typ a list":                       forge(t, hs, key, with(header, "typ", []string{"at+jwt"}), body),

		"iss of another": forge(t, hs, key, header, with(body, "iss", "gopan2")),
		"iss missing":    forge(t, hs, key, header, with(body, "iss", nil)),
		"aud of another": forge(t, hs, key, header, with(body, "aud", "other")),
		"aud missing":    forge(t, hs, key, header, with(body, "aud", nil)),
		"aud empty":      forge(t, hs, key, header, with(body, "aud", []string{})),
		"jti missing":    forge(t, hs, key, header, with(body, "jti", nil)),
		"sid missing":    forge(t, hs, key, header, with(body, "sid", nil)),
		"sid a string":   forge(t, hs, key, header, with(body, "sid", "1")),
		"sid unknown":    forge(t, hs, key, header, with(body, "sid", 1<<40)),
		"sid negative":   forge(t, hs, key, header, with(body, "sid", -1)),
		"sid SQL":        forge(t, hs, key, header, with(body, "sid", "0 OR 1=1")),
		"sub of another": forge(t, hs, key, header, with(body, "sub", "1")),
		"sub missing":    forge(t, hs, key, header, with(body, "sub", nil)),
		"exp missing":    forge(t, hs, key, header, with(body, "exp", nil)),
		"exp null":       signed(`{"alg":"HS256","typ":"at+jwt"}`, strings.Replace(string(bodyJSON), strconv.FormatInt(now+60, 10), "null", 1)),
		"exp a string":   forge(t, hs, key, header, with(body, "exp", strconv.FormatInt(now+60, 10))),
		"exp now":        forge(t, hs, key, header, with(body, "exp", now)),
		"exp past":       forge(t, hs, key, header, with(body, "exp", now-1)),
		"exp 1e999":      signed(`{"alg":"HS256","typ":"at+jwt"}`, strings.Replace(string(bodyJSON), strconv.FormatInt(now+60, 10), "1e999", 1)),
		"exp negative":   forge(t, hs, key, header, with(body, "exp", -1)),
		"nbf missing":    forge(t, hs, key, header, with(body, "nbf", nil)),
		"nbf future":     forge(t, hs, key, header, with(body, "nbf", now+30)),
		"nbf a string":   forge(t, hs, key, header, with(body, "nbf", strconv.FormatInt(now, 10))),
		"iat future":     forge(t, hs, key, header, with(body, "iat", now+30)),
		"iat 2100":       forge(t, hs, key, header, with(body, "iat", 4102444800)),
		"iat a string":   forge(t, hs, key, header, with(body, "iat", strconv.FormatInt(now, 10))),

		"a refresh token": session.refresh,
		"bearer":          "Bearer " + good,
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := f.byToken(t.Context(), token); !errs.Is(errs.Unauthenticated, err) || p != nil {
				t.Errorf("%v, %v", p, err)
			}
			if p, err := f.byCookie(t.Context(), token); !errs.Is(errs.Unauthenticated, err) || p != nil {
				t.Errorf("as a cookie: %v, %v", p, err)
			}
		})
	}
	if p, err := f.byCookie(t.Context(), good); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("a token as a cookie: %v, %v", p, err)
	}
	if p, err := f.Authenticate(t.Context(), nil); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("no credential at all: %v, %v", p, err)
	}
	if _, err := f.byToken(t.Context(), good); err != nil {
		t.Errorf("the good one is no longer: %v", err)
	}
}

// S4: an access token lives for fifteen minutes and not a moment longer.
func TestTokenExpires(t *testing.T) {
	f := newFixture(t)
	s := f.signedIn(t)
	p, err := f.byToken(t.Context(), s.access)
	if want := f.clock.Now().Add(15 * time.Minute).UnixMilli(); err != nil || p.GetExpiresAt() != want {
		t.Fatalf("expires at %d, want %d; %v", p.GetExpiresAt(), want, err)
	}
	f.forward(15*time.Minute - time.Second)
	if _, err := f.byToken(t.Context(), s.access); err != nil {
		t.Errorf("a second before: %v", err)
	}
	f.forward(time.Second)
	if _, err := f.byToken(t.Context(), s.access); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("at its end: %v", err)
	}
	// F38: a clock that is set back does not make a token good before it was given out.
	fresh := f.signedIn(t)
	f.forward(-time.Hour)
	if _, err := f.byToken(t.Context(), fresh.access); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("before it was made: %v", err)
	}
}

// G02, S3: a token of one installation is worth nothing at another.
func TestTokenOfAnotherInstallation(t *testing.T) {
	one, two := newFixture(t), newFixture(t)
	two.Key = []byte(strings.Repeat("z", 32))
	two.clock.now = one.clock.now
	s := one.signedIn(t)
	two.signedIn(t) // has the same id there
	if p, err := two.byToken(t.Context(), s.access); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := two.refresh(t.Context(), s.refresh); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("%v", err)
	}
}

// Whatever somebody sends as a token, the answer is no.
func FuzzToken(f *testing.F) {
	s := &Service{Key: []byte(strings.Repeat("k", 32)), DB: nil}
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.")
	f.Add("eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJleHAiOjFlOTk5fQ.AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		// Without a database: one that gets past the signature would panic.
		if p, err := (fixture{Service: s}).byToken(t.Context(), token); !errs.Is(errs.Unauthenticated, err) {
			t.Fatalf("%v, %v", p, err)
		}
	})
}
