//go:build live

package cos_test

import (
	"crypto/rand"
	"os"
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/cos"
	"github.com/livil/gopan/internal/blob/object"
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
		c := cos.Config{
			Region: need(t, "REGION"), Bucket: need(t, "BUCKET"), SecretID: need(t, "ID"), SecretKey: need(t, "KEY"),
			SessionToken: os.Getenv("GOPAN_LIVE_TOKEN"),
			Store:        object.Config{Init: true, Prefix: "gopan-test/" + rand.Text() + "/"},
		}
		return open(t, c), open(t, c)
	}
	blobtest.Run(t, func(t *testing.T) blob.Store { s, _ := live(t); return s })
	blobtest.RunStager(t, func(t *testing.T) (first, second blob.Stager) { return live(t) })
}
