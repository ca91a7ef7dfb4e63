package s3

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/livil/gopan/internal/errs"
)

// subject is what a call was about, which decides what its 404 means.
type subject int

const (
	onBucket subject = iota
	onObject
	onUpload
	onCopy // an upload and the object that is copied from
)

// fail sorts a failure by what can be done about it. Only the store's code, status and request id go on into errors:
// URLs hold keys.
func fail(ctx context.Context, op errs.Op, err error, on subject) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return errs.Wrap(op, ctx.Err())
	}
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return errs.E(lost(err), op, bare(err))
	}
	what := fmt.Errorf("%s, status %d, request %q", r.Code, r.StatusCode, r.RequestID)
	return errs.E(kindOf(r, on), op, codeOf(r), what)
}

// lost sorts failures without an answer.
func lost(err error) errs.Kind {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	if errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) {
		return errs.Internal
	}
	return errs.Busy
}

// bare leaves out the URL that net/http, and for a connection that was closed the library, puts into an error.
func bare(err error) error {
	var u *url.Error
	switch {
	case !errors.As(err, &u):
		return err
	case strings.Contains(u.Err.Error(), u.URL):
		return io.ErrUnexpectedEOF
	}
	return u.Err
}

func kindOf(r minio.ErrorResponse, on subject) errs.Kind {
	switch r.Code {
	case "NoSuchKey":
		// The library says so of every 404 without a body. Of an upload that is no answer (fault F30).
		switch on {
		case onObject, onCopy:
			return errs.NotFound
		case onUpload:
			return errs.Busy
		}
		return errs.Internal
	case "InvalidArgument", "NotImplemented":
		if on == onCopy {
			return errs.Unsupported // MinIO copies no parts into an upload with sums
		}
	case "NoSuchUpload":
		return errs.NotFound
	case "InvalidPart", "InvalidPartOrder":
		return errs.Stale
	case "EntityTooLarge":
		return errs.TooLarge
	case "InvalidRange":
		return errs.Corrupt // an object is shorter than it was
	case "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded":
		return errs.OverQuota
	case "BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "IncompleteBody",
		"SignatureDoesNotMatch", "InvalidChunkSizeError", "RequestTimeout", "SlowDown", "OperationAborted":
		return errs.Busy // damaged on the way, or too much at once
	}
	switch r.StatusCode {
	case http.StatusInsufficientStorage:
		return errs.OverQuota
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return errs.Busy
	}
	if r.StatusCode >= 500 {
		return errs.Busy
	}
	return errs.Internal
}

// codeOf is the code of failures that a user is told of.
func codeOf(r minio.ErrorResponse) any {
	if kindOf(r, onBucket) == errs.OverQuota {
		return errs.Code("disk_full")
	}
	return nil
}
