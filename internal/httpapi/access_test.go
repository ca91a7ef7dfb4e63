package httpapi_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/httpapi"
)

// whoami answers with the login of who asks; "" is nobody.
func whoami(w http.ResponseWriter, r *http.Request) error {
	p, _ := auth.From(r.Context())
	_, err := io.WriteString(w, p.Login)
	return err
}

// doors has a JSON and a raw route for each rule.
func doors() *httpapi.Server {
	s := new(httpapi.Server)
	for name, rule := range map[string]httpapi.Access{"public": httpapi.Public, "user": httpapi.User, "upload": httpapi.Upload, "admin": httpapi.Admin, "account": httpapi.Account, "read": httpapi.Read} {
		for _, method := range []string{"GET", "POST"} {
			spec := httpapi.Spec{Method: method, Path: "/api/v1/raw/" + name, Access: rule, Status: 200}
			s.Routes = append(s.Routes, httpapi.Raw(spec, whoami))
			spec.Path = "/api/v1/json/" + name
			s.Routes = append(s.Routes, httpapi.Out(spec, func(ctx context.Context) (*string, error) {
				p, _ := auth.From(ctx)
				return &p.Login, nil
			}))
		}
	}
	return s
}

// S1: a route without an access rule is refused when the process starts, not served to anybody.
func TestRouteWithoutRule(t *testing.T) {
	for _, rule := range []httpapi.Access{0, -1, httpapi.Admin + 1} {
		for _, route := range []httpapi.Route{
			httpapi.Raw(httpapi.Spec{Method: "GET", Path: "/x", Access: rule}, whoami),
			httpapi.Bare(httpapi.Spec{Method: "GET", Path: "/x", Access: rule}, func(context.Context) error { return nil }),
		} {
			if _, err := (&httpapi.Server{Routes: []httpapi.Route{route}, Check: check}).Handler(); err == nil {
				t.Errorf("rule %d, raw %v: served", rule, route.Raw)
			}
		}
	}
}

// S1: who comes in where. A credential in the URL is none (S4), and a bad one in the header is not made good
// by a cookie.
func TestAccess(t *testing.T) {
	addr := serve(t, doors())
	for _, c := range []struct {
		door, query string
		headers     []string
		want        int
		who         string
	}{
		{"public", "", nil, 200, ""},
		{"public", "", []string{"Authorization: Bearer garbage"}, 200, ""},
		{"user", "", nil, 401, ""},
		{"user", "", []string{"Authorization: Bearer garbage"}, 401, ""},
		{"user", "", []string{"Authorization: Basic YW5uOmFubg=="}, 401, ""},
		{"user", "?access_token=ann&token=ann&gopan_session=ann", nil, 401, ""},
		{"user", "", []string{"Authorization: Bearer ann"}, 200, "ann"},
		{"user", "", []string{"Cookie: gopan_session=ann"}, 200, "ann"},
		{"user", "", []string{"Cookie: gopan_session=garbage"}, 401, ""},
		{"user", "", []string{"Cookie: gopan_session=ann", "Authorization: Bearer garbage"}, 401, ""},
		{"user", "", []string{"Authorization: Bearer ann", "Authorization: Bearer root"}, 401, ""},
		{"user", "", []string{"Upload-Token: anything"}, 401, ""},
		{"upload", "", nil, 401, ""},
		{"upload", "", []string{"Authorization: Bearer garbage"}, 401, ""},
		{"upload", "", []string{"Authorization: Bearer ann"}, 200, "ann"},
		{"upload", "", []string{"Upload-Token: the role judges it"}, 200, ""},
		{"upload", "", []string{"Upload-Token: one", "Upload-Token: two"}, 401, ""},
		{"upload", "", []string{"Upload-Token: it alone counts", "Authorization: Bearer ann"}, 200, ""},
		{"admin", "", []string{"Upload-Token: anything"}, 401, ""},
		{"admin", "", nil, 401, ""},
		{"admin", "", []string{"Authorization: Bearer ann"}, 403, ""},
		{"admin", "", []string{"Cookie: gopan_session=ann"}, 403, ""},
		{"admin", "", []string{"Authorization: Bearer root"}, 200, "root"},
	} {
		for _, kind := range []string{"raw", "json"} {
			a := do(t, "GET", "http://"+addr+"/api/v1/"+kind+"/"+c.door+c.query, nil, c.headers...)
			if a.StatusCode != c.want || c.want == 200 && strings.Trim(a.body, "\"\n") != c.who {
				t.Errorf("%s %s%s %v: %d %q, want %d %q", kind, c.door, c.query, c.headers, a.StatusCode, a.body, c.want, c.who)
			}
			if c.want != 200 {
				a.problem(t)
			}
		}
	}
}

// B038: what changes something with a cookie must come from a page of ours; a token is not sent by itself and
// needs no such proof.
func TestForeignOrigin(t *testing.T) {
	addr := serve(t, doors())
	const cookie = "Cookie: gopan_session=ann"
	for _, c := range []struct {
		headers []string
		want    int
	}{
		{[]string{cookie}, 403},
		{[]string{cookie, "Origin: null"}, 403},
		{[]string{cookie, "Origin: https://evil.example"}, 403},
		{[]string{cookie, "Origin: http://" + addr + ".evil.example"}, 403},
		{[]string{cookie, "Origin: http://evil.example", "X-Forwarded-Host: evil.example"}, 403},
		{[]string{cookie, "Referer: http://" + addr + "/"}, 403},
		{[]string{cookie, "Sec-Fetch-Site: cross-site"}, 403},
		{[]string{cookie, "Sec-Fetch-Site: same-site"}, 403},
		{[]string{cookie, "Sec-Fetch-Site: none"}, 403},
		{[]string{cookie, "Sec-Fetch-Site: cross-site", "Origin: http://" + addr}, 403},
		{[]string{cookie, "Sec-Fetch-Site: same-origin"}, 200},
		{[]string{cookie, "Origin: http://" + addr}, 200},
		{[]string{cookie, "Origin: https://" + addr}, 200},
		{[]string{"Authorization: Bearer ann", "Origin: https://evil.example"}, 200},
	} {
		for _, kind := range []string{"raw", "json"} {
			a := do(t, "POST", "http://"+addr+"/api/v1/"+kind+"/user", nil, c.headers...)
			if a.StatusCode != c.want || c.want == 403 && a.problem(t).Code != "foreign_origin" {
				t.Errorf("%s %v: %d %s, want %d", kind, c.headers, a.StatusCode, a.body, c.want)
			}
		}
	}
}

// SameOrigin guards what sets a cookie: a browser must not be signed in by another site; a program has no origin.
func TestSameOrigin(t *testing.T) {
	addr := serve(t, &httpapi.Server{Routes: []httpapi.Route{
		httpapi.Raw(httpapi.Spec{Method: "POST", Path: "/api/v1/session", Access: httpapi.Public}, func(w http.ResponseWriter, r *http.Request) error {
			if err := httpapi.SameOrigin(r); err != nil {
				return err
			}
			w.WriteHeader(http.StatusNoContent)
			return nil
		}),
	}})
	for header, want := range map[string]int{
		"X-None: 1": 204, "Sec-Fetch-Site: same-origin": 204, "Origin: http://" + addr: 204,
		"Origin: null": 403, "Origin: http://evil.example": 403, "Sec-Fetch-Site: cross-site": 403, "Sec-Fetch-Site: same-site": 403,
	} {
		if a := do(t, "POST", "http://"+addr+"/api/v1/session", nil, header); a.StatusCode != want {
			t.Errorf("%s: %d, want %d", header, a.StatusCode, want)
		}
	}
}

// L11: no answer, good or bad, lets another site read it.
func TestNoCORS(t *testing.T) {
	addr := serve(t, doors())
	for _, method := range []string{"OPTIONS", "GET", "POST", "HEAD", "DELETE"} {
		for _, path := range []string{"/api/v1/raw/user", "/api/v1/json/user", "/api/v1/json/public", "/nowhere", "/livez", "/metrics", "/api/v1/openapi.json"} {
			a := do(t, method, "http://"+addr+path, nil, "Origin: https://evil.example", "Authorization: Bearer ann",
				"Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization")
			for name := range a.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s %s: %s: %s", method, path, name, a.Header.Get(name))
				}
			}
			if method == "OPTIONS" && strings.HasPrefix(path, "/api/v1/raw") && a.StatusCode != 405 {
				t.Errorf("%s %s: %d", method, path, a.StatusCode)
			}
		}
	}
}
