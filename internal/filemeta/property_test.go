package filemeta

import (
	"bytes"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// steps of a property test in each of its checks; -rapid.checks and -rapid.steps make it longer.
const steps = 40

// sized sets how much the property tests do, unless the command line says so.
func sized(t *testing.T) {
	t.Helper()
	for name, n := range map[string]int{"rapid.checks": checks, "rapid.steps": steps} {
		given := false
		flag.Visit(func(fl *flag.Flag) { given = given || fl.Name == name })
		if !given {
			if err := flag.Set(name, strconv.Itoa(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// C2, C3, C4, C5, C6, C7, D8: whatever is done to a drive, in whatever order, it answers and holds what the
// model says, and CheckTree finds nothing (D10); the same after every restart (D1).
func TestTreeAgainstModel(t *testing.T) {
	sized(t)
	const limit = 120 // bytes, so small that it bites
	f := newFixture(t, limit)
	user := UserID(100)
	rapid.Check(t, func(rt *rapid.T) {
		user++ // a new drive in the same database
		p := &player{fixture: f, t: rt, user: user, model: newModel(limit)}
		p.root.id = f.mustStat(user, "/").ID
		rt.Repeat(map[string]func(*rapid.T){
			"commit":       p.tryCommit,
			"commit again": p.tryCommit, // drives fill by it
			"folder":       p.tryFolder,
			"update":       p.tryUpdate,
			"delete":       p.tryDelete,
			"restore":      p.tryRestore,
			"purge":        p.tryPurge,
			"empty trash":  p.tryEmpty,
			"purge some":   p.purgeSomeRows,
			"retry":        p.tryRetry,
			"restart":      func(*rapid.T) { f.restart() },
			"":             p.compare,
		})
	})
}

// player does the same to the drive and to the model.
type player struct {
	*fixture
	*model
	t    *rapid.T
	user UserID
	keys int
}

// agree fails unless the drive answered what the model says.
func (p *player) agree(t *rapid.T, what string, err error, want string) {
	if got := code(err); got != want {
		t.Fatalf("%s: answered %q (%v), the model says %q", what, got, err, want)
	}
}

var (
	aName = rapid.SampledFrom([]string{"a", "b", "c.txt", "文件"})
	aPath = rapid.Custom(func(t *rapid.T) string {
		s := ""
		for range rapid.IntRange(1, 3).Draw(t, "depth") {
			s += "/" + aName.Draw(t, "name")
		}
		return s
	})
)

// anyNode is a node in the tree, in the trash or gone.
func (p *player) anyNode(t *rapid.T, what string) *mnode {
	known := p.known()
	if rapid.IntRange(0, 3).Draw(t, what+" is live") > 0 {
		known = p.root.all()
	}
	return rapid.SampledFrom(known).Draw(t, what)
}

// anEntry is a node in the trash, most of the time.
func (p *player) anEntry(t *rapid.T) *mnode {
	if len(p.bin) == 0 || rapid.IntRange(0, 5).Draw(t, "any node") == 0 {
		return p.anyNode(t, "node")
	}
	return rapid.SampledFrom(p.bin).Draw(t, "entry")
}

// aTag is an If-Match header: mostly none, sometimes right, sometimes late.
func aTag(t *rapid.T, n *mnode) string {
	choices := []string{"", "", "", "*", `"no-such"`}
	if n != nil {
		choices = append(append(choices, n.etag, n.etag), n.old...)
	}
	return rapid.SampledFrom(choices).Draw(t, "If-Match")
}

func (p *player) aKey(t *rapid.T) string {
	if !rapid.Bool().Draw(t, "with a key") {
		return ""
	}
	p.keys++
	return fmt.Sprint("key ", p.keys)
}

func (p *player) tryCommit(t *rapid.T) {
	tg := target(p.user, aPath.Draw(t, "path"))
	tg.Parents = rapid.Bool().Draw(t, "parents")
	tg.Conflict = filemetapb.Conflict(rapid.IntRange(0, 2).Draw(t, "conflict"))
	tg.IfNoneMatch = rapid.IntRange(0, 5).Draw(t, "If-None-Match") == 0
	tg.IfMatch = aTag(t, p.at(at(tg.GetPath())))
	tg.IdempotencyKey = p.aKey(t)
	before := p.model.used()
	size := rapid.Int64Range(0, 40).Draw(t, "size")
	switch left := p.limit - before; rapid.IntRange(0, 6).Draw(t, "fill") {
	case 0:
		size = left
	case 1:
		size = left + 1
	}
	b := bytesOf("content", size)
	_, perr := p.Prepare(t.Context(), tg)
	resp, err := p.put(tg, b)
	n, created, want := p.commit(tg, b)
	p.agree(t, "commit", err, want)
	if want != "quota_exceeded" && before < p.limit {
		p.agree(t, "prepare", perr, want) // it knows no size, so no more about the quota
	}
	if err != nil {
		return
	}
	p.sawNode(t, n, resp.GetNode())
	if resp.GetCreated() != created {
		t.Fatalf("commit answered created %v", resp.GetCreated())
	}
	if key := tg.GetIdempotencyKey(); key != "" {
		p.done = append(p.done, replay{target: tg, blob: b, key: key, node: n, created: created})
	}
}

// sawNode holds a node that a write answered with against the model.
func (p *player) sawNode(t *rapid.T, n *mnode, got *filemetapb.Node) {
	if n.id == 0 {
		n.id = NodeID(got.GetId())
	}
	if NodeID(got.GetId()) != n.id || got.GetPath() != n.path().String() || got.GetFolder() != n.isFolder() {
		t.Fatalf("answered %v, the model says %d at %s", got, n.id, n.path())
	}
	if !n.isFolder() && (!bytes.Equal(got.GetDigest(), n.current().GetDigest()) || got.GetVersion() != int64(len(n.vers))) {
		t.Fatalf("answered %v, the model says version %d of %d bytes", got, len(n.vers), n.current().GetSize())
	}
}

func (p *player) tryFolder(t *rapid.T) {
	path, parents, key := aPath.Draw(t, "path"), rapid.Bool().Draw(t, "parents"), p.aKey(t)
	got, err := p.fixture.createFolder(t.Context(), owner(p.user), at(path), parents, key)
	n, want := p.model.createFolder(at(path), parents)
	p.agree(t, "make a folder", err, want)
	if err != nil {
		return
	}
	p.sawNode(t, n, toPB(got.node, got.path))
	if key != "" {
		p.done = append(p.done, replay{folder: path, parents: parents, key: key, node: n})
	}
}

func (p *player) tryUpdate(t *rapid.T) {
	n := p.anyNode(t, "node")
	m := move{ifMatch: aTag(t, n), key: p.aKey(t)}
	if rapid.Bool().Draw(t, "rename") {
		m.name = drivepath.Name(aName.Draw(t, "new name"))
	}
	var to *mnode
	toIsLive := true
	switch rapid.IntRange(0, 2).Draw(t, "move") {
	case 1:
		path := at(aPath.Draw(t, "to"))
		m.parentPath = &path
		to = p.at(path)
		toIsLive = to != nil
	case 2:
		to = p.anyNode(t, "to")
		m.parent, toIsLive = to.id, p.live(to)
	}
	got, err := p.fixture.update(t.Context(), owner(p.user), n.id, m)
	p.agree(t, "update", err, p.model.update(n, string(m.name), to, toIsLive, m.ifMatch))
	if err == nil {
		p.sawNode(t, n, toPB(got.node, got.path))
		if m.key != "" {
			p.done = append(p.done, replay{update: &m, key: m.key, node: n})
		}
	}
}

func (p *player) tryDelete(t *rapid.T) {
	n := p.anyNode(t, "node")
	tag := aTag(t, n)
	p.agree(t, "delete", p.fixture.delete(t.Context(), owner(p.user), n.id, tag), p.model.delete(n, tag))
}

func (p *player) tryRestore(t *rapid.T) {
	n, rename := p.anEntry(t), rapid.Bool().Draw(t, "rename")
	var path *drivepath.Path
	var to *mnode
	want := ""
	if rapid.Bool().Draw(t, "elsewhere") {
		pp := at(aPath.Draw(t, "to"))
		path, to = &pp, p.at(pp)
		if to == nil && slices.Contains(p.bin, n) {
			want = "parent_gone"
		}
	}
	got, err := p.fixture.restore(t.Context(), owner(p.user), n.id, path, rename)
	if want == "" {
		want = p.model.restore(n, to, rename)
	}
	p.agree(t, "restore", err, want)
	if err == nil {
		p.sawNode(t, n, toPB(got.node, got.path))
	}
}

func (p *player) tryPurge(t *rapid.T) {
	n := p.anEntry(t)
	p.agree(t, "purge", p.purgeOne(t.Context(), owner(p.user), n.id), p.model.purge(n))
}

func (p *player) tryEmpty(t *rapid.T) {
	p.agree(t, "empty the trash", p.emptyTrash(t.Context(), owner(p.user)), "")
	for len(p.bin) > 0 {
		p.model.purge(p.bin[0])
	}
}

// purgeSomeRows takes a part of what was purged apart, or all of it; the bytes it gives back may come in any
// portions as long as CheckTree agrees and all of them come.
func (p *player) purgeSomeRows(t *rapid.T) {
	more, err := p.PurgeSome(t.Context())
	for rapid.Bool().Draw(t, "to the end") && more && err == nil {
		more, err = p.PurgeSome(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	left := p.fixture.used(p.user) - (p.model.used() - p.doomed)
	if left < 0 || left > p.doomed || !more && left != 0 {
		t.Fatalf("%d bytes of what was purged still count, %d before; more to do: %v", left, p.doomed, more)
	}
	p.doomed = left
}

// tryRetry sends a write again that had an Idempotency-Key, as a client does that lost the answer: it finds what
// the write did, wherever that is now, and does nothing.
func (p *player) tryRetry(t *rapid.T) {
	if len(p.done) == 0 {
		t.Skip("nothing to repeat")
	}
	r := rapid.SampledFrom(p.done).Draw(t, "retry")
	want := ""
	if !p.live(r.node) {
		want = "not_found"
	}
	switch {
	case r.target != nil:
		resp, err := p.put(r.target, r.blob)
		p.agree(t, "commit again", err, want)
		if err == nil && (NodeID(resp.GetNode().GetId()) != r.node.id || resp.GetCreated() != r.created) {
			t.Fatalf("the retry answered %v, the first was node %d, created %v", resp, r.node.id, r.created)
		}
	case r.update != nil:
		_, err := p.fixture.update(t.Context(), owner(p.user), r.node.id, *r.update)
		p.agree(t, "update again", err, want)
	default:
		got, err := p.fixture.createFolder(t.Context(), owner(p.user), at(r.folder), r.parents, r.key)
		p.agree(t, "make the folder again", err, want)
		if err == nil && got.ID != r.node.id {
			t.Fatalf("the retry answered %d, the first was %d", got.ID, r.node.id)
		}
	}
}

// compare holds the whole drive against the model.
func (p *player) compare(t *rapid.T) {
	for _, n := range p.root.all() {
		if n.isFolder() {
			p.compareFolder(t, n)
		}
	}
	// By id and by path, one node of all there are or were.
	n := p.anyNode(t, "look at")
	got, err := p.statID(t.Context(), owner(p.user), n.id)
	if !p.live(n) {
		p.agree(t, "stat of what is deleted", err, "not_found")
	} else {
		p.agree(t, "stat by id", err, "")
		p.sawNode(t, n, toPB(got.node, got.path))
		byPath, err := p.stat(t.Context(), owner(p.user), n.path())
		if err != nil || byPath.ID != n.id {
			t.Fatalf("stat %s: %v, %v", n.path(), byPath.node, err)
		}
		if !n.isFolder() {
			p.compareVersions(t, n)
		}
	}
	items, total, _, err := p.trashPage(t.Context(), owner(p.user), 1000, "")
	if err != nil || len(items) != len(p.bin) || int(total) != len(p.bin) {
		t.Fatalf("the trash holds %d of %d, %v; the model says %d", len(items), total, err, len(p.bin))
	}
	for i, n := range items { // the latest first
		if want := p.bin[len(p.bin)-1-i]; n.ID != want.id || at(n.OriginPath).Base() != drivepath.Name(want.originName) {
			t.Fatalf("entry %d of the trash is %d, was at %s; the model says %d, %s", i, n.ID, n.OriginPath, want.id, want.originName)
		}
	}
	if used := p.fixture.used(p.user); used != p.model.used() || used > p.limit {
		t.Fatalf("used %d of %d, the model says %d", used, p.limit, p.model.used())
	}
	if problems := p.problems(p.user); len(problems) > 0 {
		t.Fatalf("CheckTree: %v", problems)
	}
}

func (p *player) compareFolder(t *rapid.T, n *mnode) {
	seen := 0
	var last *node
	o := order{By: "name", Desc: len(n.kids)%2 == 0}
	for after := ""; ; {
		pg, err := p.list(t.Context(), owner(p.user), n.path(), o, 3, after)
		if err != nil {
			t.Fatalf("list %s: %v", n.path(), err)
		}
		for _, got := range pg.items {
			if last != nil && !inOrder(o, last, got) {
				t.Fatalf("in %s, %q comes before %q", n.path(), last.Name, got.Name)
			}
			last = got
			kid := n.kids[got.Name]
			if kid == nil {
				t.Fatalf("%s holds %q; the model has none", n.path(), got.Name)
			}
			p.sawNode(t, kid, toPB(got, kid.path()))
			kid.sawTag(t, got.etag())
			seen++
		}
		if after = pg.next; after == "" {
			if seen != len(n.kids) || int(pg.total) != seen {
				t.Fatalf("%s lists %d nodes and counts %d; the model has %d", n.path(), seen, pg.total, len(n.kids))
			}
			return
		}
	}
}

// sawTag: the tag changes when, and only when, the node did, and never becomes what it was before (promise C5).
func (n *mnode) sawTag(t *rapid.T, tag string) {
	switch {
	case n.etag == "":
	case !n.bumped && tag != n.etag:
		t.Fatalf("the ETag of %s went from %s to %s by itself", n.path(), n.etag, tag)
	case n.bumped && (tag == n.etag || slices.Contains(n.old, tag)):
		t.Fatalf("the ETag of %s is %s again", n.path(), tag)
	case n.bumped:
		n.old = append(n.old, n.etag)
	}
	n.etag, n.bumped = tag, false
}

func (p *player) compareVersions(t *rapid.T, n *mnode) {
	items, _, err := p.versions(t.Context(), owner(p.user), n.id, 1000, "")
	if err != nil || len(items) != len(n.vers) {
		t.Fatalf("%s has %d versions, %v; the model says %d", n.path(), len(items), err, len(n.vers))
	}
	for i, v := range items {
		want := n.vers[len(n.vers)-1-i]
		if v.Version != int64(len(n.vers)-i) || !bytes.Equal(v.Digest, want.GetDigest()) || v.Size != want.GetSize() {
			t.Fatalf("%s: version %d has %d bytes, the model says %d", n.path(), v.Version, v.Size, want.GetSize())
		}
	}
	if _, err := p.Resolve(t.Context(), &filemetapb.ResolveRequest{
		Actor: &filemetapb.Actor{UserId: int64(p.user)}, Id: int64(n.id), Version: int64(len(n.vers) + 1),
	}); !errs.Is(errs.NotFound, err) {
		t.Fatalf("a version that is not there: %v", err)
	}
}
