package transfer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/zeromicro/go-zero/core/logx"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Commits brings what was published to the commit log into the tree, and tells the publishers what became of it.
type Commits struct {
	// Tree is the filemeta role; any process of it.
	Tree filemetapb.FileMetaClient
	// Source is the log.
	Source event.Source
	// Origin gives the way to the process that published, by the address in its records.
	Origin func(address string) (filemetapb.FileMetaClient, error)
}

var _ event.Sink = (*Commits)(nil)

// answerTime is how long a publisher may take to hear an answer. It finds it in the database if it did not.
const answerTime = time.Second

// Run applies commits until ctx ends.
func (c *Commits) Run(ctx context.Context) error {
	return errs.Wrap("transfer.Commits.Run", c.Source.Run(ctx, c))
}

// Position implements event.Sink.
func (c *Commits) Position(ctx context.Context, topic string, partition int32) (int64, error) {
	resp, err := c.Tree.Position(ctx, &filemetapb.PositionRequest{Topic: topic, Partition: partition})
	return resp.GetNext(), errs.Wrap("transfer.Position", err)
}

// Apply implements event.Sink. What can never be applied is buried and the rest goes on: one bad record holds up
// nobody (fault F44).
func (c *Commits) Apply(ctx context.Context, b event.Batch) error {
	const op = errs.Op("transfer.Apply")
	dead := make([]bool, len(b.Records))
	for i, r := range b.Records {
		if r.Version == event.Version {
			continue
		}
		if err := c.bury(ctx, b, i, fmt.Sprintf("version %q, not %q", r.Version, event.Version)); err != nil {
			return errs.Wrap(op, err)
		}
		dead[i] = true
	}
	return errs.Wrap(op, c.apply(ctx, b, dead))
}

// apply is Apply; dead tells which records are buried.
func (c *Commits) apply(ctx context.Context, b event.Batch, dead []bool) error {
	for {
		req := &filemetapb.ApplyBatchRequest{Topic: b.Topic, Partition: b.Partition, From: b.From, Next: b.Next}
		for i, r := range b.Records {
			rec := &filemetapb.Record{Id: r.ID, PublishedAt: r.Published.UnixMilli(), Dead: dead[i]}
			if !dead[i] {
				rec.Payload = r.Payload
			}
			req.Records = append(req.Records, rec)
		}
		resp, err := c.Tree.ApplyBatch(ctx, req)
		switch {
		case errs.Is(errs.Internal, err) || errs.Is(errs.Invalid, err):
			// A record that breaks the whole transaction; not the database's trouble, which would be errs.Busy.
			if len(b.Records) == 1 && !dead[0] {
				if err := c.bury(ctx, b, 0, err.Error()); err != nil {
					return err
				}
				dead[0] = true
				continue
			}
			if len(b.Records) < 2 {
				return err
			}
			half := len(b.Records) / 2
			middle := b.Records[half].Offset
			first, second := b, b
			first.Records, first.Next = b.Records[:half], middle
			second.Records, second.From = b.Records[half:], middle
			if err := c.apply(ctx, first, dead[:half]); err != nil {
				return err
			}
			if err := c.apply(ctx, second, dead[half:]); err != nil {
				// The first half is applied: the batch is not where it was.
				return errs.E(errs.Stale, "transfer.apply", err)
			}
			return nil
		case err != nil:
			return err
		case len(resp.GetPoison()) == 0:
			c.answer(ctx, b, dead, resp.GetOutcomes())
			return nil
		}
		for _, p := range resp.GetPoison() {
			i := int(p.GetIndex())
			if i < 0 || i >= len(dead) || dead[i] {
				return errs.E(errs.Internal, "transfer.apply", "an answer about a record that was not asked about")
			}
			if err := c.bury(ctx, b, i, p.GetReason()); err != nil {
				return err
			}
			dead[i] = true
		}
	}
}

func (c *Commits) bury(ctx context.Context, b event.Batch, i int, reason string) error {
	r := b.Records[i]
	logx.Errorw("a commit can never be applied and is a dead letter now", logx.Field("partition", b.Partition),
		logx.Field("offset", r.Offset), logx.Field("reason", reason))
	return errs.Wrap("transfer.bury", c.Source.Bury(ctx, b.Topic, b.Partition, r, reason))
}

// answer tells the publishers what became of their commits, each in one call, all at once.
func (c *Commits) answer(ctx context.Context, b event.Batch, dead []bool, outcomes []*filemetapb.CommitOutcome) {
	to := make(map[string][]*filemetapb.Answered)
	for i, r := range b.Records {
		if r.Origin != "" && !dead[i] && i < len(outcomes) {
			to[r.Origin] = append(to[r.Origin], &filemetapb.Answered{Id: r.ID, Outcome: outcomes[i]})
		}
	}
	var told sync.WaitGroup
	for address, answers := range to {
		told.Go(func() {
			origin, err := c.Origin(address)
			if err == nil {
				ctx, cancel := context.WithTimeout(ctx, answerTime)
				defer cancel()
				_, err = origin.Answer(ctx, &filemetapb.AnswerRequest{Answers: answers})
			}
			if err != nil {
				logx.Errorw("a publisher was not told what became of its commits", logx.Field("address", address), logx.Field("error", err.Error()))
			}
		})
	}
	told.Wait()
}
