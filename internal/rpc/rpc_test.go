package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zeromicro/go-zero/core/logx"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/userpb"
)

func TestMain(m *testing.M) {
	if err := logx.SetUp(logx.LogConf{Mode: "console", Encoding: "plain"}); err != nil {
		panic(err)
	}
	logx.SetWriter(logx.NewWriter(io.Discard))
	os.Exit(m.Run())
}

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// oracle is a user role that answers as its field says.
type oracle struct {
	userpb.UnimplementedUserServer
	answer func(context.Context) error
}

func (o *oracle) Authenticate(ctx context.Context, req *userpb.AuthenticateRequest) (*userpb.Principal, error) {
	if err := o.answer(ctx); err != nil {
		return nil, err
	}
	return &userpb.Principal{UserId: 7, Login: req.GetAccessToken()}, nil
}

func (o *oracle) services() []Service { return []Service{{&userpb.User_ServiceDesc, o}} }

func authority(t *testing.T) *tls.Config {
	t.Helper()
	c, err := Authority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// freeAddress is one where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func start(t *testing.T, addr string, o *oracle, c *tls.Config) *Server {
	t.Helper()
	s, err := NewServer(addr, o.services(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(canceled()) })
	return s
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func ask(ctx context.Context, cc grpc.ClientConnInterface) (*userpb.Principal, error) {
	return userpb.NewUserClient(cc).Authenticate(ctx, &userpb.AuthenticateRequest{
		Credential: &userpb.AuthenticateRequest_AccessToken{AccessToken: "tok"},
	})
}

// askUntil asks until an answer is good, for a server that has just come up, or until patience ends.
func askUntil(t *testing.T, cc grpc.ClientConnInterface, good func(error) bool) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, err = ask(t.Context(), cc); good(err) {
			return
		}
	}
	t.Fatalf("still: %v", err)
}

// Every kind has a code, and those that are the caller's own fault do not look like a sick server to go-zero's
// breaker, which would then turn others away (L12).
func TestEveryKindHasCode(t *testing.T) {
	sick := map[codes.Code]bool{
		codes.DeadlineExceeded: true, codes.Internal: true, codes.Unavailable: true, codes.DataLoss: true,
		codes.Unimplemented: true, codes.ResourceExhausted: true,
	}
	for k := range errs.Kinds {
		c, ok := grpcCodes[k]
		ours := k == errs.Internal || k == errs.Busy || k == errs.Corrupt
		if !ok || c == codes.OK || sick[c] != ours {
			t.Errorf("%s: %v", k, c)
		}
	}
}

// An error of each kind is the same on the other side of a real connection with mutual TLS.
func TestErrorsTravel(t *testing.T) {
	var mu sync.Mutex
	var answer error
	o := &oracle{answer: func(context.Context) error { mu.Lock(); defer mu.Unlock(); return answer }}
	c := authority(t)
	addr := freeAddress(t)
	start(t, addr, o, c)
	cc, err := Dial([]string{addr}, c)
	if err != nil {
		t.Fatal(err)
	}
	askUntil(t, cc, func(err error) bool { return err == nil })
	if p, err := ask(t.Context(), cc); err != nil || p.GetLogin() != "tok" {
		t.Fatalf("%v, %v", p, err)
	}
	for k := range errs.Kinds {
		for _, sent := range []error{
			errs.E(k, "test", errs.Code("name_taken"), errs.Field("路径"), 1500*time.Millisecond, errors.New("the cause")),
			errs.E(k, "test"),
			errs.Wrap("outer", errs.E(k, "inner", errs.Field("path"))),
		} {
			mu.Lock()
			answer = sent
			mu.Unlock()
			_, err := ask(t.Context(), cc)
			var got, want *errs.Error
			if !errors.As(err, &got) || !errors.As(sent, &want) {
				t.Fatalf("%s: %v", k, err)
			}
			if got.Kind != k || got.CodeOrKind() != want.CodeOrKind() || got.Field != want.Field || got.RetryAfter != want.RetryAfter {
				t.Errorf("%s: sent %#v, got %#v", k, want, got)
			}
			if !strings.Contains(err.Error(), want.Error()) {
				t.Errorf("%s: the log would lose %q: %q", k, want, err)
			}
		}
	}
	mu.Lock()
	answer = errors.New("an error without a kind")
	mu.Unlock()
	if _, err := ask(t.Context(), cc); !errs.Is(errs.Internal, err) {
		t.Errorf("without a kind: %v", err)
	}
}

// A role in this process is asked by a function call: its errors are the very same.
func TestLocal(t *testing.T) {
	sent := errs.E(errs.Stale, "test", errs.Code("x"), errors.New("cause"))
	o := &oracle{answer: func(context.Context) error { return sent }}
	cc := Local(o.services())
	if _, err := ask(t.Context(), cc); err != sent { //nolint:errorlint // the same value, not one like it
		t.Errorf("%v", err)
	}
	// Also one that a call elsewhere caused, which was cut short.
	sent = errs.E(errs.NotFound, "test", status.Error(codes.Canceled, "cut"))
	if _, err := ask(t.Context(), cc); err != sent { //nolint:errorlint // as above
		t.Errorf("%v", err)
	}
	o.answer = func(context.Context) error { return nil }
	if p, err := ask(t.Context(), cc); err != nil || p.GetUserId() != 7 {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := ask(t.Context(), Local(nil)); !errs.Is(errs.Internal, err) {
		t.Errorf("a service that is not there: %v", err)
	}
}

// A role in this process sees what one elsewhere would: nothing of the caller's context but its end.
func TestLocalContext(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "secret"))
	defer cancel()
	o := &oracle{answer: func(ctx context.Context) error {
		if v := ctx.Value(key{}); v != nil {
			t.Errorf("the role sees %v", v)
		}
		below, stop := context.WithTimeout(ctx, patience)
		defer stop()
		cancel()
		<-below.Done()
		return below.Err()
	}}
	if _, err := ask(ctx, Local(o.services())); !errs.Is(errs.Canceled, err) {
		t.Errorf("canceled: %v", err)
	}
}

// A panic in a role ends one call, not the process, here as there.
func TestPanicInRole(t *testing.T) {
	o := &oracle{answer: func(context.Context) error { panic("bug") }}
	_, err := ask(t.Context(), Local(o.services()))
	if !errs.Is(errs.Internal, err) || !strings.Contains(err.Error(), "bug") {
		t.Errorf("in memory: %v", err)
	}
	c := authority(t)
	addr := freeAddress(t)
	start(t, addr, o, c)
	cc, err := Dial([]string{addr}, c)
	if err != nil {
		t.Fatal(err)
	}
	askUntil(t, cc, func(err error) bool { return err != nil && strings.Contains(err.Error(), "bug") })
}

// A call whose caller has gone, or whose time is over, says so and is no failure of ours.
func TestCallEnds(t *testing.T) {
	forGood := &oracle{answer: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	c := authority(t)
	addr := freeAddress(t)
	start(t, addr, forGood, c)
	far, err := Dial([]string{addr}, c)
	if err != nil {
		t.Fatal(err)
	}
	for name, cc := range map[string]grpc.ClientConnInterface{"in memory": Local(forGood.services()), "over TLS": far} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := ask(ctx, cc); !errs.Is(errs.Busy, err) {
			t.Errorf("%s, out of time: %v", name, err)
		}
		cancel()
		for range 100 { // there is more than one way to notice
			if _, err := ask(canceled(), cc); !errs.Is(errs.Canceled, err) {
				t.Fatalf("%s, canceled: %v", name, err)
			}
		}
	}
}

// S20, B164: who shows no certificate, or one of another installation, gets no answer; nor does a server of
// another installation get a question.
func TestStrangersAreRefused(t *testing.T) {
	o := &oracle{answer: func(context.Context) error { return nil }}
	c := authority(t)
	addr := freeAddress(t)
	start(t, addr, o, c)
	friend, err := Dial([]string{addr}, c)
	if err != nil {
		t.Fatal(err)
	}
	askUntil(t, friend, func(err error) bool { return err == nil })

	foreign := authority(t)
	nameless := c.Clone()
	nameless.Certificates = nil
	trusting := foreign.Clone()
	trusting.RootCAs = c.RootCAs                                                 // knows our authority, and has a certificate of its own one
	blind := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} // an attacker is not picky
	for name, creds := range map[string]credentials.TransportCredentials{
		"no certificate":                   credentials.NewTLS(nameless),
		"of another authority":             credentials.NewTLS(foreign),
		"of another one, and trusts ours":  credentials.NewTLS(trusting),
		"no certificate, trusts everybody": credentials.NewTLS(blind),
		"no TLS at all":                    insecure.NewCredentials(),
	} {
		t.Run(name, func(t *testing.T) {
			cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
			if err != nil {
				t.Fatal(err)
			}
			defer cc.Close()
			if p, err := ask(t.Context(), cc); err == nil {
				t.Errorf("was told %v", p)
			}
		})
	}

	// The other way round: a server that is not ours is told nothing.
	asked := make(chan struct{}, 1)
	spy := &oracle{answer: func(context.Context) error { asked <- struct{}{}; return nil }}
	trap := freeAddress(t)
	start(t, trap, spy, foreign)
	cc, err := Dial([]string{trap}, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t.Context(), cc); !errs.Is(errs.Busy, err) {
		t.Errorf("a foreign server: %v", err)
	}
	if len(asked) > 0 {
		t.Error("a foreign server was asked")
	}
}

// A3: a role that is not there yet, or gone, is errs.Busy for who calls; when it comes, calls go through again
// without a restart.
func TestRoleDown(t *testing.T) {
	o := &oracle{answer: func(context.Context) error { return nil }}
	c := authority(t)
	addr := freeAddress(t)
	cc, err := Dial([]string{addr}, c)
	if err != nil {
		t.Fatal(err)
	}
	down := func(err error) bool {
		var e *errs.Error
		return errors.As(err, &e) && e.Kind == errs.Busy && e.Code == "role_unavailable" && e.RetryAfter > 0
	}
	// Often, so that a breaker, if one counted these, would have opened.
	for range 50 {
		if _, err := ask(t.Context(), cc); !down(err) {
			t.Fatalf("before it is there: %v", err)
		}
	}
	s := start(t, addr, o, c)
	askUntil(t, cc, func(err error) bool { return err == nil })
	s.Stop(t.Context())
	askUntil(t, cc, down)
	start(t, addr, o, c)
	askUntil(t, cc, func(err error) bool { return err == nil })
}

// Stop lets a call end that is under way, and cuts it when time is up.
func TestStop(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	o := &oracle{answer: func(ctx context.Context) error {
		entered <- struct{}{}
		select {
		case <-leave:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	c := authority(t)
	for _, patient := range []bool{true, false} {
		addr := freeAddress(t)
		s := start(t, addr, o, c)
		cc, err := Dial([]string{addr}, c)
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan error, 1)
		go func() {
			for {
				_, err := ask(t.Context(), cc)
				if err == nil || !strings.Contains(err.Error(), "refused") {
					got <- err
					return
				}
			}
		}()
		<-entered
		stopped := make(chan struct{})
		ctx := canceled()
		if patient {
			ctx = t.Context()
		}
		go func() { s.Stop(ctx); close(stopped) }()
		if patient {
			leave <- struct{}{}
		}
		if err := <-got; (err == nil) != patient {
			t.Errorf("patient %v: the call got %v", patient, err)
		}
		select {
		case <-stopped:
		case <-time.After(patience):
			t.Errorf("patient %v: does not stop", patient)
		}
	}
}

// An address that is taken is an error of the start, not the end of the process.
func TestAddressTaken(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o := &oracle{answer: func(context.Context) error { return nil }}
	failed := make(chan error, 1)
	go func() {
		_, err := NewServer(l.Addr().String(), o.services(), authority(t))
		failed <- err
	}()
	select {
	case err := <-failed:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(patience):
		t.Error("waits for ever")
	}
}

// S3: the authority is made once for a folder, by whoever comes first, belongs to it alone, and its key is not for
// others to read (B168).
func TestAuthority(t *testing.T) {
	dir := t.TempDir()
	configs := make([]*tls.Config, 6)
	var wg sync.WaitGroup
	for i := range configs {
		wg.Go(func() {
			var err error
			if configs[i], err = Authority(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for i, a := range configs {
		if err := shake(a, configs[(i+1)%len(configs)]); err != nil {
			t.Errorf("two of one folder: %v", err)
		}
	}
	if err := shake(configs[0], authority(t)); err == nil {
		t.Error("two folders share an authority")
	}
	key := filepath.Join(dir, caKeyFile)
	st, err := os.Stat(key)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Authority(dir); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("a key that others can read: %v", err)
	}
}

// shake does a handshake between two parties.
func shake(client, server *tls.Config) error {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	served := make(chan error, 1)
	go func() {
		s := tls.Server(b, server)
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		_ = b.Close() // a pipe's Close does not fail
		served <- err
	}()
	// With TLS 1.3 a client learns that it was refused at its first read.
	_, err := io.ReadFull(tls.Client(a, client), make([]byte, 1))
	return errors.Join(err, <-served)
}
