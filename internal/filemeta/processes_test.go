package filemeta

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// C3, C4, C7, D10: two processes change the same drives in every way at once. Nobody fails because of the other,
// the quota holds, and the tree is sound.
func TestTwoProcessesOneDrive(t *testing.T) {
	const limit = 2000
	f := newFixture(t, limit)
	services := []*Service{f.Service, f.another()}
	for _, s := range services {
		s.DefaultQuota = limit
	}
	for round := range 4 {
		for i, err := range together(16, func(i int) error {
			s, r := services[i%2], rand.New(rand.NewPCG(uint64(i), uint64(round)))
			user := UserID(1 + i/2%2)
			for range 12 {
				if err := f.deed(s, r, user); errs.Is(errs.Busy, err) || errs.Is(errs.Internal, err) {
					return err
				}
			}
			return nil
		}) {
			if err != nil {
				t.Fatalf("%d: %v", i, err)
			}
		}
		for _, user := range []UserID{alice, bob} {
			f.sound(user)
			if d := f.row(user); d.Used+d.Reserved > limit {
				t.Fatalf("%d used and %d reserved of %d", d.Used, d.Reserved, limit)
			}
		}
	}
}

// deed does something to a small tree.
func (f *fixture) deed(s *Service, r *rand.Rand, user UserID) error {
	ctx := context.Background()
	path := func() string { return fmt.Sprintf("/%c/%c", 'a'+r.IntN(3), 'a'+r.IntN(3)) }
	node := func() NodeID {
		p, err := s.stat(ctx, owner(user), at(path()))
		if err != nil {
			return 0
		}
		return p.ID
	}
	blob := bytesOf(fmt.Sprint(r.IntN(4)), int64(20+r.IntN(4)))
	key := ""
	if r.IntN(3) == 0 {
		key = fmt.Sprint("key ", r.IntN(5))
	}
	var err error
	switch r.IntN(9) {
	case 0, 1:
		_, err = s.Commit(ctx, &filemetapb.CommitRequest{Target: target(user, path(), withParents, withKey(key)), Blob: blob})
	case 2:
		_, err = s.createFolder(ctx, owner(user), at(path()), true, "")
	case 3:
		to := at(path())
		dir := to.Dir()
		_, err = s.update(ctx, owner(user), node(), move{name: to.Base(), parentPath: &dir})
	case 4:
		err = s.delete(ctx, owner(user), node(), "")
	case 5:
		items, _, _, lerr := s.trashPage(ctx, owner(user), 5, "")
		if err = lerr; err == nil && len(items) > 0 {
			n := items[r.IntN(len(items))]
			if r.IntN(2) == 0 {
				_, err = s.restore(ctx, owner(user), n.ID, nil, true)
			} else {
				err = s.purgeOne(ctx, owner(user), n.ID)
			}
		}
	case 6:
		_, err = s.PurgeSome(ctx)
	case 7:
		if r.IntN(4) == 0 {
			return s.emptyTrash(ctx, owner(user))
		}
		return s.ReleaseExpired(ctx)
	case 8:
		t := target(user, path(), withParents, withKey(key))
		t.Size = blob.GetSize()
		held, rerr := s.Reserve(ctx, &filemetapb.ReserveRequest{
			Target: t, Digest: blob.GetDigest(), Others: true, ExpiresAt: f.clock.Load() + r.Int64N(2000),
		})
		if err = rerr; err != nil || held.GetReservation() == 0 {
			break
		}
		switch r.IntN(3) {
		case 0:
			_, err = s.Commit(ctx, &filemetapb.CommitRequest{Target: t, Blob: blob, Reservation: held.GetReservation(), Claimed: held.GetHolder() != nobody})
		case 1:
			_, err = s.Extend(ctx, &filemetapb.ExtendRequest{Reservation: held.GetReservation(), ExpiresAt: f.clock.Load() + 500})
		case 2:
			_, err = s.Release(ctx, &filemetapb.ReleaseRequest{Reservation: held.GetReservation()})
		}
	}
	return err
}

// D7: one process decides the end of content while another claims it: the one or the other, never both. The clocks of
// the two differ.
func TestClaimAgainstCondemn(t *testing.T) {
	f := newFixture(t, 0)
	collector := f.another()
	ahead := int64(0)
	collector.Now = func() time.Time { return time.UnixMilli(f.clock.Add(1) + ahead) }
	outcomes := make(map[string]int)
	for round := range 40 {
		// Nobody has had it but a file that is purged by now: only a claim keeps it.
		b := bytesOf(fmt.Sprint("content ", round), 100)
		path := fmt.Sprint("/f", round)
		n, err := f.put(target(bob, path), b)
		if err != nil {
			t.Fatal(err)
		}
		first, err := f.hold(target(alice, path), 100, b.GetDigest(), func(r *filemetapb.ReserveRequest) {
			r.Others, r.ExpiresAt = true, f.clock.Load()+5000
		})
		if err != nil || first.GetHolder() != other {
			t.Fatal(first, err)
		}
		id := NodeID(n.GetNode().GetId())
		if err := f.delete(t.Context(), owner(bob), id, ""); err != nil {
			t.Fatal(err)
		}
		if err := f.purgeOne(t.Context(), owner(bob), id); err != nil {
			t.Fatal(err)
		}
		f.purgeAll()
		ahead = 10_000 // to this clock the claim has expired
		condemn := func(name string) filemetapb.Verdict {
			resp, err := collector.Condemn(t.Context(), &filemetapb.CondemnRequest{
				Store: "main", Round: name, Blobs: []*filemetapb.StoredBlob{{Digest: b.GetDigest(), PutAt: 1}},
			})
			if err != nil {
				t.Fatal(err)
			}
			return resp.GetVerdicts()[0]
		}
		condemn("1")
		var verdict filemetapb.Verdict
		got := together(3, func(i int) error {
			switch i {
			case 0:
				if verdict = condemn("2"); verdict == doomed {
					_, err := collector.Forget(t.Context(), &filemetapb.ForgetRequest{Store: "main", Digests: [][]byte{b.GetDigest()}})
					return err
				}
				return nil
			case 1:
				_, err := f.Extend(t.Context(), &filemetapb.ExtendRequest{Reservation: first.GetReservation(), ExpiresAt: f.clock.Load() + 100_000})
				return err
			default:
				_, err := f.commitHeld(target(alice, path), b, first.GetReservation(), true)
				return err
			}
		})
		committed := got[2] == nil
		if !committed {
			wantCode(t, got[2], "claim_lost")
		}
		if committed == (verdict == doomed) {
			t.Fatalf("round %d: the verdict is %v, and the commit answered %v", round, verdict, got[2])
		}
		outcomes[code(got[2])]++
		f.sound(alice)
	}
	t.Logf("commits: %v", outcomes)
}
