package filemeta

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// logged is a fixture whose commits may come by several ways, and the partition that one of them is.
type logged struct {
	*fixture
	at, ids int64
}

func newLogged(t *testing.T, quota int64) *logged {
	t.Helper()
	f := newFixture(t, quota)
	f.SeveralWays = true
	f.file(alice, "/before", 1) // the drive is there
	return &logged{fixture: f, ids: 1 << 40}
}

// record is a commit as it stands in the log.
func (l *logged) record(id, path string, size int64, opts ...func(*filemetapb.Target)) *filemetapb.Record {
	l.t.Helper()
	l.ids += 100
	payload, err := proto.Marshal(&filemetapb.Committed{
		Request: &filemetapb.CommitRequest{Target: target(alice, path, opts...), Blob: bytesOf(path+id, size)}, FirstId: l.ids, Key: id,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return &filemetapb.Record{Id: id, Payload: payload, PublishedAt: l.clock.Load()}
}

func (l *logged) request(records ...*filemetapb.Record) *filemetapb.ApplyBatchRequest {
	return &filemetapb.ApplyBatchRequest{Topic: "t", Partition: 3, From: l.at, Next: l.at + int64(len(records)), Records: records}
}

// apply applies records where the partition is, and moves on.
func (l *logged) apply(records ...*filemetapb.Record) *filemetapb.ApplyBatchResponse {
	l.t.Helper()
	req := l.request(records...)
	resp, err := l.ApplyBatch(l.t.Context(), req)
	if err != nil {
		l.t.Fatal(err)
	}
	if len(resp.GetPoison()) == 0 {
		l.at = req.GetNext()
	}
	return resp
}

// directly is the other way of the same commit.
func (l *logged) directly(r *filemetapb.Record) error {
	l.t.Helper()
	refused, err := l.Apply(l.t.Context(), []event.Event{{ID: r.GetId(), Payload: r.GetPayload()}})
	if err != nil {
		l.t.Fatal(err)
	}
	return refused[0]
}

func (l *logged) versions(path string) int64 {
	l.t.Helper()
	return l.mustStat(alice, path).Version
}

// C6, F43: a commit takes effect once, by whichever way it comes first, however often, and in one batch or several.
func TestCommitOnceByManyWays(t *testing.T) {
	l := newLogged(t, 0)
	a, b, c := l.record("a", "/f", 10), l.record("b", "/f", 20), l.record("c", "/g", 5)
	first := l.apply(a, a, b)
	if o := first.GetOutcomes(); len(o) != 3 || o[0].GetDone().GetNode().GetId() != o[1].GetDone().GetNode().GetId() || !o[1].GetDone().GetCreated() {
		t.Errorf("outcomes %v", o)
	}
	l.apply(b, a)
	if err := l.directly(a); err != nil {
		t.Error(err)
	}
	if err := l.directly(c); err != nil {
		t.Error(err)
	}
	if o := l.apply(c).GetOutcomes(); o[0].GetDone().GetNode().GetPath() != "/g" || !o[0].GetDone().GetCreated() {
		t.Errorf("the second way: %v", o)
	}
	if v := l.versions("/f"); v != 2 {
		t.Errorf("/f has version %d, want 2", v)
	}
	if used := l.used(alice); used != 1+10+20+5 {
		t.Errorf("%d bytes are used, want 36", used)
	}
	l.sound(alice)
}

// C6: what was refused stays refused, though it could be done by the time that it comes again.
func TestRefusedForGood(t *testing.T) {
	l := newLogged(t, 100)
	large, taken := l.record("large", "/large", 1000), l.record("taken", "/before", 5, orFail)
	if err := l.directly(large); !errs.Is(errs.OverQuota, err) {
		t.Fatal(err)
	}
	if f := l.apply(taken).GetOutcomes()[0].GetFailure(); errs.Kind(f.GetKind()) != errs.Exists || f.GetCode() != "name_taken" {
		t.Fatalf("%v", f)
	}
	if _, err := l.update(t.Context(), owner(alice), l.mustStat(alice, "/before").ID, move{name: "moved"}); err != nil {
		t.Fatal(err)
	}
	if f := l.apply(large).GetOutcomes()[0].GetFailure(); errs.Kind(f.GetKind()) != errs.OverQuota || f.GetCode() != "quota_exceeded" {
		t.Errorf("the second way: %v", f)
	}
	if err := l.directly(taken); !errs.Is(errs.Exists, err) || errs.CodeOf(err) != "name_taken" {
		t.Errorf("the second way: %v", err)
	}
	if _, err := l.stat(t.Context(), owner(alice), at("/before")); !errs.Is(errs.NotFound, err) {
		t.Errorf("the refused commit took effect: %v", err)
	}
}

// F06: of two who apply one partition, one moves it; the other learns that, and nothing of its batch happens.
func TestOnePositionOfAPartition(t *testing.T) {
	l := newLogged(t, 0)
	mine, theirs := l.request(l.record("a", "/a", 1)), l.request(l.record("b", "/b", 1), l.record("c", "/c", 1))
	if _, err := l.ApplyBatch(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	for _, from := range []int64{0, 1, 3} {
		mine.From, mine.Next = from, from+1
		if _, err := l.ApplyBatch(t.Context(), mine); !errs.Is(errs.Stale, err) {
			t.Errorf("from %d: %v, want errs.Stale", from, err)
		}
	}
	if _, err := l.stat(t.Context(), owner(alice), at("/a")); !errs.Is(errs.NotFound, err) {
		t.Errorf("a batch from a wrong position took effect: %v", err)
	}
	l.restart()
	l.SeveralWays = true
	p, err := l.Position(t.Context(), &filemetapb.PositionRequest{Topic: "t", Partition: 3})
	if err != nil || p.GetNext() != 2 {
		t.Errorf("the position is %d, %v; want 2", p.GetNext(), err)
	}
	if p, err := l.Position(t.Context(), &filemetapb.PositionRequest{Topic: "t", Partition: 4}); err != nil || p.GetNext() != 0 {
		t.Errorf("the position of another partition is %d, %v", p.GetNext(), err)
	}
}

// What became of a commit is remembered for as long as anything may ask, then it goes, however much it is.
func TestAppliedIsForgotten(t *testing.T) {
	l := newLogged(t, 0)
	rows := make([]int, 2*maxForgotten+1)
	for i := range rows {
		rows[i] = i
	}
	if err := l.DB.Write(t.Context(), func(tx *gorm.DB) error {
		return insertAll(tx, "applied", "id, kind, code, field, node_id, created, at", rows, func(i int) []any {
			return []any{fmt.Sprint("old", i), 0, "", "", 1, true, l.clock.Load()}
		})
	}); err != nil {
		t.Fatal(err)
	}
	left := func() (n int64) {
		if err := l.DB.Read(t.Context(), func(tx *gorm.DB) error {
			return tx.Raw("SELECT count(*) FROM applied").Scan(&n).Error
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := left()
	l.clock.Add((event.Remembered - time.Minute).Milliseconds())
	if err := l.forgetApplied(t.Context()); err != nil || left() != before {
		t.Errorf("%v, %d of %d are left before their time", err, left(), before)
	}
	l.clock.Add(2 * time.Minute.Milliseconds())
	young := l.record("young", "/young", 1)
	l.apply(young)
	if err := l.forgetApplied(t.Context()); err != nil || left() != 1 {
		t.Errorf("%v, %d are left, want 1", err, left())
	}
}

// F44: what can never be applied is named, and nothing of its batch happens until it is called dead; then the rest
// does.
func TestPoison(t *testing.T) {
	l := newLogged(t, 0)
	good := l.record("good", "/good", 1)
	other := l.record("x", "/x", 1)
	other.Id = "y"
	noIDs, err := proto.Marshal(&filemetapb.Committed{Request: &filemetapb.CommitRequest{Target: target(alice, "/n"), Blob: bytesOf("n", 1)}, FirstId: -1, Key: "n"})
	if err != nil {
		t.Fatal(err)
	}
	old := l.record("old", "/old", 1)
	old.PublishedAt -= (25 * time.Hour).Milliseconds()
	for name, bad := range map[string]*filemetapb.Record{
		"no protobuf": {Id: "z", Payload: []byte("{not a commit"), PublishedAt: l.clock.Load()},
		"no name":     {Payload: good.GetPayload(), PublishedAt: l.clock.Load()},
		"other name":  other,
		"no ids":      {Id: "n", Payload: noIDs, PublishedAt: l.clock.Load()},
		"bad path":    l.record("p", "/a/../b", 1),
		"bad size":    l.record("s", "/s", -1),
		"too old":     old,
	} {
		t.Run(name, func(t *testing.T) {
			file := fmt.Sprintf("/%s", name)
			fine := l.record("fine "+name, file, 1)
			before := l.at
			if p := l.apply(fine, bad).GetPoison(); len(p) != 1 || p[0].GetIndex() != 1 || p[0].GetReason() == "" {
				t.Fatalf("%v", p)
			}
			if _, err := l.stat(t.Context(), owner(alice), at(file)); !errs.Is(errs.NotFound, err) || l.at != before {
				t.Errorf("something happened: %v", err)
			}
			l.apply(fine, &filemetapb.Record{Id: bad.GetId(), Dead: true})
			l.mustStat(alice, file)
		})
	}
	// One that is old and known is only late.
	late := l.record("late", "/late", 1)
	if err := l.directly(late); err != nil {
		t.Fatal(err)
	}
	late.PublishedAt -= (25 * time.Hour).Milliseconds()
	if o := l.apply(late).GetOutcomes(); len(o) != 1 || o[0].GetDone() == nil {
		t.Errorf("%v", o)
	}
}
