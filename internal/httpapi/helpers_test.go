package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zeromicro/go-zero/core/logx"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

func TestMain(m *testing.M) {
	// Plain, as a person's terminal gets it: the format in which a newline would forge a line.
	if err := logx.SetUp(logx.LogConf{Mode: "console", Encoding: "plain", Level: "debug"}); err != nil {
		panic(err)
	}
	logx.SetWriter(logx.NewWriter(io.Discard))
	os.Exit(m.Run())
}

// logLines runs fn and gives what it made the process log.
func logLines(t *testing.T, fn func()) []string {
	t.Helper()
	var mu sync.Mutex
	var out strings.Builder
	old := logx.Reset()
	logx.SetWriter(logx.NewWriter(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(p)
	})))
	defer logx.SetWriter(old)
	fn()
	mu.Lock()
	defer mu.Unlock()
	return strings.Split(strings.TrimSpace(out.String()), "\n")
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// patience is how long a test waits for what must happen before it says that it does not.
const patience = 20 * time.Second

// check knows three credentials: the tokens "ann" and "root", and the cookie "ann".
func check(_ context.Context, c auth.Credential) (auth.Principal, error) {
	switch c.Token {
	case "ann":
		return auth.Principal{UserID: 7, Login: "ann", Role: "user", Cookie: c.Cookie}, nil
	case "root":
		return auth.Principal{UserID: 1, Login: "root", Role: "admin", Cookie: c.Cookie}, nil
	}
	return auth.Principal{}, errs.E(errs.Unauthenticated, "test.check")
}

// serve runs s as a process would, and gives its address.
func serve(t *testing.T, s *httpapi.Server, tune ...func(*http.Server)) string {
	t.Helper()
	if s.Check == nil {
		s.Check = check
	}
	h, err := s.Handler()
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = httpapi.NewHTTPServer(h, nil)
	for _, fn := range tune {
		fn(ts.Config)
	}
	ts.Start()
	t.Cleanup(ts.Close)
	return ts.Listener.Addr().String()
}

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body string
}

// problem gives the answer's body as a problem and fails the test if it is none.
func (a answer) problem(t *testing.T) httpapi.Problem {
	t.Helper()
	var p httpapi.Problem
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("no problem but %d %s: %q (%v)", a.StatusCode, a.Header.Get("Content-Type"), a.body, err)
	}
	return p
}

// do sends a request; headers are "Name: value".
func do(t *testing.T, method, url string, body io.Reader, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(b)}
}

// dial opens a connection that a test writes to byte by byte.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// raw sends bytes as they are and gives the answer to them.
func raw(t *testing.T, addr, request string) (*http.Response, error) {
	t.Helper()
	c := dial(t, addr)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil {
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	return resp, err
}

// within waits for a value and fails the test when none comes.
func within[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing happened", what)
		panic("unreachable")
	}
}
