//go:build live

package s3_test

import (
	"crypto/rand"
	"os"
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/object"
	"github.com/livil/gopan/internal/blob/s3"
)

// need gives a variable that says where the live test runs. It stores about 300 MiB below the prefix gopan-test/ of
// the bucket and does not remove it: let a rule of the bucket's lifecycle do so.
func need(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv("GOPAN_LIVE_" + name)
	if v == "" {
		t.Fatalf("set GOPAN_LIVE_%s, and those that `make` lists with this target", name)
	}
	return v
}

func TestLive(t *testing.T) {
	live := func(t *testing.T) (first, second *object.Store) {
		c := s3.Config{
			Endpoint: need(t, "ENDPOINT"), Region: need(t, "REGION"), Bucket: need(t, "BUCKET"),
			AccessKey: need(t, "ID"), SecretKey: need(t, "KEY"), SessionToken: os.Getenv("GOPAN_LIVE_TOKEN"),
			HostStyle: os.Getenv("GOPAN_LIVE_PATH_STYLE") == "",
			Store:     object.Config{Init: true, Prefix: "gopan-test/" + rand.Text() + "/"},
		}
		return open(t, c), open(t, c)
	}
	blobtest.Run(t, func(t *testing.T) blob.Store { s, _ := live(t); return s })
	blobtest.RunStager(t, func(t *testing.T) (first, second blob.Stager) { return live(t) })
}
