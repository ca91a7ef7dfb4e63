package upload

import (
	"context"
	"encoding/hex"
	"net/http"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

// CreateUpload implements API.
func (s *Service) CreateUpload(ctx context.Context, req *CreateUploadRequest) (*Upload, error) {
	const op = errs.Op("upload.CreateUpload")
	who, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	b := begin{signIn: who.SessionID}
	b.target, b.modifiedAt, err = targetOf(who, wish{
		path: req.Path, parents: req.Parents, conflict: req.Conflict, ifMatch: req.IfMatch, ifNoneMatch: req.IfNoneMatch,
		modifiedAt: req.ModifiedAt, size: req.Size,
	})
	if err != nil {
		return nil, err
	}
	if b.key, err = httpapi.IdempotencyKey(req.IdempotencyKey); err != nil {
		return nil, err
	}
	if blob.Blocks(req.Size) > MaxBlocks {
		return nil, errs.E(errs.TooLarge, op, errs.Field("size"))
	}
	if req.Digest != "" {
		d, err := blob.ParseDigest(req.Digest)
		if err != nil {
			return nil, err
		}
		b.digest = &d
	}
	if len(req.Blocks) > 0 {
		if err := b.announce(req.Blocks); err != nil {
			return nil, err
		}
	}
	u, token, err := s.begin(ctx, b)
	if err != nil {
		return nil, inPath(err)
	}
	out, err := s.show(ctx, u)
	if err != nil {
		return nil, err
	}
	out.Token = token
	return out, nil
}

// announce takes the sums of all blocks. The digest follows from them.
func (b *begin) announce(blocks []string) error {
	const op = errs.Op("upload.announce")
	if int64(len(blocks)) != blob.Blocks(b.target.GetSize()) {
		return errs.E(errs.Invalid, op, errs.Code("bad_field"), errs.Field("blocks"))
	}
	b.sums = make([]blob.Sum, len(blocks))
	for i, text := range blocks {
		sum, err := blob.ParseDigest(text) // the same spelling
		if err != nil {
			return errs.E(errs.Invalid, op, errs.Code("bad_digest"), errs.Field("blocks"))
		}
		b.sums[i] = blob.Sum(sum)
	}
	d := blob.DigestOf(b.sums)
	if b.digest != nil && *b.digest != d {
		return errs.E(errs.Invalid, op, errs.Code("digest_mismatch"), errs.Field("digest"))
	}
	b.digest = &d
	return nil
}

// GetUpload implements API.
func (s *Service) GetUpload(ctx context.Context, req *UploadRequest) (*Upload, error) {
	u, err := s.session(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	return s.show(ctx, u)
}

// maxMissing is how many missing blocks an answer names.
const maxMissing = 10_000

// show is an upload as the API shows it.
func (s *Service) show(ctx context.Context, u *session) (*Upload, error) {
	store, ok := s.Blobs.Named(u.Store)
	if !ok {
		store = s.Blobs.For(u.Drive, u.Size)
	}
	out := &Upload{
		ID: u.ID, Path: u.Path, Size: u.Size, BlockSize: blob.BlockSize, Missing: []int64{},
		MaxRequestBlocks: s.requestBlocks(), ExpiresAt: httpapi.Time(u.Expires),
	}
	out.RequestBlocks = min(store.PartSize(u.Size)/blob.BlockSize, out.MaxRequestBlocks)
	done, err := u.result()
	if err != nil {
		return nil, err
	}
	if done != nil {
		out.Node = httpapi.NodeOf(done.GetNode(), false)
		return out, nil
	}
	v, err := s.blocks(ctx, u, 0, blob.Blocks(u.Size))
	if err != nil {
		return nil, err
	}
	for n := range int64(len(v.records)) {
		if !v.missing(n) {
			continue
		}
		if out.MissingCount++; len(out.Missing) < maxMissing {
			out.Missing = append(out.Missing, n)
		}
	}
	if c := u.Challenge; c != nil {
		out.Challenge = &UploadChallenge{Nonce: hex.EncodeToString(c.Nonce), Blocks: c.Blocks}
	}
	return out, nil
}

func (s *Service) requestBlocks() int64 {
	if s.RequestBlocks > 0 {
		return s.RequestBlocks
	}
	return 16
}

// ProveUpload implements API.
func (s *Service) ProveUpload(ctx context.Context, req *ProofRequest) (*Upload, error) {
	u, err := s.session(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	answers := make([][]byte, len(req.Answers))
	for i, a := range req.Answers {
		if answers[i], err = hex.DecodeString(a); err != nil || len(answers[i]) != len(blob.Sum{}) {
			return nil, errs.E(errs.Invalid, "upload.ProveUpload", errs.Code("bad_digest"), errs.Field("answers"))
		}
	}
	if _, err := s.prove(ctx, u, answers); err != nil {
		return nil, err
	}
	return s.show(ctx, u)
}

// DeleteUpload implements API.
func (s *Service) DeleteUpload(ctx context.Context, req *UploadRequest) error {
	u, err := s.session(ctx, req.ID)
	if err != nil {
		return err
	}
	if err := s.KV.Delete(ctx, sessionKey(u.ID)); err != nil {
		return errs.Wrap("upload.DeleteUpload", err)
	}
	s.abandon(ctx, u)
	return nil
}

// PutBlocks implements API.
func (s *Service) PutBlocks(w http.ResponseWriter, r *http.Request) error {
	const op = errs.Op("upload.PutBlocks")
	var req PutBlocksRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	if r.Header.Get("Content-Range") != "" { // RFC 9110, section 14.5: it would be taken for the whole
		return errs.E(errs.Invalid, op, errs.Code("bad_field"), errs.Field("Content-Range"))
	}
	u, err := s.session(r.Context(), req.ID)
	if err != nil {
		return err
	}
	b := sent{first: req.N, body: r.Body, open: r.ContentLength < 0}
	if b.digest, err = parseContentDigest(req.ContentDigest); err != nil {
		return err
	}
	if b.count, err = s.count(u, req.N, r.ContentLength); err != nil {
		return err
	}
	if len(u.Result) > 0 {
		return errs.E(errs.Conflict, op, errs.Code("upload_complete"))
	}
	release, err := s.admit(u.Owner)
	if err != nil {
		return err
	}
	defer release()
	if err := s.putBlocks(r.Context(), u, b); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// count gives how many blocks a body of length bytes has that begins with block n. A body that does not say its length,
// -1, is one block.
func (s *Service) count(u *session, n, length int64) (int64, error) {
	const op = errs.Op("upload.count")
	if n < 0 || n >= blob.Blocks(u.Size) {
		return 0, errs.E(errs.Invalid, op, errs.Code("bad_block"), errs.Field("n"))
	}
	if length < 0 {
		return 1, nil
	}
	if length > s.requestBlocks()*blob.BlockSize {
		return 0, errs.E(errs.TooLarge, op)
	}
	end := n*blob.BlockSize + length
	if length == 0 || end > u.Size || end < u.Size && length%blob.BlockSize != 0 {
		return 0, errs.E(errs.Invalid, op, errs.Code("bad_block"))
	}
	return blob.Blocks(length), nil
}

// CompleteUpload implements API.
func (s *Service) CompleteUpload(w http.ResponseWriter, r *http.Request) error {
	var req UploadRequest
	if err := httpapi.Parse(r, &req); err != nil {
		return err
	}
	u, err := s.session(r.Context(), req.ID)
	if err != nil {
		return err
	}
	done, err := s.complete(r.Context(), u)
	if err != nil {
		return inPath(err)
	}
	return writeNode(w, done)
}
