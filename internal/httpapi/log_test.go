package httpapi_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

// loud logs every request.
func loud(fn func(w http.ResponseWriter, r *http.Request) error) *httpapi.Server {
	return &httpapi.Server{LogAll: true, Routes: []httpapi.Route{
		httpapi.Raw(httpapi.Spec{Method: "POST", Path: "/api/v1/raw/:id", Access: httpapi.User}, fn),
		httpapi.In(httpapi.Spec{Method: "POST", Path: "/api/v1/json", Access: httpapi.User}, func(_ context.Context, p *part) error {
			if p.N == 13 {
				panic("bug")
			}
			return errs.E(errs.Internal, "test")
		}),
	}}
}

// S19, B010: nothing that a caller sends makes a line of its own in the log, nor moves a terminal's cursor.
func TestLogCannotBeForged(t *testing.T) {
	addr := serve(t, loud(func(_ http.ResponseWriter, r *http.Request) error {
		return errs.E(errs.Invalid, "test", errs.Field(r.PathValue("id")))
	}))
	lines := logLines(t, func() {
		for _, evil := range []string{"a\nFORGED", "a\r\nFORGED", "a\x1b[2K\rFORGED", "a\u2028FORGED"} {
			escaped := strings.NewReplacer("\n", "%0a", "\r", "%0d", "\x1b", "%1b", " ", "%20", "\u2028", "%e2%80%a8").Replace(evil)
			inJSON := strings.NewReplacer("\n", `\n`, "\r", `\r`, "\x1b", `\u001b`, "\u2028", `\u2028`).Replace(evil)
			do(t, "POST", "http://"+addr+"/api/v1/raw/"+escaped, nil, "Authorization: Bearer ann")
			do(t, "POST", "http://"+addr+"/nowhere/"+escaped, nil)
			do(t, "POST", "http://"+addr+"/api/v1/json", strings.NewReader(`{"`+inJSON+`":1}`), "Authorization: Bearer ann")
			do(t, "POST", "http://"+addr+"/api/v1/json", strings.NewReader(`{}`), "Authorization: Bearer ann",
				"X-Forwarded-For: 127.0.0.1\tFORGED", "User-Agent: FORGED")
		}
	})
	if len(lines) < 16 {
		t.Fatalf("%d lines: the log was not caught", len(lines))
	}
	for _, line := range lines {
		if !strings.Contains(line, "request=") || strings.ContainsAny(line, "\r\x1b\u2028") {
			t.Errorf("%q", line)
		}
	}
}

// S17, L05: a request that fails, or panics, is logged without its query, its credential or its body.
func TestLogKeepsSecrets(t *testing.T) {
	addr := serve(t, loud(func(http.ResponseWriter, *http.Request) error { panic("bug") }))
	lines := logLines(t, func() {
		for _, path := range []string{"/api/v1/raw/a", "/api/v1/json", "/nowhere"} {
			for _, body := range []string{`{"n":12}`, `{"n":13}`, `{"n":"c4nary"}`, `{"n":1}c4nary`, `c4nary`} {
				for _, credential := range []string{"Authorization: Bearer ann", "Authorization: Bearer c4nary", "Cookie: gopan_session=c4nary"} {
					do(t, "POST", "http://"+addr+path+"?token=c4nary&n=%zzc4nary", strings.NewReader(body), credential,
						"X-Secret: c4nary", "Origin: http://"+addr)
				}
			}
		}
	})
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "bug") }) {
		t.Fatalf("the panic is not in the log: %q", lines)
	}
	for _, line := range lines {
		if strings.Contains(line, "c4nary") {
			t.Errorf("%q", line)
		}
	}
}
