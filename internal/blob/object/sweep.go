package object

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// Sweep implements blob.Stager. It also drops bytes that no blob has, which a crash between two steps can leave, and
// generations that younger ones have replaced. For that it lists all there is, and holds 16 bytes in memory for each
// blob of more than one block that is older than the moment.
func (s *Store) Sweep(ctx context.Context, moment time.Time) (blob.Swept, error) {
	const op = errs.Op("object.Sweep")
	var swept blob.Swept
	live, err := s.sweepSessions(ctx, moment, &swept)
	if err == nil {
		err = s.sweepUploads(ctx, moment, live, &swept)
	}
	if err == nil {
		err = s.sweepData(ctx, moment, live)
	}
	if err == nil {
		err = s.sweepMarks(ctx, moment)
	}
	return swept, errs.Wrap(op, err)
}

// heap is what is staged under one id.
type heap struct {
	id     id
	begun  bool
	newest time.Time
	bytes  int64
	keys   []string
}

// sweepSessions ends sessions that nobody wrote to since the moment. It gives the ids of those that stay.
func (s *Store) sweepSessions(ctx context.Context, moment time.Time, swept *blob.Swept) (map[id]bool, error) {
	var heaps []heap
	err := s.bucket.List(ctx, stageFolder, "", func(o Object) error {
		name, rest, _ := strings.Cut(strings.TrimPrefix(o.Key, stageFolder), "/")
		i, ok := parseID(name)
		if !ok {
			return nil
		}
		if len(heaps) == 0 || heaps[len(heaps)-1].id != i {
			heaps = append(heaps, heap{id: i})
		}
		h := &heaps[len(heaps)-1]
		h.begun = h.begun || rest == beginName
		if o.Modified.After(h.newest) {
			h.newest = o.Modified
		}
		if rest != beginName {
			h.keys = append(h.keys, o.Key)
			h.bytes += o.Size
		}
		return nil
	})
	live := make(map[id]bool)
	for _, h := range heaps {
		if err != nil {
			break
		}
		gone := before(h.newest, moment)
		if gone && h.begun {
			gone, err = s.sweepSession(ctx, moment, &h)
		}
		if !gone || err != nil {
			live[h.id] = true
			continue
		}
		if err = s.bucket.Delete(ctx, h.keys...); err != nil || !h.begun {
			continue
		}
		err = s.bucket.Delete(ctx, beginKey(h.id))
		swept.Staged++
		swept.Bytes += h.bytes
	}
	return live, err
}

// sweepSession aborts a session's upload unless it has a part that is younger than the moment.
func (s *Store) sweepSession(ctx context.Context, moment time.Time, h *heap) (bool, error) {
	b, err := s.readBegun(ctx, h.id)
	if err != nil {
		if errs.Is(errs.NotFound, err) {
			return false, nil // ended since it was listed
		}
		return false, err
	}
	if b.Upload == "" {
		return true, nil
	}
	return s.sweepUpload(ctx, moment, dataKey(h.id), b.Upload, &h.bytes)
}

// sweepUpload aborts an upload unless it has a part that is younger than the moment, and tells whether it is no more.
func (s *Store) sweepUpload(ctx context.Context, moment time.Time, key, upload string, bytes *int64) (bool, error) {
	parts, err := s.bucket.Parts(ctx, key, upload)
	if errs.Is(errs.NotFound, err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	for _, p := range parts {
		if !before(p.Modified, moment) {
			return false, nil
		}
		*bytes += p.Size
	}
	if err := s.bucket.Abort(ctx, key, upload); err != nil && !errs.Is(errs.NotFound, err) {
		return false, err
	}
	return true, nil
}

// sweepUploads ends uploads that were begun and whose session nobody has heard of.
func (s *Store) sweepUploads(ctx context.Context, moment time.Time, live map[id]bool, swept *blob.Swept) error {
	var old []Upload
	err := s.bucket.Begun(ctx, dataFolder, func(u Upload) error {
		if data, ok := parseDataKey(u.Key); ok && !live[data] && before(u.Begun, moment) {
			old = append(old, u)
		}
		return nil
	})
	for _, u := range old {
		if err != nil {
			break
		}
		_, err = s.sweepUpload(ctx, moment, u.Key, u.ID, &swept.Bytes)
	}
	return err
}

// sweepData drops bytes that no blob has, and tidies up generations on the way.
func (s *Store) sweepData(ctx context.Context, moment time.Time, live map[id]bool) error {
	// Bytes first, generations second: whoever put them did so in this order, too.
	var old []id
	err := s.bucket.List(ctx, dataFolder, "", func(o Object) error {
		if data, ok := parseDataKey(o.Key); ok && !live[data] && before(o.Modified, moment) {
			old = append(old, data)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(old, compareIDs)
	old, err = s.unnamed(ctx, old, func(gens []generation) error { return s.replaceOlder(ctx, gens, moment) })
	if err != nil || len(old) == 0 {
		return err
	}
	return s.drop(ctx, old, func(ctx context.Context, old []id) ([]id, error) { return s.unnamed(ctx, old, nil) })
}

func compareIDs(a, b id) int { return slices.Compare(a[:], b[:]) }

// unnamed gives those of some sorted ids that no generation names. each, unless it is nil, is called for all generations
// of one blob after the other.
func (s *Store) unnamed(ctx context.Context, ids []id, each func([]generation) error) ([]id, error) {
	named := make([]bool, len(ids))
	var gens []generation
	flush := func() error {
		if each == nil || len(gens) == 0 {
			return nil
		}
		return each(youngest(gens))
	}
	var stopped error
	err := s.bucket.List(ctx, blobsFolder, "", func(o Object) error {
		g, ok := parseGeneration(o)
		if !ok {
			return nil
		}
		if len(gens) > 0 && gens[0].Digest != g.Digest {
			if stopped = flush(); stopped != nil {
				return stopped
			}
			gens = gens[:0]
		}
		gens = append(gens, g)
		if i, ok := slices.BinarySearchFunc(ids, g.data, compareIDs); ok {
			named[i] = true
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return nil, err
	}
	var left []id
	for i, data := range ids {
		if !named[i] {
			left = append(left, data)
		}
	}
	return left, nil
}

// replaceOlder tidies up a blob's generations, and drops bytes that it has twice: two that put it at once did not
// know of each other. Those that stay are the last put ones that are sure to stay.
func (s *Store) replaceOlder(ctx context.Context, gens []generation, moment time.Time) error {
	if len(gens) < 2 {
		return nil
	}
	s.tidy(ctx, gens)
	datas := dataOf(gens)
	for i, data := range datas[:max(len(datas)-1, 0)] {
		is, err := s.vouch(ctx, gens[0].Ref, data)
		if err != nil {
			return err
		}
		if !is {
			continue
		}
		for _, other := range datas[i+1:] {
			older := slices.DeleteFunc(slices.Clone(gens), func(g generation) bool { return g.data != other })
			if !older[0].PutAt.Before(moment) {
				continue
			}
			if err := s.forget(ctx, older); err != nil {
				return err
			}
			if err := s.dropOf(ctx, gens[0].Digest, other); err != nil {
				return err
			}
		}
		break
	}
	return nil
}

// sweepMarks removes marks of drops that did not come to their end.
func (s *Store) sweepMarks(ctx context.Context, moment time.Time) error {
	// Long after any drop has given up.
	moment = moment.Add(-24 * dropTimeout)
	var old []string
	err := s.bucket.List(ctx, dropFolder, "", func(o Object) error {
		if before(o.Modified, moment) {
			old = append(old, o.Key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.bucket.Delete(ctx, old...)
}
