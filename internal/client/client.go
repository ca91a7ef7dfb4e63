// Package client speaks to a Gopan server over HTTP, for the command line and the tests. It knows the public
// API and nothing of the server's inside, so that what it can do, any program can.
package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Client calls one server as one account. Its methods may be called at once, from several goroutines.
type Client struct {
	// BaseURL of the server, as ParseServer gives it: no slash at the end, no user, no query.
	BaseURL string
	// HTTP sends the requests; nil means NewHTTPClient().
	HTTP *http.Client
	// Credentials keep the session; nil can call only Login, which then keeps it in memory.
	Credentials Credentials
	// Retry says how often and when to try again; the zero value is a good one.
	Retry Retry
	// Language for the server's error details, such as "zh-CN"; empty leaves the choice to the server.
	Language string
	// UserAgent names the program; empty means "gopan".
	UserAgent string
	// Stall ends an attempt in which no byte has moved for so long; 0 means a minute. The wait for the answer
	// after a body is twice that, since the server then makes the bytes durable.
	Stall time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	mu      sync.Mutex
	session Session
	// renewing holds one slot: whoever has it may renew the session, the others wait for what comes of it.
	renewing chan struct{}
	once     sync.Once
	http     *http.Client
}

func (c *Client) init() {
	c.once.Do(func() {
		c.renewing = make(chan struct{}, 1)
		if c.Credentials == nil {
			c.Credentials = &Memory{}
		}
		base := c.HTTP
		if base == nil {
			base = NewHTTPClient()
		}
		h := *base
		h.CheckRedirect = checkRedirect
		c.http = &h
	})
}

func (c *Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func (c *Client) stall() time.Duration {
	if c.Stall > 0 {
		return c.Stall
	}
	return time.Minute
}

// NewHTTPClient is an http.Client fit for many small transfers at once and for large ones: enough idle
// connections for all workers, no silent decompression (it would hide sizes and ranges), no overall time limit.
func NewHTTPClient() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       50 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: 2 * time.Second,
		DisableCompression:    true,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}}
}

// checkRedirect follows only what stays a read: 301 to 303 would turn a PUT into a GET that looks successful.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0].Method
	if (first != http.MethodGet && first != http.MethodHead) || len(via) >= 5 {
		return http.ErrUseLastResponse
	}
	if req.URL.Scheme == "http" && via[0].URL.Scheme == "https" {
		return errors.New("the server redirects from https to http")
	}
	return nil
}

// ParseServer reads a server's address as people write it: "drive.example.com" means https, a loopback name
// without a scheme means http. An address with a user, a password or a query is refused.
func ParseServer(s string) (string, error) {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "://") {
		scheme := "https://"
		if u, err := url.Parse("http://" + s); err == nil && isLoopback(u.Hostname()) {
			scheme = "http://"
		}
		s = scheme + s
	}
	u, err := url.Parse(s)
	// The parser's own error would repeat the address, which may hold a password.
	switch {
	case err != nil, u.Host == "", u.Hostname() == "":
		return "", errors.New("not a server address; it looks like https://drive.example.com")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("a server address begins with https:// or http://")
	case u.User != nil:
		return "", errors.New("a server address holds no user or password")
	case u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("a server address ends with the host or a path")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host) + strings.TrimRight(u.EscapedPath(), "/"), nil
}

// Insecure tells whether what is sent to a server can be read on the way: http to another machine.
func Insecure(server string) bool {
	u, err := url.Parse(server)
	return err == nil && u.Scheme == "http" && !isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Node is a folder or a file, as the server describes it.
type Node struct {
	ID         string    `json:"id"`
	ParentID   string    `json:"parentId,omitempty"`
	Path       string    `json:"path"`
	Name       string    `json:"name"`
	Kind       string    `json:"kind"`
	Size       int64     `json:"size"`
	Digest     string    `json:"digest,omitempty"`
	Version    int64     `json:"version,omitempty"`
	ETag       string    `json:"etag"`
	CreatedAt  time.Time `json:"createdAt"`
	ModifiedAt time.Time `json:"modifiedAt"`
}

// IsFolder tells a folder from a file.
func (n *Node) IsFolder() bool { return n.Kind == "folder" }

// wait sleeps for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
