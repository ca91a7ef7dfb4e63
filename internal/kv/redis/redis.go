// Package redis is a kv.Store on a Redis Cluster, which the processes of all machines share.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/kv"
)

// Config says where the cluster is.
type Config struct {
	// Addresses of some nodes, host:port; the others are found through them.
	Addresses []string
	// User and Password; both may be empty.
	User, Password string
	// TLS, if not nil, is how nodes are spoken to.
	TLS *tls.Config
	// Prefix of every key, so that installations can share a cluster.
	Prefix string
}

// Store is a kv.Store in Redis. Each of its operations is about one key, so none crosses slots of the cluster. What a
// failover loses is what was written in the moment before it.
//
// A Swap or an Add is sent once: when its answer is lost it is errs.Busy, and may have happened. Everything else is sent again.
type Store struct {
	client *redis.ClusterClient
	prefix string
}

var (
	_ kv.Store = (*Store)(nil)
	_ kv.Many  = (*Store)(nil)
)

// Requests wait for these small values, so a node that does not answer is given up soon.
const (
	dialTimeout  = 500 * time.Millisecond
	replyTimeout = time.Second
)

// New gives the store. It connects when it is used, so that Redis may start later.
func New(c Config) *Store { return open(c, nil) }

// open gives a store whose connections are made by dial; nil means as usual.
func open(c Config, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Store {
	return &Store{prefix: c.Prefix, client: redis.NewClusterClient(&redis.ClusterOptions{
		Dialer: dial,
		Addrs:  c.Addresses, Username: c.User, Password: c.Password, TLSConfig: c.TLS,
		DialTimeout: dialTimeout, ReadTimeout: replyTimeout, WriteTimeout: replyTimeout, PoolTimeout: replyTimeout,
		ContextTimeoutEnabled: true, MaxRedirects: 3, MinRetryBackoff: 20 * time.Millisecond, MaxRetryBackoff: 200 * time.Millisecond,
	})}
}

// Close closes the connections.
func (s *Store) Close() error { return s.client.Close() }

// Ping tells whether the cluster answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.client.Ping(ctx).Err(); err != nil {
		return fail("kv.Ping", err)
	}
	return nil
}

func fail(op errs.Op, err error) error {
	switch {
	case errors.Is(err, redis.Nil):
		return errs.E(errs.NotFound, op)
	case errors.Is(err, context.Canceled):
		return errs.E(errs.Canceled, op, err)
	}
	return errs.E(errs.Busy, op, errs.Code("kv_unavailable"), time.Second, err)
}

// Get implements kv.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	v, err := s.client.Get(ctx, s.prefix+key).Bytes()
	if err != nil {
		return nil, fail("kv.Get", err)
	}
	return v, nil
}

// GetMany implements kv.Many: the keys of each node are asked for at once.
func (s *Store) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	const op = errs.Op("kv.GetMany")
	values := make([][]byte, len(keys))
	if len(keys) == 0 {
		return values, nil
	}
	answers := make([]*redis.StringCmd, len(keys))
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, k := range keys {
			answers[i] = p.Get(ctx, s.prefix+k)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fail(op, err)
	}
	for i, a := range answers {
		v, err := a.Bytes()
		switch {
		case err == nil:
			values[i] = v
		case !errors.Is(err, redis.Nil):
			return nil, fail(op, err)
		}
	}
	return values, nil
}

// Set implements kv.Store.
func (s *Store) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := s.client.Set(ctx, s.prefix+key, value, ttl).Err(); err != nil {
		return fail("kv.Set", err)
	}
	return nil
}

// script is a step of Redis's own about one key, and the name by which Redis remembers it.
type script struct{ text, hash string }

func newScript(text string) script { return script{text, redis.NewScript(text).Hash()} }

// once is a command that is not sent again when its answer is lost.
type once struct{ *redis.Cmd }

// NoRetry implements redis.Cmder.
func (once) NoRetry() bool { return true }

// run runs a script whose answer is a number.
func (s *Store) run(ctx context.Context, sc script, key string, args ...any) (int64, error) {
	do := func(name, what string) (int64, error) {
		cmd := redis.NewCmd(ctx, append([]any{name, what, 1, s.prefix + key}, args...)...)
		_ = s.client.Process(ctx, once{cmd}) // cmd has it, too
		return cmd.Int64()
	}
	n, err := do("evalsha", sc.hash)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		n, err = do("eval", sc.text)
	}
	return n, err
}

// swap puts ARGV[2] for ARGV[3] milliseconds if the value is ARGV[1], or if there is none and ARGV[4] is "new".
var swap = newScript(`
local old = redis.call('GET', KEYS[1])
if ARGV[4] == 'new' then
  if old then return 0 end
elseif old ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)

// Swap implements kv.Store.
func (s *Store) Swap(ctx context.Context, key string, old, value []byte, ttl time.Duration) (bool, error) {
	which := "old"
	if old == nil {
		which = "new"
	}
	n, err := s.run(ctx, swap, key, string(old), string(value), ttl.Milliseconds(), which)
	if err != nil {
		return false, fail("kv.Swap", err)
	}
	return n == 1, nil
}

// add adds ARGV[1], and has a new counter end in ARGV[2] milliseconds.
var add = newScript(`
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum`)

// Add implements kv.Store.
func (s *Store) Add(ctx context.Context, key string, n int64, ttl time.Duration) (int64, error) {
	sum, err := s.run(ctx, add, key, n, ttl.Milliseconds())
	if err != nil {
		return 0, fail("kv.Add", err)
	}
	return sum, nil
}

// Delete implements kv.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.client.Del(ctx, s.prefix+key).Err(); err != nil {
		return fail("kv.Delete", err)
	}
	return nil
}
