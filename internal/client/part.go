package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// keepFrom is from what size on the bytes of an interrupted download are kept for the next run.
const keepFrom = 8 << 20

// ErrBusyPart means that another process is fetching the same file to the same place.
var ErrBusyPart = errors.New("another gopan is fetching this file")

// buffers are for copying; their number follows the workers'.
var buffers = sync.Pool{New: func() any { return new([copyBuffer]byte) }}

// part is a file on its way: beside its target, under a name of ours.
type part struct {
	root *os.Root
	name string
	f    *os.File
	// digest of the bytes that it has.
	digest Digester
	// kept parts have a name that the next run finds.
	kept bool
}

// openPart opens the part of a file. A large file's name follows from its digest and its target's name, so that
// what an earlier run left is found, and read again since it counts toward the digest.
func (t *targetTree) openPart(ctx context.Context, rel string, n *Node) (*part, error) {
	p := &part{root: t.root, kept: n.Size >= keepFrom && n.Digest != ""}
	dir, base := filepath.Split(rel)
	if !p.kept {
		p.name = filepath.Join(dir, ".gopan-"+rand.Text()+".part")
		f, err := t.root.OpenFile(p.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		p.f = f
		return p, err
	}
	sum := sha256.Sum256([]byte(n.Digest + "\x00" + base))
	p.name = filepath.Join(dir, ".gopan-"+hex.EncodeToString(sum[:13])+".part")
	if err := p.openKept(); err != nil {
		return nil, err
	}
	if err := p.reread(ctx, n.Size); err != nil {
		p.f.Close()
		return nil, err
	}
	return p, nil
}

// openKept opens the part for this process alone.
func (p *part) openKept() error {
	for range 3 {
		f, err := p.root.OpenFile(p.name, os.O_RDWR|os.O_CREATE|noFollow, 0o666)
		if err != nil {
			return err
		}
		ok, err := tryLock(f)
		if err == nil && !ok {
			err = ErrBusyPart
		}
		if err != nil {
			f.Close()
			return err
		}
		// Another process may have put it in place between the opening and the lock.
		mine, err := f.Stat()
		now, nerr := p.root.Lstat(p.name)
		if err == nil && nerr == nil && mine.Mode().IsRegular() && os.SameFile(mine, now) {
			p.f = f
			return nil
		}
		f.Close()
	}
	return ErrBusyPart
}

// reread takes in the bytes that an earlier run left, if they can be the beginning of a file of size bytes.
func (p *part) reread(ctx context.Context, size int64) error {
	info, err := p.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > size {
		return p.restart()
	}
	buf := buffers.Get().(*[copyBuffer]byte)
	defer buffers.Put(buf)
	_, err = io.CopyBuffer(&p.digest, ctxReader{ctx, p.f}, buf[:])
	return err
}

// restart throws away what is there.
func (p *part) restart() error {
	p.digest = Digester{}
	if err := p.f.Truncate(0); err != nil {
		return err
	}
	_, err := p.f.Seek(0, io.SeekStart)
	return err
}

func (p *part) write(b []byte) error {
	if _, err := p.f.Write(b); err != nil {
		return err
	}
	p.digest.Write(b)
	return nil
}

// drop removes a part that failed with err, unless a later run can go on with it.
func (p *part) drop(err error) {
	if p.kept && p.digest.Size() > 0 && !errors.Is(err, ErrDigest) && !errors.Is(err, ErrChanged) {
		return
	}
	// What cannot be removed stays as a hidden file; the failure that led here is what is reported.
	_ = p.root.Remove(p.name)
}
