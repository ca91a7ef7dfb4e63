package object

import (
	"context"
	"errors"
	"io"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// staged is a session that takes ranges. A range that is a part goes straight into the upload; single blocks wait as
// objects of their own until their part is whole.
type staged struct {
	*session
	size, part int64
}

// Stage implements blob.Stager.
func (s *Store) Stage(ctx context.Context, size int64) (string, error) {
	ss, err := s.begin(ctx, newID(), size)
	if err != nil {
		return "", errs.Wrap("object.Stage", err)
	}
	return ss.name(), nil
}

// Staged implements blob.Stager.
func (s *Store) Staged(_ context.Context, name string, size int64) (blob.Staged, error) {
	ss, ok := s.parseSession(name, size)
	if !ok || size < 0 {
		return nil, errs.E(errs.NotFound, "object.Staged")
	}
	return staged{ss, size, s.PartSize(size)}, nil
}

// Epoch implements blob.Staged: what the store has acknowledged it keeps.
func (staged) Epoch() string { return "" }

// partAt is the size of part i, from 0 on.
func (st staged) partAt(i int64) int64 { return min(st.part, st.size-i*st.part) }

// Write implements blob.Staged.
func (st staged) Write(ctx context.Context, off, n int64, r io.Reader) error {
	const op = errs.Op("object.Staged.Write")
	end := off + n
	if off < 0 || n < 0 || end > st.size || off%blob.BlockSize != 0 || end%blob.BlockSize != 0 && end != st.size {
		return errs.E(errs.Invalid, op, "not whole blocks")
	}
	if st.upload == "" || n < st.partAt(off/st.part) {
		// The store would take blocks for a session that is over.
		if err := st.there(ctx); err != nil {
			return errs.Wrap(op, err)
		}
	}
	from := &source{r: r}
	for off < end {
		i := off / st.part
		var err error
		var took int64
		if whole := st.partAt(i); st.upload != "" && off == i*st.part && end-off >= whole {
			took, err = whole, st.sendPart(ctx, i, whole, from)
		} else {
			took = min(blob.BlockSize, end-off)
			err = st.putBlock(ctx, i, off%st.part/blob.BlockSize, took, from)
		}
		if from.err != nil {
			return from.err
		}
		if err != nil {
			return errs.Wrap(op, err)
		}
		off += took
	}
	return nil
}

// source remembers that its reader failed, which is not the store's failure.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// gather reads n bytes into memory, or as many as there is memory for.
func (s *source) gather(ctx context.Context, m writeMemory, n int64, wait bool) (c chunks, err error) {
	for c.size < n {
		if c.size == c.room {
			if err := c.grow(ctx, m, n, wait); err != nil {
				return c, err
			}
		}
		if err := c.read(s, n-c.size); err == io.EOF && c.size < n {
			s.err = io.ErrUnexpectedEOF
		}
		if s.err != nil {
			return c, s.err
		}
	}
	return c, nil
}

// sendPart sends a whole part. One that is not large is kept in memory meanwhile, if there is any, so that it can be
// sent again; others stream through, and their sender sends them again when the store failed.
func (st staged) sendPart(ctx context.Context, i, n int64, from *source) error {
	var c chunks
	defer func() { c.release(st.s.writeMem) }()
	if n <= largestBuffered {
		var err error
		if c, err = from.gather(ctx, st.s.writeMem, n, false); err == nil {
			return st.s.bucket.PutPart(ctx, st.key(), st.upload, int(i)+1, c.body())
		} else if !errors.Is(err, errNoMemory) {
			return err
		}
	}
	rest := &exactly{r: from, left: n - c.size}
	err := st.s.bucket.PutPart(ctx, st.key(), st.upload, int(i)+1, Body{Reader: io.MultiReader(&c, rest), Size: n})
	if rest.short && from.err == nil {
		from.err = io.ErrUnexpectedEOF
	}
	return err
}

// exactly yields left bytes of r; that r ends before is an error, so that no store takes a part for whole.
type exactly struct {
	r     io.Reader
	left  int64
	short bool
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	if e.left -= int64(n); err == io.EOF && e.left > 0 {
		e.short = true
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// putBlock stores a block by itself, and joins its part if it was the last one missing.
func (st staged) putBlock(ctx context.Context, i, block, n int64, from *source) error {
	c, err := from.gather(ctx, st.s.writeMem, n, true)
	if err == nil {
		err = st.s.bucket.Put(ctx, blockKey(st.id, i, block, c.crc), c.body())
	}
	c.release(st.s.writeMem)
	if err != nil || st.upload == "" {
		return err
	}
	// The block is safe. What fails here Commit tries again.
	_, _ = st.join(ctx, i)
	return nil
}

// ReadAt implements blob.Staged. No S3 gives back the parts of an upload before it is complete: it fails with
// errs.Unsupported except for blocks that are waiting.
func (st staged) ReadAt(ctx context.Context, p []byte, off int64) error {
	const op = errs.Op("object.Staged.ReadAt")
	if off < 0 || off+int64(len(p)) > st.size {
		return errs.E(errs.Invalid, op, "outside of the blob")
	}
	if err := st.there(ctx); err != nil {
		return errs.Wrap(op, err)
	}
	for len(p) > 0 {
		i, at := off/st.part, off%st.part
		blocks, err := st.blocks(ctx, i)
		if err != nil {
			return errs.Wrap(op, err)
		}
		b := blocks[at/blob.BlockSize]
		if b.key == "" {
			return errs.E(errs.Unsupported, op)
		}
		n := min(int64(len(p)), b.size-at%blob.BlockSize)
		if err := st.s.fill(ctx, b.key, at%blob.BlockSize, p[:n]); err != nil {
			return errs.Wrap(op, err)
		}
		p, off = p[n:], off+n
	}
	return nil
}

// Copy implements blob.Copier for a range that is a whole part, of a blob of more than one block. The store copies it; where
// it does not, as MinIO does not into an upload with sums, the bytes are read and sent again, within the data centre.
func (st staged) Copy(ctx context.Context, off int64, of blob.Ref, from, n int64) (bool, error) {
	const op = errs.Op("object.Staged.Copy")
	i := off / st.part
	if st.upload == "" || small(of.Size) || off != i*st.part || off >= st.size || n != st.partAt(i) ||
		from < 0 || from+n > of.Size {
		return false, nil
	}
	_, err := st.s.locate(ctx, of, func(l location) error {
		if !st.s.noCopies.Load() {
			err := st.s.bucket.CopyPart(ctx, st.key(), st.upload, int(i)+1, l.bytesKey(), from, n)
			if !errs.Is(errs.Unsupported, err) {
				return err
			}
			st.s.noCopies.Store(true)
		}
		r := st.s.stream(ctx, l.bytesKey(), from, n)
		defer r.Close()
		return st.sendPart(ctx, i, n, &source{r: r})
	})
	if errs.Is(errs.NotFound, err) {
		// The other blob is gone, or the session is.
		return false, errs.Wrap(op, st.there(ctx))
	}
	return err == nil, errs.Wrap(op, err)
}

// Commit implements blob.Staged.
func (st staged) Commit(ctx context.Context, sums []blob.Sum) error {
	const op = errs.Op("object.Staged.Commit")
	ref := blob.Ref{Digest: blob.DigestOf(sums), Size: st.size}
	if int64(len(sums)) != blob.Blocks(st.size) {
		return errs.E(errs.Internal, op, "wrong number of sums")
	}
	if st.upload == "" {
		return errs.Wrap(op, st.commitSmall(ctx, ref))
	}
	var err error
	for range 3 {
		var parts []Part
		if parts, err = st.parts(ctx); err == nil {
			err = st.finish(ctx, ref, sums, parts)
		}
		if !errs.Is(errs.Stale, err) {
			break // a part was sent again since it was listed
		}
	}
	if errs.Is(errs.NotFound, err) {
		err = st.resolve(ctx, ref, sums)
	}
	return errs.Wrap(op, err)
}

// commitSmall makes the blob of the one block that waits.
func (st staged) commitSmall(ctx context.Context, ref blob.Ref) error {
	if err := st.there(ctx); err != nil {
		return err
	}
	var data []byte
	if st.size > 0 {
		blocks, err := st.blocks(ctx, 0)
		if err != nil {
			return err
		}
		if err := st.s.writeMem.wait(ctx, blob.BlockSize); err != nil {
			return err
		}
		defer st.s.writeMem.parts.Release(blob.BlockSize)
		b := getBuffer(st.size)
		defer putBuffer(b)
		data = *b
		if err := st.readBlock(ctx, blocks[0], data); err != nil {
			return err
		}
	}
	if err := st.s.putSmall(ctx, ref, inMemory(data)); err != nil {
		return err
	}
	st.clear(ctx)
	return nil
}

// errMissing is for a Commit before all was written.
var errMissing = errors.New("not all was written")

// parts gives the parts of the upload, all of them, and joins those whose blocks are still waiting.
func (st staged) parts(ctx context.Context) ([]Part, error) {
	const op = errs.Op("object.parts")
	for range 2 {
		have, err := st.s.bucket.Parts(ctx, st.key(), st.upload)
		if err != nil {
			return nil, err
		}
		there := make(map[int64]bool, len(have))
		for _, p := range have {
			if i := int64(p.Number) - 1; i*st.part < st.size && p.Size == st.partAt(i) {
				there[i] = true
			}
		}
		whole := true
		for i := int64(0); i*st.part < st.size; i++ {
			if there[i] {
				continue
			}
			whole = false
			did, err := st.join(ctx, i)
			if err != nil {
				return nil, err
			}
			if !did {
				return nil, errs.E(errs.Internal, op, errMissing)
			}
		}
		if whole && len(there) == len(have) {
			return have, nil
		}
	}
	return nil, errs.E(errs.Internal, op, errMissing)
}

// resolve finds out what became of an upload that the store no longer knows: completed and not yet published,
// as when a Commit failed between, is made the blob; all else is over.
func (st staged) resolve(ctx context.Context, ref blob.Ref, sums []blob.Sum) error {
	const op = errs.Op("object.resolve")
	o, err := st.s.stat(ctx, st.key())
	if err != nil {
		return err
	}
	gens, err := st.s.generations(ctx, ref.Digest)
	if err != nil {
		return err
	}
	for _, g := range gens {
		if g.data == st.id {
			return errs.E(errs.NotFound, op)
		}
	}
	if o.Size != ref.Size {
		return errs.E(errs.Internal, op, "the upload was completed with another size")
	}
	if err := st.s.publish(ctx, ref, st.id, sums); err != nil {
		return err
	}
	st.clear(ctx)
	return nil
}

// Abort implements blob.Staged.
func (st staged) Abort(ctx context.Context) error {
	const op = errs.Op("object.Staged.Abort")
	if st.upload != "" {
		if err := st.s.bucket.Abort(ctx, st.key(), st.upload); err != nil && !errs.Is(errs.NotFound, err) {
			return errs.Wrap(op, err)
		}
	}
	return errs.Wrap(op, st.remove(ctx))
}
