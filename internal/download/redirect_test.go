package download_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zeromicro/go-zero/core/logx"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/download"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

// links gives one link, or fails.
type links struct {
	err    error
	ref    blob.Ref
	header blob.LinkHeaders
	life   time.Duration
}

func (l *links) Link(_ context.Context, ref blob.Ref, h blob.LinkHeaders, life time.Duration) (string, error) {
	l.ref, l.header, l.life = ref, h, life
	return "https://store.example/c4nary?signature=c4nary", l.err
}

// Large content comes from the store where that answers what was asked, and from here where only we can.
func TestRedirect(t *testing.T) {
	s := newServer(t, false)
	l := new(links)
	s.down.Redirect = download.Redirect{Links: l, MinSize: 1000, Life: time.Minute}
	data := blobtest.Bytes(1, 1000)
	n, ref := s.put("/a b.html", data)
	s.put("/small", data[:999])
	for _, c := range []struct {
		method, path string
		headers      []string
		err          error
		status       int
	}{
		{"GET", "/a b.html", nil, nil, 302},
		{"GET", "/a b.html", []string{"Range: bytes=5-"}, nil, 302},
		{"GET", "/a b.html", []string{"Range: bytes=5-6,8-9"}, nil, 206},
		{"GET", "/a b.html", []string{"Range: bytes=5-6", "Range: bytes=8-9"}, nil, 200},
		{"GET", "/a b.html", []string{"Range: bytes=5-", "If-Range: " + n.GetEtag()}, nil, 206},
		{"GET", "/a b.html", []string{"If-None-Match: " + n.GetEtag()}, nil, 304},
		{"GET", "/a b.html", []string{"If-None-Match: \"x\""}, nil, 200},
		{"GET", "/a b.html", []string{"If-Match: \"x\""}, nil, 412},
		{"GET", "/a b.html", []string{"If-Modified-Since: Mon, 02 Jan 2006 15:04:05 GMT"}, nil, 200},
		{"GET", "/a b.html", []string{"Authorization: Bearer 2"}, nil, 404},
		{"GET", "/small", nil, nil, 200},
		{"HEAD", "/a b.html", nil, nil, 200},
		{"GET", "/a b.html", nil, errs.E(errs.Unsupported, "test"), 200},
		{"GET", "/a b.html", nil, errs.E(errs.NotFound, "test"), 500},
		{"GET", "/a b.html", nil, errs.E(errs.Busy, "test"), 503},
	} {
		l.err = c.err
		a := s.get(c.method, content(c.path), c.headers...)
		if a.err != nil || a.StatusCode != c.status {
			t.Errorf("%s %s %v, store says %v: %d %v, want %d", c.method, c.path, c.headers, c.err, a.StatusCode, a.err, c.status)
		}
		if a.StatusCode == 302 {
			for name, want := range map[string]string{
				"Location": "https://store.example/c4nary?signature=c4nary", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
				"Etag": "", "Content-Disposition": "",
			} {
				if got := a.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			// S8: at the store, too, it is an attachment of its own type.
			want := blob.LinkHeaders{ContentType: "text/html; charset=utf-8", ContentDisposition: `attachment; filename="a b.html"`}
			if l.ref != ref || l.header != want || l.life != time.Minute || len(a.body) != 0 {
				t.Errorf("asked for %+v, %d bytes", l, len(a.body))
			}
		} else if a.Header.Get("Location") != "" || bytes.Contains(a.body, []byte("c4nary")) {
			t.Errorf("%d with the link in it", a.StatusCode)
		}
	}
}

// S17: a link is a capability, and no log has it.
func TestRedirectIsNotLogged(t *testing.T) {
	s := newServerLike(t, false, &httpapi.Server{LogAll: true})
	l := new(links)
	s.down.Redirect = download.Redirect{Links: l}
	s.put("/a", []byte("x"))
	var mu sync.Mutex
	var log strings.Builder
	logx.SetLevel(logx.InfoLevel)
	t.Cleanup(logx.Disable)
	old := logx.Reset()
	logx.SetWriter(logx.NewWriter(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(p)
	})))
	for _, l.err = range []error{nil, errs.E(errs.Busy, "test")} {
		if a := s.get(http.MethodGet, content("/a")); a.StatusCode != 302 && a.StatusCode != 503 {
			t.Error(a.StatusCode)
		}
	}
	logged := func() string {
		mu.Lock()
		defer mu.Unlock()
		return log.String()
	}
	// An answer may arrive before its line is written.
	for deadline := time.Now().Add(20 * time.Second); strings.Count(logged(), "/api/v1/content") < 2; {
		if time.Now().After(deadline) {
			t.Fatalf("the log was not caught: %s", logged())
		}
	}
	logx.SetWriter(old)
	if strings.Contains(logged(), "c4nary") {
		t.Errorf("the log: %s", logged())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
