// Package blobtest is the suite that every blob.Store passes, failures included.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// Run puts a store through the suite, and its staging if it is a blob.Stager. open gives an empty one each time.
// All that it stores together is about 200 MiB.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, blob.Store)
	}{
		{"RoundTrip", roundTrip},
		{"PutAgain", putAgain},
		{"NothingLeft", nothingLeft},
		{"Missing", missing},
		{"DeleteByAge", deleteByAge},
		{"DeleteExactly", deleteExactly},
		{"ListEnds", listEnds},
		{"ListPart", listPart},
		{"Together", together},
		{"ManySmall", manySmall},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
	if _, ok := open(t).(blob.Stager); !ok {
		return
	}
	for _, c := range []struct {
		name string
		test func(*testing.T, blob.Stager)
	}{
		{"StagedInAnyOrder", stagedInAnyOrder},
		{"StagedSizes", stagedSizes},
		{"StagedTogether", stagedTogether},
		{"StagedReaderFails", stagedReaderFails},
		{"StagedBlocksMissing", stagedBlocksMissing},
		{"StagedAbort", stagedAbort},
		{"StagedOfWhatIsThere", stagedOfWhatIsThere},
		{"StagedUnknown", stagedUnknown},
		{"StagedAge", stagedAge},
		{"Sweep", sweep},
		{"Copy", copyBlocks},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t).(blob.Stager)) })
	}
}

// RunStager tests what takes two openings of one store, as two processes have them. open gives a new, empty store
// opened twice; a driver's test calls it beside Run.
func RunStager(t *testing.T, open func(t *testing.T) (first, second blob.Stager)) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, first, second blob.Stager)
	}{
		{"StagedByTwo", stagedByTwo},
		{"CommittedByTwo", committedByTwo},
		{"SmallByTwo", smallByTwo},
	} {
		t.Run(c.name, func(t *testing.T) {
			first, second := open(t)
			c.test(t, first, second)
		})
	}
}

// Bytes gives n bytes that look random and are the same for the same seed.
func Bytes(seed, n int64) []byte {
	b := make([]byte, n)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], uint64(seed))
	_, _ = rand.NewChaCha8(key).Read(b) // documented never to fail
	return b
}

// DigestOf computes a digest in the plainest way, to hold the real one against.
func DigestOf(b []byte) blob.Digest {
	h := sha256.New()
	for block := range slices.Chunk(b, blob.BlockSize) {
		sum := sha256.Sum256(block)
		h.Write(sum[:])
	}
	return blob.Digest(h.Sum(nil))
}

var anything = blob.Want{Size: -1, Limit: -1}

func put(t *testing.T, s blob.Store, data []byte) blob.Ref {
	t.Helper()
	ref, err := blob.Write(t.Context(), s, bytes.NewReader(data), anything)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func wantBytes(t *testing.T, s blob.Store, ref blob.Ref, want []byte) {
	t.Helper()
	if err := same(t.Context(), s, ref, want); err != nil {
		t.Fatal(err)
	}
}

// same reads a blob, checked, and fails unless it is want.
func same(ctx context.Context, s blob.Store, ref blob.Ref, want []byte) error {
	r, err := (&blob.Verifier{Store: s}).Open(ctx, ref)
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("read %d bytes, %w; want the %d that were put", len(got), err, len(want))
	}
	return nil
}

func list(t *testing.T, s blob.Store) []blob.Entry {
	t.Helper()
	var all []blob.Entry
	if err := s.List(t.Context(), func(e blob.Entry) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// G56: sizes around every boundary come back byte for byte, with and without a size known before.
func roundTrip(t *testing.T, s blob.Store) {
	const b = blob.BlockSize
	for _, n := range []int64{0, 1, 4095, 4096, 32 << 10, 32<<10 + 1, 64 << 10, 64<<10 + 1, 128 << 10, 128<<10 + 1,
		b - 1, b, b + 1, 5<<20 - 1, 5 << 20, 2*b + 17} {
		data := Bytes(n, n)
		for _, size := range []int64{-1, n} {
			ref, err := blob.Write(t.Context(), s, iotest.HalfReader(bytes.NewReader(data)), blob.Want{Size: size, Limit: -1})
			if err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			if want := (blob.Ref{Digest: DigestOf(data), Size: n}); ref != want {
				t.Fatalf("%d bytes: %v, want %v", n, ref, want)
			}
			wantBytes(t, s, ref, data)
			r, _, err := s.Open(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			half := make([]byte, n-n/2)
			if _, err := r.ReadAt(half, n/2); err != nil && err != io.EOF || !bytes.Equal(half, data[n/2:]) {
				t.Fatalf("%d bytes: the second half differs, %v", n, err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func putAgain(t *testing.T, s blob.Store) {
	for _, n := range []int64{1000, 100_000, blob.BlockSize + 1} {
		data := Bytes(2, n)
		ref := put(t, s, data)
		if again := put(t, s, data); again != ref {
			t.Fatalf("%v, then %v", ref, again)
		}
		wantBytes(t, s, ref, data)
		if all := list(t, s); len(all) != 1 || all[0].Ref != ref {
			t.Fatalf("listed %v", all)
		}
		drop(t, s, ref)
	}
}

// drop deletes a blob whatever its age.
func drop(t *testing.T, s blob.Store, ref blob.Ref) {
	t.Helper()
	if gone, err := s.Delete(t.Context(), ref.Digest, time.Now().Add(time.Hour)); !gone || err != nil {
		t.Fatalf("Delete = %v, %v", gone, err)
	}
}

// D4, D5, F20, F26, G29, G31: bytes other than promised, or cut short, leave nothing.
func nothingLeft(t *testing.T, s blob.Store) {
	data := Bytes(3, blob.BlockSize+5)
	broken := errors.New("the line is cut")
	whole := func() io.Reader { return bytes.NewReader(data) }
	size := int64(len(data))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		r    io.Reader
		want blob.Want
		kind errs.Kind
	}{
		{"reader fails", t.Context(), io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)), anything, errs.Internal},
		{"reader fails at once", t.Context(), iotest.ErrReader(broken), blob.Want{Size: 7, Limit: -1}, errs.Internal},
		{"too short", t.Context(), whole(), blob.Want{Size: size + 1, Limit: -1}, errs.Invalid},
		{"too long", t.Context(), whole(), blob.Want{Size: size - 1, Limit: -1}, errs.Invalid},
		{"small too short", t.Context(), bytes.NewReader(data[:9]), blob.Want{Size: 10, Limit: -1}, errs.Invalid},
		{"small too long", t.Context(), bytes.NewReader(data[:11]), blob.Want{Size: 10, Limit: -1}, errs.Invalid},
		{"other digest", t.Context(), whole(), blob.Want{Size: size, Digest: blob.Digest{1}, Limit: -1}, errs.Invalid},
		{"over the limit by a byte", t.Context(), whole(), blob.Want{Size: -1, Limit: size - 1}, errs.OverQuota},
		{"over the limit by its own account", t.Context(), whole(), blob.Want{Size: size, Limit: size - 1}, errs.OverQuota},
		{"check refuses", t.Context(), whole(), blob.Want{Size: -1, Limit: size, Check: func([]blob.Sum) error {
			return errs.E(errs.Invalid, "test")
		}}, errs.Invalid},
		{"caller gone", gone, whole(), anything, errs.Canceled},
	} {
		if ref, err := blob.Write(c.ctx, s, c.r, c.want); !errs.Is(c.kind, err) {
			t.Errorf("%s: %v, %v; want %v", c.name, ref, err, c.kind)
		}
		if all := list(t, s); len(all) != 0 {
			t.Errorf("%s: left %v", c.name, all)
		}
	}
}

func missing(t *testing.T, s blob.Store) {
	ref := blob.Ref{Digest: blob.Digest{42}, Size: 3}
	if _, _, err := s.Open(t.Context(), ref); !errs.Is(errs.NotFound, err) {
		t.Errorf("Open = %v", err)
	}
	if gone, err := s.Delete(t.Context(), ref.Digest, time.Now()); gone || err != nil {
		t.Errorf("Delete = %v, %v", gone, err)
	}
	if _, err := (&blob.Verifier{Store: s}).Open(t.Context(), ref); !errs.Is(errs.Corrupt, err) {
		t.Errorf("Verifier.Open = %v: a blob that something refers to and is not there is damage", err)
	}
	have := put(t, s, Bytes(4, 10))
	if _, _, err := s.Open(t.Context(), blob.Ref{Digest: have.Digest, Size: 11}); !errs.Is(errs.Corrupt, err) {
		t.Errorf("Open with another size = %v", err)
	}
}

// D7: a blob that was put again a moment ago is not deleted for having been old.
func deleteByAge(t *testing.T, s blob.Store) {
	for _, n := range []int64{10, 2*blob.BlockSize + 1} {
		data := Bytes(5, n)
		before := time.Now().Add(-time.Hour)
		ref := put(t, s, data)
		if gone, err := s.Delete(t.Context(), ref.Digest, before); gone || err != nil {
			t.Fatalf("deleted a fresh blob: %v, %v", gone, err)
		}
		wantBytes(t, s, ref, data)
		if gone, err := s.Delete(t.Context(), ref.Digest, time.Now().Add(time.Hour)); !gone || err != nil {
			t.Fatalf("Delete = %v, %v", gone, err)
		}
		if _, _, err := s.Open(t.Context(), ref); !errs.Is(errs.NotFound, err) {
			t.Fatalf("Open after Delete = %v", err)
		}
		if all := list(t, s); len(all) != 0 {
			t.Fatalf("left %v", all)
		}
	}
}

// A collector deletes exactly the blob that it was told of, by the time that List gives: not a moment of it less, and
// nothing is left of it.
func deleteExactly(t *testing.T, s blob.Store) {
	for i, size := range []int64{0, 1, blob.BlockSize + 1, 3 * blob.BlockSize} {
		ref := put(t, s, Bytes(int64(100+i), size))
		entries := func() (all []blob.Entry) {
			t.Helper()
			if err := s.List(t.Context(), func(e blob.Entry) error { all = append(all, e); return nil }); err != nil {
				t.Fatal(err)
			}
			return all
		}
		all := entries()
		if len(all) != 1 || all[0].Ref != ref {
			t.Fatalf("size %d: listed %+v", size, all)
		}
		if gone, err := s.Delete(t.Context(), ref.Digest, all[0].PutAt); err != nil || gone {
			t.Errorf("size %d: deleted as put before the very moment: %v, %v", size, gone, err)
		}
		if gone, err := s.Delete(t.Context(), ref.Digest, all[0].PutAt.Add(1)); err != nil || !gone {
			t.Errorf("size %d: not deleted: %v", size, err)
		}
		if left := entries(); len(left) != 0 {
			t.Errorf("size %d: left %+v", size, left)
		}
	}
}

func listEnds(t *testing.T, s blob.Store) {
	for i := range int64(3) {
		put(t, s, Bytes(i, 10))
	}
	stop, n := errors.New("enough"), 0
	if err := s.List(t.Context(), func(blob.Entry) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("List = %v after %d; want the caller's error after 1", err, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.List(ctx, func(blob.Entry) error { return nil }); !errs.Is(errs.Canceled, err) {
		t.Errorf("List with a context that has ended = %v", err)
	}
}

// What the parts list is what is listed as a whole, each blob in the part of its digest, once.
func listPart(t *testing.T, s blob.Store) {
	if _, ok := s.(blob.PartLister); !ok {
		t.Fatal("the store lists no parts")
	}
	want := make(map[blob.Ref]time.Time)
	for i, size := range []int64{0, 1, 100, 70_000, blob.BlockSize + 1} {
		put(t, s, Bytes(int64(i), size))
	}
	ends := 0
	for i := int64(5); ends < 4; i++ { // some at either end
		if data := Bytes(i, 100); DigestOf(data)[0]+1 <= 1 {
			put(t, s, data)
			ends++
		}
	}
	if err := s.List(t.Context(), func(e blob.Entry) error { want[e.Ref] = e.PutAt; return nil }); err != nil {
		t.Fatal(err)
	}
	n := 0
	for first := range blob.Parts {
		if err := blob.ListPart(t.Context(), s, byte(first), func(e blob.Entry) error {
			n++
			if at, ok := want[e.Ref]; !ok || !at.Equal(e.PutAt) || e.Foreign != "" || int(e.Digest[0]) != first {
				t.Errorf("part %d: %+v", first, e)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if n != len(want) || n < 9 {
		t.Errorf("%d blobs in the parts, %d in all", n, len(want))
	}
	stop := errors.New("enough")
	for ref := range want {
		if err := blob.ListPart(t.Context(), s, ref.Digest[0], func(blob.Entry) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("ListPart = %v, want the caller's error", err)
		}
	}
}

// D7: while some put a blob and others delete it for its age, one whose put succeeded last is there.
func together(t *testing.T, s blob.Store) {
	for _, n := range []int64{1000, blob.BlockSize + 1} {
		data := Bytes(6, n)
		rounds := 25
		if n > blob.BlockSize {
			rounds = 2
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range rounds {
					before := time.Now().Add(-time.Minute)
					ref, err := blob.Write(t.Context(), s, bytes.NewReader(data), anything)
					if err != nil {
						t.Error(err)
						return
					}
					if _, err := s.Delete(t.Context(), ref.Digest, before); err != nil {
						t.Error(err)
					}
					if err := same(t.Context(), s, ref, data); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
}

// Many small blobs that arrive at once are each there, and listed once, those that two have put too.
func manySmall(t *testing.T, s blob.Store) {
	const writers, each = 16, 125
	content := func(i int64) []byte { return Bytes(i, 100+i%5000) }
	var wg sync.WaitGroup
	for w := range int64(writers) {
		wg.Go(func() {
			// Neighbours overlap by a few.
			for i := w * each; i < min((w+1)*each+5, writers*each); i++ {
				data := content(i)
				ref, err := blob.Write(t.Context(), s, bytes.NewReader(data), blob.Want{Size: int64(len(data)), Limit: -1})
				if err == nil {
					err = same(t.Context(), s, ref, data)
				}
				if err != nil {
					t.Errorf("blob %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	seen := make(map[blob.Ref]int)
	for _, e := range list(t, s) {
		seen[e.Ref]++
	}
	for i := range int64(writers * each) {
		data := content(i)
		if n := seen[blob.Ref{Digest: DigestOf(data), Size: int64(len(data))}]; n != 1 {
			t.Errorf("blob %d is listed %d times", i, n)
		}
	}
	if len(seen) != writers*each {
		t.Errorf("listed %d blobs, want %d", len(seen), writers*each)
	}
}
