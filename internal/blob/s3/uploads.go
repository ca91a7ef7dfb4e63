package s3

import (
	"context"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/livil/gopan/internal/blob/object"
	"github.com/livil/gopan/internal/errs"
)

// Begin implements object.Uploads.
func (b *bucket) Begin(ctx context.Context, key string) (string, error) {
	upload, err := b.core.NewMultipartUpload(ctx, b.name, key, minio.PutObjectOptions{
		UserMetadata: map[string]string{"X-Amz-Checksum-Algorithm": "CRC32C"},
	})
	return upload, fail(ctx, "s3.Begin", err, onBucket)
}

// PutPart implements object.Uploads.
func (b *bucket) PutPart(ctx context.Context, key, upload string, part int, body object.Body) error {
	const op = errs.Op("s3.PutPart")
	reader, sum := body.Reader, sumText(body.CRC32C)
	opts := minio.PutObjectPartOptions{DisableContentSha256: true}
	if body.InMemory() {
		opts.CustomHeader = http.Header{sumHeader: {sum}}
	} else {
		t := newTrailing(body)
		reader, opts.Trailer = t, t.trailer
	}
	p, err := b.core.PutObjectPart(ctx, b.name, key, upload, part, reader, body.Size, opts)
	if err != nil {
		return fail(ctx, op, err, onUpload)
	}
	if opts.Trailer != nil {
		sum = opts.Trailer.Get(sumHeader)
	}
	return sameSum(op, sum, p.ChecksumCRC32C)
}

// CopyPart implements object.Uploads.
func (b *bucket) CopyPart(ctx context.Context, key, upload string, part int, from string, off, n int64) error {
	const op = errs.Op("s3.CopyPart")
	p, err := b.core.CopyObjectPart(ctx, b.name, from, b.name, key, upload, part, off, n, nil)
	if err != nil {
		return fail(ctx, op, err, onCopy)
	}
	// The Versity gateway passes the sum of the object off as the part's, and then refuses to complete the upload.
	if p.ChecksumCRC32C != "" && len(p.ChecksumCRC32C) != len(sumText(0)) {
		return errs.E(errs.Unsupported, op, "the store has no sum of the part")
	}
	return nil
}

// Parts implements object.Uploads.
func (b *bucket) Parts(ctx context.Context, key, upload string) ([]object.Part, error) {
	var all []object.Part
	for after := 0; ; {
		page, err := b.core.ListObjectParts(ctx, b.name, key, upload, after, 1000)
		if err != nil {
			return nil, fail(ctx, "s3.Parts", err, onUpload)
		}
		for _, p := range page.ObjectParts {
			all = append(all, object.Part{
				Number: p.PartNumber, Size: p.Size, Modified: p.LastModified, ETag: p.ETag, Sum: p.ChecksumCRC32C,
			})
		}
		if !page.IsTruncated {
			return all, nil
		}
		if page.NextPartNumberMarker <= after {
			return nil, errs.E(errs.Busy, "s3.Parts", "the store's list of parts does not go on")
		}
		after = page.NextPartNumberMarker
	}
}

// Complete implements object.Uploads.
func (b *bucket) Complete(ctx context.Context, key, upload string, parts []object.Part) error {
	complete := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		complete[i] = minio.CompletePart{PartNumber: p.Number, ETag: p.ETag, ChecksumCRC32C: p.Sum}
	}
	_, err := b.core.CompleteMultipartUpload(ctx, b.name, key, upload, complete, minio.PutObjectOptions{})
	return fail(ctx, "s3.Complete", err, onUpload)
}

// Abort implements object.Uploads.
func (b *bucket) Abort(ctx context.Context, key, upload string) error {
	return fail(ctx, "s3.Abort", b.core.AbortMultipartUpload(ctx, b.name, key, upload), onUpload)
}

// Begun implements object.Uploads.
func (b *bucket) Begun(ctx context.Context, prefix string, fn func(object.Upload) error) error {
	for key, upload := "", ""; ; {
		page, err := b.core.ListMultipartUploads(ctx, b.name, prefix, key, upload, "", 1000)
		if err != nil {
			return fail(ctx, "s3.Begun", err, onBucket)
		}
		for _, u := range page.Uploads {
			if err := fn(object.Upload{Key: u.Key, ID: u.UploadID, Begun: u.Initiated}); err != nil {
				return err
			}
		}
		if !page.IsTruncated || page.NextKeyMarker == key && page.NextUploadIDMarker == upload {
			return nil
		}
		key, upload = page.NextKeyMarker, page.NextUploadIDMarker
	}
}
