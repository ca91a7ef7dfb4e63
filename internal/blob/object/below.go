package object

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/livil/gopan/internal/blob"
)

// below is a Bucket whose keys all begin with a prefix, which whoever uses it does not see.
type below struct {
	Bucket
	prefix string
}

func (p below) Put(ctx context.Context, key string, b Body) error {
	return p.Bucket.Put(ctx, p.prefix+key, b)
}

func (p below) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	return p.Bucket.Get(ctx, p.prefix+key, off, n)
}

func (p below) Head(ctx context.Context, key string) (Object, error) {
	o, err := p.Bucket.Head(ctx, p.prefix+key)
	o.Key = key
	return o, err
}

func (p below) List(ctx context.Context, prefix, after string, fn func(Object) error) error {
	if after != "" {
		after = p.prefix + after
	}
	return p.Bucket.List(ctx, p.prefix+prefix, after, func(o Object) error {
		o.Key = strings.TrimPrefix(o.Key, p.prefix)
		return fn(o)
	})
}

func (p below) Delete(ctx context.Context, keys ...string) error {
	full := make([]string, len(keys))
	for i := range keys {
		full[i] = p.prefix + keys[i]
	}
	return p.Bucket.Delete(ctx, full...)
}

func (p below) Link(ctx context.Context, key string, h blob.LinkHeaders, ttl time.Duration) (string, error) {
	return p.Bucket.Link(ctx, p.prefix+key, h, ttl)
}

func (p below) Begin(ctx context.Context, key string) (string, error) {
	return p.Bucket.Begin(ctx, p.prefix+key)
}

func (p below) PutPart(ctx context.Context, key, upload string, part int, b Body) error {
	return p.Bucket.PutPart(ctx, p.prefix+key, upload, part, b)
}

func (p below) CopyPart(ctx context.Context, key, upload string, part int, from string, off, n int64) error {
	return p.Bucket.CopyPart(ctx, p.prefix+key, upload, part, p.prefix+from, off, n)
}

func (p below) Parts(ctx context.Context, key, upload string) ([]Part, error) {
	return p.Bucket.Parts(ctx, p.prefix+key, upload)
}

func (p below) Complete(ctx context.Context, key, upload string, parts []Part) error {
	return p.Bucket.Complete(ctx, p.prefix+key, upload, parts)
}

func (p below) Abort(ctx context.Context, key, upload string) error {
	return p.Bucket.Abort(ctx, p.prefix+key, upload)
}

func (p below) Begun(ctx context.Context, prefix string, fn func(Upload) error) error {
	return p.Bucket.Begun(ctx, p.prefix+prefix, func(u Upload) error {
		u.Key = strings.TrimPrefix(u.Key, p.prefix)
		return fn(u)
	})
}
