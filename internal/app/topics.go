package app

import (
	"context"

	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event/kafka"
)

// Topics are those of the commit log in Kafka, for an operator.
type Topics struct{ config kafka.Config }

// TopicLayout is how topics are kept.
type TopicLayout = kafka.Layout

// DeadLetter is a commit that could not be applied.
type DeadLetter = kafka.DeadLetter

// OpenTopics finds the topics that the settings name.
func OpenTopics(c config.Config) (*Topics, error) {
	const op = errs.Op("app.OpenTopics")
	if err := c.Check(); err != nil {
		return nil, errs.E(errs.Invalid, op, err)
	}
	if c.Commits.Driver != "kafka" {
		return nil, errs.E(errs.Invalid, op, "commits.driver is not kafka: there are no topics")
	}
	k, err := kafkaConfig(c.Commits)
	if err != nil {
		return nil, errs.E(errs.Invalid, op, err)
	}
	return &Topics{k}, nil
}

// Prepare makes the topics that are not there, and tells how the others differ from the layout.
func (t *Topics) Prepare(ctx context.Context, l TopicLayout) ([]kafka.Topic, error) {
	return kafka.Prepare(ctx, t.config, l)
}

// DeadLetters gives the commits that could not be applied, from an offset on.
func (t *Topics) DeadLetters(ctx context.Context, from int64, fn func(DeadLetter) error) error {
	return kafka.Letters(ctx, t.config, from, fn)
}

// Replay publishes a dead letter again.
func (t *Topics) Replay(ctx context.Context, d DeadLetter) error {
	return kafka.Replay(ctx, t.config, d)
}
