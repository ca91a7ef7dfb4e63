package download

import (
	"context"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// tree is the filemeta role as one actor sees it.
type tree struct {
	filemetapb.FileMetaClient
	actor *filemetapb.Actor
}

// entry is one thing of an archive.
type entry struct {
	// name in the archive, with "/" between folders, and at the end of a folder's. Only the drive's root has none.
	name string
	node *filemetapb.Node
}

// walkPage is how many children are listed at once. With a page for each of the 64 levels that there may be, a walk
// holds a few megabytes at most.
const walkPage = 250

// level is a folder that is being walked: what was listed of it and is still to come.
type level struct {
	prefix string
	folder int64
	nodes  []*filemetapb.Node
	next   string
	listed bool
}

// walk calls fn for everything in and below tops, as deep as it goes: a folder before what is in it. What is gone
// when its turn comes is left out, as is what the actor may not read. It fails with errs.TooLarge beyond the limits.
func (s *Service) walk(ctx context.Context, t tree, tops []entry, fn func(entry) error) error {
	const op = errs.Op("download.walk")
	var entries, bytes int64
	limits := s.archiveLimits()
	visit := func(e entry) error {
		entries++
		if !e.node.GetFolder() {
			bytes += e.node.GetSize()
		}
		if limits.Entries > 0 && entries > limits.Entries || limits.Bytes > 0 && bytes > limits.Bytes {
			return errs.E(errs.TooLarge, op, errs.Code("archive_too_large"))
		}
		return fn(e)
	}
	for _, top := range tops {
		if top.name != "" {
			if err := visit(top); err != nil {
				return err
			}
		}
		var stack []*level
		if top.node.GetFolder() {
			stack = append(stack, &level{prefix: top.name, folder: top.node.GetId()})
		}
		for len(stack) > 0 {
			l := stack[len(stack)-1]
			if len(l.nodes) == 0 {
				if more, err := t.list(ctx, l); err != nil {
					return errs.Wrap(op, err)
				} else if !more {
					stack = stack[:len(stack)-1]
				}
				continue
			}
			n := l.nodes[0]
			l.nodes = l.nodes[1:]
			// It becomes a name on somebody's disk (library fact L19): only one that the drive takes does.
			name, err := drivepath.ParseName(n.GetName())
			if err != nil {
				return errs.E(errs.Internal, op, err)
			}
			e := entry{name: l.prefix + string(name), node: n}
			if n.GetFolder() {
				e.name += "/"
				stack = append(stack, &level{prefix: e.name, folder: n.GetId()})
			}
			if err := visit(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// list reads the next page of a folder and says whether there was one.
func (t tree) list(ctx context.Context, l *level) (bool, error) {
	if l.listed && l.next == "" {
		return false, nil
	}
	page, err := t.ListFolder(ctx, &filemetapb.ListFolderRequest{Actor: t.actor, Id: l.folder, Cursor: l.next, Limit: walkPage})
	if errs.Is(errs.NotFound, err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	l.nodes, l.next, l.listed = page.GetNodes(), page.GetNext(), true
	return true, nil
}
