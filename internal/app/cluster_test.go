//go:build cluster

package app

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/livil/gopan/internal/config"
)

// servers gives the addresses in a variable that make cluster-up has set.
func servers(t *testing.T, variable string) []string {
	t.Helper()
	v := os.Getenv(variable)
	if v == "" {
		t.Fatal(variable + " is not set: run make test-cluster, or make cluster-up and . .cluster/env")
	}
	return strings.Split(v, ",")
}

// gate is an address that leads to a server while it is open.
type gate struct {
	address, to string

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	g := &gate{address: freeAddress(t), to: to}
	t.Cleanup(g.shut)
	return g
}

func (g *gate) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.listener = l
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", g.to)
			if err != nil {
				_ = in.Close()
				continue
			}
			g.mu.Lock()
			g.conns = append(g.conns, in, out)
			g.mu.Unlock()
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
}

// shut cuts what goes through, and lets nothing in.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.listener != nil {
		_ = g.listener.Close()
		g.listener = nil
	}
	for _, c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
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

// is tells whether the answer to a GET has a status.
func (d *drive) is(t *testing.T, path string, status int) bool {
	t.Helper()
	return d.ask(t, "GET", path, "", bearer(d.admin)).StatusCode == status
}

// A3: a process starts before etcd does and before those whom it calls, and is ready when both are there. While etcd is
// away, everything goes on. Of two replicas one may stop, and one that is new is found.
func TestClusterDiscovery(t *testing.T) {
	way, dir := newGate(t, servers(t, "GOPAN_TEST_ETCD")[0]), t.TempDir()
	prefix := "test-" + rand.Text()
	with := func(roles ...string) *Process {
		p := process(dir)
		p.Roles, p.Config.RPC.Listen = roles, freeAddress(t)
		p.Config.Etcd = config.Etcd{Endpoints: []string{way.address}, Prefix: prefix}
		return p
	}
	edge := run(t, with("upload", "download", "transfer"))
	if !edge.is(t, "/readyz", 503) || !edge.is(t, "/healthz", 200) {
		t.Error("without etcd a process is not ready, but lives")
	}
	first := run(t, with("user", "filemeta"))
	way.open(t)
	eventually(t, "ready", func() bool { return edge.is(t, "/readyz", 200) })
	edge.admin = first.signIn(t, "admin")
	edge.put(t, "/a.txt", "hello")

	way.shut() // etcd is away
	for range 10 {
		if !edge.is(t, "/api/v1/content?path=/a.txt", 200) || !edge.is(t, "/readyz", 200) {
			t.Fatal("etcd is away, and so is the drive")
		}
	}
	second := run(t, with("user", "filemeta"))
	way.open(t)
	eventually(t, "both are known", func() bool {
		all, err := edge.known(t, "filemeta")
		return err == nil && len(all) == 2
	})
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other replica answers", func() bool { return edge.is(t, "/api/v1/content?path=/a.txt", 200) })
	for i := range 50 {
		if !edge.is(t, "/api/v1/content?path=/a.txt", 200) {
			t.Errorf("request %d to the other replica: refused", i)
		}
	}
	run(t, with("user", "filemeta"))
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new one is found", func() bool { return edge.is(t, "/api/v1/content?path=/a.txt", 200) })
}

// known gives the addresses of a role that etcd has.
func (p *Process) known(t *testing.T, role string) (map[string]string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var found map[string]string
	p.etcd.Watch(ctx, role+"/", func(all map[string]string) { found = all; cancel() }, nil)
	return found, t.Context().Err()
}
