package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

// both makes a route of each sort of one function; /api/v1/raw/x and /api/v1/json/x.
func both(method, name string, fn func(w http.ResponseWriter, r *http.Request) error) []httpapi.Route {
	return []httpapi.Route{
		httpapi.Raw(httpapi.Spec{Method: method, Path: "/api/v1/raw/" + name, Access: httpapi.Public}, fn),
		httpapi.Bare(httpapi.Spec{Method: method, Path: "/api/v1/json/" + name, Access: httpapi.Public}, func(ctx context.Context) error {
			return fn(nil, new(http.Request).WithContext(ctx))
		}),
	}
}

// A panic ends one request with a problem, and the process lives on.
func TestPanic(t *testing.T) {
	addr := serve(t, &httpapi.Server{Routes: both("GET", "bug", func(http.ResponseWriter, *http.Request) error {
		panic("c4nary")
	})})
	for _, kind := range []string{"raw", "json"} {
		for range 3 {
			a := do(t, "GET", "http://"+addr+"/api/v1/"+kind+"/bug?secret=c4nary", nil)
			if p := a.problem(t); a.StatusCode != 500 || p.Code != "internal" || p.RequestID == "" || strings.Contains(a.body, "c4nary") {
				t.Errorf("%s: %d %s", kind, a.StatusCode, a.body)
			}
		}
	}
	if a := do(t, "GET", "http://"+addr+"/livez", nil); a.StatusCode != 200 {
		t.Errorf("livez: %d", a.StatusCode)
	}
}

// An answer that fails half way does not end as if it were whole: the connection is cut (D6).
func TestHalfAnAnswer(t *testing.T) {
	fail := map[string]func() error{
		"error": func() error { return errs.E(errs.Corrupt, "test") },
		"panic": func() error { panic("bug") },
		"abort": func() error { panic(http.ErrAbortHandler) },
	}
	s := new(httpapi.Server)
	for name, how := range fail {
		s.Routes = append(s.Routes, httpapi.Raw(httpapi.Spec{Method: "GET", Path: "/api/v1/" + name, Access: httpapi.Public},
			func(w http.ResponseWriter, _ *http.Request) error {
				if _, err := w.Write([]byte("half")); err != nil {
					return err
				}
				return how()
			}))
	}
	addr := serve(t, s)
	for name := range fail {
		c := dial(t, addr)
		fmt.Fprintf(c, "GET /api/v1/%s HTTP/1.1\r\nHost: x\r\n\r\n", name)
		b, err := io.ReadAll(c)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
		if err != nil {
			continue // nothing had left the buffer: the caller has no answer at all
		}
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil {
			t.Errorf("%s: looks whole: %q", name, b)
		}
	}
}

// B004, L02: an encoded body is refused by every route, and never unpacked.
func TestContentEncoding(t *testing.T) {
	read := 0
	addr := serve(t, &httpapi.Server{Routes: []httpapi.Route{
		httpapi.Raw(httpapi.Spec{Method: "PUT", Path: "/api/v1/raw", Access: httpapi.Public}, func(_ http.ResponseWriter, r *http.Request) error {
			read++
			return nil
		}),
		httpapi.In(httpapi.Spec{Method: "PUT", Path: "/api/v1/json", Access: httpapi.Public}, func(context.Context, *struct {
			Name string `json:"name"`
		}) error {
			read++
			return nil
		}),
	}})
	for _, path := range []string{"/api/v1/raw", "/api/v1/json"} {
		for _, encoding := range []string{"gzip", "GZIP", "deflate", "br", "identity, gzip", "x"} {
			a := do(t, "PUT", "http://"+addr+path, strings.NewReader(`{"name":"a"}`), "Content-Encoding: "+encoding)
			if p := a.problem(t); a.StatusCode != 415 || p.Code != "encoded_body" {
				t.Errorf("%s %s: %d %s", path, encoding, a.StatusCode, a.body)
			}
		}
	}
	if read > 0 {
		t.Errorf("%d handlers ran", read)
	}
}

// L20: a path is what it says; nothing is tidied up and redirected to.
func TestPaths(t *testing.T) {
	s := doors()
	s.Routes = append(s.Routes, httpapi.Raw(httpapi.Spec{Method: "GET", Path: "/api/v1/content/:id", Access: httpapi.Public}, whoami))
	addr := serve(t, s)
	for _, path := range []string{
		"//", "//api/v1/raw/public", "/api//v1/raw/public", "/api/v1/raw/public/", "/api/v1/../v1/raw/public", "/./api/v1/raw/public",
		"/api/v1/raw/admin/../public", "/api/v1/raw/%2e%2e/raw/public", "/api/v1/%2E%2E/%2e%2e/livez", "/api/v1/raw/./public",
		"/api/v1/json/public/", "/api/v1/json//public", "/api/v1/json/../json/public", "/api/v1/json/public%2f", "/API/v1/raw/public",
		"/api/v1/content/", "/api/v1/content/a/b", "/api/v1/content/..", "/api/v1/content/%2e%2e", "/nowhere", "/api/", "/api/v1",
	} {
		resp, err := raw(t, addr, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if p := (answer{resp, string(b)}).problem(t); resp.StatusCode != 404 || p.Code != "no_such_route" {
			t.Errorf("%s: %d %s", path, resp.StatusCode, b)
		}
	}
}

func TestMethodNotAllowed(t *testing.T) {
	addr := serve(t, doors())
	for _, kind := range []string{"raw", "json"} {
		for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "TRACE"} {
			a := do(t, method, "http://"+addr+"/api/v1/"+kind+"/user", nil)
			allow := strings.Split(a.Header.Get("Allow"), ", ")
			slices.Sort(allow)
			if p := a.problem(t); a.StatusCode != 405 || p.Code != "method_not_allowed" || !slices.Equal(allow, []string{"GET", "POST"}) {
				t.Errorf("%s %s: %d, Allow %v", method, kind, a.StatusCode, allow)
			}
		}
	}
}

// S16: headers are bounded, and a request line of any length is answered.
func TestLongHeader(t *testing.T) {
	addr := serve(t, doors())
	for name, request := range map[string]string{
		"header": "GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("a", 64<<10) + "\r\n\r\n",
		"many":   "GET /livez HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 20_000) + "\r\n",
		"path":   "GET /" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		resp, err := raw(t, addr, request)
		if err != nil || resp.StatusCode != 431 {
			t.Errorf("%s: %v %v", name, resp, err)
		}
	}
	resp, err := raw(t, addr, "GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: "+strings.Repeat("a", 16<<10)+"\r\n\r\n")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("16 KiB: %v %v", resp, err)
	}
}

// B008: what two servers could read in two ways is refused, and the connection with it.
func TestSmuggling(t *testing.T) {
	addr := serve(t, doors())
	for name, headers := range map[string]string{
		"two lengths":      "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
		"signed length":    "Content-Length: +4\r\n\r\nabcd",
		"unknown coding":   "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"coding twice":     "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
		"space in name":    "Content-Length : 4\r\n\r\nabcd",
		"newline in value": "X-A: b\rX-B: c\r\n\r\n",
		"chunk too large":  "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nGET /livez HTTP/1.1\r\n\r\n",
		"bare LF in chunk": "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\nGET /livez HTTP/1.1\r\n\r\n",
		"chunk negative":   "Transfer-Encoding: chunked\r\n\r\n-1\r\nGET /livez HTTP/1.1\r\n\r\n",
	} {
		c := dial(t, addr)
		if _, err := io.WriteString(c, "POST /api/v1/raw/public HTTP/1.1\r\nHost: x\r\n"+headers); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			continue // cut without a word
		}
		_, _ = io.Copy(io.Discard, resp.Body) // the body of an error does not matter
		_ = resp.Body.Close()
		_, err = in.ReadByte()
		if resp.StatusCode < 400 && !resp.Close || err == nil {
			t.Errorf("%s: %d, and the connection goes on", name, resp.StatusCode)
		}
	}
}

// Every answer carries an id of its own, which a caller cannot choose.
func TestRequestID(t *testing.T) {
	addr := serve(t, doors())
	seen := map[string]bool{}
	for _, path := range []string{"/livez", "/nowhere", "/api/v1/raw/user", "/api/v1/json/user", "/api/v1/json/public", "/metrics"} {
		a := do(t, "GET", "http://"+addr+path, nil, "X-Request-Id: mine")
		id := a.Header.Values("X-Request-Id")
		if len(id) != 1 || len(id[0]) < 16 || seen[id[0]] || id[0] == "mine" {
			t.Fatalf("%s: ids %q", path, id)
		}
		seen[id[0]] = true
		if a.StatusCode >= 400 && a.problem(t).RequestID != id[0] {
			t.Errorf("%s: problem has id %q", path, a.problem(t).RequestID)
		}
	}
}

func TestReady(t *testing.T) {
	var down error
	addr := serve(t, &httpapi.Server{Ready: func(context.Context) error { return down }})
	if a := do(t, "GET", "http://"+addr+"/readyz", nil); a.StatusCode != 200 {
		t.Errorf("%d", a.StatusCode)
	}
	down = errors.New("the database c4nary is gone")
	a := do(t, "GET", "http://"+addr+"/readyz", nil)
	if p := a.problem(t); a.StatusCode != 503 || p.Code != "not_ready" || a.Header.Get("Retry-After") == "" || strings.Contains(a.body, "c4nary") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := do(t, "GET", "http://"+addr+"/livez", nil); a.StatusCode != 200 {
		t.Errorf("livez: %d", a.StatusCode)
	}
}

// L04: a caller does not escape a route's time limit by asking for a stream of events or another protocol.
func TestTimeLimitHoldsForAll(t *testing.T) {
	addr := serve(t, &httpapi.Server{JSONTimeout: time.Millisecond, Routes: []httpapi.Route{
		httpapi.Bare(httpapi.Spec{Method: "GET", Path: "/api/v1/slow", Access: httpapi.Public}, func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return errs.E(errs.Busy, "test", ctx.Err())
			case <-time.After(patience):
				return nil
			}
		}),
	}})
	for _, header := range []string{"Accept: */*", "Accept: text/event-stream", "Upgrade: websocket"} {
		if a := do(t, "GET", "http://"+addr+"/api/v1/slow", nil, header, "Connection: Upgrade"); a.StatusCode != 503 {
			t.Errorf("%s: %d", header, a.StatusCode)
		}
	}
}
