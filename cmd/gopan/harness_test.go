package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// runMain makes the test binary be gopan itself, so that tests start the real program, race detector and all.
const runMain = "GOPAN_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const testPassword = "correct horse battery"

// gopan prepares a run of the program.
func gopan(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), append([]string{runMain + "=1", "LC_ALL=C", "LANG=C"}, env...)...)
	return cmd
}

// process is a server under test.
type process struct {
	cmd *exec.Cmd
	url string
	log *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startServer starts a server and waits until it says where it is.
func startServer(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{log: new(lockedBuffer)}
	p.cmd = gopan(context.Background(), []string{"GOPAN_ADMIN_PASSWORD=" + testPassword}, append([]string{"serve"}, args...)...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended already
		_ = p.cmd.Wait()
		if t.Failed() {
			t.Logf("server %v:\n%s", args, tail(p.log.String(), 8000))
		}
	})
	found := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(io.TeeReader(stderr, p.log))
		for lines.Scan() {
			if _, after, ok := strings.Cut(lines.Text(), "Gopan is at "); ok {
				found <- strings.Fields(after)[0]
			}
		}
		close(found)
	}()
	select {
	case p.url = <-found:
	case <-time.After(time.Minute):
	}
	if p.url == "" {
		t.Fatalf("the server did not start: %s", p.log)
	}
	return p
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// stop ends the server as Ctrl-C does and wants exit code 0 (promise A2).
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("stopping: %v\n%s", err, tail(p.log.String(), 4000))
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the server did not stop within 30 s")
	}
}

// kill ends the server with no chance to do anything.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // says that it was killed
}

// drive is a whole installation under test, in one process or in several.
type drive interface {
	// start starts it and gives its address.
	start(t *testing.T) string
	stop(t *testing.T)
}

// onePiece runs every role in one process.
type onePiece struct {
	dir string
	p   *process
}

func (d *onePiece) start(t *testing.T) string {
	d.p = startServer(t, "--data", d.dir, "--listen", "127.0.0.1:0")
	return d.p.url
}

func (d *onePiece) stop(t *testing.T) { d.p.stop(t) }

// splitUp runs each role in a process of its own, behind a gateway that routes by path.
type splitUp struct {
	dir       string
	processes []*process
	gateway   *httptest.Server
}

var splitRoles = []string{"user", "filemeta", "upload", "download", "transfer"}

func (d *splitUp) start(t *testing.T) string {
	rpc := map[string]string{"user": freeAddress(t), "filemeta": freeAddress(t)}
	backends := map[string]*url.URL{}
	d.processes = nil
	for _, role := range splitRoles {
		conf := fmt.Sprintf("data: %q\nlisten: 127.0.0.1:0\nrpc:\n", d.dir)
		if rpc[role] != "" {
			conf += fmt.Sprintf("  listen: %s\n", rpc[role])
		}
		conf += fmt.Sprintf("  peers: {user: [%s], filemeta: [%s]}\n", rpc["user"], rpc["filemeta"])
		file := filepath.Join(t.TempDir(), role+".yaml")
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		p := startServer(t, "--config", file, role)
		d.processes = append(d.processes, p)
		u, err := url.Parse(p.url)
		if err != nil {
			t.Fatal(err)
		}
		backends[role] = u
	}
	d.gateway = httptest.NewServer(&httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(backends[roleOf(r.In.URL.Path)])
			r.Out.Host = r.In.Host
		},
	})
	t.Cleanup(d.gateway.Close)
	return d.gateway.URL
}

// roleOf is the gateway's routing: by path prefix.
func roleOf(path string) string {
	for prefix, role := range map[string]string{
		"/api/v1/uploads": "upload", "/api/v1/content": "download", "/api/v1/auth": "user", "/api/v1/me": "user",
	} {
		if strings.HasPrefix(path, prefix) {
			return role
		}
	}
	return "filemeta"
}

func (d *splitUp) stop(t *testing.T) {
	d.gateway.Close()
	for i := len(d.processes) - 1; i >= 0; i-- {
		d.processes[i].stop(t)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// get reads a URL's path and status with a bearer token.
func get(t *testing.T, url, token string, header ...string) (status int, body []byte, h http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body, resp.Header
}
