package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/zeromicro/go-zero/zrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"

	"github.com/livil/gopan/internal/errs"
)

// Timeout bounds a call between roles; the caller's own deadline may be shorter.
const Timeout = 10 * time.Second

// Service is a role's RPC: what its generated Register function takes.
type Service struct {
	Desc *grpc.ServiceDesc
	Impl any
}

// Dial is the way to a role in other processes, at these addresses: calls go to those that answer, less to those that are
// slow. It does not wait for the role to be there: calls fail with errs.Busy until it is. Both sides show a certificate of
// the installation's own authority.
func Dial(addresses []string, tlsConfig *tls.Config) (*grpc.ClientConn, error) {
	return dial(zrpc.RpcClientConf{Endpoints: addresses}, tlsConfig)
}

// Discover is like Dial, but r finds the addresses, and goes on finding them.
func Discover(r resolver.Builder, role string, tlsConfig *tls.Config) (*grpc.ClientConn, error) {
	return dial(zrpc.RpcClientConf{Target: r.Scheme() + ":///" + role}, tlsConfig, zrpc.WithDialOption(grpc.WithResolvers(r)))
}

func dial(conf zrpc.RpcClientConf, tlsConfig *tls.Config, more ...zrpc.ClientOption) (*grpc.ClientConn, error) {
	conf.NonBlock, conf.Timeout = true, Timeout.Milliseconds()
	// Off: Duration, which logs requests that fail, tokens and all; Breaker, which goes on refusing calls for ten
	// seconds after a role is back (a connection that is down fails at once anyway).
	conf.Middlewares = zrpc.ClientMiddlewaresConf{Trace: true, Prometheus: true, Timeout: true}
	client, err := zrpc.NewClient(conf, append(more,
		zrpc.WithTransportCredentials(credentials.NewTLS(tlsConfig)),
		zrpc.WithUnaryClientInterceptor(clientErrors),
		zrpc.WithDialOption(grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout})),
		zrpc.WithDialOption(grpc.WithConnectParams(reconnect)))...)
	if err != nil {
		return nil, errs.E(errs.Internal, "rpc.Dial", err)
	}
	return client.Conn(), nil
}

// A process that is cut off refuses nothing; a connection to it is given up after these two. The first is gRPC's least.
const (
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 3 * time.Second
)

// reconnect makes a role that comes back be found within seconds; gRPC would wait up to two minutes.
var reconnect = grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
	MinConnectTimeout: 5 * time.Second,
}

// Check tells whether the way to a role is up, and sets about it when it is not.
func Check(ctx context.Context, conn *grpc.ClientConn) error {
	for {
		state := conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Idle:
			conn.Connect()
		case connectivity.TransientFailure, connectivity.Shutdown:
			return errs.E(errs.Busy, "rpc.Check", errs.Code("role_unavailable"), errors.New(conn.Target()))
		}
		if !conn.WaitForStateChange(ctx, state) {
			return errs.Wrap("rpc.Check", ctx.Err())
		}
	}
}

// Server serves this process's roles to others.
type Server struct {
	zrpc *zrpc.RpcServer
	grpc *grpc.Server
}

// NewServer prepares a server of services on an address; callers must show a certificate of the installation's
// own authority (promise S20).
func NewServer(listen string, services []Service, tlsConfig *tls.Config) (*Server, error) {
	s := new(Server)
	registered, failed := make(chan struct{}), make(chan error, 1)
	var conf zrpc.RpcServerConf
	conf.Name, conf.ListenOn, conf.Timeout, conf.Health = "gopan", listen, Timeout.Milliseconds(), true
	conf.Log.Mode, conf.Log.Encoding, conf.Log.Level = "console", "plain", "info"
	conf.Mode = "pro"
	// Off: Stat, which logs requests that are slow or fail, tokens and all; Breaker, which would turn damage to one
	// file into refusals for everybody.
	conf.Middlewares = zrpc.ServerMiddlewaresConf{Trace: true, Recover: true, Prometheus: true}
	server, err := zrpc.NewServer(conf, func(g *grpc.Server) {
		for _, svc := range services {
			g.RegisterService(svc.Desc, svc.Impl)
		}
		s.grpc = g
		close(registered)
	})
	if err != nil {
		return nil, errs.E(errs.Internal, "rpc.NewServer", err)
	}
	server.AddOptions(grpc.Creds(credentials.NewTLS(tlsConfig)),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveTime / 2}))
	server.AddUnaryInterceptors(serverErrors)
	s.zrpc = server
	go func() { // ends with the process: zrpc holds it until go-zero's own shutdown
		// zrpc panics when it cannot listen.
		defer func() {
			if p := recover(); p != nil {
				failed <- fmt.Errorf("listen on %s: %v", listen, p)
			}
		}()
		server.Start()
	}()
	select {
	case <-registered:
		return s, nil
	case err := <-failed:
		return nil, errs.E(errs.Internal, "rpc.NewServer", err)
	}
}

// Stop lets calls end until ctx does, then cuts them.
func (s *Server) Stop(ctx context.Context) {
	done := make(chan struct{})
	go func() { s.grpc.GracefulStop(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
	}
}
