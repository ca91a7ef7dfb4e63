package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/text/unicode/norm"
)

const (
	// blocksFrom is above what size a file goes block by block, so that it can be gone on with and only what the
	// server lacks is sent.
	blocksFrom = 8 << 20
	// streams is how many requests of one file are under way at once, where the transfer's limit leaves room.
	streams = 4
	// anew is how often an upload is begun again that the server has lost.
	anew = 3
)

// largeFile is a file on its way up, block by block.
type largeFile struct {
	*run
	it   *Item
	f    *os.File
	info os.FileInfo
	opt  PutOptions

	sums   blockSums
	digest string
	stamp  fileStamp
	claim  *claim
	target target
	ticket *ticket
	// kept and sent are the file's bytes that count as done: those that need not go over, and those that did.
	kept int64
	sent atomic.Int64
}

// putLarge sends a file whose sums are made first: they show what the server has already, of an earlier run, of an
// earlier version or of another file, and make sure that what arrives is the file as it was at one moment. Summing
// runs many times faster than most networks.
func (r *run) putLarge(ctx context.Context, it *Item, f *os.File, info os.FileInfo, have *entry, opt PutOptions) (Outcome, error) {
	l := &largeFile{run: r, it: it, f: f, info: info, opt: opt}
	before := l.remember(ctx)
	defer l.claim.release()
	if err := l.sum(ctx, before); err != nil {
		return Failed, err
	}
	it.Digest = l.digest
	if before != nil && !l.same(before) {
		l.drop(ctx, newTicket(before.ID, before.Token))
		before = nil
	}
	if have.is(it.Size, l.digest) {
		if before != nil {
			l.drop(ctx, newTicket(before.ID, before.Token))
		}
		return Unchanged, nil
	}
	r.progress.Start(it)
	var (
		node *Node
		err  error
	)
	for range anew {
		if node, err = l.put(ctx, before); !errors.Is(err, errUploadGone) {
			break
		}
		before = nil
		l.claim.forget()
		l.startOver()
	}
	switch {
	case err == nil && (node.Size != it.Size || node.Digest != l.digest):
		return Failed, ErrDigest
	case err == nil:
		l.claim.forget()
		it.Kept = l.kept
		return Moved, nil
	case final(err) && l.ticket != nil:
		l.drop(ctx, l.ticket)
	}
	return Failed, err
}

// final tells whether going on with an upload later makes no sense, so that the server need not keep it.
func final(err error) bool {
	if errors.Is(err, ErrChanged) || errors.Is(err, ErrDigest) {
		return true
	}
	var e *Error
	return errors.As(err, &e) && e.Status/100 == 4 && !errors.Is(err, ErrSignedOut) && !IsUnavailable(err) &&
		e.Status != http.StatusRequestTimeout
}

// remember claims the upload, and gives what an earlier run left of it.
func (l *largeFile) remember(ctx context.Context) *begun {
	local, err := filepath.Abs(l.it.Local)
	if err != nil {
		return nil
	}
	l.Client.init()
	s, err := l.Client.Credentials.Load(ctx)
	if err != nil {
		return nil
	}
	l.target = target{Server: l.Client.BaseURL, Account: s.Login, Local: local, Remote: norm.NFC.String(l.it.Remote)}
	var before *begun
	l.claim, before = l.Unfinished.claim(l.target)
	return before
}

// sum makes the file's sums, unless those of an earlier run are still right.
func (l *largeFile) sum(ctx context.Context, before *begun) error {
	var err error
	if l.stamp, err = stampOf(l.f); err != nil {
		return err
	}
	if before != nil && before.Size == l.it.Size && before.Modified.Equal(l.info.ModTime()) && before.Stamp == l.stamp {
		l.sums = before.Sums
	} else {
		l.progress.Read(l.it)
		if l.sums, err = sumBlocks(ctx, l.f, l.it.Size); err != nil {
			return err
		}
		if err := unchanged(l.f, l.info); err != nil {
			return err
		}
	}
	l.digest = l.sums.digest()
	return nil
}

// same tells whether an upload that was begun is of the very bytes that the file has now.
func (l *largeFile) same(before *begun) bool {
	return before.Size == l.it.Size && before.Sums.digest() == l.digest
}

// put brings the file over, going on with what was begun, if anything was.
func (l *largeFile) put(ctx context.Context, before *begun) (*Node, error) {
	u, err := l.open(ctx, before)
	if err != nil {
		return nil, err
	}
	if u.Challenge != nil && u.Node == nil && u.MissingCount > 0 {
		if u, err = l.prove(ctx, u); err != nil {
			return nil, err
		}
	}
	l.keep(l.it.Size - u.missingBytes())
	for lost := 0; ; {
		if u.Node != nil {
			return u.Node, nil
		}
		// What is complete already takes no more blocks, and gives its file again.
		if err := l.send(ctx, u); err != nil && !isCode(err, "upload_complete") {
			return nil, err
		}
		if u.MissingCount == len(u.Missing) {
			node, err := l.complete(ctx)
			if lost++; lost > anew || !isCode(err, "blocks_missing") {
				return node, err
			}
		}
		// There were more than one answer holds, or some were lost, as in a power cut.
		if u, err = l.Client.getUpload(ctx, l.ticket, l.it.Size); err != nil {
			return nil, err
		}
		l.moved(l.it.Size - u.missingBytes() - l.kept - l.sent.Load())
	}
}

// open gives the upload as the server knows it.
func (l *largeFile) open(ctx context.Context, before *begun) (*upload, error) {
	if before != nil {
		l.ticket = newTicket(before.ID, before.Token)
		u, err := l.Client.getUpload(ctx, l.ticket, l.it.Size)
		switch {
		case err != nil:
			return nil, err
		case u.Node != nil:
			// It was complete once, and its file has become another since.
			return nil, errUploadGone
		}
		l.claim.touch(time.Now())
		return u, nil
	}
	u, err := l.Client.createUpload(ctx, l.it.Remote, l.it.Size, l.sums, l.opt)
	if err != nil {
		return nil, err
	}
	l.ticket = newTicket(u.ID, u.Token)
	if u.Node == nil {
		l.claim.save(begun{
			target: l.target, ID: u.ID, Token: u.Token, Size: l.it.Size, Modified: l.info.ModTime(), Stamp: l.stamp, Sums: l.sums,
		}, time.Until(u.ExpiresAt))
	}
	return u, nil
}

// prove answers the challenge. When the answer is not taken, the blocks go over as if there had been none.
func (l *largeFile) prove(ctx context.Context, u *upload) (*upload, error) {
	proven, err := l.Client.prove(ctx, l.ticket, u.Challenge, l.f, l.it.Size)
	var e *Error
	if errors.As(err, &e) && !errors.Is(err, errUploadGone) && !errors.Is(err, ErrSignedOut) {
		return u, nil
	}
	return proven, err
}

// send brings over the blocks that are said to be missing. The first of the senders has the place of the job that
// this is; the others take the places that are free.
func (l *largeFile) send(ctx context.Context, u *upload) error {
	ranges := u.ranges()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next    atomic.Int64
		senders sync.WaitGroup
		taken   = make(chan struct{})
		all     sync.Once
	)
	// step sends the next range, and tells whether there was one.
	step := func() bool {
		n := int(next.Add(1)) - 1
		if n >= len(ranges)-1 {
			all.Do(func() { close(taken) })
		}
		if n >= len(ranges) || ctx.Err() != nil {
			return false
		}
		if err := l.sendRange(ctx, ranges[n]); err != nil {
			cancel(err)
			return false
		}
		return true
	}
	for range min(streams, l.parallel(), len(ranges)) - 1 {
		senders.Go(func() {
			for more := true; more; {
				select {
				case l.places <- struct{}{}:
					more = step()
					<-l.places
				case <-taken:
					return
				case <-ctx.Done():
					return
				}
			}
		})
	}
	for step() {
	}
	senders.Wait()
	return context.Cause(ctx)
}

// sendRange sends some blocks until the server has them.
func (l *largeFile) sendRange(ctx context.Context, b blockRange) error {
	off := int64(b.first) * BlockSize
	size := min(int64(b.count)*BlockSize, l.it.Size-off)
	var sum []byte
	switch {
	case b.count == 1:
		sum = l.sums.of(b.first)
	case blocksOf(l.it.Size) > maxAnnounced:
		// The server does not know the blocks' sums. The one of them all costs a second reading.
		h := sha256.New()
		if err := copyRange(h, l.f, off, size); err != nil {
			return err
		}
		sum = h.Sum(nil)
	}
	for try := 1; ; try++ {
		body := &rangeBody{l: l, off: off, size: size}
		err := l.Client.putBlocks(ctx, l.ticket, b.first, &Content{Size: size, Open: body.open}, sum)
		if err == nil {
			l.claim.touch(time.Now())
			return nil
		}
		body.replace(nil)
		if !isCode(err, "block_mismatch", "digest_mismatch", "block_differs") {
			return err
		}
		intact, ierr := l.intact(b)
		switch {
		case ierr != nil:
			return ierr
		case !intact:
			return ErrChanged
		case isCode(err, "block_differs"):
			// The upload is of other bytes than ours.
			_ = l.Client.dropUpload(ctx, l.ticket)
			return fmt.Errorf("%w: %w", errUploadGone, err)
		case try == anew:
			return fmt.Errorf("%w: %w", ErrDigest, err)
		}
		// They were damaged on the way.
	}
}

// intact tells whether blocks are still what their sums say.
func (l *largeFile) intact(b blockRange) (bool, error) {
	var now [sha256.Size]byte
	for n := b.first; n < b.first+b.count; n++ {
		err := sumBlock(l.f, n, l.it.Size, now[:])
		if errors.Is(err, ErrChanged) || err == nil && string(now[:]) != string(l.sums.of(n)) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// complete makes the file of the blocks, if ours is still the one that was summed.
func (l *largeFile) complete(ctx context.Context) (*Node, error) {
	if err := unchanged(l.f, l.info); err != nil {
		return nil, err
	}
	node, err := l.Client.completeUpload(ctx, l.ticket)
	if isCode(err, "digest_mismatch") {
		err = fmt.Errorf("%w: %w", ErrDigest, err)
	}
	return node, err
}

// drop gives up an upload, here and on the server. If the server cannot be told, it finds out in time.
func (l *largeFile) drop(ctx context.Context, t *ticket) {
	l.claim.forget()
	_ = l.Client.dropUpload(ctx, t)
}

// keep counts bytes that need not go over.
func (l *largeFile) keep(n int64) {
	l.kept += n
	if n != 0 {
		l.progress.Kept(l.it, n)
	}
}

// moved counts bytes that go over.
func (l *largeFile) moved(n int64) {
	l.sent.Add(n)
	if n != 0 {
		l.progress.Advance(l.it, n)
	}
}

// startOver takes back all that was counted.
func (l *largeFile) startOver() {
	l.keep(-l.kept)
	l.moved(-l.sent.Load())
}
