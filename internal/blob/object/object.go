// Package object keeps blobs in a bucket of an object store: S3, or what is like it.
//
//	store.json                    the store's id; without it the store does not open
//	blobs/ab/ab12…-SIZE-GEN       a blob of one block at most: its bytes
//	blobs/ab/ab12…-SIZE-GEN-DATA  a larger blob: its block sums
//	data/xy/DATA                  its bytes
//	stage/ID/…                    what is on its way in
//	drop/DATA/ID                  a mark: somebody means to delete these bytes
//
// An object store has neither locks nor a rename. So nothing is ever overwritten, each put of a blob makes a new generation
// (GEN, random), a blob is there as long as one of its generations is, and bytes that several may use are deleted by the
// handshake of vouch and drop. docs/decisions/0015-blobs-in-an-object-store.md has the argument.
package object

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/crc32"
	"io"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// Config is what a Store may be told, whatever is below it. The zero value of each is its default.
type Config struct {
	// ID of the store, which its bucket must hold in store.json: a bucket that was mistaken for another is an error
	// and not an empty store (fault F18). "" is the id of a store that nobody named.
	ID string
	// Init gives a bucket without an id this one.
	Init bool
	// Prefix of all keys. It ends with a slash, unless it is empty.
	Prefix string
	// Attempts at each request before the store counts as unavailable; 6. With the waits between them, that is
	// about three seconds for a store that refuses at once.
	Attempts int
	// WriteMemory and ReadMemory bound what is held in memory for the bytes on their way in and out, of all readers and
	// writers together; 256 MiB each. Out of memory, bytes stream through without it, slower and without another
	// attempt; streams of unknown size wait for their turn, a minute at most.
	WriteMemory, ReadMemory int64
	// ReadAhead is how many parts, which grow up to ReadPart bytes, are fetched at once ahead of a reader; 4 of 8 MiB.
	ReadAhead int
	ReadPart  int64
}

func (c Config) withDefaults() Config {
	set := func(v *int64, def int64) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&c.WriteMemory, 256<<20)
	set(&c.ReadMemory, 256<<20)
	set(&c.ReadPart, 8<<20)
	// A writer must be able to hold a part.
	c.WriteMemory = max(c.WriteMemory, 2*smallestPart)
	if c.Attempts <= 0 {
		c.Attempts = 6
	}
	if c.ReadAhead <= 0 {
		c.ReadAhead = 4
	}
	return c
}

// Store is a blob.Stager and a blob.Linker in a bucket.
type Store struct {
	cfg    Config
	bucket retrying
	// memory for the bytes on their way in and out.
	writeMem writeMemory
	readMem  *semaphore.Weighted
	// found remembers where blobs of more than a block are: generations that were read and never change.
	found *lru.Cache[blob.Digest, location]
	// puts of small blobs so far, for deciding when to tidy up.
	puts atomic.Uint64
	// noCopies is set once the bucket has said that it does not copy parts.
	noCopies atomic.Bool
}

var (
	_ blob.Stager = (*Store)(nil)
	_ blob.Linker = (*Store)(nil)
	_ blob.Copier = staged{}
)

// Open opens the store in a bucket. It fails unless the bucket holds the store's id, or may be given it.
func Open(ctx context.Context, b Bucket, cfg Config) (*Store, error) {
	s := newStore(b, cfg)
	if err := s.checkID(ctx); err != nil {
		return nil, errs.Wrap("object.Open", err)
	}
	return s, nil
}

func newStore(b Bucket, cfg Config) *Store {
	cfg = cfg.withDefaults()
	if cfg.Prefix != "" {
		b = below{b, cfg.Prefix}
	}
	s := &Store{
		cfg: cfg, bucket: retrying{b, cfg.Attempts},
		writeMem: newWriteMemory(cfg.WriteMemory), readMem: semaphore.NewWeighted(cfg.ReadMemory),
	}
	s.found, _ = lru.New[blob.Digest, location](remember) // fails for a size below 1 only
	return s
}

type identity struct {
	ID string `json:"id"`
}

func (s *Store) checkID(ctx context.Context) error {
	const op = errs.Op("object.checkID")
	o, err := s.stat(ctx, idKey)
	if errs.Is(errs.NotFound, err) {
		if !s.cfg.Init {
			return errs.E(errs.Internal, op, "the bucket holds no store (no "+idKey+")")
		}
		return s.initialize(ctx)
	}
	if err != nil {
		return err
	}
	if o.Size < 1 || o.Size > 4<<10 {
		return errs.E(errs.Corrupt, op, idKey)
	}
	b := make([]byte, o.Size)
	if err := s.fill(ctx, idKey, 0, b); err != nil {
		return err
	}
	var have identity
	if err := json.Unmarshal(b, &have); err != nil {
		return errs.E(errs.Corrupt, op, err)
	}
	if have.ID != s.cfg.ID {
		return errs.E(errs.Internal, op, "the bucket's store has another id")
	}
	return nil
}

func (s *Store) initialize(ctx context.Context) error {
	b, err := json.Marshal(identity{s.cfg.ID})
	if err != nil {
		return errs.E(errs.Internal, "object.initialize", err)
	}
	return s.bucket.Put(ctx, idKey, inMemory(append(b, '\n')))
}

// inMemory is b to be sent.
func inMemory(b []byte) Body {
	return Body{Reader: bytes.NewReader(b), Size: int64(len(b)), CRC32C: crc32.Checksum(b, castagnoli)}
}

// Check implements blob.Store.
func (s *Store) Check(ctx context.Context) error {
	// One attempt: whoever asks whether the store is well wants to know about now.
	if _, err := s.bucket.Bucket.Head(ctx, idKey); err != nil {
		return unavailable("object.Check", err)
	}
	return nil
}

// stat tells an object's size. It is errs.NotFound only when the store has listed what is there: an answer 404 to a
// HEAD has no body that would say who gave it (fault F30).
func (s *Store) stat(ctx context.Context, key string) (Object, error) {
	o, err := s.bucket.Head(ctx, key)
	if !errs.Is(errs.NotFound, err) {
		return o, err
	}
	there := false
	err = s.bucket.List(ctx, key, "", func(have Object) error {
		if have.Key == key {
			o, there = have, true
		}
		return io.EOF // the key itself comes first
	})
	switch {
	case err != nil && err != io.EOF:
		return o, err
	case !there:
		return o, errs.E(errs.NotFound, "object.stat")
	}
	return o, nil
}
