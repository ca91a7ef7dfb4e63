package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/httpapi"
)

const stall = 250 * time.Millisecond

// F21, F22: a body that stands still is cut off, on every kind of route, also where nobody wants to read it:
// callers that say nothing more must not pile up.
func TestStalledBody(t *testing.T) {
	reads := make(chan error, 3)
	addr := serve(t, &httpapi.Server{StallTimeout: stall, Routes: []httpapi.Route{
		httpapi.Raw(httpapi.Spec{Method: "PUT", Path: "/api/v1/raw", Access: httpapi.Public}, func(_ http.ResponseWriter, r *http.Request) error {
			_, err := io.Copy(io.Discard, r.Body)
			reads <- err
			return err
		}),
		httpapi.In(httpapi.Spec{Method: "PUT", Path: "/api/v1/json", Access: httpapi.Public}, func(context.Context, *part) error { return nil }),
		httpapi.Raw(httpapi.Spec{Method: "PUT", Path: "/api/v1/closed", Access: httpapi.User}, whoami),
	}})
	for _, path := range []string{"/api/v1/raw", "/api/v1/json", "/api/v1/closed", "/nowhere", "/livez"} {
		for name, head := range map[string]string{
			"length":  "Content-Length: 100\r\n\r\n{\"n\"",
			"chunked": "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"n\"\r\n",
			"nothing": "Content-Length: 100\r\n\r\n",
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				t.Parallel()
				c := dial(t, addr)
				if _, err := io.WriteString(c, "PUT "+path+" HTTP/1.1\r\nHost: x\r\n"+head); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal("the connection is held for ever")
				}
				if path == "/api/v1/raw" {
					if err := within(t, "read", reads); !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("the handler's read: %v", err)
					}
				}
			})
		}
	}
}

// A JSON body has its route's time and no more, however it trickles (F22).
func TestTricklingJSON(t *testing.T) {
	addr := serve(t, &httpapi.Server{StallTimeout: time.Minute, JSONTimeout: stall, Routes: []httpapi.Route{
		httpapi.In(httpapi.Spec{Method: "PUT", Path: "/api/v1/json", Access: httpapi.Public}, func(context.Context, *part) error { return nil }),
	}})
	c := dial(t, addr)
	if _, err := io.WriteString(c, "PUT /api/v1/json HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	cut := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, c)
		cut <- err
	}()
	tick := time.NewTicker(stall / 10)
	defer tick.Stop()
	for limit := time.After(patience); ; {
		select {
		case <-cut:
			return
		case <-tick.C:
			_, _ = c.Write([]byte(" ")) // fails when it is cut, which is what we wait for
		case <-limit:
			t.Fatal("the connection is held as long as bytes trickle in")
		}
	}
}

// A body that makes progress may take any time: L03, L21.
func TestSlowBodyArrives(t *testing.T) {
	const pieces = 16
	addr := serve(t, &httpapi.Server{StallTimeout: stall, JSONTimeout: stall, Routes: []httpapi.Route{
		httpapi.Raw(httpapi.Spec{Method: "PUT", Path: "/api/v1/raw", Access: httpapi.Public}, func(w http.ResponseWriter, r *http.Request) error {
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil || n != pieces {
				return err
			}
			w.WriteHeader(http.StatusNoContent)
			return nil
		}),
	}})
	body, in := io.Pipe()
	go func() {
		tick := time.NewTicker(stall / 5)
		defer tick.Stop()
		for range pieces {
			<-tick.C
			if _, err := in.Write([]byte("a")); err != nil {
				return
			}
		}
		_ = in.Close() // a pipe's Close does not fail
	}()
	begin := time.Now()
	a := do(t, "PUT", "http://"+addr+"/api/v1/raw", body)
	if took := time.Since(begin); a.StatusCode != 204 || took < 2*stall {
		t.Errorf("%d %s after %v, which should be more than twice the stall time", a.StatusCode, a.body, took)
	}
}

// F22: who asks and does not take the answer is cut off.
func TestReaderThatStands(t *testing.T) {
	for name, send := range map[string]func(w http.ResponseWriter) error{
		"Write": func(w http.ResponseWriter) error {
			piece := make([]byte, 1<<20)
			for {
				if _, err := w.Write(piece); err != nil {
					return err
				}
			}
		},
		"ReadFrom": func(w http.ResponseWriter) error {
			_, err := io.Copy(w, zeros{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 1)
			addr := serve(t, &httpapi.Server{StallTimeout: stall, Routes: []httpapi.Route{
				httpapi.Raw(httpapi.Spec{Method: "GET", Path: "/api/v1/raw", Access: httpapi.Public}, func(w http.ResponseWriter, _ *http.Request) error {
					err := send(w)
					ended <- err
					return err
				}),
			}})
			c := dial(t, addr)
			if _, err := io.WriteString(c, "GET /api/v1/raw HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if err := within(t, "write", ended); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the handler's write: %v", err)
			}
		})
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// L21, F22: headers that trickle in have a time limit, and meanwhile others are served.
func TestSlowHeaders(t *testing.T) {
	if s := httpapi.NewHTTPServer(nil, nil); s.ReadHeaderTimeout <= 0 || s.ReadHeaderTimeout > 10*time.Second ||
		s.IdleTimeout <= 0 || s.IdleTimeout > time.Minute || s.MaxHeaderBytes > 32<<10 || s.MaxHeaderBytes <= 0 {
		t.Errorf("bounds: headers in %v of %d bytes, idle %v", s.ReadHeaderTimeout, s.MaxHeaderBytes, s.IdleTimeout)
	}
	addr := serve(t, doors(), func(s *http.Server) { s.ReadHeaderTimeout, s.IdleTimeout = stall, stall })
	slow := dial(t, addr)
	if _, err := io.WriteString(slow, "GET /livez HTTP/1.1\r\nHost: x\r\nX-A"); err != nil {
		t.Fatal(err)
	}
	if a := do(t, "GET", "http://"+addr+"/livez", nil); a.StatusCode != 200 {
		t.Errorf("another caller: %d", a.StatusCode)
	}
	if _, err := io.Copy(io.Discard, slow); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("slow headers hold the connection for ever")
	}
	idle := dial(t, addr)
	if _, err := io.WriteString(idle, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, idle); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("an idle connection is held for ever")
	}
}

// L03: a byte route's answer goes out while it is made: the first bytes arrive while the handler still runs.
func TestAnswerIsNotBuffered(t *testing.T) {
	goOn := make(chan struct{})
	addr := serve(t, &httpapi.Server{JSONTimeout: time.Millisecond, Routes: []httpapi.Route{
		httpapi.Raw(httpapi.Spec{Method: "GET", Path: "/api/v1/raw", Access: httpapi.Public}, func(w http.ResponseWriter, r *http.Request) error {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return err
			}
			select {
			case <-goOn:
			case <-r.Context().Done():
			}
			_, err := io.WriteString(w, "end")
			return err
		}),
	}})
	c := dial(t, addr)
	if _, err := io.WriteString(c, "GET /api/v1/raw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("the answer waits for the handler's end: %v", err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 32<<10)); err != nil {
		t.Fatalf("the first bytes wait for the handler's end: %v", err)
	}
	close(goOn)
	rest, err := io.ReadAll(resp.Body)
	if err != nil || !strings.HasSuffix(string(rest), "end") {
		t.Errorf("%d more bytes, %v", len(rest), err)
	}
}

// fileWriter notes what reaches the ReadFrom of the connection, where sendfile is.
type fileWriter struct {
	http.ResponseWriter
	from []io.Reader
}

func (w *fileWriter) ReadFrom(r io.Reader) (int64, error) {
	w.from = append(w.from, r)
	return io.Copy(w.ResponseWriter, struct{ io.Reader }{r})
}

// Sendfile is within reach: a raw handler's writer is an io.ReaderFrom, and the connection is handed the file
// itself below one io.LimitedReader, as net wants it.
func TestSendfileReachable(t *testing.T) {
	name := t.TempDir() + "/file"
	const size = 3<<20 + 5
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &httpapi.Server{Check: check, Routes: []httpapi.Route{
		httpapi.Raw(httpapi.Spec{Method: "GET", Path: "/api/v1/raw", Access: httpapi.Public}, func(w http.ResponseWriter, _ *http.Request) error {
			if _, ok := w.(io.ReaderFrom); !ok {
				return errors.New("no ReaderFrom")
			}
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.CopyN(w, f, size)
			return err
		}),
	}}
	inner, err := s.Handler()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan *fileWriter, 1)
	addr := serve(t, &httpapi.Server{}, func(hs *http.Server) {
		hs.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fw := &fileWriter{ResponseWriter: w}
			inner.ServeHTTP(fw, r)
			seen <- fw
		})
	})
	if a := do(t, "GET", "http://"+addr+"/api/v1/raw", nil); a.StatusCode != 200 || len(a.body) != size {
		t.Fatalf("%d, %d bytes", a.StatusCode, len(a.body))
	}
	fw := within(t, "answer", seen)
	if len(fw.from) == 0 {
		t.Error("ReadFrom was never called")
	}
	for _, r := range fw.from {
		lr, ok := r.(*io.LimitedReader)
		if !ok {
			t.Fatalf("the connection got a %T", r)
		}
		if _, ok := lr.R.(*os.File); !ok {
			t.Errorf("below the limit is a %T", lr.R)
		}
	}
}
