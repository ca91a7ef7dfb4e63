package object

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// remember is how many blobs' locations a Store keeps in mind. The block sums are kept only where they are few, so that an
// entry is at most 2 KiB.
const (
	remember     = 1 << 14
	rememberSums = 64
)

// location is where a blob is: a generation, and its block sums if they are known.
type location struct {
	generation
	sums []blob.Sum
}

// bytesKey is the object with the blob's bytes.
func (l location) bytesKey() string {
	if small(l.Size) {
		return l.key
	}
	return dataKey(l.data)
}

// Open implements blob.Store. A blob of one block at most is read here and now, if there is memory for it: who opens
// it wants all of it, for checking.
func (s *Store) Open(ctx context.Context, ref blob.Ref) (blob.Reader, []blob.Sum, error) {
	const op = errs.Op("object.Open")
	var r blob.Reader
	l, err := s.locate(ctx, ref, func(l location) (err error) {
		r, err = s.open(ctx, l)
		return err
	})
	if err != nil {
		return nil, nil, errs.Wrap(op, err)
	}
	return r, l.sums, nil
}

func (s *Store) open(ctx context.Context, l location) (blob.Reader, error) {
	if l.Size == 0 {
		return nothing{bytes.NewReader(nil)}, nil
	}
	if small(l.Size) {
		if s.readMem.TryAcquire(footprint(l.Size)) {
			return s.openWhole(ctx, l.key, l.Size)
		}
		if _, err := s.stat(ctx, l.key); err != nil {
			return nil, err
		}
	}
	return newReader(ctx, s, l.bytesKey(), l.Size), nil
}

// locate finds a blob and gives it to use, which says errs.NotFound when it is gone meanwhile; then it looks
// again. It is errs.NotFound only when the store has listed that nothing is there.
func (s *Store) locate(ctx context.Context, ref blob.Ref, use func(location) error) (location, error) {
	const op = errs.Op("object.locate")
	if l, ok := s.found.Get(ref.Digest); ok && l.Ref == ref {
		err := s.try(ctx, &l, use)
		if !errs.Is(errs.NotFound, err) {
			return l, err
		}
		s.found.Remove(ref.Digest)
	}
	for range 3 {
		gens, err := s.generations(ctx, ref.Digest)
		if err != nil {
			return location{}, err
		}
		if len(gens) > tidyAt {
			s.tidy(ctx, gens)
		}
		without := 0 // generations without bytes: see putSums
		for _, g := range gens {
			if g.Ref != ref {
				return location{}, errs.E(errs.Corrupt, op, "the blob has another size")
			}
			l := location{generation: g}
			err := s.try(ctx, &l, use)
			switch {
			case err == nil:
				s.remember(l)
				return l, nil
			case errors.Is(err, errWithout):
				without++
			case !errs.Is(errs.NotFound, err):
				return l, err
			}
		}
		if without == len(gens) {
			return location{}, errs.E(errs.NotFound, op)
		}
		// They were deleted since they were listed; or something that is not the store says so.
	}
	return location{}, unavailable(op, errors.New("a blob is listed and cannot be read"))
}

// errWithout is a generation that is there when the blob's bytes are not.
var errWithout = errs.E(errs.NotFound, "object.try", "a generation without bytes")

// try sees that a larger blob's bytes are there, reads its sums, and lets use have it.
func (s *Store) try(ctx context.Context, l *location, use func(location) error) error {
	if !small(l.Size) {
		o, err := s.stat(ctx, dataKey(l.data))
		switch {
		case errs.Is(errs.NotFound, err):
			return errWithout
		case err != nil:
			return err
		case o.Size != l.Size:
			return errs.E(errs.Corrupt, "object.try", "a blob's bytes are of another size than the blob")
		}
		if l.sums == nil {
			if l.sums, err = s.readSums(ctx, l.generation); err != nil {
				return err
			}
		}
	}
	return use(*l)
}

func (s *Store) remember(l location) {
	if len(l.sums) > rememberSums {
		l.sums = nil
	}
	s.found.Add(l.Digest, l)
}

// Link implements blob.Linker: a blob's bytes are one object.
func (s *Store) Link(ctx context.Context, ref blob.Ref, h blob.LinkHeaders, ttl time.Duration) (string, error) {
	const op = errs.Op("object.Link")
	var url string
	_, err := s.locate(ctx, ref, func(l location) (err error) {
		if small(l.Size) {
			if _, err := s.stat(ctx, l.key); err != nil {
				return err
			}
		}
		url, err = s.bucket.Link(ctx, l.bytesKey(), h, ttl)
		return err
	})
	if err != nil {
		return "", errs.Wrap(op, err)
	}
	return url, nil
}
