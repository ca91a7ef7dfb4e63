package s3test

import (
	"bytes"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// Proxy stands before a server and breaks the requests that a test picks.
type Proxy struct {
	Server
	behind *url.URL
	mu     sync.Mutex
	rules  []*rule
}

// Fault does something to a request instead of passing it on, or while doing so.
type Fault func(p *Proxy, w http.ResponseWriter, r *http.Request)

type rule struct {
	match func(*http.Request) bool
	left  int
	fault Fault
	hits  int
}

// NewProxy puts a proxy before a server.
func NewProxy(t testing.TB, s Server) *Proxy {
	t.Helper()
	behind, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{behind: behind}
	front := httptest.NewServer(p)
	t.Cleanup(front.Close)
	p.Server = Server{URL: front.URL}
	return p
}

// Break has the next times requests that match end in a fault; times < 0: all of them. It returns a count of those that did.
func (p *Proxy) Break(times int, match func(*http.Request) bool, fault Fault) (hits func() int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &rule{match: match, left: times, fault: fault}
	p.rules = append(p.rules, r)
	return func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return r.hits
	}
}

// Heal ends all faults.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
}

func (p *Proxy) fault(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, rule := range p.rules {
		if rule.left != 0 && rule.match(r) {
			rule.left--
			rule.hits++
			return rule.fault
		}
	}
	return nil
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := p.fault(r); f != nil {
		f(p, w, r)
		return
	}
	resp := p.pass(r)
	defer resp.Body.Close()
	answer(w, resp)
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// pass asks the server behind. The Host stays, for it is signed.
func (p *Proxy) pass(r *http.Request) *http.Response {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host = p.behind.Scheme, p.behind.Host
	out.RequestURI = ""
	resp, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return resp
}

func answer(w http.ResponseWriter, resp *http.Response) {
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	if resp.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	w.WriteHeader(resp.StatusCode)
}

// Says answers with a status and S3's error of a code; "": no body.
func Says(status int, code string) Fault {
	return func(_ *Proxy, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // what could not be read was not sent
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if code != "" {
			_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>`+code+
				`</Code><Message>as the test wants it</Message><RequestId>1</RequestId></Error>`)
		}
	}
}

// Drops breaks the connection before the request reaches the server.
func Drops(_ *Proxy, _ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

// Forgets has the server do it all, and breaks the connection before the answer.
func Forgets(p *Proxy, _ http.ResponseWriter, r *http.Request) {
	resp := p.pass(r)
	_, _ = io.Copy(io.Discard, resp.Body) // until the server is done
	resp.Body.Close()
	panic(http.ErrAbortHandler)
}

// Cuts breaks the connection after n bytes of the answer's body.
func Cuts(n int64) Fault {
	return func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		resp := p.pass(r)
		defer resp.Body.Close()
		answer(w, resp)
		_, _ = io.CopyN(w, resp.Body, n) // it breaks in any case
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// Ends ends the answer's body after n bytes, as if that were all.
func Ends(n int64) Fault {
	return func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		resp := p.pass(r)
		defer resp.Body.Close()
		resp.ContentLength = min(n, resp.ContentLength)
		answer(w, resp)
		_, _ = io.CopyN(w, resp.Body, n) // the reader sees what comes
	}
}

// Damages flips a bit of what is sent, at a place.
func Damages(at int64) Fault {
	return func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		body[min(at, int64(len(body)-1))] ^= 1
		r.Body = io.NopCloser(bytes.NewReader(body))
		resp := p.pass(r)
		defer resp.Body.Close()
		answer(w, resp)
		_, _ = io.Copy(w, resp.Body) // the client sees what comes
	}
}

// DamagesAnswer flips a bit of what comes back, at a place.
func DamagesAnswer(at int64) Fault {
	return func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		resp := p.pass(r)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if len(body) > 0 {
			body[min(at, int64(len(body)-1))] ^= 1
		}
		answer(w, resp)
		_, _ = w.Write(body) // the client sees what comes
	}
}

// Holds waits for a signal before it passes a request on.
func Holds(until <-chan struct{}) Fault {
	return func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		<-until
		resp := p.pass(r)
		defer resp.Body.Close()
		answer(w, resp)
		_, _ = io.Copy(w, resp.Body) // the client sees what comes
	}
}

// NewTLSProxy is NewProxy by https, with a certificate of its own.
func NewTLSProxy(t testing.TB, s Server) *Proxy {
	t.Helper()
	p := NewProxy(t, s)
	front := httptest.NewTLSServer(p)
	t.Cleanup(front.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(file, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Server = Server{URL: front.URL, CAFile: file}
	return p
}

// Mislabels has the server do it and answers with another sum.
func Mislabels(p *Proxy, w http.ResponseWriter, r *http.Request) {
	resp := p.pass(r)
	defer resp.Body.Close()
	resp.Header.Set("X-Amz-Checksum-Crc32c", "AAAAAA==")
	answer(w, resp)
	_, _ = io.Copy(w, resp.Body) // the client sees what comes
}
