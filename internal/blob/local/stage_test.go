package local

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/errs"
)

// begun gives a session and the path of its file.
func begun(t *testing.T, s *Store, size int64) (blob.Staged, string) {
	t.Helper()
	id, err := s.Stage(t.Context(), size)
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Staged(t.Context(), id, size)
	if err != nil {
		t.Fatal(err)
	}
	return st, filepath.Join(s.dir, stagePath(id))
}

// A session takes the disk that was written to, and no more.
func TestStagedIsSparse(t *testing.T) {
	s := open(t)
	st, path := begun(t, s, 1<<30)
	block := blobtest.Bytes(1, blob.BlockSize)
	if err := st.Write(t.Context(), 512<<20, blob.BlockSize, bytes.NewReader(block)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := onDisk(info); n > 2*blob.BlockSize {
		t.Errorf("%d bytes on the disk", n)
	}
	if swept, err := s.Sweep(t.Context(), later()); err != nil || swept.Staged != 1 || swept.Bytes > 2*blob.BlockSize {
		t.Errorf("Sweep = %+v, %v", swept, err)
	}
}

// Blocks of zeros are content like any other, though a file system may keep them as holes.
func TestStagedZeros(t *testing.T) {
	s := open(t)
	data := make([]byte, 2*blob.BlockSize+1)
	st, _ := begun(t, s, int64(len(data)))
	if err := st.Commit(t.Context(), sumsOf(data)); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, s, blob.Ref{Digest: blobtest.DigestOf(data), Size: int64(len(data))}, data)
}

// D7: a blob whose last block came long ago is young from its Commit on.
func TestStagedIsYoung(t *testing.T) {
	s := open(t)
	data := blobtest.Bytes(1, blob.BlockSize)
	st, path := begun(t, s, blob.BlockSize)
	if err := writeParts(t.Context(), st, data); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-100 * time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	if err := st.Commit(t.Context(), sumsOf(data)); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.Delete(t.Context(), blobtest.DigestOf(data), time.Now().Add(-time.Hour)); gone || err != nil {
		t.Errorf("Delete = %v, %v", gone, err)
	}
}

// F05: a process that dies between the blob's name and the end of the session leaves one that can be committed again.
func TestCommitAgainAfterCrash(t *testing.T) {
	s := open(t)
	data := blobtest.Bytes(1, blob.BlockSize+1)
	st, path := begun(t, s, int64(len(data)))
	if err := writeParts(t.Context(), st, data); err != nil {
		t.Fatal(err)
	}
	sums := sumsOf(data)
	if err := st.Commit(t.Context(), sums); err != nil {
		t.Fatal(err)
	}
	ref := blob.Ref{Digest: blobtest.DigestOf(data), Size: int64(len(data))}
	if err := os.Link(filepath.Join(s.dir, name(ref.Digest)), path); err != nil {
		t.Fatal(err)
	}
	if err := st.Commit(t.Context(), sums); err != nil {
		t.Fatalf("Commit again = %v", err)
	}
	wantNoRest(t, s)
	wantBytes(t, s, ref, data)
}

// A file system without hard links does, too.
func TestCommitWithoutLinks(t *testing.T) {
	s := open(t)
	s.fault = func(op string) error {
		if op == "link" {
			return syscall.EPERM
		}
		return nil
	}
	data := blobtest.Bytes(1, blob.BlockSize+1)
	st, _ := begun(t, s, int64(len(data)))
	if err := writeParts(t.Context(), st, data); err != nil {
		t.Fatal(err)
	}
	if err := st.Commit(t.Context(), sumsOf(data)); err != nil {
		t.Fatal(err)
	}
	wantNoRest(t, s)
	wantBytes(t, s, blob.Ref{Digest: blobtest.DigestOf(data), Size: int64(len(data))}, data)
}

// A request that still writes its block when the blob is committed already does no harm.
func TestStragglerAfterCommit(t *testing.T) {
	s := open(t)
	data := blobtest.Bytes(1, blob.BlockSize)
	st, _ := begun(t, s, blob.BlockSize)
	r, w := io.Pipe()
	done := make(chan error)
	go func() { done <- st.Write(t.Context(), 0, blob.BlockSize, r) }()
	if _, err := w.Write(data[:1<<20]); err != nil { // it has opened the file
		t.Fatal(err)
	}
	if err := writeParts(t.Context(), st, data); err != nil {
		t.Fatal(err)
	}
	if err := st.Commit(t.Context(), sumsOf(data)); err != nil {
		t.Fatal(err)
	}
	ref := blob.Ref{Digest: blobtest.DigestOf(data), Size: blob.BlockSize}
	wantBytes(t, s, ref, data)
	if _, err := w.Write(data[1<<20:]); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantBytes(t, s, ref, data)
}

// F01: Sweep goes by the time of the last write, and leaves alone what is not a session.
func TestSweepOfSessions(t *testing.T) {
	s := open(t)
	old := time.Now().Add(-100 * time.Hour)
	var paths []string
	for _, age := range []time.Time{old, time.Now(), old} {
		_, path := begun(t, s, 10)
		if err := os.Chtimes(path, age, age); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	foreign := filepath.Join(s.dir, stageDir, "README")
	if err := os.WriteFile(foreign, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(foreign, old, old); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(s.dir, tmpDir, "pDEAD")
	if err := os.Mkdir(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	if swept, err := s.Sweep(t.Context(), time.Now().Add(-time.Hour)); err != nil || swept.Staged != 2 {
		t.Errorf("Sweep = %+v, %v", swept, err)
	}
	for path, want := range map[string]bool{paths[0]: false, paths[1]: true, paths[2]: false, foreign: true, dead: false} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", path, err, want)
		}
	}
}

// Ranges that are not of whole blocks, or outside of the blob, are refused, and nothing is written.
func TestStagedRanges(t *testing.T) {
	s := open(t)
	ref := mustPut(t, s, blobtest.Bytes(1, 10))
	st, path := begun(t, s, blob.BlockSize+10)
	for _, r := range [][2]int64{{1, 9}, {0, 10}, {0, blob.BlockSize + 11}, {blob.BlockSize, 9}, {-blob.BlockSize, blob.BlockSize},
		{2 * blob.BlockSize, 0}, {blob.BlockSize, -blob.BlockSize}} {
		if err := st.Write(t.Context(), r[0], r[1], bytes.NewReader(make([]byte, 2*blob.BlockSize))); !errs.Is(errs.Invalid, err) {
			t.Errorf("Write of %d bytes at %d = %v", r[1], r[0], err)
		}
	}
	for _, r := range [][3]int64{{blob.BlockSize, 1, 10}, {blob.BlockSize, -1, 10}, {blob.BlockSize, 0, 9}} {
		if did, err := st.(blob.Copier).Copy(t.Context(), r[0], ref, r[1], r[2]); did || !errs.Is(errs.Invalid, err) {
			t.Errorf("Copy of %d bytes from %d to %d = %v, %v", r[2], r[1], r[0], did, err)
		}
	}
	if info, err := os.Stat(path); err != nil || onDisk(info) != 0 {
		t.Errorf("%v, %v", info, err)
	}
}
