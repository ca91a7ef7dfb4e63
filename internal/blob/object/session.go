package object

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// session is a multipart upload that makes a blob's bytes, or, for a blob of one block at most, a block in waiting.
type session struct {
	s *Store
	// id of the session, and of the data that it makes.
	id id
	// upload is the store's name for it; "" for a blob of one block at most.
	upload string
}

// begun is what stage/ID/begin holds: what Sweep needs to end a session that everybody forgot. MinIO cannot list the
// uploads that were begun in it.
type begun struct {
	Upload string `json:"upload,omitempty"`
	Size   int64  `json:"size"`
}

func (ss *session) key() string { return dataKey(ss.id) }

// name is what callers know the session by. It is unguessable, for the id is.
func (ss *session) name() string {
	if ss.upload == "" {
		return ss.id.String()
	}
	return ss.id.String() + "." + ss.upload
}

// parseSession reads a name that was given to a session of a blob of size bytes. Anything but the upload is of our own
// form, and the upload is nothing but a query to the store.
func (s *Store) parseSession(name string, size int64) (*session, bool) {
	i, upload, _ := strings.Cut(name, ".")
	parsed, ok := parseID(i)
	ss := &session{s: s, id: parsed, upload: upload}
	return ss, ok && ss.name() == name && (upload == "") == small(size) && len(name) <= 1024
}

// begin begins a session for a blob of size bytes, or -1 when that is not known and it has more than a block.
func (s *Store) begin(ctx context.Context, i id, size int64) (*session, error) {
	ss := &session{s: s, id: i}
	if size < 0 || !small(size) {
		upload, err := s.bucket.Begin(ctx, ss.key())
		if err != nil {
			return nil, err
		}
		ss.upload = upload
	}
	b, err := json.Marshal(begun{ss.upload, size})
	if err != nil {
		return nil, errs.E(errs.Internal, "object.begin", err)
	}
	if err := s.bucket.Put(ctx, beginKey(i), inMemory(b)); err != nil {
		ss.abandon(ctx)
		return nil, err
	}
	return ss, nil
}

// there tells whether the session was begun and is not over.
func (ss *session) there(ctx context.Context) error {
	_, err := ss.s.stat(ctx, beginKey(ss.id))
	return err
}

// finish makes the blob of the parts. It may be called again, and by several at once, after an error too: what one has
// done already the others find.
func (ss *session) finish(ctx context.Context, ref blob.Ref, sums []blob.Sum, parts []Part) error {
	is, err := ss.s.reuse(ctx, ref, sums)
	if err != nil {
		return err
	}
	if is {
		ss.abandon(ctx)
		return nil
	}
	err = ss.s.bucket.Complete(ctx, ss.key(), ss.upload, parts)
	if err != nil {
		// It may have happened all the same, by this call or another's: what is there now says so (fault F28).
		if o, serr := ss.s.stat(ctx, ss.key()); serr != nil || o.Size != ref.Size {
			return err
		}
	}
	if err := ss.s.publish(ctx, ref, ss.id, sums); err != nil {
		return err
	}
	ss.clear(ctx)
	return nil
}

// publish makes the blob of bytes that are in data.
func (s *Store) publish(ctx context.Context, ref blob.Ref, data id, sums []blob.Sum) error {
	is, err := s.putSums(ctx, ref, data, sums)
	// A Versity gateway that completes an upload twice at once takes the object away for a moment.
	for n := 1; n < s.bucket.attempts && err == nil && !is; n++ {
		if err = pause(ctx, n); err == nil {
			is, err = s.vouch(ctx, ref, data)
		}
	}
	if err == nil && !is {
		err = unavailable("object.publish", errors.New("the bytes were swept away"))
	}
	return err
}

// reuse makes another generation of a blob that is there, of its bytes, and tells whether it did.
func (s *Store) reuse(ctx context.Context, ref blob.Ref, sums []blob.Sum) (bool, error) {
	gens, err := s.generations(ctx, ref.Digest)
	if err != nil {
		return false, err
	}
	if len(gens) > tidyAt {
		s.tidy(ctx, gens)
	}
	for _, data := range dataOf(gens) {
		// A look before, so as not to write a generation of what is known to be lost.
		if is, err := s.vouch(ctx, ref, data); err != nil || !is {
			if err != nil && !errs.Is(errs.Corrupt, err) {
				return false, err
			}
			continue
		}
		if is, err := s.putSums(ctx, ref, data, sums); is || err != nil {
			return is, err
		}
	}
	return false, nil
}

// abandonTimeout bounds the cleaning up after a session, which goes on when its caller has gone.
const abandonTimeout = 10 * time.Second

// abandon drops the session. What fails here Sweep does.
func (ss *session) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
	defer cancel()
	if ss.upload != "" {
		if err := ss.s.bucket.Abort(ctx, ss.key(), ss.upload); err != nil && !errs.Is(errs.NotFound, err) {
			return // begin must stay, or nobody finds the upload again
		}
	}
	_ = ss.remove(ctx)
}

// clear removes what a session that is over has left beside its data.
func (ss *session) clear(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTimeout)
	defer cancel()
	_ = ss.remove(ctx) // Sweep does what fails here
}

// remove deletes what is staged, begin last.
func (ss *session) remove(ctx context.Context) error {
	var keys []string
	err := ss.s.bucket.List(ctx, stagePrefix(ss.id), "", func(o Object) error {
		if o.Key != beginKey(ss.id) {
			keys = append(keys, o.Key)
		}
		return nil
	})
	if err == nil {
		err = ss.s.bucket.Delete(ctx, keys...)
	}
	if err == nil {
		err = ss.s.bucket.Delete(ctx, beginKey(ss.id))
	}
	return err
}

// readBegun reads what a session's begin says.
func (s *Store) readBegun(ctx context.Context, i id) (b begun, err error) {
	o, err := s.stat(ctx, beginKey(i))
	if err != nil {
		return b, err
	}
	text := make([]byte, min(o.Size, 4<<10))
	if err := s.fill(ctx, beginKey(i), 0, text); err != nil {
		return b, err
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return b, errs.E(errs.Corrupt, "object.readBegun", err)
	}
	return b, nil
}
