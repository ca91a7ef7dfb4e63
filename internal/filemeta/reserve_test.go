package filemeta

import (
	"fmt"
	"testing"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

const (
	nobody = filemetapb.Holder_HOLDER_NOBODY
	self   = filemetapb.Holder_HOLDER_SELF
	other  = filemetapb.Holder_HOLDER_OTHER
)

// commitHeld commits what a reservation was made for.
func (f *fixture) commitHeld(t *filemetapb.Target, b *filemetapb.Blob, reservation int64, claimed bool) (*filemetapb.CommitResponse, error) {
	return f.Commit(f.t.Context(), &filemetapb.CommitRequest{Target: t, Blob: b, Reservation: reservation, Claimed: claimed})
}

// wantReserved fails unless the drive counts so many bytes as reserved and its books are in order.
func (f *fixture) wantReserved(user UserID, want int64) {
	f.t.Helper()
	if got := f.row(user).Reserved; got != want {
		f.t.Fatalf("%d bytes are reserved, want %d", got, want)
	}
	f.sound(user)
}

// C7: what is reserved is out of everybody's reach but its holder's, to the byte, and comes back when the
// reservation is used, released or expired.
func TestReservedRoom(t *testing.T) {
	f := newFixture(t, 100)
	first := f.reserve(alice, "/big", 70)
	f.wantReserved(alice, 70)
	_, err := f.put(target(alice, "/other"), bytesOf("x", 31))
	wantCode(t, err, "quota_exceeded")
	_, err = f.Prepare(t.Context(), func() *filemetapb.Target { tg := target(alice, "/other"); tg.Size = 31; return tg }())
	wantCode(t, err, "quota_exceeded")
	_, err = f.hold(target(alice, "/other"), 31, nil)
	wantCode(t, err, "quota_exceeded")
	second := f.reserve(alice, "/other", 30)
	f.wantReserved(alice, 100)
	shown, err := HTTP{f.Service}.GetDrive(auth.With(t.Context(), auth.Principal{UserID: int64(alice)}))
	if err != nil || shown.Used != 0 || shown.Reserved != 100 || shown.Quota != 100 {
		t.Errorf("the drive is shown as %+v, %v", shown, err)
	}

	_, err = f.commitHeld(target(alice, "/big"), bytesOf("x", 71), first.GetReservation(), false)
	wantCode(t, err, "quota_exceeded")
	f.wantReserved(alice, 100) // a commit that is refused uses nothing up
	if _, err := f.commitHeld(target(alice, "/big"), bytesOf("x", 70), first.GetReservation(), false); err != nil {
		t.Fatal(err)
	}
	f.wantReserved(alice, 30)

	if _, err := f.Release(t.Context(), &filemetapb.ReleaseRequest{Reservation: second.GetReservation()}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Release(t.Context(), &filemetapb.ReleaseRequest{Reservation: second.GetReservation()}); err != nil {
		t.Errorf("released again: %v", err)
	}
	f.wantReserved(alice, 0)
	// One that has ended is no error; the quota decides.
	_, err = f.commitHeld(target(alice, "/third"), bytesOf("y", 31), second.GetReservation(), false)
	wantCode(t, err, "quota_exceeded")
	if _, err := f.commitHeld(target(alice, "/third"), bytesOf("y", 30), second.GetReservation(), false); err != nil {
		t.Fatal(err)
	}
	f.wantReserved(alice, 0)
}

// S1: a reservation of somebody else's is worth as much as none, and stays theirs.
func TestReservationOfAnother(t *testing.T) {
	f := newFixture(t, 100)
	his := f.reserve(bob, "/his", 60)
	f.file(alice, "/a", 90)
	_, err := f.commitHeld(target(alice, "/b"), bytesOf("x", 50), his.GetReservation(), false)
	wantCode(t, err, "quota_exceeded")
	if _, err := f.commitHeld(target(alice, "/b"), bytesOf("x", 10), his.GetReservation(), false); err != nil {
		t.Fatal(err)
	}
	f.wantReserved(alice, 0)
	f.wantReserved(bob, 60)
}

// B162: an expired reservation is released by the background work, and is no claim from that moment on.
func TestReservationExpires(t *testing.T) {
	f := newFixture(t, 100)
	b := bytesOf("content", 20)
	if _, err := f.put(target(alice, "/have"), b); err != nil {
		t.Fatal(err)
	}
	r, err := f.hold(target(alice, "/copy"), 20, b.GetDigest())
	if err != nil {
		t.Fatal(err)
	}
	stays := f.reserve(bob, "/his", 60)
	f.clock.Add(900_000)
	for id, want := range map[int64]string{r.GetReservation(): "", stays.GetReservation(): "", 999: "not_found"} {
		_, err := f.Extend(t.Context(), &filemetapb.ExtendRequest{Reservation: id, ExpiresAt: f.clock.Load() + 500_000})
		wantCode(t, err, want)
	}
	f.clock.Add(200_000) // past the first end, before the second
	if _, err := f.Extend(t.Context(), &filemetapb.ExtendRequest{Reservation: r.GetReservation(), ExpiresAt: 1}); err != nil {
		t.Fatal("it ended before its time: ", err) // and an earlier end changes nothing
	}
	if err := f.ReleaseExpired(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.wantReserved(alice, 20)
	if _, err := f.Extend(t.Context(), &filemetapb.ExtendRequest{Reservation: stays.GetReservation(), ExpiresAt: f.clock.Load() + 9_000_000}); err != nil {
		t.Fatal(err)
	}
	f.clock.Add(1_000_000)
	_, err = f.Extend(t.Context(), &filemetapb.ExtendRequest{Reservation: r.GetReservation(), ExpiresAt: f.clock.Load() + 500_000})
	wantCode(t, err, "not_found")
	_, err = f.commitHeld(target(alice, "/copy"), b, r.GetReservation(), true)
	wantCode(t, err, "claim_lost")
	f.wantReserved(alice, 20) // until the work comes by
	if err := f.ReleaseExpired(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.wantReserved(alice, 0)
	f.wantReserved(bob, 60)
}

// S5, S6: content counts as held only by the same digest and size, in the asker's own drive, or in anybody's when
// that is asked for.
func TestHolder(t *testing.T) {
	f := newFixture(t, 0)
	mine, his := bytesOf("mine", 10), bytesOf("his", 10)
	for user, b := range map[UserID]*filemetapb.Blob{alice: mine, bob: his} {
		if _, err := f.put(target(user, "/f"), b); err != nil {
			t.Fatal(err)
		}
	}
	f.file(alice, "/f", 5) // a version of old is held, too
	trash := f.file(alice, "/gone", 6)
	if err := f.delete(t.Context(), owner(alice), NodeID(trash.GetId()), ""); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		digest []byte
		size   int64
		others bool
		want   filemetapb.Holder
	}{
		{mine.GetDigest(), 10, false, self},
		{mine.GetDigest(), 10, true, self},
		{mine.GetDigest(), 11, true, nobody},
		{trash.GetDigest(), 6, false, self},
		{his.GetDigest(), 10, false, nobody},
		{his.GetDigest(), 10, true, other},
		{bytesOf("new", 10).GetDigest(), 10, true, nobody},
		{nil, 10, true, nobody},
	} {
		r, err := f.hold(target(alice, fmt.Sprint("/x", i)), c.size, c.digest, func(r *filemetapb.ReserveRequest) { r.Others = c.others })
		if err != nil {
			t.Fatal(err)
		}
		if r.GetHolder() != c.want {
			t.Errorf("case %d: held by %v, want %v", i, r.GetHolder(), c.want)
		}
		claims := 0
		if err := f.DB.Read(t.Context(), func(tx *gorm.DB) error {
			return tx.Raw("SELECT count(*) FROM reservations WHERE id = ? AND digest IS NOT NULL", r.GetReservation()).Scan(&claims).Error
		}); err != nil || (claims == 1) != (c.want != nobody) {
			t.Errorf("case %d: %d claims, %v", i, claims, err)
		}
		_, err = f.commitHeld(target(alice, fmt.Sprint("/x", i)), &filemetapb.Blob{Digest: mine.GetDigest(), Size: 10}, r.GetReservation(), true)
		if want := map[bool]string{true: "", false: "claim_lost"}[c.want != nobody && string(c.digest) == string(mine.GetDigest())]; code(err) != want {
			t.Errorf("case %d: an instant commit answered %v, want %q", i, err, want)
		}
	}
}

// What the target's file has held comes newest first, each content once.
func TestPrevious(t *testing.T) {
	f := newFixture(t, 0)
	if r := f.reserve(alice, "/f", 1); len(r.GetPrevious()) != 0 || r.GetDrive() != int64(f.row(alice).ID) || r.GetReservation() == 0 {
		t.Errorf("a new file: %v", r)
	}
	for i := range int64(20) {
		f.file(alice, "/f", i%18)
	}
	r := f.reserve(alice, "/f", 1)
	want := []int64{1, 0, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4}
	var got []int64
	for _, b := range r.GetPrevious() {
		got = append(got, b.GetSize())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("previous sizes %v, want %v", got, want)
	}
	for range 3 {
		f.file(alice, "/g", 3)
		f.file(alice, "/g", 4)
	}
	if r = f.reserve(alice, "/g", 1); len(r.GetPrevious()) != 2 || r.GetPrevious()[0].GetSize() != 4 {
		t.Errorf("previous of a file that went to and fro: %v", r.GetPrevious())
	}
	r, err := f.hold(target(alice, "/g", orRename), 1, nil)
	if err != nil || len(r.GetPrevious()) != 0 {
		t.Errorf("another file is to be made: %v, %v", r, err)
	}
}

// The same bytes again take no room, also in a full drive.
func TestReserveSameContent(t *testing.T) {
	f := newFixture(t, 100)
	n := f.file(alice, "/f", 100)
	_, err := f.hold(target(alice, "/f"), 100, bytesOf("others", 100).GetDigest())
	wantCode(t, err, "quota_exceeded")
	r, err := f.hold(target(alice, "/f"), 100, n.GetDigest())
	if err != nil || r.GetHolder() != self {
		t.Fatal(r, err)
	}
	if _, err := f.commitHeld(target(alice, "/f"), &filemetapb.Blob{Digest: n.GetDigest(), Size: 100}, r.GetReservation(), true); err != nil {
		t.Fatal(err)
	}
	f.wantReserved(alice, 0)
}

// Reserve refuses what Prepare would, and then holds nothing.
func TestReserveChecks(t *testing.T) {
	f := newFixture(t, 100)
	f.mkdir(alice, "/d")
	f.file(alice, "/f", 1)
	for path, want := range map[string]string{
		"/": "is_a_folder", "/d": "is_a_folder", "/no/x": "parent_not_found", "/f/x": "not_a_folder", "x": "bad_path",
	} {
		_, err := f.hold(target(alice, path), 5, nil)
		wantCode(t, err, want)
	}
	_, err := f.hold(target(alice, "/f", orFail), 5, nil)
	wantCode(t, err, "name_taken")
	_, err = f.hold(target(alice, "/f", ifNothingThere), 5, nil)
	wantCode(t, err, "stale")
	for field, bad := range map[string]func(*filemetapb.ReserveRequest){
		"size": func(r *filemetapb.ReserveRequest) { r.Target.Size = -1 }, "digest": func(r *filemetapb.ReserveRequest) { r.Digest = []byte("x") },
		"expires_at": func(r *filemetapb.ReserveRequest) { r.ExpiresAt = 1 },
	} {
		if _, err := f.hold(target(alice, "/x"), 5, nil, bad); !errs.Is(errs.Invalid, err) {
			t.Errorf("bad %s: %v", field, err)
		}
	}
	_, err = f.hold(target(0, "/x"), 5, nil)
	wantCode(t, err, "unauthenticated")
	f.wantReserved(alice, 0)
	// No sum of sizes can overflow, also without a limit.
	g := newFixture(t, 0)
	g.reserve(alice, "/x", 1<<62)
	_, err = g.hold(target(alice, "/y"), 1<<62, nil)
	wantCode(t, err, "quota_exceeded")
	g.wantReserved(alice, 1<<62)
}

// C6: a Reserve that comes again holds its room once; once the file is committed, it says so.
func TestReserveAgain(t *testing.T) {
	f := newFixture(t, 100)
	tg := func() *filemetapb.Target { return target(alice, "/f", withKey("k")) }
	first, err := f.hold(tg(), 60, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := bytesOf("x", 60)
	again, err := f.hold(tg(), 60, b.GetDigest())
	if err != nil || again.GetReservation() != first.GetReservation() {
		t.Fatalf("again: %v, %v; first %v", again, err, first)
	}
	f.wantReserved(alice, 60)
	_, err = f.hold(tg(), 61, nil)
	wantCode(t, err, "key_reused")
	_, err = f.hold(target(alice, "/g", withKey("k")), 60, nil)
	wantCode(t, err, "key_reused")
	if _, err := f.hold(target(bob, "/f", withKey("k")), 60, nil); err != nil {
		t.Errorf("another user's key: %v", err)
	}
	got := count(together(8, func(int) error {
		_, err := f.hold(target(alice, "/t", withKey("together")), 5, nil)
		return err
	}))
	if got[""] != 8 {
		t.Errorf("one key at once: %v", got)
	}
	f.wantReserved(alice, 65)

	done, err := f.commitHeld(tg(), b, first.GetReservation(), false)
	if err != nil {
		t.Fatal(err)
	}
	late, err := f.hold(tg(), 60, nil)
	if err != nil || late.GetDone().GetNode().GetId() != done.GetNode().GetId() || late.GetReservation() != 0 {
		t.Errorf("after the commit: %v, %v", late, err)
	}
	f.wantReserved(alice, 5)
	// A commit that comes again with a reservation of its own uses that up, too.
	r := f.reserve(alice, "/f", 7)
	if _, err := f.commitHeld(tg(), b, r.GetReservation(), false); err != nil {
		t.Fatal(err)
	}
	f.wantReserved(alice, 5)
	// An expired one is replaced.
	f.clock.Add(2_000_000)
	if _, err := f.hold(target(alice, "/t", withKey("together")), 9, nil); err != nil {
		t.Fatal(err)
	}
	f.wantReserved(alice, 9)
}

// C7, B158: reservations and commits at once never go beyond the limit, and all that fits gets in.
func TestReserveTogether(t *testing.T) {
	const limit = 1000
	f := newFixture(t, limit)
	got := count(together(60, func(i int) error {
		path := fmt.Sprint("/f", i)
		if i%3 == 0 {
			_, err := f.put(target(alice, path), bytesOf(path, limit/10))
			return err
		}
		r, err := f.hold(target(alice, path), limit/10, nil)
		if err != nil {
			return err
		}
		if i%3 == 1 {
			_, err = f.Release(t.Context(), &filemetapb.ReleaseRequest{Reservation: r.GetReservation()})
			return err
		}
		_, err = f.commitHeld(target(alice, path), bytesOf(path, limit/10), r.GetReservation(), false)
		return err
	}))
	if got["quota_exceeded"]+got[""] != 60 {
		t.Errorf("answers: %v", got)
	}
	f.wantReserved(alice, 0)
	if used := f.used(alice); used > limit {
		t.Errorf("used %d", used)
	}
	for i := f.used(alice) / 100; i < 10; i++ {
		f.file(alice, fmt.Sprint("/rest", i), 100)
	}
	if used := f.used(alice); used != limit {
		t.Errorf("used %d when it is full", used)
	}
}

// D1: what is reserved is there after a restart.
func TestReservationOutlivesRestart(t *testing.T) {
	f := newFixture(t, 100)
	r := f.reserve(alice, "/f", 80)
	f.restart()
	f.wantReserved(alice, 80)
	if _, err := f.commitHeld(target(alice, "/f"), bytesOf("x", 80), r.GetReservation(), false); err != nil {
		t.Fatal(err)
	}
	f.wantReserved(alice, 0)
}
