package upload

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// Memory bounds the bytes of blocks that a process holds at once. A block is in memory from its first byte until it
// is stored, as it is checked before (promise A1).
type Memory struct {
	// Size is how many bytes there are.
	Size int64
	// Wait is how long somebody waits for bytes before they are told to come again; 0 means five seconds.
	Wait time.Duration

	mu      sync.Mutex
	used    int64
	byUser  map[int64]int64
	waiters list.List // of *waiter, the longest first
	// over is who holds more than there was, so that bodies that are half here cannot wait for one another for ever.
	over *hold
}

// hold is what one request, or one entry of a batch, has of a Memory. One goroutine at a time takes for it.
type hold struct {
	from  *Memory
	user  int64
	bytes int64
}

type waiter struct {
	hold  *hold
	bytes int64
	given chan struct{}
}

// fits tells whether a user can have n more bytes: there are so many, and they do not have half of all already, so
// that one user cannot keep the others waiting. The caller holds mu.
func (m *Memory) fits(user, n int64) bool {
	return m.used+n <= m.Size && (m.byUser[user] == 0 || m.byUser[user]+n <= m.Size/2)
}

func (m *Memory) give(h *hold, n int64) {
	if m.byUser == nil {
		m.byUser = make(map[int64]int64)
	}
	m.used += n
	m.byUser[h.user] += n
	h.bytes += n
}

// take waits for n bytes more.
func (h *hold) take(ctx context.Context, n int64) error {
	const op = errs.Op("upload.Memory")
	m := h.from
	m.mu.Lock()
	if m.waiters.Len() == 0 && m.fits(h.user, n) || m.over == h {
		m.give(h, n)
		m.mu.Unlock()
		return nil
	}
	w := &waiter{h, n, make(chan struct{})}
	at := m.waiters.PushBack(w)
	m.serve()
	m.mu.Unlock()

	wait := m.Wait
	if wait == 0 {
		wait = 5 * time.Second
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	var err error
	select {
	case <-w.given:
		return nil
	case <-ctx.Done():
		err = errs.Wrap(op, ctx.Err())
	case <-timer.C:
		err = errs.E(errs.Busy, op, time.Second, "no memory for another block")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-w.given: // in the last moment
		return nil
	default:
		m.waiters.Remove(at)
		return err
	}
}

// serve gives those who wait what they can have. The caller holds mu.
func (m *Memory) serve() {
	for at := m.waiters.Front(); at != nil; {
		w, next := at.Value.(*waiter), at.Next()
		fits := m.fits(w.hold.user, w.bytes)
		if !fits && m.over == nil && w.hold.bytes > 0 {
			// Half of its block is here: one such may exceed the size, by the rest of its body, so that somebody gets
			// to an end.
			m.over, fits = w.hold, true
		}
		if fits {
			m.waiters.Remove(at)
			m.give(w.hold, w.bytes)
			close(w.given)
		}
		at = next
	}
}

// drop gives back n bytes.
func (h *hold) drop(n int64) {
	m := h.from
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= n
	h.bytes -= n
	if m.byUser[h.user] -= n; m.byUser[h.user] == 0 {
		delete(m.byUser, h.user)
	}
	if m.over == h && h.bytes == 0 {
		m.over = nil
	}
	m.serve()
}

// hold begins with no bytes; its end is drop of all that it has.
func (m *Memory) hold(user int64) *hold { return &hold{from: m, user: user} }

// Used is how many bytes are held now.
func (m *Memory) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}
