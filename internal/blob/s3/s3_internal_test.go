package s3

import (
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// Buckets are named in the path or in the host, and links lead where clients are.
func TestEndpoints(t *testing.T) {
	c := Config{Endpoint: "http://store.internal:9000", Bucket: "drive", AccessKey: "a", SecretKey: "b"}
	for _, e := range []struct {
		hostStyle bool
		public    string
		want      string
	}{
		{false, "", "http://store.internal:9000/drive/data/x?"}, {true, "", "http://drive.store.internal:9000/data/x?"},
		{false, "https://files.example.com", "https://files.example.com/drive/data/x?"},
	} {
		c.HostStyle, c.PublicEndpoint = e.hostStyle, e.public
		b, err := newBucket(c)
		if err != nil {
			t.Fatal(err)
		}
		if link, err := b.Link(t.Context(), "data/x", blob.LinkHeaders{}, time.Minute); err != nil || !strings.HasPrefix(link, e.want) {
			t.Errorf("%s, %v; want %s", link, err, e.want)
		}
	}
	for _, endpoint := range []string{"", "store:9000", "ftp://store", "http://", "https://store/path", "http://a b"} {
		c.Endpoint = endpoint
		if _, err := newBucket(c); !errs.Is(errs.Invalid, err) {
			t.Errorf("endpoint %q: %v", endpoint, err)
		}
	}
}
