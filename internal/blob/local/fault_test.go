package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/errs"
)

func sumsOf(data []byte) (sums []blob.Sum) {
	for block := range slices.Chunk(data, blob.BlockSize) {
		sums = append(sums, sha256.Sum256(block))
	}
	return sums
}

// attempt is a way for a blob to come in, again and again until it is there.
type attempt struct {
	name string
	size int64
	// ops are what it does to the disk, in order, with writes that follow one another as one.
	ops string
	// start makes a first try and gives what the next ones do.
	start func(s *Store, data []byte, sums []blob.Sum) func(context.Context) error
}

func put(s *Store, data []byte, _ []blob.Sum) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := blob.Write(ctx, s, bytes.NewReader(data), blob.Want{Size: int64(len(data)), Limit: -1})
		return err
	}
}

// stageAll stages a blob, part by part or by fill, and goes on where it was when it is called again.
func stageAll(fill func(ctx context.Context, st blob.Staged, data []byte) error) func(*Store, []byte, []blob.Sum) func(context.Context) error {
	return func(s *Store, data []byte, sums []blob.Sum) func(context.Context) error {
		id, filled := "", false
		return func(ctx context.Context) (err error) {
			for {
				if id == "" {
					if id, err = s.Stage(ctx, int64(len(data))); err != nil {
						return err
					}
					filled = false
				}
				st, err := s.Staged(ctx, id, int64(len(data)))
				if err == nil && !filled {
					err = fill(ctx, st, data)
				}
				if err != nil {
					return err
				}
				filled = true
				if err = st.Commit(ctx, sums); !errs.Is(errs.NotFound, err) {
					return err
				}
				id = "" // dropped: all over again
			}
		}
	}
}

func writeParts(ctx context.Context, st blob.Staged, data []byte) error {
	for off := 0; off < len(data); off += blob.BlockSize {
		part := data[off:min(off+blob.BlockSize, len(data))]
		if err := st.Write(ctx, int64(off), int64(len(part)), bytes.NewReader(part)); err != nil {
			return err
		}
	}
	return nil
}

// attempts are all ways in.
func attempts() []attempt {
	return []attempt{
		{"small", 100, "begin, write, fsync", put},
		{"file", smallLimit + 1, "create, write, fsync, rename, fsync dir", put},
		{"large file", blob.BlockSize + 1, "create, write, fsync, fsync, rename, rename, fsync dir", put},
		{"staged", blob.BlockSize + 1, "create, write, chtimes, fsync, link, fsync, rename, rename, fsync dir", stageAll(writeParts)},
		{"staged nothing", 0, "create, chtimes, fsync, link, rename, fsync dir", stageAll(writeParts)},
	}
}

// D4, D9, F14, F16, F17, G38: whichever operation on the disk fails, and however, the blob does not come in, nothing
// wrong is in sight, nothing is tried again by itself, and the next attempt succeeds.
func TestEveryDiskOperationFails(t *testing.T) {
	for _, a := range attempts() {
		data := blobtest.Bytes(a.size, a.size)
		sums := sumsOf(data)
		ref := blob.Ref{Digest: blobtest.DigestOf(data), Size: a.size}
		for _, cause := range []struct {
			err  error
			kind errs.Kind
		}{{syscall.EIO, errs.Internal}, {syscall.ENOSPC, errs.OverQuota}, {syscall.EROFS, errs.Busy}} {
			t.Run(a.name+" "+cause.err.Error(), func(t *testing.T) {
				s := open(t)
				for n := 1; ; n++ {
					try := a.start(s, data, sums)
					var ops []string
					s.fault = func(op string) error {
						ops = append(ops, op)
						if len(ops) == n {
							return cause.err
						}
						return nil
					}
					err := try(t.Context())
					s.fault = nil
					if len(ops) < n {
						if err != nil {
							t.Fatal(err)
						}
						break
					}
					failed := ops[n-1]
					if !errs.Is(cause.kind, err) || !errors.Is(err, cause.err) {
						t.Fatalf("operation %d, %s, failed with %v: the answer is %v", n, failed, cause.err, err)
					}
					if len(ops) != n {
						t.Fatalf("after %s failed: %v", failed, ops[n:])
					}
					// A failed fsync of the folder comes after the rename: the blob may be there, whole, for gc to
					// collect; nothing refers to it.
					if _, _, err := s.Open(t.Context(), ref); failed != "fsync dir" && !errs.Is(errs.NotFound, err) {
						t.Fatalf("after %s failed: Open = %v", failed, err)
					}
					wantOnly(t, s, ref, data)
					if err := try(t.Context()); err != nil {
						t.Fatalf("after %s failed, the next attempt: %v", failed, err)
					}
					if !wantOnly(t, s, ref, data) {
						t.Fatalf("after %s failed, the next attempt made no blob", failed)
					}
					wantNoRest(t, s)
					if gone, err := s.Delete(t.Context(), ref.Digest, later()); !gone || err != nil {
						t.Fatalf("Delete = %v, %v", gone, err)
					}
				}
			})
		}
	}
}

// wantOnly fails if anything but the blob is to be seen, and tells whether that is.
func wantOnly(t *testing.T, s *Store, ref blob.Ref, data []byte) bool {
	t.Helper()
	there := false
	if err := s.List(t.Context(), func(e blob.Entry) error {
		// Sums may be there without their blob.
		if e.Digest != ref.Digest || e.Size != ref.Size && e.Size != 0 {
			t.Fatalf("listed %+v", e)
		}
		there = there || e.Size == ref.Size
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if there {
		wantBytes(t, s, ref, data)
	}
	return there
}

func wantBytes(t *testing.T, s blob.Store, ref blob.Ref, data []byte) {
	t.Helper()
	r, err := (&blob.Verifier{Store: s, Always: true}).Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := got.ReadFrom(r); err != nil || !bytes.Equal(got.Bytes(), data) {
		t.Fatalf("read %d bytes, %v; want %d", got.Len(), err, len(data))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// wantNoRest fails if something is left of what was being written.
func wantNoRest(t *testing.T, s *Store) {
	t.Helper()
	for _, dir := range []string{s.tmp, stageDir} {
		left, err := filepath.Glob(filepath.Join(s.dir, dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range left {
			if filepath.Base(f) != lockFile {
				t.Fatalf("%s is left", f)
			}
		}
	}
}

// G37: the bytes reach the disk before the name, and the name before the answer.
func TestOrderOfDurability(t *testing.T) {
	for _, a := range attempts() {
		s := open(t)
		data := blobtest.Bytes(a.size, a.size)
		try := a.start(s, data, sumsOf(data))
		var ops []string
		s.fault = func(op string) error { ops = append(ops, op); return nil }
		if err := try(t.Context()); err != nil {
			t.Fatal(err)
		}
		ops = slices.CompactFunc(ops, func(a, b string) bool { return a == "write" && b == "write" })
		if got := strings.Join(ops, ", "); got != a.ops {
			t.Errorf("%s: %s, want %s", a.name, got, a.ops)
		}
	}
}

// D4, D9: when one of the disk operations of a group fails, each that was told of success is there, none that was told
// of failure is, and nobody is left without an answer.
func TestGroupFails(t *testing.T) {
	const writers = 8
	for n := 1; ; n++ {
		s := open(t)
		count := 0
		s.fault = func(string) error {
			if count++; count == n {
				return syscall.EIO
			}
			return nil
		}
		var failed [writers]error
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() { failed[i] = put(s, blobtest.Bytes(int64(i), 100), nil)(t.Context()) })
		}
		wg.Wait()
		s.fault = nil
		for i, err := range failed {
			data := blobtest.Bytes(int64(i), 100)
			ref := blob.Ref{Digest: blobtest.DigestOf(data), Size: 100}
			if err == nil {
				wantBytes(t, s, ref, data)
				continue
			}
			if !errors.Is(err, syscall.EIO) {
				t.Fatal(err)
			}
			if _, _, err := s.Open(t.Context(), ref); !errs.Is(errs.NotFound, err) {
				t.Fatalf("operation %d failed: Open of a blob that was refused = %v", n, err)
			}
			if err := put(s, data, nil)(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantBytes(t, s, ref, data)
		}
		if count < n {
			break
		}
	}
}

// D9, F17: a file whose fsync failed is never made a blob, though its bytes can be read and a second fsync would succeed.
func TestFsyncOfStagedFails(t *testing.T) {
	s := open(t)
	data := blobtest.Bytes(1, blob.BlockSize+1)
	id, err := s.Stage(t.Context(), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Staged(t.Context(), id, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if err := writeParts(t.Context(), st, data); err != nil {
		t.Fatal(err)
	}
	sums := sumsOf(data)
	s.fault = func(op string) error {
		if op == "fsync" {
			return syscall.EIO
		}
		return nil
	}
	if err := st.Commit(t.Context(), sums); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Commit = %v", err)
	}
	s.fault = nil
	if err := st.Commit(t.Context(), sums); !errs.Is(errs.NotFound, err) {
		t.Errorf("Commit after a failed fsync = %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.dir, stagePath(id))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}
