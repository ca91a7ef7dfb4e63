package blob

import (
	"context"
	"crypto/sha256"
	"io"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/livil/gopan/internal/errs"
)

// Verifier opens blobs and sees to it that no byte leaves that its sum does not vouch for (promise D6). A block
// is checked when this process first reads it; a blob whose blocks were all checked is given out as the store's
// own reader, which the kernel can send by itself.
type Verifier struct {
	// Store is where blobs are opened: one, or all of them.
	Store Opener
	// Always checks every block at every read.
	Always bool

	once sync.Once
	seen *lru.Cache[Digest, *checked]
}

// blocks are buffers for whole blocks.
var blocks = sync.Pool{New: func() any { b := make([]byte, BlockSize); return &b }}

// remember is how many blobs' checked blocks a Verifier keeps in mind; an entry is about 200 bytes and a bit
// for each block.
const remember = 1 << 16

// checked says which blocks of a blob have been found good.
type checked struct {
	mu   sync.Mutex
	good []uint64
	left int64
}

// Open opens a blob for reading. Reads of a block that is not what its sum says fail with errs.Corrupt, and so
// does Open when the store's block sums do not make up the digest. A blob that is missing, or is not a blob, is
// errs.Corrupt too: something refers to it, so it should be there.
func (v *Verifier) Open(ctx context.Context, ref Ref) (Reader, error) {
	const op = errs.Op("blob.Verifier.Open")
	v.once.Do(func() { v.seen, _ = lru.New[Digest, *checked](remember) }) // fails for a size below 1 only
	r, sums, err := v.Store.Open(ctx, ref)
	if errs.Is(errs.NotFound, err) {
		return nil, errs.E(errs.Corrupt, op, errs.Code("content_unavailable"), err)
	}
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	n := Blocks(ref.Size)
	if n > 1 && (int64(len(sums)) != n || DigestOf(sums) != ref.Digest) {
		return nil, closeWith(r, errs.E(errs.Corrupt, op, errs.Code("content_unavailable"), "block sums"))
	}
	c, ok := v.seen.Get(ref.Digest)
	if !ok {
		c = &checked{good: make([]uint64, (n+63)/64), left: n}
		v.seen.Add(ref.Digest, c)
	}
	c.mu.Lock()
	left := c.left
	c.mu.Unlock()
	if left == 0 && !v.Always {
		return r, nil
	}
	return &verifyingReader{Reader: r, ref: ref, sums: sums, checked: c, always: v.Always, block: -1}, nil
}

func closeWith(c io.Closer, err error) error {
	_ = c.Close() // err says why; the reader was not used
	return err
}

// verifyingReader reads whole blocks and checks them before it hands out a byte.
type verifyingReader struct {
	Reader
	ref     Ref
	sums    []Sum
	checked *checked
	always  bool

	pos   int64
	block int64 // in buf; -1: none
	buf   []byte
	whole *[]byte // what buf is part of when it came from the pool
}

// Close gives the buffer back, too.
func (r *verifyingReader) Close() error {
	if r.whole != nil {
		blocks.Put(r.whole)
		r.whole, r.buf, r.block = nil, nil, -1
	}
	return r.Reader.Close()
}

// load reads block i into buf and checks it.
func (r *verifyingReader) load(i int64) error {
	const op = errs.Op("blob.Read")
	if r.block == i {
		return nil
	}
	n := min(BlockSize, r.ref.Size-i*BlockSize)
	switch {
	case int64(cap(r.buf)) >= n:
	case n <= minPiece:
		r.buf = make([]byte, n)
	default:
		r.whole = blocks.Get().(*[]byte)
		r.buf = *r.whole
	}
	r.buf, r.block = r.buf[:n], -1
	if _, err := r.Reader.ReadAt(r.buf, i*BlockSize); err != nil && err != io.EOF {
		return errs.E(errs.Corrupt, op, errs.Code("content_unavailable"), err)
	}
	sum := sha256.Sum256(r.buf)
	good := false
	if r.ref.Size <= BlockSize {
		good = DigestOf([]Sum{sum}) == r.ref.Digest
	} else {
		good = sum == r.sums[i]
	}
	if !good {
		return errs.E(errs.Corrupt, op, errs.Code("content_unavailable"), "a block is not what its sum says")
	}
	r.block = i
	c := r.checked
	c.mu.Lock()
	defer c.mu.Unlock()
	if bit := uint64(1) << (i % 64); c.good[i/64]&bit == 0 {
		c.good[i/64] |= bit
		c.left--
	}
	return nil
}

// Read implements io.Reader.
func (r *verifyingReader) Read(p []byte) (int, error) {
	n, err := r.readAt(p, r.pos)
	r.pos += int64(n)
	return n, err
}

// ReadAt implements io.ReaderAt, but for one caller at a time.
func (r *verifyingReader) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.readAt(p[n:], off+int64(n))
		n += m
	}
	return n, err
}

// readAt gives at most what is left of one block.
func (r *verifyingReader) readAt(p []byte, off int64) (int, error) {
	if off >= r.ref.Size {
		return 0, io.EOF
	}
	if err := r.load(off / BlockSize); err != nil {
		return 0, err
	}
	return copy(p, r.buf[off%BlockSize:]), nil
}

// Seek implements io.Seeker.
func (r *verifyingReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.ref.Size
	}
	if offset < 0 {
		return 0, errs.E(errs.Invalid, "blob.Seek", "negative position")
	}
	r.pos = offset
	return offset, nil
}
