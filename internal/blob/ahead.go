package blob

import (
	"io"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// While one block is sent, those after it are fetched and checked, so that the store, the processor and the network
// work at the same time. A reader holds one block; those read ahead come out of a Verifier's room for all readers,
// so that memory is 4 MiB for each reader and at most 64 MiB beyond.
const (
	// aheadDepth is how many blocks a reader reads ahead.
	aheadDepth = 2
	// aheadRoom is how many blocks are read ahead in all.
	aheadRoom = 16
	// aheadBelow is the time in which a block must have been taken for more to be read ahead: who is slower does not
	// gain from it and would keep room from those who do.
	aheadBelow = time.Second
)

// block is one block on its way from the source to who reads.
type block struct {
	index int64
	buf   []byte
	whole *[]byte // what buf is part of when it came from the pool
	// fetched is closed when the source may be read on, done when the block has been checked or has failed.
	fetched, done chan struct{}
	err           error
	room          chan struct{} // not nil: a token of it is held
}

func (r *verifyingReader) newBlock(i int64) *block {
	b := &block{index: i, fetched: make(chan struct{}), done: make(chan struct{})}
	if n := min(BlockSize, r.ref.Size-i*BlockSize); n <= minPiece {
		b.buf = make([]byte, n)
	} else {
		b.whole = blocks.Get().(*[]byte)
		b.buf = (*b.whole)[:n]
	}
	return b
}

// free gives back what a block holds. Nobody may be filling it.
func (b *block) free() {
	if b == nil {
		return
	}
	b.leaveRoom()
	if b.whole != nil {
		blocks.Put(b.whole)
		b.whole, b.buf = nil, nil
	}
}

func (b *block) leaveRoom() {
	if b.room != nil {
		<-b.room
		b.room = nil
	}
}

// load makes block i the one that is handed out.
func (r *verifyingReader) load(i int64) error {
	if r.now != nil && r.now.index == i {
		return nil
	}
	// The first block alone tells nothing: many read no more than a part of one.
	onward := r.now != nil && r.now.index == i-1 && time.Since(r.since) < aheadBelow
	r.now.free()
	r.now = nil
	var b *block
	if len(r.next) > 0 && r.next[0].index == i {
		b, r.next = r.next[0], r.next[1:]
		b.leaveRoom()
		r.readAhead(b, onward)
	} else {
		r.forget()
		b = r.newBlock(i)
		if onward && i+1 < r.stop(i) {
			go r.fill(b, nil)
			r.readAhead(b, true)
		} else {
			r.fill(b, nil)
		}
	}
	<-b.done
	if b.err != nil {
		b.free()
		return b.err
	}
	r.now, r.since = b, time.Now()
	return nil
}

// stop is the block at which who is at block i will stop.
func (r *verifyingReader) stop(i int64) int64 {
	if i < r.until {
		return r.until
	}
	return Blocks(r.ref.Size)
}

// readAhead begins with the blocks after b that are not begun yet, as far as there is room.
func (r *verifyingReader) readAhead(b *block, onward bool) {
	for n := len(r.next); onward && n < aheadDepth && b.index+int64(n)+1 < r.stop(b.index); n++ {
		select {
		case r.room <- struct{}{}:
		default:
			return
		}
		last := b
		if n > 0 {
			last = r.next[n-1]
		}
		more := r.newBlock(last.index + 1)
		more.room = r.room
		r.next = append(r.next, more)
		go r.fill(more, last.fetched)
	}
}

// forget drops what was read ahead, when that is over.
func (r *verifyingReader) forget() {
	for _, b := range r.next {
		<-b.done
		b.free()
	}
	r.next = nil
}

// fill fetches a block, once the one before it is fetched, and checks it.
func (r *verifyingReader) fill(b *block, after <-chan struct{}) {
	const op = errs.Op("blob.Read")
	defer close(b.done)
	if after != nil {
		<-after
	}
	err := r.fetch(b)
	close(b.fetched)
	switch {
	case errs.Is(errs.Busy, err) || errs.Is(errs.Canceled, err):
		b.err = errs.Wrap(op, err)
	case err != nil:
		b.err = errs.E(errs.Corrupt, op, errs.Code("content_unavailable"), err)
	case !r.good(b):
		b.err = errs.E(errs.Corrupt, op, errs.Code("content_unavailable"), "a block is not what its sum says")
	}
}

// fetch reads a block from the source, which it first moves there if it stands elsewhere.
func (r *verifyingReader) fetch(b *block) error {
	off := b.index * BlockSize
	if r.srcPos != off {
		if _, err := r.src.Seek(off, io.SeekStart); err != nil {
			return err
		}
	}
	n, err := io.ReadFull(r.src, b.buf)
	r.srcPos = off + int64(n)
	return err
}
