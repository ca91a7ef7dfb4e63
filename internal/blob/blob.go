// Package blob stores the bytes of files, immutable and named by their digest. It holds the one place where
// bytes are hashed on their way in and checked on their way out; drivers below it only keep them.
package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// BlockSize is the unit of hashing, 4 MiB: every block of a blob but its last has this size.
const BlockSize = 4 << 20

// Digest names a blob: the SHA-256 of the concatenated SHA-256 sums of its blocks. Dropbox published the
// construction as content_hash. The digest of no bytes is the SHA-256 of nothing.
type Digest [sha256.Size]byte

// Sum is the SHA-256 of one block.
type Sum = [sha256.Size]byte

// String is the digest in lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads a digest in lower-case hex, and nothing else. Errors are errs.Invalid, code "bad_digest".
func ParseDigest(s string) (Digest, error) {
	var d Digest
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) || hex.EncodeToString(b) != s {
		return d, errs.E(errs.Invalid, "blob.ParseDigest", errs.Code("bad_digest"), errs.Field("digest"))
	}
	return Digest(b), nil
}

// DigestOf is the digest of a blob whose blocks have these sums.
func DigestOf(sums []Sum) Digest {
	h := sha256.New()
	for i := range sums {
		h.Write(sums[i][:])
	}
	return Digest(h.Sum(nil))
}

// Blocks is how many blocks a blob of size bytes has.
func Blocks(size int64) int64 { return (size + BlockSize - 1) / BlockSize }

// Ref is all that it takes to find a blob and to check it.
type Ref struct {
	Digest Digest
	// Size in bytes.
	Size int64
}

// Info is what a store knows of a blob without reading it.
type Info struct {
	Ref
	// PutAt is when the blob was last put, by the store's own clock.
	PutAt time.Time
}

// Reader reads a blob, from its start. A local one is an *os.File, so that the kernel can send it to a socket by
// itself; what is none counts as remote and is checked at every read. Read goes on where it stopped, in long runs, so
// a remote one does well to fetch ahead of it; ReadAt is for single ranges.
type Reader interface {
	io.ReadSeekCloser
	io.ReaderAt
}

// Bounded is a Reader that fetches ahead and can be told where its user means to stop.
type Bounded interface {
	// Until says that what lies from end on will hardly be read, so that it is not fetched ahead. It can be read all
	// the same. It is for who reads, at a time when nobody does.
	Until(end int64)
}

// Until tells a reader where its user means to stop, if it wants to know.
func Until(r Reader, end int64) {
	if b, ok := r.(Bounded); ok {
		b.Until(end)
	}
}

// Opener is what it takes to read blobs.
type Opener interface {
	// Open opens a blob and gives its block sums, which are its digest's preimage but unchecked. Where reads have to
	// wait, as for a network, they end with ctx.
	Open(ctx context.Context, ref Ref) (Reader, []Sum, error)
}

// InMemory gives a Reader of bytes that are already in memory and that nobody changes.
func InMemory(b []byte) Reader { return &inMemory{*bytes.NewReader(b), b} }

type inMemory struct {
	bytes.Reader
	all []byte
}

func (*inMemory) Close() error { return nil }

// Store keeps blobs. It trusts the digests that it is given: Write computes them, Verified checks them.
// All methods may be called at once, also by several processes on one store. Errors are errs.NotFound for a
// blob that is not there, errs.OverQuota when the disk is full, errs.Corrupt for something in a blob's place
// that is none, and otherwise errs.Busy or errs.Internal.
type Store interface {
	// Create starts a new blob. size is its size in bytes, or -1 when it is not known yet.
	Create(ctx context.Context, size int64) (Pending, error)
	Opener
	// Delete removes a blob if it was last put before a moment, and says whether it did. It and a
	// Pending.Commit of the same blob happen one after the other. A blob that is not there is no error.
	Delete(ctx context.Context, d Digest, putBefore time.Time) (bool, error)
	// List calls fn for everything in the store, in no order, until fn fails.
	List(ctx context.Context, fn func(Entry) error) error
	// Check tells whether the store can take and give blobs now.
	Check(ctx context.Context) error
}

// Entry is one thing that List found: a blob, or something that is not ours.
type Entry struct {
	Info
	// Foreign names what is in the store and is no blob; then Info is empty.
	Foreign string
}

// Pending is a blob on its way in, from its first byte to its last. Nobody else sees it before Commit.
type Pending interface {
	// Write appends a piece. One goroutine writes.
	io.Writer
	// Commit makes all that was written, which must be size bytes, the blob with these sums.
	// When it returns nil the blob is there and would survive a power cut. Putting a blob again
	// is a success. After an error nothing is left, and what was written is lost.
	Commit(ctx context.Context, size int64, sums []Sum) error
	// Abort drops what was written. After Commit it does nothing.
	Abort()
}
