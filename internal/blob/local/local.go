// Package local keeps blobs in a folder of the machine, durable by fsync: large ones as files, small ones as rows of a
// database, many to an fsync.
//
//	store.json      the store's id; without it the store does not open
//	small.db        SQLite: blobs of up to 64 KiB; small.db-wal and -shm belong to it
//	ab/ab12…        a larger blob, in the folder of its digest's first byte
//	ab/ab12….sums   its block sums, 32 bytes each, if it has more than one block
//	stage/ID        a blob that is being staged, by any process
//	tmp/p…/         what one process is writing; lock in it is held while that process lives
//
// A small blob may be a file too: it was staged, or put by a release that had no small.db. One that is both counts
// once: reads take the row first, Delete goes by the younger and removes both.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

const (
	idFile     = "store.json"
	tmpDir     = "tmp"
	stageDir   = "stage"
	lockFile   = "lock"
	sumsSuffix = ".sums"
)

// Store is a blob.Store in a folder.
type Store struct {
	dir  string
	root *os.Root
	tmp  string   // this process's folder for what is being written, below root,
	in   *os.Root // and opened: every upload makes a file in it
	lock *flock.Flock

	small *small
	epoch string
	turns [32]sync.Mutex // see turn

	// fault, set by tests alone, fails an operation on the disk in its place.
	fault func(op string) error
}

// Check implements blob.Store.
func (s *Store) Check(context.Context) error {
	for _, n := range []string{idFile, s.tmp, stageDir, smallFile} {
		if _, err := s.root.Stat(n); err != nil {
			return diskError("local.Check", err)
		}
	}
	if _, _, err := s.small.putAt(blob.Digest{}); err != nil {
		return diskError("local.Check", err)
	}
	return nil
}

// name of a blob's file below the root.
func name(d blob.Digest) string {
	h := d.String()
	return h[:2] + "/" + h
}

// on runs one operation on the disk, unless a test fails it.
func (s *Store) on(op string, fn func() error) error {
	if s.fault != nil {
		if err := s.fault(op); err != nil {
			return err
		}
	}
	return fn()
}

// Open implements blob.Store. The reader of a blob that is a file is an *os.File, that of one in the database holds
// its bytes in memory.
func (s *Store) Open(_ context.Context, ref blob.Ref) (blob.Reader, []blob.Sum, error) {
	const op = errs.Op("local.Store.Open")
	first, second := s.openRow, s.openFile
	if ref.Size > smallLimit {
		first, second = second, first
	}
	r, sums, err := first(ref)
	if errors.Is(err, fs.ErrNotExist) && !errs.Is(errs.Corrupt, err) {
		r, sums, err = second(ref)
	}
	if err != nil {
		return nil, nil, diskError(op, err)
	}
	return r, sums, nil
}

func (s *Store) openRow(ref blob.Ref) (blob.Reader, []blob.Sum, error) {
	const op = errs.Op("local.Store.openRow")
	data, err := s.small.get(ref.Digest)
	switch {
	case sqliteCode(err) == sqlite3.SQLITE_CORRUPT:
		return nil, nil, errs.E(errs.Corrupt, op, err)
	case err != nil:
		return nil, nil, err
	case int64(len(data)) != ref.Size:
		return nil, nil, errs.E(errs.Corrupt, op, fmt.Errorf("size %d, want %d", len(data), ref.Size))
	}
	return blob.InMemory(data), nil, nil
}

func (s *Store) openFile(ref blob.Ref) (blob.Reader, []blob.Sum, error) {
	const op = errs.Op("local.Store.openFile")
	f, err := s.root.Open(name(ref.Digest))
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil && (!st.Mode().IsRegular() || st.Size() != ref.Size) {
		err = errs.E(errs.Corrupt, op, fmt.Errorf("mode %v, size %d, want %d", st.Mode(), st.Size(), ref.Size))
	}
	var sums []blob.Sum
	if err == nil && ref.Size > blob.BlockSize {
		sums, err = s.readSums(ref)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, sums, nil
}

func (s *Store) readSums(ref blob.Ref) ([]blob.Sum, error) {
	b, err := s.root.ReadFile(name(ref.Digest) + sumsSuffix)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = errs.E(errs.Corrupt, "local.Store.readSums", err)
		}
		return nil, err
	}
	if int64(len(b)) != blob.Blocks(ref.Size)*int64(len(blob.Sum{})) {
		return nil, errs.E(errs.Corrupt, "local.Store.readSums", "wrong number of sums")
	}
	sums := make([]blob.Sum, 0, blob.Blocks(ref.Size))
	for ; len(b) > 0; b = b[len(blob.Sum{}):] {
		sums = append(sums, blob.Sum(b))
	}
	return sums, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(_ context.Context, d blob.Digest, putBefore time.Time) (bool, error) {
	const op = errs.Op("local.Store.Delete")
	n := name(d)
	dir, err := s.root.Open(path.Dir(n))
	if err != nil {
		return false, diskError(op, err)
	}
	defer dir.Close()
	// Exclusive: no Commit into this folder between the look at the time and the removal.
	if err := lockDir(dir, true); err != nil {
		return false, diskError(op, err)
	}
	at, isRow, err := s.small.putAt(d)
	if err != nil {
		return false, diskError(op, err)
	}
	if isRow && !at.Before(putBefore) {
		return false, nil
	}
	var files []string
	for _, f := range []string{n, n + sumsSuffix} {
		st, err := s.root.Lstat(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, diskError(op, err)
		}
		// The blob's time is both's; that of its sums counts where a crash left them alone.
		if len(files) == 0 && !st.ModTime().Before(putBefore) {
			return false, nil
		}
		files = append(files, f)
	}
	if isRow {
		// Looks at the time again: a row needs no lock on the folder to become young.
		if gone, err := s.small.drop(d, putBefore); !gone || err != nil {
			return false, diskError(op, err)
		}
	}
	for _, f := range files {
		if err := s.on("remove", func() error { return s.root.Remove(f) }); err != nil {
			return false, diskError(op, err)
		}
	}
	return isRow || len(files) > 0, nil
}

// List implements blob.Store. Sums without their blob, which a crash can leave, are listed as a blob of size 0,
// so that they are collected like one. A blob that becomes a row while it is listed as a file may come twice.
func (s *Store) List(ctx context.Context, fn func(blob.Entry) error) error {
	return s.list(ctx, 0, 0xff, s.small.list, fn)
}

// ListPart implements blob.PartLister.
func (s *Store) ListPart(ctx context.Context, first byte, fn func(blob.Entry) error) error {
	rows := func(ctx context.Context, fn func(blob.Entry) error) error { return s.small.listPart(ctx, first, fn) }
	return s.list(ctx, first, first, rows, func(e blob.Entry) error {
		if e.Foreign != "" {
			return nil
		}
		return fn(e)
	})
}

// list is List for the files whose digests begin with a byte from first to last, and for rows.
func (s *Store) list(ctx context.Context, first, last byte, rows func(context.Context, func(blob.Entry) error) error,
	fn func(blob.Entry) error,
) error {
	const op = errs.Op("local.Store.List")
	var refused error
	younger := make(map[blob.Digest]time.Time) // when files were put whose rows are older
	err := s.listFiles(ctx, first, last, func(e blob.Entry) error {
		if e.Foreign == "" && e.Size <= smallLimit {
			at, isRow, err := s.small.putAt(e.Digest)
			if err != nil {
				return err
			}
			if isRow { // listed below
				if e.PutAt.After(at) {
					younger[e.Digest] = e.PutAt
				}
				return nil
			}
		}
		refused = fn(e)
		return refused
	})
	if err == nil {
		err = rows(ctx, func(e blob.Entry) error {
			if at, ok := younger[e.Digest]; ok && at.After(e.PutAt) {
				e.PutAt = at
			}
			refused = fn(e)
			return refused
		})
	}
	if refused != nil {
		return refused
	}
	return diskError(op, err)
}

func (s *Store) listFiles(ctx context.Context, first, last byte, fn func(blob.Entry) error) error {
	for i := int(first); i <= int(last); i++ {
		dir := fmt.Sprintf("%02x", i)
		files, err := fs.ReadDir(s.root.FS(), dir)
		if err != nil {
			return err
		}
		blobs := make(map[string]bool, len(files))
		for _, f := range files {
			blobs[f.Name()] = true
		}
		for _, f := range files {
			if err := ctx.Err(); err != nil {
				return errs.Wrap("local.Store.List", err)
			}
			base, isSums := strings.CutSuffix(f.Name(), sumsSuffix)
			if isSums && blobs[base] {
				continue
			}
			st, err := f.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted since
			}
			if err != nil {
				return err
			}
			e := blob.Entry{Foreign: path.Join(dir, f.Name())}
			if d, err := blob.ParseDigest(base); err == nil && base[:2] == dir && st.Mode().IsRegular() {
				e = blob.Entry{Info: blob.Info{Ref: blob.Ref{Digest: d, Size: st.Size()}, PutAt: st.ModTime()}}
				if isSums {
					e.Size = 0
				}
			}
			if err := fn(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// diskError gives an error of the file system, or of SQLite, its kind.
func diskError(op errs.Op, err error) error {
	var known *errs.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return errs.Wrap(op, err)
	case errors.Is(err, fs.ErrNotExist):
		return errs.E(errs.NotFound, op, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), sqliteCode(err) == sqlite3.SQLITE_FULL:
		return errs.E(errs.OverQuota, op, errs.Code("disk_full"), err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EROFS),
		errors.Is(err, fs.ErrPermission), slices.Contains(passing, sqliteCode(err)):
		return errs.E(errs.Busy, op, errs.Code("store_unavailable"), time.Second, err)
	}
	return errs.E(errs.Internal, op, err)
}

// passing are the results of SQLite that another time, or another person's doing, can change.
var passing = []int{sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
	sqlite3.SQLITE_PERM}
