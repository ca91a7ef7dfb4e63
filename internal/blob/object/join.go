package object

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"strings"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// waiting is a block that came by itself.
type waiting struct {
	key  string
	size int64
	crc  uint32
}

// blocks lists the blocks of a part that wait.
func (st staged) blocks(ctx context.Context, part int64) (map[int64]waiting, error) {
	all := make(map[int64]waiting)
	prefix := partPrefix(st.id, part)
	err := st.s.bucket.List(ctx, prefix, "", func(o Object) error {
		block, crc, ok := parseBlock(strings.TrimPrefix(o.Key, prefix))
		if ok && o.Size == min(blob.BlockSize, st.partAt(part)-block*blob.BlockSize) {
			all[block] = waiting{o.Key, o.Size, crc}
		}
		return nil
	})
	return all, err
}

// readBlock reads a waiting block and checks that it is what came.
func (st staged) readBlock(ctx context.Context, w waiting, into []byte) error {
	const op = errs.Op("object.readBlock")
	if w.key == "" {
		return errs.E(errs.Internal, op, errMissing)
	}
	if err := st.s.fill(ctx, w.key, 0, into); err != nil {
		return err
	}
	if crc32.Checksum(into, castagnoli) != w.crc {
		return errs.E(errs.Corrupt, op, "a staged block is not what came")
	}
	return nil
}

// join makes a part of the blocks that wait for it, and tells whether they were all there and it is now. Two that do it
// at once do the same. It takes the memory of one block.
func (st staged) join(ctx context.Context, part int64) (bool, error) {
	blocks, err := st.blocks(ctx, part)
	if err != nil || int64(len(blocks)) < blob.Blocks(st.partAt(part)) {
		return false, err
	}
	if err := st.s.writeMem.wait(ctx, blob.BlockSize); err != nil {
		return false, err
	}
	defer st.s.writeMem.parts.Release(blob.BlockSize)
	b := getBuffer(blob.BlockSize)
	defer putBuffer(b)
	n := st.partAt(part)
	for attempt := 1; ; attempt++ {
		r := &joined{st: st, ctx: ctx, blocks: blocks, buf: *b}
		err = st.s.bucket.PutPart(ctx, st.key(), st.upload, int(part)+1, Body{Reader: r, Size: n})
		if r.err != nil {
			err = r.err
		}
		if !errs.Is(errs.Busy, err) || attempt == st.s.bucket.attempts {
			break
		}
		if err := pause(ctx, attempt); err != nil {
			return false, err
		}
	}
	if err != nil {
		return false, err
	}
	keys := make([]string, 0, len(blocks))
	for _, w := range blocks {
		keys = append(keys, w.key)
	}
	_ = st.s.bucket.Delete(ctx, keys...) // they go with the session at the latest
	return true, nil
}

// joined reads the blocks of a part one after the other.
type joined struct {
	st     staged
	ctx    context.Context
	blocks map[int64]waiting
	next   int64
	buf    []byte // for one block
	left   []byte // of it
	err    error
}

func (j *joined) Read(p []byte) (int, error) {
	if len(j.left) == 0 {
		w, ok := j.blocks[j.next]
		if !ok {
			return 0, io.EOF
		}
		b := j.buf[:w.size]
		if err := j.st.readBlock(j.ctx, w, b); err != nil {
			// Another may have joined the part meanwhile; then the blocks are gone.
			j.err = errors.Join(j.err, err)
			return 0, err
		}
		j.left = b
		j.next++
	}
	n := copy(p, j.left)
	j.left = j.left[n:]
	return n, nil
}
