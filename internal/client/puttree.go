package client

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// listFrom is how many files have to go into one folder before its listing is cheaper than asking for each.
const listFrom = 8

// ErrSameName means that two names in one folder differ only in how their characters are composed; in a drive
// they are one name.
var ErrSameName = errors.New("another file in this folder has the same name in the drive")

// PutTree sends files and folders, each to its place, and makes the folders that are missing. What the server
// has already, by size and digest, is not sent again, so that a second run after an interruption sends only the
// rest. Symbolic links below the named folders are not followed: they and special files are reported as skipped.
// A file that fails is reported and does not stop the others; the error is what stopped them all.
func (t *Transfer) PutTree(ctx context.Context, pairs []Pair) (Summary, error) {
	if t.Unfinished != nil {
		t.Unfinished.Sweep(time.Now())
	}
	return t.start(ctx, 4*t.parallel(), func(ctx context.Context, r *run) {
		var scan sync.WaitGroup
		scan.Go(func() {
			for _, p := range pairs {
				r.count(ctx, p.Local)
			}
			r.progress.Planned()
		})
		n := namedFiles{run: r, in: map[string]int{}, views: map[string]view{}}
		for _, p := range pairs {
			n.in[path.Dir(p.Remote)]++
		}
		for _, p := range pairs {
			if ctx.Err() != nil {
				break
			}
			n.put(ctx, p)
		}
		n.flush(ctx)
		scan.Wait()
	})
}

// count plans the files below a name while the first of them are on their way already.
func (r *run) count(ctx context.Context, local string) {
	info, err := os.Stat(local)
	if err != nil || !info.IsDir() {
		if err == nil && info.Mode().IsRegular() {
			r.progress.Plan(1, info.Size())
		}
		return
	}
	root, err := os.OpenRoot(local)
	if err != nil {
		return
	}
	defer root.Close()
	// What cannot be read here is reported by the walk that sends.
	_ = fs.WalkDir(root.FS(), ".", func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return ctx.Err()
		}
		if info, err := e.Info(); err == nil {
			r.progress.Plan(1, info.Size())
		}
		return ctx.Err()
	})
}

// entry is what must be known of a node in a remote folder.
type entry struct {
	folder bool
	size   int64
	digest string
}

func entryOf(n *Node) entry { return entry{n.IsFolder(), n.Size, n.Digest} }

// view is a remote folder's entries by name; nil for a folder that is not there.
type view map[string]entry

// view lists a folder once.
func (r *run) view(ctx context.Context, folder string) (view, error) {
	v := view{}
	for n, err := range r.Client.List(ctx, folder) {
		if IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		v[n.Name] = entryOf(&n)
	}
	return v, nil
}

// namedFiles puts what was named itself, not found in a folder.
type namedFiles struct {
	*run
	// in counts the names that go into a remote folder; views are the folders that were listed.
	in    map[string]int
	views map[string]view
}

func (n *namedFiles) put(ctx context.Context, p Pair) {
	it := &Item{Local: p.Local, Remote: p.Remote}
	// A name that was given is followed if it is a link, as cp does.
	info, err := os.Stat(p.Local)
	if err != nil {
		n.fail(ctx, it, err)
		return
	}
	it.Folder = info.IsDir()
	if !it.Folder && !info.Mode().IsRegular() {
		n.done(ctx, it, Skipped, ErrSkipped)
		return
	}
	if !utf8.ValidString(p.Remote) {
		n.fail(ctx, it, ErrNotUTF8)
		return
	}
	have, err := n.lookup(ctx, norm.NFC.String(p.Remote), it.Folder)
	switch {
	case err != nil:
		n.fail(ctx, it, err)
	case have != nil && have.folder != it.Folder:
		n.fail(ctx, it, ErrInTheWay)
	case it.Folder:
		n.putRoot(ctx, it, have != nil)
	default:
		it.Size = info.Size()
		open := func() (*os.File, error) { return os.Open(p.Local) }
		n.file(ctx, &source{it, open, have})
	}
}

// lookup finds what is at a remote path; nil for nothing.
func (n *namedFiles) lookup(ctx context.Context, remote string, folder bool) (*entry, error) {
	if remote == "/" {
		return &entry{folder: true}, nil
	}
	dir := path.Dir(remote)
	if folder || n.in[dir] < listFrom {
		node, err := n.Client.Stat(ctx, remote)
		if IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		e := entryOf(node)
		return &e, nil
	}
	v, ok := n.views[dir]
	if !ok {
		var err error
		if v, err = n.view(ctx, dir); err != nil {
			return nil, err
		}
		n.views[dir] = v
	}
	if e, ok := v[path.Base(remote)]; ok {
		return &e, nil
	}
	return nil, nil
}

// putRoot sends a folder that was named.
func (r *run) putRoot(ctx context.Context, it *Item, exists bool) {
	root, err := os.OpenRoot(it.Local)
	if err != nil {
		r.fail(ctx, it, err)
		return
	}
	r.closeAfter(root)
	tree := &sourceTree{run: r, root: root}
	tree.putFolder(ctx, it, ".", exists)
}

// sourceTree is a local folder that is being sent.
type sourceTree struct {
	*run
	root *os.Root
}

// putFolder sends the folder at rel; exists tells whether the server has it.
func (s *sourceTree) putFolder(ctx context.Context, it *Item, rel string, exists bool) {
	entries, err := s.read(rel)
	if err != nil {
		s.fail(ctx, it, err)
		return
	}
	var have view
	if exists {
		if have, err = s.view(ctx, it.Remote); err != nil {
			s.fail(ctx, it, err)
			return
		}
	}
	type folder struct {
		it     *Item
		rel    string
		exists bool
	}
	var (
		folders []folder
		files   int
		seen    = make(map[string]bool, len(entries))
	)
	for _, e := range entries {
		if ctx.Err() != nil {
			return
		}
		sub := &Item{
			Local:  filepath.Join(it.Local, e.Name()),
			Remote: path.Join(it.Remote, e.Name()),
			Folder: e.IsDir(),
		}
		name := norm.NFC.String(e.Name())
		there, ok := have[name]
		switch {
		case !e.IsDir() && !e.Type().IsRegular():
			s.done(ctx, sub, Skipped, ErrSkipped)
		case !utf8.ValidString(e.Name()):
			s.fail(ctx, sub, ErrNotUTF8)
		case seen[name]:
			s.fail(ctx, sub, ErrSameName)
		case ok && there.folder != e.IsDir():
			s.fail(ctx, sub, ErrInTheWay)
		case e.IsDir():
			folders = append(folders, folder{sub, filepath.Join(rel, e.Name()), ok})
		default:
			files++
			s.putEntry(ctx, sub, filepath.Join(rel, e.Name()), e, there, ok)
		}
		seen[name] = true
	}
	if have == nil && files == 0 && len(folders) == 0 {
		// Any other folder appears with the first file below it.
		s.queue(ctx, func() { s.makeFolder(ctx, it) })
	}
	for _, f := range folders {
		if ctx.Err() != nil {
			return
		}
		s.putFolder(ctx, f.it, f.rel, f.exists)
	}
}

// read gives a folder's entries in the order of their names.
func (s *sourceTree) read(rel string) ([]fs.DirEntry, error) {
	d, err := s.root.Open(rel)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// putEntry queues a file that was found in a folder.
func (s *sourceTree) putEntry(ctx context.Context, it *Item, rel string, e fs.DirEntry, there entry, ok bool) {
	info, err := e.Info()
	if err != nil {
		s.fail(ctx, it, err)
		return
	}
	it.Size = info.Size()
	var have *entry
	if ok {
		have = &there
	}
	open := func() (*os.File, error) {
		f, err := s.root.OpenFile(rel, os.O_RDONLY|noFollow, 0)
		if err != nil {
			return nil, err
		}
		// A link may have taken its place since the folder was read.
		if now, err := f.Stat(); err != nil || !os.SameFile(info, now) {
			f.Close()
			return nil, ErrChanged
		}
		return f, nil
	}
	s.file(ctx, &source{it, open, have})
}

func (r *run) makeFolder(ctx context.Context, it *Item) {
	if _, err := r.Client.Mkdir(ctx, it.Remote, true); err != nil {
		r.fail(ctx, it, err)
		return
	}
	r.done(ctx, it, Moved, nil)
}
