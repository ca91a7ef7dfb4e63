package upload

import (
	"context"
	"crypto/sha256"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/faultpoint"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// complete makes the file of an upload whose blocks are all here. Whatever it did before it was cut off, doing it again
// comes to the same end: every step finds its own traces (promise C6, fault F05). When the tree refuses, the upload
// stays as it is, and can be completed again until it expires.
func (s *Service) complete(ctx context.Context, u *session) (*filemetapb.CommitResponse, error) {
	const op = errs.Op("upload.complete")
	if done, err := u.result(); done != nil || err != nil {
		return done, errs.Wrap(op, err)
	}
	sums, err := s.store(ctx, u)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	faultpoint.Hit("upload.complete.stored")
	t, err := u.target()
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	digest := blob.DigestOf(sums)
	b := &filemetapb.Blob{Digest: digest[:], Size: u.Size, Sha256: plainSHA256(sums)}
	done, err := s.Tree.Commit(ctx, &filemetapb.CommitRequest{
		Target: t, Blob: b, ModifiedAt: u.ModifiedAt, Reservation: u.Reservation,
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	faultpoint.Hit("upload.complete.committed")
	return done, errs.Wrap(op, s.finish(ctx, u, done))
}

// store makes the blob, durably, and gives its blocks' sums.
func (s *Service) store(ctx context.Context, u *session) ([]blob.Sum, error) {
	const op = errs.Op("upload.store")
	if u.Size == 0 {
		return nil, s.storeNothing(ctx, u)
	}
	v, err := s.blocks(ctx, u, 0, blob.Blocks(u.Size))
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if v.anyMissing() {
		return nil, errs.E(errs.Conflict, op, errs.Code("blocks_missing"))
	}
	sums := v.sums()
	ref := blob.Ref{Digest: blob.DigestOf(sums), Size: u.Size}
	if len(u.Digest) > 0 && ref.Digest != blob.Digest(u.Digest) {
		return nil, errs.E(errs.Invalid, op, errs.Code("digest_mismatch"), errs.Field("digest"))
	}
	err = s.seal(ctx, u, v, sums)
	if !errs.Is(errs.NotFound, err) {
		return sums, errs.Wrap(op, err)
	}
	// A complete before this one, or at the same time, has made the blob; or what had arrived is lost.
	r, _, err := s.Blobs.Open(ctx, ref)
	if errs.Is(errs.NotFound, err) {
		s.abandon(ctx, u)
	}
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return sums, r.Close()
}

// seal makes the blob of what is staged, which fails with errs.NotFound when nothing is.
func (s *Service) seal(ctx context.Context, u *session, v *view, sums []blob.Sum) error {
	const op = errs.Op("upload.seal")
	if err := s.copyBlocks(ctx, u, v); err != nil {
		return errs.Wrap(op, err)
	}
	faultpoint.Hit("upload.complete.copied")
	st, _, err := s.staged(ctx, u)
	if err != nil {
		return errs.Wrap(op, err)
	}
	if err := s.reread(ctx, u, v, st); err != nil {
		return errs.Wrap(op, err)
	}
	if v.anyMissing() {
		return errs.E(errs.Conflict, op, errs.Code("blocks_missing"))
	}
	faultpoint.Hit("upload.complete.checked")
	return errs.Wrap(op, st.Commit(ctx, sums))
}

// storeNothing stores the content of no bytes.
func (s *Service) storeNothing(ctx context.Context, u *session) error {
	if len(u.Digest) > 0 && blob.Digest(u.Digest) != blob.DigestOf(nil) {
		return errs.E(errs.Invalid, "upload.storeNothing", errs.Code("digest_mismatch"), errs.Field("digest"))
	}
	_, err := blob.Write(ctx, s.Blobs.For(u.Drive, 0), http.NoBody, blob.Want{Limit: -1})
	return err
}

func (v *view) anyMissing() bool {
	for i := range v.records {
		if v.missing(v.first + int64(i)) {
			return true
		}
	}
	return false
}

// reread reads the blocks back that were written before a power cut, which may have taken them. One that is not what
// it was becomes a missing one.
func (s *Service) reread(ctx context.Context, u *session, v *view, st blob.Staged) error {
	const op = errs.Op("upload.reread")
	epoch := st.Epoch()
	var buf []byte
	for i := range v.records {
		r, n := &v.records[i], v.first+int64(i)
		if r.state != done || r.epoch == epoch {
			continue
		}
		if buf == nil {
			h := s.Memory.hold(u.Owner)
			if err := h.take(ctx, blob.BlockSize); err != nil {
				return errs.Wrap(op, err)
			}
			defer h.drop(blob.BlockSize)
			buf = make([]byte, blob.BlockSize)
		}
		now, b := record{done, r.sum, epoch}, buf[:u.sizeOf(n)]
		err := st.ReadAt(ctx, b, n*blob.BlockSize)
		if errs.Is(errs.NotFound, err) || errs.Is(errs.Busy, err) || errs.Is(errs.Canceled, err) {
			return errs.Wrap(op, err)
		}
		if err != nil || sha256.Sum256(b) != r.sum {
			if now = (record{state: intended, sum: r.sum}); u.Announced {
				now.state = void
			}
		}
		// Not over what another request finds out at the same time.
		if _, err := s.KV.Swap(ctx, blockKey(u.ID, n), r.encode(), now.encode(), s.ttl(u.End)); err != nil {
			return errs.Wrap(op, err)
		}
		*r = now
	}
	return nil
}

// finish notes that an upload has become a file, and drops what it needs no more.
func (s *Service) finish(ctx context.Context, u *session, done *filemetapb.CommitResponse) error {
	const op = errs.Op("upload.finish")
	ctx, cancel := s.afterwards(ctx)
	defer cancel()
	result, err := proto.Marshal(done)
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	if u.raw == nil { // it was never there for anybody else
		u.Result = result
		return errs.Wrap(op, s.create(ctx, u))
	}
	err = s.update(ctx, u, func(u *session) error { u.Result, u.Challenge = result, nil; return nil })
	if err != nil && !errs.Is(errs.NotFound, err) { // given up meanwhile; the file stays all the same
		return errs.Wrap(op, err)
	}
	u.Result = result
	faultpoint.Hit("upload.complete.noted")
	s.unstage(ctx, u)
	s.forget(ctx, u)
	return nil
}

// afterwards is for what is to be done even when the caller has gone.
func (s *Service) afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}
