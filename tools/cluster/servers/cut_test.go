package servers

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A node that is cut off is not heard of, and is again when it is mended; one that is cut from some ports is only
// deaf there.
func TestCut(t *testing.T) {
	if addr := os.Getenv("GOPAN_TEST_ECHO"); addr != "" { // this is the node
		for _, a := range strings.Split(addr, ",") {
			l, err := net.Listen("tcp", a)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					go func() { _, _ = io.Copy(conn, conn); conn.Close() }()
				}
			}()
		}
		select {}
	}
	if err := CanCut(); err != nil {
		t.Logf("not on this machine: %v", err)
		return
	}
	c, err := Open(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	a, errA := c.port("a")
	b, errB := c.port("b")
	n, errN := c.node("echo", "1")
	if errA != nil || errB != nil || errN != nil {
		t.Fatal(errA, errB, errN)
	}
	at := func(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
	self, err := exec.LookPath(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if self, err = filepath.Abs(self); err != nil {
		t.Fatal(err)
	}
	if err := n.start([]string{"GOPAN_TEST_ECHO=" + at(a) + "," + at(b)}, self, "-test.run=TestCut"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
	answers := func(port int) bool {
		conn, err := net.DialTimeout("tcp", at(port), 300*time.Millisecond)
		if err != nil {
			return false
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
		_, _ = conn.Write([]byte{7})
		got := make([]byte, 1)
		_, err = io.ReadFull(conn, got)
		return err == nil && got[0] == 7
	}
	if err := n.wait(t.Context(), 10*time.Second, func(context.Context) error {
		if !answers(a) || !answers(b) {
			return io.ErrNoProgress
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what string
		do   func() error
		a, b bool
	}{
		{"cut off", func() error { return n.Cut() }, false, false},
		{"mended", n.Mend, true, true},
		{"mended again", n.Mend, true, true},
		{"cut off from one port", func() error { return n.Cut(1, a, 2) }, false, true},
		{"mended", n.Mend, true, true},
	} {
		if err := step.do(); err != nil {
			t.Fatal(step.what, err)
		}
		if a, b := answers(a), answers(b); a != step.a || b != step.b {
			t.Errorf("%s: answers %v, %v; want %v, %v", step.what, a, b, step.a, step.b)
		}
	}
}
