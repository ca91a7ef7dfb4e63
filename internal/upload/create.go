package upload

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/faultpoint"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// MaxBlocks of one upload: 5 TiB, the largest object of S3. It bounds what one request has to look at.
const MaxBlocks = 5 << 40 / blob.BlockSize

// begin is an upload that is about to begin.
type begin struct {
	target     *filemetapb.Target
	signIn     int64 // the session at whose sign-in the request comes; 0: it came with an access key
	modifiedAt int64
	digest     *blob.Digest // nil: not announced
	sums       []blob.Sum   // nil: not announced
	key        string       // the client's Idempotency-Key; empty: none
}

// begin begins an upload, or finds the one that the same Idempotency-Key began, or makes the file at once when its
// content is here already. It gives the upload's token, too, but none to an access key: it would outlive the key.
func (s *Service) begin(ctx context.Context, b begin) (u *session, token string, err error) {
	const op = errs.Op("upload.begin")
	var known []byte // what the key leads to; nil: nothing
	if b.key != "" {
		if u, known, err = s.begun(ctx, b); err != nil {
			return nil, "", errs.Wrap(op, err)
		}
		if u != nil {
			return s.again(ctx, u, b.signIn)
		}
	}
	u = &session{
		ID: rand.Text(), Owner: b.target.GetActor().GetUserId(), Folder: b.target.GetActor().GetFolderId(), SignIn: b.signIn,
		Path: b.target.GetPath(), Size: b.target.GetSize(), ModifiedAt: b.modifiedAt, Announced: b.sums != nil, Expires: s.expiry(),
		End: s.now().Add(lives * s.life()).UnixMilli(),
	}
	if b.digest != nil {
		u.Digest = b.digest[:]
	}
	if b.target.IdempotencyKey = b.key; b.key == "" {
		b.target.IdempotencyKey = "upload-" + u.ID // a complete that is repeated finds what it did
	}
	if u.Target, err = proto.Marshal(b.target); err != nil {
		return nil, "", errs.E(errs.Internal, op, err)
	}
	if b.signIn != 0 {
		token = u.newToken()
	}

	room, err := s.Tree.Reserve(ctx, &filemetapb.ReserveRequest{
		Target: b.target, Digest: u.Digest, ExpiresAt: u.Expires, Others: s.tuning().Dedupe.asks(u),
	})
	if err != nil {
		return nil, "", errs.Wrap(op, err)
	}
	faultpoint.Hit("upload.create.reserved")
	if room.GetDone() != nil { // the session is gone, but not what it did
		err = s.finish(ctx, u, room.GetDone())
		return u, token, errs.Wrap(op, err)
	}
	u.Reservation, u.Drive = room.GetReservation(), room.GetDrive()
	if err := s.prepare(ctx, u, b, room); err != nil {
		s.abandon(ctx, u)
		return nil, "", errs.Wrap(op, err)
	}
	if b.key == "" {
		return u, token, nil
	}
	ok, err := s.KV.Swap(ctx, s.keyKey(b), known, []byte(u.ID), s.ttl(u.End))
	if err == nil && ok {
		return u, token, nil
	}
	// Another request with this key was first. Its session has the same room.
	u.Reservation = 0
	s.abandon(ctx, u)
	if err == nil {
		u, _, err = s.begun(ctx, b)
	}
	if err != nil || u == nil {
		return nil, "", errs.E(errs.Busy, op, err)
	}
	return s.again(ctx, u, b.signIn)
}

// again gives the upload that an earlier request began, with a token of its own: nobody may have the first.
func (s *Service) again(ctx context.Context, u *session, signIn int64) (_ *session, token string, err error) {
	if signIn == 0 || u.SignIn == 0 {
		return u, "", nil
	}
	err = s.update(ctx, u, func(u *session) error { token = u.newToken(); return nil })
	return u, token, errs.Wrap("upload.again", err)
}

// prepare makes the file at once where it can, and else all that blocks need. When it returns nil, the session is in kv.
func (s *Service) prepare(ctx context.Context, u *session, b begin, room *filemetapb.ReserveResponse) error {
	here := len(u.Digest) > 0 && room.GetHolder() != filemetapb.Holder_HOLDER_NOBODY && s.has(ctx, u)
	if here && room.GetHolder() == filemetapb.Holder_HOLDER_SELF {
		done, err := s.claim(ctx, u)
		if !errs.Is(errs.Conflict, err) || errs.CodeOf(err) != "claim_lost" {
			if err != nil {
				return err
			}
			faultpoint.Hit("upload.create.claimed")
			return s.finish(ctx, u, done)
		}
		here = false // it went in between; the client sends it
	}
	if u.Size > 0 {
		store := s.Blobs.For(room.GetDrive(), u.Size)
		stage, err := store.Stage(ctx, u.Size)
		if err != nil {
			return err
		}
		u.Store, u.Stage = store.Name, stage
		faultpoint.Hit("upload.create.staged")
	}
	if here && s.tuning().Dedupe.asks(u) {
		u.Challenge = newChallenge(u)
	}
	if b.sums != nil {
		plan := make([]planned, len(b.sums))
		for i, sum := range b.sums {
			plan[i].sum = sum
		}
		s.reuse(ctx, u, plan, room.GetPrevious())
		if err := s.putPlan(ctx, u, plan); err != nil {
			return err
		}
	}
	if err := s.create(ctx, u); err != nil {
		return err
	}
	faultpoint.Hit("upload.create.kept")
	return nil
}

// keyKey is where kv keeps which upload a client's Idempotency-Key began.
func (s *Service) keyKey(b begin) string {
	sum, who := sha256.Sum256([]byte(b.key)), b.target.GetActor()
	user := strconv.FormatInt(who.GetUserId(), 10)
	if f := who.GetFolderId(); f != 0 { // what others of the user's have begun is not for this key
		user += "-" + strconv.FormatInt(f, 10)
	}
	return "upload-key/" + user + "/" + hex.EncodeToString(sum[:16])
}

// begun finds the live upload that an Idempotency-Key began, nil if there is none, and what kv has under the key.
func (s *Service) begun(ctx context.Context, b begin) (*session, []byte, error) {
	const op = errs.Op("upload.begun")
	id, err := s.KV.Get(ctx, s.keyKey(b))
	if errs.Is(errs.NotFound, err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, errs.Wrap(op, err)
	}
	u, err := s.load(ctx, string(id))
	if errs.Is(errs.NotFound, err) {
		return nil, id, nil
	}
	if err != nil {
		return nil, nil, errs.Wrap(op, err)
	}
	if u.Path != b.target.GetPath() || u.Size != b.target.GetSize() || (b.digest != nil && len(u.Digest) > 0 && *b.digest != blob.Digest(u.Digest)) {
		return nil, nil, errs.E(errs.Conflict, op, errs.Code("key_reused"), errs.Field("Idempotency-Key"))
	}
	return u, id, nil
}

// abandon drops what an upload has in the store, in the drive and in kv. What it does not reach goes by itself in time.
func (s *Service) abandon(ctx context.Context, u *session) {
	ctx, cancel := s.afterwards(ctx)
	defer cancel()
	if s.KV.Delete(ctx, sessionKey(u.ID)) != nil {
		return // its blocks' sums stay fixed as long as somebody may find it
	}
	if u.Reservation != 0 {
		_, _ = s.Tree.Release(ctx, &filemetapb.ReleaseRequest{Reservation: u.Reservation}) // as above
	}
	s.unstage(ctx, u)
	s.forget(ctx, u)
}

// unstage drops the bytes that have arrived.
func (s *Service) unstage(ctx context.Context, u *session) {
	if u.Stage == "" {
		return
	}
	if st, _, err := s.staged(ctx, u); err == nil {
		_ = st.Abort(ctx) // blob.Stager.Sweep drops them too
	}
}
