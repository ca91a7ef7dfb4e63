package blob

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"sync"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// Want is what the sender promised; Write refuses other bytes with errs.Corrupt or errs.Invalid, and leaves
// nothing behind.
type Want struct {
	// Size in bytes; -1: any.
	Size int64
	// Digest; the zero Digest: any.
	Digest Digest
	// Hashes see the bytes in order, for those who also want a sum of the whole. They cost speed: they run
	// one after the other.
	Hashes []hash.Hash
	// Limit is the most bytes to take, beyond which Write fails with errs.OverQuota; -1: any number.
	Limit int64
	// Check is called with the block sums when all bytes have arrived, and before they are kept.
	Check func(sums []Sum) error
}

// Bytes move in pieces: read into one, written from it, and hashed while the next is read. A piece is small as
// long as the sender is slow, so that many slow senders need little memory, and grows with its speed.
const (
	minPiece = 32 << 10
	maxPiece = 512 << 10
	// pieces that wait to be hashed; with the one being read and the one being hashed, a fast sender
	// holds four of maxPiece.
	waiting = 2
)

// pools of pieces: of minPiece, twice that, and so on to maxPiece.
var pools [5]sync.Pool

// getPiece gives a buffer of minPiece << class bytes.
func getPiece(class int) *[]byte {
	if b, ok := pools[class].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, minPiece<<class)
	return &b
}

func putPiece(class int, b *[]byte) { pools[class].Put(b) }

// nextClass picks the size of the next piece by how long the last one took to fill.
func nextClass(class int, took time.Duration) int {
	switch {
	case took < 20*time.Millisecond:
		return min(class+1, len(pools)-1)
	case took > 500*time.Millisecond:
		return max(class-1, 0)
	}
	return class
}

// Write stores all that r yields as a blob and returns its reference once it would survive a power cut.
// Hashing runs beside reading and writing, on a core of its own where there is one, and a few pieces at most are
// in memory, whatever the size. A reader that fails, or yields other bytes than want says, leaves nothing behind;
// an error of the reader comes back as it was.
func Write(ctx context.Context, s Store, r io.Reader, want Want) (Ref, error) {
	const op = errs.Op("blob.Write")
	if want.Limit >= 0 && want.Size > want.Limit {
		return Ref{}, errs.E(errs.OverQuota, op)
	}
	p, err := s.Create(ctx, want.Size)
	if err != nil {
		return Ref{}, errs.Wrap(op, err)
	}
	defer p.Abort()

	size, sums, err := writeBlocks(ctx, p, r, want)
	if err != nil {
		return Ref{}, err
	}
	ref := Ref{Digest: DigestOf(sums), Size: size}
	switch {
	case want.Size >= 0 && size != want.Size:
		return Ref{}, errs.E(errs.Invalid, op, errs.Code("size_mismatch"))
	case want.Digest != Digest{} && ref.Digest != want.Digest:
		return Ref{}, errs.E(errs.Invalid, op, errs.Code("digest_mismatch"))
	}
	if want.Check != nil {
		if err := want.Check(sums); err != nil {
			return Ref{}, err
		}
	}
	if err := p.Commit(ctx, size, sums); err != nil {
		return Ref{}, errs.Wrap(op, err)
	}
	return ref, nil
}

// piece is a part of one block on its way to the hasher.
type piece struct {
	buf   *[]byte
	class int
	n     int
	// last tells that the block ends with it.
	last bool
}

// hasher sums blocks, piece by piece, beside the goroutine that reads and writes them.
type hasher struct {
	in   chan piece // nil once closed
	done chan struct{}
	sums []Sum
	also []hash.Hash
}

func newHasher(also []hash.Hash) *hasher {
	h := &hasher{in: make(chan piece, waiting), done: make(chan struct{}), also: also}
	go h.run(h.in)
	return h
}

func (h *hasher) run(in <-chan piece) {
	defer close(h.done)
	block := sha256.New()
	open := false
	for p := range in {
		b := (*p.buf)[:p.n]
		block.Write(b)
		for _, a := range h.also {
			a.Write(b)
		}
		putPiece(p.class, p.buf)
		if open = !p.last; p.last {
			h.sums = append(h.sums, Sum(block.Sum(nil)))
			block.Reset()
		}
	}
	if open {
		h.sums = append(h.sums, Sum(block.Sum(nil)))
	}
}

// finish gives the sums of all blocks. It may be called again.
func (h *hasher) finish() []Sum {
	if h.in != nil {
		close(h.in)
		h.in = nil
	}
	<-h.done
	return h.sums
}

// writeBlocks moves r into p and gives the size and the block sums of what it moved.
func writeBlocks(ctx context.Context, p Pending, r io.Reader, want Want) (int64, []Sum, error) {
	const op = errs.Op("blob.Write")
	if want.Size >= 0 && want.Size <= minPiece {
		return writeSmall(p, r, want)
	}
	h := newHasher(want.Hashes)
	defer h.finish()
	var size int64
	class := 0
	for {
		if err := ctx.Err(); err != nil {
			return 0, nil, errs.Wrap(op, err)
		}
		buf := getPiece(class)
		room := min(int64(len(*buf)), BlockSize-size%BlockSize)
		start := time.Now()
		n, rerr := io.ReadFull(r, (*buf)[:room])
		pc := piece{buf, class, n, (size+int64(n))%BlockSize == 0}
		if n == len(*buf) {
			class = nextClass(class, time.Since(start))
		}
		var werr error
		if n > 0 {
			_, werr = p.Write((*buf)[:n])
		}
		size += int64(n)
		if n == 0 || werr != nil {
			putPiece(pc.class, buf)
		} else {
			h.in <- pc
		}
		switch {
		case want.Limit >= 0 && size > want.Limit:
			return 0, nil, errs.E(errs.OverQuota, op)
		case werr != nil:
			return 0, nil, errs.Wrap(op, werr)
		case rerr == io.EOF || rerr == io.ErrUnexpectedEOF:
			return size, h.finish(), nil
		case rerr != nil:
			return 0, nil, rerr
		}
	}
}

// writeSmall is writeBlocks in this goroutine alone, for a body of at most minPiece bytes by its own account.
func writeSmall(p Pending, r io.Reader, want Want) (int64, []Sum, error) {
	buf := getPiece(0)
	defer putPiece(0, buf)
	n, err := io.ReadFull(r, (*buf)[:want.Size])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return 0, nil, err
	}
	if err == nil {
		// The body must end where it said; a byte more is a mismatch like a byte less.
		var one [1]byte
		m, err := io.ReadFull(r, one[:])
		if m > 0 {
			return want.Size + 1, nil, nil
		}
		if err != io.EOF {
			return 0, nil, err
		}
	}
	if n == 0 {
		return 0, nil, nil
	}
	block := (*buf)[:n]
	for _, h := range want.Hashes {
		h.Write(block)
	}
	if _, err := p.Write(block); err != nil {
		return 0, nil, errs.Wrap("blob.Write", err)
	}
	return int64(n), []Sum{sha256.Sum256(block)}, nil
}
