//go:build cluster

package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/livil/gopan/internal/config"
)

// onRedis has a process keep its small values in Redis.
func onRedis(addresses []string) func(*Process) {
	return func(p *Process) {
		p.Config.KV = config.KV{Driver: "redis", Addresses: addresses, Prefix: "test-" + rand.Text() + ":"}
	}
}

// redisPassword has the process find the password of the test's Redis.
func redisPassword(t *testing.T) string {
	t.Helper()
	password := os.Getenv("GOPAN_TEST_REDIS_PASSWORD")
	t.Setenv("GOPAN_KV_PASSWORD", password)
	return password
}

// flush is FLUSHALL for one installation: other tests use the cluster at the same time.
func flush(ctx context.Context, client *redis.ClusterClient, prefix string) error {
	return client.ForEachMaster(ctx, func(ctx context.Context, n *redis.Client) error {
		keys := n.Scan(ctx, 0, prefix+"*", 1000).Iterator()
		for keys.Next(ctx) {
			if err := n.Del(ctx, keys.Val()).Err(); err != nil {
				return err
			}
		}
		return keys.Err()
	})
}

// C9, F40: Redis is emptied again and again under load. No acknowledged file is lost or changed, sign-ins go on, and
// whoever guesses a password still does not get in.
func TestClusterFlushed(t *testing.T) {
	addresses := servers(t, "GOPAN_TEST_REDIS")
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses, Password: redisPassword(t)})
	defer client.Close()
	d := newDrive(t, onRedis(addresses))

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var flusher, load sync.WaitGroup
	flushes := 0
	flusher.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := flush(ctx, client, d.Config.KV.Prefix); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				flushes++
			}
		}
	})
	const workers, each = 4, 50
	for w := range workers {
		load.Go(func() {
			for i := range each {
				name := fmt.Sprintf("/w%d/%d.txt", w, i)
				if r := d.ask(t, "PUT", "/api/v1/uploads/content?parents=true&path="+name, name, bearer(d.admin)); r.StatusCode != 201 {
					t.Errorf("%s: %d %s", name, r.StatusCode, r.body)
				}
				if i%10 > 0 {
					continue
				}
				if d.signIn(t, "admin") == "" {
					t.Error("no token for the right password")
				}
				if r := d.ask(t, "POST", "/api/v1/auth/login", `{"login":"mallory","password":"guess-guess"}`); r.StatusCode != 401 && r.StatusCode != 429 {
					t.Errorf("a guess: %d %s", r.StatusCode, r.body)
				}
			}
		})
	}
	load.Wait()
	stop()
	flusher.Wait()
	if flushes == 0 {
		t.Error("Redis was never emptied")
	}
	for w := range workers {
		for i := range each {
			name := fmt.Sprintf("/w%d/%d.txt", w, i)
			if r := d.ask(t, "GET", "/api/v1/content?path="+name, "", bearer(d.admin)); r.StatusCode != 200 || r.body != name {
				t.Errorf("%s: %d %q", name, r.StatusCode, r.body)
			}
		}
	}
}

// C9: an upload in many requests whose session Redis has lost is not there any more, and begins anew.
func TestClusterSessionFlushed(t *testing.T) {
	addresses := servers(t, "GOPAN_TEST_REDIS")
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addresses, Password: redisPassword(t)})
	defer client.Close()
	d := newDrive(t, onRedis(addresses))
	begin := func() (id string) {
		var u struct{ ID string }
		d.ask(t, "POST", "/api/v1/uploads", `{"path":"/a.txt","size":5}`, bearer(d.admin)).into(t, &u)
		return u.ID
	}
	id := begin()
	if err := flush(t.Context(), client, d.Config.KV.Prefix); err != nil {
		t.Fatal(err)
	}
	if r := d.ask(t, "GET", "/api/v1/uploads/"+id, "", bearer(d.admin)); r.StatusCode != 404 {
		t.Errorf("a lost session: %d %s", r.StatusCode, r.body)
	}
	if r := d.ask(t, "GET", "/api/v1/uploads/"+begin(), "", bearer(d.admin)); r.StatusCode != 200 {
		t.Errorf("a new session: %d %s", r.StatusCode, r.body)
	}
}

// A4, F39: Redis is not there. Who is signed in lists, uploads and downloads;
// what guards a door, the count of failed sign-ins, keeps it shut.
func TestClusterRedisDown(t *testing.T) {
	addresses := servers(t, "GOPAN_TEST_REDIS")
	redisPassword(t)
	d := newDrive(t, onRedis(addresses))
	address := freeAddress(t) // nobody listens there
	down := process(d.dir)
	onRedis([]string{address})(down)
	gone := run(t, down)
	gone.admin = d.admin
	gone.put(t, "/a.txt", "hello")
	if r := gone.ask(t, "GET", "/api/v1/content?path=/a.txt", "", bearer(d.admin)); r.body != "hello" {
		t.Errorf("download: %d %s", r.StatusCode, r.body)
	}
	if !gone.is(t, "/api/v1/files?path=/", 200) {
		t.Error("list")
	}
	began := time.Now()
	r := gone.ask(t, "POST", "/api/v1/auth/login", `{"login":"admin","password":"`+adminPassword+`"}`)
	if r.StatusCode != http.StatusServiceUnavailable || strings.Contains(r.body, "accessToken") {
		t.Errorf("sign-in without its guard: %d %s", r.StatusCode, r.body)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the refusal took %v", took)
	}
}
