//go:build cluster

package redis

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/kv"
	"github.com/livil/gopan/internal/kv/kvtest"
)

// open gives a store with a prefix of its own in the cluster that make cluster-up started.
func open(t *testing.T) *Store {
	t.Helper()
	addresses := os.Getenv("GOPAN_TEST_REDIS")
	if addresses == "" {
		t.Fatal("GOPAN_TEST_REDIS is not set: run make test-cluster, or make cluster-up ONLY=redis and . .cluster/env")
	}
	s := New(Config{Addresses: strings.Split(addresses, ","), Password: os.Getenv("GOPAN_TEST_REDIS_PASSWORD"), Prefix: "test:" + rand.Text() + ":"})
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
		s := open(t)
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
	s := open(t)
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
	s := open(t)
	if err := s.client.Set(t.Context(), s.prefix+"n", "many", time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Add(t.Context(), "n", 1, time.Minute); !errs.Is(errs.Busy, err) {
		t.Errorf("Add = %d, %v; want errs.Busy", n, err)
	}
}
