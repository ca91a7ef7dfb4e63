package filemeta

import (
	"database/sql"
	"fmt"
	"reflect"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// rowsOf counts what the tables have of a user, whose drive may be on its way out, and of drives that are gone.
func (f *fixture) rowsOf(user UserID) map[string]int64 {
	f.t.Helper()
	left := make(map[string]int64)
	err := f.DB.Read(f.t.Context(), func(tx *gorm.DB) error {
		d, err := driveWhere(tx, "owner_id IN (?, ?)", user, -user)
		if err != nil {
			return err
		}
		for _, table := range []string{"nodes", "versions", "changes", "reservations"} {
			if err := countRows(tx, left, table, "drive_id = ? OR drive_id NOT IN (SELECT id FROM drives)", d.ID); err != nil {
				return err
			}
		}
		if err := countRows(tx, left, "drives", "id = ?", d.ID); err != nil {
			return err
		}
		return countRows(tx, left, "requests", "actor_id = ?", user)
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return left
}

func countRows(tx *gorm.DB, into map[string]int64, table, where string, arg any) error {
	var n int64
	err := query(tx, func(rows *sql.Rows) error { return rows.Scan(&n) }, "SELECT count(*) FROM "+table+" WHERE "+where, arg)
	if n > 0 {
		into[table] = n
	}
	return err
}

// settle gives a user more of everything than one piece of an erasure takes: versions, folders, a trash, what waits to be
// purged, claims and keys of requests. It gives what only they have.
func (f *fixture) settle(user UserID, shared *filemetapb.Blob) (own [][]byte) {
	f.t.Helper()
	req := new(filemetapb.CommitManyRequest)
	for i := range eraseBatch + 100 {
		b := bytesOf(fmt.Sprint(user), int64(i+1))
		own = append(own, b.GetDigest())
		req.Commits = append(req.Commits, &filemetapb.CommitRequest{
			Target: target(user, fmt.Sprintf("/d%d/f%d", i%7, i), withParents, withKey(fmt.Sprint(user, "-", i))), Blob: b,
		})
	}
	req.Commits = append(req.Commits, &filemetapb.CommitRequest{Target: target(user, "/d0/f0"), Blob: shared})
	resp, err := f.CommitMany(f.t.Context(), req)
	if err != nil {
		f.t.Fatal(err)
	}
	for i, o := range resp.GetOutcomes() {
		if o.GetFailure() != nil {
			f.t.Fatal(i, o.GetFailure())
		}
	}
	for _, p := range []string{"/d1", "/d2"} {
		if err := f.delete(f.t.Context(), owner(user), f.mustStat(user, p).ID, ""); err != nil {
			f.t.Fatal(err)
		}
		if p == "/d1" {
			if err := f.emptyTrash(f.t.Context(), owner(user)); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	if _, err := f.hold(target(user, "/claimed", withKey("claim")), 1, own[0]); err != nil {
		f.t.Fatal(err)
	}
	return own
}

// D7: of an account whose time has come nothing is left, wherever the erasure is cut off; its content is condemned in
// the ordinary way, but for what another has, too, who notices nothing.
func TestErase(t *testing.T) {
	f := newFixture(t, 0)
	shared := bytesOf("shared", 5)
	own := f.settle(alice, shared)
	f.file(bob, "/his/f", 3)
	if _, err := f.put(target(bob, "/his/too"), shared); err != nil {
		t.Fatal(err)
	}
	before, row := f.tree(bob, "/"), f.row(bob)
	users := f.newAccounts(t)
	users.departed = []int64{int64(alice), 77} // 77 never had a drive

	pieces := 0
	for done := false; !done; pieces++ {
		var err error
		if done, err = f.eraseSome(t.Context(), alice); err != nil {
			t.Fatal(err)
		}
		if done {
			break
		}
		f.restart() // whatever is done is done
		f.Users = users
		if _, err := f.put(target(alice, fmt.Sprint("/late", pieces)), shared); !errs.Is(errs.NotFound, err) {
			t.Fatalf("a late commit: %v", err)
		}
		if _, err := f.createFolder(t.Context(), owner(alice), at("/late"), true, ""); !errs.Is(errs.NotFound, err) {
			t.Fatalf("a late folder: %v", err)
		}
		if resp, err := f.CheckTree(t.Context(), &filemetapb.CheckTreeRequest{}); err != nil || resp.GetDrive() != int64(row.ID) || len(resp.GetProblems()) > 0 {
			t.Fatalf("while a drive is being erased the check finds %v, %v", resp, err)
		}
	}
	if pieces < 4 {
		t.Errorf("all of it went in %d pieces: they are not bounded", pieces)
	}
	if left := f.rowsOf(alice); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	users.out = true
	if err := f.EraseDeparted(t.Context()); err == nil || len(users.departed) != 2 {
		t.Errorf("while the user role is away: %v", err)
	}
	users.out = false
	if err := f.EraseDeparted(t.Context()); err != nil || len(users.departed) > 0 {
		t.Errorf("at last: %v, departed %v", err, users.departed)
	}

	if after := f.tree(bob, "/"); !reflect.DeepEqual(after, before) || f.row(bob) != row {
		t.Errorf("his drive changed:\n%q %+v\n%q %+v", after, f.row(bob), before, row)
	}
	f.sound(bob)
	condemn := func(round string) []filemetapb.Verdict {
		resp, err := f.Condemn(t.Context(), &filemetapb.CondemnRequest{Store: "s", Round: round, Blobs: []*filemetapb.StoredBlob{
			{Digest: own[0], PutAt: 1}, {Digest: own[len(own)-1], PutAt: 1}, {Digest: shared.GetDigest(), PutAt: 1},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetVerdicts()
	}
	const waits, used, deletes = filemetapb.Verdict_VERDICT_WAITS, filemetapb.Verdict_VERDICT_USED, filemetapb.Verdict_VERDICT_DELETE
	if got := condemn("1"); !reflect.DeepEqual(got, []filemetapb.Verdict{waits, waits, used}) {
		t.Errorf("the first round: %v", got)
	}
	if got := condemn("2"); !reflect.DeepEqual(got, []filemetapb.Verdict{deletes, deletes, used}) {
		t.Errorf("the second round: %v", got)
	}
}

// An erasure in one go, and beside it what is being purged anyway.
func TestEraseAndPurge(t *testing.T) {
	f := newFixture(t, 0)
	f.settle(alice, bytesOf("shared", 5))
	users := f.newAccounts(t)
	users.departed = []int64{int64(alice)}
	if _, err := f.eraseSome(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	f.purgeAll()
	if err := f.ReleaseExpired(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.EraseDeparted(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(users.departed) > 0 {
		t.Errorf("departed: %v", users.departed)
	}
}

// Idempotency-Keys are forgotten after their time, however many there are, and not before.
func TestRequestsAreForgotten(t *testing.T) {
	f := newFixture(t, 0)
	f.file(alice, "/young", 1)
	old := f.now() - requestsLive.Milliseconds() - 1
	var rows []request
	for i := range 2*maxForgotten + 1 {
		rows = append(rows, request{alice, fmt.Sprint("old", i), deed("put", "/x"), 1, true, old})
	}
	if err := f.DB.Write(t.Context(), func(tx *gorm.DB) error { return insertRequests(tx, rows) }); err != nil {
		t.Fatal(err)
	}
	f.file(alice, "/young", 2, withKey("young"))
	if err := f.forgetRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := f.rowsOf(alice)["requests"]; n != 1 {
		t.Errorf("%d requests are remembered, want 1", n)
	}
	f.clock.Add(requestsLive.Milliseconds() + time.Minute.Milliseconds())
	if err := f.forgetRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := f.rowsOf(alice)["requests"]; n != 0 {
		t.Errorf("%d requests are remembered for ever", n)
	}
}
