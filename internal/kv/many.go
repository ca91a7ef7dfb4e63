package kv

import (
	"context"

	"github.com/livil/gopan/internal/errs"
)

// Many is a Store that gives many values at once.
type Many interface {
	// GetMany gives the values of keys, in their order; nil for a key that is not there. There are at most MaxMany.
	GetMany(ctx context.Context, keys []string) ([][]byte, error)
}

// MaxMany is how many keys GetMany of a Store is asked for at once.
const MaxMany = 512

// GetMany gives the values of any number of keys, in their order; nil for a key that is not there. The values are
// not of one moment.
func GetMany(ctx context.Context, s Store, keys []string) ([][]byte, error) {
	const op = errs.Op("kv.GetMany")
	values := make([][]byte, 0, len(keys))
	many, ok := s.(Many)
	for ok && len(keys) > 0 {
		n := min(len(keys), MaxMany)
		some, err := many.GetMany(ctx, keys[:n])
		if err != nil {
			return nil, errs.Wrap(op, err)
		}
		values, keys = append(values, some...), keys[n:]
	}
	for _, k := range keys {
		v, err := s.Get(ctx, k)
		if err != nil && !errs.Is(errs.NotFound, err) {
			return nil, errs.Wrap(op, err)
		}
		values = append(values, v)
	}
	return values, nil
}
