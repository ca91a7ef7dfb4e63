package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

func write(err error, acceptLanguage string) answer {
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil)
	r.Header.Set("Accept-Language", acceptLanguage)
	httpapi.WriteProblem(w, r, err)
	return answer{w.Result(), w.Body.String()}
}

// Errors are RFC 9457 problems with a stable code, and never tell the cause.
func TestProblem(t *testing.T) {
	cause := errors.New("SELECT password FROM c4nary")
	for _, c := range []struct {
		name       string
		err        error
		status     int
		code       string
		field      string
		retryAfter string
	}{
		{"plain error", cause, 500, "internal", "", ""},
		{"kind", errs.E(errs.NotFound, "x", cause), 404, "not_found", "", ""},
		{"code and field", errs.E(errs.Exists, "x", errs.Code("name_taken"), errs.Field("path"), cause), 409, "name_taken", "path", ""},
		{"wrapped", errs.Wrap("y", errs.E(errs.Stale, "x", cause)), 412, "stale", "", ""},
		{"wrapped by fmt", errors.Join(errs.E(errs.Denied, "x", cause)), 403, "denied", "", ""},
		{"sign in", errs.E(errs.Unauthenticated, "x", cause), 401, "unauthenticated", "", ""},
		{"full", errs.E(errs.OverQuota, "x", errs.Code("quota_exceeded")), 507, "quota_exceeded", "", ""},
		// A1: who is told to come back is told when.
		{"busy", errs.E(errs.Busy, "x", cause), 503, "busy", "", "1"},
		{"busy, with a time", errs.E(errs.Busy, "x", 2100*time.Millisecond), 503, "busy", "", "3"},
		{"out of time", context.DeadlineExceeded, 503, "busy", "", "1"},
		{"too many", errs.E(errs.TooMany, "x"), 429, "too_many", "", "1"},
		{"too many, with a time", errs.E(errs.TooMany, "x", errs.Code("locked_out"), 3*time.Minute), 429, "locked_out", "", "180"},
		{"wrong method", errs.E(errs.Invalid, "x", errs.Code("method_not_allowed")), 405, "method_not_allowed", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := write(c.err, "")
			p := a.problem(t)
			if a.StatusCode != c.status || p.Status != c.status || p.Code != c.code || p.Type != "urn:gopan:problem:"+c.code || p.Title == "" {
				t.Errorf("%d %+v", a.StatusCode, p)
			}
			if got := a.Header.Get("Retry-After"); got != c.retryAfter {
				t.Errorf("Retry-After %q, want %q", got, c.retryAfter)
			}
			switch {
			case c.field == "" && len(p.Fields) > 0, c.field != "" && (len(p.Fields) != 1 || p.Fields[0].Field != c.field || p.Fields[0].Message == ""):
				t.Errorf("fields %+v", p.Fields)
			}
			if (a.Header.Get("WWW-Authenticate") != "") != (c.status == 401) {
				t.Errorf("WWW-Authenticate %q", a.Header.Get("WWW-Authenticate"))
			}
			if strings.Contains(a.body, "c4nary") {
				t.Errorf("the cause shows: %s", a.body)
			}
			if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", a.Header)
			}
		})
	}
}

// An error takes back what was said of the answer that did not come.
func TestProblemReplacesHeaders(t *testing.T) {
	w := httptest.NewRecorder()
	for _, name := range []string{"Content-Length", "Content-Disposition", "ETag", "Last-Modified", "Repr-Digest"} {
		w.Header().Set(name, "x")
	}
	httpapi.WriteProblem(w, httptest.NewRequest(http.MethodHead, "/x", nil), errs.E(errs.NotFound, "x"))
	for _, name := range []string{"Content-Length", "Content-Disposition", "ETag", "Last-Modified", "Repr-Digest"} {
		if got := w.Header().Get(name); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if w.Body.Len() > 0 {
		t.Errorf("a body after HEAD: %q", w.Body)
	}
}

func TestProblemLanguage(t *testing.T) {
	for accept, want := range map[string]string{
		"": "en", "en": "en", "zh": "zh", "zh-CN,zh;q=0.9,en;q=0.8": "zh", "zh-TW": "zh", "zh-Hant-HK": "zh",
		"en-GB, zh;q=0.5": "en", "de, zh;q=0.5": "zh", "fr": "en", "*": "en", ";;;": "en",
		strings.Repeat("zh-", 5000): "en", "\x00": "en",
	} {
		a := write(errs.E(errs.NotFound, "x"), accept)
		title := map[string]string{"en": "It does not exist.", "zh": "内容不存在。"}[want]
		if got := a.Header.Get("Content-Language"); got != want || a.problem(t).Title != title {
			t.Errorf("%.40q: %s %q, want %s", accept, got, a.problem(t).Title, want)
		}
	}
}
