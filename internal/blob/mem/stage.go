package mem

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// staging is what was written of a blob that is not whole yet. The store's mu guards it.
type staging struct {
	data    []byte
	written map[int64]bool // by block
	at      time.Time
}

// Stage implements blob.Stager.
func (s *Store) Stage(_ context.Context, size int64) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.staged == nil {
		s.staged = make(map[string]*staging)
	}
	id := rand.Text()
	s.staged[id] = &staging{data: make([]byte, size), written: make(map[int64]bool), at: time.Now()}
	return id, nil
}

// Staged implements blob.Stager.
func (s *Store) Staged(_ context.Context, id string, _ int64) (blob.Staged, error) {
	return staged{s, id}, nil
}

// PartSize implements blob.Stager.
func (s *Store) PartSize(int64) int64 { return max(s.Part, blob.BlockSize) }

// Sweep implements blob.Stager.
func (s *Store) Sweep(_ context.Context, before time.Time) (swept blob.Swept, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, st := range s.staged {
		if st.at.Before(before) {
			delete(s.staged, id)
			swept.Staged++
			swept.Bytes += int64(len(st.data))
		}
	}
	return swept, nil
}

type staged struct {
	store *Store
	id    string
}

// with runs fn on what is staged, alone.
func (st staged) with(op errs.Op, fn func(*staging) error) error {
	st.store.mu.Lock()
	defer st.store.mu.Unlock()
	on, ok := st.store.staged[st.id]
	if !ok {
		return errs.E(errs.NotFound, op)
	}
	return fn(on)
}

// Write implements blob.Staged.
func (st staged) Write(_ context.Context, off, n int64, r io.Reader) error {
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	return st.with("mem.Write", func(on *staging) error {
		for i := off / blob.BlockSize; i*blob.BlockSize < off+n; i++ {
			on.written[i] = true
		}
		copy(on.data[off:], b)
		on.at = time.Now()
		return nil
	})
}

// ReadAt implements blob.Staged.
func (st staged) ReadAt(_ context.Context, p []byte, off int64) error {
	return st.with("mem.ReadAt", func(on *staging) error {
		copy(p, on.data[off:])
		return nil
	})
}

// Epoch implements blob.Staged.
func (staged) Epoch() string { return "" }

// Copy implements blob.Copier.
func (st staged) Copy(ctx context.Context, off int64, of blob.Ref, from, n int64) (bool, error) {
	st.store.mu.Lock()
	b, ok := st.store.blobs[of.Digest]
	st.store.mu.Unlock()
	if !ok {
		return false, nil
	}
	return true, st.Write(ctx, off, n, bytes.NewReader(b.data[from:from+n]))
}

// Commit implements blob.Staged.
func (st staged) Commit(_ context.Context, sums []blob.Sum) error {
	const op = errs.Op("mem.Staged.Commit")
	return st.with(op, func(on *staging) error {
		if int64(len(on.written)) != blob.Blocks(int64(len(on.data))) || len(on.written) != len(sums) {
			return errs.E(errs.Internal, op, "not all was written")
		}
		st.store.put(on.data, sums)
		delete(st.store.staged, st.id)
		return nil
	})
}

// Abort implements blob.Staged.
func (st staged) Abort(context.Context) error {
	st.store.mu.Lock()
	defer st.store.mu.Unlock()
	delete(st.store.staged, st.id)
	return nil
}
