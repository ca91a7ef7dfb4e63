package cos

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tencentyun/cos-go-sdk-v5"

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
	var r *cos.ErrorResponse
	if !errors.As(err, &r) {
		return lost(op, err)
	}
	status := r.Response.StatusCode
	request := r.RequestID
	if request == "" {
		request = r.Response.Header.Get("X-Cos-Request-Id")
	}
	what := fmt.Errorf("%s, status %d, request %q", r.Code, status, request)
	kind := kindOf(r.Code, status, on)
	if kind == errs.OverQuota {
		return errs.E(kind, op, errs.Code("disk_full"), what)
	}
	return errs.E(kind, op, what)
}

// lost sorts failures without an answer. The client gathers them in a list.
func lost(op errs.Op, err error) error {
	var all *cos.RetryError
	if errors.As(err, &all) && len(all.Errs) > 0 {
		err = all.Errs[len(all.Errs)-1]
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid):
		return errs.E(errs.Internal, op, err)
	case strings.HasPrefix(err.Error(), "verification failed"):
		return errs.E(errs.Busy, op, "the store has other bytes than were sent")
	case strings.HasPrefix(err.Error(), "response 200 OK"):
		return errs.E(errs.Busy, op, "the store began to answer, and failed")
	}
	return errs.E(errs.Busy, op, err)
}

func kindOf(code string, status int, on subject) errs.Kind {
	switch code {
	case "":
		// An answer to HEAD has no body. Of an upload, 404 without one is no answer of COS (fault F30).
		if status == http.StatusNotFound {
			switch on {
			case onObject:
				return errs.NotFound
			case onUpload, onCopy:
				return errs.Busy
			}
		}
	case "NoSuchKey":
		if on == onObject || on == onCopy {
			return errs.NotFound
		}
	case "NoSuchUpload":
		return errs.NotFound
	case "InvalidPart", "InvalidPartOrder":
		return errs.Stale
	case "EntityTooLarge":
		return errs.TooLarge
	case "InvalidRange":
		return errs.Corrupt // an object is shorter than it was
	case "QuotaExceeded", "BucketQuotaExceeded":
		return errs.OverQuota
	case "BadDigest", "InvalidDigest", "InvalidSHA1Digest", "IncompleteBody", "RequestTimeout", "SlowDown",
		"OperationAborted", "PathLockConflict", "KvLockConflict":
		return errs.Busy // damaged on the way, or too much at once
	}
	switch status {
	case http.StatusInsufficientStorage:
		return errs.OverQuota
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return errs.Busy
	}
	if status >= 500 {
		return errs.Busy
	}
	return errs.Internal
}
