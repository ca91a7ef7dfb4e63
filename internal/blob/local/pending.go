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

// pending is a blob in memory, and from smallLimit on a file in the process's tmp folder.
type pending struct {
	store *Store
	buf   []byte

	file *os.File // nil while the blob is small
	name string   // of file, in the process's tmp folder
	// size of file, and how much of it the disk was told to begin with.
	size, begun int64
	done        bool
}

// writebackEvery is how many bytes may gather in memory before the disk is told to begin writing them, so that
// a large file's fsync finds most of its work done.
const writebackEvery = 8 << 20

// Create implements blob.Store.
func (s *Store) Create(_ context.Context, size int64) (blob.Pending, error) {
	p := &pending{store: s}
	if size <= smallLimit {
		p.buf = make([]byte, 0, max(size, 0))
		return p, nil
	}
	if err := p.create(); err != nil {
		return nil, diskError("local.Store.Create", err)
	}
	return p, nil
}

// create makes the file.
func (p *pending) create() error {
	p.name = rand.Text()
	return p.store.on("create", func() (err error) {
		p.file, err = p.store.in.OpenFile(p.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		return err
	})
}

// Write implements io.Writer.
func (p *pending) Write(b []byte) (int, error) {
	const op = errs.Op("local.Write")
	if p.file == nil {
		if len(p.buf)+len(b) <= smallLimit {
			p.buf = append(p.buf, b...)
			return len(b), nil
		}
		if err := p.create(); err != nil {
			return 0, diskError(op, err)
		}
		if _, err := p.append(p.buf); err != nil {
			return 0, diskError(op, err)
		}
		p.buf = nil
	}
	n, err := p.append(b)
	if err != nil {
		return n, diskError(op, err)
	}
	return n, nil
}

// append writes to the end of the file.
func (p *pending) append(b []byte) (n int, err error) {
	err = p.store.on("write", func() (err error) {
		n, err = p.file.Write(b)
		return err
	})
	p.size += int64(n)
	if p.size-p.begun >= writebackEvery {
		startWriteback(p.file, p.begun, p.size-p.begun)
		p.begun = p.size
	}
	return n, err
}

// Commit implements blob.Pending.
func (p *pending) Commit(_ context.Context, size int64, sums []blob.Sum) error {
	const op = errs.Op("local.Commit")
	defer p.Abort()
	s, d := p.store, blob.DigestOf(sums)
	if have := p.size + int64(len(p.buf)); have != size {
		return errs.E(errs.Internal, op, fmt.Errorf("wrote %d bytes of %d", have, size))
	}
	if p.file == nil {
		if err := s.small.put(d, p.buf); err != nil {
			return diskError(op, err)
		}
		return nil
	}
	if err := s.on("fsync", p.file.Sync); err != nil {
		return diskError(op, err)
	}
	if err := s.place(p.name, d, sums); err != nil {
		return diskError(op, err)
	}
	p.done = true
	if err := p.file.Close(); err != nil {
		return diskError(op, err)
	}
	return nil
}

// Abort implements blob.Pending.
func (p *pending) Abort() {
	if p.done || p.file == nil {
		return
	}
	p.done = true
	// What cannot be removed now, the next process's sweep removes.
	_ = p.file.Close()
	_ = p.store.in.Remove(p.name)
}

// place gives a file of the process's tmp folder, whose bytes are on the disk, the name of its blob. The order is
// what makes it durable: the bytes reach the disk, then the name points at them, then the name reaches the disk. A
// step that fails is not tried again (promise D9): after a failed fsync the kernel may have dropped the pages and
// would report success for nothing.
func (s *Store) place(tmp string, d blob.Digest, sums []blob.Sum) error {
	target := name(d)
	dir, err := s.root.Open(path.Dir(target))
	if err != nil {
		return err
	}
	defer dir.Close()
	// Shared: many at a time, but none while Delete looks at a time and removes. A blob that is there already
	// is replaced by its equal, whose fresh time keeps Delete away from it until the commit refers to it.
	if err := lockDir(dir, false); err != nil {
		return err
	}
	if len(sums) > 1 {
		if err := s.putSums(tmp+sumsSuffix, target+sumsSuffix, sums); err != nil {
			return err
		}
	}
	if err := s.on("rename", func() error { return s.root.Rename(path.Join(s.tmp, tmp), target) }); err != nil {
		return err
	}
	return s.on("fsync dir", dir.Sync)
}

// putSums writes the block sums beside the blob, before it.
func (s *Store) putSums(tmp, target string, sums []blob.Sum) error {
	b := make([]byte, 0, len(sums)*len(blob.Sum{}))
	for i := range sums {
		b = append(b, sums[i][:]...)
	}
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
	if err := s.on("rename", func() error { return s.root.Rename(path.Join(s.tmp, tmp), target) }); err != nil {
		return errors.Join(err, s.in.Remove(tmp))
	}
	return nil
}
