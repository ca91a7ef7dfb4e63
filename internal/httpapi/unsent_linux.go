package httpapi

import (
	"crypto/tls"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsent is how many bytes the kernel takes of a connection beyond what it has handed to the network, 128 KiB.
// What is on its way is not bounded by it, so a distant caller gets its whole window; what would only wait in memory
// is (decision 0010).
const unsent = 128 << 10

// boundUnsent sets the bound on a connection. Where that fails the connection works without it.
func boundUnsent(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent)
	})
}
