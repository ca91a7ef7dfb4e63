package object

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// tidyAt is how many generations of one blob may gather before they are tidied up by whoever comes across them.
const tidyAt = 16

// sumsMagic begins an object with block sums and names its format.
const sumsMagic = "gopan-sums-1\n"

// generations lists those of a blob, the last put first.
func (s *Store) generations(ctx context.Context, d blob.Digest) ([]generation, error) {
	var gens []generation
	err := s.bucket.List(ctx, generationsPrefix(d), "", func(o Object) error {
		if g, ok := parseGeneration(o); ok {
			gens = append(gens, g)
		}
		return nil
	})
	return youngest(gens), err
}

// putSmall makes a generation of a blob of one block at most.
func (s *Store) putSmall(ctx context.Context, ref blob.Ref, b Body) error {
	if err := s.bucket.Put(ctx, generationKey(ref, id{}), b); err != nil {
		return err
	}
	// The same small content may be put over and over, as the empty file is; now and then the older generations go.
	if s.puts.Add(1)%tidyAt == 0 {
		if gens, err := s.generations(ctx, ref.Digest); err == nil {
			s.tidy(ctx, gens)
		}
	}
	return nil
}

// putSums makes a generation of a larger blob whose bytes are in data. It says false if somebody is deleting them:
// then the generation counts for nothing, and the blob is to be put by other bytes.
func (s *Store) putSums(ctx context.Context, ref blob.Ref, data id, sums []blob.Sum) (bool, error) {
	b := make([]byte, 0, len(sumsMagic)+len(sums)*len(blob.Sum{}))
	b = append(b, sumsMagic...)
	for i := range sums {
		b = append(b, sums[i][:]...)
	}
	// It stays, even when it counts for nothing: somebody may have seen it meanwhile and have removed older ones in its favour.
	if err := s.bucket.Put(ctx, generationKey(ref, data), inMemory(b)); err != nil {
		return false, err
	}
	return s.vouch(ctx, ref, data)
}

// readSums reads the block sums of a blob of more than one block.
func (s *Store) readSums(ctx context.Context, g generation) ([]blob.Sum, error) {
	const op = errs.Op("object.readSums")
	b := make([]byte, int64(len(sumsMagic))+blob.Blocks(g.Size)*int64(len(blob.Sum{})))
	if err := s.fill(ctx, g.key, 0, b); err != nil {
		return nil, err
	}
	b, ok := bytes.CutPrefix(b, []byte(sumsMagic))
	if !ok {
		return nil, errs.E(errs.Corrupt, op, "not block sums")
	}
	sums := make([]blob.Sum, 0, blob.Blocks(g.Size))
	for ; len(b) > 0; b = b[len(blob.Sum{}):] {
		sums = append(sums, blob.Sum(b))
	}
	if blob.DigestOf(sums) != g.Digest {
		return nil, errs.E(errs.Corrupt, op, "block sums do not make up the digest")
	}
	return sums, nil
}

// vouch tells whether the bytes in data will stay as long as a generation names them. One that does must have been there
// before the call. It is one side of a handshake, whose other is drop: here a generation is written and then a mark is
// looked for, there a mark is written and then a generation is looked for. So one of the two sees the other, or both do.
func (s *Store) vouch(ctx context.Context, ref blob.Ref, data id) (bool, error) {
	marked := false
	err := s.bucket.List(ctx, dropFolder+data.String()+"/", "", func(Object) error {
		marked = true
		return nil
	})
	if marked || err != nil {
		return false, err
	}
	// A drop that has ended took its mark away after the bytes, so this look comes second.
	o, err := s.stat(ctx, dataKey(data))
	switch {
	case errs.Is(errs.NotFound, err):
		return false, nil
	case err != nil:
		return false, err
	case o.Size != ref.Size:
		return false, errs.E(errs.Corrupt, "object.vouch", "a blob's bytes are of another size than the blob")
	}
	return true, nil
}

// dropTimeout bounds the time from the look for generations to the deletion, so that a mark that is much older is
// nobody's any more. A look for all there are takes minutes for ten million blobs.
const dropTimeout = time.Hour

// drop deletes those of some bytes that no generation names, according to unnamed.
func (s *Store) drop(ctx context.Context, datas []id, unnamed func(context.Context, []id) ([]id, error)) error {
	ctx, cancel := context.WithTimeout(ctx, dropTimeout)
	defer cancel()
	var marks []string
	for _, data := range datas {
		marks = append(marks, dropFolder+data.String()+"/"+newID().String())
		if err := s.bucket.Put(ctx, marks[len(marks)-1], inMemory(nil)); err != nil {
			return err
		}
	}
	datas, err := unnamed(ctx, datas)
	if err == nil {
		keys := make([]string, len(datas))
		for i, data := range datas {
			keys[i] = dataKey(data)
		}
		// Were this to fail, the store may still do it later: then the marks stay, until Sweep finds them old.
		if err := s.bucket.Delete(ctx, keys...); err != nil {
			return err
		}
	}
	return cmp.Or(err, s.bucket.Delete(ctx, marks...))
}

// dropOf is drop for bytes that only generations of one blob can name.
func (s *Store) dropOf(ctx context.Context, d blob.Digest, datas ...id) error {
	if len(datas) == 0 {
		return nil
	}
	return s.drop(ctx, datas, func(ctx context.Context, datas []id) ([]id, error) {
		gens, err := s.generations(ctx, d)
		named := dataOf(gens)
		return slices.DeleteFunc(slices.Clone(datas), func(i id) bool { return slices.Contains(named, i) }), err
	})
}

// Delete implements blob.Store. Generations go first and their bytes last, so that a crash between leaves no blob
// without bytes; Sweep finds bytes without a blob. A put at the same time makes a generation that is not among those
// that were listed here, and so is done after.
func (s *Store) Delete(ctx context.Context, d blob.Digest, putBefore time.Time) (bool, error) {
	const op = errs.Op("object.Delete")
	s.found.Remove(d)
	gens, err := s.generations(ctx, d)
	if err != nil {
		return false, errs.Wrap(op, err)
	}
	if len(gens) == 0 || !gens[0].PutAt.Before(putBefore) {
		return false, nil
	}
	if err := s.forget(ctx, gens); err != nil {
		return false, errs.Wrap(op, err)
	}
	if err := s.dropOf(ctx, d, dataOf(gens)...); err != nil {
		return false, errs.Wrap(op, err)
	}
	return true, nil
}

// forget deletes generations, but not their bytes.
func (s *Store) forget(ctx context.Context, gens []generation) error {
	keys := make([]string, len(gens))
	for i, g := range gens {
		keys[i] = g.key
	}
	return s.bucket.Delete(ctx, keys...)
}

// dataOf lists the data that generations name, once each.
func dataOf(gens []generation) []id {
	var all []id
	for _, g := range gens {
		if g.data != (id{}) && !slices.Contains(all, g.data) {
			all = append(all, g.data)
		}
	}
	return all
}

// tidy forgets all generations but the youngest of each data. All processes agree which one that is, and it is younger than
// those that go, so no Delete by age can take more than it could before. Failing does no harm.
func (s *Store) tidy(ctx context.Context, gens []generation) {
	var older []generation
	kept := map[id]bool{}
	for _, g := range gens {
		if kept[g.data] {
			older = append(older, g)
		}
		kept[g.data] = true
	}
	_ = s.forget(ctx, older) // the next one who passes tries again
}

// List implements blob.Store. A blob was put when its youngest generation was.
func (s *Store) List(ctx context.Context, fn func(blob.Entry) error) error {
	return s.list(ctx, s.listFolders, fn)
}

// ListPart implements blob.PartLister.
func (s *Store) ListPart(ctx context.Context, first byte, fn func(blob.Entry) error) error {
	return s.list(ctx, func(ctx context.Context, fn func(Object) error) error {
		return s.bucket.List(ctx, fmt.Sprintf("%s%02x/", blobsFolder, first), "", fn)
	}, func(e blob.Entry) error {
		if e.Foreign != "" {
			return nil
		}
		return fn(e)
	})
}

// list is List for what objects gives, in the order of the keys.
func (s *Store) list(ctx context.Context, objects func(context.Context, func(Object) error) error, fn func(blob.Entry) error) error {
	const op = errs.Op("object.List")
	var last blob.Info // of the blob whose generations are coming
	emit := func() error {
		if last == (blob.Info{}) {
			return nil
		}
		return fn(blob.Entry{Info: last})
	}
	var stopped error
	err := objects(ctx, func(o Object) error {
		if err := ctx.Err(); err != nil {
			return errs.Wrap(op, err)
		}
		g, ok := parseGeneration(o)
		switch {
		case !ok:
			stopped = fn(blob.Entry{Foreign: s.cfg.Prefix + o.Key})
		case g.Ref == last.Ref && last != (blob.Info{}):
			if g.PutAt.After(last.PutAt) {
				last.PutAt = g.PutAt
			}
		default:
			stopped = emit()
			last = g.Info
		}
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	if err != nil {
		return errs.Wrap(op, err)
	}
	return emit()
}

var errSkip = errors.New("skip")

// listFolders lists all but what is ours and no blob.
func (s *Store) listFolders(ctx context.Context, fn func(Object) error) error {
	skipped := []string{dataFolder, dropFolder, stageFolder}
	after := ""
	for {
		var into string
		err := s.bucket.List(ctx, "", after, func(o Object) error {
			for _, f := range skipped {
				if strings.HasPrefix(o.Key, f) {
					into = f
					return errSkip
				}
			}
			if o.Key == idKey {
				return nil
			}
			return fn(o)
		})
		if into == "" {
			return err
		}
		after = into + "~" // behind all ids
	}
}
