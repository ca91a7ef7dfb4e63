package user

import (
	"context"
	"encoding/json"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// taken stands where a value in kv was that works once.
var taken = []byte("taken")

// keepOnce keeps a value in kv that takeOnce gives once.
func (s *Service) keepOnce(ctx context.Context, key string, v any, life time.Duration) error {
	const op = errs.Op("user.keepOnce")
	b, err := json.Marshal(v)
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	return errs.Wrap(op, s.KV.Set(ctx, key, b, life))
}

// takeOnce gives a value that keepOnce kept, to one of all that ask; errs.NotFound to the others.
func (s *Service) takeOnce(ctx context.Context, key string, v any, life time.Duration) error {
	const op = errs.Op("user.takeOnce")
	b, err := s.KV.Get(ctx, key)
	if err != nil {
		return errs.Wrap(op, err)
	}
	if string(b) == string(taken) {
		return errs.E(errs.NotFound, op)
	}
	mine, err := s.KV.Swap(ctx, key, b, taken, life)
	switch {
	case err != nil:
		return errs.Wrap(op, err)
	case !mine:
		return errs.E(errs.NotFound, op)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return errs.E(errs.Corrupt, op, err)
	}
	return nil
}
