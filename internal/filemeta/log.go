package filemeta

import (
	"context"
	"database/sql"
	"time"

	"google.golang.org/protobuf/proto"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// With a log that other processes apply, a commit comes to Apply by it, and directly from who published it where no
// answer came back in time. Whichever is first counts, and what became of it is written down in the same
// transaction, refusals included: the second finds that and changes nothing (promise C6).

const (
	// recordLive is how old a record may be that nobody remembers. Its publisher has long given up or applied it directly;
	// well before event.Remembered is over, so that clocks may differ.
	recordLive = 24 * time.Hour
	// maxRecords in one call of ApplyBatch.
	maxRecords = 5000
	// maxForgotten in one transaction: a week's worth at once is more than a group of servers takes, and would hold up
	// all who write.
	maxForgotten = 5000
)

// ApplyBatch implements the RPC. It is errs.Stale when the partition is elsewhere than the caller thinks: another has
// applied these records.
func (s *Service) ApplyBatch(ctx context.Context, req *filemetapb.ApplyBatchRequest) (*filemetapb.ApplyBatchResponse, error) {
	const op = errs.Op("filemeta.ApplyBatch")
	records := req.GetRecords()
	if req.GetTopic() == "" || req.GetFrom() < 0 || req.GetNext() < req.GetFrom() || len(records) > maxRecords {
		return nil, errs.E(errs.Invalid, op)
	}
	resp := new(filemetapb.ApplyBatchResponse)
	for i, r := range records {
		if r.GetDead() {
			continue
		}
		if why := poison(r); why != "" {
			resp.Poison = append(resp.Poison, &filemetapb.Poison{Index: int32(i), Reason: why})
		}
	}
	if len(resp.GetPoison()) > 0 {
		return resp, nil
	}
	read := func() []job {
		jobs := make([]job, len(records))
		for i, r := range records {
			jobs[i] = readJob(event.Event{Payload: r.GetPayload()})
			if r.GetDead() {
				jobs[i].refused, jobs[i].before = errs.E(errs.Invalid, op), true
			}
		}
		return jobs
	}
	expired := -1
	jobs, err := s.apply(ctx, read, func(tx *gorm.DB) error {
		if err := advancePosition(tx, req); err != nil {
			return err
		}
		var err error
		expired, err = s.expired(tx, records)
		if err == nil && expired >= 0 {
			err = errs.E(errs.Invalid, op) // undoes the transaction
		}
		return err
	})
	if expired >= 0 {
		resp.Poison = []*filemetapb.Poison{{Index: int32(expired), Reason: "expired"}}
		return resp, nil
	}
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	for _, j := range jobs {
		var done *filemetapb.CommitResponse
		if j.refused == nil {
			done = &filemetapb.CommitResponse{Node: j.outcome.node, Created: j.outcome.created}
		}
		resp.Outcomes = append(resp.Outcomes, outcomeOf(done, j.refused))
	}
	return resp, nil
}

// poison says why a record can never be applied; empty: perhaps it can.
func poison(r *filemetapb.Record) string {
	c := new(filemetapb.Committed)
	switch err := proto.Unmarshal(r.GetPayload(), c); {
	case err != nil:
		return "not a commit"
	case r.GetId() == "" || c.GetKey() != r.GetId():
		return "not the commit that it is called"
	case c.GetFirstId() <= 0:
		return "no ids"
	}
	if _, err := idsOf(c.GetRequest()); err != nil {
		return "a commit that nobody could have made"
	}
	return ""
}

// advancePosition moves the partition's position, if it is where it must be.
func advancePosition(tx *gorm.DB, req *filemetapb.ApplyBatchRequest) error {
	n, err := execute(tx, "UPDATE log_positions SET next = ? WHERE topic = ? AND part = ? AND next = ?",
		req.GetNext(), req.GetTopic(), req.GetPartition(), req.GetFrom())
	if err != nil || n == 1 {
		return err
	}
	at, known, err := position(tx, req.GetTopic(), req.GetPartition())
	switch {
	case err != nil:
		return err
	case known && at == req.GetFrom(): // and Next is the same
		return nil
	case known || req.GetFrom() != 0:
		return errs.E(errs.Stale, "filemeta.advancePosition")
	}
	_, err = execute(tx, "INSERT INTO log_positions (topic, part, next) VALUES (?, ?, ?)", req.GetTopic(), req.GetPartition(), req.GetNext())
	return err
}

func position(tx *gorm.DB, topic string, partition int32) (next int64, known bool, err error) {
	err = query(tx, func(rows *sql.Rows) error { known = true; return rows.Scan(&next) },
		"SELECT next FROM log_positions WHERE topic = ? AND part = ?", topic, partition)
	return next, known, err
}

// Position implements the RPC.
func (s *Service) Position(ctx context.Context, req *filemetapb.PositionRequest) (*filemetapb.PositionResponse, error) {
	resp := new(filemetapb.PositionResponse)
	err := s.DB.Read(ctx, func(tx *gorm.DB) (err error) {
		resp.Next, _, err = position(tx, req.GetTopic(), req.GetPartition())
		return err
	})
	if err != nil {
		return nil, errs.Wrap("filemeta.Position", err)
	}
	return resp, nil
}

// expired finds a record that is too old and that nobody remembers; -1: there is none.
func (s *Service) expired(tx *gorm.DB, records []*filemetapb.Record) (int, error) {
	before := s.now() - recordLive.Milliseconds()
	for i, r := range records {
		if r.GetDead() || r.GetPublishedAt() >= before {
			continue
		}
		known := false
		err := query(tx, func(*sql.Rows) error { known = true; return nil }, "SELECT id FROM applied WHERE id = ?", r.GetId())
		if err != nil || !known {
			return i, err
		}
	}
	return -1, nil
}

// Answer implements the RPC.
func (s *Service) Answer(_ context.Context, req *filemetapb.AnswerRequest) (*filemetapb.AnswerResponse, error) {
	log, ok := s.Log.(event.Answerer)
	for _, a := range req.GetAnswers() {
		if !ok {
			break
		}
		if f := a.GetOutcome().GetFailure(); f != nil {
			log.Answer(a.GetId(), errs.E(errs.Kind(f.GetKind()), "filemeta.Answer", errs.Code(f.GetCode()), errs.Field(f.GetField())))
			continue
		}
		done := a.GetOutcome().GetDone()
		s.decide(a.GetId(), outcome{done.GetNode(), done.GetCreated()})
		log.Answer(a.GetId(), nil)
	}
	return new(filemetapb.AnswerResponse), nil
}

// recall finds the jobs that are remembered.
func (a *applier) recall(jobs []job) error {
	if !a.several {
		return nil
	}
	which := make(map[string][]int, len(jobs))
	var ids []string
	for i, j := range jobs {
		if key := j.GetKey(); key != "" && !j.before {
			if which[key] == nil {
				ids = append(ids, key)
			}
			which[key] = append(which[key], i)
		}
	}
	type row struct {
		id          string
		kind        int32
		code, field string
		node        NodeID
		created     bool
	}
	var found []row
	err := inLists(ids, func(marks string, args []any) error {
		return query(a.tx, func(rows *sql.Rows) error {
			var r row
			err := rows.Scan(&r.id, &r.kind, &r.code, &r.field, &r.node, &r.created)
			found = append(found, r)
			return err
		}, "SELECT id, kind, code, field, node_id, created FROM applied WHERE id IN ("+marks+")", args...)
	})
	if err != nil {
		return err
	}
	for _, r := range found {
		for _, i := range which[r.id] {
			j := &jobs[i]
			j.before = true
			if r.node == 0 {
				j.refused = errs.E(errs.Kind(r.kind), "filemeta.recall", errs.Code(r.code), errs.Field(r.field))
				continue
			}
			if j.outcome, err = a.outcomeNow(j.who(), r.node, r.created); err != nil {
				if !missing(err) {
					return err
				}
				j.refused = err
			}
		}
	}
	// The same one twice in a batch: the second changes nothing either.
	for _, all := range which {
		for _, i := range all[1:] {
			if !jobs[i].before {
				jobs[i].before, jobs[i].twin = true, all[0]+1
			}
		}
	}
	return nil
}

// record writes down what became of the jobs of this batch.
func (a *applier) record(jobs []job) error {
	if !a.several {
		return nil
	}
	var fresh []job
	for i := range jobs {
		j := &jobs[i]
		switch {
		case j.twin > 0:
			j.outcome, j.refused = jobs[j.twin-1].outcome, jobs[j.twin-1].refused
		case !j.before && j.GetKey() != "":
			fresh = append(fresh, *j)
		}
	}
	return insertAll(a.tx, "applied", "id, kind, code, field, node_id, created, at", fresh, func(j job) []any {
		if f := outcomeOf(nil, j.refused).GetFailure(); f != nil {
			return []any{j.GetKey(), f.GetKind(), f.GetCode(), f.GetField(), 0, false, a.now}
		}
		return []any{j.GetKey(), 0, "", "", j.outcome.node.GetId(), j.outcome.created, a.now}
	})
}

// forgetApplied drops what nobody can ask for any more.
func (s *Service) forgetApplied(ctx context.Context) error {
	if !s.SeveralWays {
		return nil
	}
	old := s.now() - event.Remembered.Milliseconds()
	for {
		var n int64
		err := s.DB.Write(ctx, func(tx *gorm.DB) (err error) {
			n, err = deleteSome(tx, "applied", "id", maxForgotten, "at < ?", old)
			return err
		})
		if err != nil || n < maxForgotten {
			return errs.Wrap("filemeta.forgetApplied", err)
		}
	}
}
