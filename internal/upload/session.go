package upload

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/pb/userpb"
)

// session is an upload of many requests, as kv keeps it: whichever process has the next request finds it there.
// Losing it loses nothing that was acknowledged as a file; the client begins anew.
type session struct {
	ID    string `json:"id"`
	Owner int64  `json:"owner"`
	// Folder is the one that the access key opens with which the upload began; 0: the whole drive was open.
	Folder int64 `json:"folder,omitempty"`
	// SignIn is the session at whose sign-in the upload began: the token works while that lives. 0: it began with an access
	// key, and there is no token.
	SignIn int64 `json:"signIn"`
	// Tokens are the SHA-256 sums of the tokens that were given out, the newest last.
	Tokens [][]byte `json:"tokens"`
	// Target is a filemetapb.Target.
	Target      []byte `json:"target"`
	ModifiedAt  int64  `json:"modifiedAt,omitempty"`
	Path        string `json:"path"`
	Size        int64  `json:"size"`
	Digest      []byte `json:"digest,omitempty"` // empty: not announced
	Reservation int64  `json:"reservation"`
	Drive       int64  `json:"drive"`
	// Store is the name of the store that takes the bytes, Stage the id under which it does.
	Store string `json:"store"`
	Stage string `json:"stage,omitempty"`
	// Announced: the sums of all blocks are kept under keys of their own, see plan.
	Announced bool `json:"announced,omitempty"`
	// Sources are earlier contents of the file, which the plan takes blocks from.
	Sources []source `json:"sources,omitempty"`
	// Challenge is open; nil: there is none, or it is spent.
	Challenge *challenge `json:"challenge,omitempty"`
	// Result is a filemetapb.CommitResponse, once the file is there.
	Result []byte `json:"result,omitempty"`
	// Expires is when the session ends if nothing happens, End when it does in any case, in milliseconds since 1970.
	Expires int64 `json:"expires"`
	End     int64 `json:"end"`

	raw []byte // as it was read
}

// source is a blob.
type source struct {
	Digest []byte `json:"digest"`
	Size   int64  `json:"size"`
}

func (s source) ref() blob.Ref { return blob.Ref{Digest: blob.Digest(s.Digest), Size: s.Size} }

// lives is how many times Service.Life an upload may take in all, so that what is kept of its blocks need not be
// renewed.
const lives = 10

// idLength of crypto/rand.Text, whose alphabet is base32's.
const idLength = 26

func validID(id string) bool {
	if len(id) != idLength {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// Keys in kv. What is between braces decides where a Redis Cluster keeps a key: an upload's are together.
func sessionKey(id string) string { return "upload/{" + id + "}" }

func (s *Service) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Service) life() time.Duration {
	if s.Life > 0 {
		return s.Life
	}
	return 72 * time.Hour
}

// ttl is how long a key lives that ends at a moment in milliseconds.
func (s *Service) ttl(end int64) time.Duration {
	return max(time.UnixMilli(end).Sub(s.now()), time.Millisecond)
}

// notFound is the one answer to whoever has no business with an upload, whether it is there or not (promise S2).
func notFound(op errs.Op) error { return errs.E(errs.NotFound, op) }

// load reads a session without asking whose it is.
func (s *Service) load(ctx context.Context, id string) (*session, error) {
	const op = errs.Op("upload.load")
	if !validID(id) {
		return nil, notFound(op)
	}
	raw, err := s.KV.Get(ctx, sessionKey(id))
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	u := &session{raw: raw}
	if err := json.Unmarshal(raw, u); err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	if u.ID != id || u.Expires <= s.now().UnixMilli() {
		return nil, notFound(op)
	}
	return u, nil
}

// create puts a new session into kv.
func (s *Service) create(ctx context.Context, u *session) error {
	raw, err := json.Marshal(u)
	if err != nil {
		return errs.E(errs.Internal, "upload.create", err)
	}
	u.raw = raw
	return s.KV.Set(ctx, sessionKey(u.ID), raw, s.ttl(u.Expires))
}

// attempts to change a session that others change at the same time.
const attempts = 20

// update changes a session as change says, which is called again on the newest state when another request changed it
// at the same time. change may fail, which is the end of it.
func (s *Service) update(ctx context.Context, u *session, change func(*session) error) error {
	const op = errs.Op("upload.update")
	for range attempts {
		next := *u
		if err := change(&next); err != nil {
			return err
		}
		raw, err := json.Marshal(&next)
		if err != nil {
			return errs.E(errs.Internal, op, err)
		}
		ok, err := s.KV.Swap(ctx, sessionKey(u.ID), u.raw, raw, s.ttl(next.Expires))
		if err != nil {
			return errs.Wrap(op, err)
		}
		if ok {
			next.raw = raw
			*u = next
			return nil
		}
		now, err := s.load(ctx, u.ID)
		if err != nil {
			return errs.Wrap(op, err)
		}
		*u = *now
	}
	return errs.E(errs.Busy, op, "others change the session all the time")
}

// session gives the upload that a request is about, to its owner or to whoever holds its token. For everybody else it
// is not there, nor is it for an access key of the owner's that opens another folder than the one it began with.
func (s *Service) session(ctx context.Context, id string) (*session, error) {
	const op = errs.Op("upload.session")
	u, err := s.load(ctx, id)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if who, err := auth.From(ctx); err == nil {
		if who.UserID != u.Owner || who.FolderID != 0 && who.FolderID != u.Folder {
			return nil, notFound(op)
		}
		return u, nil
	}
	if !u.knows(auth.UploadToken(ctx)) {
		return nil, notFound(op)
	}
	if err := s.signedIn(ctx, u); err != nil {
		return nil, errs.Wrap(op, err)
	}
	return u, nil
}

// knows compares a token with all that were given out, in a time that does not tell how alike they are.
func (u *session) knows(token string) bool {
	sum, found := sha256.Sum256([]byte(token)), 0
	for _, t := range u.Tokens {
		found |= subtle.ConstantTimeCompare(sum[:], t)
	}
	return found == 1
}

// signedIn tells whether the sign-in that the upload began with still lives; a good answer is kept for half a second
// (promise S18). When the user role cannot be asked, nobody comes in.
func (s *Service) signedIn(ctx context.Context, u *session) error {
	const op = errs.Op("upload.signedIn")
	if u.SignIn == 0 {
		return notFound(op)
	}
	now := time.Now()
	if until, ok := s.alive().Get(u.SignIn); ok && now.Before(until) {
		return nil
	}
	who, err := s.Users.Authenticate(ctx, &userpb.AuthenticateRequest{
		Credential: &userpb.AuthenticateRequest_SessionId{SessionId: u.SignIn},
	})
	switch {
	case errs.Is(errs.Unauthenticated, err):
		return errs.E(errs.NotFound, op, err)
	case err != nil:
		return errs.Wrap(op, err)
	case who.GetUserId() != u.Owner:
		return notFound(op)
	}
	s.alive().Add(u.SignIn, now.Add(500*time.Millisecond))
	return nil
}

// maxTokens of one upload are good at once. There is more than one when the answer that had the first got lost.
const maxTokens = 4

// newToken makes a token and notes its sum in the session, which the caller saves.
func (u *session) newToken() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // crypto/rand ends the process rather than fail
	token := base64.RawURLEncoding.EncodeToString(b)
	sum := sha256.Sum256([]byte(token))
	u.Tokens = append(u.Tokens[:len(u.Tokens):len(u.Tokens)], sum[:])
	u.Tokens = u.Tokens[max(0, len(u.Tokens)-maxTokens):]
	return token
}

// touch puts off the session's end, and that of its room in the drive. It does so now and then only, so that blocks
// that arrive at once do not all change one key: a session ends no sooner than Life after its last block, and up to a
// sixteenth of that later.
func (s *Service) touch(ctx context.Context, u *session) error {
	const op = errs.Op("upload.touch")
	least := s.now().Add(s.life()).UnixMilli()
	if u.Expires >= min(least, u.End) {
		return nil
	}
	expires := min(s.expiry(), u.End)
	if _, err := s.Tree.Extend(ctx, &filemetapb.ExtendRequest{Reservation: u.Reservation, ExpiresAt: expires}); err != nil && !errs.Is(errs.NotFound, err) {
		return errs.Wrap(op, err)
	}
	err := s.update(ctx, u, func(u *session) error {
		u.Expires = max(u.Expires, expires)
		return nil
	})
	return errs.Wrap(op, err)
}

// expiry of a session in which something has just happened.
func (s *Service) expiry() int64 { return s.now().Add(s.life() + s.life()/16).UnixMilli() }

// staged gives what is on its way into the store.
func (s *Service) staged(ctx context.Context, u *session) (blob.Staged, blob.Named, error) {
	const op = errs.Op("upload.staged")
	store, ok := s.Blobs.Named(u.Store)
	if !ok {
		return nil, store, errs.E(errs.Busy, op, errs.Code("store_unavailable"), "no store is called "+u.Store)
	}
	st, err := store.Staged(ctx, u.Stage, u.Size)
	return st, store, errs.Wrap(op, err)
}

// target of the commit.
func (u *session) target() (*filemetapb.Target, error) {
	t := new(filemetapb.Target)
	if err := proto.Unmarshal(u.Target, t); err != nil {
		return nil, errs.E(errs.Internal, "upload.target", err)
	}
	return t, nil
}

// result is what the commit answered, nil before it.
func (u *session) result() (*filemetapb.CommitResponse, error) {
	if len(u.Result) == 0 {
		return nil, nil
	}
	done := new(filemetapb.CommitResponse)
	if err := proto.Unmarshal(u.Result, done); err != nil {
		return nil, errs.E(errs.Internal, "upload.result", err)
	}
	return done, nil
}

// forget drops all that kv keeps of an upload's blocks. They would go by themselves in time.
func (s *Service) forget(ctx context.Context, u *session) {
	for _, key := range u.keys() {
		if s.KV.Delete(ctx, key) != nil {
			return
		}
	}
}
