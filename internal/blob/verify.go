package blob

import (
	"context"
	"crypto/sha256"
	"hash/maphash"
	"io"
	"os"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/livil/gopan/internal/errs"
)

// Verifier opens blobs and sees to it that no byte leaves that its sum does not vouch for (promise D6). A block of a
// local file is checked when this process first reads it; a blob whose blocks were all checked is given out as the
// store's own *os.File, which the kernel can send by itself. What comes from elsewhere is checked at every read: against
// its sum at the first, later against a hash that was taken of it then, with a key that this process alone knows and in a
// tenth of the time (docs/decisions/0024-remote-blocks-by-a-keyed-hash.md). What is small is checked against its sum at every read:
// that takes microseconds, and remembering it would make a Verifier forget large files.
type Verifier struct {
	// Store is where blobs are opened: one, or all of them.
	Store Opener
	// Always checks every block against its sum at every read.
	Always bool

	once sync.Once
	seen *lru.Cache[Digest, *checked]
	room chan struct{} // a token for each block that is read ahead
}

// blocks are buffers for whole blocks.
var blocks = sync.Pool{New: func() any { b := make([]byte, BlockSize); return &b }}

// forgettable is the size in bytes up to which a blob is small.
const forgettable = 64 << 10

// remember is how many blobs' checked blocks a Verifier keeps in mind; an entry is about 200 bytes, and a bit for each
// block of a local one or 8 bytes for each of one from elsewhere.
const remember = 1 << 16

// checked says which blocks of a blob have been found good.
type checked struct {
	mu   sync.Mutex
	good []uint64
	left int64
	// hashes of those blocks, of a blob that is not local.
	hashes []uint64
}

// hashKey is what hashes of blocks are keyed with. A store that does not know it cannot make other bytes that fit.
var hashKey = maphash.MakeSeed()

// Open opens a blob for reading. Reads of a block that is not what its sum says fail with errs.Corrupt, and so
// does Open when the store's block sums do not make up the digest. A blob that is missing, or is not a blob, is
// errs.Corrupt too: something refers to it, so it should be there. Reads end with ctx where they have to wait.
func (v *Verifier) Open(ctx context.Context, ref Ref) (Reader, error) {
	const op = errs.Op("blob.Verifier.Open")
	v.once.Do(func() {
		v.seen, _ = lru.New[Digest, *checked](remember) // fails for a size below 1 only
		v.room = make(chan struct{}, aheadRoom)
	})
	ctx, cancel := context.WithCancel(ctx)
	src, sums, err := v.Store.Open(ctx, ref)
	if err != nil {
		cancel()
		if errs.Is(errs.NotFound, err) {
			return nil, errs.E(errs.Corrupt, op, errs.Code("content_unavailable"), err)
		}
		return nil, errs.Wrap(op, err)
	}
	if m, ok := src.(*inMemory); ok && ref.Size <= forgettable {
		cancel()
		if DigestOf(sumOf(m.all)) != ref.Digest {
			return nil, closeWith(src, errs.E(errs.Corrupt, op, errs.Code("content_unavailable"), "not what its digest says"))
		}
		return src, nil
	}
	r := &verifyingReader{src: src, ref: ref, sums: sums, until: Blocks(ref.Size), room: v.room, cancel: cancel}
	n := Blocks(ref.Size)
	if n > 1 && (int64(len(sums)) != n || DigestOf(sums) != ref.Digest) {
		return nil, closeWith(r, errs.E(errs.Corrupt, op, errs.Code("content_unavailable"), "block sums"))
	}
	if v.Always {
		return r, nil
	}
	_, local := src.(*os.File)
	c, ok := v.seen.Get(ref.Digest)
	if ok && local == (c.hashes != nil) {
		ok = false // it has moved between stores
	}
	if !ok {
		c = &checked{good: make([]uint64, (n+63)/64), left: n}
		if !local {
			c.hashes = make([]uint64, n)
		}
		if ref.Size > forgettable {
			v.seen.Add(ref.Digest, c)
		}
	}
	if local && c.whole() {
		cancel() // a file's reads do not wait
		return src, nil
	}
	r.checked = c
	return r, nil
}

// sumOf gives the block sums of at most one block.
func sumOf(b []byte) []Sum {
	if len(b) == 0 {
		return nil
	}
	return []Sum{sha256.Sum256(b)}
}

func closeWith(c io.Closer, err error) error {
	_ = c.Close() // err says why; the reader was not used
	return err
}

// whole tells whether all blocks have been found good.
func (c *checked) whole() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left == 0
}

// hash gives the hash of block i if that has been found good.
func (c *checked) hash(i int64) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hashes == nil || c.good[i/64]&(1<<(i%64)) == 0 {
		return 0, false
	}
	return c.hashes[i], true
}

// found notes that block i is good, with the bytes that it has.
func (c *checked) found(i int64, b []byte) {
	var hash uint64
	if c.hashes != nil {
		hash = maphash.Bytes(hashKey, b)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hashes != nil {
		c.hashes[i] = hash
	}
	if bit := uint64(1) << (i % 64); c.good[i/64]&bit == 0 {
		c.good[i/64] |= bit
		c.left--
	}
}

// verifyingReader reads whole blocks and checks them before it hands out a byte. It reads its source in one
// direction as long as it is read so itself, each byte once.
type verifyingReader struct {
	src     Reader
	srcPos  int64 // where src stands; the block that is being fetched owns it
	ref     Ref
	sums    []Sum
	until   int64    // the block at which reading will stop
	checked *checked // nil: nobody wants to know
	cancel  context.CancelFunc
	room    chan struct{}

	pos   int64
	now   *block    // is handed out; nil: none
	since time.Time // that now has been handed out
	next  []*block  // those after now that are read ahead
}

// Close ends what is read ahead and gives the buffers back, too.
func (r *verifyingReader) Close() error {
	r.cancel()
	r.forget()
	r.now.free()
	r.now = nil
	return r.src.Close()
}

// good holds a block against its sum, or against the hash of what was held against that before.
func (r *verifyingReader) good(b *block) bool {
	if r.checked != nil {
		if known, ok := r.checked.hash(b.index); ok {
			return maphash.Bytes(hashKey, b.buf) == known
		}
	}
	sum, good := sha256.Sum256(b.buf), false
	if r.ref.Size <= BlockSize {
		good = DigestOf([]Sum{sum}) == r.ref.Digest
	} else {
		good = sum == r.sums[b.index]
	}
	if good && r.checked != nil {
		r.checked.found(b.index, b.buf)
	}
	return good
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
	return copy(p, r.now.buf[off%BlockSize:]), nil
}

// Until implements Bounded. Blocks are read whole.
func (r *verifyingReader) Until(end int64) {
	r.until = Blocks(min(max(end, 0), r.ref.Size))
	Until(r.src, min(r.until*BlockSize, r.ref.Size))
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
