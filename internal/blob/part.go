package blob

import "context"

// Parts is how many parts a store's blobs fall into: one for each first byte of a digest. Digests are hashes, so parts
// are about equal.
const Parts = 256

// PartLister is a Store that finds the blobs of a part without looking at all the others.
type PartLister interface {
	// ListPart is List for the blobs whose digest begins with a byte. What is not ours is left out.
	ListPart(ctx context.Context, first byte, fn func(Entry) error) error
}

// ListPart lists a part of any store.
func ListPart(ctx context.Context, s Store, first byte, fn func(Entry) error) error {
	if n, ok := s.(Named); ok {
		s = n.Stager
	}
	if p, ok := s.(PartLister); ok {
		return p.ListPart(ctx, first, fn)
	}
	return s.List(ctx, func(e Entry) error {
		if e.Foreign != "" || e.Digest[0] != first {
			return nil
		}
		return fn(e)
	})
}
