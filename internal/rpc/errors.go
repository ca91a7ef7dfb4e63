// Package rpc carries calls between roles: in memory when both live in this process, by zrpc over mutual TLS when
// not. Errors keep their kind on the way.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/livil/gopan/internal/errs"
)

// grpcCodes is the one table from kinds of errors to gRPC. go-zero's breaker takes some codes for a sick server
// (DeadlineExceeded, Internal, Unavailable, ResourceExhausted, DataLoss, Unimplemented), so failures that are
// the caller's own, a full drive for example, must not use those.
var grpcCodes = map[errs.Kind]codes.Code{
	errs.Internal:        codes.Internal,
	errs.Invalid:         codes.InvalidArgument,
	errs.Unauthenticated: codes.Unauthenticated,
	errs.Denied:          codes.PermissionDenied,
	errs.NotFound:        codes.NotFound,
	errs.Exists:          codes.AlreadyExists,
	errs.Conflict:        codes.FailedPrecondition,
	errs.Stale:           codes.Aborted,
	errs.TooLarge:        codes.OutOfRange,
	errs.OverQuota:       codes.FailedPrecondition,
	errs.Busy:            codes.Unavailable,
	errs.Corrupt:         codes.DataLoss,
	errs.Unsupported:     codes.InvalidArgument,
	errs.TooMany:         codes.FailedPrecondition,
	errs.Canceled:        codes.Canceled,
}

// domain of our error details.
const domain = "gopan"

// toStatus makes an error travel: the kind, code and field in its details. The cause's text goes along for the
// other process's log.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	kind := errs.KindOf(err)
	meta := map[string]string{"kind": strconv.Itoa(int(kind))}
	var e *errs.Error
	if errors.As(err, &e) {
		meta["field"] = string(e.Field)
		meta["retryAfter"] = strconv.FormatInt(e.RetryAfter.Milliseconds(), 10)
	}
	st := status.New(grpcCodes[kind], err.Error())
	detailed, derr := st.WithDetails(&errdetails.ErrorInfo{Reason: string(errs.CodeOf(err)), Domain: domain, Metadata: meta})
	if derr != nil {
		return st.Err()
	}
	return detailed.Err()
}

// fromStatus is toStatus backwards. An error that is not of our making, such as a connection that is down, is
// errs.Busy.
func fromStatus(method string, err error) error {
	if err == nil {
		return nil
	}
	op := errs.Op("rpc" + method)
	st, _ := status.FromError(err)
	for _, d := range st.Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok || info.GetDomain() != domain {
			continue
		}
		kind, kerr := strconv.Atoi(info.GetMetadata()["kind"])
		after, aerr := strconv.ParseInt(info.GetMetadata()["retryAfter"], 10, 64)
		if kerr == nil && (aerr == nil || info.GetMetadata()["retryAfter"] == "") {
			return errs.E(errs.Kind(kind), op, errs.Code(info.GetReason()), errs.Field(info.GetMetadata()["field"]),
				time.Duration(after)*time.Millisecond, errors.New(st.Message()))
		}
	}
	switch st.Code() {
	case codes.Canceled:
		return errs.E(errs.Canceled, op, err)
	case codes.Unimplemented, codes.Unauthenticated, codes.PermissionDenied:
		return errs.E(errs.Internal, op, err)
	}
	return errs.E(errs.Busy, op, errs.Code("role_unavailable"), time.Second, err)
}

// localError is fromStatus for calls in memory: only the end of the caller's context arrives as a status.
func localError(method string, err error) error {
	var known *errs.Error
	if code := status.Code(err); code != codes.Canceled && code != codes.DeadlineExceeded || errors.As(err, &known) {
		return err
	}
	return fromStatus(method, err)
}

// recovered makes a panic an error. zrpc does it for calls from elsewhere; in memory it would be the caller's.
func recovered(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errs.E(errs.Internal, errs.Op("rpc"+info.FullMethod), fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return handler(ctx, req)
}

func serverErrors(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	resp, err := handler(ctx, req)
	return resp, toStatus(err)
}

func clientErrors(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return fromStatus(method, invoke(ctx, method, req, reply, cc, opts...))
}
