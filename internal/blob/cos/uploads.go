package cos

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/tencentyun/cos-go-sdk-v5"

	"github.com/livil/gopan/internal/blob/object"
	"github.com/livil/gopan/internal/errs"
)

// Begin implements object.Uploads.
func (b *bucket) Begin(ctx context.Context, key string) (string, error) {
	r, _, err := b.client.Object.InitiateMultipartUpload(ctx, key, nil)
	if err != nil {
		return "", fail(ctx, "cos.Begin", err, onBucket)
	}
	return r.UploadID, nil
}

// query is an upload's id as a part of a URL: the client puts it there as it is.
func query(upload string) string { return url.QueryEscape(upload) }

// PutPart implements object.Uploads. The client holds the CRC-64 of what was sent against that of what COS has.
func (b *bucket) PutPart(ctx context.Context, key, upload string, part int, body object.Body) error {
	_, err := b.client.Object.UploadPart(ctx, key, query(upload), part, reader(body), &cos.ObjectUploadPartOptions{
		ContentLength: body.Size,
	})
	return fail(ctx, "cos.PutPart", err, onUpload)
}

// CopyPart implements object.Uploads.
func (b *bucket) CopyPart(ctx context.Context, key, upload string, part int, from string, off, n int64) error {
	source := b.client.BaseURL.BucketURL.Host + "/" + from
	_, _, err := b.client.Object.CopyPart(ctx, key, query(upload), part, source, &cos.ObjectCopyPartOptions{
		XCosCopySourceRange: fmt.Sprintf("bytes=%d-%d", off, off+n-1),
	})
	return fail(ctx, "cos.CopyPart", err, onCopy)
}

// Parts implements object.Uploads.
func (b *bucket) Parts(ctx context.Context, key, upload string) ([]object.Part, error) {
	const op = errs.Op("cos.Parts")
	var all []object.Part
	for after := ""; ; {
		page, _, err := b.client.Object.ListParts(ctx, key, query(upload), &cos.ObjectListPartsOptions{
			MaxParts: "1000", PartNumberMarker: after,
		})
		if err != nil {
			return nil, fail(ctx, op, err, onUpload)
		}
		for _, p := range page.Parts {
			modified, err := time.Parse(time.RFC3339, p.LastModified)
			if err != nil {
				return nil, errs.E(errs.Busy, op, "a list without times")
			}
			all = append(all, object.Part{Number: p.PartNumber, Size: p.Size, Modified: modified, ETag: p.ETag})
		}
		if !page.IsTruncated {
			return all, nil
		}
		if len(page.Parts) == 0 {
			return nil, errs.E(errs.Busy, op, "a list that does not go on")
		}
		after = strconv.Itoa(all[len(all)-1].Number)
	}
}

// Complete implements object.Uploads.
func (b *bucket) Complete(ctx context.Context, key, upload string, parts []object.Part) error {
	opt := &cos.CompleteMultipartUploadOptions{Parts: make([]cos.Object, len(parts))}
	for i, p := range parts {
		opt.Parts[i] = cos.Object{PartNumber: p.Number, ETag: p.ETag}
	}
	_, _, err := b.client.Object.CompleteMultipartUpload(ctx, key, query(upload), opt)
	return fail(ctx, "cos.Complete", err, onUpload)
}

// Abort implements object.Uploads.
func (b *bucket) Abort(ctx context.Context, key, upload string) error {
	_, err := b.client.Object.AbortMultipartUpload(ctx, key, query(upload))
	return fail(ctx, "cos.Abort", err, onUpload)
}

// Begun implements object.Uploads.
func (b *bucket) Begun(ctx context.Context, prefix string, fn func(object.Upload) error) error {
	const op = errs.Op("cos.Begun")
	opt := &cos.ListMultipartUploadsOptions{Prefix: prefix, MaxUploads: 1000}
	for {
		page, _, err := b.client.Bucket.ListMultipartUploads(ctx, opt)
		if err != nil {
			return fail(ctx, op, err, onBucket)
		}
		for _, u := range page.Uploads {
			begun, err := time.Parse(time.RFC3339, u.Initiated)
			if err != nil {
				return errs.E(errs.Busy, op, "a list without times")
			}
			if err := fn(object.Upload{Key: u.Key, ID: u.UploadID, Begun: begun}); err != nil {
				return err
			}
			opt.KeyMarker, opt.UploadIDMarker = u.Key, u.UploadID
		}
		if !page.IsTruncated {
			return nil
		}
		if len(page.Uploads) == 0 {
			return errs.E(errs.Busy, op, "a list that does not go on")
		}
	}
}
