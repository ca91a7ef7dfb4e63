package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/resolver"

	"github.com/livil/gopan/internal/errs"
)

// lease in seconds: for so long a process that has died is still found. Nobody waits for it: a connection that is
// refused is left at once.
const lease = 5

// Register tells others, until ctx ends, that the roles run at an address. The layout of the keys is that of go-zero's
// discovery: role/lease → address.
func (c *Client) Register(ctx context.Context, address string, roles []string) {
	c.insist(ctx, func(well func()) error { return c.register(ctx, address, roles, well) }, nil)
}

func (c *Client) register(ctx context.Context, address string, roles []string, well func()) error {
	const op = errs.Op("etcd.Register")
	v3, err := c.client()
	if err != nil {
		return busy(op, err)
	}
	short, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	granted, err := v3.Grant(short, lease)
	if err != nil {
		return busy(op, err)
	}
	// Without it others would find a process that has stopped, until the lease ends.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTimeout)
		defer cancel()
		_, _ = v3.Revoke(ctx, granted.ID) // or it ends by itself
	}()
	for _, r := range roles {
		if _, err := v3.Put(short, fmt.Sprintf("%s%s/%d", c.config.Prefix, r, granted.ID), address, clientv3.WithLease(granted.ID)); err != nil {
			return busy(op, err)
		}
	}
	alive, err := v3.KeepAlive(ctx, granted.ID)
	if err != nil {
		return busy(op, err)
	}
	for range alive {
		well()
	}
	if ctx.Err() != nil {
		return nil
	}
	return busy(op, errors.New("the lease has ended"))
}

// Scheme of the targets that Resolver knows: Scheme:///role.
const Scheme = "gopan"

// Resolver finds the processes that a role runs in. While etcd does not answer, or knows none any more, those that were
// known last stay: a wrong address costs a refused connection, none at all would cost the call.
func (c *Client) Resolver() resolver.Builder { return builder{c} }

type builder struct{ *Client }

// Scheme implements resolver.Builder.
func (builder) Scheme() string { return Scheme }

// Build implements resolver.Builder.
func (b builder) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	ctx, cancel := context.WithCancel(context.Background())
	f := finder{cancel: cancel, done: make(chan struct{})}
	go func() { // ends when the connection is closed
		defer close(f.done)
		known := false
		b.Watch(ctx, target.Endpoint()+"/", func(all map[string]string) {
			if len(all) == 0 && known {
				return
			}
			known = len(all) > 0
			var state resolver.State
			for _, a := range slices.Compact(slices.Sorted(maps.Values(all))) {
				state.Addresses = append(state.Addresses, resolver.Address{Addr: a})
			}
			_ = cc.UpdateState(state) // no address is an error, which calls get
		}, func(err error) {
			if !known {
				cc.ReportError(err) // so that calls fail now instead of waiting
			}
		})
	}()
	return f, nil
}

type finder struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// ResolveNow implements resolver.Resolver: etcd tells by itself.
func (finder) ResolveNow(resolver.ResolveNowOptions) {}

// Close implements resolver.Resolver.
func (f finder) Close() {
	f.cancel()
	<-f.done
}
