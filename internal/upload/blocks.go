package upload

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"io"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/faultpoint"
)

// sent is a request with blocks.
type sent struct {
	// first block, and how many.
	first, count int64
	// digest is the SHA-256 of the body, if the request says it.
	digest *blob.Sum
	body   io.Reader
	// open: the request does not say where the body ends.
	open bool
}

// sizeOf is the size of a block in bytes.
func (u *session) sizeOf(n int64) int64 { return min(blob.BlockSize, u.Size-n*blob.BlockSize) }

// putBlocks stores blocks of an upload. Each is in memory, checked, and its sum fixed, before a byte of it is written.
// What was stored of the blocks before one that fails stays.
func (s *Service) putBlocks(ctx context.Context, u *session, b sent) error {
	const op = errs.Op("upload.putBlocks")
	v, err := s.blocks(ctx, u, b.first, b.count)
	if err != nil {
		return errs.Wrap(op, err)
	}
	st, store, err := s.staged(ctx, u)
	if err != nil {
		return errs.Wrap(op, err)
	}
	in := &incoming{
		Service: s, ctx: ctx, u: u, view: v, body: &bodyReader{r: b.body}, hold: s.Memory.hold(u.Owner), epoch: st.Epoch(),
		open: b.open,
	}
	defer in.drop()
	if b.count == 1 {
		in.digest = b.digest
	} else if b.digest != nil && !u.Announced {
		// Nothing but the sum of the whole can tell that a block is right, so all of them wait for it.
		if err := in.readAll(b); err != nil {
			return errs.Wrap(op, err)
		}
	}
	part := store.PartSize(u.Size)
	end := min((b.first+b.count)*blob.BlockSize, u.Size)
	for off := b.first * blob.BlockSize; off < end; {
		n := min((off/part+1)*part, end) - off
		if err := in.write(st, off, n); err != nil {
			return errs.Wrap(op, err)
		}
		off += n
	}
	return errs.Wrap(op, s.touch(ctx, u))
}

// incoming is a body on its way from the connection into the store. It is an io.Reader of what has been checked.
type incoming struct {
	*Service
	ctx    context.Context // of the request that it is part of
	u      *session
	view   *view
	body   *bodyReader
	hold   *hold
	epoch  string
	digest *blob.Sum // of a body of one block
	open   bool

	// ahead are blocks that were read before the first was written.
	ahead []checked
	// now is what Read gives, block next-1, up to block end.
	now       pieces
	next, end int64
	sums      []blob.Sum // of the blocks that Read has begun to give
	err       error
}

// checked is a block in memory and its sum.
type checked struct {
	pieces
	sum blob.Sum
}

// block reads the next block of the body, and checks it against what was announced.
func (in *incoming) block(n int64, also ...hash.Hash) (checked, error) {
	const op = errs.Op("upload.block")
	c, h := checked{pieces: pieces{hold: in.hold}}, sha256.New()
	err := c.fill(in.ctx, in.body, in.u.sizeOf(n), append(also, h)...)
	if err != nil {
		c.drop()
		switch {
		case in.body.err != nil:
			err = errs.E(errs.Invalid, op, errs.Code("body_interrupted"), err)
		case errors.Is(err, io.ErrUnexpectedEOF):
			err = errs.E(errs.Invalid, op, errs.Code("bad_block"), err)
		}
		return c, errs.Wrap(op, err)
	}
	if in.open {
		if _, err := io.ReadFull(in.body, make([]byte, 1)); err != io.EOF {
			c.drop()
			return c, errs.E(errs.Invalid, op, errs.Code("bad_block"), err)
		}
	}
	c.sum = blob.Sum(h.Sum(nil))
	wrong := in.digest != nil && c.sum != *in.digest
	if in.view.plan != nil {
		wrong = wrong || c.sum != in.view.plan[n-in.view.first].sum
	}
	if wrong {
		c.drop()
		return c, errs.E(errs.Invalid, op, errs.Code("block_mismatch"))
	}
	return c, nil
}

// readAll reads the whole body and checks it against its digest.
func (in *incoming) readAll(b sent) error {
	whole := sha256.New()
	for n := range b.count {
		c, err := in.block(b.first+n, whole)
		if err != nil {
			return err
		}
		in.ahead = append(in.ahead, c)
	}
	if subtle.ConstantTimeCompare(whole.Sum(nil), b.digest[:]) == 0 {
		return errs.E(errs.Invalid, "upload.readAll", errs.Code("block_mismatch"))
	}
	return nil
}

// write stores n bytes at an offset, blocks of one part, in one go.
func (in *incoming) write(st blob.Staged, off, n int64) error {
	first := off / blob.BlockSize
	in.next, in.end, in.sums, in.err = first, first+blob.Blocks(n), nil, nil
	if in.have() {
		_, err := io.Copy(io.Discard, in)
		return err
	}
	if err := st.Write(in.ctx, off, n, in); err != nil {
		in.now.drop()
		if in.err != nil && in.err != io.EOF {
			return in.err
		}
		return err
	}
	faultpoint.Hit("upload.block.written")
	for i, sum := range in.sums {
		if err := in.arrived(in.ctx, in.u, first+int64(i), sum, in.epoch); err != nil {
			return err
		}
	}
	faultpoint.Hit("upload.block.noted")
	return nil
}

// have tells whether the store has all blocks of this write for sure; then the body is held against their sums, and
// not written again.
func (in *incoming) have() bool {
	for n := in.next; n < in.end; n++ {
		if r := in.view.record(n); r.state != done || r.epoch != in.epoch {
			return false
		}
	}
	return true
}

// advance makes the next block the one that is given out.
func (in *incoming) advance() error {
	in.now.drop()
	if in.next == in.end {
		return io.EOF
	}
	var c checked
	var err error
	if len(in.ahead) > 0 {
		c, in.ahead = in.ahead[0], in.ahead[1:]
	} else if c, err = in.block(in.next); err != nil {
		return err
	}
	in.now = c.pieces
	if in.view.plan == nil {
		if err := in.fix(in.ctx, in.u, in.next, c.sum); err != nil {
			return err
		}
	}
	in.sums = append(in.sums, c.sum)
	in.next++
	return nil
}

// Read implements io.Reader.
func (in *incoming) Read(p []byte) (int, error) {
	for in.err == nil {
		if n, err := in.now.Read(p); err == nil {
			return n, nil
		}
		in.err = in.advance()
	}
	return 0, in.err
}

// drop gives all memory back.
func (in *incoming) drop() {
	in.now.drop()
	for i := range in.ahead {
		in.ahead[i].drop()
	}
}

// admit lets a user send something, as long as there is a slot and they do not have too many. It gives what to call
// when that is over.
func (s *Service) admit(user int64) (release func(), err error) {
	const op = errs.Op("upload.admit")
	s.mu.Lock()
	defer s.mu.Unlock()
	if most := s.tuning().UserUploads; most > 0 && s.sending[user] >= most {
		return nil, errs.E(errs.TooMany, op, time.Second)
	}
	if s.Slots != nil {
		select {
		case s.Slots <- struct{}{}:
		default:
			return nil, errs.E(errs.Busy, op, time.Second, "all upload slots are taken")
		}
	}
	if s.sending == nil {
		s.sending = make(map[int64]int)
	}
	s.sending[user]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.sending[user]--; s.sending[user] == 0 {
			delete(s.sending, user)
		}
		if s.Slots != nil {
			<-s.Slots
		}
	}, nil
}
