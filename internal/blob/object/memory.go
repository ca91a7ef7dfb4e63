package object

import (
	"context"
	"hash/crc32"
	"io"
	"math/bits"
	"sync"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// buffers that were used, by the power of two that holds them.
var buffers [48]sync.Pool

// footprint is what a buffer of n bytes takes, and what is acquired for it.
func footprint(n int64) int64 { return int64(1) << bits.Len64(uint64(n-1)) }

// getBuffer gives n bytes, n > 0, with anything in them.
func getBuffer(n int64) *[]byte {
	class := bits.Len64(uint64(n - 1))
	if b, ok := buffers[class].Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, int64(1)<<class)
	return &b
}

func putBuffer(b *[]byte) { buffers[bits.Len64(uint64(cap(*b)-1))].Put(b) }

// Bytes on their way in gather in chunks that grow, so that who sends slowly holds little memory.
const (
	firstChunk   = 64 << 10
	largestChunk = 1 << 20
)

// chunks are bytes in memory that can be read again. The zero value is empty.
type chunks struct {
	all  []*[]byte
	size int64
	crc  uint32
	// room in all, and what it takes of the store's memory.
	room, held int64

	pos int64 // of Read
}

// memoryWait is how long a writer waits for memory that others hold before it gives up, and its own goes to them.
const memoryWait = 30 * time.Second

// add appends what fits without going beyond limit bytes, and says how much that was.
func (c *chunks) add(ctx context.Context, s *Store, p []byte, limit int64) (int, error) {
	n := 0
	for len(p) > 0 && c.size < limit {
		if c.size == c.room {
			if err := c.grow(ctx, s, min(limit-c.size, int64(largestChunk), max(firstChunk, c.size))); err != nil {
				return n, err
			}
		}
		last := c.all[len(c.all)-1]
		m := copy((*last)[len(*last):cap(*last)], p[:min(int64(len(p)), c.room-c.size)])
		*last = (*last)[:len(*last)+m]
		c.crc = crc32.Update(c.crc, castagnoli, p[:m])
		c.size += int64(m)
		p, n = p[m:], n+m
	}
	return n, nil
}

func (c *chunks) grow(ctx context.Context, s *Store, n int64) error {
	takes := footprint(n)
	if !s.writeMem.TryAcquire(takes) {
		wait, cancel := context.WithTimeout(ctx, memoryWait)
		defer cancel()
		if err := s.writeMem.Acquire(wait, takes); err != nil {
			if ctx.Err() != nil {
				return errs.Wrap("object.grow", ctx.Err())
			}
			return errs.E(errs.Busy, "object.grow", errs.Code("store_unavailable"), comeBack, "no memory to be had")
		}
	}
	b := getBuffer(n)
	*b = (*b)[:0]
	c.all = append(c.all, b)
	c.room += n
	c.held += takes
	return nil
}

// release gives the memory back.
func (c *chunks) release(s *Store) {
	for _, b := range c.all {
		putBuffer(b)
	}
	s.writeMem.Release(c.held)
	*c = chunks{}
}

func (c *chunks) body() Body { return Body{Reader: c, Size: c.size, CRC32C: c.crc} }

// Read implements io.Reader.
func (c *chunks) Read(p []byte) (int, error) {
	if c.pos >= c.size {
		return 0, io.EOF
	}
	at := c.pos
	for _, b := range c.all {
		if at < int64(len(*b)) {
			n := copy(p, (*b)[at:])
			c.pos += int64(n)
			return n, nil
		}
		at -= int64(len(*b))
	}
	return 0, io.ErrUnexpectedEOF
}

// Seek implements io.Seeker, as far as it takes to send the bytes again.
func (c *chunks) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.pos
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return 0, errs.E(errs.Invalid, "object.Seek", "negative position")
	}
	c.pos = offset
	return offset, nil
}
