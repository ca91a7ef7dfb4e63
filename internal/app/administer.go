package app

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/filemeta"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/userpb"
	"github.com/livil/gopan/internal/rpc"
	"github.com/livil/gopan/internal/user"
)

// Operator is the login of who asks on the machine itself, and can read its secrets anyway. It is no account's: events
// that it caused name nobody.
const Operator = "operator"

// Administer gives fn the API as an administrator sees it, over no network, whether or not a drive is running on the data
// folder: for whoever has the machine, and maybe no password. fn's requests may name any host.
func Administer(ctx context.Context, c config.Config, fn func(context.Context, *http.Client) error) (err error) {
	const op = errs.Op("app.Administer")
	p, halt, err := beside(ctx, c)
	if err != nil {
		return errs.Wrap(op, err)
	}
	defer func() { err = errors.Join(err, halt()) }()
	// Nobody signs in here: other sites' secrets, which may be in the environment of the drive alone, are not needed.
	s, err := p.accounts(ctx, func(string, string) (string, error) { return "not needed", nil })
	if err != nil {
		return errs.Wrap(op, err)
	}
	users := rpc.Service{Desc: &userpb.User_ServiceDesc, Impl: user.RPC{Service: s}}
	p.serve(users, user.Routes(user.HTTP{Service: s}))
	d, err := p.database(ctx)
	if err != nil {
		return errs.Wrap(op, err)
	}
	tree := &filemeta.Service{
		DB: d, DefaultQuota: p.Config.Drive.Quota, Users: userpb.NewUserClient(rpc.Local([]rpc.Service{users})),
	}
	p.routes = append(p.routes, filemeta.Routes(filemeta.HTTP{Service: tree})...)
	server := &httpapi.Server{
		Routes: p.routes,
		Check: func(context.Context, auth.Credential) (auth.Principal, error) {
			return auth.Principal{Login: Operator, Role: "admin"}, nil
		},
	}
	handler, err := server.Handler()
	if err != nil {
		return errs.Wrap(op, err)
	}
	client, stop := inProcess(handler)
	defer stop()
	return fn(ctx, client)
}

// inProcess serves a handler to the one client that it gives, and to nobody else.
func inProcess(h http.Handler) (*http.Client, func()) {
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	s := &http.Server{Handler: h}  //nolint:gosec // no slow stranger can reach it
	go func() { _ = s.Serve(l) }() // ends with stop
	t := &http.Transport{DialContext: l.dial}
	return &http.Client{Transport: t}, func() {
		t.CloseIdleConnections()
		_ = s.Close()
	}
}

// pipes are a listener whose connections never leave the process.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error { close(p.closed); return nil }

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "in process", Net: "pipe"} }
