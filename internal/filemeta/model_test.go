package filemeta

import (
	"fmt"
	"slices"
	"strings"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// model is what a drive should be, in the plainest way: folders are maps, and every rule is written down a second
// time. The property test holds the real tree against it.
type model struct {
	limit int64
	root  *mnode
	// bin holds the entries that users see; doomed is what was purged and not yet taken apart, in bytes.
	bin    []*mnode
	doomed int64
	// gone are nodes that were purged.
	gone []*mnode
	done []replay
}

// mnode is a folder, which has kids, or a file, which has versions.
type mnode struct {
	id     NodeID // 0: not seen yet
	name   string
	parent *mnode // nil: the root, or in the trash, or purged
	kids   map[string]*mnode
	vers   []*filemetapb.Blob
	// etag as last seen; bumped says that it must be another one now. old are those it had before.
	etag   string
	bumped bool
	old    []string
	// Of an entry of the trash.
	origin     *mnode
	originName string
}

// replay is a write that had an Idempotency-Key.
type replay struct {
	target  *filemetapb.Target // of a commit; nil: of a folder or an update
	blob    *filemetapb.Blob
	folder  string
	parents bool
	update  *move
	key     string
	node    *mnode
	created bool
}

func newModel(limit int64) *model {
	return &model{limit: limit, root: &mnode{kids: map[string]*mnode{}}}
}

func (n *mnode) isFolder() bool { return n.kids != nil }

func (n *mnode) current() *filemetapb.Blob { return n.vers[len(n.vers)-1] }

// live tells whether n hangs below the root.
func (m *model) live(n *mnode) bool {
	for ; n != nil; n = n.parent {
		if n == m.root {
			return true
		}
	}
	return false
}

func (n *mnode) path() drivepath.Path {
	if n.parent == nil {
		return drivepath.Root
	}
	return n.parent.path().Join(drivepath.Name(n.name))
}

// within tells whether n is above or below it, or it itself.
func (n *mnode) within(above *mnode) bool {
	for ; n != nil; n = n.parent {
		if n == above {
			return true
		}
	}
	return false
}

// all gives n and what is below it.
func (n *mnode) all() []*mnode {
	list := []*mnode{n}
	names := make([]string, 0, len(n.kids))
	for name := range n.kids {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		list = append(list, n.kids[name].all()...)
	}
	return list
}

func (n *mnode) bytes() (sum int64) {
	for _, k := range n.all() {
		for _, v := range k.vers {
			sum += v.GetSize()
		}
	}
	return sum
}

// used is the sum of all versions there are (promise C7).
func (m *model) used() int64 {
	sum := m.root.bytes() + m.doomed
	for _, n := range m.bin {
		sum += n.bytes()
	}
	return sum
}

func (m *model) at(p drivepath.Path) *mnode {
	n := m.root
	for _, name := range p.Names() {
		if n = n.kids[string(name)]; n == nil {
			return nil
		}
	}
	return n
}

// place puts n into a folder, out of where it was.
func (m *model) place(n, parent *mnode, name string) {
	if n.parent != nil {
		delete(n.parent.kids, n.name)
	}
	n.parent, n.name = parent, name
	parent.kids[name] = n
}

func (m *model) add(parent *mnode, name string, isFolder bool) *mnode {
	n := &mnode{}
	if isFolder {
		n.kids = map[string]*mnode{}
	}
	m.place(n, parent, name)
	return n
}

// free is a name like one that is taken.
func (n *mnode) free(name string) string {
	stem, ext := name, ""
	if i := strings.LastIndex(name, "."); i > 0 {
		stem, ext = name[:i], name[i:]
	}
	for i := 1; ; i++ {
		if try := fmt.Sprintf("%s (%d)%s", stem, i, ext); n.kids[try] == nil {
			return try
		}
	}
}

// matches is If-Match.
func matches(header string, n *mnode) bool {
	return header == "" || n != nil && (header == "*" || header == n.etag)
}

// commit is what a commit does. code is why not; "" when it does.
func (m *model) commit(t *filemetapb.Target, b *filemetapb.Blob) (n *mnode, created bool, code string) {
	p := at(t.GetPath())
	parent, makes := m.root, []string(nil)
	for _, name := range p.Dir().Names() {
		kid := parent.kids[string(name)]
		switch {
		case len(makes) > 0 || kid == nil && t.GetParents():
			makes = append(makes, string(name))
		case kid == nil:
			return nil, false, "parent_not_found"
		case !kid.isFolder():
			return nil, false, "not_a_folder"
		default:
			parent = kid
		}
	}
	name := string(p.Base())
	if len(makes) == 0 {
		n = parent.kids[name]
	}
	switch {
	case t.GetIfNoneMatch() && n != nil, !matches(t.GetIfMatch(), n):
		return nil, false, "stale"
	case n == nil:
	case t.GetConflict() == filemetapb.Conflict_CONFLICT_RENAME:
		n, name = nil, parent.free(name)
	case n.isFolder():
		return nil, false, "is_a_folder"
	case t.GetConflict() == filemetapb.Conflict_CONFLICT_FAIL:
		return nil, false, "name_taken"
	}
	same := n != nil && string(n.current().GetDigest()) == string(b.GetDigest())
	if !same && m.used()+b.GetSize() > m.limit {
		return nil, false, "quota_exceeded"
	}
	for _, name := range makes {
		parent = m.add(parent, name, true)
	}
	if created = n == nil; created {
		n = m.add(parent, name, false)
	}
	if !same {
		n.vers, n.bumped = append(n.vers, b), true
	}
	return n, created, ""
}

// createFolder is what making a folder does.
func (m *model) createFolder(p drivepath.Path, parents bool) (*mnode, string) {
	n := m.root
	made := p.IsRoot()
	for i, name := range p.Names() {
		kid, last := n.kids[string(name)], i == p.Depth()-1
		switch {
		case kid == nil && !last && !parents:
			return nil, "parent_not_found"
		case kid == nil:
			kid, made = m.add(n, string(name), true), true
		case !kid.isFolder() && !last:
			return nil, "not_a_folder"
		case !kid.isFolder():
			return nil, "name_taken"
		}
		n = kid
	}
	if !made && !parents {
		return nil, "name_taken"
	}
	return n, ""
}

// update is what a rename or a move does to a node that may be anything, anywhere.
func (m *model) update(n *mnode, name string, to *mnode, toIsLive bool, ifMatch string) string {
	switch {
	case !m.live(n):
		return "not_found"
	case !matches(ifMatch, n):
		return "stale"
	case n == m.root:
		return "is_the_root"
	case !toIsLive:
		return "parent_not_found"
	}
	if to == nil {
		to = n.parent
	}
	if name == "" {
		name = n.name
	}
	switch taken := to.kids[name]; {
	case !to.isFolder():
		return "not_a_folder"
	case taken == n:
		return "" // it is there
	case to.within(n):
		return "into_itself"
	case taken != nil:
		return "name_taken"
	}
	m.place(n, to, name)
	n.bumped = true
	return ""
}

func (m *model) delete(n *mnode, ifMatch string) string {
	switch {
	case !m.live(n):
		return "not_found"
	case !matches(ifMatch, n):
		return "stale"
	case n == m.root:
		return "is_the_root"
	}
	n.origin, n.originName = n.parent, n.name
	delete(n.parent.kids, n.name)
	n.parent, n.bumped = nil, true
	m.bin = append(m.bin, n)
	return ""
}

// restore puts an entry of the trash into to, nil for where it was.
func (m *model) restore(n, to *mnode, rename bool) string {
	i := slices.Index(m.bin, n)
	if i < 0 {
		return "not_found"
	}
	if to == nil {
		to = n.origin
	}
	switch {
	case !m.live(to):
		return "parent_gone"
	case !to.isFolder():
		return "not_a_folder"
	}
	name := n.originName
	if to.kids[name] != nil {
		if !rename {
			return "name_taken"
		}
		name = to.free(name)
	}
	m.bin = slices.Delete(m.bin, i, i+1)
	m.place(n, to, name)
	n.bumped = true
	return ""
}

func (m *model) purge(n *mnode) string {
	i := slices.Index(m.bin, n)
	if i < 0 {
		return "not_found"
	}
	m.bin = slices.Delete(m.bin, i, i+1)
	m.doomed += n.bytes()
	m.gone = append(m.gone, n.all()...)
	return ""
}

// known are all nodes whose ids the test has seen, wherever they are now.
func (m *model) known() []*mnode {
	list := m.root.all()
	for _, n := range m.bin {
		list = append(list, n.all()...)
	}
	return append(list, m.gone...)
}
