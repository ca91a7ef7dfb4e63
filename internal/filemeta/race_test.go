package filemeta

import (
	"fmt"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// together runs n functions at once and gives their errors.
func together(n int, fn func(i int) error) []error {
	out := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { <-start; out[i] = fn(i) })
	}
	close(start)
	wg.Wait()
	return out
}

// count gives how many of the errors have which code; "" counts the successes.
func count(all []error) map[string]int {
	m := make(map[string]int)
	for _, err := range all {
		m[code(err)]++
	}
	return m
}

// G14's twin: the first requests of a new user, all at once, find one drive.
func TestFirstUseTogether(t *testing.T) {
	f := newFixture(t, 0)
	for user := UserID(10); user < 20; user++ {
		var mu sync.Mutex
		drives := map[DriveID]bool{}
		for _, err := range together(8, func(int) error {
			d, err := f.driveOf(t.Context(), user)
			mu.Lock()
			defer mu.Unlock()
			drives[d.ID] = true
			return err
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(drives) != 1 {
			t.Fatalf("user %d has %d drives", user, len(drives))
		}
		f.sound(user)
	}
}

// C3: of many who make one name at once, one makes it, whether folder or file.
func TestOneCreator(t *testing.T) {
	const n = 24
	f := newFixture(t, 0)
	for _, c := range []struct {
		name  string
		make  func(i int) error
		loser string
	}{
		{"folder", func(int) error {
			_, err := f.createFolder(t.Context(), owner(alice), at("/folder"), false, "")
			return err
		}, "name_taken"},
		{"file", func(i int) error {
			_, err := f.put(target(alice, "/file", orFail), bytesOf("x", int64(i)))
			return err
		}, "name_taken"},
		{"guarded", func(i int) error { // C5: If-None-Match: * never overwrites
			_, err := f.put(target(alice, "/guarded", ifNothingThere), bytesOf("x", int64(i)))
			return err
		}, "stale"},
		{"either", func(i int) error {
			if i%2 == 0 {
				_, err := f.createFolder(t.Context(), owner(alice), at("/either"), false, "")
				return err
			}
			_, err := f.put(target(alice, "/either", orFail), bytesOf("x", int64(i)))
			return err
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := count(together(n, c.make))
			if got[""] != 1 || c.loser != "" && got[c.loser] != n-1 {
				t.Errorf("answers: %v, want one success", got)
			}
			if n := len(f.names(alice, "/", order{By: "name"}, 100)); n == 0 {
				t.Error("nothing is there")
			}
			f.sound(alice)
		})
	}
	t.Run("replace", func(t *testing.T) {
		var mu sync.Mutex
		created := 0
		got := count(together(n, func(i int) error {
			r, err := f.put(target(alice, "/replace"), bytesOf("x", int64(i)))
			mu.Lock()
			defer mu.Unlock()
			if r.GetCreated() {
				created++
			}
			return err
		}))
		if got[""] != n || created != 1 {
			t.Errorf("%v, %d answered that they created it", got, created)
		}
		if v := f.mustStat(alice, "/replace").Version; v != n {
			t.Errorf("version %d after %d different writes", v, n)
		}
		f.sound(alice)
	})
}

// C6: one Idempotency-Key has one effect, also when its requests come at once.
func TestOneKeyTogether(t *testing.T) {
	f := newFixture(t, 0)
	ids := make([]int64, 16)
	for _, err := range together(len(ids), func(i int) error {
		r, err := f.put(target(alice, "/a.txt", orRename, withKey("k")), bytesOf("x", 5))
		ids[i] = r.GetNode().GetId()
		if err == nil && !r.GetCreated() {
			return errs.E(errs.Internal, "test", "answered that it did not create the file")
		}
		return err
	}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("one key made several files: %v", ids)
		}
	}
	if got := f.names(alice, "/", order{By: "name"}, 100); len(got) != 1 {
		t.Errorf("the folder holds %v", got)
	}
	for _, err := range together(8, func(int) error {
		_, err := f.createFolder(t.Context(), owner(alice), at("/d"), false, "folder-key")
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	f.sound(alice)
}

// C5: of many who write with the same If-Match, one wins and the others learn that they are late.
func TestOneWriter(t *testing.T) {
	const n = 24
	f := newFixture(t, 0)
	for round := range 3 {
		tag := f.file(alice, "/a", int64(1000+round)).GetEtag()
		got := count(together(n, func(i int) error {
			_, err := f.put(target(alice, "/a", ifMatch(tag)), bytesOf("y", int64(n*round+i)))
			return err
		}))
		if got[""] != 1 || got["stale"] != n-1 {
			t.Fatalf("writes: %v", got)
		}
		here := f.mustStat(alice, "/a")
		got = count(together(n, func(i int) error {
			switch i % 3 {
			case 0:
				_, err := f.put(target(alice, "/a", ifMatch(here.etag())), bytesOf("z", int64(n*round+i)))
				if code(err) == "not_found" {
					err = errs.E(errs.Stale, "test") // it was renamed or deleted: equally late
				}
				return err
			case 1:
				_, err := f.update(t.Context(), owner(alice), here.ID, move{name: "b", ifMatch: here.etag()})
				return late(err)
			default:
				return late(f.delete(t.Context(), owner(alice), here.ID, here.etag()))
			}
		}))
		if got[""] != 1 || got["stale"] != n-1 {
			t.Fatalf("write, rename, delete: %v", got)
		}
		// For the next round.
		for _, name := range []string{"/b", "/a"} {
			if p, err := f.stat(t.Context(), owner(alice), at(name)); err == nil {
				if err := f.delete(t.Context(), owner(alice), p.ID, ""); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	f.sound(alice)
}

// late is Stale for who came after a delete.
func late(err error) error {
	if errs.Is(errs.NotFound, err) {
		return errs.E(errs.Stale, "test")
	}
	return err
}

// C7, B158: 100 commits of a tenth of the limit, at once: ten fit, not a byte more.
func TestQuotaTogether(t *testing.T) {
	const limit = 1000
	f := newFixture(t, limit)
	got := count(together(100, func(i int) error {
		_, err := f.put(target(alice, fmt.Sprintf("/f%d", i)), bytesOf(fmt.Sprint(i), limit/10))
		return err
	}))
	if got[""] != 10 || got["quota_exceeded"] != 90 {
		t.Errorf("answers: %v", got)
	}
	if used := f.used(alice); used != limit {
		t.Errorf("used %d of %d", used, limit)
	}
	f.sound(alice)
	// Odd sizes, and new versions among them.
	f2 := newFixture(t, limit)
	var mu sync.Mutex
	var sum int64
	together(100, func(i int) error {
		size := int64(7*i%53 + 1)
		_, err := f2.put(target(alice, fmt.Sprintf("/f%d", i%9)), bytesOf(fmt.Sprint(i), size))
		if err == nil {
			mu.Lock()
			sum += size
			mu.Unlock()
		}
		return err
	})
	if used := f2.used(alice); used != sum || used > limit {
		t.Errorf("used %d, the successes had %d, the limit is %d", used, sum, limit)
	}
	f2.sound(alice)
}

// C4: a into b and b into a, at once: one at least fails, and the tree stays a tree.
func TestMovesIntoEachOther(t *testing.T) {
	f := newFixture(t, 0)
	for round := range 15 {
		a, b := f.mkdir(alice, fmt.Sprintf("/%d/a/deep", round)), f.mkdir(alice, fmt.Sprintf("/%d/b/deep", round))
		topA, topB := f.mustStat(alice, fmt.Sprintf("/%d/a", round)), f.mustStat(alice, fmt.Sprintf("/%d/b", round))
		got := count(together(2, func(i int) error {
			id, to := topA.ID, b.ID
			if i == 1 {
				id, to = topB.ID, a.ID
			}
			_, err := f.update(t.Context(), owner(alice), id, move{parent: to})
			return err
		}))
		if got[""] != 1 || got["into_itself"] != 1 {
			t.Fatalf("round %d: %v", round, got)
		}
		f.sound(alice)
	}
}

// B116: A becomes B, B becomes A, and somebody makes a B, all at once: the outcome is one that some order of the
// three could have.
func TestRenamesAcross(t *testing.T) {
	f := newFixture(t, 0)
	for round := range 15 {
		dir := fmt.Sprintf("/%d", round)
		a, b := f.mkdir(alice, dir+"/A"), f.mkdir(alice, dir+"/B")
		got := together(3, func(i int) error {
			var err error
			switch i {
			case 0:
				_, err = f.update(t.Context(), owner(alice), a.ID, move{name: "B"})
			case 1:
				_, err = f.update(t.Context(), owner(alice), b.ID, move{name: "A"})
			default:
				_, err = f.createFolder(t.Context(), owner(alice), at(dir+"/B"), false, "")
			}
			return err
		})
		// Both names are taken all the time, so nobody can succeed.
		if c := count(got); c["name_taken"] != 3 {
			t.Fatalf("round %d: %v", round, c)
		}
		f.sound(alice)
	}
}

// F44: a message that nobody can read is refused and takes nothing with it.
func TestPoisonEvent(t *testing.T) {
	f := newFixture(t, 0)
	f.mkdir(alice, "/d")
	ids, err := f.newIDs(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	good := func(path string, id int64) event.Event {
		b, err := proto.Marshal(&filemetapb.Committed{
			Request: &filemetapb.CommitRequest{Target: target(alice, path), Blob: bytesOf(path, 3)}, FirstId: id, Key: path,
		})
		if err != nil {
			t.Fatal(err)
		}
		return event.Event{Payload: b}
	}
	refused, err := f.Apply(t.Context(), []event.Event{good("/d/1", ids), {Payload: []byte("\xff\xff")}, {}, good("/d/2", ids+1)})
	if err != nil {
		t.Fatal(err)
	}
	if refused[0] != nil || refused[3] != nil || !errs.Is(errs.Invalid, refused[1]) || refused[2] == nil {
		t.Errorf("refused: %v", refused)
	}
	if got := f.names(alice, "/d", order{By: "name"}, 10); len(got) != 2 {
		t.Errorf("applied: %v", got)
	}
	f.sound(alice)
}
