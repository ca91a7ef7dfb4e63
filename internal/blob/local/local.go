// Package local keeps blobs as files in a folder of the machine, durable by fsync.
//
//	store.json      the store's id; without it the store does not open
//	ab/ab12…        a blob, in the folder of its digest's first byte
//	ab/ab12….sums   its block sums, 32 bytes each, if it has more than one block
//	tmp/p…/         what one process is writing; lock in it is held while that process lives
package local

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

const (
	idFile     = "store.json"
	tmpDir     = "tmp"
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

	// fault, set by tests alone, fails an operation on the disk in its place.
	fault func(op string) error
}

type identity struct {
	ID string `json:"id"`
}

// Init makes an empty store in dir and gives it an id. It does nothing to a store that is there.
func Init(dir, id string) error {
	const op = errs.Op("local.Init")
	if _, err := os.Stat(path.Join(dir, idFile)); err == nil {
		return nil
	}
	for i := range 256 {
		if err := os.MkdirAll(path.Join(dir, fmt.Sprintf("%02x", i)), 0o700); err != nil {
			return errs.E(errs.Internal, op, err)
		}
	}
	if err := os.MkdirAll(path.Join(dir, tmpDir), 0o700); err != nil {
		return errs.E(errs.Internal, op, err)
	}
	b, err := json.Marshal(identity{id})
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	// The id is written last: a store that has one is whole.
	f, err := os.OpenFile(path.Join(dir, idFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errs.E(errs.Internal, op, err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return errs.E(errs.Internal, op, err)
	}
	return nil
}

// Open opens the store in dir, which must have this id: an empty mount point in the store's place is an error
// and not an empty store (fault F18).
func Open(dir, id string) (*Store, error) {
	const op = errs.Op("local.Open")
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	s := &Store{dir: dir, root: root}
	if err := errors.Join(s.checkID(id), s.sweep(), s.claimTmp()); err != nil {
		return nil, errors.Join(errs.Wrap(op, err), root.Close())
	}
	return s, nil
}

func (s *Store) checkID(want string) error {
	b, err := s.root.ReadFile(idFile)
	if err != nil {
		return fmt.Errorf("the blob store in %s is missing or not mounted: %w", s.dir, err)
	}
	var have identity
	if err := json.Unmarshal(b, &have); err != nil {
		return fmt.Errorf("%s/%s: %w", s.dir, idFile, err)
	}
	if have.ID != want {
		return fmt.Errorf("the blob store in %s belongs to another drive (its id is %q, not %q)", s.dir, have.ID, want)
	}
	return nil
}

// sweep removes what processes that are gone have left half-written.
func (s *Store) sweep() error {
	dirs, err := fs.ReadDir(s.root.FS(), tmpDir)
	if err != nil {
		return err
	}
	for _, d := range dirs {
		name := path.Join(tmpDir, d.Name())
		lock := flock.New(path.Join(s.dir, name, lockFile))
		if free, err := lock.TryLock(); err != nil || !free {
			continue // its process lives, or it is not ours to judge
		}
		if err := errors.Join(s.root.RemoveAll(name), lock.Unlock()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) claimTmp() error {
	s.tmp = path.Join(tmpDir, "p"+rand.Text())
	if err := s.root.Mkdir(s.tmp, 0o700); err != nil {
		return err
	}
	s.lock = flock.New(path.Join(s.dir, s.tmp, lockFile))
	if _, err := s.lock.TryLock(); err != nil {
		return err
	}
	var err error
	s.in, err = s.root.OpenRoot(s.tmp)
	return err
}

// Close drops what is being written and lets go of the folder.
func (s *Store) Close() error {
	err := errors.Join(s.in.Close(), s.root.RemoveAll(s.tmp), s.lock.Unlock(), s.root.Close())
	if err != nil {
		return errs.E(errs.Internal, "local.Close", err)
	}
	return nil
}

// Check implements blob.Store.
func (s *Store) Check(context.Context) error {
	if _, err := s.root.Stat(idFile); err != nil {
		return diskError("local.Check", err)
	}
	if _, err := s.root.Stat(s.tmp); err != nil {
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

// Open implements blob.Store. The reader is an *os.File.
func (s *Store) Open(_ context.Context, ref blob.Ref) (blob.Reader, []blob.Sum, error) {
	const op = errs.Op("local.Store.Open")
	f, err := s.root.Open(name(ref.Digest))
	if err != nil {
		return nil, nil, diskError(op, err)
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
		return nil, nil, errors.Join(diskError(op, err), f.Close())
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
	found := false
	for _, f := range []string{n, n + sumsSuffix} {
		st, err := s.root.Lstat(f)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, diskError(op, err)
		}
		// The blob's time is both's; that of its sums counts where a crash left them alone.
		if !found && !st.ModTime().Before(putBefore) {
			return false, nil
		}
		if err := s.on("remove", func() error { return s.root.Remove(f) }); err != nil {
			return false, diskError(op, err)
		}
		found = true
	}
	return found, nil
}

// List implements blob.Store. Sums without their blob, which a crash can leave, are listed as a blob of size 0,
// so that they are collected like one.
func (s *Store) List(ctx context.Context, fn func(blob.Entry) error) error {
	const op = errs.Op("local.Store.List")
	for i := range 256 {
		dir := fmt.Sprintf("%02x", i)
		files, err := fs.ReadDir(s.root.FS(), dir)
		if err != nil {
			return diskError(op, err)
		}
		blobs := make(map[string]bool, len(files))
		for _, f := range files {
			blobs[f.Name()] = true
		}
		for _, f := range files {
			if err := ctx.Err(); err != nil {
				return errs.Wrap(op, err)
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
				return diskError(op, err)
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

// diskError gives an error of the file system its kind.
func diskError(op errs.Op, err error) error {
	var known *errs.Error
	switch {
	case errors.As(err, &known):
		return errs.Wrap(op, err)
	case errors.Is(err, fs.ErrNotExist):
		return errs.E(errs.NotFound, op, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return errs.E(errs.OverQuota, op, errs.Code("disk_full"), err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EROFS),
		errors.Is(err, fs.ErrPermission):
		return errs.E(errs.Busy, op, errs.Code("store_unavailable"), time.Second, err)
	}
	return errs.E(errs.Internal, op, err)
}

var _ blob.Store = (*Store)(nil)
