// Package mem keeps blobs in memory, for tests.
package mem

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// Store is a blob.Store and blob.Stager in memory. The zero value is empty and ready.
type Store struct {
	// Part is what PartSize gives; 0 means a block.
	Part int64

	mu     sync.Mutex
	blobs  map[blob.Digest]stored
	staged map[string]*staging
}

type stored struct {
	data  []byte
	sums  []blob.Sum
	putAt time.Time
}

var _ blob.Stager = (*Store)(nil)

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

// Open implements blob.Store.
func (s *Store) Open(_ context.Context, ref blob.Ref) (blob.Reader, []blob.Sum, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.blobs[ref.Digest]
	switch {
	case !ok:
		return nil, nil, errs.E(errs.NotFound, "mem.Open")
	case int64(len(b.data)) != ref.Size:
		return nil, nil, errs.E(errs.Corrupt, "mem.Open")
	}
	return reader{bytes.NewReader(b.data)}, b.sums, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(_ context.Context, d blob.Digest, putBefore time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.blobs[d]
	if !ok || !b.putAt.Before(putBefore) {
		return false, nil
	}
	delete(s.blobs, d)
	return true, nil
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, fn func(blob.Entry) error) error {
	return s.list(ctx, func(blob.Digest) bool { return true }, fn)
}

// ListPart implements blob.PartLister.
func (s *Store) ListPart(ctx context.Context, first byte, fn func(blob.Entry) error) error {
	return s.list(ctx, func(d blob.Digest) bool { return d[0] == first }, fn)
}

func (s *Store) list(ctx context.Context, of func(blob.Digest) bool, fn func(blob.Entry) error) error {
	s.mu.Lock()
	entries := make([]blob.Entry, 0, len(s.blobs))
	for d, b := range s.blobs {
		if !of(d) {
			continue
		}
		entries = append(entries, blob.Entry{Info: blob.Info{Ref: blob.Ref{Digest: d, Size: int64(len(b.data))}, PutAt: b.putAt}})
	}
	s.mu.Unlock()
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return errs.Wrap("mem.List", err)
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}

// Check implements blob.Store.
func (s *Store) Check(context.Context) error { return nil }

// Damage flips a bit of a stored blob, for tests of what reads do then.
func (s *Store) Damage(d blob.Digest, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blobs[d]
	b.data = bytes.Clone(b.data)
	b.data[at] ^= 1
	s.blobs[d] = b
}

// put makes data a blob. The caller holds mu.
func (s *Store) put(data []byte, sums []blob.Sum) {
	if s.blobs == nil {
		s.blobs = make(map[blob.Digest]stored)
	}
	s.blobs[blob.DigestOf(sums)] = stored{data, sums, time.Now()}
}

// Create implements blob.Store.
func (s *Store) Create(context.Context, int64) (blob.Pending, error) { return &pending{store: s}, nil }

type pending struct {
	store *Store
	data  []byte
}

// Write implements io.Writer.
func (p *pending) Write(b []byte) (int, error) {
	p.data = append(p.data, b...)
	return len(b), nil
}

// Commit implements blob.Pending.
func (p *pending) Commit(_ context.Context, size int64, sums []blob.Sum) error {
	if int64(len(p.data)) != size {
		return errs.E(errs.Internal, "mem.Commit", "wrong size")
	}
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	p.store.put(p.data, sums)
	p.data = nil
	return nil
}

// Abort implements blob.Pending.
func (p *pending) Abort() {}
