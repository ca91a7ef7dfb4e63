package httpapi

import (
	"net/http"
	"net/netip"
	"strings"
)

// Addresses finds the address of who calls. Nothing that a caller sends is believed: X-Forwarded-For counts only
// where a trusted proxy wrote it.
type Addresses struct {
	// Trusted are the networks of our own proxies.
	Trusted []netip.Prefix
}

func (a Addresses) trusted(addr netip.Addr) bool {
	for _, p := range a.Trusted {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Of is the address of who made a request: the right-most one that is not a trusted proxy's.
func (a Addresses) Of(r *http.Request) netip.Addr {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := remote.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && a.trusted(addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap()
	}
	return addr
}
