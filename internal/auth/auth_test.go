package auth_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/userpb"
)

// S4, B040: a credential comes in one Authorization header or in the cookie, and from nowhere else.
func TestCredentialOf(t *testing.T) {
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("admin:password"))
	long := strings.Repeat("a", 1<<20)
	for _, c := range []struct {
		name    string
		url     string
		headers []string
		want    auth.Credential // zero: refused
	}{
		{"nothing", "/", nil, auth.Credential{}},
		{"bearer", "/", []string{"Authorization: Bearer tok"}, auth.Credential{Token: "tok"}},
		{"bearer, any case", "/", []string{"Authorization: bEARER tok"}, auth.Credential{Token: "tok"}},
		{"cookie", "/", []string{"Cookie: gopan_session=tok"}, auth.Credential{Token: "tok", Cookie: true}},
		{"cookie among others", "/", []string{"Cookie: a=b; gopan_session=tok; c=d"}, auth.Credential{Token: "tok", Cookie: true}},
		{"the header counts", "/", []string{"Authorization: Bearer tok", "Cookie: gopan_session=other"}, auth.Credential{Token: "tok"}},
		{"a bad header is not made good by a cookie", "/", []string{"Authorization: Bearer", "Cookie: gopan_session=tok"}, auth.Credential{}},
		{"an empty header is not made good by a cookie", "/", []string{"Authorization: ", "Cookie: gopan_session=tok"}, auth.Credential{}},
		{"two headers", "/", []string{"Authorization: Bearer a", "Authorization: Bearer b"}, auth.Credential{}},
		{"no scheme", "/", []string{"Authorization: tok"}, auth.Credential{}},
		{"no token", "/", []string{"Authorization: Bearer "}, auth.Credential{}},
		{"no space", "/", []string{"Authorization: Bearer\ttok"}, auth.Credential{}},
		{"basic", "/", []string{basic}, auth.Credential{}},
		{"basic, no colon", "/", []string{"Authorization: Basic YWRtaW4="}, auth.Credential{}},
		{"basic, no base64", "/", []string{"Authorization: Basic ///"}, auth.Credential{}},
		{"basic, a megabyte", "/", []string{"Authorization: Basic " + long}, auth.Credential{}},
		{"bearer, a megabyte", "/", []string{"Authorization: Bearer " + long}, auth.Credential{}},
		{"cookie, a megabyte", "/", []string{"Cookie: gopan_session=" + long}, auth.Credential{}},
		{"cookie, empty", "/", []string{"Cookie: gopan_session="}, auth.Credential{}},
		{"cookie of another name", "/", []string{"Cookie: Gopan_Session=tok; session=tok; gopan_session2=tok"}, auth.Credential{}},
		{"digest", "/", []string{`Authorization: Digest username="admin"`}, auth.Credential{}},
		{"in the URL", "/?access_token=tok&token=tok&authorization=Bearer%20tok", nil, auth.Credential{}},
		{"user in the URL", "http://admin:tok@gopan/", nil, auth.Credential{}},
		{"other headers", "/", []string{"X-Access-Token: tok", "Proxy-Authorization: Bearer tok", "X-Forwarded-User: admin", "X-User-Id: 1"}, auth.Credential{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, c.url, nil)
			for _, h := range c.headers {
				name, value, _ := strings.Cut(h, ": ")
				r.Header.Add(name, value)
			}
			got, err := auth.CredentialOf(r)
			if got != c.want || errs.Is(errs.Unauthenticated, err) != (c.want == auth.Credential{}) || err != nil && !errs.Is(errs.Unauthenticated, err) {
				t.Errorf("got %+v, %v", got, err)
			}
			if err != nil && (strings.Contains(err.Error(), "tok") || strings.Contains(err.Error(), "password")) {
				t.Errorf("the error tells the credential: %v", err)
			}
		})
	}
}

// judge is a user role that knows one good token and one good cookie of the same text.
type judge struct {
	userpb.UserClient
	asked   atomic.Int64
	down    atomic.Bool
	expires time.Time
}

func (j *judge) Authenticate(_ context.Context, req *userpb.AuthenticateRequest, _ ...grpc.CallOption) (*userpb.Principal, error) {
	j.asked.Add(1)
	if j.down.Load() {
		return nil, errs.E(errs.Busy, "test", errs.Code("role_unavailable"))
	}
	p := &userpb.Principal{UserId: 7, Login: "ann", Role: "admin", SessionId: 3, ExpiresAt: j.expires.UnixMilli()}
	switch {
	case req.GetAccessToken() == "good":
		return p, nil
	case req.GetSessionCookie() == "biscuit":
		return p, nil
	}
	return nil, errs.E(errs.Unauthenticated, "test")
}

func tomorrow() time.Time { return time.Now().Add(24 * time.Hour) }

// S18: a good answer is kept for Keep and no longer: what ends in the user role ends here.
func TestCheckerKeeps(t *testing.T) {
	j := &judge{expires: tomorrow()}
	c := &auth.Checker{User: j, Keep: time.Hour}
	want := auth.Principal{UserID: 7, Login: "ann", Role: "admin", SessionID: 3}
	for range 3 {
		if p, err := c.Check(t.Context(), auth.Credential{Token: "good"}); err != nil || p != want || !p.Admin() {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	if n := j.asked.Load(); n != 1 {
		t.Errorf("asked %d times, want 1", n)
	}
	// Kept within its time even while the user role is down; a new credential is not let in.
	j.down.Store(true)
	if _, err := c.Check(t.Context(), auth.Credential{Token: "good"}); err != nil {
		t.Errorf("the answer was not kept: %v", err)
	}
	if _, err := c.Check(t.Context(), auth.Credential{Token: "biscuit", Cookie: true}); !errs.Is(errs.Busy, err) || errs.CodeOf(err) != "role_unavailable" {
		t.Errorf("with the user role down: %v", err)
	}

	short := &auth.Checker{User: &judge{expires: tomorrow()}, Keep: time.Nanosecond}
	for range 3 {
		if _, err := short.Check(t.Context(), auth.Credential{Token: "good"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := short.User.(*judge).asked.Load(); n != 3 {
		t.Errorf("kept for a nanosecond: asked %d times, want 3", n)
	}
}

// S18: without a setting, an answer is kept for less than a second.
func TestCheckerKeepsLessThanASecond(t *testing.T) {
	j := &judge{expires: tomorrow()}
	c := &auth.Checker{User: j}
	begin := time.Now()
	for j.asked.Load() < 2 {
		if _, err := c.Check(t.Context(), auth.Credential{Token: "good"}); err != nil {
			t.Fatal(err)
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatal("asked once in ten seconds")
		}
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("asked again after %v", took)
	}
}

// S4: no answer is kept past the credential's own end.
func TestCheckerExpiry(t *testing.T) {
	j := &judge{expires: time.Now().Add(-time.Millisecond)}
	c := &auth.Checker{User: j, Keep: time.Hour}
	for range 3 {
		if _, err := c.Check(t.Context(), auth.Credential{Token: "good"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := j.asked.Load(); n != 3 {
		t.Errorf("asked %d times, want 3", n)
	}
}

// A bad answer is never kept, neither "no" nor "cannot say"; and a cookie is not taken for a token of the same text.
func TestCheckerForgetsBad(t *testing.T) {
	j := &judge{expires: tomorrow()}
	c := &auth.Checker{User: j, Keep: time.Hour}
	for _, cred := range []auth.Credential{{Token: "bad"}, {Token: "bad"}, {Token: "bad", Cookie: true}, {}} {
		if p, err := c.Check(t.Context(), cred); !errs.Is(errs.Unauthenticated, err) || p != (auth.Principal{}) {
			t.Errorf("%+v: %+v, %v", cred, p, err)
		}
	}
	if n := j.asked.Load(); n != 4 {
		t.Errorf("asked %d times, want 4", n)
	}
	for range 2 {
		if _, err := c.Check(t.Context(), auth.Credential{Token: "good"}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Check(t.Context(), auth.Credential{Token: "good", Cookie: true}); !errs.Is(errs.Unauthenticated, err) {
			t.Errorf("a token came in as a cookie: %v", err)
		}
		if p, err := c.Check(t.Context(), auth.Credential{Token: "biscuit", Cookie: true}); err != nil || !p.Cookie {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err := c.Check(t.Context(), auth.Credential{Token: "biscuit"}); !errs.Is(errs.Unauthenticated, err) {
			t.Errorf("a cookie came in as a token: %v", err)
		}
	}
	j.down.Store(true)
	if _, err := c.Check(t.Context(), auth.Credential{Token: "new"}); !errs.Is(errs.Busy, err) {
		t.Errorf("%v", err)
	}
	j.down.Store(false)
	if _, err := c.Check(t.Context(), auth.Credential{Token: "new"}); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("the failure was kept: %v", err)
	}
}

func TestPrincipalInContext(t *testing.T) {
	if _, err := auth.From(t.Context()); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("nobody: %v", err)
	}
	if (auth.Principal{}).Admin() || (auth.Principal{Role: "Admin"}).Admin() {
		t.Error("nobody is an admin")
	}
	p := auth.Principal{UserID: 7}
	if got, err := auth.From(auth.With(t.Context(), p)); err != nil || got != p {
		t.Errorf("%+v, %v", got, err)
	}
}
