package user

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// history is when things of one kind happened, the oldest first, as kv keeps it. Unlike a counter, whose window has a
// fixed end, it lets no more through around that end than at any other time.
type history struct {
	s    *Service
	key  string
	keep time.Duration
	// raw is what kv holds; nil: nothing.
	raw []byte
	// times in milliseconds since 1970, not older than keep.
	times []int64
	// told is whether the audit log knows that there were too many; until there are none, it is not told again.
	told bool
}

func (s *Service) history(ctx context.Context, key string, keep time.Duration) (*history, error) {
	const op, size = errs.Op("user.history"), 8
	h := &history{s: s, key: key, keep: keep}
	var err error
	if h.raw, err = s.KV.Get(ctx, key); errs.Is(errs.NotFound, err) {
		return h, nil
	}
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if h.raw == nil {
		h.raw = []byte{} // it is there, and empty
	}
	h.told = len(h.raw)%size == 1
	if len(h.raw)%size > 1 {
		return nil, errs.E(errs.Corrupt, op) // the door stays shut until it expires
	}
	since := s.now().Add(-keep).UnixMilli()
	for b := h.raw; len(b) >= size; b = b[size:] {
		if at := int64(binary.BigEndian.Uint64(b)); at > since { //nolint:gosec // a time that was put there
			h.times = append(h.times, at)
		}
	}
	return h, nil
}

// wait is how long it takes until fewer than n things happened within a window.
func (h *history) wait(n int64, window time.Duration) time.Duration {
	if n < 1 || window <= 0 || int64(len(h.times)) < n {
		return 0
	}
	return time.UnixMilli(h.times[int64(len(h.times))-n]).Add(window).Sub(h.s.now())
}

// put writes the history, unless somebody else has meanwhile.
func (h *history) put(ctx context.Context, times []int64, told bool) (bool, error) {
	b := []byte{}
	for _, at := range times {
		b = binary.BigEndian.AppendUint64(b, uint64(at)) //nolint:gosec // no time before 1970
	}
	if told {
		b = append(b, 1)
	}
	mine, err := h.s.KV.Swap(ctx, h.key, h.raw, b, h.keep)
	return mine, errs.Wrap("user.put", err)
}

// forget takes back that something happened.
func (s *Service) forget(ctx context.Context, key string, keep time.Duration, at int64) error {
	const op = errs.Op("user.forget")
	for {
		h, err := s.history(ctx, key, keep)
		if err != nil {
			return errs.Wrap(op, err)
		}
		i := slices.Index(h.times, at)
		if i < 0 {
			return nil
		}
		if mine, err := h.put(ctx, slices.Delete(h.times, i, i+1), h.told); err != nil || mine {
			return errs.Wrap(op, err)
		}
	}
}
