package object

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// Stall is how long a connection to a store may be without any progress before it counts as broken.
const Stall = time.Minute

// Transport gives the connections to a store. caFile holds PEM certificates that are trusted beside the system's; "": none.
// stall is how long a connection may be without progress; 0: Stall.
func Transport(caFile string, stall time.Duration) (*http.Transport, error) {
	const op = errs.Op("object.Transport")
	if stall <= 0 {
		stall = Stall
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, errs.E(errs.Internal, op, err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, errs.E(errs.Internal, op, err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, errs.E(errs.Internal, op, "no certificates in "+caFile)
		}
		conf.RootCAs = pool
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &watchedConn{Conn: c, stall: stall}, nil
		},
		TLSClientConfig:     conf,
		TLSHandshakeTimeout: 10 * time.Second,
		// As many as a busy process keeps under way; they are few hosts.
		MaxIdleConnsPerHost: 128,
		IdleConnTimeout:     min(stall, 50*time.Second),
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
		DisableCompression:  true,
		// A connection for each request under way: over HTTP/1.1 one that stalls holds up nothing else.
		ForceAttemptHTTP2: false,
	}, nil
}

// watchedConn fails when nothing moves for too long, in either direction.
type watchedConn struct {
	net.Conn
	stall time.Duration
}

func (c *watchedConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write also puts off the reader, which waits for the answer to what is being written.
func (c *watchedConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
