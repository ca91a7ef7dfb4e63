package blob

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/livil/gopan/internal/errs"
)

// follow gives a reader that goes on in another store when the blob leaves the one that it is read from. An open
// file needs none of that: it keeps its bytes when its name goes.
func (s *Stores) follow(ctx context.Context, ref Ref, r Reader) Reader {
	if _, ok := r.(*os.File); ok {
		return r
	}
	return &follower{ctx: ctx, stores: s, ref: ref, until: ref.Size, readers: []Reader{r}}
}

// follower is a Reader that goes where its blob goes. One goroutine reads and seeks; ReadAt may be called at once.
type follower struct {
	ctx    context.Context //nolint:containedctx // a Reader has no other way to know whose it is
	stores *Stores
	ref    Ref
	pos    int64 // of Read
	until  int64 // see Bounded

	mu sync.Mutex
	// readers that were opened; the last is the one to use. Others may still be in use.
	readers []Reader
}

// moves is how often a reader looks for its blob anew before it believes that it is gone.
const moves = 3

// retry calls read until it does not fail for want of the blob.
func (f *follower) retry(read func(Reader) (int, error)) (n int, err error) {
	r := f.latest()
	for range moves {
		if n, err = read(r); n > 0 || !errs.Is(errs.NotFound, err) {
			return n, err
		}
		if r = f.reopen(r); r == nil {
			break
		}
	}
	return n, err
}

func (f *follower) latest() Reader {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.readers[len(f.readers)-1]
}

// reopen opens the blob where it is now, unless somebody did since failed was the latest; nil: it is nowhere.
func (f *follower) reopen(failed Reader) Reader {
	f.mu.Lock()
	defer f.mu.Unlock()
	if latest := f.readers[len(f.readers)-1]; latest != failed {
		return latest
	}
	r, _, err := f.stores.find(f.ctx, f.ref)
	if err != nil {
		return nil
	}
	Until(r, f.until)
	f.readers = append(f.readers, r)
	return r
}

// Until implements Bounded.
func (f *follower) Until(end int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until = end
	Until(f.readers[len(f.readers)-1], end)
}

// Read implements io.Reader.
func (f *follower) Read(p []byte) (int, error) {
	n, err := f.retry(func(r Reader) (int, error) {
		if at, err := r.Seek(0, io.SeekCurrent); err != nil || at != f.pos {
			if _, err := r.Seek(f.pos, io.SeekStart); err != nil {
				return 0, err
			}
		}
		return r.Read(p)
	})
	f.pos += int64(n)
	return n, err
}

// ReadAt implements io.ReaderAt.
func (f *follower) ReadAt(p []byte, off int64) (int, error) {
	return f.retry(func(r Reader) (int, error) { return r.ReadAt(p, off) })
}

// Seek implements io.Seeker.
func (f *follower) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += f.ref.Size
	}
	if offset < 0 {
		return 0, errs.E(errs.Invalid, "blob.Seek", "negative position")
	}
	f.pos = offset
	return offset, nil
}

// Close implements io.Closer.
func (f *follower) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []error
	for _, r := range f.readers {
		all = append(all, r.Close())
	}
	return errors.Join(all...)
}
