package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// aheadOf is how many files a listing may run ahead of the workers, so that the totals are known early.
const aheadOf = 4096

// ErrUnsafeName means that the server gave a name that is no name of a file here.
var ErrUnsafeName = errors.New("the name cannot be a file's name here")

// safeName tells whether a name that the server gave is one entry of a folder and nothing more.
func safeName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00") &&
		!strings.ContainsRune(name, filepath.Separator) && filepath.IsLocal(name)
}

// GetTree fetches files and folders, each to its place. Files that are there already, by size and digest, are
// not fetched again. Each file arrives under another name beside its target and is checked before it takes the
// target's place; nothing is written outside a fetched folder, whatever names and links there are. A file that
// fails is reported and does not stop the others; the error is what stopped them all.
func (t *Transfer) GetTree(ctx context.Context, pairs []Pair) (Summary, error) {
	return t.start(ctx, aheadOf, func(ctx context.Context, r *run) {
		for _, p := range pairs {
			if ctx.Err() != nil {
				break
			}
			r.getNamed(ctx, p)
		}
		r.progress.Planned()
	})
}

func (r *run) getNamed(ctx context.Context, p Pair) {
	it := &Item{Local: p.Local, Remote: p.Remote}
	node, err := r.Client.Stat(ctx, p.Remote)
	if err != nil {
		r.fail(ctx, it, err)
		return
	}
	it.Folder = node.IsFolder()
	dir, rel := p.Local, "."
	if !it.Folder {
		it.Size = node.Size
		dir, rel = filepath.Dir(p.Local), filepath.Base(p.Local)
		r.progress.Plan(1, node.Size)
	}
	_, missing := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		r.fail(ctx, it, err)
		return
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		r.fail(ctx, it, err)
		return
	}
	r.closeAfter(root)
	tree := &targetTree{run: r, root: root}
	if !it.Folder {
		r.queue(ctx, func() { tree.getFile(ctx, it, rel, node) })
		return
	}
	if missing != nil {
		r.done(ctx, it, Moved, nil)
	}
	tree.getFolder(ctx, it, rel)
}

// targetTree is a local folder that files arrive in.
type targetTree struct {
	*run
	root *os.Root
}

// getFolder fetches what is in a remote folder into the local one at rel, which is there.
func (t *targetTree) getFolder(ctx context.Context, it *Item, rel string) {
	type folder struct {
		it  *Item
		rel string
	}
	var folders []folder
	for n, err := range t.Client.List(ctx, it.Remote) {
		if err != nil {
			t.fail(ctx, it, err)
			break
		}
		sub := &Item{Remote: path.Join(it.Remote, n.Name), Local: it.Local, Folder: n.IsFolder()}
		if !safeName(n.Name) {
			sub.Remote = n.Path
			t.fail(ctx, sub, ErrUnsafeName)
			continue
		}
		sub.Local = filepath.Join(it.Local, n.Name)
		at := filepath.Join(rel, n.Name)
		if n.IsFolder() {
			folders = append(folders, folder{sub, at})
			continue
		}
		sub.Size = n.Size
		t.progress.Plan(1, n.Size)
		t.queue(ctx, func() { t.getFile(ctx, sub, at, &n) })
	}
	for _, f := range folders {
		if ctx.Err() != nil {
			return
		}
		made, err := t.mkdir(f.rel)
		if err != nil {
			t.fail(ctx, f.it, err)
			continue
		}
		if made {
			t.done(ctx, f.it, Moved, nil)
		}
		t.getFolder(ctx, f.it, f.rel)
	}
}

// mkdir makes a folder, or finds it.
func (t *targetTree) mkdir(rel string) (made bool, err error) {
	err = t.root.Mkdir(rel, 0o777)
	if !errors.Is(err, os.ErrExist) {
		return err == nil, err
	}
	info, err := t.root.Stat(rel)
	if err == nil && !info.IsDir() {
		err = ErrInTheWay
	}
	return false, err
}

// getFile fetches one file, unless it is there.
func (t *targetTree) getFile(ctx context.Context, it *Item, rel string, n *Node) {
	there, err := t.inPlace(ctx, rel, n)
	switch {
	case err != nil:
		t.fail(ctx, it, err)
		return
	case there:
		it.Digest = n.Digest
		t.done(ctx, it, Unchanged, nil)
		return
	}
	t.progress.Start(it)
	err = t.fetch(ctx, it, rel, n)
	if errors.Is(err, ErrChanged) || errors.Is(err, ErrDigest) {
		// It was replaced since it was listed, or damaged on the way: once more, with what is there now.
		var now *Node
		if now, err = t.Client.StatRef(ctx, ByID(n.ID)); err == nil {
			it.Size = now.Size
			err = t.fetch(ctx, it, rel, now)
		}
	}
	if err != nil {
		t.fail(ctx, it, err)
		return
	}
	t.done(ctx, it, Moved, nil)
}

// inPlace tells whether the target is the file already, and then gives it the file's time.
func (t *targetTree) inPlace(ctx context.Context, rel string, n *Node) (bool, error) {
	info, err := t.root.Lstat(rel)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case info.IsDir():
		return false, ErrInTheWay
	case !info.Mode().IsRegular() || info.Size() != n.Size || n.Digest == "":
		return false, nil
	}
	f, err := t.root.OpenFile(rel, os.O_RDONLY|noFollow, 0)
	if err != nil {
		// What cannot be read can perhaps be replaced.
		return false, nil
	}
	defer f.Close()
	digest, _, err := DigestOf(ctxReader{ctx, f})
	if err != nil {
		return false, ctx.Err()
	}
	if digest != n.Digest {
		return false, nil
	}
	return true, t.setTime(rel, n)
}

// setTime gives a file its content's time, where the server knows one.
func (t *targetTree) setTime(rel string, n *Node) error {
	if n.ModifiedAt.IsZero() {
		return nil
	}
	return t.root.Chtimes(rel, n.ModifiedAt, n.ModifiedAt)
}

// fetch brings a file's bytes beside their target, checks them and puts them in place.
func (t *targetTree) fetch(ctx context.Context, it *Item, rel string, n *Node) (err error) {
	p, err := t.openPart(ctx, rel, n)
	if err != nil {
		return err
	}
	it.Kept = p.digest.Size()
	t.progress.Kept(it, it.Kept)
	defer func() {
		if err != nil {
			t.progress.Advance(it, it.Kept-p.digest.Size())
			t.progress.Kept(it, -it.Kept)
			// Before the closing, which is the end of the lock.
			p.drop(err)
		}
		p.f.Close()
	}()
	if err := t.fill(ctx, it, p, n); err != nil {
		return err
	}
	it.Digest = p.digest.Hex()
	if p.digest.Size() != n.Size || n.Digest != "" && it.Digest != n.Digest {
		return ErrDigest
	}
	if t.Sync {
		if err := p.f.Sync(); err != nil {
			return err
		}
	}
	if err := p.f.Close(); err != nil {
		return err
	}
	if err := t.setTime(p.name, n); err != nil {
		return err
	}
	if err := t.root.Rename(p.name, rel); err != nil {
		return err
	}
	if t.Sync {
		return t.syncFolder(filepath.Dir(rel))
	}
	return nil
}

// fill gets the bytes that a part does not have.
func (t *targetTree) fill(ctx context.Context, it *Item, p *part, n *Node) error {
	if p.digest.Size() == n.Size {
		return nil
	}
	d, err := t.Client.Get(ctx, ByID(n.ID), p.digest.Size(), n.ETag)
	if HasStatus(err, http.StatusRequestedRangeNotSatisfiable) {
		return ErrChanged
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if d.Size >= 0 && d.Size != n.Size {
		return ErrChanged
	}
	if d.Offset != p.digest.Size() {
		if err := p.restart(); err != nil {
			return err
		}
		t.progress.Kept(it, -it.Kept)
		it.Kept = 0
	}
	buf := buffers.Get().(*[copyBuffer]byte)
	defer buffers.Put(buf)
	for {
		m, err := d.Read(buf[:])
		if p.digest.Size()+int64(m) > n.Size {
			return ErrDigest
		}
		if m > 0 {
			if err := p.write(buf[:m]); err != nil {
				return err
			}
			t.progress.Advance(it, int64(m))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *targetTree) syncFolder(rel string) error {
	d, err := t.root.Open(rel)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
