// Package s3 keeps blobs in a bucket of S3, or of a server that speaks its protocol.
package s3

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/object"
	"github.com/livil/gopan/internal/errs"
)

// Config says which bucket, and how to get there.
type Config struct {
	// Endpoint is the server's URL without a path: https://s3.eu-central-1.amazonaws.com, http://127.0.0.1:9000. http
	// sends what is stored in the clear.
	Endpoint string
	// PublicEndpoint is the server's URL as clients of the drive reach it, for links; "": Endpoint.
	PublicEndpoint string
	// Region that requests are signed for; "": us-east-1, which servers beside S3 take.
	Region string
	Bucket string
	// AccessKey and SecretKey are the credentials; SessionToken goes with temporary ones.
	AccessKey, SecretKey, SessionToken string
	// HostStyle puts the bucket into the host's name, as S3 wants it; else it is the first part of the path, as servers
	// beside S3 want it.
	HostStyle bool
	// CAFile holds certificates in PEM that are trusted beside the system's.
	CAFile string
	// Stall is how long a connection may be without progress; 0: a minute.
	Stall time.Duration
	// Store has the settings that are the same for all object stores.
	Store object.Config
}

// Open opens the store in a bucket, which must be there.
func Open(ctx context.Context, cfg Config) (*object.Store, error) {
	b, err := newBucket(cfg)
	if err != nil {
		return nil, errs.Wrap("s3.Open", err)
	}
	return object.Open(ctx, b, cfg.Store)
}

// bucket is an object.Bucket. Only calls are used that all of S3's kin have.
type bucket struct {
	core   minio.Core
	public *minio.Client // for links
	name   string
}

func newBucket(cfg Config) (*bucket, error) {
	const op = errs.Op("s3.newBucket")
	transport, err := object.Transport(cfg.CAFile, cfg.Stall)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	client, err := newClient(cfg, cfg.Endpoint, transport)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	public := client
	if cfg.PublicEndpoint != "" {
		if public, err = newClient(cfg, cfg.PublicEndpoint, transport); err != nil {
			return nil, errs.Wrap(op, err)
		}
	}
	return &bucket{core: minio.Core{Client: client}, public: public, name: cfg.Bucket}, nil
}

func newClient(cfg Config, endpoint string, t http.RoundTripper) (*minio.Client, error) {
	const op = errs.Op("s3.newClient")
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return nil, errs.E(errs.Invalid, op, errs.Field("endpoint"), "an endpoint is http:// or https:// and a host")
	}
	lookup := minio.BucketLookupPath
	if cfg.HostStyle {
		lookup = minio.BucketLookupDNS
	}
	c, err := minio.New(u.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, cfg.SessionToken),
		Secure:       u.Scheme == "https",
		Transport:    t,
		Region:       cfg.Region,
		BucketLookup: lookup,
		MaxRetries:   1, // object.Store tries again
	})
	if err != nil {
		return nil, errs.E(errs.Invalid, op, errs.Field("endpoint"), err)
	}
	return c, nil
}

// sumHeader is CRC-32C of what is sent. The server refuses other bytes. It takes the place of the payload's SHA-256 in
// the signature, which costs more and which no server needs that has checked this.
const sumHeader = "X-Amz-Checksum-Crc32c"

func sumText(crc uint32) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], crc)
	return base64.StdEncoding.EncodeToString(b[:])
}

// Put implements object.Bucket.
func (b *bucket) Put(ctx context.Context, key string, body object.Body) error {
	const op = errs.Op("s3.Put")
	if !body.InMemory() {
		return errs.E(errs.Internal, op, "only parts are streamed")
	}
	sum := sumText(body.CRC32C)
	info, err := b.core.PutObject(ctx, b.name, key, body.Reader, body.Size, "", "", minio.PutObjectOptions{
		UserMetadata: map[string]string{sumHeader: sum}, DisableContentSha256: true,
	})
	if err != nil {
		return fail(ctx, op, err, onObject)
	}
	return sameSum(op, sum, info.ChecksumCRC32C)
}

// sameSum holds what the server computed against what was sent, where it says so.
func sameSum(op errs.Op, sent, stored string) error {
	if stored != "" && stored != sent {
		return errs.E(errs.Busy, op, "the store has other bytes than were sent")
	}
	return nil
}

// Get implements object.Bucket.
func (b *bucket) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	const op = errs.Op("s3.Get")
	var opts minio.GetObjectOptions
	if err := opts.SetRange(off, off+n-1); err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	body, _, h, err := b.core.GetObject(ctx, b.name, key, opts)
	if err != nil {
		return nil, fail(ctx, op, err, onObject)
	}
	want := fmt.Sprintf("bytes %d-%d/", off, off+n-1)
	if !strings.HasPrefix(h.Get("Content-Range"), want) {
		_ = body.Close() // nothing of it is used
		return nil, errs.E(errs.Corrupt, op, "the store answered with another range")
	}
	return body, nil
}

// Head implements object.Bucket.
func (b *bucket) Head(ctx context.Context, key string) (object.Object, error) {
	info, err := b.core.StatObject(ctx, b.name, key, minio.StatObjectOptions{})
	if err != nil {
		return object.Object{}, fail(ctx, "s3.Head", err, onObject)
	}
	return object.Object{Key: key, Size: info.Size, Modified: info.LastModified}, nil
}

// List implements object.Bucket.
func (b *bucket) List(ctx context.Context, prefix, after string, fn func(object.Object) error) error {
	owner := false
	for info := range b.core.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{
		Prefix: prefix, StartAfter: after, Recursive: true, FetchOwner: &owner,
	}) {
		if info.Err != nil {
			return fail(ctx, "s3.List", info.Err, onBucket)
		}
		if err := fn(object.Object{Key: info.Key, Size: info.Size, Modified: info.LastModified}); err != nil {
			return err
		}
	}
	// An iterator whose context has ended just stops.
	return errs.Wrap("s3.List", ctx.Err())
}

// Delete implements object.Bucket.
func (b *bucket) Delete(ctx context.Context, keys ...string) error {
	const op = errs.Op("s3.Delete")
	if len(keys) == 1 {
		err := b.core.RemoveObject(ctx, b.name, keys[0], minio.RemoveObjectOptions{})
		if err = fail(ctx, op, err, onObject); errs.Is(errs.NotFound, err) {
			return nil
		}
		return err
	}
	objects := make(chan minio.ObjectInfo, len(keys))
	for _, k := range keys {
		objects <- minio.ObjectInfo{Key: k}
	}
	close(objects)
	var first error
	for e := range b.core.RemoveObjects(ctx, b.name, objects, minio.RemoveObjectsOptions{}) {
		if err := fail(ctx, op, e.Err, onObject); first == nil && !errs.Is(errs.NotFound, err) {
			first = err
		}
	}
	if first == nil {
		first = errs.Wrap(op, ctx.Err())
	}
	return first
}

// Link implements object.Bucket.
func (b *bucket) Link(ctx context.Context, key string, h blob.LinkHeaders, ttl time.Duration) (string, error) {
	q := make(url.Values)
	if h.ContentType != "" {
		q.Set("response-content-type", h.ContentType)
	}
	if h.ContentDisposition != "" {
		q.Set("response-content-disposition", h.ContentDisposition)
	}
	u, err := b.public.PresignedGetObject(ctx, b.name, key, ttl, q)
	if err != nil {
		return "", fail(ctx, "s3.Link", err, onObject)
	}
	return u.String(), nil
}

// trailing computes a body's sum while it is sent, and has it in the trailer when the body ends.
type trailing struct {
	r       io.Reader
	left    int64
	sum     hash.Hash32
	trailer http.Header
}

func newTrailing(b object.Body) *trailing {
	return &trailing{
		r: b.Reader, left: b.Size, sum: crc32.New(crc32.MakeTable(crc32.Castagnoli)),
		trailer: http.Header{sumHeader: {sumText(0)}},
	}
}

func (t *trailing) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.sum.Write(p[:n])
	if t.left -= int64(n); t.left <= 0 {
		t.trailer.Set(sumHeader, sumText(t.sum.Sum32()))
	}
	return n, err
}
