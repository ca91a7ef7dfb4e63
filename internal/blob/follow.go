package blob

import (
	"context"
	"io"
	"os"

	"github.com/livil/gopan/internal/errs"
)

// follow gives a reader that goes on in another store when the blob leaves the one that it is read from. An open
// file needs none of that: it keeps its bytes when its name goes.
func (s *Stores) follow(ctx context.Context, ref Ref, at int, r Reader) Reader {
	if _, ok := r.(*os.File); ok {
		return r
	}
	return &follower{ctx: ctx, stores: s, ref: ref, at: at, Reader: r}
}

// follower is a Reader for one goroutine at a time.
type follower struct {
	Reader
	ctx    context.Context //nolint:containedctx // a Reader has no other way to know whose it is
	stores *Stores
	ref    Ref
	at     int // the store that Reader is of
	pos    int64
}

// moved opens the blob where it is now, if err says that it is no longer where it was.
func (f *follower) moved(err error) bool {
	if !errs.Is(errs.NotFound, err) {
		return false
	}
	at, r, _, ferr := f.stores.find(f.ctx, f.ref)
	if ferr != nil {
		return false
	}
	if at == f.at {
		_ = r.Close() // it is back, or never went: err is about something else
		return false
	}
	if _, serr := r.Seek(f.pos, io.SeekStart); serr != nil {
		_ = r.Close() // unused
		return false
	}
	_ = f.Reader.Close() // what it read was checked above us
	f.at, f.Reader = at, r
	return true
}

// Read implements io.Reader.
func (f *follower) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	f.pos += int64(n)
	if n == 0 && err != nil && f.moved(err) {
		n, err = f.Reader.Read(p)
		f.pos += int64(n)
	}
	return n, err
}

// ReadAt implements io.ReaderAt.
func (f *follower) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.Reader.ReadAt(p, off)
	if err != nil && f.moved(err) {
		return f.Reader.ReadAt(p, off)
	}
	return n, err
}

// Seek implements io.Seeker.
func (f *follower) Seek(offset int64, whence int) (int64, error) {
	pos, err := f.Reader.Seek(offset, whence)
	if err == nil {
		f.pos = pos
	}
	return pos, err
}
