package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counter is a proxy in front of a server that counts what block requests carry, and can act at a moment of them.
type counter struct {
	*httptest.Server
	bytes atomic.Int64

	mu sync.Mutex
	// calls counts requests by method and path.
	calls map[string]int
	// answered counts the successes of each block of each upload; all are their sum.
	answered map[string]int
	all      int
	// at, when all blocks have come to it, is the moment of act.
	at  int
	act func()
}

func newCounter(t *testing.T, target string) *counter {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{answered: map[string]int{}, calls: map[string]int{}}
	isBlock := func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/blocks/") }
	proxy := &httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0),
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(resp *http.Response) error {
			if isBlock(resp.Request) && resp.StatusCode == http.StatusNoContent {
				c.count(resp.Request.URL.Path)
			}
			return nil
		},
	}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.calls[r.Method+" "+strings.TrimPrefix(r.URL.Path, "/api/v1")]++
		c.mu.Unlock()
		if isBlock(r) {
			r.Body = &countedBody{r.Body, &c.bytes}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(c.Close)
	return c
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

func (c *counter) count(block string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered[block]++
	c.all++
	if c.act != nil && c.all >= c.at {
		c.act()
		c.act = nil
	}
}

// called is how often something was asked for: "PUT /uploads/content".
func (c *counter) called(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[what]
}

// when has act done as soon as so many blocks were taken.
func (c *counter) when(blocks int, act func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.act = blocks, act
}

// again is how many blocks were taken more often than once.
func (c *counter) again() (blocks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.answered {
		blocks += n - 1
	}
	return blocks
}

// A large file's way up (D1, D4, F08): the client dies with kill -9 at a random moment, then the server does; each time
// the upload goes on, and what had arrived does not go again. Of a new version only what changed is sent, and of
// the same content under another name nothing.
func TestLargeFileSurvives(t *testing.T) {
	if testing.Short() {
		t.Skip("sends 256 MiB")
	}
	const (
		block  = 4 << 20
		size   = 64*block - 4321
		blocks = 64
		// atOnce is how many blocks of one file are under way.
		atOnce = 4
	)
	dir, work := t.TempDir(), t.TempDir()
	address := freeAddress(t)
	serve := func() *process { return startServer(t, "--data", dir, "--listen", address) }
	server := serve()
	wire := newCounter(t, server.url)
	creds := filepath.Join(work, "credentials.json")
	login := gopan(t.Context(), nil, "login", wire.URL, "--credentials", creds, "--password-stdin")
	login.Stdin = strings.NewReader(testPassword + "\n")
	run(t, login)

	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	first, second := 3+random.IntN(blocks/2), blocks/2+4+random.IntN(blocks/2-8)
	t.Logf("seed %d: the client dies after block %d, the server after block %d", seed, first, second)
	data := make([]byte, size)
	content := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24)})
	if _, err := content.Read(data); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(work, "large.bin")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	put := func(to string) *exec.Cmd {
		return gopan(t.Context(), nil, "put", "--json", "--credentials", creds, file, to)
	}

	client := put("/large.bin")
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	wire.when(first, func() { _ = client.Process.Kill() })
	if err := client.Wait(); err == nil {
		t.Fatal("the client ended before its end")
	}

	client = put("/large.bin")
	out := new(lockedBuffer)
	client.Stdout, client.Stderr = out, out
	dead := make(chan struct{})
	wire.when(second, func() {
		_ = server.cmd.Process.Kill()
		close(dead)
	})
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Wait() }()
	select {
	case <-dead:
	case err := <-ended:
		t.Fatalf("the upload ended before the server was killed: %v\n%s", err, out)
	}
	_ = server.cmd.Wait() // says that it was killed
	server = serve()
	if err := <-ended; err != nil {
		t.Fatalf("the client did not go on: %v\n%s", err, out)
	}
	if again := wire.again(); again > atOnce {
		t.Errorf("%d blocks were taken twice, want at most %d", again, atOnce)
	}
	// Each death costs what was under way.
	if n := wire.bytes.Load(); n < size || n > size+2*atOnce*block {
		t.Errorf("%d bytes went over for a file of %d", n, size)
	}
	same := func(remote string) {
		t.Helper()
		back := filepath.Join(t.TempDir(), "back")
		run(t, gopan(t.Context(), nil, "get", "--credentials", creds, remote, back))
		got, err := os.ReadFile(back)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%s came back with %d bytes that are not the file's, %v", remote, len(got), err)
		}
	}
	same("/large.bin")

	// A MiB in the middle changes.
	for i := range 1 << 20 {
		data[size/2+i]++
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	sent := func(to string) int64 {
		t.Helper()
		before := wire.bytes.Load()
		run(t, put(to))
		return wire.bytes.Load() - before
	}
	if n := sent("/large.bin"); n == 0 || n > 2*block {
		t.Errorf("a change of 1 MiB sent %d bytes, want at most %d", n, 2*block)
	}
	if n := sent("/another name.bin"); n != 0 {
		t.Errorf("the same content under another name sent %d bytes", n)
	}
	same("/large.bin")
	same("/another name.bin")
	if left, err := os.ReadDir(creds + ".uploads"); err != nil || len(left) > 0 {
		t.Errorf("the client still keeps %v, %v", left, err)
	}

	server.stop(t)
	server = serve()
	same("/large.bin")
	server.stop(t)
	var report struct {
		ReadBytes, Bytes int64
		Problems         []any
	}
	fsck := gopan(t.Context(), nil, "fsck", "--read-data", "--json", "--data", dir)
	if err := json.Unmarshal(run(t, fsck), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) != 0 || report.ReadBytes != report.Bytes || report.Bytes < 2*size {
		t.Errorf("fsck: %+v", report)
	}
}
