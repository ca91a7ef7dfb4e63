package filemeta

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db/dbtest"
	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/event"
	eventlocal "github.com/livil/gopan/internal/event/local"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// another is the service of one more process on the same folder.
func (f *fixture) another() *Service {
	f.t.Helper()
	d := dbtest.Open(f.t, f.dir)
	s := &Service{DB: d, Now: f.Now}
	log := eventlocal.New(s.Apply)
	s.Log = log
	f.t.Cleanup(func() { _, _ = log.Close(), d.Close() })
	return s
}

// wantTotal lists a folder's first page and holds what it says of the whole against the pages.
func (f *fixture) wantTotal(path string, want int64) {
	f.t.Helper()
	pg, err := f.list(context.Background(), owner(alice), at(path), order{By: "name"}, 1, "")
	if err != nil || pg.total != want {
		f.t.Fatalf("%s holds %d, %v; want %d", path, pg.total, err, want)
	}
	if n := len(f.names(alice, path, order{By: "name"}, 3)); int64(n) != want {
		f.t.Fatalf("%s lists %d, want %d", path, n, want)
	}
}

// C1, C2: what one process remembers of the tree is never what another has changed: files go where the folder is now,
// and the number of them is that of now.
func TestNothingStaleIsRemembered(t *testing.T) {
	f := newFixture(t, 0)
	second := f.another()
	f.file(alice, "/a/b/1", 1)
	f.file(alice, "/a/b/2", 1)
	f.wantTotal("/a/b", 2)
	f.file(alice, "/a/b/3", 1)
	f.wantTotal("/a/b", 3)

	move1 := func(s *Service, from, to string) {
		t.Helper()
		p := f.mustStat(alice, from)
		parent := at(to).Dir()
		if _, err := s.update(t.Context(), owner(alice), p.ID, move{name: at(to).Base(), parentPath: &parent}); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range []*Service{second, f.Service} {
		was := f.mustStat(alice, "/a/b").ID
		move1(s, "/a", "/moved")
		_, err := f.put(target(alice, "/a/b/x"), bytesOf("x", 1))
		wantCode(t, err, "parent_not_found")
		if n := f.file(alice, fmt.Sprint("/a/b/new", i), 1); NodeID(n.GetParentId()) == was {
			t.Fatal("a file went to where the folder is no more")
		}
		f.wantTotal("/a/b", 1)
		f.wantTotal("/moved/b", int64(3+i))
		if n := f.file(alice, fmt.Sprint("/moved/b/x", i), 1); NodeID(n.GetParentId()) != was {
			t.Fatal("a file went elsewhere than into the moved folder")
		}
		move1(s, "/a", fmt.Sprint("/gone", i))
		move1(s, "/moved", "/a")
	}
	// Also what another process only adds and takes.
	if _, err := second.Commit(t.Context(), &filemetapb.CommitRequest{Target: target(alice, "/a/b/theirs"), Blob: bytesOf("x", 2)}); err != nil {
		t.Fatal(err)
	}
	f.wantTotal("/a/b", 6)
	if err := second.delete(t.Context(), owner(alice), f.mustStat(alice, "/a/b/theirs").ID, ""); err != nil {
		t.Fatal(err)
	}
	f.wantTotal("/a/b", 5)
	f.file(alice, "/a/b/1", 9) // a new version is no new node
	f.wantTotal("/a/b", 5)
	f.sound(alice)
}

// Of a batch that is undone nothing is remembered.
func TestUndoneBatchIsForgotten(t *testing.T) {
	f := newFixture(t, 0)
	f.file(alice, "/d/1", 1)
	f.wantTotal("/d", 1)
	first, err := f.newIDs(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var batch []event.Event
	for i, path := range []string{"/d/2", "/new/deep/1", "/new/deep/2", "/new/deep/3"} {
		payload, err := proto.Marshal(&filemetapb.Committed{
			Request: &filemetapb.CommitRequest{Target: target(alice, path, withParents), Blob: bytesOf(path, 1)}, FirstId: first + int64(3*i), Key: path,
		})
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, event.Event{Payload: payload})
	}
	set := func(sql string) {
		t.Helper()
		if err := f.DB.Write(t.Context(), func(tx *gorm.DB) error { return tx.Exec(sql).Error }); err != nil {
			t.Fatal(err)
		}
	}
	breaks := "BEGIN SELECT raise(ABORT, 'test'); END"
	if dbtest.MySQL {
		breaks = "FOR EACH ROW SIGNAL SQLSTATE '45000'"
	}
	set("CREATE TRIGGER broken BEFORE INSERT ON changes " + breaks)
	if _, err := f.Apply(t.Context(), batch); err == nil {
		t.Fatal("the batch was applied")
	}
	set("DROP TRIGGER broken")
	f.wantTotal("/d", 1)
	_, err = f.put(target(alice, "/new/deep/4"), bytesOf("4", 1))
	wantCode(t, err, "parent_not_found")
	if refused, err := f.Apply(t.Context(), batch); err != nil || errors.Join(refused...) != nil {
		t.Fatal(err, refused)
	}
	f.wantTotal("/d", 2)
	f.wantTotal("/new/deep", 3)
	f.sound(alice)
}

// The memo holds a bounded number of things, and what it learns late does not undo what is newer.
func TestMemoBounds(t *testing.T) {
	m := new(memo)
	for i := range 3 * maxMemoFolders {
		m.learnFolder(1, 5, at(fmt.Sprint("/", i)), NodeID(i))
		m.learnTotal(1, 5, NodeID(i), 7)
	}
	if k := m.drives[1]; len(k.folders) != maxMemoFolders || len(k.totals) != maxMemoFolders {
		t.Errorf("%d folders, %d totals are remembered", len(k.folders), len(k.totals))
	}
	m.learnFolder(1, 4, drivepath.Root, 1) // read before the change
	m.learnTotal(1, 4, 1000, 1)
	if _, ok := m.folder(1, 4, drivepath.Root); ok {
		t.Error("the past is remembered")
	}
	m.learnTotal(1, 6, 1, 8)
	if _, ok := m.total(1, 5, 2); ok {
		t.Error("the past is remembered beside the present")
	}
	m.advance(1, 6, 9, map[NodeID]int64{1: 2, 3: 4})
	if n, ok := m.total(1, 9, 1); !ok || n != 10 {
		t.Errorf("two more than 8 are %d, %v", n, ok)
	}
	if _, ok := m.total(1, 9, 3); ok {
		t.Error("a total is made up")
	}
	for d := range DriveID(2 * maxMemoDrives) {
		m.learnTotal(d, 1, 1, 1)
	}
	if len(m.drives) != maxMemoDrives {
		t.Errorf("%d drives are remembered", len(m.drives))
	}
}
