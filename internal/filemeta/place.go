package filemeta

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// child is a node by its name in a folder, as the batch so far leaves it; nil when there is none.
func (a *applier) child(parent NodeID, name string) (*node, error) {
	key := childKey{parent, name}
	if n, ok := a.children[key]; ok {
		return n, nil
	}
	n, err := child(a.tx, parent, name)
	if missing(err) {
		n, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	a.remember(key, n)
	return n, nil
}

func (a *applier) remember(key childKey, n *node) {
	if a.children == nil {
		a.children, a.nodes = make(map[childKey]*node), make(map[NodeID]*node)
	}
	if n != nil {
		if known, ok := a.nodes[n.ID]; ok {
			n = known // one node, one *node
		}
		a.nodes[n.ID] = n
	}
	a.children[key] = n
}

// folderAt finds a live folder, as the batch so far leaves it, or the first thing on the way to it that is none: then
// stop is what it is, nil when it is not there, and makes are the names from there on.
func (a *applier) folderAt(d *drive, p drivepath.Path) (id NodeID, stop *node, makes []drivepath.Name, err error) {
	key := folderKey{d.ID, p}
	if id, ok := a.folders[key]; ok {
		return id, nil, nil, nil
	}
	// No change of this batch moves a folder or takes one away.
	id, ok := a.memo.folder(d.ID, d.wasSeq, p)
	if !ok {
		id = d.RootID
		fresh := false
		names := p.Names()
		for i, name := range names {
			n, err := a.child(id, string(name))
			if err != nil || n == nil || n.Kind != folder {
				return id, n, names[i:], err
			}
			id, fresh = n.ID, fresh || n.fresh
		}
		if !fresh { // else it is there only if the transaction succeeds
			a.memo.learnFolder(d.ID, d.wasSeq, p, id)
		}
	}
	if a.folders == nil {
		a.folders = make(map[folderKey]NodeID)
	}
	a.folders[key] = id
	return id, nil, nil, nil
}

// prefetch reads what the commits' paths name now with one statement a folder.
func (a *applier) prefetch(jobs []job) error {
	if len(jobs) < 3 {
		return nil
	}
	names := make(map[NodeID][]string)
	for _, j := range jobs {
		if j.refused != nil {
			continue
		}
		d, err := a.driveOf(j.who().user)
		if missing(err) {
			continue
		}
		if err != nil {
			return err
		}
		parent, _, makes, err := a.folderAt(d, j.path.Dir())
		if err != nil {
			return err
		}
		if len(makes) == 0 {
			names[parent] = append(names[parent], string(j.path.Base()))
		}
	}
	for parent, ns := range names {
		for _, name := range ns {
			a.remember(childKey{parent, name}, nil)
		}
		if err := inLists(ns, func(marks string, args []any) error {
			found, err := nodesWhere(a.tx, "name IN ("+marks+") AND parent_id = ?", append(args, parent)...)
			for _, n := range found {
				a.remember(childKey{parent, n.Name}, n)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// slot is where a commit goes.
type slot struct {
	dir    drivepath.Path
	parent NodeID
	name   string
	// existing file to write a version of; nil: a new one.
	existing *node
	// makes are the names of folders to make below parent first, the outermost first.
	makes []drivepath.Name
}

// place works out where a commit goes and whether it may.
func (a *applier) place(d *drive, p drivepath.Path, t *filemetapb.Target) (slot, error) {
	const op = errs.Op("filemeta.place")
	sl := slot{dir: p.Dir(), name: string(p.Base())}
	var stop *node
	var err error
	sl.parent, stop, sl.makes, err = a.folderAt(d, sl.dir)
	switch {
	case err != nil:
		return sl, err
	case stop != nil:
		return sl, errs.E(errs.Conflict, op, errs.Code("not_a_folder"))
	case len(sl.makes) > 0 && !t.GetParents():
		return sl, errs.E(errs.NotFound, op, errs.Code("parent_not_found"))
	}
	if len(sl.makes) > 0 {
		return sl, precondition(t, nil)
	}
	n, err := a.child(sl.parent, sl.name)
	if err != nil {
		return sl, err
	}
	if err := precondition(t, n); err != nil {
		return sl, err
	}
	switch {
	case n == nil:
	case t.GetConflict() == filemetapb.Conflict_CONFLICT_RENAME:
		sl.name, err = freeName(sl.name, func(name string) (bool, error) {
			n, err := a.child(sl.parent, name)
			return n != nil, err
		})
		return sl, err
	case n.Kind != file:
		return sl, errs.E(errs.Conflict, op, errs.Code("is_a_folder"))
	case t.GetConflict() == filemetapb.Conflict_CONFLICT_FAIL:
		return sl, errs.E(errs.Exists, op, errs.Code("name_taken"))
	default:
		sl.existing = n
	}
	return sl, nil
}

// precondition checks If-Match and If-None-Match against what is there (RFC 9110, section 13.1; promise C5).
func precondition(t *filemetapb.Target, n *node) error {
	const op = errs.Op("filemeta.precondition")
	if t.GetIfNoneMatch() && n != nil {
		return errs.E(errs.Stale, op)
	}
	return matchETag(t.GetIfMatch(), n)
}

// matchETag checks an If-Match header, empty for none, against a node, nil for none.
func matchETag(header string, n *node) error {
	if header == "" {
		return nil
	}
	if n != nil {
		if strings.TrimSpace(header) == "*" {
			return nil
		}
		have := n.etag()
		for tag := range strings.SplitSeq(header, ",") {
			tag = strings.TrimSpace(tag)
			if tag == have || `"`+tag+`"` == have { // people forget the quotes
				return nil
			}
		}
	}
	return errs.E(errs.Stale, "filemeta.matchETag")
}

// freeName finds a name like one that is taken: "a (1).txt" for "a.txt".
func freeName(name string, taken func(string) (bool, error)) (string, error) {
	stem, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		stem, ext = name[:i], name[i:]
	}
	for i := 1; i < 1000; i++ {
		suffix := fmt.Sprintf(" (%d)%s", i, ext)
		s := stem
		for len(s)+len(suffix) > drivepath.MaxName {
			_, size := utf8.DecodeLastRuneInString(s)
			s = s[:len(s)-size]
		}
		if busy, err := taken(s + suffix); err != nil || !busy {
			return s + suffix, err
		}
	}
	return "", errs.E(errs.Exists, "filemeta.freeName", errs.Code("name_taken"))
}
