package object

import (
	"context"
	"hash/crc32"
	"io"
	"time"

	"github.com/livil/gopan/internal/blob"
)

// Bucket is what a Store needs of an object store: S3's common ground. A method tries once; whether to try again
// is for the Store to say. Errors are errs.Busy for what may pass (a connection that broke, 5xx, throttling, a body
// that was damaged on the way), errs.NotFound where the store itself has said so, errs.OverQuota for a store that is full, and
// otherwise errs.Internal; they hold neither credentials nor signatures.
//
// Put, Get and List of one key are strongly consistent: what a Put that returned has stored is seen by every Get
// and List that begins after it, and likewise for Delete. S3, MinIO and COS promise that.
type Bucket interface {
	// Put stores an object. The store checks the bytes against a sum before it keeps them.
	Put(ctx context.Context, key string, b Body) error
	// Get reads n bytes from off on of an object; n is at least 1. A body that ends early is an error of its Read.
	Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)
	// Head tells an object's size.
	Head(ctx context.Context, key string) (Object, error)
	// List calls fn for the objects with a prefix and behind a key ("": all), in the order of their keys, until fn
	// fails.
	List(ctx context.Context, prefix, after string, fn func(Object) error) error
	// Delete removes objects; what is not there is no error.
	Delete(ctx context.Context, keys ...string) error
	// Link gives a URL by which anybody can Get the object until ttl is over.
	Link(ctx context.Context, key string, h blob.LinkHeaders, ttl time.Duration) (string, error)

	Uploads
}

// Uploads are a Bucket's multipart uploads. errs.NotFound means that the store knows no such upload.
type Uploads interface {
	Begin(ctx context.Context, key string) (upload string, err error)
	// PutPart stores a part; parts count from 1. Like Put it is checked by the store.
	PutPart(ctx context.Context, key, upload string, part int, b Body) error
	// CopyPart makes a part of n bytes of another object; errs.Unsupported says that the store does not do that.
	CopyPart(ctx context.Context, key, upload string, part int, from string, off, n int64) error
	// Parts are those that are there, in order.
	Parts(ctx context.Context, key, upload string) ([]Part, error)
	// Complete makes the object. Its outcome is unknown when it fails with errs.Busy; with errs.Stale it failed because a
	// part is not as it was listed.
	Complete(ctx context.Context, key, upload string, parts []Part) error
	Abort(ctx context.Context, key, upload string) error
	// Begun calls fn for uploads below a prefix that were neither completed nor aborted, as far as the store can list
	// them: MinIO cannot.
	Begun(ctx context.Context, prefix string, fn func(Upload) error) error
}

// Object is one that is there.
type Object struct {
	Key  string
	Size int64
	// Modified is when it was put, by the store's clock, which may count whole seconds.
	Modified time.Time
}

// Part is one of an upload.
type Part struct {
	Number   int
	Size     int64
	Modified time.Time
	ETag     string
	// Sum is what the store computed, in its own writing; Complete gives it back.
	Sum string
}

// Upload is one that was begun.
type Upload struct {
	Key, ID string
	Begun   time.Time
}

// castagnoli is CRC-32C, which S3 checks and processors compute.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Body is what a Put sends. One in memory knows its sum and can be sent again; one that streams does neither.
type Body struct {
	// Reader yields Size bytes. It is an io.Seeker if it can be sent again.
	io.Reader
	Size int64
	// CRC32C of the bytes, when the Reader is an io.Seeker.
	CRC32C uint32
}

// InMemory tells whether the body can be sent again, and so knows its sum.
func (b Body) InMemory() bool {
	_, ok := b.Reader.(io.Seeker)
	return ok
}
