//go:build !linux

package httpapi

import "net"

// boundUnsent does nothing: only Linux is known to gain from it.
func boundUnsent(net.Conn) {}
