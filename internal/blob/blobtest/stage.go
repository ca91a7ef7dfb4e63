package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
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

// sumsOf gives the block sums of b.
func sumsOf(b []byte) []blob.Sum {
	sums := make([]blob.Sum, 0, blob.Blocks(int64(len(b))))
	for block := range slices.Chunk(b, blob.BlockSize) {
		sums = append(sums, sha256.Sum256(block))
	}
	return sums
}

func refOf(b []byte) blob.Ref { return blob.Ref{Digest: DigestOf(b), Size: int64(len(b))} }

// session is a blob that is being staged.
type session struct {
	blob.Staged
	id   string
	data []byte
	// part is how many bytes the store likes to be given at a time.
	part int64
}

func stage(t *testing.T, s blob.Stager, data []byte) session {
	t.Helper()
	id, err := s.Stage(t.Context(), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if len(id) == 0 || len(id) > 1024 || bytes.ContainsFunc([]byte(id), func(r rune) bool { return r <= ' ' || r > '~' }) {
		t.Fatalf("id %q is not 1 to 1,024 printable characters", id)
	}
	part := s.PartSize(int64(len(data)))
	if part <= 0 || part%blob.BlockSize != 0 {
		t.Fatalf("PartSize = %d, which is no multiple of a block", part)
	}
	return session{staged(t, s, id, data), id, data, part}
}

func staged(t *testing.T, s blob.Stager, id string, data []byte) blob.Staged {
	t.Helper()
	st, err := s.Staged(t.Context(), id, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// write stores n bytes at off, or as many as there are.
func (s session) write(ctx context.Context, off, n int64) error {
	piece := s.data[off:min(off+n, int64(len(s.data)))]
	return s.Write(ctx, off, int64(len(piece)), iotest.HalfReader(bytes.NewReader(piece)))
}

// fill writes everything.
func (s session) fill(t *testing.T) {
	t.Helper()
	for off := int64(0); off < int64(len(s.data)); off += s.part {
		if err := s.write(t.Context(), off, s.part); err != nil {
			t.Fatal(err)
		}
	}
}

// cannotRead tells whether the store says that it cannot read back, which one whose epoch has no name may.
func (s session) cannotRead(err error) bool { return errs.Is(errs.Unsupported, err) && s.Epoch() == "" }

func (s session) commit(t *testing.T) {
	t.Helper()
	if err := s.Commit(t.Context(), sumsOf(s.data)); err != nil {
		t.Fatal(err)
	}
}

// Parts come in any order, the short one too; nothing is in sight before Commit, everything after, and the session
// is over then.
func stagedInAnyOrder(t *testing.T, s blob.Stager) {
	data := Bytes(10, s.PartSize(3*blob.BlockSize)+2*blob.BlockSize+5)
	in := stage(t, s, data)
	var offs []int64
	for off := int64(0); off < int64(len(data)); off += in.part {
		offs = append(offs, off)
	}
	for _, i := range rand.Perm(len(offs)) {
		if err := in.write(t.Context(), offs[i], in.part); err != nil {
			t.Fatal(err)
		}
		back := make([]byte, 1000)
		at := offs[i] + min(3, int64(len(data))-offs[i]-1)
		back = back[:min(1000, int64(len(data))-at)]
		if err := in.ReadAt(t.Context(), back, at); !in.cannotRead(err) && (err != nil || !bytes.Equal(back, data[at:at+int64(len(back))])) {
			t.Fatalf("read back other bytes at %d, %v", at, err)
		}
	}
	if all := list(t, s); len(all) != 0 {
		t.Fatalf("listed before Commit: %v", all)
	}
	if _, _, err := s.Open(t.Context(), refOf(data)); !errs.Is(errs.NotFound, err) {
		t.Fatalf("Open before Commit = %v", err)
	}
	before := time.Now()
	in.commit(t)
	wantBytes(t, s, refOf(data), data)
	all := list(t, s)
	if len(all) != 1 || all[0].Ref != refOf(data) {
		t.Fatalf("listed %v", all)
	}
	// Clocks of remote stores count seconds, and may be a little off.
	if age := before.Sub(all[0].PutAt); age > time.Minute {
		t.Errorf("a fresh blob is %v old", age)
	}
	if err := in.Commit(t.Context(), sumsOf(data)); !errs.Is(errs.NotFound, err) {
		t.Errorf("the second Commit = %v", err)
	}
	if err := in.write(t.Context(), 0, in.part); !errs.Is(errs.NotFound, err) {
		t.Errorf("Write after Commit = %v", err)
	}
	if err := in.Abort(t.Context()); err != nil {
		t.Errorf("Abort after Commit = %v", err)
	}
	wantBytes(t, s, refOf(data), data)
}

// G56: sizes around every boundary, none at all too.
func stagedSizes(t *testing.T, s blob.Stager) {
	const b = blob.BlockSize
	for _, n := range []int64{0, 1, 64 << 10, 64<<10 + 1, b - 1, b, b + 1} {
		data := Bytes(n, n)
		in := stage(t, s, data)
		in.fill(t)
		in.commit(t)
		wantBytes(t, s, refOf(data), data)
	}
}

// Blocks by themselves, larger pieces, and the same again, all at once.
func stagedTogether(t *testing.T, s blob.Stager) {
	data := Bytes(11, 3*blob.BlockSize+17)
	in := stage(t, s, data)
	var wg sync.WaitGroup
	for off := int64(0); off < int64(len(data)); off += blob.BlockSize {
		for _, n := range []int64{blob.BlockSize, blob.BlockSize, 2 * blob.BlockSize} {
			wg.Go(func() {
				if err := in.write(t.Context(), off, n); err != nil {
					t.Errorf("%d bytes at %d: %v", n, off, err)
				}
			})
		}
	}
	wg.Wait()
	in.commit(t)
	wantBytes(t, s, refOf(data), data)
}

// D4: what a reader that failed has left counts as not written, and may be written later.
func stagedReaderFails(t *testing.T, s blob.Stager) {
	data := Bytes(12, blob.BlockSize+9)
	in := stage(t, s, data)
	broken := errors.New("the line is cut")
	half := io.MultiReader(bytes.NewReader(data[:blob.BlockSize/2]), iotest.ErrReader(broken))
	if err := in.Write(t.Context(), 0, blob.BlockSize, half); !errors.Is(err, broken) {
		t.Fatalf("Write = %v, want the reader's error", err)
	}
	if err := in.Write(t.Context(), 0, blob.BlockSize, bytes.NewReader(data[:9])); err == nil {
		t.Fatal("Write took a reader that ended early")
	}
	if err := in.write(t.Context(), blob.BlockSize, blob.BlockSize); err != nil {
		t.Fatal(err)
	}
	wantNoCommit(t, s, in)
	in.fill(t)
	in.commit(t)
	wantBytes(t, s, refOf(data), data)
}

// wantNoCommit fails if a session that is not whole makes a blob.
func wantNoCommit(t *testing.T, s blob.Stager, in session) {
	t.Helper()
	if err := in.Commit(t.Context(), sumsOf(in.data)); err == nil || errs.Is(errs.NotFound, err) {
		t.Fatalf("Commit of a blob that is not whole = %v", err)
	}
	if all := list(t, s); len(all) != 0 {
		t.Fatalf("listed %v", all)
	}
	if _, _, err := s.Open(t.Context(), refOf(in.data)); !errs.Is(errs.NotFound, err) {
		t.Fatalf("Open = %v", err)
	}
}

// D4: a Commit that came too early makes no blob and loses nothing; one after the last block succeeds.
func stagedBlocksMissing(t *testing.T, s blob.Stager) {
	for _, missing := range []int64{0, 1, 2} {
		data := Bytes(13+missing, 2*blob.BlockSize+9)
		in := stage(t, s, data)
		wantNoCommit(t, s, in)
		for i := range blob.Blocks(int64(len(data))) {
			if i == missing {
				continue
			}
			if err := in.write(t.Context(), i*blob.BlockSize, blob.BlockSize); err != nil {
				t.Fatal(err)
			}
		}
		wantNoCommit(t, s, in)
		if err := in.write(t.Context(), missing*blob.BlockSize, blob.BlockSize); err != nil {
			t.Fatal(err)
		}
		in.commit(t)
		wantBytes(t, s, refOf(data), data)
		drop(t, s, refOf(data))
	}
}

// wantOver fails unless nothing is there under a session's id.
func wantOver(t *testing.T, s blob.Stager, id string) {
	t.Helper()
	data := Bytes(14, 10)
	st, err := s.Staged(t.Context(), id, int64(len(data)))
	if errs.Is(errs.NotFound, err) {
		return
	}
	if err != nil {
		t.Fatalf("Staged(%q) = %v", id, err)
	}
	if err := st.Write(t.Context(), 0, int64(len(data)), bytes.NewReader(data)); !errs.Is(errs.NotFound, err) {
		t.Errorf("Write to %q = %v, want errs.NotFound", id, err)
	}
	if err := st.ReadAt(t.Context(), make([]byte, 1), 0); !errs.Is(errs.NotFound, err) {
		t.Errorf("ReadAt of %q = %v, want errs.NotFound", id, err)
	}
	if err := st.Commit(t.Context(), sumsOf(data)); !errs.Is(errs.NotFound, err) {
		t.Errorf("Commit of %q = %v, want errs.NotFound", id, err)
	}
	if err := st.Abort(t.Context()); err != nil {
		t.Errorf("Abort of %q = %v", id, err)
	}
}

func stagedAbort(t *testing.T, s blob.Stager) {
	data := Bytes(15, blob.BlockSize+1)
	in := stage(t, s, data)
	in.fill(t)
	for range 2 {
		if err := in.Abort(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wantOver(t, s, in.id)
	if all := list(t, s); len(all) != 0 {
		t.Fatalf("listed %v", all)
	}
}

// A blob that is there already, by whatever way it came, is put again.
func stagedOfWhatIsThere(t *testing.T, s blob.Stager) {
	for _, n := range []int64{0, 1000, blob.BlockSize + 1} {
		data := Bytes(16, n)
		put(t, s, data)
		for range 2 {
			in := stage(t, s, data)
			in.fill(t)
			in.commit(t)
			wantBytes(t, s, refOf(data), data)
		}
		put(t, s, data)
		if all := list(t, s); len(all) != 1 || all[0].Ref != refOf(data) {
			t.Errorf("%d bytes: listed %v", n, all)
		}
		drop(t, s, refOf(data))
		if all := list(t, s); len(all) != 0 {
			t.Errorf("%d bytes: left %v", n, all)
		}
	}
}

// S9: an id of nobody's making finds nothing, whatever it looks like.
func stagedUnknown(t *testing.T, s blob.Stager) {
	have := stage(t, s, Bytes(17, 10))
	for _, id := range []string{"", ".", "..", "/", "../store.json", "a/b", "AAAAAAAAAAAAAAAAAAAAAAAAAA", "%2e%2e",
		"x\x00y", have.id + "x", have.id + "/..", have.id[:len(have.id)-1]} {
		wantOver(t, s, id)
	}
	have.fill(t)
	have.commit(t)
	wantBytes(t, s, refOf(have.data), have.data)
}

// D7: the age of a blob counts from its Commit, and Commit and Delete of one blob exclude each other.
func stagedAge(t *testing.T, s blob.Stager) {
	var wg sync.WaitGroup
	data := Bytes(18, 1000)
	for range 4 {
		wg.Go(func() {
			for range 10 {
				before := time.Now().Add(-time.Minute)
				in, err := begin(t.Context(), s, data)
				if err == nil {
					err = in.Write(t.Context(), 0, int64(len(data)), bytes.NewReader(data))
				}
				if err == nil {
					err = in.Commit(t.Context(), sumsOf(data))
				}
				if err == nil {
					_, err = s.Delete(t.Context(), DigestOf(data), before)
				}
				if err == nil {
					err = same(t.Context(), s, refOf(data), data)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	drop(t, s, refOf(data))
	if _, _, err := s.Open(t.Context(), refOf(data)); !errs.Is(errs.NotFound, err) {
		t.Errorf("Open after Delete = %v", err)
	}
}

func begin(ctx context.Context, s blob.Stager, data []byte) (blob.Staged, error) {
	id, err := s.Stage(ctx, int64(len(data)))
	if err != nil {
		return nil, err
	}
	return s.Staged(ctx, id, int64(len(data)))
}

// Sweep drops by age what nobody has finished, and nothing else.
func sweep(t *testing.T, s blob.Stager) {
	kept := put(t, s, Bytes(19, 1000))
	done := stage(t, s, Bytes(20, blob.BlockSize+1))
	done.fill(t)
	done.commit(t)
	open := stage(t, s, Bytes(21, blob.BlockSize+1))
	if err := open.write(t.Context(), 0, blob.BlockSize); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Sweep(t.Context(), time.Now().Add(-time.Hour)); err != nil || got.Staged != 0 {
		t.Fatalf("Sweep of what is older than an hour = %+v, %v", got, err)
	}
	if err := open.write(t.Context(), blob.BlockSize, blob.BlockSize); err != nil {
		t.Fatalf("a young session was swept away: %v", err)
	}
	if got, err := s.Sweep(t.Context(), time.Now().Add(time.Hour)); err != nil || got.Staged != 1 {
		t.Fatalf("Sweep of everything = %+v, %v; want one session", got, err)
	}
	wantOver(t, s, open.id)
	wantBytes(t, s, kept, Bytes(19, 1000))
	wantBytes(t, s, refOf(done.data), done.data)
	if got, err := s.Sweep(t.Context(), time.Now().Add(time.Hour)); err != nil || got.Staged != 0 {
		t.Fatalf("the second Sweep = %+v, %v", got, err)
	}
}

// Blocks of another blob, small or large, arrive as if they had been written. A store that cannot copy a range says
// so and has done nothing.
func copyBlocks(t *testing.T, s blob.Stager) {
	const b = blob.BlockSize
	large, small := Bytes(22, 3*b+100), Bytes(23, 5000)
	put(t, s, large)
	put(t, s, small)
	// The old blob's second and third block first, a block of its own, then a small blob as the short last one.
	data := slices.Concat(large[b:3*b], Bytes(24, b), small)
	in := stage(t, s, data)
	c, ok := in.Staged.(blob.Copier)
	if !ok {
		return
	}
	for _, r := range []struct {
		off     int64
		of      []byte
		from, n int64
	}{{0, large, b, 2 * b}, {3 * b, small, 0, 5000}} {
		did, err := c.Copy(t.Context(), r.off, refOf(r.of), r.from, r.n)
		if err != nil {
			t.Fatal(err)
		}
		if !did {
			if err := in.write(t.Context(), r.off, r.n); err != nil {
				t.Fatal(err)
			}
		}
	}
	if did, err := c.Copy(t.Context(), 2*b, blob.Ref{Digest: blob.Digest{7}, Size: b}, 0, b); did || err != nil && !errs.Is(errs.NotFound, err) {
		t.Errorf("Copy of a blob that is not there = %v, %v", did, err)
	}
	if err := in.write(t.Context(), 2*b, b); err != nil {
		t.Fatal(err)
	}
	in.commit(t)
	wantBytes(t, s, refOf(data), data)
	wantBytes(t, s, refOf(large), large)
	wantBytes(t, s, refOf(small), small)
}

// F50: any process takes any block, and any commits.
func stagedByTwo(t *testing.T, first, second blob.Stager) {
	data := Bytes(25, first.PartSize(3*blob.BlockSize)+blob.BlockSize+5)
	in := stage(t, first, data)
	other := in
	other.Staged = staged(t, second, in.id, data)
	if in.Epoch() != other.Epoch() {
		t.Errorf("two openings at one time are of epochs %q and %q", in.Epoch(), other.Epoch())
	}
	var wg sync.WaitGroup
	for off := int64(0); off < int64(len(data)); off += in.part {
		for i, st := range []session{in, other} {
			if off > 0 && (off/in.part)%2 != int64(i) {
				continue // the first part comes from both
			}
			wg.Go(func() {
				if err := st.write(t.Context(), off, in.part); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	back := make([]byte, len(data))
	if err := in.ReadAt(t.Context(), back, 0); !in.cannotRead(err) && (err != nil || !bytes.Equal(back, data)) {
		t.Fatalf("the first reads back other bytes, %v", err)
	}
	other.commit(t)
	for _, s := range []blob.Stager{first, second} {
		wantBytes(t, s, refOf(data), data)
		wantOver(t, s, in.id)
	}
}

// Two that commit one session at once, and two sessions of the same bytes, make one blob.
func committedByTwo(t *testing.T, first, second blob.Stager) {
	data := Bytes(26, blob.BlockSize+5)
	in, again := stage(t, first, data), stage(t, second, data)
	in.fill(t)
	again.fill(t)
	commits := []blob.Staged{in.Staged, staged(t, second, in.id, data), again.Staged, staged(t, first, again.id, data)}
	failed := make([]error, len(commits))
	var wg sync.WaitGroup
	for i, st := range commits {
		wg.Go(func() { failed[i] = st.Commit(t.Context(), sumsOf(data)) })
	}
	wg.Wait()
	for i := 0; i < len(commits); i += 2 {
		if failed[i] != nil && failed[i+1] != nil {
			t.Errorf("nobody's Commit succeeded: %v, %v", failed[i], failed[i+1])
		}
	}
	for _, err := range failed {
		if err != nil && !errs.Is(errs.NotFound, err) {
			t.Errorf("Commit = %v", err)
		}
	}
	for _, s := range []blob.Stager{first, second} {
		wantBytes(t, s, refOf(data), data)
		if all := list(t, s); len(all) != 1 || all[0].Ref != refOf(data) {
			t.Errorf("listed %v", all)
		}
	}
}

// F50: what one process puts or deletes the other sees at once.
func smallByTwo(t *testing.T, first, second blob.Stager) {
	var wg sync.WaitGroup
	for i, s := range []blob.Stager{first, second} {
		for w := range 4 {
			wg.Go(func() {
				for n := range 20 {
					data := Bytes(int64(1000*i+100*w+n), 500)
					ref, err := blob.Write(t.Context(), s, bytes.NewReader(data), anything)
					for _, o := range []blob.Stager{first, second} {
						if err == nil {
							err = same(t.Context(), o, ref, data)
						}
					}
					if err == nil && n%2 == 0 {
						_, err = s.Delete(t.Context(), ref.Digest, time.Now().Add(time.Hour))
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	for _, s := range []blob.Stager{first, second} {
		if all := list(t, s); len(all) != 80 {
			t.Errorf("listed %d blobs, want 80", len(all))
		}
	}
}
