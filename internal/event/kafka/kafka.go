// Package kafka is the commit log in Apache Kafka: publishers of all processes write to the partitions of one topic, and
// those who apply share the partitions among them.
package kafka

import (
	"crypto/tls"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/livil/gopan/internal/event"
)

// Config says where the log is.
type Config struct {
	// Brokers, some of them; the others are found through them.
	Brokers []string
	// Topic of commits, and of those that can never be applied.
	Topic, DeadLetters string
	// Group is the name under which those who apply share the partitions.
	Group string
	// User and Password for SASL SCRAM-SHA-512; an empty User is no SASL.
	User, Password string
	// TLS, if not nil, is how brokers are spoken to.
	TLS *tls.Config
}

// options of every client.
func (c Config) options() []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...), kgo.ClientID("gopan"), kgo.DialTimeout(2 * time.Second),
		// A broker that takes over is found soon.
		kgo.MetadataMinAge(250 * time.Millisecond), kgo.MetadataMaxAge(time.Minute),
	}
	if c.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(c.TLS))
	}
	if c.User != "" {
		opts = append(opts, kgo.SASL(scram.Auth{User: c.User, Pass: c.Password}.AsSha512Mechanism()))
	}
	return opts
}

// Headers of a record. Its key is that of the event, its value the payload.
const (
	headerID      = "id"
	headerOrigin  = "origin"
	headerVersion = "v"
	// Of a dead letter.
	headerReason    = "reason"
	headerPublished = "published" // in milliseconds since 1970
	headerTopic     = "topic"
	headerPartition = "partition"
	headerOffset    = "offset"
)

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

func encode(topic, version, origin string, e event.Event) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Key: strconv.AppendInt(nil, e.Key, 10), Value: e.Payload,
		Headers: []kgo.RecordHeader{
			{Key: headerVersion, Value: []byte(version)}, {Key: headerID, Value: []byte(e.ID)}, {Key: headerOrigin, Value: []byte(origin)},
		},
	}
}

func decode(r *kgo.Record) event.Record {
	key, _ := strconv.ParseInt(string(r.Key), 10, 64) // whose commit it is the payload says, too
	return event.Record{
		Event:  event.Event{ID: header(r, headerID), Key: key, Payload: r.Value},
		Offset: r.Offset, Version: header(r, headerVersion), Published: r.Timestamp, Origin: header(r, headerOrigin),
	}
}

var (
	direct = promauto.NewCounter(prometheus.CounterOpts{
		Name: "gopan_commits_direct_total", Help: "Commits applied by their publisher, as no answer came through the log.",
	})
	published = promauto.NewCounter(prometheus.CounterOpts{
		Name: "gopan_commits_answered_total", Help: "Commits whose answer came through the log.",
	})
	open = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "gopan_commits_log_down", Help: "1 while commits are applied directly because the log did not answer.",
	})
	lag = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "gopan_commits_lag_records", Help: "Records of a partition that are not applied yet.",
	}, []string{"partition"})
	batchSize = promauto.NewHistogram(prometheus.HistogramOpts{
		Name: "gopan_commits_batch_records", Help: "Records of one batch.", Buckets: prometheus.ExponentialBuckets(1, 3, 8),
	})
	applySeconds = promauto.NewHistogram(prometheus.HistogramOpts{
		Name: "gopan_commits_apply_seconds", Help: "Time to apply a batch.", Buckets: prometheus.ExponentialBuckets(0.001, 3, 9),
	})
	deadLetters = promauto.NewCounter(prometheus.CounterOpts{
		Name: "gopan_commits_dead_letters_total", Help: "Records that can never be applied.",
	})
)
