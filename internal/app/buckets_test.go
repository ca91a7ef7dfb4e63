package app

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/blob/s3/s3test"
	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/transfer"
)

// bucket has a process keep all new content in a bucket of MinIO, behind a proxy that can break the way there.
func bucket(t *testing.T, server s3test.Server, name, proxy string) func(*Process) {
	t.Setenv("GOPAN_STORE_MINIO_ACCESS_KEY", s3test.AccessKey)
	t.Setenv("GOPAN_STORE_MINIO_SECRET_KEY", s3test.SecretKey)
	return func(p *Process) {
		p.Config.Blob.Stores = map[string]config.Store{"minio": {Kind: "s3", Endpoint: proxy, Bucket: name, Prefix: "drive/"}}
		p.Config.Blob.Policies = []config.Policy{{Store: "minio"}}
	}
}

// A3, F18: a drive whose content is in a bucket: it starts without the bucket, is ready and gives content when it
// answers, and refuses another bucket and wrong keys; an operator moves content out of it and back.
func TestBucket(t *testing.T) {
	server := s3test.MinIO(t)
	proxy := s3test.NewProxy(t, server)
	name := server.Bucket(t)
	in := bucket(t, server, name, proxy.URL)
	d := newDrive(t, in)
	texts := map[string]string{"/small": "hello", "/large": strings.Repeat("0123456789abcdef", 600_000)} // of three blocks
	ids := map[string]string{}
	for path, text := range texts {
		ids[path] = d.put(t, path, text).ID
	}
	readable := func(when string) {
		t.Helper()
		for path, want := range texts {
			if r := d.ask(t, "GET", "/api/v1/content/"+ids[path], "", bearer(d.admin)); r.StatusCode != 200 || r.body != want {
				t.Errorf("%s: %s: %d, %d bytes", when, path, r.StatusCode, len(r.body))
			}
		}
	}
	readable("in the bucket")
	if n := stored(t, d.dir+"/blobs"); n != 0 {
		t.Errorf("%d blobs in the data folder", n)
	}
	for _, m := range []transfer.Migration{{From: "minio", To: "local"}, {From: "local", To: "minio"}} {
		if err := Operate(t.Context(), d.Config, func(ctx context.Context, s *transfer.Service) error {
			done, err := s.Migrate(ctx, m)
			if done.Blobs != 2 || done.Kept != 0 || len(done.Problems) != 0 {
				t.Errorf("to %s: %+v", m.To, done)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		readable("in " + m.To)
	}
	if err := Operate(t.Context(), d.Config, func(ctx context.Context, s *transfer.Service) error {
		c, err := s.Check(ctx, true, nil)
		if len(c.Problems) != 0 || c.Stores[0].Blobs != 0 || c.Stores[1].Blobs != 2 || c.Orphans != 0 {
			t.Errorf("%+v", c)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}

	// The bucket does not answer, while the drive runs and when it starts.
	all := func(*http.Request) bool { return true }
	proxy.Break(-1, all, s3test.Drops)
	down := func(when string) {
		t.Helper()
		if r := d.ask(t, "GET", "/readyz", ""); r.StatusCode != 503 {
			t.Errorf("%s: ready: %s", when, r.body)
		}
		if r := d.ask(t, "GET", "/api/v1/content/"+ids["/large"], "", bearer(d.admin)); r.StatusCode != 503 {
			t.Errorf("%s: %d %s", when, r.StatusCode, r.body)
		}
		if r := d.ask(t, "GET", "/api/v1/files?path=/", "", bearer(d.admin)); r.StatusCode != 200 {
			t.Errorf("%s: what needs no content: %d", when, r.StatusCode)
		}
	}
	down("running")
	if err := d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatalf("a bucket that does not answer keeps the drive from starting: %v", err)
	}
	down("started")
	proxy.Heal()
	eventually(t, "it is ready", func() bool { return d.ask(t, "GET", "/readyz", "").StatusCode == 200 })
	readable("after the bucket came back")

	// Another bucket, none, and wrong keys.
	if err := d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, change func(*Process)) {
		t.Helper()
		p := process(d.dir)
		in(p)
		change(p)
		if err := p.Start(t.Context()); err == nil {
			t.Errorf("%s: started, %v", what, p.Stop(t.Context()))
		} else if strings.Contains(err.Error(), s3test.SecretKey) {
			t.Errorf("%s: tells the key: %v", what, err)
		} else {
			t.Logf("%s: %v", what, err)
		}
	}
	other := server.Bucket(t)
	set := func(change func(*config.Store)) func(*Process) {
		return func(p *Process) {
			s := p.Config.Blob.Stores["minio"]
			change(&s)
			p.Config.Blob.Stores["minio"] = s
		}
	}
	refused("an empty bucket", set(func(s *config.Store) { s.Bucket = other }))
	refused("an empty prefix", set(func(s *config.Store) { s.Prefix = "elsewhere/" }))
	refused("no bucket", set(func(s *config.Store) { s.Bucket = "none" }))
	server.Put(t, other, "drive/store.json", []byte(`{"id":"other"}`))
	refused("another drive's", set(func(s *config.Store) { s.Bucket = other }))
	t.Setenv("GOPAN_STORE_MINIO_ACCESS_KEY", "nobody")
	refused("a wrong key", func(*Process) {})
	t.Setenv("GOPAN_STORE_MINIO_ACCESS_KEY", s3test.AccessKey)
	if len(server.Keys(t, other)) != 1 {
		t.Errorf("something was put into a bucket that was refused: %v", server.Keys(t, other))
	}
	if err := Forget(d.dir, "minio"); err != nil {
		t.Fatal(err)
	}
	refused("a store that the folder does not know", func(*Process) {})
	if _, err := Adopt(t.Context(), d.Config, "minio"); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	readable("at the end")
}
