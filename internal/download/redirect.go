package download

import (
	"net/http"
	"strings"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Redirect sends callers to the store itself for large contents, where the store can give links. Their bytes then
// pass no check of ours, and a link works to its end, whatever happens to the caller's rights meanwhile.
type Redirect struct {
	// Links gives the links; nil: nobody is sent anywhere.
	Links blob.Linker
	// MinSize of the content in bytes.
	MinSize int64
	// Life of a link.
	Life time.Duration
}

// conditions are headers that only we can judge, for the store knows our entity tags as little as our times.
var conditions = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"}

// take answers a request with a link if it may, and says whether it did.
func (d Redirect) take(w http.ResponseWriter, r *http.Request, n *filemetapb.Node, ref blob.Ref) (bool, error) {
	if d.Links == nil || r.Method != http.MethodGet || ref.Size < d.MinSize || ref.Size == 0 {
		return false, nil
	}
	for _, name := range conditions {
		if len(r.Header.Values(name)) > 0 {
			return false, nil
		}
	}
	// Stores take one range; of several they would give everything.
	if asked := r.Header.Values("Range"); len(asked) > 1 || len(asked) == 1 && strings.Contains(asked[0], ",") {
		return false, nil
	}
	link, err := d.Links.Link(r.Context(), ref, blob.LinkHeaders{
		ContentType: contentType(n.GetName()), ContentDisposition: disposition(n.GetName()),
	}, d.Life)
	switch {
	case errs.Is(errs.Unsupported, err):
		return false, nil
	case errs.Is(errs.NotFound, err):
		return false, errs.E(errs.Corrupt, "download.take", errs.Code("content_unavailable"), err)
	case err != nil:
		return false, errs.Wrap("download.take", err)
	}
	h := w.Header()
	// The link is a capability: nobody keeps it, and the next site is not told where it came from.
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", link)
	w.WriteHeader(http.StatusFound)
	return true, nil
}
