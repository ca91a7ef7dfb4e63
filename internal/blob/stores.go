package blob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/livil/gopan/internal/errs"
)

// Stores are all the stores of an installation. New content goes where a rule says; a blob is found wherever it is.
type Stores struct {
	// All stores, in the order in which they are asked for a blob.
	All []Named
	// Rules say where new content goes; the first that fits does. None fits: the first of All.
	Rules []Rule

	rules atomic.Pointer[[]Rule] // in the place of Rules, once SetRules was called

	once  sync.Once
	found *lru.Cache[Digest, int] // where in All a blob was last found
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

// Local gives a single store, named "local", where everything goes.
func Local(s Stager) *Stores { return &Stores{All: []Named{{"local", s}}} }

// SetRules changes Rules, while others may be using the stores.
func (s *Stores) SetRules(rules []Rule) { s.rules.Store(&rules) }

func (s *Stores) current() []Rule {
	if r := s.rules.Load(); r != nil {
		return *r
	}
	return s.Rules
}

// For gives the store for new content of size bytes, or -1, in a drive.
func (s *Stores) For(drive, size int64) Named {
	for _, r := range s.current() {
		if (r.Drive == 0 || r.Drive == drive) && (size < 0 || size >= r.MinSize) {
			if st, ok := s.Named(r.Store); ok {
				return st
			}
		}
	}
	return s.All[0]
}

// ByDrive tells whether it depends on the drive where new content goes.
func (s *Stores) ByDrive() bool {
	return slices.ContainsFunc(s.current(), func(r Rule) bool { return r.Drive != 0 })
}

// Named gives a store by its name.
func (s *Stores) Named(name string) (Named, bool) {
	i := slices.IndexFunc(s.All, func(n Named) bool { return n.Name == name })
	if i < 0 {
		return Named{}, false
	}
	return s.All[i], true
}

// foundIn is how many blobs' places are kept in mind, at about 100 bytes each.
const foundIn = 1 << 15

// Open opens a blob in the first store that has it whole, beginning with the one where it was last. It is
// errs.NotFound only when every store has answered that the blob is not there; a store that does not answer is
// errs.Busy. A blob may move to another store at any time (see transfer.Migrate): who holds a reader notices
// nothing of it.
func (s *Stores) Open(ctx context.Context, ref Ref) (Reader, []Sum, error) {
	if len(s.All) == 1 {
		return s.All[0].Open(ctx, ref)
	}
	r, sums, err := s.find(ctx, ref)
	if err != nil {
		return nil, nil, errs.Wrap("blob.Stores.Open", err)
	}
	return s.follow(ctx, ref, r), sums, nil
}

// find is Open, with the reader of the store itself.
func (s *Stores) find(ctx context.Context, ref Ref) (Reader, []Sum, error) {
	s.once.Do(func() { s.found, _ = lru.New[Digest, int](foundIn) }) // fails for a size below 1 only
	first, _ := s.found.Get(ref.Digest)
	// A blob that moves is in both stores for a moment, but one asked before it came and the other after it left
	// both say no. It takes a second move within the second round to be missed again.
	for range 2 {
		var failed []error
		for i := range s.All {
			at := i
			if i == 0 {
				at = first
			} else if i <= first {
				at = i - 1
			}
			r, sums, err := s.All[at].Open(ctx, ref)
			if err == nil {
				s.found.Add(ref.Digest, at)
				return r, sums, nil
			}
			switch err := fmt.Errorf("store %s: %w", s.All[at].Name, err); {
			case errs.Is(errs.NotFound, err):
			case errs.Is(errs.Busy, err): // it may have the blob whole, so this is what becomes of the whole
				failed = append([]error{err}, failed...)
			default:
				failed = append(failed, err)
			}
		}
		if len(failed) > 0 {
			return nil, nil, errs.Wrap("blob.Stores.find", errors.Join(failed...))
		}
	}
	return nil, nil, errs.E(errs.NotFound, "blob.Stores.find")
}

// Check tells whether all stores can take and give blobs now.
func (s *Stores) Check(ctx context.Context) error {
	var all []error
	for _, st := range s.All {
		if err := st.Check(ctx); err != nil {
			all = append(all, fmt.Errorf("store %s: %w", st.Name, err))
		}
	}
	return errors.Join(all...)
}
