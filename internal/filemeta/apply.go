package filemeta

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Apply is the event.Apply of the tree: it puts a batch of commits into the database in one transaction and
// with few statements, however many they are. Every rule is checked here, alone with the database, so
// that the quota, names and preconditions hold under any concurrency.
func (s *Service) Apply(ctx context.Context, batch []event.Event) ([]error, error) {
	const op = errs.Op("filemeta.Apply")
	refused := make([]error, len(batch))
	commits := make([]*filemetapb.Committed, len(batch))
	for i, e := range batch {
		commits[i] = new(filemetapb.Committed)
		if err := proto.Unmarshal(e.Payload, commits[i]); err != nil {
			refused[i] = errs.E(errs.Invalid, op, err)
		}
	}
	outcomes := make([]outcome, len(batch))
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		a := &applier{tx: tx, now: s.now()}
		if err := a.prefetch(commits); err != nil {
			return err
		}
		if err := a.readReservations(commits); err != nil {
			return err
		}
		for i, c := range commits {
			if refused[i] != nil {
				continue
			}
			var err error
			outcomes[i], err = a.commit(c)
			if errs.Is(errs.Busy, err) || errs.Is(errs.Internal, err) {
				return err
			}
			refused[i] = errs.Wrap(op, err)
		}
		return a.flush()
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	for i, c := range commits {
		if refused[i] == nil {
			if decided, ok := s.outcomes.Load(c.GetKey()); ok {
				decided.(chan outcome) <- outcomes[i]
			}
		}
	}
	return refused, nil
}

// applier works out what a batch of commits does to the tree: it looks at the database, keeps what it would
// change in mind, where later commits of the batch see it, and writes it all at the end.
type applier struct {
	tx  *gorm.DB
	now int64

	drives   map[UserID]*drive
	children map[childKey]*node // nil: known not to be there
	nodes    map[NodeID]*node
	done     map[requestKey]request
	// reservations that commits of the batch name, as far as they are there and not used up.
	reservations map[int64]reservation

	fresh    []*node
	dirty    map[*node]bool
	versions []version
	changes  []change
	requests []request
	// usedUp are the ids of reservations, digests what was committed.
	usedUp  []int64
	digests [][]byte
}

type requestKey struct {
	actor UserID
	key   string
}

type childKey struct {
	parent NodeID
	name   string
}

// driveOf reads the drive of a user, once for the batch.
func (a *applier) driveOf(user UserID) (*drive, error) {
	if d, ok := a.drives[user]; ok {
		return d, nil
	}
	var d drive
	if err := a.tx.Raw("SELECT * FROM drives WHERE owner_id = ?", user).Scan(&d).Error; err != nil {
		return nil, err
	}
	if err := d.mayUse(user); err != nil {
		return nil, err
	}
	if a.drives == nil {
		a.drives = make(map[UserID]*drive)
	}
	d.read()
	a.drives[user] = &d
	return &d, nil
}

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

// prefetch reads what the commits' paths name now with one statement a folder.
func (a *applier) prefetch(commits []*filemetapb.Committed) error {
	if len(commits) < 4 {
		return nil
	}
	names := make(map[NodeID][]string)
commits:
	for _, c := range commits {
		t := c.GetRequest().GetTarget()
		p, err := targetPath(t.GetPath())
		if err != nil {
			continue
		}
		d, err := a.driveOf(UserID(t.GetActor().GetUserId()))
		if missing(err) {
			continue
		}
		if err != nil {
			return err
		}
		parent := d.RootID
		for _, name := range p.Dir().Names() {
			n, err := a.child(parent, string(name))
			if err != nil {
				return err
			}
			if n == nil {
				continue commits
			}
			parent = n.ID
		}
		names[parent] = append(names[parent], string(p.Base()))
	}
	for parent, ns := range names {
		args := []any{parent}
		for _, name := range ns {
			args = append(args, name)
		}
		found, err := nodesWhere(a.tx, "parent_id = ? AND name IN (?"+strings.Repeat(", ?", len(ns)-1)+")", args...)
		if err != nil {
			return err
		}
		for _, name := range ns {
			a.remember(childKey{parent, name}, nil)
		}
		for _, n := range found {
			a.remember(childKey{parent, n.Name}, n)
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
	sl := slot{dir: p.Dir(), parent: d.RootID, name: string(p.Base())}
	for _, name := range p.Dir().Names() {
		if len(sl.makes) > 0 {
			sl.makes = append(sl.makes, name)
			continue
		}
		n, err := a.child(sl.parent, string(name))
		switch {
		case err != nil:
			return sl, err
		case n == nil && !t.GetParents():
			return sl, errs.E(errs.NotFound, op, errs.Code("parent_not_found"))
		case n == nil:
			sl.makes = append(sl.makes, name)
		case n.Kind != folder:
			return sl, errs.E(errs.Conflict, op, errs.Code("not_a_folder"))
		default:
			sl.parent = n.ID
		}
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

// commit works out one commit.
func (a *applier) commit(c *filemetapb.Committed) (outcome, error) {
	req := c.GetRequest()
	t, b := req.GetTarget(), req.GetBlob()
	user := UserID(t.GetActor().GetUserId())
	p, err := targetPath(t.GetPath())
	if err != nil {
		return outcome{}, err
	}
	d, err := a.driveOf(user)
	if err != nil {
		return outcome{}, err
	}
	held := a.reservations[req.GetReservation()]
	if held.drive != d.ID {
		held = reservation{} // ended before this, or none of theirs
	}
	if before, ok, err := a.doneBefore(user, t.GetIdempotencyKey(), p); err != nil || ok {
		if err == nil {
			a.useUp(d, held)
		}
		return before, err
	}
	if req.GetClaimed() && !held.claims(b.GetDigest(), a.now) {
		return outcome{}, errs.E(errs.Conflict, "filemeta.commit", errs.Code("claim_lost"))
	}
	sl, err := a.place(d, p, t)
	if err != nil {
		return outcome{}, err
	}
	modified := a.now
	if req.GetModifiedAt() > 0 {
		modified = req.GetModifiedAt()
	}
	n := sl.existing
	same := n != nil && n.Size == b.GetSize() && bytes.Equal(n.Digest, b.GetDigest())
	if !same && b.GetSize() > d.available(held.size) {
		return outcome{}, errs.E(errs.OverQuota, "filemeta.commit", errs.Code("quota_exceeded"))
	}
	a.useUp(d, held)
	a.digests = append(a.digests, b.GetDigest())
	id := NodeID(c.GetFirstId())
	for _, name := range sl.makes {
		f := newNode(id, d.ID, sl.parent, string(name), folder, a.now)
		a.insert(d, f)
		sl.parent, id = f.ID, id+1
	}
	switch {
	case n == nil:
		n = newNode(id, d.ID, sl.parent, sl.name, file, a.now)
		n.Size, n.Digest, n.SHA256, n.Version, n.ModifiedAt = b.GetSize(), b.GetDigest(), b.GetSha256(), 1, modified
		a.insert(d, n)
		a.addVersion(d, n, user)
	case same:
		// The same bytes again, as after a lost answer: one effect (promise C6).
		if req.GetModifiedAt() > 0 && n.ModifiedAt != modified {
			n.ModifiedAt = modified
			a.change(d, n, written)
		}
	default:
		n.Size, n.Digest, n.SHA256, n.ModifiedAt = b.GetSize(), b.GetDigest(), b.GetSha256(), modified
		n.Version++
		n.Rev++
		a.change(d, n, written)
		a.addVersion(d, n, user)
	}
	o := outcome{toPB(n, sl.dir.Join(drivepath.Name(n.Name))), sl.existing == nil}
	if key := t.GetIdempotencyKey(); key != "" {
		r := request{user, key, deed("put", p.String()), n.ID, o.created, a.now}
		a.requests = append(a.requests, r)
		if a.done == nil {
			a.done = make(map[requestKey]request)
		}
		a.done[requestKey{user, key}] = r
	}
	return o, nil
}

// useUp ends a reservation, if there is one, and frees its room.
func (a *applier) useUp(d *drive, r reservation) {
	if r.id != 0 {
		delete(a.reservations, r.id)
		a.usedUp = append(a.usedUp, r.id)
		d.Reserved -= r.size
	}
}

// readReservations reads the reservations that the commits name.
func (a *applier) readReservations(commits []*filemetapb.Committed) error {
	var ids []int64
	for _, c := range commits {
		if id := c.GetRequest().GetReservation(); id != 0 {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	a.reservations = make(map[int64]reservation, len(ids))
	return inLists(ids, func(marks string, args []any) error {
		found, err := reservationsWhere(a.tx, "id IN ("+marks+")", args...)
		for _, r := range found {
			a.reservations[r.id] = r
		}
		return err
	})
}

// insert adds a new node.
func (a *applier) insert(d *drive, n *node) {
	a.fresh = append(a.fresh, n)
	a.remember(childKey{n.ParentID, n.Name}, n)
	a.log(d, n, created)
}

// change marks a node to be written again, unless it is new in this batch and will be written anyway.
func (a *applier) change(d *drive, n *node, k changeKind) {
	isFresh := false
	for _, f := range a.fresh {
		isFresh = isFresh || f == n
	}
	if !isFresh {
		if a.dirty == nil {
			a.dirty = make(map[*node]bool)
		}
		a.dirty[n] = true
	}
	a.log(d, n, k)
}

func (a *applier) log(d *drive, n *node, k changeKind) {
	d.Seq++
	a.changes = append(a.changes, change{d.ID, d.Seq, n.ID, k, a.now})
}

func (a *applier) addVersion(d *drive, n *node, author UserID) {
	a.versions = append(a.versions, version{n.ID, n.Version, d.ID, n.Digest, n.Size, n.SHA256, author, a.now})
	d.Used += n.Size
}

// doneBefore finds what a request with this Idempotency-Key did when it came before.
func (a *applier) doneBefore(user UserID, key string, target drivepath.Path) (outcome, bool, error) {
	if key == "" {
		return outcome{}, false, nil
	}
	r, ok := a.done[requestKey{user, key}]
	if !ok {
		if err := a.tx.Raw("SELECT * FROM requests WHERE actor_id = ? AND key = ?", user, key).Scan(&r).Error; err != nil {
			return outcome{}, false, err
		}
		if r.NodeID == 0 {
			return outcome{}, false, nil
		}
	}
	if err := r.is(deed("put", target.String())); err != nil {
		return outcome{}, false, err
	}
	if n, ok := a.nodes[r.NodeID]; ok {
		p, err := a.pathOf(n)
		return outcome{toPB(n, p), r.Created}, true, err
	}
	chain, err := ancestors(a.tx, r.NodeID)
	if err != nil {
		return outcome{}, true, err // gone since: errs.NotFound
	}
	if top := chain[len(chain)-1]; top.ParentID != topParent || top.Kind != folder {
		return outcome{}, true, errs.E(errs.NotFound, "filemeta.doneBefore") // in the trash, or on its way out of it
	}
	p := drivepath.Root
	for i := len(chain) - 2; i >= 0; i-- {
		p = p.Join(drivepath.Name(chain[i].Name))
	}
	return outcome{toPB(chain[0], p), r.Created}, true, nil
}

// pathOf gives the path of a node that the batch has looked at.
func (a *applier) pathOf(n *node) (drivepath.Path, error) {
	if n.ParentID == topParent {
		return drivepath.Root, nil
	}
	parent, ok := a.nodes[n.ParentID]
	if !ok {
		var err error
		if parent, err = byID(a.tx, n.ParentID); err != nil {
			return drivepath.Root, err
		}
	}
	p, err := a.pathOf(parent)
	return p.Join(drivepath.Name(n.Name)), err
}

// flush writes what the batch changed.
func (a *applier) flush() error {
	if err := insertNodes(a.tx, a.fresh); err != nil {
		return err
	}
	for n := range a.dirty {
		err := a.tx.Exec("UPDATE nodes SET size = ?, digest = ?, sha256 = ?, version = ?, rev = ?, modified_at = ? WHERE id = ?",
			n.Size, n.Digest, n.SHA256, n.Version, n.Rev, n.ModifiedAt, n.ID).Error
		if err != nil {
			return err
		}
	}
	if err := insertVersions(a.tx, a.versions); err != nil {
		return err
	}
	if err := insertChanges(a.tx, a.changes); err != nil {
		return err
	}
	if err := insertRequests(a.tx, a.requests); err != nil {
		return err
	}
	if err := dropReservations(a.tx, a.usedUp); err != nil {
		return err
	}
	if err := pardon(a.tx, a.digests); err != nil {
		return err
	}
	for _, d := range a.drives {
		if err := d.save(a.tx); err != nil {
			return err
		}
	}
	return nil
}

// save writes the drive's counters if they moved, guarded by what they were: whatever the database's
// isolation, no change of another transaction is lost.
func (d *drive) save(tx *gorm.DB) error {
	if d.Seq == d.wasSeq && d.Used == d.wasUsed && d.Reserved == d.wasReserved {
		return nil
	}
	res := tx.Exec("UPDATE drives SET used = ?, reserved = ?, seq = ? WHERE id = ? AND used = ? AND reserved = ? AND seq = ?",
		d.Used, d.Reserved, d.Seq, d.ID, d.wasUsed, d.wasReserved, d.wasSeq)
	if res.Error != nil {
		return res.Error
	}
	if res.RowsAffected != 1 {
		return errs.E(errs.Busy, "filemeta.drive.save")
	}
	return nil
}

// toPB is the node as other roles see it.
func toPB(n *node, p drivepath.Path) *filemetapb.Node {
	return &filemetapb.Node{
		Id: int64(n.ID), ParentId: int64(n.ParentID), Path: p.String(), Name: string(p.Base()), Folder: n.Kind != file,
		Size: n.Size, Digest: n.Digest, Sha256: n.SHA256, Version: n.Version, Etag: n.etag(),
		CreatedAt: n.CreatedAt, ModifiedAt: n.ModifiedAt, TrashedAt: n.TrashedAt,
	}
}
