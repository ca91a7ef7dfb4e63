package user

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zeromicro/go-zero/core/logx"
	"golang.org/x/crypto/argon2"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/db/dbtest"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	kvlocal "github.com/livil/gopan/internal/kv/local"
	"github.com/livil/gopan/internal/pb/userpb"
	"github.com/livil/gopan/internal/rpc"
)

func TestMain(m *testing.M) {
	logx.Disable()
	dummyHash = cheapHash("")
	os.Exit(m.Run())
}

// realDummy is what programs hold a password against when there is no account; tests use a cheaper one.
var realDummy = dummyHash

// cheapHash is a hash of a password that is quick to check.
func cheapHash(password string) string {
	salt := make([]byte, argonSalt)
	return "$argon2id$v=19$m=64,t=1,p=1$" + b64.EncodeToString(salt) + "$" + b64.EncodeToString(argon2.IDKey([]byte(password), salt, 1, 64, 1, argonKey))
}

const password = "correct horse"

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is a user role on a folder of its own, with the accounts admin and ann, at a time that stands still.
type fixture struct {
	*Service
	*clock
	dir string
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	f := fixture{dir: t.TempDir(), clock: &clock{now: time.Now().Truncate(time.Second)}}
	f.Service = f.another(t)
	f.exec(t, "INSERT INTO users (id, login, password_hash, role, created_at) VALUES (1000, 'admin', @h, 'admin', 1), (1001, 'ann', @h, 'user', 1)",
		sql.Named("h", cheapHash(password)))
	return f
}

// another is the user role of one more process on the same folder.
func (f fixture) another(t *testing.T) *Service {
	t.Helper()
	d := dbtest.Open(t, f.dir)
	store, err := kvlocal.Open(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	store.Now = f.clock.Now
	return &Service{DB: d, KV: store, Key: []byte(strings.Repeat("k", 32)), Now: f.clock.Now}
}

func (f fixture) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if err := f.DB.Write(t.Context(), func(tx *gorm.DB) error { return tx.Exec(sql, args...).Error }); err != nil {
		t.Fatal(err)
	}
}

// signedIn gives tokens of ann's.
func (f fixture) signedIn(t *testing.T) tokens {
	t.Helper()
	got, err := f.openTokens(t.Context(), f.ann(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// cookie gives the cookie of a browser in which ann is signed in.
func (f fixture) cookie(t *testing.T) string {
	t.Helper()
	got, err := f.openCookie(t.Context(), f.ann(t), "test")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// ann is her account as it is now.
func (f fixture) ann(t *testing.T) account {
	t.Helper()
	a, err := f.account(t.Context(), "id = 1001")
	if err != nil || a.ID == 0 {
		t.Fatal(a, err)
	}
	return a
}

// byToken, byCookie and byID ask who a credential belongs to.
func (f fixture) byToken(ctx context.Context, token string) (*userpb.Principal, error) {
	return f.Authenticate(ctx, &userpb.AuthenticateRequest{Credential: &userpb.AuthenticateRequest_AccessToken{AccessToken: token}})
}

func (f fixture) byCookie(ctx context.Context, cookie string) (*userpb.Principal, error) {
	return f.Authenticate(ctx, &userpb.AuthenticateRequest{Credential: &userpb.AuthenticateRequest_SessionCookie{SessionCookie: cookie}})
}

func (f fixture) byID(ctx context.Context, session int64) (*userpb.Principal, error) {
	return f.Authenticate(ctx, &userpb.AuthenticateRequest{Credential: &userpb.AuthenticateRequest_SessionId{SessionId: session}})
}

// serve answers over HTTP as a process with only this role would.
func (f fixture) serve(t *testing.T, secure bool) string {
	t.Helper()
	local := rpc.Local([]rpc.Service{{Desc: &userpb.User_ServiceDesc, Impl: RPC{Service: f.Service}}})
	s := &httpapi.Server{
		Routes: Routes(HTTP{Service: f.Service, SecureCookies: secure}),
		Check:  (&auth.Checker{User: userpb.NewUserClient(local), Keep: time.Nanosecond}).Check,
	}
	h, err := s.Handler()
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	return ts.URL
}

// call sends a request; headers are "Name: value".
func call(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// brokenKV is a store that cannot be reached.
type brokenKV struct{ err error }

func (b brokenKV) Get(context.Context, string) ([]byte, error)                      { return nil, b.err }
func (b brokenKV) Set(context.Context, string, []byte, time.Duration) error         { return b.err }
func (b brokenKV) Add(context.Context, string, int64, time.Duration) (int64, error) { return 0, b.err }
func (b brokenKV) Swap(context.Context, string, []byte, []byte, time.Duration) (bool, error) {
	return false, b.err
}
func (b brokenKV) Delete(context.Context, string) error { return b.err }

// toWait is how long an error tells to wait.
func toWait(err error) time.Duration {
	var e *errs.Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

// sessionCookie is the cookie by which a browser that was answered so is signed in.
func sessionCookie(t *testing.T, resp *http.Response) *http.Cookie {
	t.Helper()
	for _, c := range resp.Cookies() {
		if c.Name == auth.CookieName {
			return c
		}
	}
	t.Fatalf("%d, no session in %v", resp.StatusCode, resp.Cookies())
	return nil
}
