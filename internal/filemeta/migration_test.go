package filemeta

import (
	"fmt"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

const leaseLife = 60_000 // milliseconds

func (f *fixture) startMigration(req *filemetapb.StartMigrationRequest) *filemetapb.Migration {
	f.t.Helper()
	m, err := f.StartMigration(f.t.Context(), req)
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

func moving(from, to string) *filemetapb.StartMigrationRequest {
	return &filemetapb.StartMigrationRequest{From: from, To: to, Width: 4}
}

// take takes parts and gives their numbers.
func (f *fixture) take(id int64, holder string) (parts []*filemetapb.MigrationPart) {
	f.t.Helper()
	resp, err := f.TakeMigration(f.t.Context(), &filemetapb.TakeMigrationRequest{Id: id, Holder: holder, Life: leaseLife})
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.GetParts()
}

// finish says that parts are done, with a blob in each.
func (f *fixture) finish(id int64, holder string, parts []*filemetapb.MigrationPart) error {
	for _, p := range parts {
		p.After, p.Done = make([]byte, 32), true
		p.Counts = &filemetapb.MigrationCounts{Blobs: 1, Bytes: 10}
	}
	_, err := f.SaveMigration(f.t.Context(), &filemetapb.SaveMigrationRequest{Id: id, Holder: holder, Parts: parts, Release: true})
	return err
}

func (f *fixture) migrationNow(id int64) *filemetapb.Migration {
	f.t.Helper()
	resp, err := f.ListMigrations(f.t.Context(), &filemetapb.ListMigrationsRequest{Id: id})
	if err != nil || len(resp.GetMigrations()) != 1 {
		f.t.Fatalf("%v, %v", resp, err)
	}
	return resp.GetMigrations()[0]
}

// Many take and finish at once: each part is taken once, and whoever looks last finds the migration done.
func TestMigrationPartsAreTakenOnce(t *testing.T) {
	f := newFixture(t, 0)
	id := f.startMigration(moving("a", "b")).GetId()
	var mu sync.Mutex
	taken := make(map[int32]int)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			for i := 0; ; i++ {
				holder := fmt.Sprint("holder", g, ".", i)
				resp, err := f.TakeMigration(t.Context(), &filemetapb.TakeMigrationRequest{Holder: holder, Life: leaseLife})
				if err != nil {
					t.Error(err)
					return
				}
				if len(resp.GetParts()) == 0 {
					return
				}
				mu.Lock()
				for _, p := range resp.GetParts() {
					taken[p.GetPart()]++
				}
				mu.Unlock()
				if err := f.finish(id, holder, resp.GetParts()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for part := range int32(migrationParts) {
		if taken[part] != 1 {
			t.Errorf("part %d was taken %d times", part, taken[part])
		}
	}
	f.take(0, "last")
	if m := f.migrationNow(id); m.GetState() != filemetapb.MigrationState_MIGRATION_STATE_DONE || m.GetCounts().GetBlobs() != migrationParts ||
		m.GetCounts().GetBytes() != 10*migrationParts || m.GetHolders() != 0 || m.GetEndedAt() == 0 {
		t.Errorf("%v", m)
	}
}

// A lease is its holder's until somebody else takes it, however late that is; from then on the holder can write nothing,
// and none of what it sends at once.
func TestMigrationLeaseIsFenced(t *testing.T) {
	f := newFixture(t, 0)
	id := f.startMigration(moving("a", "b")).GetId()
	parts := f.take(id, "slow")
	if len(parts) < 2 {
		t.Fatalf("%d parts", len(parts))
	}
	save := func(holder string, held int, release bool, parts ...*filemetapb.MigrationPart) error {
		_, err := f.SaveMigration(t.Context(), &filemetapb.SaveMigrationRequest{
			Id: id, Holder: holder, Life: leaseLife, Parts: parts, Held: int32(held), Release: release,
		})
		return err
	}
	at := func(p *filemetapb.MigrationPart, blobs int64) *filemetapb.MigrationPart {
		p = proto.CloneOf(p)
		p.After = append(make([]byte, 31), byte(blobs))
		p.Counts = &filemetapb.MigrationCounts{Blobs: blobs, Damaged: 1, Problems: []*filemetapb.Problem{{Code: "damaged_blob", Detail: "坏"}}}
		return p
	}
	f.clock.Add(2 * leaseLife)
	if err := save("slow", len(parts), false, at(parts[0], 1)); err != nil {
		t.Errorf("late, but nobody else has it: %v", err)
	}
	f.clock.Add(2 * leaseLife)
	others := f.take(id, "quick")
	if others[0].GetPart() != parts[0].GetPart() || others[0].GetCounts().GetBlobs() != 1 || others[0].GetAfter()[31] != 1 ||
		others[0].GetCounts().GetProblems()[0].GetDetail() != "坏" {
		t.Errorf("the next one begins at %v", others[0])
	}
	rest := f.take(id, "third")
	for _, err := range []error{
		save("slow", len(parts), false, at(parts[0], 2)), save("slow", len(parts), false), save("slow", 0, true, at(parts[1], 2)), save("nobody", 1, false),
	} {
		if !errs.Is(errs.Stale, err) {
			t.Errorf("whoever has lost the lease: %v", err)
		}
	}
	if err := save("slow", 0, true); err != nil {
		t.Errorf("gives back what is left: %v", err)
	}
	if m := f.migrationNow(id); m.GetCounts().GetBlobs() != 1 || m.GetHolders() != 2 {
		t.Errorf("%v", m)
	}
	if err := save("quick", len(others), false, at(others[0], 5)); err != nil {
		t.Error(err)
	}
	if err := f.finish(id, "third", rest); err != nil {
		t.Error(err)
	}
	if m := f.migrationNow(id); m.GetCounts().GetBlobs() != int64(5+len(rest)) || m.GetHolders() != 1 || m.GetPartsDone() != int32(len(rest)) {
		t.Errorf("%v", m)
	}
	// A part that is done is nobody's any more.
	if err := save("third", 0, true, at(rest[0], 9)); !errs.Is(errs.Stale, err) {
		t.Errorf("a part that was done: %v", err)
	}
}

// The same migration runs once, whoever starts it, and another one beside it. What has ended is remembered for a while.
func TestMigrationStartedTogether(t *testing.T) {
	f := newFixture(t, 0)
	var wg sync.WaitGroup
	var mu sync.Mutex
	found := make(map[int64]int)
	for g := range 8 {
		wg.Go(func() {
			req := moving("a", "b")
			req.Rate = int64(g)
			m, err := f.StartMigration(t.Context(), req)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			found[m.GetId()]++
		})
	}
	wg.Wait()
	if len(found) != 1 || found[1] != 8 {
		t.Errorf("%v", found)
	}
	for i, req := range []*filemetapb.StartMigrationRequest{
		moving("b", "a"), {From: "a", To: "b", Drive: 1, Width: 1}, {From: "a", To: "b", MinSize: 1, Width: 1}, {From: "a", To: "b", MaxSize: 1, Width: 1},
		moving("x", "yz"), moving("xy", "z"),
	} {
		if m := f.startMigration(req); m.GetId() != int64(i+2) {
			t.Errorf("%v", m)
		}
	}
	for range migrationsKept + 5 {
		m := f.startMigration(moving("c", "d"))
		if _, err := f.CancelMigration(t.Context(), &filemetapb.CancelMigrationRequest{Id: m.GetId()}); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := f.ListMigrations(t.Context(), new(filemetapb.ListMigrationsRequest))
	// The seven that run, and of the 25 others the last but for those too old.
	if all := resp.GetMigrations(); err != nil || len(all) != 7+migrationsKept+1 || all[0].GetId() != 32 || all[len(all)-1].GetId() != 1 {
		t.Errorf("%d, %v", len(all), err)
	}
	for _, bad := range []*filemetapb.StartMigrationRequest{
		moving("a", "a"), moving("", "a"), moving("a", ""), {From: "a", To: "b"}, {From: "a", To: "b", Width: 1, Rate: -1}, {From: "a", To: "b", Width: 1, Drive: -1},
	} {
		if _, err := f.StartMigration(t.Context(), bad); !errs.Is(errs.Invalid, err) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// Who is told of a cancelled migration may still write down what was moved, and nobody takes more of it.
func TestMigrationCancelled(t *testing.T) {
	f := newFixture(t, 0)
	id := f.startMigration(moving("a", "b")).GetId()
	parts := f.take(0, "one")
	if _, err := f.CancelMigration(t.Context(), &filemetapb.CancelMigrationRequest{Id: id}); err != nil {
		t.Fatal(err)
	}
	if more := f.take(id, "two"); len(more) != 0 {
		t.Errorf("%v", more)
	}
	resp, err := f.SaveMigration(t.Context(), &filemetapb.SaveMigrationRequest{Id: id, Holder: "one", Life: leaseLife, Held: int32(len(parts))})
	if err != nil || resp.GetMigration().GetState() != filemetapb.MigrationState_MIGRATION_STATE_CANCELLED {
		t.Errorf("%v, %v", resp, err)
	}
	if err := f.finish(id, "one", parts); err != nil {
		t.Error(err)
	}
	if m := f.migrationNow(id); m.GetCounts().GetBlobs() != int64(len(parts)) || m.GetState() != filemetapb.MigrationState_MIGRATION_STATE_CANCELLED {
		t.Errorf("%v", m)
	}
	if m := f.startMigration(moving("a", "b")); m.GetId() == id || m.GetCounts().GetBlobs() != 0 {
		t.Errorf("%v", m)
	}
	if _, err := f.CancelMigration(t.Context(), &filemetapb.CancelMigrationRequest{Id: 99}); !errs.Is(errs.NotFound, err) {
		t.Errorf("%v", err)
	}
}
