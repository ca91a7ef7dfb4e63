package object

import (
	"cmp"
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

const (
	// smallestPart of a multipart upload; S3 allows 5 MiB.
	smallestPart = 8 << 20
	// mostParts that an upload may have.
	mostParts = 10_000
	// largestBuffered is the largest part that is kept in memory until it has arrived, so that it can be sent again.
	largestBuffered = 16 << 20
	// partsAtOnce of one streamed upload.
	partsAtOnce = 4
)

// PartSize implements blob.Stager.
func (s *Store) PartSize(size int64) int64 {
	per := (size + mostParts - 1) / mostParts
	return max(smallestPart, blob.Blocks(per)*blob.BlockSize)
}

// partAfter is the size of part n, from 0 on, of a stream of unknown size: it doubles every thousand parts, so that
// 10,000 of them reach 8 TiB, and stays within the memory that there is. With the default of 256 MiB such a stream may have
// 1 TiB; one whose size is known goes through without memory and may have anything.
func (s *Store) partAfter(n int) int64 {
	return min(smallestPart<<(n/1000), s.writeMem.most/blob.BlockSize*blob.BlockSize)
}

// pending is a blob that comes as one stream. What makes one part at most is sent by Commit, in one request; the rest in
// parts while it comes.
type pending struct {
	s      *Store
	ctx    context.Context
	cancel context.CancelFunc
	size   int64 // -1: unknown

	written int64
	buf     chunks
	part    int64 // size of the one that buf or through takes
	number  int   // of parts that are whole

	session *session // nil: no part was sent yet
	sends   *errgroup.Group
	through *through
	done    bool
}

// Create implements blob.Store.
func (s *Store) Create(ctx context.Context, size int64) (blob.Pending, error) {
	p := &pending{s: s, size: size}
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.sends, p.ctx = errgroup.WithContext(p.ctx)
	p.sends.SetLimit(partsAtOnce)
	p.nextPart()
	return p, nil
}

func (p *pending) nextPart() {
	if p.size < 0 {
		p.part = p.s.partAfter(p.number)
		return
	}
	p.part = min(p.s.PartSize(p.size), p.size-p.written)
}

// Write implements io.Writer.
func (p *pending) Write(b []byte) (int, error) {
	const op = errs.Op("object.Write")
	if p.size >= 0 && p.written+int64(len(b)) > p.size {
		return 0, errs.E(errs.Invalid, op, errs.Code("size_mismatch"))
	}
	total := 0
	for len(b) > 0 {
		n, err := p.writePart(b)
		total += n
		p.written += int64(n)
		if err == nil && (p.buf.size == p.part || p.through != nil && p.through.left == 0) {
			err = p.endPart()
		}
		if err != nil {
			if p.ctx.Err() != nil {
				err = cmp.Or(p.sends.Wait(), err) // the part that failed says why
			}
			return total, errs.Wrap(op, err)
		}
		b = b[n:]
	}
	return total, nil
}

// writePart takes what belongs to the present part. What is too large for memory, or finds none, goes through; that
// takes knowing the part's size, so who said the blob's also keeps to it.
func (p *pending) writePart(b []byte) (int, error) {
	known := p.size >= 0 && !small(p.size)
	if p.through == nil && !(known && p.part > largestBuffered) {
		n, err := p.buf.add(p.ctx, p.s.writeMem, b, p.part, !known)
		if err == nil || n > 0 {
			return n, nil // the next call says again what was wrong
		}
		if !errors.Is(err, errNoMemory) {
			return 0, err
		}
	}
	if p.through == nil {
		if err := p.begin(); err != nil {
			return 0, err
		}
		p.through = p.session.sendThrough(p.ctx, p.number+1, p.part)
		_, err := io.Copy(p.through, &p.buf)
		p.buf.release(p.s.writeMem)
		if err != nil {
			return 0, err
		}
	}
	return p.through.Write(b)
}

// begin makes the upload.
func (p *pending) begin() (err error) {
	if p.session == nil {
		p.session, err = p.s.begin(p.ctx, newID(), p.size)
	}
	return err
}

// endPart sends the part, unless it is the first and may be the last: Commit sends that one.
func (p *pending) endPart() error {
	switch {
	case p.number >= mostParts:
		return errs.E(errs.TooLarge, "object.endPart")
	case p.through != nil:
		err := p.through.finish()
		p.through = nil
		if err != nil {
			return err
		}
	case p.number == 0 && p.written == p.size:
		return nil
	default:
		if err := p.begin(); err != nil {
			return err
		}
		if err := p.send(); err != nil {
			return err
		}
	}
	p.number++
	p.nextPart()
	return nil
}

// send begins to send what is in memory as the next part, and takes memory away from the writer for as long as
// enough are under way.
func (p *pending) send() error {
	buf, number := p.buf, p.number+1
	p.buf = chunks{}
	p.sends.Go(func() error {
		defer buf.release(p.s.writeMem)
		return p.s.bucket.PutPart(p.ctx, p.session.key(), p.session.upload, number, buf.body())
	})
	if p.ctx.Err() != nil {
		return p.sends.Wait() // says which part failed, and why
	}
	return nil
}

// Commit implements blob.Pending.
func (p *pending) Commit(ctx context.Context, size int64, sums []blob.Sum) error {
	const op = errs.Op("object.Commit")
	defer p.Abort()
	if p.written != size || p.through != nil || int64(len(sums)) != blob.Blocks(size) {
		return errs.E(errs.Internal, op, "not what was written")
	}
	ref := blob.Ref{Digest: blob.DigestOf(sums), Size: size}
	var err error
	switch {
	case small(size):
		err = p.s.putSmall(ctx, ref, p.buf.body())
	case p.session == nil:
		err = p.commitOne(ctx, ref, sums)
	default:
		err = p.commitParts(ctx, ref, sums)
	}
	if err == nil {
		p.session = nil // it is over, and there is nothing to abort
	}
	return errs.Wrap(op, err)
}

// commitOne makes a blob of the one part that is in memory.
func (p *pending) commitOne(ctx context.Context, ref blob.Ref, sums []blob.Sum) error {
	if is, err := p.s.reuse(ctx, ref, sums); is || err != nil {
		return err
	}
	data := newID()
	if err := p.s.bucket.Put(ctx, dataKey(data), p.buf.body()); err != nil {
		return err
	}
	return p.s.publish(ctx, ref, data, sums)
}

func (p *pending) commitParts(ctx context.Context, ref blob.Ref, sums []blob.Sum) error {
	if p.buf.size > 0 {
		if err := p.send(); err != nil {
			return err
		}
		p.number++
	}
	if err := p.sends.Wait(); err != nil {
		return err
	}
	parts, err := p.s.bucket.Parts(ctx, p.session.key(), p.session.upload)
	if err != nil {
		return err
	}
	var there int64
	for _, part := range parts {
		there += part.Size
	}
	if there != ref.Size || len(parts) != p.number {
		return errs.E(errs.Internal, "object.commitParts", "parts are missing")
	}
	return p.session.finish(ctx, ref, sums, parts)
}

// Abort implements blob.Pending. What cannot be removed now, Sweep removes.
func (p *pending) Abort() {
	if p.done {
		return
	}
	p.done = true
	p.cancel()
	if p.through != nil {
		p.through.abandon()
	}
	_ = p.sends.Wait() // the outcome no longer matters
	p.buf.release(p.s.writeMem)
	if p.session != nil {
		p.session.abandon(p.ctx)
	}
}

// through is a part on its way without being held in memory.
type through struct {
	in   *io.PipeWriter
	left int64
	done chan error
}

// sendThrough begins a part of n bytes that come by write.
func (ss *session) sendThrough(ctx context.Context, number int, n int64) *through {
	r, w := io.Pipe()
	t := &through{in: w, left: n, done: make(chan error, 1)}
	go func() {
		err := ss.s.bucket.PutPart(ctx, ss.key(), ss.upload, number, Body{Reader: r, Size: n})
		_ = r.CloseWithError(io.ErrClosedPipe) // documented never to fail
		t.done <- err
	}()
	return t
}

// Write implements io.Writer.
func (t *through) Write(b []byte) (int, error) {
	n, err := t.in.Write(b[:min(int64(len(b)), t.left)])
	t.left -= int64(n)
	if err != nil {
		if why := t.finish(); why != nil {
			err = why
		}
	}
	return n, err
}

// finish waits for the part to be there.
func (t *through) finish() error {
	_ = t.in.Close() // documented never to fail
	err := <-t.done
	t.done <- err
	return err
}

func (t *through) abandon() {
	_ = t.in.CloseWithError(context.Canceled) // documented never to fail
	_ = t.finish()                            // the outcome no longer matters
}
