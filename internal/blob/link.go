package blob

import (
	"context"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// Linker is a Store that can give a URL by which a client fetches a blob's bytes from the store itself for a
// short while, ranges included. Whoever has the URL can fetch them until it ends, so it is given only to somebody who may
// have the bytes. The bytes then pass no Verifier; a client that wants to be sure checks them against the digest.
type Linker interface {
	// Link gives the URL, which works for ttl. Errors are those of Open, errs.NotFound among them, and
	// errs.Unsupported when the store cannot give one.
	Link(ctx context.Context, ref Ref, h LinkHeaders, ttl time.Duration) (string, error)
}

// LinkHeaders are headers that the store answers with; an empty one is left to it.
type LinkHeaders struct {
	ContentType        string
	ContentDisposition string
}

// Link implements Linker, by the store where the blob is now. A link outlives no move to another store.
func (s *Stores) Link(ctx context.Context, ref Ref, h LinkHeaders, ttl time.Duration) (string, error) {
	const op = errs.Op("blob.Stores.Link")
	at := 0
	if len(s.All) > 1 {
		r, _, err := s.find(ctx, ref)
		if err != nil {
			return "", errs.Wrap(op, err)
		}
		_ = r.Close() // nothing was read
		at, _ = s.found.Get(ref.Digest)
	}
	l, ok := s.All[at].Stager.(Linker)
	if !ok {
		return "", errs.E(errs.Unsupported, op)
	}
	link, err := l.Link(ctx, ref, h, ttl)
	return link, errs.Wrap(op, err)
}
