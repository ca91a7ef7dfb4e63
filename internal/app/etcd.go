package app

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	"github.com/livil/gopan/internal/etcd"
	"github.com/livil/gopan/internal/rpc"
)

// openEtcd opens the way to etcd, if there is one. It need not answer yet.
func (p *Process) openEtcd() error {
	c := p.Config.Etcd
	if len(c.Endpoints) == 0 {
		return nil
	}
	password, secure, err := reach("etcd", c.Server)
	if err != nil {
		return err
	}
	p.etcd = etcd.New(etcd.Config{
		Endpoints: c.Endpoints, User: c.User, Password: password, TLS: secure, Prefix: c.Prefix, Failed: report("etcd"),
	})
	p.onStop("etcd", func(context.Context) error { return p.etcd.Close() })
	return nil
}

// dial gives the way to a role that does not run here. What rpc.peers says goes before what etcd does.
func (p *Process) dial(role string) (*grpc.ClientConn, error) {
	addresses := p.Config.RPC.Peers[role]
	if len(addresses) == 0 && p.etcd == nil {
		return nil, fmt.Errorf("role %s does not run here, and neither rpc.peers.%s nor etcd says where it does", role, role)
	}
	t, err := p.mutual()
	if err != nil {
		return nil, err
	}
	if len(addresses) > 0 {
		return rpc.Dial(addresses, t)
	}
	return rpc.Discover(p.etcd.Resolver(), role, t)
}

// register tells others by etcd that roles run here, until leave is called.
func (p *Process) register(roles []string) (leave func()) {
	if p.etcd == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { p.etcd.Register(ctx, p.origin(), roles) })
	return func() { cancel(); wg.Wait() }
}
