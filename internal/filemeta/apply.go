package filemeta

import (
	"bytes"
	"context"

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
	read := func() []job {
		jobs := make([]job, len(batch))
		for i, e := range batch {
			jobs[i] = readJob(e)
		}
		return jobs
	}
	jobs, err := s.apply(ctx, read, nil)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	refused := make([]error, len(batch))
	for i, j := range jobs {
		refused[i] = errs.Wrap(op, j.refused)
		if j.refused == nil {
			s.decide(j.GetKey(), j.outcome)
		}
	}
	return refused, nil
}

// apply applies jobs, which read gives anew if the transaction has to be tried again, and does first, if it is not nil,
// what belongs into the same transaction.
func (s *Service) apply(ctx context.Context, read func() []job, first func(tx *gorm.DB) error) ([]job, error) {
	var jobs []job
	var a *applier
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		jobs = read()
		a = &applier{tx: tx, memo: &s.memo, several: s.SeveralWays}
		if first != nil {
			if err := first(tx); err != nil {
				return err
			}
		}
		if err := a.lock(jobs); err != nil {
			return err
		}
		a.now = s.now() // a claim may have expired meanwhile
		if err := a.recall(jobs); err != nil {
			return err
		}
		if err := a.prefetch(jobs); err != nil {
			return err
		}
		if err := a.readReservations(jobs); err != nil {
			return err
		}
		for i := range jobs {
			j := &jobs[i]
			if j.refused != nil || j.before {
				continue
			}
			j.outcome, j.refused = a.commit(j)
			if errs.Is(errs.Busy, j.refused) || errs.Is(errs.Internal, j.refused) {
				return j.refused
			}
		}
		if err := a.record(jobs); err != nil {
			return err
		}
		return a.flush()
	})
	if err != nil {
		return nil, err
	}
	a.advance()
	return jobs, nil
}

// decide hands what became of a commit to the Commit that waits for it, if there is one.
func (s *Service) decide(key string, o outcome) {
	if decided, ok := s.outcomes.Load(key); ok {
		select {
		case decided.(chan outcome) <- o:
		default: // it knows
		}
	}
}

// job is one commit of a batch and what becomes of it.
type job struct {
	*filemetapb.Committed
	path    drivepath.Path
	outcome outcome
	refused error
	// before: it took effect, or was refused, before this batch.
	before bool
	// twin is one more than the index of the job that is the same commit and comes earlier in the batch; 0: none is.
	twin int
}

func (j job) who() asker { return askerOf(j.GetRequest().GetTarget().GetActor()) }

// readJob decodes an event; one that nobody can read is refused.
func readJob(e event.Event) job {
	j := job{Committed: new(filemetapb.Committed)}
	if err := proto.Unmarshal(e.Payload, j.Committed); err != nil {
		j.refused = errs.E(errs.Invalid, "filemeta.readJob", err)
		return j
	}
	j.path, j.refused = targetPath(j.GetRequest().GetTarget().GetPath())
	return j
}

// applier works out what a batch of commits does to the tree: it looks at the database, keeps what it would
// change in mind, where later commits of the batch see it, and writes it all at the end.
type applier struct {
	tx   *gorm.DB
	now  int64
	memo *memo
	// several is Service.SeveralWays.
	several bool

	drives   map[UserID]*drive
	children map[childKey]*node // nil: known not to be there
	nodes    map[NodeID]*node
	folders  map[folderKey]NodeID
	done     map[requestKey]request
	// reservations that commits of the batch name, as far as they are there and not used up.
	reservations map[int64]reservation
	// bounds of those who are limited to a folder. No change of a batch moves it.
	bounds map[asker]drivepath.Path

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

type folderKey struct {
	drive DriveID
	path  drivepath.Path
}

// driveOf reads the drive of a user, once for the batch.
func (a *applier) driveOf(user UserID) (*drive, error) {
	if d, ok := a.drives[user]; ok {
		return d, nil
	}
	d, err := driveWhere(a.tx, "owner_id = ?", user)
	if err != nil {
		return nil, err
	}
	if err := d.mayUse(user); err != nil {
		return nil, err
	}
	if a.drives == nil {
		a.drives = make(map[UserID]*drive)
	}
	a.drives[user] = &d
	return &d, nil
}

// driveFor is the drive of somebody who wants to put a file at p, if they may: below the folder that they are limited to.
func (a *applier) driveFor(who asker, p drivepath.Path) (*drive, error) {
	d, err := a.driveOf(who.user)
	if err != nil || who.folder == 0 {
		return d, err
	}
	within, err := a.boundsOf(who)
	switch {
	case err != nil:
		return nil, err
	case p == within:
		return nil, errs.E(errs.Conflict, "filemeta.driveFor", errs.Code("is_a_folder"))
	case !p.In(within):
		return nil, errs.E(errs.NotFound, "filemeta.driveFor")
	}
	return d, nil
}

func (a *applier) boundsOf(who asker) (drivepath.Path, error) {
	if p, ok := a.bounds[who]; ok {
		return p, nil
	}
	p, err := who.bounds(a.tx)
	if err != nil {
		return p, err
	}
	if a.bounds == nil {
		a.bounds = make(map[asker]drivepath.Path)
	}
	a.bounds[who] = p
	return p, nil
}

// commit works out one commit.
func (a *applier) commit(j *job) (outcome, error) {
	req, who, p := j.GetRequest(), j.who(), j.path
	t, b := req.GetTarget(), req.GetBlob()
	d, err := a.driveFor(who, p)
	if err != nil {
		return outcome{}, err
	}
	held := a.reservations[req.GetReservation()]
	if held.drive != d.ID {
		held = reservation{} // ended before this, or none of theirs
	}
	if before, ok, err := a.doneBefore(who, t.GetIdempotencyKey(), p); err != nil || ok {
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
	id := NodeID(j.GetFirstId())
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
		a.addVersion(d, n, who.user)
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
		a.addVersion(d, n, who.user)
	}
	o := outcome{toPB(n, sl.dir.Join(drivepath.Name(n.Name))), sl.existing == nil}
	if key := t.GetIdempotencyKey(); key != "" {
		r := request{who.user, key, deed("put", p.String()), n.ID, o.created, a.now}
		a.requests = append(a.requests, r)
		if a.done == nil {
			a.done = make(map[requestKey]request)
		}
		a.done[requestKey{who.user, key}] = r
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
func (a *applier) readReservations(jobs []job) error {
	var ids []int64
	for _, j := range jobs {
		if id := j.GetRequest().GetReservation(); id != 0 {
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
	n.fresh = true
	a.fresh = append(a.fresh, n)
	a.remember(childKey{n.ParentID, n.Name}, n)
	a.log(d, n, created)
}

// change marks a node to be written again, unless it is new in this batch and will be written anyway.
func (a *applier) change(d *drive, n *node, k changeKind) {
	if !n.fresh {
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
func (a *applier) doneBefore(who asker, key string, target drivepath.Path) (outcome, bool, error) {
	if key == "" {
		return outcome{}, false, nil
	}
	r, ok := a.done[requestKey{who.user, key}]
	if !ok {
		var err error
		if r, err = requestOf(a.tx, who.user, key); err != nil || r.NodeID == 0 {
			return outcome{}, false, err
		}
	}
	if err := r.is(deed("put", target.String())); err != nil {
		return outcome{}, false, err
	}
	o, err := a.outcomeNow(who, r.NodeID, r.Created)
	return o, true, err
}

// outcomeNow is the outcome of a commit that took effect before, with its file as it is now, if the asker may see that.
func (a *applier) outcomeNow(who asker, id NodeID, created bool) (outcome, error) {
	const op = errs.Op("filemeta.outcomeNow")
	within, err := a.boundsOf(who)
	if err != nil {
		return outcome{}, err
	}
	if n, ok := a.nodes[id]; ok {
		p, err := a.pathOf(n)
		if err == nil && !p.In(within) {
			err = errs.E(errs.NotFound, op)
		}
		return outcome{toPB(n, p), created}, err
	}
	chain, err := ancestors(a.tx, id)
	if err != nil {
		return outcome{}, err // gone since: errs.NotFound
	}
	if top := chain[len(chain)-1]; top.ParentID != topParent || top.Kind != folder {
		return outcome{}, errs.E(errs.NotFound, op) // in the trash, or on its way out of it
	}
	p := drivepath.Root
	for i := len(chain) - 2; i >= 0; i-- {
		p = p.Join(drivepath.Name(chain[i].Name))
	}
	if !p.In(within) {
		return outcome{}, errs.E(errs.NotFound, op)
	}
	return outcome{toPB(chain[0], p), created}, nil
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
		_, err := execute(a.tx, "UPDATE nodes SET size = ?, digest = ?, sha256 = ?, version = ?, rev = ?, modified_at = ? WHERE id = ?",
			n.Size, n.Digest, n.SHA256, n.Version, n.Rev, n.ModifiedAt, n.ID)
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

// advance lets the memo follow what was committed.
func (a *applier) advance() {
	added := make(map[DriveID]map[NodeID]int64)
	for _, n := range a.fresh {
		if added[n.DriveID] == nil {
			added[n.DriveID] = make(map[NodeID]int64)
		}
		added[n.DriveID][n.ParentID]++
	}
	for _, d := range a.drives {
		a.memo.advance(d.ID, d.wasSeq, d.Seq, added[d.ID])
	}
}

// save writes the drive's counters if they moved, guarded by what they were: whatever the database's
// isolation, no change of another transaction is lost.
func (d *drive) save(tx *gorm.DB) error {
	if d.Seq == d.wasSeq && d.Used == d.wasUsed && d.Reserved == d.wasReserved {
		return nil
	}
	n, err := execute(tx, "UPDATE drives SET used = ?, reserved = ?, seq = ? WHERE id = ? AND used = ? AND reserved = ? AND seq = ?",
		d.Used, d.Reserved, d.Seq, d.ID, d.wasUsed, d.wasReserved, d.wasSeq)
	if err == nil && n != 1 {
		err = errs.E(errs.Busy, "filemeta.drive.save")
	}
	return err
}

// toPB is the node as other roles see it.
func toPB(n *node, p drivepath.Path) *filemetapb.Node {
	return &filemetapb.Node{
		Id: int64(n.ID), ParentId: int64(n.ParentID), Path: p.String(), Name: string(p.Base()), Folder: n.Kind != file,
		Size: n.Size, Digest: n.Digest, Sha256: n.SHA256, Version: n.Version, Etag: n.etag(),
		CreatedAt: n.CreatedAt, ModifiedAt: n.ModifiedAt, TrashedAt: n.TrashedAt,
	}
}
