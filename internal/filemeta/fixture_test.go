package filemeta

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db/dbtest"
	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	eventlocal "github.com/livil/gopan/internal/event/local"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// The users of the tests' stories.
const (
	alice UserID = 1
	bob   UserID = 2
)

// owner asks for all that is a user's.
func owner(user UserID) asker { return asker{user: user} }

// fixture is the tree on its real database and its real commit log, in a folder of the test.
type fixture struct {
	*Service
	t   testing.TB
	dir string
	log *eventlocal.Log
	// clock gives another millisecond each time it is read, so that times tell the order of things.
	clock atomic.Int64
}

func newFixture(t testing.TB, quota int64) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: t.TempDir()}
	f.clock.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMilli())
	f.open(quota)
	t.Cleanup(f.close)
	return f
}

func (f *fixture) open(quota int64) {
	f.t.Helper()
	d := dbtest.Open(f.t, f.dir)
	f.Service = &Service{DB: d, DefaultQuota: quota, Now: func() time.Time { return time.UnixMilli(f.clock.Add(1)) }}
	f.log = eventlocal.New(f.Apply)
	f.Log = f.log
}

func (f *fixture) close() {
	if err := f.log.Close(); err != nil {
		f.t.Error(err)
	}
	if err := f.DB.Close(); err != nil {
		f.t.Error(err)
	}
}

// restart ends the service and starts another one on what it left.
func (f *fixture) restart() {
	f.t.Helper()
	f.close()
	f.open(f.DefaultQuota)
}

// at parses a path that is known to be good.
func at(s string) drivepath.Path {
	p, err := drivepath.Parse(s)
	if err != nil {
		panic(fmt.Sprintf("%q: %v", s, err))
	}
	return p
}

// bytesOf is a blob of a size; what tells blobs of one size apart.
func bytesOf(what string, size int64) *filemetapb.Blob {
	sum := sha256.Sum256(fmt.Append(nil, what, size))
	return &filemetapb.Blob{Digest: sum[:], Size: size}
}

// target is where a commit goes, with what the options make of it.
func target(user UserID, path string, opts ...func(*filemetapb.Target)) *filemetapb.Target {
	t := &filemetapb.Target{Actor: &filemetapb.Actor{UserId: int64(user)}, Path: path, Size: -1}
	for _, o := range opts {
		o(t)
	}
	return t
}

func withParents(t *filemetapb.Target)    { t.Parents = true }
func orRename(t *filemetapb.Target)       { t.Conflict = filemetapb.Conflict_CONFLICT_RENAME }
func orFail(t *filemetapb.Target)         { t.Conflict = filemetapb.Conflict_CONFLICT_FAIL }
func ifNothingThere(t *filemetapb.Target) { t.IfNoneMatch = true }

func ifMatch(tag string) func(*filemetapb.Target) {
	return func(t *filemetapb.Target) { t.IfMatch = tag }
}

func withKey(key string) func(*filemetapb.Target) {
	return func(t *filemetapb.Target) { t.IdempotencyKey = key }
}

// put commits a blob and gives the node.
func (f *fixture) put(t *filemetapb.Target, b *filemetapb.Blob) (*filemetapb.CommitResponse, error) {
	return f.Commit(context.Background(), &filemetapb.CommitRequest{Target: t, Blob: b})
}

// hold reserves room for a file; digest nil: it is not known.
func (f *fixture) hold(t *filemetapb.Target, size int64, digest []byte, opts ...func(*filemetapb.ReserveRequest)) (*filemetapb.ReserveResponse, error) {
	t.Size = size
	req := &filemetapb.ReserveRequest{Target: t, Digest: digest, ExpiresAt: f.clock.Load() + 1_000_000}
	for _, o := range opts {
		o(req)
	}
	return f.Reserve(context.Background(), req)
}

// reserve is hold where nothing may go wrong.
func (f *fixture) reserve(user UserID, path string, size int64) *filemetapb.ReserveResponse {
	f.t.Helper()
	r, err := f.hold(target(user, path), size, nil)
	if err != nil {
		f.t.Fatalf("reserve %s: %v", path, err)
	}
	return r
}

// file is put where nothing may go wrong.
func (f *fixture) file(user UserID, path string, size int64, opts ...func(*filemetapb.Target)) *filemetapb.Node {
	f.t.Helper()
	r, err := f.put(target(user, path, append(opts, withParents)...), bytesOf(path, size))
	if err != nil {
		f.t.Fatalf("commit %s: %v", path, err)
	}
	return r.GetNode()
}

// mkdir makes a folder and those above it.
func (f *fixture) mkdir(user UserID, path string) placed {
	f.t.Helper()
	p, err := f.createFolder(context.Background(), owner(user), at(path), true, "")
	if err != nil {
		f.t.Fatalf("make %s: %v", path, err)
	}
	return p
}

// mustStat finds what is at a path.
func (f *fixture) mustStat(user UserID, path string) placed {
	f.t.Helper()
	p, err := f.stat(context.Background(), owner(user), at(path))
	if err != nil {
		f.t.Fatalf("stat %s: %v", path, err)
	}
	return p
}

// used is what the drive counts.
func (f *fixture) used(user UserID) int64 {
	f.t.Helper()
	return f.row(user).Used
}

// row of the user's drive, as the database has it now.
func (f *fixture) row(user UserID) drive {
	f.t.Helper()
	d, err := f.driveOf(context.Background(), user)
	if err == nil {
		err = f.DB.Read(context.Background(), func(tx *gorm.DB) error { return tx.Take(&d, "id = ?", d.ID).Error })
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return d
}

// problems are the codes that CheckTree has for the user's drive.
func (f *fixture) problems(user UserID) []string {
	f.t.Helper()
	resp, err := f.CheckTree(context.Background(), &filemetapb.CheckTreeRequest{AfterDrive: int64(f.row(user).ID) - 1})
	if err != nil {
		f.t.Fatal(err)
	}
	var codes []string
	for _, p := range resp.GetProblems() {
		codes = append(codes, p.GetCode())
	}
	return codes
}

// sound fails the test if CheckTree finds anything.
func (f *fixture) sound(user UserID) {
	f.t.Helper()
	if p := f.problems(user); len(p) > 0 {
		f.t.Fatalf("the tree has problems: %v", p)
	}
}

// purgeAll takes apart everything that was deleted for ever.
func (f *fixture) purgeAll() {
	f.t.Helper()
	for {
		more, err := f.PurgeSome(context.Background())
		if err != nil {
			f.t.Fatal(err)
		}
		if !more {
			return
		}
	}
}

// names of a whole folder, in pages of a size.
func (f *fixture) names(user UserID, path string, o order, limit int) []string {
	f.t.Helper()
	var names []string
	for after := ""; ; {
		pg, err := f.list(context.Background(), owner(user), at(path), o, limit, after)
		if err != nil {
			f.t.Fatalf("list %s: %v", path, err)
		}
		if len(pg.items) > limit {
			f.t.Fatalf("a page of %d holds %d", limit, len(pg.items))
		}
		for _, n := range pg.items {
			names = append(names, n.Name)
		}
		if after = pg.next; after == "" {
			return names
		}
	}
}

// code of an error for comparisons; "" for none.
func code(err error) string {
	if err == nil {
		return ""
	}
	return string(errs.CodeOf(err))
}

func wantCode(t testing.TB, err error, want string) {
	t.Helper()
	if got := code(err); got != want {
		t.Fatalf("answered %q (%v), want %q", got, err, want)
	}
}
