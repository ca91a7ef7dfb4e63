package object

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"math/bits"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/livil/gopan/internal/errs"
)

// buffers that were used, by the power of two that holds them.
var buffers [48]sync.Pool

// class is the exponent of the power of two that holds n > 0.
func class(n int64) int { return bits.Len64(uint64(n - 1)) } //nolint:gosec // G115: n is the size of something

// footprint is what a buffer of n bytes takes, and what is acquired for it.
func footprint(n int64) int64 { return int64(1) << class(n) }

// getBuffer gives n bytes, n > 0, with anything in them.
func getBuffer(n int64) *[]byte {
	if b, ok := buffers[class(n)].Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, footprint(n))
	return &b
}

func putBuffer(b *[]byte) { buffers[class(int64(cap(*b)))].Put(b) }

// Bytes on their way in gather in chunks that grow, so that who sends slowly holds little memory.
const (
	firstChunk   = 64 << 10
	largestChunk = 1 << 20
)

// writeMemory is what writers share. Nobody waits for memory while others wait for theirs: what is not had at once in small
// steps is had in one step for the whole part, and a writer that has it needs no more to send the part and give it back.
type writeMemory struct {
	// steps is for the first largestChunk bytes of each part, parts for the rest.
	steps, parts *semaphore.Weighted
	// most that parts has.
	most int64
}

func newWriteMemory(n int64) writeMemory {
	return writeMemory{semaphore.NewWeighted(n / 4), semaphore.NewWeighted(n - n/4), n - n/4}
}

// errNoMemory says that there is none now.
var errNoMemory = errors.New("no memory to be had")

// memoryWait is how long a writer waits for memory that others hold before it gives up.
const memoryWait = time.Minute

// wait gets memory for what is left of a part.
func (m writeMemory) wait(ctx context.Context, n int64) error {
	soon, cancel := context.WithTimeout(ctx, memoryWait)
	defer cancel()
	if err := m.parts.Acquire(soon, n); err != nil {
		if ctx.Err() != nil {
			return errs.Wrap("object.wait", ctx.Err())
		}
		return unavailable("object.wait", errNoMemory)
	}
	return nil
}

// chunks are bytes in memory that can be read again. The zero value is empty.
type chunks struct {
	all  []*[]byte
	size int64
	crc  uint32
	// room in all, and what is held of the store's memory for it.
	room, steps, parts int64

	pos int64 // of Read
}

// add appends what fits without going beyond limit bytes, which is the same at each call, and says how much that was. It
// fails with errNoMemory, unless it may wait.
func (c *chunks) add(ctx context.Context, m writeMemory, p []byte, limit int64, wait bool) (int, error) {
	n := 0
	for len(p) > 0 && c.size < limit {
		if c.size == c.room {
			if err := c.grow(ctx, m, limit, wait); err != nil {
				return n, err
			}
		}
		last := c.all[len(c.all)-1]
		part := p[:min(int64(len(p)), c.room-c.size)]
		*last = append(*last, part...)
		c.crc = crc32.Update(c.crc, castagnoli, part)
		c.size += int64(len(part))
		p, n = p[len(part):], n+len(part)
	}
	return n, nil
}

// read takes up to limit bytes that r gives at once, of which there is room for one at least. They are read where they
// stay.
func (c *chunks) read(r io.Reader, limit int64) error {
	last := c.all[len(c.all)-1]
	at := len(*last)
	n, err := r.Read((*last)[at : int64(at)+min(c.room-c.size, limit)])
	*last = (*last)[:at+n]
	c.crc = crc32.Update(c.crc, castagnoli, (*last)[at:])
	c.size += int64(n)
	return err
}

func (c *chunks) grow(ctx context.Context, m writeMemory, limit int64, wait bool) error {
	n := min(limit-c.size, largestChunk, max(firstChunk, c.size))
	switch rest := (limit - c.size + largestChunk - 1) / largestChunk * largestChunk; {
	case c.parts > 0:
	case c.size < largestChunk && m.steps.TryAcquire(footprint(n)):
		c.steps += footprint(n)
	case m.parts.TryAcquire(rest):
		c.parts = rest
	case !wait:
		return errNoMemory
	default:
		if err := m.wait(ctx, rest); err != nil {
			return err
		}
		c.parts = rest
	}
	b := getBuffer(n)
	*b = (*b)[:0]
	c.all = append(c.all, b)
	c.room += n
	return nil
}

// release gives the memory back.
func (c *chunks) release(m writeMemory) {
	for _, b := range c.all {
		putBuffer(b)
	}
	m.steps.Release(c.steps)
	m.parts.Release(c.parts)
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
