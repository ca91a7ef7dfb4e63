//go:build cluster

package app

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/errs"
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
	if !edge.is(t, "/readyz", 503) || !edge.is(t, "/livez", 200) {
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

// Settings in etcd reach every process while it runs; a value that makes no sense is refused, and if it gets there anyway
// the old one stays.
func TestClusterSettings(t *testing.T) {
	prefix := "test-" + rand.Text()
	where := config.Etcd{Endpoints: servers(t, "GOPAN_TEST_ETCD"), Prefix: prefix}
	d := newDrive(t, func(p *Process) { p.Config.Etcd = where })
	c := d.Config
	s, err := OpenSettings(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d.put(t, "/f/a.txt", "1")
	d.put(t, "/f/b.txt", "2")
	archive := func(status int) func() bool {
		return func() bool {
			return d.ask(t, "GET", "/api/v1/archive?path=/f", "", bearer(d.admin)).StatusCode == status
		}
	}
	if !archive(200)() {
		t.Fatal("no archive")
	}
	if err := s.Set(t.Context(), "limits.archiveEntries", "2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the limit counts", archive(413))

	for key, value := range map[string]string{"limits.archiveEntries": "-1", "dedupe.scope": "all", "listen": ":80", "log.level": "["} {
		if err := s.Set(t.Context(), key, value); !errs.Is(errs.Invalid, err) {
			t.Errorf("%s = %s: %v", key, value, err)
		}
	}
	old, err := s.client.Get(t.Context(), settingsKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.client.Put(t.Context(), settingsKey, old, []byte("limits: {archiveEntries: -1, userUploads: 5}")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.All(t.Context()); !errs.Is(errs.Invalid, err) {
		t.Errorf("the nonsense in etcd: %v", err)
	}
	other := run(t, func() *Process { p := process(t.TempDir()); p.Config.Etcd = where; return p }()) // has seen it when it is ready
	eventually(t, "ready", func() bool { return other.is(t, "/readyz", 200) })
	if !archive(413)() {
		t.Error("nonsense took the place of the old value")
	}
	if err := s.Unset(t.Context(), "limits.archiveEntries"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file's value is back", archive(200))
	all, err := s.All(t.Context())
	if err != nil || !slices.Contains(all, Setting{"limits.userUploads", "5", "etcd"}) || !slices.Contains(all, Setting{"log.level", "info", "file"}) {
		t.Errorf("%v, %v", all, err)
	}
}
