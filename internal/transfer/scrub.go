package transfer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/zeromicro/go-zero/core/logx"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/kv"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

var (
	scrubbedBytes = promauto.NewCounter(prometheus.CounterOpts{
		Name: "gopan_scrub_read_bytes_total", Help: "Stored bytes that were read to see that they are whole.",
	})
	scrubDamaged = promauto.NewCounter(prometheus.CounterOpts{
		Name: "gopan_scrub_damaged_total", Help: "Blobs that were found damaged or missing by reading all that is stored.",
	})
)

// Scrubbed is what one reading of everything has found so far.
type Scrubbed struct {
	Began time.Time `json:"began"`
	// Ended is zero while it goes on.
	Ended time.Time `json:"ended,omitzero"`
	// After is the last digest that was done.
	After string `json:"after,omitempty"`
	Blobs int64  `json:"blobs"`
	Bytes int64  `json:"bytes"`
	// Damaged blobs, and what is wrong with the first hundred of them.
	Damaged  int64     `json:"damaged"`
	Problems []Problem `json:"problems"`
}

// ScrubStatus is the reading under way, if there is one, and the last that came to its end.
type ScrubStatus struct {
	Now  *Scrubbed `json:"now,omitempty"`
	Last *Scrubbed `json:"last,omitempty"`
}

const (
	scrubNow  = "transfer/scrub/now"
	scrubLast = "transfer/scrub/last"
	// scrubLease is held by the process that reads.
	scrubLease = "transfer/scrub/lease"
	leaseLife  = time.Minute
	// scrubKept is how long the reports are kept without news; losing them means to begin anew.
	scrubKept = 400 * 24 * time.Hour
	// scrubSaves is how often the place is written down, which is what a restart reads again at most.
	scrubSaves = 15 * time.Second
	// scrubLook is how often a process looks whether it is time to read, or another one has stopped reading.
	scrubLook = time.Minute
	// scrubTold is how many problems a report names.
	scrubTold = 100
)

// ScrubStatus tells how far reading everything has come and what it found.
func (s *Service) ScrubStatus(ctx context.Context) (ScrubStatus, error) {
	now, err := loadScrub(ctx, s.KV, scrubNow)
	if err != nil {
		return ScrubStatus{}, err
	}
	last, err := loadScrub(ctx, s.KV, scrubLast)
	return ScrubStatus{now, last}, err
}

func loadScrub(ctx context.Context, store kv.Store, key string) (*Scrubbed, error) {
	b, err := store.Get(ctx, key)
	if errs.Is(errs.NotFound, err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	st := new(Scrubbed)
	if err := json.Unmarshal(b, st); err != nil {
		return nil, nil // of another release: as good as none
	}
	return st, nil
}

func saveScrub(ctx context.Context, store kv.Store, key string, st *Scrubbed) error {
	b, err := json.Marshal(st)
	if err != nil {
		return errs.E(errs.Internal, "transfer.saveScrub", err)
	}
	return store.Set(ctx, key, b, scrubKept)
}

// Scrub reads every blob that a version refers to, at ScrubRate, and reports what is damaged (faults F23 and F24): as an
// error in the log, in gopan_scrub_damaged_total and in ScrubStatus. It goes on where it stopped, returns at once
// when it is not time or another process reads, and otherwise at the end of everything.
func (s *Service) Scrub(ctx context.Context) error {
	const op = errs.Op("transfer.Scrub")
	if s.KV == nil || s.ScrubEvery <= 0 || s.ScrubRate <= 0 {
		return nil
	}
	status, err := s.ScrubStatus(ctx)
	if err != nil {
		return errs.Wrap(op, err)
	}
	if !s.scrubDue(status) {
		return nil
	}
	me := []byte(rand.Text())
	if mine, err := s.KV.Swap(ctx, scrubLease, nil, me, leaseLife); err != nil || !mine {
		return errs.Wrap(op, err)
	}
	ctx, release := s.holdLease(ctx, me)
	defer release()
	// Another process may have come to the end between the look and the lease.
	if status, err = s.ScrubStatus(ctx); err != nil || !s.scrubDue(status) {
		return errs.Wrap(op, err)
	}
	run := &scrubbing{Service: s, st: status.Now, at: newPace(s.ScrubRate), saved: time.Now()}
	if run.st == nil {
		run.st = &Scrubbed{Began: s.now(), Problems: []Problem{}}
	}
	if err := run.all(ctx); err != nil {
		if context.Cause(ctx) == errLeaseLost { //nolint:errorlint // it is that very value
			return errs.Wrap(op, errLeaseLost) // another process goes on, and has its own place
		}
		// What was found so far is kept, and the next call goes on behind it.
		_ = saveScrub(context.WithoutCancel(ctx), s.KV, scrubNow, run.st)
		return errs.Wrap(op, err)
	}
	run.st.Ended, run.st.After = s.now(), ""
	if err := saveScrub(ctx, s.KV, scrubLast, run.st); err != nil {
		return errs.Wrap(op, err)
	}
	return errs.Wrap(op, s.KV.Delete(ctx, scrubNow))
}

// scrubDue tells whether there is something to read now.
func (s *Service) scrubDue(st ScrubStatus) bool {
	return st.Now != nil || st.Last == nil || s.now().Sub(st.Last.Began) >= s.ScrubEvery
}

var errLeaseLost = errs.E(errs.Busy, "transfer.holdLease", "another process reads now")

// holdLease keeps the lease until release; the context ends when it is lost to another process.
func (s *Service) holdLease(ctx context.Context, me []byte) (held context.Context, release func()) {
	held, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(leaseLife / 4)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-held.Done():
				return
			case <-tick.C:
			}
			mine, err := s.KV.Swap(held, scrubLease, me, me, leaseLife)
			switch {
			case err == nil && mine:
				last = time.Now()
			case err == nil || time.Since(last) > leaseLife*3/4:
				cancel(errLeaseLost)
			}
		}
	}()
	return held, func() {
		cancel(nil)
		<-done
		ctx := context.WithoutCancel(ctx)
		if mine, err := s.KV.Swap(ctx, scrubLease, me, me, leaseLife); err == nil && mine {
			_ = s.KV.Delete(ctx, scrubLease) // or it ends by itself
		}
	}
}

// scrubbing is one process's part in reading everything.
type scrubbing struct {
	*Service
	st    *Scrubbed
	at    *pace
	saved time.Time
}

func (r *scrubbing) all(ctx context.Context) error {
	after, err := hex.DecodeString(r.st.After)
	if err != nil {
		after = nil
	}
	for {
		page, err := r.Tree.ScanBlobs(ctx, &filemetapb.ScanBlobsRequest{After: after, Limit: batchSize})
		if err != nil {
			return err
		}
		for _, b := range page.GetBlobs() {
			after = b.GetDigest()
			if err := r.one(ctx, blob.Ref{Digest: blob.Digest(after), Size: b.GetSize()}); err != nil {
				return err
			}
		}
		if len(page.GetBlobs()) < batchSize {
			return nil
		}
	}
}

func (r *scrubbing) one(ctx context.Context, ref blob.Ref) error {
	n, p, err := r.checkBlob(ctx, ref, true, r.at)
	scrubbedBytes.Add(float64(n))
	if err != nil {
		return err
	}
	r.st.Blobs++
	r.st.Bytes += n
	r.st.After = ref.Digest.String()
	if p != nil {
		scrubDamaged.Inc()
		logx.Errorw("stored content is damaged", logx.Field("digest", ref.Digest.String()), logx.Field("problem", p.Code),
			logx.Field("error", p.Detail))
		if r.st.Damaged++; r.st.Damaged <= scrubTold {
			r.st.Problems = append(r.st.Problems, *p)
		}
	}
	if p == nil && time.Since(r.saved) < scrubSaves {
		return nil
	}
	r.saved = time.Now()
	return saveScrub(ctx, r.KV, scrubNow, r.st)
}
