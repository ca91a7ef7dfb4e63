package httpapi_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/livil/gopan/internal/httpapi"
)

// A1: what waits to be sent to a slow caller does not pile up in the kernel, with TLS and without.
func TestUnsentIsBounded(t *testing.T) {
	for _, secure := range []bool{false, true} {
		got := -1
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			got = lowat(t, c)
			_, _ = c.Write([]byte("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")) // the client notices
		})
		ts := httptest.NewUnstartedServer(nil)
		ts.Config = httpapi.NewHTTPServer(h, nil)
		if secure {
			ts.StartTLS()
		} else {
			ts.Start()
		}
		resp, err := ts.Client().Get(ts.URL)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		ts.Close()
		if got != 128<<10 {
			t.Errorf("TLS %v: TCP_NOTSENT_LOWAT is %d", secure, got)
		}
	}
}

// lowat reads a connection's TCP_NOTSENT_LOWAT.
func lowat(t *testing.T, c net.Conn) (n int) {
	t.Helper()
	if s, ok := c.(*tls.Conn); ok {
		c = s.NetConn()
	}
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Error(err)
		return -1
	}
	var gerr error
	err = raw.Control(func(fd uintptr) { n, gerr = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT) })
	if err != nil || gerr != nil {
		t.Error(err, gerr)
	}
	return n
}
