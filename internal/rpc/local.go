package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/livil/gopan/internal/errs"
)

// Local is the way to services in this process: calls are function calls, errors come back as they are. The called
// role sees a copy of the request and none of the values in the caller's context, as it would elsewhere.
//
// A call runs in its caller's goroutine. One of its own would be scheduled twice for each call, which costs more than
// the shortest calls themselves, and those whom one flush of the disk wakes together would come to the next in ones
// and twos.
func Local(services []Service) grpc.ClientConnInterface {
	l := make(local)
	for _, s := range services {
		for _, m := range s.Desc.Methods {
			l["/"+s.Desc.ServiceName+"/"+m.MethodName] = localMethod{s.Impl, m}
		}
	}
	return l
}

// local has the methods by their full names.
type local map[string]localMethod

type localMethod struct {
	impl any
	grpc.MethodDesc
}

// Invoke implements grpc.ClientConnInterface.
func (l local) Invoke(ctx context.Context, method string, req, resp any, _ ...grpc.CallOption) error {
	m, ok := l[method]
	if !ok {
		return status.Errorf(codes.Unimplemented, "%s is not here", method)
	}
	out, err := m.Handler(m.impl, callContext{ctx}, func(in any) error { return copyMessage(in, req) }, recovered)
	switch {
	case err == nil:
		return copyMessage(resp, out)
	case ctx.Err() != nil: // whatever the role says of it
		return localError(method, status.FromContextError(ctx.Err()).Err())
	}
	return localError(method, err)
}

// NewStream implements grpc.ClientConnInterface. Calls between roles are unary.
func (l local) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "no streams here")
}

// copyMessage makes an empty message the same as another.
func copyMessage(to, from any) error {
	dst, ok1 := to.(proto.Message)
	src, ok2 := from.(proto.Message)
	if !ok1 || !ok2 {
		return errs.E(errs.Internal, "rpc.copyMessage", "not a message")
	}
	proto.Merge(dst, src)
	return nil
}

// callContext ends with the caller's context and has none of its values.
type callContext struct{ context.Context }

// Value implements context.Context.
func (callContext) Value(any) any { return nil }

// AfterFunc lets contexts derived from this one end with it without a goroutine to watch for that.
func (c callContext) AfterFunc(f func()) func() bool { return context.AfterFunc(c.Context, f) }
