package upload

import (
	"context"
	"hash"
	"io"
	"math/bits"
	"sync"

	"github.com/livil/gopan/internal/blob"
)

const (
	// firstPiece is how much memory a block's first piece takes, in bytes; every later one takes as much as is here
	// already. So a sender of few bytes holds little memory, and a block of 4 MiB is eight pieces.
	firstPiece = 32 << 10
	// leastPiece is for what is smaller than a first piece.
	leastPiece = 4 << 10
)

// piecePools hold pieces of leastPiece, twice that, and so on to half a block.
var piecePools [10]sync.Pool

// pieceSize is how large the piece after has bytes is, when more are to come.
func pieceSize(has, more int64) int {
	size := int(min(max(has, firstPiece), blob.BlockSize/2))
	for size > leastPiece && int64(size/2) >= more {
		size /= 2
	}
	return size
}

func poolOf(size int) *sync.Pool { return &piecePools[bits.Len(uint(size/leastPiece))-1] }

// pieces are bytes in memory, read once into it and then out of it.
type pieces struct {
	hold *hold
	bufs [][]byte // each of its piece's size, but for the length of the last
	size int64
	read struct{ buf, at int }
}

// fill takes up to n bytes of r into memory, and shows them to h. It gives io.ErrUnexpectedEOF when r ends before.
func (p *pieces) fill(ctx context.Context, r io.Reader, n int64, h ...hash.Hash) error {
	for n > 0 {
		size := pieceSize(p.size, n)
		if err := p.hold.take(ctx, int64(size)); err != nil {
			return err
		}
		buf, _ := poolOf(size).Get().(*[]byte)
		if buf == nil {
			b := make([]byte, size)
			buf = &b
		}
		m, err := io.ReadFull(r, (*buf)[:min(int64(size), n)])
		p.bufs = append(p.bufs, (*buf)[:m])
		p.size += int64(m)
		n -= int64(m)
		for _, h := range h {
			h.Write((*buf)[:m])
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Read implements io.Reader, from the first byte on.
func (p *pieces) Read(b []byte) (n int, err error) {
	for n < len(b) && p.read.buf < len(p.bufs) {
		m := copy(b[n:], p.bufs[p.read.buf][p.read.at:])
		n += m
		if p.read.at += m; p.read.at == len(p.bufs[p.read.buf]) {
			p.read.buf, p.read.at = p.read.buf+1, 0
		}
	}
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// drop gives the memory back.
func (p *pieces) drop() {
	var total int64
	for _, b := range p.bufs {
		b = b[:cap(b)]
		poolOf(len(b)).Put(&b)
		total += int64(len(b))
	}
	p.bufs, p.size, p.read.buf, p.read.at = nil, 0, 0, 0
	if total > 0 {
		p.hold.drop(total)
	}
}
