package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/fullstorydev/grpchan/inprocgrpc"
	"github.com/zeromicro/go-zero/zrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/livil/gopan/internal/errs"
)

// Timeout bounds a call between roles; the caller's own deadline may be shorter.
const Timeout = 10 * time.Second

// Service is a role's RPC: what its generated Register function takes.
type Service struct {
	Desc *grpc.ServiceDesc
	Impl any
}

// Local is the way to services in this process: calls are function calls, errors come back as they are.
func Local(services []Service) grpc.ClientConnInterface {
	ch := new(inprocgrpc.Channel)
	for _, s := range services {
		ch.RegisterService(s.Desc, s.Impl)
	}
	return ch
}

// Dial is the way to a role in another process, at one of these addresses. It does not wait for the role to be
// there: calls fail with errs.Busy until it is. Both sides show a certificate of the installation's own authority.
func Dial(addresses []string, tlsConfig *tls.Config) (*grpc.ClientConn, error) {
	conf := zrpc.RpcClientConf{
		Endpoints: addresses,
		NonBlock:  true,
		Timeout:   Timeout.Milliseconds(),
		// Off: Duration, which logs requests that fail, tokens and all.
		Middlewares: zrpc.ClientMiddlewaresConf{Trace: true, Prometheus: true, Breaker: true, Timeout: true},
	}
	client, err := zrpc.NewClient(conf,
		zrpc.WithTransportCredentials(credentials.NewTLS(tlsConfig)),
		zrpc.WithUnaryClientInterceptor(clientErrors),
		zrpc.WithDialOption(grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: 10 * time.Second})))
	if err != nil {
		return nil, errs.E(errs.Internal, "rpc.Dial", err)
	}
	return client.Conn(), nil
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
	registered := make(chan struct{})
	var conf zrpc.RpcServerConf
	conf.Name, conf.ListenOn, conf.Timeout, conf.Health = "gopan", listen, Timeout.Milliseconds(), true
	conf.Log.Mode, conf.Log.Encoding, conf.Log.Level = "console", "plain", "info"
	conf.Mode = "pro"
	// Off: Stat, which logs requests that are slow or fail, tokens and all.
	conf.Middlewares = zrpc.ServerMiddlewaresConf{Trace: true, Recover: true, Prometheus: true, Breaker: true}
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
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 30 * time.Second}))
	server.AddUnaryInterceptors(serverErrors)
	s.zrpc = server
	go server.Start() // ends with the process: zrpc holds it until go-zero's own shutdown
	<-registered
	return s, nil
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
