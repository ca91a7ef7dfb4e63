package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// pending is a file in the process's tmp folder.
type pending struct {
	store *Store
	name  string // in the process's tmp folder
	file  *os.File
	// written counts the bytes since the disk was last told to begin with them.
	written int64
	done    bool
}

// writebackEvery is how many bytes may gather in memory before the disk is told to begin writing them, so that
// a large file's fsync finds most of its work done.
const writebackEvery = 8 << 20

// Create implements blob.Store.
func (s *Store) Create(_ context.Context, _ int64) (blob.Pending, error) {
	p := &pending{store: s, name: rand.Text()}
	err := s.on("create", func() (err error) {
		p.file, err = s.in.OpenFile(p.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		return err
	})
	if err != nil {
		return nil, diskError("local.Store.Create", err)
	}
	return p, nil
}

// Write implements io.Writer.
func (p *pending) Write(b []byte) (int, error) {
	n := 0
	err := p.store.on("write", func() (err error) {
		n, err = p.file.Write(b)
		return err
	})
	if err != nil {
		return n, diskError("local.Write", err)
	}
	if p.written += int64(n); p.written >= writebackEvery {
		p.written = 0
		startWriteback(p.file)
	}
	return n, nil
}

// Commit implements blob.Pending. The order is what makes it durable: the bytes reach the disk, then the name
// points at them, then the name reaches the disk. A step that fails is not tried again (promise D9): after a
// failed fsync the kernel may have dropped the pages and would report success for nothing.
func (p *pending) Commit(_ context.Context, size int64, sums []blob.Sum) error {
	const op = errs.Op("local.Commit")
	defer p.Abort()
	s, target := p.store, name(blob.DigestOf(sums))
	st, err := p.file.Stat()
	if err != nil {
		return diskError(op, err)
	}
	if st.Size() != size {
		return errs.E(errs.Internal, op, fmt.Errorf("wrote %d bytes of %d", st.Size(), size))
	}
	if err := s.on("fsync", p.file.Sync); err != nil {
		return diskError(op, err)
	}
	dir, err := s.root.Open(path.Dir(target))
	if err != nil {
		return diskError(op, err)
	}
	defer dir.Close()
	// Shared: many at a time, but none while Delete looks at a time and removes. A blob that is there already
	// is replaced by its equal, whose fresh time keeps Delete away from it until the commit refers to it.
	if err := lockDir(dir, false); err != nil {
		return diskError(op, err)
	}
	if len(sums) > 1 {
		if err := p.putSums(target, sums); err != nil {
			return diskError(op, err)
		}
	}
	if err := s.on("rename", func() error { return s.root.Rename(path.Join(s.tmp, p.name), target) }); err != nil {
		return diskError(op, err)
	}
	if err := s.on("fsync dir", dir.Sync); err != nil {
		return diskError(op, err)
	}
	p.done = true
	if err := p.file.Close(); err != nil {
		return diskError(op, err)
	}
	return nil
}

// putSums writes the block sums beside the blob, before it.
func (p *pending) putSums(target string, sums []blob.Sum) error {
	b := make([]byte, 0, len(sums)*len(blob.Sum{}))
	for i := range sums {
		b = append(b, sums[i][:]...)
	}
	s, tmp := p.store, p.name+sumsSuffix
	f, err := s.in.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = s.on("fsync", f.Sync)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, s.in.Remove(tmp))
	}
	if err := s.on("rename", func() error { return s.root.Rename(path.Join(s.tmp, tmp), target+sumsSuffix) }); err != nil {
		return errors.Join(err, s.in.Remove(tmp))
	}
	return nil
}

// Abort implements blob.Pending.
func (p *pending) Abort() {
	if p.done {
		return
	}
	p.done = true
	// What cannot be removed now, the next process's sweep removes.
	_ = p.file.Close()
	_ = p.store.in.Remove(p.name)
}
