//go:build cluster

package db_test

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a database and its server, and breaks connections.
type proxy struct {
	target string
	at     string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	// commits is what becomes of the next COMMIT: "" it passes, "lost" before the server gets it, "unanswered" after.
	commits string
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	p := &proxy{target: target, at: "127.0.0.1:0", conns: make(map[net.Conn]bool)}
	p.up()
	t.Cleanup(p.down)
	return p
}

func (p *proxy) address() string { return p.at }

// up accepts connections.
func (p *proxy) up() {
	l, err := net.Listen("tcp", p.at)
	if err != nil {
		panic(err) // the port was ours a moment ago
	}
	p.mu.Lock()
	p.listener, p.at = l, l.Addr().String()
	p.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
}

// down accepts none any more, and cuts those that there are.
func (p *proxy) down() {
	p.mu.Lock()
	_ = p.listener.Close()
	p.mu.Unlock()
	p.cut()
}

// cut breaks every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
	clear(p.conns)
}

// atCommit breaks the connection at the next COMMIT, which arrives at the server or does not.
func (p *proxy) atCommit(arrives bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commits = "lost"
	if arrives {
		p.commits = "unanswered"
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.conns[client] = true
	p.mu.Unlock()
	var quiet atomic.Bool // the next answer is the last, and the client does not hear it
	go func() {
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || quiet.Load() {
				return
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		what := ""
		if bytes.Contains(buf[:n], []byte("COMMIT")) {
			p.mu.Lock()
			what, p.commits = p.commits, ""
			p.mu.Unlock()
		}
		switch what {
		case "lost":
			return
		case "unanswered":
			quiet.Store(true)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}
