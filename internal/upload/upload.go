// Package upload is bytes in: it stores what a client sends as a blob, durable and checked, and then commits it
// to the tree.
package upload

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/kv"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/pb/userpb"
)

// Service takes uploads.
type Service struct {
	// Blobs are where bytes go.
	Blobs *blob.Stores
	// Tree is the filemeta role.
	Tree filemetapb.FileMetaClient
	// Users is the user role.
	Users userpb.UserClient
	// KV keeps sessions, shared by all processes of the role.
	KV kv.Store
	// Slots bounds how many bodies are received at once; more are told to come again. Nil: no bound.
	Slots chan struct{}
	// UserUploads bounds how many bodies of blocks one user sends at once; 0: no bound.
	UserUploads int
	// Memory holds blocks on their way in. It is not nil.
	Memory *Memory
	// Life of a session after its last block; 0 means 72 hours.
	Life time.Duration
	// RequestBlocks is how many blocks a request may carry; 0 means 16.
	RequestBlocks int64
	// Batch bounds what a request with many files may carry.
	Batch Batch
	// Dedupe says when content that is here need not be sent.
	Dedupe Dedupe
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	tuned atomic.Pointer[Tuning]

	mu      sync.Mutex
	sending map[int64]int // bodies that a user sends now

	once   sync.Once
	lately *lru.Cache[int64, time.Time] // until when a sign-in counts as alive
	trust  *lru.Cache[int64, time.Time] // from when on a user's small files are stored without Prepare
	reads  *blob.Verifier
}

func (s *Service) init() {
	s.once.Do(func() {
		s.lately, _ = lru.New[int64, time.Time](1 << 12) // fails for a size below 1 only
		s.trust, _ = lru.New[int64, time.Time](1 << 12)  // as above
		s.reads = &blob.Verifier{Store: s.Blobs}
	})
}

func (s *Service) alive() *lru.Cache[int64, time.Time] {
	s.init()
	return s.lately
}

func (s *Service) trusted() *lru.Cache[int64, time.Time] {
	s.init()
	return s.trust
}

// verifier reads stored content, and lets no byte pass that its sum does not vouch for.
func (s *Service) verifier() *blob.Verifier {
	s.init()
	return s.reads
}

// put is one file in one request.
type put struct {
	target     *filemetapb.Target
	modifiedAt int64
	digest     blob.Digest // zero: not announced
	sums       wholeSums
	// asks: the client waits to be told before it sends the body.
	asks bool
}

// Put stores body as the content of a file. It answers when the bytes and the commit are durable.
func (s *Service) Put(ctx context.Context, p put, body io.Reader) (*filemetapb.CommitResponse, error) {
	const op = errs.Op("upload.Put")
	if s.Slots != nil {
		select {
		case s.Slots <- struct{}{}:
			defer func() { <-s.Slots }()
		default:
			return nil, errs.E(errs.Busy, op, time.Second, "all upload slots are taken")
		}
	}
	ready := &filemetapb.PrepareResponse{Available: -1} // any number, until the commit decides
	if !s.sure(p) {
		// Before the first byte is read: a client that waits for 100 Continue is spared a body that cannot be kept.
		var err error
		if ready, err = s.Tree.Prepare(ctx, p.target); err != nil {
			return nil, errs.Wrap(op, err)
		}
		if done := ready.GetDone(); done != nil {
			return done, nil // this request was here before, and its answer got lost
		}
	}
	from := &bodyReader{r: body}
	b := new(filemetapb.Blob)
	ref, err := blob.Write(ctx, s.Blobs.For(ready.GetDrive(), p.target.GetSize()), from, blob.Want{
		Size: p.target.GetSize(), Digest: p.digest, Limit: ready.GetAvailable(), Hashes: p.sums.hashes(),
		Check: func(blocks []blob.Sum) error {
			b.Sha256 = plainSHA256(blocks)
			return p.sums.check()
		},
	})
	switch {
	case from.err != nil:
		return nil, errs.E(errs.Invalid, op, errs.Code("body_interrupted"), from.err)
	case errs.Is(errs.OverQuota, err) && errs.CodeOf(err) != "disk_full":
		return nil, errs.E(errs.OverQuota, op, errs.Code("quota_exceeded"), err)
	case err != nil:
		return nil, errs.Wrap(op, err)
	}
	b.Digest, b.Size = ref.Digest[:], ref.Size
	p.target.Size = ref.Size
	done, err := s.Tree.Commit(ctx, &filemetapb.CommitRequest{Target: p.target, Blob: b, ModifiedAt: p.modifiedAt})
	s.heard(p, err)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if b.Sha256 = p.sums.sha256(); b.Sha256 != nil && ref.Size > blob.BlockSize {
		// The sums are a convenience, kept where they were computed anyway; the upload stands without them.
		_, _ = s.Tree.PutSums(ctx, b)
	}
	return done, nil
}

// small is the size in bytes up to which a file may go without Prepare.
const small = 64 << 10

// doubt is how long the files of a user whose last one was refused at the end are looked at before they are stored.
const doubt = 10 * time.Minute

// sure tells whether a small file may be stored without asking first whether it can be kept. The commit checks all that
// Prepare does, which is a fifth of the work of such a file. What it refuses leaves a blob for the collection, so this is
// for those whose files were fine so far, and not for requests that say when they want to be refused.
func (s *Service) sure(p put) bool {
	t := p.target
	if t.GetSize() < 0 || t.GetSize() > small || p.asks || t.GetIfMatch() != "" || t.GetIfNoneMatch() ||
		t.GetConflict() == filemetapb.Conflict_CONFLICT_FAIL || s.Blobs.ByDrive() {
		return false
	}
	from, known := s.trusted().Get(t.GetActor().GetUserId())
	return known && !s.now().Before(from)
}

// heard notes what became of a file.
func (s *Service) heard(p put, err error) {
	user := p.target.GetActor().GetUserId()
	if err != nil {
		s.trusted().Add(user, s.now().Add(doubt))
	} else if _, known := s.trusted().Peek(user); !known {
		s.trusted().Add(user, s.now())
	}
}

// plainSHA256 is the SHA-256 of a content with these blocks, where it is known: when there is one at most.
func plainSHA256(blocks []blob.Sum) []byte {
	switch len(blocks) {
	case 0:
		none := blob.DigestOf(nil)
		return none[:]
	case 1:
		return blocks[0][:]
	}
	return nil
}

// bodyReader tells a body that broke off from every other failure.
type bodyReader struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		b.err = err
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errs.E(errs.Invalid, "upload.body", err) // not the end that io.ReadFull would take it for
		}
	}
	return n, err
}
