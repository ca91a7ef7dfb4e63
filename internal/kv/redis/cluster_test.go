//go:build cluster

package redis

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/kv"
	"github.com/livil/gopan/internal/kv/kvtest"
)

// start gives a store with a prefix of its own in the cluster that make cluster-up started.
func start(t *testing.T) *Store {
	t.Helper()
	return startBy(t, nil)
}

// startBy does so over connections of dial.
func startBy(t *testing.T, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Store {
	t.Helper()
	addresses := os.Getenv("GOPAN_TEST_REDIS")
	if addresses == "" {
		t.Fatal("GOPAN_TEST_REDIS is not set: run make test-cluster, or make cluster-up ONLY=redis and . .cluster/env")
	}
	s := open(Config{Addresses: strings.Split(addresses, ","), Password: os.Getenv("GOPAN_TEST_REDIS_PASSWORD"), Prefix: "test:" + rand.Text() + ":"}, dial)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// each calls fn with every key of the store.
func (s *Store) each(ctx context.Context, fn func(node *goredis.Client, key string) error) error {
	return s.client.ForEachMaster(ctx, func(ctx context.Context, node *goredis.Client) error {
		keys := node.Scan(ctx, 0, s.prefix+"*", 1000).Iterator()
		for keys.Next(ctx) {
			if err := fn(node, keys.Val()); err != nil {
				return err
			}
		}
		return keys.Err()
	})
}

func TestClusterSuite(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) (kv.Store, func(time.Duration)) {
		s := start(t)
		// Redis's clock cannot be moved, but the ends of the keys can.
		return s, func(d time.Duration) {
			err := s.each(t.Context(), func(node *goredis.Client, key string) error {
				left, err := node.PTTL(t.Context(), key).Result()
				if err != nil {
					return err
				}
				if left <= d {
					return node.Del(t.Context(), key).Err()
				}
				return node.PExpire(t.Context(), key, left-d).Err()
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Every key ends by itself, whatever put it there: Redis never fills up with what was forgotten.
func TestClusterKeysEnd(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	if err := s.Set(ctx, "set", nil, time.Minute); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(ctx, "add", 1, time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, old := range [][]byte{nil, []byte("1")} {
		if ok, err := s.Swap(ctx, "swap", old, []byte("1"), time.Minute); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	var mu sync.Mutex
	n := 0
	err := s.each(ctx, func(node *goredis.Client, key string) error {
		left, err := node.PTTL(ctx, key).Result()
		if left <= 0 || left > time.Minute {
			t.Errorf("%s ends in %v", key, left)
		}
		mu.Lock()
		defer mu.Unlock()
		n++
		return err
	})
	if err != nil || n != 3 {
		t.Errorf("%d keys, %v", n, err)
	}
}

// F41: what somebody else has put under a counter's key is no number, and no door opens.
func TestClusterGarbage(t *testing.T) {
	s := start(t)
	if err := s.client.Set(t.Context(), s.prefix+"n", "many", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Add(t.Context(), "n", 1, time.Minute); !errs.Is(errs.Busy, err) {
		t.Errorf("Add = %d, %v; want errs.Busy", n, err)
	}
}

// lossy is a connection that breaks in the place of the next answer, once the server has given it.
type lossy struct {
	net.Conn
	lose *atomic.Bool
}

func (l lossy) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if err == nil && l.lose.CompareAndSwap(true, false) {
		_ = l.Close()
		return 0, io.EOF
	}
	return n, err
}

// An Add whose answer was lost counts once and is an error; so is a Swap.
func TestClusterAnswerLost(t *testing.T) {
	var lose atomic.Bool
	s := startBy(t, func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		return lossy{c, &lose}, err
	})
	ctx := t.Context()
	for want := int64(1); want <= 5; want += 2 {
		if n, err := s.Add(ctx, "n", 1, time.Minute); err != nil || n != want {
			t.Fatalf("Add = %d, %v; want %d", n, err, want)
		}
		lose.Store(true)
		if n, err := s.Add(ctx, "n", 1, time.Minute); !errs.Is(errs.Busy, err) {
			t.Fatalf("the answer is lost: %d, %v", n, err)
		}
	}
	if ok, err := s.Swap(ctx, "k", nil, []byte("1"), time.Minute); err != nil || !ok {
		t.Fatal(ok, err)
	}
	lose.Store(true)
	if ok, err := s.Swap(ctx, "k", []byte("1"), []byte("2"), time.Minute); ok || !errs.Is(errs.Busy, err) {
		t.Fatal(ok, err)
	}
	if v, err := s.Get(ctx, "k"); err != nil || string(v) != "2" {
		t.Errorf("%q, %v", v, err)
	}
}

// A replica takes its master's place: what was there still is, and the store goes on by itself.
func TestClusterFailover(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	if err := s.Set(ctx, "k", []byte("v"), time.Hour); err != nil {
		t.Fatal(err)
	}
	slot, err := s.client.ClusterKeySlot(ctx, s.prefix+"k").Result()
	if err != nil {
		t.Fatal(err)
	}
	master := func() (master, replica string) {
		slots, err := s.client.ClusterSlots(ctx).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range slots {
			if int64(r.Start) <= slot && slot <= int64(r.End) && len(r.Nodes) > 1 {
				return r.Nodes[0].Addr, r.Nodes[1].Addr
			}
		}
		return "", ""
	}
	old, next := master()
	if next == "" {
		t.Fatal("the key's master has no replica")
	}
	node := goredis.NewClient(&goredis.Options{Addr: next, Password: os.Getenv("GOPAN_TEST_REDIS_PASSWORD")})
	defer node.Close()
	if err := node.ClusterFailover(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	var now string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline) && now != next; now, _ = master() {
		if n, err := s.Add(ctx, "n", 1, time.Hour); err != nil && !errs.Is(errs.Busy, err) {
			t.Fatal(n, err)
		}
	}
	if now != next {
		t.Fatalf("%s is still the master, not %s", old, next)
	}
	if v, err := s.Get(ctx, "k"); err != nil || string(v) != "v" {
		t.Errorf("after the failover: %q, %v", v, err)
	}
	if _, err := s.Add(ctx, "n", 1, time.Hour); err != nil {
		t.Error(err)
	}
}
