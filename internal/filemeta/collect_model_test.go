package filemeta

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/livil/gopan/internal/pb/filemetapb"
)

// D7: whatever uploads, claims, deletions and the collector do, in whatever order and cut off anywhere: content that a
// version refers to or a live claim holds is in the store, and what nobody refers to goes in the end.
func TestCollectAgainstModel(t *testing.T) {
	sized(t)
	f := newFixture(t, 0)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		c := &collecting{
			fixture: f, store: fmt.Sprint("store ", n), users: [2]UserID{UserID(1000 + 2*n), UserID(1001 + 2*n)},
			blobs: make(map[string]int64), seen: make(map[string]*unused), round: 1,
		}
		for i := range 4 {
			c.contents = append(c.contents, bytesOf(fmt.Sprint("content ", n, " ", i), 10))
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put":        c.put,
			"commit":     c.commit,
			"claim":      c.claim,
			"instant":    c.instant,
			"release":    c.releaseClaim,
			"trash":      c.trash,
			"purge":      c.purge,
			"take apart": c.takeApart,
			"time":       c.time,
			"list":       c.list,
			"condemn":    c.condemnSome,
			"condemn it": c.condemnSome, // more often: it takes two
			"delete":     c.deleteOne,
			"crash":      c.crash,
			"":           c.safe,
		})
		c.settle(rt)
	})
}

// collecting is a store, two users with a drive each, a collector, and what they are about to do.
type collecting struct {
	*fixture
	store    string
	users    [2]UserID
	contents []*filemetapb.Blob

	// blobs of the store: when each was last put, by its own clock.
	blobs map[string]int64
	ticks int64

	files  []*collectFile
	coming []upload
	claims []claim

	round   int
	listed  []*filemetapb.StoredBlob // what the collector saw, perhaps long ago
	verdict []*filemetapb.StoredBlob // what it was told to delete and has not yet
	seen    map[string]*unused
}

// collectFile is a file with all that it has held.
type collectFile struct {
	user     UserID
	path     string
	id       NodeID
	contents []string
	trashed  bool
	purged   bool
}

// upload has put its content and not committed it.
type upload struct {
	blob *filemetapb.Blob
	at   int64
}

type claim struct {
	user      UserID
	blob      *filemetapb.Blob
	id        int64
	expiresAt int64
}

// unused is since when, and in which rounds, the collector was told that a blob is unused.
type unused struct {
	putAt   int64
	rounds  map[string]bool
	since   int64
	decided bool
}

func (c *collecting) aContent(t *rapid.T) *filemetapb.Blob {
	return rapid.SampledFrom(c.contents).Draw(t, "content")
}

func (c *collecting) aUser(t *rapid.T) UserID { return rapid.SampledFrom(c.users[:]).Draw(t, "user") }

// take removes one of a list.
func take[T any](t *rapid.T, what string, list *[]T) T {
	if len(*list) == 0 {
		t.Skip("no ", what)
	}
	i := rapid.IntRange(0, len(*list)-1).Draw(t, what)
	x := (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return x
}

// held tells whether a version in one of the users' drives has the content; user 0 is any of them.
func (c *collecting) held(key string, by UserID) bool {
	return slices.ContainsFunc(c.files, func(f *collectFile) bool {
		return (by == 0 || f.user == by) && slices.Contains(f.contents, key)
	})
}

func (c *collecting) claimed(key string) bool {
	return slices.ContainsFunc(c.claims, func(cl claim) bool {
		return string(cl.blob.GetDigest()) == key && cl.expiresAt > c.clock.Load()
	})
}

func (c *collecting) putBlob(key string) {
	c.ticks++
	c.blobs[key] = c.ticks
}

func (c *collecting) put(t *rapid.T) {
	b := c.aContent(t)
	c.putBlob(string(b.GetDigest()))
	c.coming = append(c.coming, upload{b, c.clock.Load()})
}

// wrote follows a commit in the model.
func (c *collecting) wrote(user UserID, path string, b *filemetapb.Blob, id NodeID) {
	key := string(b.GetDigest())
	delete(c.seen, key)
	for _, f := range c.files {
		if f.id == id {
			f.contents = append(f.contents, key)
			return
		}
	}
	c.files = append(c.files, &collectFile{user: user, path: path, id: id, contents: []string{key}})
}

func (c *collecting) aPath(t *rapid.T) string {
	return rapid.SampledFrom([]string{"/a", "/b"}).Draw(t, "path")
}

func (c *collecting) commit(t *rapid.T) {
	up, user, path := take(t, "upload", &c.coming), c.aUser(t), c.aPath(t)
	r, err := c.fixture.put(target(user, path), up.blob)
	if err != nil {
		t.Fatal(err)
	}
	c.wrote(user, path, up.blob, NodeID(r.GetNode().GetId()))
}

func (c *collecting) claim(t *rapid.T) {
	b, user, others := c.aContent(t), c.aUser(t), rapid.Bool().Draw(t, "others")
	key, life := string(b.GetDigest()), rapid.Int64Range(20, 400).Draw(t, "life")
	cl := claim{user: user, blob: b, expiresAt: c.clock.Load() + life}
	r, err := c.hold(target(user, "/claimed"), b.GetSize(), b.GetDigest(), func(r *filemetapb.ReserveRequest) {
		r.Others, r.ExpiresAt = others, cl.expiresAt
	})
	if err != nil {
		t.Fatal(err)
	}
	want := nobody
	switch {
	case c.held(key, user):
		want = self
	case others && c.held(key, 0):
		want = other
	}
	if r.GetHolder() != want {
		t.Fatalf("held by %v, want %v", r.GetHolder(), want)
	}
	if cl.id = r.GetReservation(); want != nobody {
		delete(c.seen, key)
		c.claims = append(c.claims, cl)
	}
}

// instant commits what is claimed, without putting it.
func (c *collecting) instant(t *rapid.T) {
	cl, path := take(t, "claim", &c.claims), c.aPath(t)
	live := cl.expiresAt > c.clock.Load()+1 // the commit reads the clock
	r, err := c.commitHeld(target(cl.user, path), cl.blob, cl.id, true)
	if want := map[bool]string{true: "", false: "claim_lost"}[live]; code(err) != want {
		t.Fatalf("an instant commit, %d ms to go: %v, want %q", cl.expiresAt-c.clock.Load(), err, want)
	}
	if live {
		c.wrote(cl.user, path, cl.blob, NodeID(r.GetNode().GetId()))
	}
}

func (c *collecting) releaseClaim(t *rapid.T) {
	if rapid.Bool().Draw(t, "expired ones") {
		if err := c.ReleaseExpired(t.Context()); err != nil {
			t.Fatal(err)
		}
		return
	}
	cl := take(t, "claim", &c.claims)
	if _, err := c.Release(t.Context(), &filemetapb.ReleaseRequest{Reservation: cl.id}); err != nil {
		t.Fatal(err)
	}
}

// aFile in a state.
func (c *collecting) aFile(t *rapid.T, is func(*collectFile) bool) *collectFile {
	var some []*collectFile
	for _, f := range c.files {
		if is(f) {
			some = append(some, f)
		}
	}
	if len(some) == 0 {
		t.Skip("no such file")
	}
	return rapid.SampledFrom(some).Draw(t, "file")
}

func (c *collecting) trash(t *rapid.T) {
	f := c.aFile(t, func(f *collectFile) bool { return !f.trashed })
	if err := c.fixture.delete(t.Context(), owner(f.user), f.id, ""); err != nil {
		t.Fatal(err)
	}
	f.trashed = true
}

func (c *collecting) purge(t *rapid.T) {
	f := c.aFile(t, func(f *collectFile) bool { return f.trashed && !f.purged })
	if err := c.purgeOne(t.Context(), owner(f.user), f.id); err != nil {
		t.Fatal(err)
	}
	f.purged = true
}

// takeApart ends the versions of what was purged.
func (c *collecting) takeApart(*rapid.T) {
	c.purgeAll()
	c.files = slices.DeleteFunc(c.files, func(f *collectFile) bool { return f.purged })
}

func (c *collecting) time(t *rapid.T) { c.clock.Add(rapid.Int64Range(1, 200).Draw(t, "ms")) }

func (c *collecting) list(*rapid.T) {
	c.listed = nil
	for _, b := range c.contents {
		if at, ok := c.blobs[string(b.GetDigest())]; ok {
			c.listed = append(c.listed, &filemetapb.StoredBlob{Digest: b.GetDigest(), PutAt: at})
		}
	}
}

func (c *collecting) condemnSome(t *rapid.T) {
	if len(c.listed) == 0 {
		t.Skip("nothing was listed")
	}
	if rapid.Bool().Draw(t, "another round") {
		c.round++
	}
	c.condemnAll(t, rapid.SampledFrom([]int64{0, 60}).Draw(t, "wait"))
}

func (c *collecting) condemnAll(t *rapid.T, wait int64) {
	round := fmt.Sprint(c.round)
	now := c.clock.Load() + 1 // that is what Condemn will read
	// Nobody takes longer than the wait from the last byte to the commit.
	c.coming = slices.DeleteFunc(c.coming, func(u upload) bool { return u.at+wait <= now })
	resp, err := c.Condemn(t.Context(), &filemetapb.CondemnRequest{Store: c.store, Round: round, Wait: wait, Blobs: c.listed})
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range c.listed {
		key := string(b.GetDigest())
		want := waits
		if c.held(key, 0) || c.claimed(key) {
			delete(c.seen, key)
			want = isUsed
		} else {
			s := c.seen[key]
			if s == nil || s.putAt != b.GetPutAt() {
				s = &unused{putAt: b.GetPutAt(), rounds: make(map[string]bool), since: now}
				c.seen[key] = s
			}
			s.rounds[round] = true
			s.decided = s.decided || len(s.rounds) > 1 && s.since+wait <= now
			if s.decided {
				want = doomed
				c.verdict = append(c.verdict, b)
			}
		}
		if got := resp.GetVerdicts()[i]; got != want {
			t.Fatalf("%x is judged %v, want %v", b.GetDigest()[:4], got, want)
		}
	}
}

// deleteOne does what a verdict said, and has it forgotten unless it is cut off before.
func (c *collecting) deleteOne(t *rapid.T) {
	b := take(t, "verdict", &c.verdict)
	key := string(b.GetDigest())
	if at, ok := c.blobs[key]; ok && at < b.GetPutAt()+1 { // the store's rule: only what was not put again
		delete(c.blobs, key)
	}
	if rapid.Bool().Draw(t, "forget") {
		if _, err := c.Forget(t.Context(), &filemetapb.ForgetRequest{Store: c.store, Digests: [][]byte{b.GetDigest()}}); err != nil {
			t.Fatal(err)
		}
		delete(c.seen, key)
	}
}

// crash ends every process: uploads and the collector's plans are lost, the store and the database are not.
func (c *collecting) crash(*rapid.T) {
	c.restart()
	c.coming, c.listed, c.verdict = nil, nil, nil
}

// safe is what must hold at every moment.
func (c *collecting) safe(t *rapid.T) {
	for _, b := range c.contents {
		key := string(b.GetDigest())
		if _, ok := c.blobs[key]; !ok && (c.held(key, 0) || c.claimed(key)) {
			t.Fatalf("%x is gone; held: %v, claimed: %v", b.GetDigest()[:4], c.held(key, 0), c.claimed(key))
		}
	}
}

// settle lets every upload end and the collector work: just what is referred to stays.
func (c *collecting) settle(t *rapid.T) {
	c.coming, c.verdict = nil, nil
	c.clock.Add(1000)
	c.takeApart(t)
	for range 3 {
		c.round++
		c.list(t)
		c.condemnAll(t, 0)
		for _, b := range c.verdict {
			delete(c.blobs, string(b.GetDigest()))
			if _, err := c.Forget(t.Context(), &filemetapb.ForgetRequest{Store: c.store, Digests: [][]byte{b.GetDigest()}}); err != nil {
				t.Fatal(err)
			}
			delete(c.seen, string(b.GetDigest()))
		}
		c.verdict = nil
	}
	c.safe(t)
	for _, b := range c.contents {
		if _, ok := c.blobs[string(b.GetDigest())]; ok && !c.held(string(b.GetDigest()), 0) {
			t.Fatalf("%x stays, and nobody refers to it", b.GetDigest()[:4])
		}
	}
	for _, u := range c.users {
		if err := c.ReleaseExpired(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.wantReserved(u, 0)
	}
}
