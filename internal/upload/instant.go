package upload

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Dedupe says when content that another user has stored need not be sent. docs/uploads.md says what that reveals.
type Dedupe struct {
	// Others: other users' content counts (dedupe.scope: global). A user's own content always does.
	Others bool
	// MinSize of such content in bytes: across users only what is too large to be guessed (promise S6).
	MinSize int64
}

// asks tells whether other users' content counts for an upload.
func (d Dedupe) asks(u *session) bool { return d.Others && u.Size >= d.MinSize && u.Size > 0 }

// challenge asks for proof that a client has some content.
type challenge struct {
	// Nonce is the key of the HMACs.
	Nonce []byte `json:"nonce"`
	// Blocks to prove, in the order of the answers.
	Blocks []int64 `json:"blocks"`
}

// challengeBlocks is how many blocks are to be proven, or all of them if there are fewer. Who lacks a share s of the
// content's blocks passes with a probability of (1-s)^16: 1 in 65,536 with half of them.
const challengeBlocks = 16

// newChallenge picks blocks of an upload at random.
func newChallenge(u *session) *challenge {
	c := &challenge{Nonce: make([]byte, 32)}
	_, _ = rand.Read(c.Nonce) // crypto/rand ends the process rather than fail
	all := blob.Blocks(u.Size)
	for int64(len(c.Blocks)) < min(challengeBlocks, all) {
		n, err := rand.Int(rand.Reader, big.NewInt(all))
		if err != nil {
			panic(err) // as above
		}
		if !slices.Contains(c.Blocks, n.Int64()) {
			c.Blocks = append(c.Blocks, n.Int64())
		}
	}
	return c
}

// maxFailures is how many wrong proofs a user may give in an hour.
const maxFailures = 10

// prove judges the answers to an upload's challenge. When they are right, the content becomes the file. When they are
// not, it fails with errs.Denied, and the upload goes on by blocks: a challenge is answered once.
func (s *Service) prove(ctx context.Context, u *session, answers [][]byte) (*filemetapb.CommitResponse, error) {
	const op = errs.Op("upload.prove")
	if done, err := u.result(); done != nil || err != nil {
		return done, errs.Wrap(op, err) // the answer to the right proof got lost
	}
	failed := errs.E(errs.Denied, op, errs.Code("proof_failed"))
	if u.Challenge == nil {
		return nil, failed
	}
	// Counted before it is judged, so that many at once are no way around the limit (promise C8).
	failures := "upload-proofs/" + strconv.FormatInt(u.Owner, 10)
	n, err := s.KV.Add(ctx, failures, 1, time.Hour)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if n > maxFailures {
		return nil, errs.E(errs.TooMany, op, time.Hour)
	}
	asked := u.Challenge
	err = s.update(ctx, u, func(u *session) error {
		if u.Challenge == nil || subtle.ConstantTimeCompare(u.Challenge.Nonce, asked.Nonce) == 0 {
			return failed // another request has answered it
		}
		u.Challenge = nil
		return nil
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	right, err := s.proven(ctx, u, asked, answers)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if !right {
		return nil, failed
	}
	if _, err := s.KV.Add(ctx, failures, -1, time.Hour); err != nil {
		return nil, errs.Wrap(op, err)
	}
	done, err := s.claim(ctx, u)
	switch {
	case errs.CodeOf(err) == "claim_lost":
		return nil, errs.E(errs.Denied, op, errs.Code("proof_failed"), err) // the content went meanwhile: it is sent
	case err != nil:
		return nil, errs.Wrap(op, err)
	}
	return done, errs.Wrap(op, s.finish(ctx, u, done))
}

// proven computes the answers from the stored content and compares them, all of them, in a time that does not tell
// where they differ. Content that is gone or damaged proves nothing.
func (s *Service) proven(ctx context.Context, u *session, c *challenge, answers [][]byte) (bool, error) {
	r, err := s.verifier().Open(ctx, blob.Ref{Digest: blob.Digest(u.Digest), Size: u.Size})
	if errs.Is(errs.Corrupt, err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer r.Close()
	right := len(answers) == len(c.Blocks)
	for i, n := range c.Blocks {
		mac := hmac.New(sha256.New, c.Nonce)
		blob.Until(r, n*blob.BlockSize+u.sizeOf(n))
		if _, err := io.Copy(mac, io.NewSectionReader(r, n*blob.BlockSize, u.sizeOf(n))); err != nil {
			if errs.Is(errs.Corrupt, err) {
				return false, nil
			}
			return false, err
		}
		right = right && hmac.Equal(mac.Sum(nil), answers[i])
	}
	return right, nil
}

// has tells whether a store has the content that was announced. What the tree refers to may still be damaged; then it is
// sent again, which mends it.
func (s *Service) has(ctx context.Context, u *session) bool {
	r, _, err := s.Blobs.Open(ctx, blob.Ref{Digest: blob.Digest(u.Digest), Size: u.Size})
	if err != nil {
		return false
	}
	defer r.Close()
	return true
}

// claim makes content that is stored already the file. The reservation keeps it from being deleted meanwhile.
func (s *Service) claim(ctx context.Context, u *session) (*filemetapb.CommitResponse, error) {
	t, err := u.target()
	if err != nil {
		return nil, err
	}
	b := &filemetapb.Blob{Digest: u.Digest, Size: u.Size}
	return s.Tree.Commit(ctx, &filemetapb.CommitRequest{
		Target: t, Blob: b, ModifiedAt: u.ModifiedAt, Reservation: u.Reservation, Claimed: true,
	})
}
