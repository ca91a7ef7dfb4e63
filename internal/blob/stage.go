package blob

import (
	"context"
	"io"
	"time"
)

// Stager is a Store that also takes a blob over many requests, in any order and from any process: the bytes of an
// upload session. What is staged is written where it will stay, so nothing is merged or copied at the end.
type Stager interface {
	Store
	// Stage begins a blob of size bytes and gives the id by which every process finds it. The id is of the
	// store's making, unguessable, and at most 1 KiB of printable ASCII.
	Stage(ctx context.Context, size int64) (id string, err error)
	// Staged gives the blob of size bytes that was begun under an id. It may put off finding out that nothing
	// of this id is there: then the methods of Staged fail with errs.NotFound.
	Staged(ctx context.Context, id string, size int64) (Staged, error)
	// PartSize is how the store likes to be given a blob of size bytes, a multiple of BlockSize: writes that
	// begin at a multiple of it and are that long, or reach the blob's end, go straight through. Others are
	// taken too and may cost more.
	PartSize(size int64) int64
	// Sweep drops what was begun, and not committed, and last written to before a moment, by the store's own
	// clock; also whatever else a crash can leave that List does not show.
	Sweep(ctx context.Context, before time.Time) (Swept, error)
}

// Swept counts what Sweep dropped.
type Swept struct {
	// Staged blobs that nobody finished, and the bytes that they held where the store knows.
	Staged int64 `json:"staged"`
	Bytes  int64 `json:"bytes"`
}

// Staged is a blob on its way in, block by block. Its methods may be called at once, also by several processes.
type Staged interface {
	// Write stores what r yields, exactly n bytes, at offset off. It begins at a block's start and ends at a
	// block's or the blob's end. When it returns nil the bytes would survive the death of every process. A range
	// may be written again with the same bytes, also at once; with other bytes it never is. When r fails, its
	// error comes back and the range counts as not written.
	Write(ctx context.Context, off, n int64, r io.Reader) error
	// ReadAt reads back what was written, for checks. A store whose Epoch is "" may fail with errs.Unsupported: it
	// cannot, and nobody needs to.
	ReadAt(ctx context.Context, p []byte, off int64) error
	// Epoch names the time in which written bytes are sure to be readable: bytes that were written in another
	// epoch may have been lost, as after a power cut, and are to be read again before they are believed. It is
	// "" for a store that loses nothing.
	Epoch() string
	// Commit makes the blob, all of which was written, the one with these sums. When it returns nil the blob is
	// there and would survive a power cut. It fails with errs.NotFound when nothing of this id is there, as
	// after a Commit or Abort that came first. One that finds bytes missing fails and leaves what is there to be
	// completed. After another error the id is either as it was, so that Commit may be called again, or gone.
	Commit(ctx context.Context, sums []Sum) error
	// Abort drops what was written. What is not there is no error.
	Abort(ctx context.Context) error
}

// Copier is a Staged that can take bytes of another blob of its store without their passing through this process.
type Copier interface {
	// Copy stores n bytes of a blob, from offset from on, at offset off, under the rules of Write. It says whether
	// it did; false means that it cannot do so for this range, and that nothing happened.
	Copy(ctx context.Context, off int64, of Ref, from, n int64) (bool, error)
}
