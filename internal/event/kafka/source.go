package kafka

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/zeromicro/go-zero/core/logx"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
)

// Gather bounds a batch: whichever of its limits is reached first ends it.
type Gather struct {
	Records int
	Bytes   int
	// Wait is how long the first record waits for others.
	Wait time.Duration
}

// Source is the end of the log from which events are applied. Each partition has a worker, so partitions are applied in
// parallel and each in its order. Where a partition goes on is what the sink says, never what Kafka remembers.
type Source struct {
	config Config
	gather Gather

	once sync.Once
	bury *kgo.Client
	dead error
}

var _ event.Source = (*Source)(nil)

// NewSource gives a source.
func NewSource(c Config, g Gather) *Source { return &Source{config: c, gather: g} }

// worker applies one partition.
type worker struct {
	source    *Source
	client    *kgo.Client
	sink      event.Sink
	topic     string
	partition int32

	cancel context.CancelFunc
	done   chan struct{}
	// rest is what the last batch had no room for.
	rest []*kgo.Record

	mu sync.Mutex
	// queue is what was fetched and not begun. When it is full the partition is paused, which is the back-pressure: the
	// others go on.
	queue  [][]*kgo.Record
	paused bool
	gone   bool          // the partition is somebody else's
	ready  chan struct{} // the queue has something
	end    int64         // of the partition, when it was last fetched
}

// maxQueue of fetches, each of which has at most FetchMaxPartitionBytes, or one record.
const maxQueue = 4

// Run implements event.Source.
func (s *Source) Run(ctx context.Context, to event.Sink) error {
	const op = errs.Op("kafka.Source.Run")
	var mu sync.Mutex
	workers := make(map[int32]*worker)
	stop := func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
		var ended []*worker
		mu.Lock()
		for _, p := range lost[s.config.Topic] {
			if w := workers[p]; w != nil {
				ended = append(ended, w)
				delete(workers, p)
			}
		}
		mu.Unlock()
		for _, w := range ended {
			w.stop()
		}
	}
	client, err := kgo.NewClient(append(s.config.options(),
		kgo.ConsumerGroup(s.config.Group), kgo.ConsumeTopics(s.config.Topic), kgo.DisableAutoCommit(),
		kgo.FetchMaxWait(500*time.Millisecond), kgo.FetchMinBytes(1), kgo.FetchMaxBytes(8<<20), kgo.FetchMaxPartitionBytes(1<<20),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(time.Second), kgo.RebalanceTimeout(10*time.Second),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AdjustFetchOffsetsFn(func(ctx context.Context, all map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
			for topic, partitions := range all {
				for p := range partitions {
					at, err := to.Position(ctx, topic, p)
					if err != nil {
						return nil, err
					}
					partitions[p] = kgo.NewOffset().At(at)
				}
			}
			return all, nil
		}),
		kgo.OnPartitionsRevoked(stop), kgo.OnPartitionsLost(stop),
	)...)
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	defer client.Close()
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		for p, w := range workers {
			delete(workers, p)
			w.stop()
		}
	}()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		fetches.EachError(func(topic string, p int32, err error) {
			if !errors.Is(err, context.Canceled) {
				logx.Errorw("reading the commit log failed", logx.Field("topic", topic), logx.Field("partition", p), logx.Field("error", err.Error()))
			}
		})
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if len(p.Records) == 0 {
				return
			}
			mu.Lock()
			w := workers[p.Partition]
			if w == nil {
				w = s.start(ctx, client, to, p.Partition)
				workers[p.Partition] = w
			}
			mu.Unlock()
			w.give(p.Records, p.HighWatermark)
		})
	}
}

func (s *Source) start(ctx context.Context, client *kgo.Client, to event.Sink, partition int32) *worker {
	ctx, cancel := context.WithCancel(ctx)
	w := &worker{
		source: s, client: client, sink: to, topic: s.config.Topic, partition: partition,
		ready: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{}),
	}
	go w.run(ctx)
	return w
}

// stop ends the worker when the batch that it applies is over.
func (w *worker) stop() {
	w.cancel()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	w.pause(false) // it would stay so if the partition came back
}

// give takes what was fetched.
func (w *worker) give(records []*kgo.Record, end int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return
	}
	w.queue, w.end = append(w.queue, records), end
	if len(w.queue) >= maxQueue {
		w.pause(true)
	}
	select {
	case w.ready <- struct{}{}:
	default: // it was said before
	}
}

// pop gives the next of what was fetched; nil: there is nothing.
func (w *worker) pop() []*kgo.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return nil
	}
	records := w.queue[0]
	w.queue = w.queue[1:]
	if len(w.queue) == 0 {
		w.pause(false)
	}
	return records
}

// pause ends or resumes the fetching of the partition. The caller holds mu.
func (w *worker) pause(on bool) {
	if on == w.paused {
		return
	}
	w.paused = on
	if this := map[string][]int32{w.topic: {w.partition}}; on {
		w.client.PauseFetchPartitions(this)
	} else {
		w.client.ResumeFetchPartitions(this)
	}
}

// showLag tells how much of the partition is not applied when all before at is.
func (w *worker) showLag(at int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lag.WithLabelValues(w.label()).Set(float64(max(0, w.end-at)))
}

func (w *worker) label() string { return strconv.Itoa(int(w.partition)) }

// retryMost is the longest time between two tries of a batch.
const retryMost = 2 * time.Second

func (w *worker) run(ctx context.Context) {
	defer close(w.done)
	defer lag.DeleteLabelValues(w.label())
	at, retry, committed := int64(-1), 50*time.Millisecond, time.Now()
	for {
		records := w.next(ctx)
		if len(records) == 0 {
			return
		}
		for len(records) > 0 {
			w.showLag(records[0].Offset)
			var err error
			if at < 0 {
				at, err = w.sink.Position(ctx, w.topic, w.partition)
			}
			for len(records) > 0 && err == nil && records[0].Offset < at {
				records = records[1:] // was applied before
			}
			if len(records) == 0 {
				break
			}
			if err == nil {
				began := time.Now()
				b := w.batch(at, records)
				if err = w.sink.Apply(context.WithoutCancel(ctx), b); err == nil {
					at, records, retry = b.Next, nil, 50*time.Millisecond
					batchSize.Observe(float64(len(b.Records)))
					applySeconds.Observe(time.Since(began).Seconds())
					w.showLag(at)
					break
				}
			}
			if errs.Is(errs.Stale, err) {
				at = -1
				continue
			}
			logx.Errorw("applying commits failed and is tried again", logx.Field("partition", w.partition), logx.Field("at", at), logx.Field("error", err.Error()))
			select {
			case <-ctx.Done():
				return
			case <-time.After(retry):
			}
			retry = min(2*retry, retryMost)
		}
		if time.Since(committed) > 5*time.Second { // for tools that show lag; nothing of ours reads it
			committed = time.Now()
			w.client.CommitOffsets(ctx, map[string]map[int32]kgo.EpochOffset{w.topic: {w.partition: {Epoch: -1, Offset: at}}}, nil)
		}
	}
}

// next gathers the records of a batch; none: the worker ends.
func (w *worker) next(ctx context.Context) (records []*kgo.Record) {
	g := w.source.gather
	size := 0
	var over <-chan time.Time
	for {
		for i, r := range w.rest {
			if len(records) > 0 && (len(records) >= g.Records || size+len(r.Value) > g.Bytes) {
				w.rest = w.rest[i:]
				return records
			}
			records = append(records, r)
			size += len(r.Value)
		}
		if w.rest = w.pop(); len(w.rest) > 0 {
			continue
		}
		if len(records) > 0 && over == nil {
			wait := time.NewTimer(g.Wait)
			defer wait.Stop()
			over = wait.C
		}
		select {
		case <-w.ready:
		case <-over:
			return records
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *worker) batch(at int64, records []*kgo.Record) event.Batch {
	b := event.Batch{Topic: w.topic, Partition: w.partition, From: at, Next: records[len(records)-1].Offset + 1}
	for _, r := range records {
		b.Records = append(b.Records, decode(r))
	}
	return b
}

// Bury implements event.Source.
func (s *Source) Bury(ctx context.Context, topic string, partition int32, r event.Record, reason string) error {
	s.once.Do(func() {
		s.bury, s.dead = kgo.NewClient(append(s.config.options(), kgo.RequiredAcks(kgo.AllISRAcks()))...)
	})
	if s.dead != nil {
		return errs.E(errs.Internal, "kafka.Bury", s.dead)
	}
	letter := encode(s.config.DeadLetters, r.Version, r.Origin, r.Event)
	letter.Headers = append(letter.Headers,
		kgo.RecordHeader{Key: headerReason, Value: []byte(reason)},
		kgo.RecordHeader{Key: headerPublished, Value: strconv.AppendInt(nil, r.Published.UnixMilli(), 10)}, kgo.RecordHeader{Key: headerTopic, Value: []byte(topic)},
		kgo.RecordHeader{Key: headerPartition, Value: strconv.AppendInt(nil, int64(partition), 10)},
		kgo.RecordHeader{Key: headerOffset, Value: strconv.AppendInt(nil, r.Offset, 10)})
	if err := s.bury.ProduceSync(ctx, letter).FirstErr(); err != nil {
		return errs.E(errs.Busy, "kafka.Bury", err)
	}
	deadLetters.Inc()
	return nil
}

// Close ends what Bury opened.
func (s *Source) Close() error {
	if s.bury != nil {
		s.bury.Close()
	}
	return nil
}
