package local

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

var (
	_ blob.Stager = (*Store)(nil)
	_ blob.Copier = (*staged)(nil)
)

// staged is a blob that grows in a file of its final size, with holes where nobody has written yet. Any process opens
// it for each piece; it becomes the blob's file, whatever its size.
type staged struct {
	store *Store
	id    string
	size  int64
}

// pieces are what bytes of a request pass through on their way to the file.
var pieces = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// Stage implements blob.Stager.
func (s *Store) Stage(_ context.Context, size int64) (string, error) {
	const op = errs.Op("local.Stage")
	id := rand.Text()
	err := s.on("create", func() error {
		f, err := s.root.OpenFile(stagePath(id), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(f.Truncate(size), f.Close())
	})
	if err != nil {
		return "", diskError(op, err)
	}
	return id, nil
}

// Staged implements blob.Stager.
func (s *Store) Staged(_ context.Context, id string, size int64) (blob.Staged, error) {
	if !validID(id) {
		return nil, errs.E(errs.NotFound, "local.Staged")
	}
	return &staged{s, id, size}, nil
}

// validID tells whether an id could be one of rand.Text.
func validID(id string) bool {
	return len(id) == 26 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

func stagePath(id string) string { return path.Join(stageDir, id) }

// PartSize implements blob.Stager.
func (s *Store) PartSize(int64) int64 { return blob.BlockSize }

// Sweep implements blob.Stager.
func (s *Store) Sweep(ctx context.Context, before time.Time) (swept blob.Swept, err error) {
	const op = errs.Op("local.Sweep")
	if err := s.sweepTmp(); err != nil {
		return swept, diskError(op, err)
	}
	files, err := fs.ReadDir(s.root.FS(), stageDir)
	if err != nil {
		return swept, diskError(op, err)
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return swept, errs.Wrap(op, err)
		}
		st, err := f.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // committed since
		}
		if err != nil {
			return swept, diskError(op, err)
		}
		if !validID(f.Name()) || !st.ModTime().Before(before) {
			continue
		}
		if err := s.root.Remove(stagePath(f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return swept, diskError(op, err)
		}
		swept.Staged++
		swept.Bytes += onDisk(st)
	}
	return swept, nil
}

// with runs fn on the open file.
func (st *staged) with(op errs.Op, flag int, fn func(*os.File) error) error {
	f, err := st.store.root.OpenFile(stagePath(st.id), flag, 0)
	if err != nil {
		return diskError(op, err)
	}
	return errors.Join(fn(f), closed(op, f))
}

func closed(op errs.Op, f *os.File) error {
	if err := f.Close(); err != nil {
		return diskError(op, err)
	}
	return nil
}

// check refuses a range that is not of whole blocks.
func (st *staged) check(op errs.Op, off, n int64) error {
	end := off + n
	if off < 0 || n < 0 || end > st.size || off%blob.BlockSize != 0 || end%blob.BlockSize != 0 && end != st.size {
		return errs.E(errs.Invalid, op, fmt.Errorf("%d bytes at %d of %d are not whole blocks", n, off, st.size))
	}
	return nil
}

// Write implements blob.Staged. The file is never truncated, so a straggler that writes the same bytes again after
// Commit changes nothing but the blob's time.
func (st *staged) Write(ctx context.Context, off, n int64, r io.Reader) error {
	const op = errs.Op("local.Staged.Write")
	if err := st.check(op, off, n); err != nil {
		return err
	}
	return st.with(op, os.O_WRONLY, func(f *os.File) error { return st.write(ctx, f, off, n, r) })
}

// turn is held by whoever writes to a staged file. The kernel lets one write at a time into a file and has the others
// spin meanwhile: an upload by four connections took a quarter more CPU for it. The last letter of an id is random.
func (s *Store) turn(id string) *sync.Mutex { return &s.turns[int(id[len(id)-1])%len(s.turns)] }

func (st *staged) write(ctx context.Context, f *os.File, off, n int64, r io.Reader) error {
	const op = errs.Op("local.Staged.Write")
	piece := pieces.Get().(*[]byte)
	defer pieces.Put(piece)
	turn := st.store.turn(st.id)
	begun := off
	for end := off + n; off < end; {
		if err := ctx.Err(); err != nil {
			return errs.Wrap(op, err)
		}
		b := (*piece)[:min(int64(len(*piece)), end-off)]
		if _, err := io.ReadFull(r, b); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		err := st.store.on("write", func() error {
			turn.Lock()
			defer turn.Unlock()
			_, err := f.WriteAt(b, off)
			return err
		})
		if err != nil {
			return diskError(op, err)
		}
		off += int64(len(b))
	}
	startWriteback(f, begun, n)
	return nil
}

// ReadAt implements blob.Staged.
func (st *staged) ReadAt(_ context.Context, p []byte, off int64) error {
	const op = errs.Op("local.Staged.ReadAt")
	return st.with(op, os.O_RDONLY, func(f *os.File) error {
		if _, err := f.ReadAt(p, off); err != nil {
			return diskError(op, err)
		}
		return nil
	})
}

// Epoch implements blob.Staged.
func (st *staged) Epoch() string { return st.store.epoch }

// Copy implements blob.Copier.
func (st *staged) Copy(ctx context.Context, off int64, of blob.Ref, from, n int64) (bool, error) {
	const op = errs.Op("local.Staged.Copy")
	if err := st.check(op, off, n); err != nil {
		return false, err
	}
	if from < 0 || from+n > of.Size {
		return false, errs.E(errs.Invalid, op, "a range outside of the blob")
	}
	src, _, err := st.store.Open(ctx, of)
	if errs.Is(errs.NotFound, err) {
		return false, nil
	}
	if err != nil {
		return false, errs.Wrap(op, err)
	}
	defer src.Close()
	err = st.with(op, os.O_WRONLY, func(f *os.File) error {
		if file, ok := src.(*os.File); ok {
			done := false
			err := st.store.on("copy", func() (err error) {
				done, err = copyRange(f, off, file, from, n)
				return err
			})
			if err != nil || done {
				return diskError(op, err)
			}
		}
		return st.write(ctx, f, off, n, io.NewSectionReader(src, from, n))
	})
	return err == nil, err
}

// Commit implements blob.Staged. The file keeps its name here until the blob's name has reached the disk, as a second
// one: a process that dies in between leaves a session that can be committed again.
func (st *staged) Commit(_ context.Context, sums []blob.Sum) error {
	const op = errs.Op("local.Staged.Commit")
	s := st.store
	return st.with(op, os.O_RDWR, func(f *os.File) error {
		if err := st.whole(f, sums); err != nil {
			return diskError(op, err)
		}
		// The blob is young from now on, however long ago its last block came; before fsync, which makes that
		// last.
		err := s.on("chtimes", func() error { return s.root.Chtimes(stagePath(st.id), time.Time{}, time.Now()) })
		if err != nil {
			return diskError(op, err)
		}
		if err := s.on("fsync", f.Sync); err != nil {
			// Nobody can tell any more what of it is on the disk (promise D9).
			return errors.Join(diskError(op, err), st.Abort(context.Background()))
		}
		tmp := rand.Text()
		if err := s.link(stagePath(st.id), path.Join(s.tmp, tmp)); err != nil {
			return diskError(op, err)
		}
		// Where a Commit before this one has got as far as the rename, both names are one file's, and renaming
		// does nothing.
		defer func() { _ = s.in.Remove(tmp) }()
		if err := s.place(tmp, blob.DigestOf(sums), sums); err != nil {
			return diskError(op, err)
		}
		// What stays is swept one day; committing it again would do no harm.
		_ = s.root.Remove(stagePath(st.id))
		return nil
	})
}

// whole fails if some of the file was never written. Where there is a hole, or may be one, the sums tell whether
// zeros belong there.
func (st *staged) whole(f *os.File, sums []blob.Sum) error {
	const op = errs.Op("local.Staged.whole")
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != st.size || blob.Blocks(st.size) != int64(len(sums)) {
		return errs.E(errs.Internal, op, fmt.Errorf("%d sums, %d bytes of %d", len(sums), info.Size(), st.size))
	}
	var block []byte
	for off := int64(0); off < st.size; {
		if off, err = nextHole(f, off); err != nil || off >= st.size {
			return err
		}
		i := off / blob.BlockSize
		if block == nil {
			block = make([]byte, min(blob.BlockSize, st.size))
		}
		b := block[:min(blob.BlockSize, st.size-i*blob.BlockSize)]
		if _, err := f.ReadAt(b, i*blob.BlockSize); err != nil {
			return err
		}
		if sha256.Sum256(b) != sums[i] {
			return errs.E(errs.Internal, op, fmt.Errorf("block %d was not written", i))
		}
		off = (i + 1) * blob.BlockSize
	}
	return nil
}

// link gives a file a second name. Where the file system has no such thing it moves it.
func (s *Store) link(from, to string) error {
	err := s.on("link", func() error { return s.root.Link(from, to) })
	for _, none := range []error{syscall.EPERM, syscall.ENOTSUP, syscall.ENOSYS, syscall.EMLINK} {
		if errors.Is(err, none) {
			return s.root.Rename(from, to)
		}
	}
	return err
}

// Abort implements blob.Staged.
func (st *staged) Abort(context.Context) error {
	if err := st.store.root.Remove(stagePath(st.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskError("local.Staged.Abort", err)
	}
	return nil
}
