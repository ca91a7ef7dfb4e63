package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
)

// Layout is how topics are kept.
type Layout struct {
	Partitions int32
	// Replicas of each partition, of which InSync must have a record before it counts.
	Replicas, InSync int16
	// Retention is how long records are kept, applied or not.
	Retention time.Duration
}

// Topic is what there is of a topic, for people and programs.
type Topic struct {
	Name       string `json:"name"`
	Partitions int    `json:"partitions"`
	// Created tells that it was not there before.
	Created bool `json:"created"`
	// Differs lists what is not as it should be.
	Differs []string `json:"differs"`
}

// Prepare makes the topics that are not there, and says how the others differ from the layout. It changes none of
// those: another number of partitions would change the order of events.
func Prepare(ctx context.Context, c Config, l Layout) ([]Topic, error) {
	const op = errs.Op("kafka.Prepare")
	client, err := kgo.NewClient(c.options()...)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	settings := map[string]*string{
		"min.insync.replicas": kadm.StringPtr(strconv.Itoa(int(l.InSync))), "unclean.leader.election.enable": kadm.StringPtr("false"),
		"cleanup.policy": kadm.StringPtr("delete"), "retention.ms": kadm.StringPtr(strconv.FormatInt(l.Retention.Milliseconds(), 10)),
		"retention.bytes": kadm.StringPtr("-1"), "message.timestamp.type": kadm.StringPtr("LogAppendTime"),
	}
	var all []Topic
	for _, one := range []struct {
		name       string
		partitions int32
	}{{c.Topic, l.Partitions}, {c.DeadLetters, 1}} {
		name, partitions := one.name, one.partitions
		t := Topic{Name: name, Partitions: int(partitions), Differs: []string{}}
		_, err := admin.CreateTopic(ctx, partitions, l.Replicas, settings, name)
		switch {
		case err == nil:
			t.Created = true
		case errors.Is(err, kerr.TopicAlreadyExists):
			if t.Partitions, t.Differs, err = compare(ctx, admin, name, partitions, l, settings); err != nil {
				return nil, errs.E(errs.Busy, op, err)
			}
		default:
			return nil, errs.E(errs.Busy, op, fmt.Errorf("topic %s: %w", name, err))
		}
		all = append(all, t)
	}
	return all, nil
}

func compare(ctx context.Context, admin *kadm.Client, name string, partitions int32, l Layout, want map[string]*string) (int, []string, error) {
	differs := []string{}
	found, err := admin.ListTopics(ctx, name)
	if err != nil {
		return 0, nil, err
	}
	have := found[name].Partitions
	if len(have) != int(partitions) {
		differs = append(differs, fmt.Sprintf("%d partitions, not %d", len(have), partitions))
	}
	if n := found[name].Partitions.NumReplicas(); n != int(l.Replicas) {
		differs = append(differs, fmt.Sprintf("%d replicas, not %d", n, l.Replicas))
	}
	configs, err := admin.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return 0, nil, err
	}
	for _, c := range configs {
		for _, k := range c.Configs {
			if w := want[k.Key]; w != nil && k.MaybeValue() != *w {
				differs = append(differs, fmt.Sprintf("%s is %s, not %s", k.Key, k.MaybeValue(), *w))
			}
		}
	}
	slices.Sort(differs)
	return len(have), differs, nil
}

// DeadLetter is a record that could not be applied.
type DeadLetter struct {
	// Offset names it in the topic of dead letters.
	Offset int64     `json:"offset"`
	Buried time.Time `json:"buried"`
	Reason string    `json:"reason"`
	// Published is when it was put into the topic it came from.
	Published time.Time `json:"published"`
	Version   string    `json:"version"`
	ID        string    `json:"id"`
	Drive     int64     `json:"drive"`
	// Topic, Partition and At are where it came from.
	Topic     string `json:"topic"`
	Partition string `json:"partition"`
	At        string `json:"at"`
	Payload   []byte `json:"payload"`
}

// readTime is how long a broker may take to give what it has.
const readTime = 15 * time.Second

// Letters gives the dead letters from an offset on to fn, until it fails.
func Letters(ctx context.Context, c Config, from int64, fn func(DeadLetter) error) error {
	const op = errs.Op("kafka.Letters")
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	client, err := kgo.NewClient(append(c.options(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		c.DeadLetters: {0: kgo.NewOffset().At(from)},
	}))...)
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	ends, err := admin.ListEndOffsets(ctx, c.DeadLetters)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return errs.E(errs.Busy, op, err)
	}
	starts, err := admin.ListStartOffsets(ctx, c.DeadLetters)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return errs.E(errs.Busy, op, err)
	}
	end, _ := ends.Lookup(c.DeadLetters, 0)
	start, _ := starts.Lookup(c.DeadLetters, 0)
	for next := max(from, start.Offset); next < end.Offset; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return errs.E(errs.Busy, op, err)
		}
		for _, r := range fetches.Records() {
			next = r.Offset + 1
			e := decode(r)
			if err := fn(DeadLetter{
				Offset: r.Offset, Buried: r.Timestamp, Reason: header(r, headerReason), Published: publishedAt(r), Version: e.Version, ID: e.ID, Drive: e.Key,
				Topic: header(r, headerTopic), Partition: header(r, headerPartition), At: header(r, headerOffset), Payload: r.Value,
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// publishedAt tells when a dead letter was published; the beginning of time when it does not say.
func publishedAt(r *kgo.Record) time.Time {
	ms, _ := strconv.ParseInt(header(r, headerPublished), 10, 64)
	return time.UnixMilli(ms).UTC()
}

// replayLive is how old a dead letter may be that is published again. It may take effect a day later, and must still be
// known then if it has taken effect before.
const replayLive = event.Remembered - 24*time.Hour

// Replay publishes a dead letter again, as it was: who applies it may know by now what to do with it. It is errs.Conflict
// when it is so old that nobody knows any more whether it took effect by another way.
func Replay(ctx context.Context, c Config, d DeadLetter) error {
	const op = errs.Op("kafka.Replay")
	if time.Since(d.Published) > replayLive {
		return errs.E(errs.Conflict, op, fmt.Errorf("it was published at %s: after %s nobody knows whether it took effect",
			d.Published.Format(time.RFC3339), replayLive))
	}
	client, err := kgo.NewClient(append(c.options(), kgo.RequiredAcks(kgo.AllISRAcks()))...)
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	defer client.Close()
	if err := client.ProduceSync(ctx, encode(c.Topic, d.Version, "", event.Event{ID: d.ID, Key: d.Drive, Payload: d.Payload})).FirstErr(); err != nil {
		return errs.E(errs.Busy, op, err)
	}
	return nil
}
