package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/httpapi"
)

// B010, L09: X-Forwarded-For counts where a proxy of ours wrote it, and nowhere else.
func TestAddresses(t *testing.T) {
	ours := httpapi.Addresses{Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	for _, c := range []struct {
		name, remote string
		forwarded    []string
		trusted      httpapi.Addresses
		want         string
	}{
		{"direct", "203.0.113.9:1", nil, ours, "203.0.113.9"},
		{"direct, with a lie", "203.0.113.9:1", []string{"127.0.0.1"}, ours, "203.0.113.9"},
		{"nothing is trusted", "10.0.0.1:1", []string{"127.0.0.1"}, httpapi.Addresses{}, "10.0.0.1"},
		{"by our proxy", "10.0.0.1:1", []string{"198.51.100.7"}, ours, "198.51.100.7"},
		{"by two of them", "10.0.0.1:1", []string{"198.51.100.7, 10.0.0.2"}, ours, "198.51.100.7"},
		{"a lie before the truth", "10.0.0.1:1", []string{"127.0.0.1, 10.9.9.9, 198.51.100.7"}, ours, "198.51.100.7"},
		{"a lie in a header of its own", "10.0.0.1:1", []string{"127.0.0.1", "198.51.100.7"}, ours, "198.51.100.7"},
		{"garbage where our proxy wrote", "10.0.0.1:1", []string{"127.0.0.1, a\nlog"}, ours, "10.0.0.1"},
		{"garbage before it", "10.0.0.1:1", []string{"a\nlog, 198.51.100.7"}, ours, "198.51.100.7"},
		{"empty", "10.0.0.1:1", []string{""}, ours, "10.0.0.1"},
		{"with a port", "10.0.0.1:1", []string{"198.51.100.7:80"}, ours, "10.0.0.1"},
		{"all ours", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, ours, "10.0.0.3"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.7"}, ours, "198.51.100.7"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::1"}, ours, "2001:db8::1"},
		{"a megabyte", "10.0.0.1:1", []string{strings.Repeat("127.0.0.1,", 100_000) + "198.51.100.7"}, ours, "198.51.100.7"},
		{"no address at all", "@", nil, ours, "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.remote
			for _, f := range c.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			if got := c.trusted.Of(r).String(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
