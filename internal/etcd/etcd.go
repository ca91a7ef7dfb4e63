// Package etcd is what the processes of one installation tell one another: where each role is, and the settings that
// all of them share.
package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/livil/gopan/internal/errs"
)

// Config says where etcd is.
type Config struct {
	// Endpoints of some nodes, host:port.
	Endpoints []string
	// User and Password; both may be empty.
	User, Password string
	// TLS, if not nil, is how nodes are spoken to.
	TLS *tls.Config
	// Prefix of every key, so that installations can share an etcd. It is followed by a slash.
	Prefix string
	// Failed, if not nil, hears of what goes wrong in the background, once for each time that it begins to.
	Failed func(error)
}

// Client is the way to etcd. etcd need not be there: what runs in the background waits for it, the rest is errs.Busy.
type Client struct {
	config Config

	mu     sync.Mutex
	opened *clientv3.Client
	closed bool
}

// New gives the way to etcd. It connects when it is used.
func New(c Config) *Client {
	c.Prefix = strings.TrimSuffix(c.Prefix, "/") + "/"
	return &Client{config: c}
}

// An answer comes within milliseconds or when the next leader is elected, a second or two later.
const (
	dialTimeout  = 2 * time.Second
	replyTimeout = 3 * time.Second
	pause        = time.Second
)

// client opens the connection, once: with a password that takes an answer of etcd.
func (c *Client) client() (*clientv3.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("closed")
	}
	if c.opened == nil {
		v3, err := clientv3.New(clientv3.Config{
			Endpoints: slices.Clone(c.config.Endpoints), Username: c.config.User, Password: c.config.Password, TLS: c.config.TLS,
			DialTimeout: dialTimeout, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: dialTimeout, PermitWithoutStream: true,
			Logger: zap.NewNop(), // its errors come back, too
		})
		if err != nil {
			return nil, err
		}
		c.opened = v3
	}
	return c.opened, nil
}

// Close closes the connection.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.opened == nil {
		return nil
	}
	return c.opened.Close()
}

func busy(op errs.Op, err error) error {
	return errs.E(errs.Busy, op, errs.Code("etcd_unavailable"), time.Second, err)
}

// Value is what etcd has under a key.
type Value struct {
	Bytes []byte
	// Revision by which Put tells whether it is still the one that was read; 0: there is none.
	Revision int64
}

// Get gives the value of a key; one that is not there is the zero Value.
func (c *Client) Get(ctx context.Context, key string) (Value, error) {
	const op = errs.Op("etcd.Get")
	v3, err := c.client()
	if err != nil {
		return Value{}, busy(op, err)
	}
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	r, err := v3.Get(ctx, c.config.Prefix+key)
	if err != nil {
		return Value{}, busy(op, err)
	}
	if len(r.Kvs) == 0 {
		return Value{}, nil
	}
	return Value{Bytes: r.Kvs[0].Value, Revision: r.Kvs[0].ModRevision}, nil
}

// Put replaces a value that was read. It is errs.Stale when somebody else has replaced it since.
func (c *Client) Put(ctx context.Context, key string, old Value, b []byte) error {
	const op = errs.Op("etcd.Put")
	v3, err := c.client()
	if err != nil {
		return busy(op, err)
	}
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	key = c.config.Prefix + key
	r, err := v3.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", old.Revision)).Then(clientv3.OpPut(key, string(b))).Commit()
	if err != nil {
		return busy(op, err)
	}
	if !r.Succeeded {
		return errs.E(errs.Stale, op, errors.New("somebody else has changed it meanwhile"))
	}
	return nil
}

// Watch calls fn with all values whose keys begin with a prefix, by what follows it: at first, and whenever one has
// changed, until ctx ends. While etcd does not answer, nothing has changed; failed, if not nil, hears that.
func (c *Client) Watch(ctx context.Context, prefix string, fn func(map[string]string), failed func(error)) {
	c.insist(ctx, func(well func()) error { return c.watch(ctx, prefix, func(all map[string]string) { well(); fn(all) }) }, failed)
}

// insist calls fn again and again until ctx ends. fn calls well when it got on; the first failure after that is told.
func (c *Client) insist(ctx context.Context, fn func(well func()) error, failed func(error)) {
	for told := false; ctx.Err() == nil; {
		err := fn(func() { told = false })
		if err == nil || ctx.Err() != nil {
			return
		}
		if failed != nil {
			failed(err)
		}
		if !told && c.config.Failed != nil {
			c.config.Failed(err)
		}
		told = true
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (c *Client) watch(ctx context.Context, prefix string, fn func(map[string]string)) error {
	const op = errs.Op("etcd.Watch")
	v3, err := c.client()
	if err != nil {
		return busy(op, err)
	}
	prefix = c.config.Prefix + prefix
	first, cancel := context.WithTimeout(ctx, replyTimeout)
	r, err := v3.Get(first, prefix, clientv3.WithPrefix())
	cancel()
	if err != nil {
		return busy(op, err)
	}
	all := make(map[string]string, len(r.Kvs))
	for _, kv := range r.Kvs {
		all[strings.TrimPrefix(string(kv.Key), prefix)] = string(kv.Value)
	}
	fn(all)
	ctx, cancel = context.WithCancel(ctx)
	defer cancel() // ends the watch at etcd, too
	for w := range v3.Watch(clientv3.WithRequireLeader(ctx), prefix, clientv3.WithPrefix(), clientv3.WithRev(r.Header.Revision+1)) {
		if err := w.Err(); err != nil {
			return busy(op, err)
		}
		for _, e := range w.Events {
			key := strings.TrimPrefix(string(e.Kv.Key), prefix)
			if e.Type == clientv3.EventTypeDelete {
				delete(all, key)
			} else {
				all[key] = string(e.Kv.Value)
			}
		}
		fn(all)
	}
	return busy(op, errors.New("the watch has ended"))
}
