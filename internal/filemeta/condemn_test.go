package filemeta

import (
	"fmt"
	"testing"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

const (
	isUsed = filemetapb.Verdict_VERDICT_USED
	waits  = filemetapb.Verdict_VERDICT_WAITS
	doomed = filemetapb.Verdict_VERDICT_DELETE
)

// condemn tells of one blob of a store and gives the verdict.
func (f *fixture) condemn(store, round string, wait, putAt int64, b *filemetapb.Blob) filemetapb.Verdict {
	f.t.Helper()
	resp, err := f.Condemn(f.t.Context(), &filemetapb.CondemnRequest{
		Store: store, Round: round, Wait: wait, Blobs: []*filemetapb.StoredBlob{{Digest: b.GetDigest(), PutAt: putAt}},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.GetVerdicts()[0]
}

func (f *fixture) wantVerdict(round string, wait, putAt int64, b *filemetapb.Blob, want filemetapb.Verdict) {
	f.t.Helper()
	if got := f.condemn("main", round, wait, putAt, b); got != want {
		f.t.Fatalf("round %s, wait %d, put at %d: %v, want %v", round, wait, putAt, got, want)
	}
}

// remembered counts the rows of condemned.
func (f *fixture) remembered() (n int) {
	f.t.Helper()
	if err := f.DB.Read(f.t.Context(), func(tx *gorm.DB) error {
		return tx.Raw("SELECT count(*) FROM condemned").Scan(&n).Error
	}); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// D7: an unused blob goes after two rounds and its wait; what is put again starts over.
func TestCondemnInTwoRounds(t *testing.T) {
	f := newFixture(t, 0)
	b := bytesOf("unused", 1)
	const wait = 1000
	f.wantVerdict("1", wait, 7, b, waits)
	f.wantVerdict("1", 0, 7, b, waits) // one round is one look, however often it looks
	f.clock.Add(2 * wait)
	f.wantVerdict("1", wait, 7, b, waits)
	f.wantVerdict("2", wait, 7, b, doomed)
	f.wantVerdict("2", wait, 7, b, doomed) // as after a crash
	f.wantVerdict("3", 10*wait, 7, b, doomed)
	if got := f.condemn("second", "3", 0, 7, b); got != waits {
		t.Errorf("the same content in another store: %v", got)
	}
	f.wantVerdict("3", wait, 8, b, waits) // put again meanwhile
	f.wantVerdict("4", wait, 8, b, waits)
	f.clock.Add(2 * wait)
	f.wantVerdict("4", wait, 8, b, doomed)
	if _, err := f.Forget(t.Context(), &filemetapb.ForgetRequest{Store: "main", Digests: [][]byte{b.GetDigest()}}); err != nil {
		t.Fatal(err)
	}
	if n := f.remembered(); n != 1 {
		t.Errorf("%d blobs are kept in mind, want the one of the second store", n)
	}
	f.wantVerdict("5", 0, 8, b, waits)
	f.wantVerdict("6", 0, 8, b, doomed)
}

// D7: what a version refers to, live, old or in the trash, or an upload claims, is used; what is used once more is
// rescued.
func TestCondemnUsed(t *testing.T) {
	f := newFixture(t, 0)
	old, cur := bytesOf("old", 1), bytesOf("cur", 2)
	for _, b := range []*filemetapb.Blob{old, cur} {
		if _, err := f.put(target(alice, "/f"), b); err != nil {
			t.Fatal(err)
		}
	}
	check := func(round string, want filemetapb.Verdict) {
		t.Helper()
		f.wantVerdict(round, 0, 1, old, want)
		f.wantVerdict(round, 0, 1, cur, want)
	}
	check("1", isUsed)
	r, err := f.hold(target(alice, "/claim"), 1, old.GetDigest())
	if err != nil || r.GetHolder() != self {
		t.Fatal(r, err)
	}
	id := f.mustStat(alice, "/f").ID
	if err := f.delete(t.Context(), owner(alice), id, ""); err != nil {
		t.Fatal(err)
	}
	check("2", isUsed)
	if err := f.purgeOne(t.Context(), owner(alice), id); err != nil {
		t.Fatal(err)
	}
	f.purgeAll()
	f.wantVerdict("3", 0, 1, old, isUsed) // claimed
	f.wantVerdict("3", 0, 1, cur, waits)
	if n := f.remembered(); n != 1 {
		t.Errorf("%d blobs are kept in mind, want 1", n)
	}
	// Committed again by somebody: rescued, also from a decided end, for it was put again.
	f.wantVerdict("4", 0, 1, cur, doomed)
	if r, err := f.hold(target(alice, "/x"), 2, cur.GetDigest()); err != nil || r.GetHolder() != nobody {
		t.Errorf("a claim of what is being deleted: %v, %v", r, err)
	}
	if _, err := f.put(target(bob, "/his"), cur); err != nil {
		t.Fatal(err)
	}
	if n := f.remembered(); n != 0 {
		t.Errorf("%d blobs are kept in mind after the commit", n)
	}
	f.wantVerdict("5", 0, 2, cur, isUsed)
	// An expired claim keeps nothing.
	f.clock.Add(2_000_000)
	f.wantVerdict("6", 0, 1, old, waits)
	f.wantVerdict("7", 0, 1, old, doomed)
}

// A blob that waits is rescued by a claim, and its wait starts over.
func TestClaimRescues(t *testing.T) {
	f := newFixture(t, 0)
	b := bytesOf("x", 3)
	f.wantVerdict("1", 0, 1, b, waits)
	// As a program of the release before leaves it, whose commits know of no condemned blobs.
	if _, err := f.put(target(alice, "/f"), b); err != nil {
		t.Fatal(err)
	}
	for deleting, want := range []filemetapb.Holder{self, nobody} {
		if err := f.DB.Write(t.Context(), func(tx *gorm.DB) error {
			return tx.Exec("REPLACE INTO condemned VALUES ( ?, 'main', 1, '1', 1, 1, ?)", b.GetDigest(), deleting).Error
		}); err != nil {
			t.Fatal(err)
		}
		r, err := f.hold(target(alice, fmt.Sprint("/g", deleting)), 3, b.GetDigest())
		if err != nil || r.GetHolder() != want {
			t.Errorf("deleting %d: %v, %v; want %v", deleting, r.GetHolder(), err, want)
		}
		if n := f.remembered(); n != deleting {
			t.Errorf("deleting %d: %d blobs are kept in mind", deleting, n)
		}
	}
}

// Many blobs in one call get their own verdicts, in order.
func TestCondemnMany(t *testing.T) {
	f := newFixture(t, 0)
	req := &filemetapb.CondemnRequest{Store: "main", Round: "1"}
	for i := range 1000 {
		b := bytesOf(fmt.Sprint(i), 1)
		if i%10 == 0 {
			if _, err := f.put(target(alice, fmt.Sprint("/", i)), b); err != nil {
				t.Fatal(err)
			}
		}
		req.Blobs = append(req.Blobs, &filemetapb.StoredBlob{Digest: b.GetDigest(), PutAt: 1})
	}
	for _, unused := range []filemetapb.Verdict{waits, doomed} {
		resp, err := f.Condemn(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range resp.GetVerdicts() {
			if want := map[bool]filemetapb.Verdict{true: isUsed, false: unused}[i%10 == 0]; v != want {
				t.Fatalf("blob %d: %v, want %v", i, v, want)
			}
		}
		req.Round += "'"
	}
	forget := &filemetapb.ForgetRequest{Store: "main"}
	for _, b := range req.GetBlobs() {
		forget.Digests = append(forget.Digests, b.GetDigest())
	}
	if _, err := f.Forget(t.Context(), forget); err != nil || f.remembered() != 0 {
		t.Errorf("%v; %d blobs are kept in mind", err, f.remembered())
	}
	for name, bad := range map[string]*filemetapb.CondemnRequest{
		"no store": {Round: "1"}, "no round": {Store: "main"}, "a wait that is none": {Store: "main", Round: "1", Wait: -1},
		"a short digest": {Store: "main", Round: "1", Blobs: []*filemetapb.StoredBlob{{Digest: []byte("x")}}},
		"too many":       {Store: "main", Round: "1", Blobs: make([]*filemetapb.StoredBlob, maxCondemn+1)},
	} {
		if _, err := f.Condemn(t.Context(), bad); !errs.Is(errs.Invalid, err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
