package app

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/config"
)

const adminPassword = "c4nary-correct-horse"

// patience is how long these tests wait for what must happen.
const patience = 30 * time.Second

// process is one with all roles on a free port.
func process(dir string) *Process {
	c := config.Default()
	c.Data, c.Listen = dir, "127.0.0.1:0"
	return &Process{Config: c, AdminPassword: adminPassword, Out: io.Discard}
}

// drive is a process that runs, with two people who know nothing of each other: admin, and mallory, who is no
// admin.
type drive struct {
	*Process
	dir            string
	admin, mallory string // access tokens
}

func newDrive(t *testing.T, change ...func(*Process)) *drive {
	t.Helper()
	d := &drive{dir: t.TempDir()}
	d.Process = process(d.dir)
	for _, fn := range change {
		fn(d.Process)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), StopTimeout)
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := d.db.Write(t.Context(), func(tx *gorm.DB) error {
		return tx.Exec("INSERT INTO users (id, login, password_hash, role, created_at) SELECT 100001, 'mallory', password_hash, 'user', 1 FROM users").Error
	}); err != nil {
		t.Fatal(err)
	}
	d.admin, d.mallory = d.signIn(t, "admin"), d.signIn(t, "mallory")
	return d
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

// run starts a process, which stops with the test.
func run(t *testing.T, p *Process) *drive {
	t.Helper()
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), StopTimeout)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return &drive{Process: p, dir: p.Config.Data}
}

func (d *drive) signIn(t *testing.T, login string) string {
	t.Helper()
	var tokens struct {
		AccessToken string `json:"accessToken"`
	}
	d.ask(t, "POST", "/api/v1/auth/login", `{"login":"`+login+`","password":"`+adminPassword+`"}`).into(t, &tokens)
	return tokens.AccessToken
}

// reply is an answer that was read to its end.
type reply struct {
	*http.Response
	body string
}

// into reads a success.
func (r reply) into(t *testing.T, v any) {
	t.Helper()
	if r.StatusCode >= 300 {
		t.Fatalf("%s %s: %d %s", r.Request.Method, r.Request.URL, r.StatusCode, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), v); err != nil {
		t.Fatal(err)
	}
}

// ask sends a request; headers are "Name: value".
func (d *drive) ask(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.URL()+path, strings.NewReader(body))
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
	return reply{resp, string(b)}
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// node is what the tests want of one.
type node struct {
	ID   string `json:"id"`
	Path string `json:"path"`
	ETag string `json:"etag"`
}

// put writes a file of admin's.
func (d *drive) put(t *testing.T, path, content string) (n node) {
	t.Helper()
	d.ask(t, "PUT", "/api/v1/uploads/content?parents=true&path="+path, content, bearer(d.admin)).into(t, &n)
	return n
}

// eventually fails the test when a condition does not come true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); ; {
		if ok() {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: not in %v", what, patience)
		}
	}
}

// lockedBuffer takes what a process writes while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
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

func basic(login, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(login+":"+password))
}
