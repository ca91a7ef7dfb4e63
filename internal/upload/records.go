package upload

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/kv"
)

// What kv knows of a block, as a value's first byte. After it come the block's sum and, when it is done, the epoch in
// which it was written.
const (
	// intended: somebody is about to write bytes with this sum. From then on no others are taken for the block, so that
	// all who write it write the same, and none has to keep the others out.
	intended = 'i'
	// done: the bytes are in the store.
	done = 'd'
	// void: it was to be copied, and its source is gone. It has to be sent.
	void = 'v'
)

// record is what kv knows of a block. The zero record is nothing.
type record struct {
	state byte
	sum   blob.Sum
	epoch string
}

func (r record) encode() []byte {
	return append(append([]byte{r.state}, r.sum[:]...), r.epoch...)
}

func decodeRecord(b []byte) (r record, err error) {
	if len(b) == 0 {
		return r, nil
	}
	if len(b) < 1+len(r.sum) {
		return r, errs.E(errs.Internal, "upload.decodeRecord", "a block's record is too short")
	}
	r.state, r.epoch = b[0], string(b[1+len(r.sum):])
	copy(r.sum[:], b[1:])
	return r, nil
}

func blockKey(id string, n int64) string {
	return sessionKey(id) + "/" + strconv.FormatInt(n, 10)
}

// The plan of an upload is the sums that were announced, and which blocks are copied from where. It is written once,
// in chunks.
const (
	planChunk = 1024
	planEntry = len(blob.Sum{}) + 1 + 4
)

// planned is what was announced of a block.
type planned struct {
	sum blob.Sum
	// from is 1 and the index of a source of the session; 0: the block is to be sent.
	from  uint8
	block uint32 // of the source
}

func planKey(id string, chunk int64) string {
	return sessionKey(id) + "/plan/" + strconv.FormatInt(chunk, 10)
}

// putPlan writes what was announced.
func (s *Service) putPlan(ctx context.Context, u *session, plan []planned) error {
	i := int64(0)
	for chunk := range slices.Chunk(plan, planChunk) {
		b := make([]byte, 0, len(chunk)*planEntry)
		for _, p := range chunk {
			b = append(append(b, p.sum[:]...), p.from)
			b = binary.BigEndian.AppendUint32(b, p.block)
		}
		if err := s.KV.Set(ctx, planKey(u.ID, i), b, s.ttl(u.End)); err != nil {
			return errs.Wrap("upload.putPlan", err)
		}
		i++
	}
	return nil
}

// view is what kv knows of some of an upload's blocks.
type view struct {
	first   int64
	records []record
	plan    []planned // nil: nothing was announced
}

// blocks reads what kv knows of n blocks from first on.
func (s *Service) blocks(ctx context.Context, u *session, first, n int64) (*view, error) {
	const op = errs.Op("upload.blocks")
	keys := make([]string, 0, n+2)
	for i := range n {
		keys = append(keys, blockKey(u.ID, first+i))
	}
	chunk, chunks := first/planChunk, int64(0)
	if u.Announced && n > 0 {
		chunks = (first+n-1)/planChunk - chunk + 1
		for i := range chunks {
			keys = append(keys, planKey(u.ID, chunk+i))
		}
	}
	values, err := kv.GetMany(ctx, s.KV, keys)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	v := &view{first: first, records: make([]record, n)}
	for i := range v.records {
		if v.records[i], err = decodeRecord(values[i]); err != nil {
			return nil, errs.Wrap(op, err)
		}
	}
	if chunks == 0 {
		return v, nil
	}
	var all []byte
	for _, b := range values[n:] {
		all = append(all, b...)
	}
	all = all[min(len(all), int(first-chunk*planChunk)*planEntry):]
	if int64(len(all)) < n*int64(planEntry) { // lost, and with it what the upload is about
		return nil, notFound(op)
	}
	v.plan = make([]planned, n)
	for i := range v.plan {
		e := all[i*planEntry:][:planEntry]
		v.plan[i] = planned{sum: blob.Sum(e), from: e[len(blob.Sum{})], block: binary.BigEndian.Uint32(e[len(blob.Sum{})+1:])}
	}
	return v, nil
}

func (v *view) record(n int64) record { return v.records[n-v.first] }

// copies gives the source of a block that is to be copied and has not been yet.
func (v *view) copies(n int64) (planned, bool) {
	if v.plan == nil || v.record(n).state != 0 {
		return planned{}, false
	}
	p := v.plan[n-v.first]
	return p, p.from > 0
}

// missing tells whether a block has to be sent.
func (v *view) missing(n int64) bool {
	if v.record(n).state == done {
		return false
	}
	_, copied := v.copies(n)
	return !copied
}

// sums of all the blocks, of which none is missing.
func (v *view) sums() []blob.Sum {
	sums := make([]blob.Sum, len(v.records))
	for i := range sums {
		if sums[i] = v.records[i].sum; v.plan != nil {
			sums[i] = v.plan[i].sum
		}
	}
	return sums
}

// fix makes sum the one that block n has. Whoever comes first decides; errs.Conflict, code "block_differs", is for
// those who come later with other bytes. Sums that were announced are fixed already.
func (s *Service) fix(ctx context.Context, u *session, n int64, sum blob.Sum) error {
	const op = errs.Op("upload.fix")
	for range 2 { // a record may go between the two questions, when the upload is given up
		ok, err := s.KV.Swap(ctx, blockKey(u.ID, n), nil, record{state: intended, sum: sum}.encode(), s.ttl(u.End))
		if err != nil {
			return errs.Wrap(op, err)
		}
		if ok {
			return s.open(ctx, u)
		}
		r, err := s.record(ctx, u, n)
		switch {
		case errs.Is(errs.NotFound, err):
			continue
		case err != nil:
			return errs.Wrap(op, err)
		case r.sum != sum:
			return errs.E(errs.Conflict, op, errs.Code("block_differs"))
		}
		return nil
	}
	return notFound(op)
}

// open fails when an upload goes on no more. Nothing is known of its blocks then, so whoever has just fixed the sum of one
// must not believe to be the first: the block may have come, and its stage may be a file's content by now.
func (s *Service) open(ctx context.Context, u *session) error {
	const op = errs.Op("upload.open")
	now, err := s.load(ctx, u.ID)
	if err != nil {
		return errs.Wrap(op, err)
	}
	if len(now.Result) > 0 {
		return errs.E(errs.Conflict, op, errs.Code("upload_complete"))
	}
	return nil
}

func (s *Service) record(ctx context.Context, u *session, n int64) (record, error) {
	b, err := s.KV.Get(ctx, blockKey(u.ID, n))
	if err != nil {
		return record{}, err
	}
	return decodeRecord(b)
}

// arrived notes that the bytes of block n are in the store since an epoch.
func (s *Service) arrived(ctx context.Context, u *session, n int64, sum blob.Sum, epoch string) error {
	const op = errs.Op("upload.arrived")
	key, now := blockKey(u.ID, n), record{done, sum, epoch}.encode()
	if u.Announced { // nobody writes this block with another sum
		return errs.Wrap(op, s.KV.Set(ctx, key, now, s.ttl(u.End)))
	}
	for range attempts {
		r, err := s.record(ctx, u, n)
		switch {
		case err != nil:
			return errs.Wrap(op, err) // errs.NotFound: the upload was given up meanwhile
		case r.sum != sum:
			return errs.E(errs.Conflict, op, errs.Code("block_differs"))
		case r.state == done && r.epoch == epoch:
			return nil
		}
		if ok, err := s.KV.Swap(ctx, key, r.encode(), now, s.ttl(u.End)); err != nil || ok {
			return errs.Wrap(op, err)
		}
	}
	return errs.E(errs.Busy, op)
}

// keys are all keys of the upload's blocks, and of its plan.
func (u *session) keys() []string {
	n := blob.Blocks(u.Size)
	var keys []string
	for i := range n {
		keys = append(keys, blockKey(u.ID, i))
	}
	if u.Announced {
		for i := range (n + planChunk - 1) / planChunk {
			keys = append(keys, planKey(u.ID, i))
		}
	}
	return keys
}
