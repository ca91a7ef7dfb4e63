// Package app puts a process together: it alone knows every role and every driver.
package app

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/zeromicro/go-zero/core/logx"
	"github.com/zeromicro/go-zero/core/proc"
	"google.golang.org/grpc"

	"github.com/livil/gopan/api"
	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/etcd"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/kv"
	"github.com/livil/gopan/internal/pb/userpb"
	"github.com/livil/gopan/internal/rpc"
	"github.com/livil/gopan/internal/user"
	"github.com/livil/gopan/web"
)

// Process is one running gopan: some roles, or all.
type Process struct {
	// Config is its settings.
	Config config.Config
	// Roles to run, by name; none means all.
	Roles []string
	// AdminPassword is the first admin's; empty: one is made up and printed.
	AdminPassword string
	// Out is where a person is told how to go on.
	Out io.Writer

	folder   Folder
	db       *db.DB
	kv       kv.Store
	blobs    *blob.Stores
	services []rpc.Service
	routes   []httpapi.Route
	checks   []func(context.Context) error
	conns    map[string]*lateConn
	stops    []stop
	tls      *tls.Config
	etcd     *etcd.Client
	live     *live
	listener net.Listener
	http     *http.Server
	served   chan error

	workCtx    context.Context
	workCancel context.CancelFunc
	work       sync.WaitGroup
}

type stop struct {
	what string
	fn   func(context.Context) error
}

// onStop has fn called when the process stops; what started last stops first.
func (p *Process) onStop(what string, fn func(context.Context) error) {
	p.stops = append(p.stops, stop{what, fn})
}

// background runs fn until the process stops.
func (p *Process) background(fn func(context.Context)) {
	p.work.Go(func() { fn(p.workCtx) })
}

// lateConn is a connection whose other end is known only when all roles have started.
type lateConn struct{ grpc.ClientConnInterface }

// conn is the way to a role, here or elsewhere. It may be used once the process has started.
func (p *Process) conn(role string) grpc.ClientConnInterface {
	if p.conns[role] == nil {
		p.conns[role] = new(lateConn)
	}
	return p.conns[role]
}

func (p *Process) runs(role string) bool { return len(p.Roles) == 0 || slices.Contains(p.Roles, role) }

// secure tells whether people reach the drive by HTTPS.
func (p *Process) secure() bool {
	return p.Config.TLS.Cert != "" || strings.HasPrefix(p.Config.PublicURL, "https://")
}

// database opens the database, once for the process, and brings its schema up to date.
func (p *Process) database(ctx context.Context) (*db.DB, error) {
	if p.db == nil {
		d, err := p.openDatabase(ctx)
		if err != nil {
			return nil, err
		}
		p.onStop("database", func(context.Context) error { return d.Close() })
		if err := d.Migrate(ctx, p.folder.Dir); err != nil {
			return nil, err
		}
		p.db = d
		p.checks = append(p.checks, d.Ping)
	}
	return p.db, nil
}

// Start starts the roles and begins to serve. When it fails, what had started has stopped again.
func (p *Process) Start(ctx context.Context) (err error) {
	const op = errs.Op("app.Start")
	if err := p.prepare(ctx, true); err != nil {
		return errs.Wrap(op, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
		}
	}()
	if err := p.openEtcd(); err != nil {
		return errs.Wrap(op, err)
	}
	for _, r := range roles {
		if !p.runs(r.name) {
			continue
		}
		if err := r.start(ctx, p); err != nil {
			return errs.Wrap(op, fmt.Errorf("role %s: %w", r.name, err))
		}
	}
	checker := &auth.Checker{User: userpb.NewUserClient(p.conn("user"))}
	if err := p.connect(); err != nil {
		return errs.Wrap(op, err)
	}
	p.followSettings()
	if err := p.listenDebug(ctx); err != nil {
		return errs.Wrap(op, err)
	}
	return errs.Wrap(op, p.listen(ctx, checker))
}

// prepare opens the data folder and checks the choice of roles.
func (p *Process) prepare(_ context.Context, create bool) error {
	if err := p.Config.Check(); err != nil {
		return errs.E(errs.Invalid, "app.prepare", err)
	}
	for _, name := range p.Roles {
		if !slices.ContainsFunc(roles, func(r role) bool { return r.name == name }) {
			return errs.E(errs.Invalid, "app.prepare", fmt.Errorf("there is no role %q; there are %s", name, strings.Join(config.Roles, ", ")))
		}
	}
	setUpLog(p.Config.Log)
	p.live = &live{base: p.Config, apply: []func(config.Config){setLogLevel}}
	p.conns = make(map[string]*lateConn)
	// A process that stopped may start again.
	p.db, p.kv, p.blobs, p.services, p.routes, p.checks, p.tls, p.etcd = nil, nil, nil, nil, nil, nil, nil, nil
	p.workCtx, p.workCancel = context.WithCancel(context.Background())
	var err error
	p.folder, err = OpenFolder(p.Config.Data, create)
	return err
}

// connect ties the roles of this process together, and to those elsewhere.
func (p *Process) connect() error {
	here := rpc.Local(p.services)
	var apart bool
	var called []string
	for _, r := range roles {
		apart = apart || !p.runs(r.name)
		if p.runs(r.name) && r.serves {
			called = append(called, r.name)
		}
	}
	for name, c := range p.conns {
		if p.runs(name) {
			c.ClientConnInterface = here
			continue
		}
		conn, err := p.dial(name)
		if err != nil {
			return err
		}
		c.ClientConnInterface = conn
		p.onStop("way to "+name, func(context.Context) error { return conn.Close() })
		p.checks = append(p.checks, func(ctx context.Context) error { return rpc.Check(ctx, conn) })
	}
	if len(called) == 0 || !apart && p.etcd == nil {
		return nil
	}
	if p.Config.RPC.Listen == "" {
		if !apart {
			return nil // nobody calls it, but it knows settings from etcd
		}
		return errors.New("other processes need roles that run here: rpc.listen must say where they answer")
	}
	t, err := p.mutual()
	if err != nil {
		return err
	}
	s, err := rpc.NewServer(p.Config.RPC.Listen, p.services, t)
	if err != nil {
		return err
	}
	leave := p.register(called)
	p.onStop("rpc", func(ctx context.Context) error { leave(); s.Stop(ctx); return nil })
	return nil
}

// mutual is how processes of this installation speak to one another.
func (p *Process) mutual() (*tls.Config, error) {
	if p.tls != nil {
		return p.tls, nil
	}
	var err error
	if r := p.Config.RPC; r.CA != "" {
		p.tls, err = rpc.Files{CA: r.CA, Cert: r.Cert, Key: r.Key}.TLS()
	} else {
		p.tls, err = rpc.Authority(p.folder.secrets())
	}
	return p.tls, err
}

// listen begins to serve HTTP.
func (p *Process) listen(ctx context.Context, checker *auth.Checker) error {
	proxies, err := p.Config.Proxies()
	if err != nil {
		return err
	}
	server := &httpapi.Server{
		Routes: p.routes, Check: checker.Check, Ready: p.ready, OpenAPI: api.OpenAPI, UI: web.Handler(),
		Addresses: httpapi.Addresses{Trusted: proxies}, LogAll: p.Config.Log.All,
		JSONTimeout: p.Config.Limits.JSONTimeout, StallTimeout: p.Config.Limits.StallTimeout,
	}
	handler, err := server.Handler()
	if err != nil {
		return err
	}
	var tlsConfig *tls.Config
	if t := p.Config.TLS; t.Cert != "" {
		cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return err
		}
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	}
	p.http = httpapi.NewHTTPServer(handler, tlsConfig)
	var lc net.ListenConfig
	if p.listener, err = lc.Listen(ctx, "tcp", p.Config.Listen); err != nil {
		return err
	}
	p.served = make(chan error, 1)
	go func(s *http.Server, l net.Listener, served chan<- error) { // not through p, which may start again
		if tlsConfig != nil {
			served <- s.ServeTLS(l, "", "")
			return
		}
		served <- s.Serve(l)
	}(p.http, p.listener, p.served)
	p.onStop("http", func(ctx context.Context) error {
		// Lets requests that are under way end, and cuts what is left when time is up.
		if err := p.http.Shutdown(ctx); err != nil {
			return errors.Join(err, p.http.Close())
		}
		return nil
	})
	return nil
}

// ready tells whether the parts that this process depends on answer.
func (p *Process) ready(ctx context.Context) error {
	var all []error
	for _, check := range p.checks {
		all = append(all, check(ctx))
	}
	return errors.Join(all...)
}

// URL is where the process answers.
func (p *Process) URL() string {
	scheme := "http"
	if p.Config.TLS.Cert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(p.listener.Addr().String())
	if err != nil {
		return scheme + "://" + p.listener.Addr().String()
	}
	if ip := net.ParseIP(host); ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// Done gives an error if serving ends by itself.
func (p *Process) Done() <-chan error { return p.served }

// Stop ends the process in order: no new requests, those under way to their end, then the parts in reverse of
// how they started. What has not ended when ctx does is cut; nothing acknowledged is lost by that.
func (p *Process) Stop(ctx context.Context) error {
	var all []error
	// HTTP and RPC are the last to have started, so they stop before what they use.
	for i := len(p.stops) - 1; i >= 0; i-- {
		if p.stops[i].what != "http" && p.stops[i].what != "rpc" && p.workCancel != nil {
			p.workCancel()
			p.work.Wait()
		}
		if err := p.stops[i].fn(ctx); err != nil {
			all = append(all, fmt.Errorf("%s: %w", p.stops[i].what, err))
		}
	}
	p.stops = nil
	if p.workCancel != nil {
		p.workCancel()
	}
	return errors.Join(all...)
}

// firstAdmin makes the first account at the first start, and tells its password to who started it, once.
func (p *Process) firstAdmin(ctx context.Context, s *user.Service) error {
	need, err := s.NeedsAdmin(ctx)
	if err != nil || !need {
		return err
	}
	password := p.AdminPassword
	if password == "" {
		password = strings.ToLower(rand.Text()[:16])
	}
	made, err := s.EnsureAdmin(ctx, password)
	if err != nil {
		return err
	}
	if made && p.AdminPassword == "" {
		fmt.Fprintf(p.Out, "\n  First start. Sign in as %s with password %s   (shown only now)\n"+
			"  首次启动：用户名 %s，密码 %s（仅显示这一次）\n\n", user.AdminLogin, password, user.AdminLogin, password)
	}
	return nil
}

func everyHour(ctx context.Context, fn func()) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fn()
		}
	}
}

// setUpLog sets the process's log up; go-zero's libraries write to it, too.
func setUpLog(c config.Log) {
	encoding := c.Format
	logx.DisableStat()
	if err := logx.SetUp(logx.LogConf{ServiceName: "gopan", Mode: "console", Encoding: encoding, Level: c.Level}); err != nil {
		logx.Error(err)
	}
	// go-zero ends a process this long after a signal; ours stops by itself well before.
	proc.SetTimeToForceQuit(2 * StopTimeout)
}

// StopTimeout is how long a process may take to stop (promise A2).
const StopTimeout = 25 * time.Second
