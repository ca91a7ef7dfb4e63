package client

import (
	"context"
	"errors"
	"io"
	"sync"
)

// ErrSkipped means that something is neither a file nor a folder and was left out: a symbolic link, a device, a
// socket, a FIFO.
var ErrSkipped = errors.New("neither a file nor a folder")

// ErrInTheWay means that a folder is where a file should go, or the other way round.
var ErrInTheWay = errors.New("a folder is where a file should go, or a file where a folder should")

// Pair is a file or a folder to move, and the place that it gets on the other side: its new path, not the folder
// to put it in.
type Pair struct{ Local, Remote string }

// Item is one file or folder of a transfer.
type Item struct {
	// Local and Remote are its two paths.
	Local, Remote string
	// Size in bytes; 0 for a folder.
	Size   int64
	Folder bool
	// Kept is how many of its bytes did not have to go over.
	Kept int64
	// Digest of its bytes, once they have moved or were found in place.
	Digest string
}

// Outcome is how an item ended.
type Outcome int

// The outcomes.
const (
	// Moved: its bytes went over, or its folder was made.
	Moved Outcome = iota + 1
	// Unchanged: the other side had it already.
	Unchanged
	// Skipped: it is neither a file nor a folder.
	Skipped
	// Failed: the error says why; the others go on.
	Failed
)

var outcomeNames = map[Outcome]string{Moved: "transferred", Unchanged: "unchanged", Skipped: "skipped", Failed: "failed"}

// String is the outcome's stable name.
func (o Outcome) String() string { return outcomeNames[o] }

// Progress hears of a transfer as it goes. Its methods are called from several goroutines at once and must not
// block for long.
type Progress interface {
	// Plan adds to what there is to do; Planned says that nothing more will be added.
	Plan(files, bytes int64)
	Planned()
	// Read says that a large file is being read, to know what the other side has of it.
	Read(it *Item)
	// Start says that a file begins to move, Advance that n of its bytes did. n is negative when an attempt
	// failed and its bytes must go again.
	Start(it *Item)
	Advance(it *Item, n int64)
	// Kept says that n of a file's bytes are on the other side already: sent by an earlier run, or found in an
	// earlier version or in another file. n is negative when they turn out not to be.
	Kept(it *Item, n int64)
	// Done is an item's last event; an item that never had to move has no Start. err is set with Failed and
	// Skipped.
	Done(it *Item, o Outcome, err error)
}

// Summary counts what a transfer did.
type Summary struct {
	// Files came over, and for them Bytes; Kept are those of their bytes that the other side had. Folders were
	// made.
	Files, Bytes, Kept, Folders int64
	// Unchanged files were there already; Skipped items are neither files nor folders; Failed ones have been
	// reported one by one.
	Unchanged, Skipped, Failed int64
}

// Transfer moves files and trees, several at a time.
type Transfer struct {
	Client *Client
	// Parallel is how many requests are under way at once, and at most how many files; 0 means 8.
	Parallel int
	// Unfinished keeps what it takes to go on with large uploads at the next run; nil: they begin anew.
	Unfinished *Unfinished
	// Progress hears of every item; nil for nobody.
	Progress Progress
	// Sync makes downloaded files durable before they get their names.
	Sync bool
}

func (t *Transfer) parallel() int {
	if t.Parallel > 0 {
		return t.Parallel
	}
	return 8
}

// run is one transfer under way.
type run struct {
	*Transfer
	progress Progress
	jobs     chan func()
	// places are taken by whoever has requests under way.
	places chan struct{}
	cancel context.CancelCauseFunc
	// small are the files that wait for a batch. Only walk touches them.
	small smallFiles

	mu      sync.Mutex
	summary Summary
	// refused counts the failures of a server that is not there, in a row.
	refused int
	// open are closed when the last job is done.
	open []io.Closer
}

// start runs walk, which queues work, beside the workers that do it. queue bounds how far walk gets ahead.
func (t *Transfer) start(ctx context.Context, queue int, walk func(context.Context, *run)) (Summary, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{
		Transfer: t, progress: t.Progress, jobs: make(chan func(), queue), places: make(chan struct{}, t.parallel()), cancel: cancel,
	}
	if r.progress == nil {
		r.progress = silent{}
	}
	var workers sync.WaitGroup
	for range t.parallel() {
		workers.Go(func() {
			for job := range r.jobs {
				r.places <- struct{}{}
				if ctx.Err() == nil {
					job()
				}
				<-r.places
			}
		})
	}
	walk(ctx, r)
	close(r.jobs)
	workers.Wait()
	for _, c := range r.open {
		c.Close()
	}
	return r.summary, context.Cause(ctx)
}

// closeAfter keeps something open for the jobs that use it. Only walk calls it.
func (r *run) closeAfter(c io.Closer) { r.open = append(r.open, c) }

// queue hands a job to a worker; it is dropped when the transfer ends early.
func (r *run) queue(ctx context.Context, job func()) {
	select {
	case r.jobs <- job:
	case <-ctx.Done():
	}
}

// done reports an item and counts it. A failure that all others would share ends the transfer.
func (r *run) done(ctx context.Context, it *Item, o Outcome, err error) {
	if o == Failed && ctx.Err() != nil {
		// It did not fail by itself.
		return
	}
	r.mu.Lock()
	switch {
	case o == Moved && it.Folder:
		r.summary.Folders++
	case o == Moved:
		r.summary.Files++
		r.summary.Bytes += it.Size - it.Kept
		r.summary.Kept += it.Kept
	case o == Unchanged:
		r.summary.Unchanged++
	case o == Skipped:
		r.summary.Skipped++
	case o == Failed:
		r.summary.Failed++
	}
	if IsUnavailable(err) {
		r.refused++
	} else {
		r.refused = 0
	}
	fatal := errors.Is(err, ErrSignedOut) || r.refused >= r.parallel()
	r.mu.Unlock()
	r.progress.Done(it, o, err)
	if fatal {
		r.cancel(err)
	}
}

// fail reports an item that did not come through.
func (r *run) fail(ctx context.Context, it *Item, err error) { r.done(ctx, it, Failed, err) }

type silent struct{}

func (silent) Plan(int64, int64)          {}
func (silent) Planned()                   {}
func (silent) Read(*Item)                 {}
func (silent) Start(*Item)                {}
func (silent) Advance(*Item, int64)       {}
func (silent) Kept(*Item, int64)          {}
func (silent) Done(*Item, Outcome, error) {}

// ctxReader is a reader that ends with its context.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
