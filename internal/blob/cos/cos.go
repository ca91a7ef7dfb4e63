// Package cos keeps blobs in a bucket of Tencent Cloud COS, by Tencent's own client.
package cos

import (
	"context"
	"crypto/md5" //nolint:gosec // COS checks what arrives against it; nobody takes it for an identity
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/object"
	"github.com/livil/gopan/internal/errs"
)

// Config says which bucket, and how to get there.
type Config struct {
	// Bucket with the account's number: drive-1250000000.
	Bucket string
	// Region of the bucket: ap-guangzhou.
	Region string
	// Endpoint is the bucket's URL without a path, when it is not https://BUCKET.cos.REGION.myqcloud.com: the internal
	// or the accelerated one, or a domain of your own.
	Endpoint string
	// PublicEndpoint is the bucket's URL as clients of the drive reach it, for links; "": Endpoint.
	PublicEndpoint string
	// SecretID and SecretKey are the credentials; SessionToken goes with temporary ones.
	SecretID, SecretKey, SessionToken string
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
		return nil, errs.Wrap("cos.Open", err)
	}
	return object.Open(ctx, b, cfg.Store)
}

// bucket is an object.Bucket.
type bucket struct {
	client *cos.Client
	public *cos.Client // for links
	cfg    Config
}

func newBucket(cfg Config) (*bucket, error) {
	const op = errs.Op("cos.newBucket")
	transport, err := object.Transport(cfg.CAFile, cfg.Stall)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	if cfg.Endpoint == "" {
		u, err := cos.NewBucketURL(cfg.Bucket, cfg.Region, true)
		if err != nil {
			return nil, errs.E(errs.Invalid, op, errs.Field("bucket"), err)
		}
		cfg.Endpoint = u.String()
	}
	b := &bucket{cfg: cfg}
	if b.client, err = newClient(cfg, cfg.Endpoint, transport); err != nil {
		return nil, errs.Wrap(op, err)
	}
	b.public = b.client
	if cfg.PublicEndpoint != "" {
		if b.public, err = newClient(cfg, cfg.PublicEndpoint, transport); err != nil {
			return nil, errs.Wrap(op, err)
		}
	}
	return b, nil
}

func newClient(cfg Config, endpoint string, t http.RoundTripper) (*cos.Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" {
		return nil, errs.E(errs.Invalid, "cos.newClient", errs.Field("endpoint"), "an endpoint is http:// or https:// and a host")
	}
	c := cos.NewClient(&cos.BaseURL{BucketURL: &url.URL{Scheme: u.Scheme, Host: u.Host}}, &http.Client{
		Transport: &cos.AuthorizationTransport{
			SecretID: cfg.SecretID, SecretKey: cfg.SecretKey, SessionToken: cfg.SessionToken, Transport: t,
		},
	})
	c.Conf.EnableCRC = true   // what is sent is held against the CRC-64 that COS gives back
	c.Conf.RetryOpt.Count = 1 // object.Store tries again
	c.Conf.RequestBodyClose = false
	return c, nil
}

// Put implements object.Bucket. COS checks the bytes against their MD5 before it keeps them, for they are in sight at
// once.
func (b *bucket) Put(ctx context.Context, key string, body object.Body) error {
	const op = errs.Op("cos.Put")
	seeker, ok := body.Reader.(io.ReadSeeker)
	if !ok {
		return errs.E(errs.Internal, op, "only parts are streamed")
	}
	h := md5.New() //nolint:gosec // see the import
	_, err := io.Copy(h, seeker)
	if err == nil {
		_, err = seeker.Seek(0, io.SeekStart)
	}
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	_, err = b.client.Object.Put(ctx, key, reader(body), &cos.ObjectPutOptions{
		ObjectPutHeaderOptions: &cos.ObjectPutHeaderOptions{
			ContentType: "application/octet-stream", ContentLength: body.Size,
			ContentMD5: base64.StdEncoding.EncodeToString(h.Sum(nil)),
		},
	})
	return fail(ctx, op, err, onObject)
}

// reader gives the body as the client wants it: it would send an empty one of another type in chunks, without a length.
func reader(body object.Body) io.Reader {
	if body.Size == 0 {
		return strings.NewReader("")
	}
	return body.Reader
}

// Get implements object.Bucket.
func (b *bucket) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	const op = errs.Op("cos.Get")
	r, err := b.client.Object.Get(ctx, key, &cos.ObjectGetOptions{Range: fmt.Sprintf("bytes=%d-%d", off, off+n-1)})
	if err != nil {
		return nil, fail(ctx, op, err, onObject)
	}
	if !strings.HasPrefix(r.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/", off, off+n-1)) {
		_ = r.Body.Close() // nothing of it is used
		return nil, errs.E(errs.Corrupt, op, "the store answered with another range")
	}
	return r.Body, nil
}

// Head implements object.Bucket.
func (b *bucket) Head(ctx context.Context, key string) (object.Object, error) {
	const op = errs.Op("cos.Head")
	r, err := b.client.Object.Head(ctx, key, nil)
	if err != nil {
		return object.Object{}, fail(ctx, op, err, onObject)
	}
	modified, err := http.ParseTime(r.Header.Get("Last-Modified"))
	if err != nil || r.ContentLength < 0 {
		return object.Object{}, errs.E(errs.Busy, op, "an answer without size or time")
	}
	return object.Object{Key: key, Size: r.ContentLength, Modified: modified}, nil
}

// List implements object.Bucket.
func (b *bucket) List(ctx context.Context, prefix, after string, fn func(object.Object) error) error {
	const op = errs.Op("cos.List")
	for {
		page, _, err := b.client.Bucket.Get(ctx, &cos.BucketGetOptions{Prefix: prefix, Marker: after, MaxKeys: 1000})
		if err != nil {
			return fail(ctx, op, err, onBucket)
		}
		for _, o := range page.Contents {
			modified, err := time.Parse(time.RFC3339, o.LastModified)
			if err != nil {
				return errs.E(errs.Busy, op, "a list without times")
			}
			if err := fn(object.Object{Key: o.Key, Size: o.Size, Modified: modified}); err != nil {
				return err
			}
			after = o.Key
		}
		if !page.IsTruncated {
			return nil
		}
		if len(page.Contents) == 0 {
			return errs.E(errs.Busy, op, "a list that does not go on")
		}
	}
}

// Delete implements object.Bucket.
func (b *bucket) Delete(ctx context.Context, keys ...string) error {
	const op = errs.Op("cos.Delete")
	if len(keys) == 1 {
		_, err := b.client.Object.Delete(ctx, keys[0])
		if err = fail(ctx, op, err, onObject); errs.Is(errs.NotFound, err) {
			return nil
		}
		return err
	}
	for some := range slices.Chunk(keys, 1000) {
		objects := make([]cos.Object, len(some))
		for i, k := range some {
			objects[i].Key = k
		}
		r, _, err := b.client.Object.DeleteMulti(ctx, &cos.ObjectDeleteMultiOptions{Quiet: true, Objects: objects})
		if err != nil {
			return fail(ctx, op, err, onBucket)
		}
		for _, e := range r.Errors {
			if e.Code != "NoSuchKey" {
				return errs.E(errs.Busy, op, "not deleted: "+e.Code)
			}
		}
	}
	return nil
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
	if b.cfg.SessionToken != "" {
		q.Set("x-cos-security-token", b.cfg.SessionToken)
	}
	u, err := b.public.Object.GetPresignedURL(ctx, http.MethodGet, key, b.cfg.SecretID, b.cfg.SecretKey, ttl,
		&cos.PresignedURLOptions{Query: &q})
	if err != nil {
		return "", errs.E(errs.Internal, "cos.Link", "no link")
	}
	return u.String(), nil
}
