package blob_test

import (
	"context"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/mem"
	"github.com/livil/gopan/internal/errs"
)

// linked is a store that gives links.
type linked struct{ mem.Store }

func (*linked) Link(_ context.Context, ref blob.Ref, h blob.LinkHeaders, ttl time.Duration) (string, error) {
	return "https://store.example/" + ref.Digest.String() + "?type=" + h.ContentType + "&life=" + ttl.String(), nil
}

// Of several stores the one that has the blob gives the link, or says that it cannot.
func TestStoresLink(t *testing.T) {
	plain, links := new(mem.Store), new(linked)
	here := store(t, plain, blobtest.Bytes(1, 10))
	there := store(t, links, blobtest.Bytes(2, 10))
	nowhere := blob.Ref{Digest: blobtest.DigestOf([]byte("x")), Size: 1}
	all := &blob.Stores{All: []blob.Named{{Name: "plain", Stager: plain}, {Name: "links", Stager: links}}}
	alone := &blob.Stores{All: all.All[1:]}
	for _, c := range []struct {
		name   string
		stores *blob.Stores
		ref    blob.Ref
		want   errs.Kind
	}{
		{"in the store without links", all, here, errs.Unsupported},
		{"the only store has none", blob.Local(plain), here, errs.Unsupported},
		{"nowhere", all, nowhere, errs.NotFound},
	} {
		if got, err := c.stores.Link(t.Context(), c.ref, blob.LinkHeaders{}, time.Minute); !errs.Is(c.want, err) || got != "" {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	for _, s := range []*blob.Stores{all, alone} {
		got, err := s.Link(t.Context(), there, blob.LinkHeaders{ContentType: "a/b"}, time.Minute)
		if want := "https://store.example/" + there.Digest.String() + "?type=a/b&life=1m0s"; got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
}
