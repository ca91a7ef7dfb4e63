package blob

import (
	"context"
	"errors"
	"slices"

	"github.com/livil/gopan/internal/errs"
)

// Stores are all the stores of an installation. New content goes where a rule says; a blob is found wherever it is.
type Stores struct {
	// All stores, in the order in which they are asked for a blob.
	All []Named
	// Rules say where new content goes; the first that fits does. None fits: the first of All.
	Rules []Rule
}

// Named is a store and the name that settings give it.
type Named struct {
	Name string
	Stager
}

// Rule sends some of the new content to a store.
type Rule struct {
	// Drive that it is for; 0: all.
	Drive int64
	// MinSize of the content in bytes that it is for. Content whose size is not known yet counts as large.
	MinSize int64
	// Store is the name of the store.
	Store string
}

// For gives the store for new content of size bytes, or -1, in a drive.
func (s *Stores) For(drive, size int64) Named {
	for _, r := range s.Rules {
		if (r.Drive == 0 || r.Drive == drive) && (size < 0 || size >= r.MinSize) {
			if st, ok := s.Named(r.Store); ok {
				return st
			}
		}
	}
	return s.All[0]
}

// Named gives a store by its name.
func (s *Stores) Named(name string) (Named, bool) {
	i := slices.IndexFunc(s.All, func(n Named) bool { return n.Name == name })
	if i < 0 {
		return Named{}, false
	}
	return s.All[i], true
}

// Open opens a blob in the first store that has it whole. It is errs.NotFound only when every store has answered that the
// blob is not there; a store that does not answer is errs.Busy.
func (s *Stores) Open(ctx context.Context, ref Ref) (Reader, []Sum, error) {
	const op = errs.Op("blob.Stores.Open")
	var all []error
	for _, st := range s.All {
		r, sums, err := st.Open(ctx, ref)
		if err == nil {
			return r, sums, nil
		}
		if !errs.Is(errs.NotFound, err) {
			all = append(all, err)
		}
	}
	if err := errors.Join(all...); err != nil {
		return nil, nil, errs.Wrap(op, all[0])
	}
	return nil, nil, errs.E(errs.NotFound, op)
}

// Check tells whether all stores can take and give blobs now.
func (s *Stores) Check(ctx context.Context) error {
	var all []error
	for _, st := range s.All {
		all = append(all, st.Check(ctx))
	}
	return errors.Join(all...)
}
