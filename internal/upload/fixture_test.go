package upload_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zeromicro/go-zero/core/logx"
	"google.golang.org/grpc"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/local"
	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	eventlocal "github.com/livil/gopan/internal/event/local"
	"github.com/livil/gopan/internal/filemeta"
	"github.com/livil/gopan/internal/httpapi"
	kvlocal "github.com/livil/gopan/internal/kv/local"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/pb/userpb"
	"github.com/livil/gopan/internal/rpc"
	"github.com/livil/gopan/internal/upload"
)

func TestMain(m *testing.M) {
	logx.Disable()
	os.Exit(m.Run())
}

const (
	storeID = "test-store"
	// patience is how long a test waits for what must happen before it says that it does not.
	patience = 20 * time.Second
)

// server is a drive that takes content over HTTP, its blobs on a real disk.
type server struct {
	t     testing.TB
	url   string
	addr  string
	dir   string // of the blobs
	store *local.Store
	tree  *filemeta.Service
	// up is the service under test; a test may change it before its first request.
	up *upload.Service
	// kv keeps the sessions; its clock, the tree's and the service's is clock's.
	kv    *kvlocal.Store
	clock *clock
	// signIns are the sessions that live.
	signIns *signIns
}

// clock is the time of day, and what a test adds to it.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// signIns is a user role that knows which sessions live: those of user n have the id 100*n, until they are ended.
type signIns struct {
	userpb.UserClient
	ended sync.Map
}

func (s *signIns) Authenticate(_ context.Context, in *userpb.AuthenticateRequest, _ ...grpc.CallOption) (*userpb.Principal, error) {
	id := in.GetSessionId()
	if _, ended := s.ended.Load(id); ended || id%100 != 0 {
		return nil, errs.E(errs.Unauthenticated, "test.Authenticate")
	}
	return &userpb.Principal{UserId: id / 100, SessionId: id}, nil
}

func newServer(t testing.TB, quota int64) *server {
	t.Helper()
	s := &server{t: t, dir: filepath.Join(t.TempDir(), "blobs")}
	if err := local.Init(s.dir, storeID); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.store, err = local.Open(s.dir, storeID); err != nil {
		t.Fatal(err)
	}
	dbDir := t.TempDir()
	d, err := db.OpenSQLite(dbDir)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Migrate(t.Context(), dbDir); err != nil {
		t.Fatal(err)
	}
	s.clock = new(clock)
	s.tree = &filemeta.Service{DB: d, DefaultQuota: quota, Now: s.clock.Now}
	log := eventlocal.New(s.tree.Apply)
	s.tree.Log = log
	conn := rpc.Local([]rpc.Service{{Desc: &filemetapb.FileMeta_ServiceDesc, Impl: filemeta.RPC{Service: s.tree}}})
	if s.kv, err = kvlocal.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	s.kv.Now, s.signIns = s.clock.Now, new(signIns)
	s.up = &upload.Service{
		Blobs: blob.Local(s.store), Tree: filemetapb.NewFileMetaClient(conn), Users: s.signIns, KV: s.kv, Now: s.clock.Now,
		Memory: &upload.Memory{Size: 256 << 20}, Dedupe: upload.Dedupe{Others: true, MinSize: 16 << 20},
	}
	t.Cleanup(func() {
		if err := errors.Join(log.Close(), d.Close(), s.store.Close(), s.kv.Close()); err != nil {
			t.Error(err)
		}
	})
	s.url, s.addr = s.serve(s.up)
	return s
}

// serve serves a replica of the role, beside the tree, until the test ends.
func (s *server) serve(up *upload.Service) (url, addr string) {
	s.t.Helper()
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = httpapi.NewHTTPServer(handlerOf(s.t, s.tree, up), nil)
	ts.Start()
	s.t.Cleanup(ts.Close)
	return ts.URL, ts.Listener.Addr().String()
}

func handlerOf(t testing.TB, tree *filemeta.Service, up *upload.Service) http.Handler {
	t.Helper()
	api := &httpapi.Server{
		Routes: append(filemeta.Routes(filemeta.HTTP{Service: tree}), upload.Routes(up)...), Check: check,
	}
	h, err := api.Handler()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// replica is another process of the role on the same store, kv and tree: a server whose requests go there.
func (s *server) replica() *server {
	s.t.Helper()
	other := *s
	other.up = &upload.Service{
		Blobs: s.up.Blobs, Tree: s.up.Tree, Users: s.up.Users, KV: s.up.KV, Now: s.up.Now, Memory: &upload.Memory{Size: 256 << 20},
		Dedupe: s.up.Dedupe,
	}
	other.url, other.addr = s.serve(other.up)
	return &other
}

// check knows the tokens of two users, "1" and "2", and keys of theirs: "1/0", and "1/17" that opens folder 17 alone.
func check(_ context.Context, c auth.Credential) (auth.Principal, error) {
	user, folder, isKey := strings.Cut(c.Token, "/")
	id, err := strconv.ParseInt(user, 10, 64)
	if err == nil && isKey {
		var f int64
		if f, err = strconv.ParseInt(folder, 10, 64); err == nil {
			return auth.Principal{UserID: id, Role: "user", KeyID: 1, FolderID: f}, nil
		}
	}
	if err != nil {
		return auth.Principal{}, errs.E(errs.Unauthenticated, "test.check")
	}
	return auth.Principal{UserID: id, Role: "user", SessionID: 100 * id}, nil
}

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body []byte
}

// put sends a body as user 1; headers are "Name: value". A nil body is no body.
func (s *server) put(query string, body io.Reader, headers ...string) answer {
	s.t.Helper()
	return s.do(http.MethodPut, "/api/v1/uploads/content?"+query, body, headers...)
}

func (s *server) do(method, rawPath string, body io.Reader, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+rawPath, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer 1")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Authorization" {
			req.Header.Del(name)
		}
		req.Header.Add(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp, b}
}

// to is a query for a path and more.
func to(path string, more ...string) string {
	return "path=" + url.QueryEscape(path) + strings.Join(append([]string{""}, more...), "&")
}

// node reads the answer's node and checks its status.
func (a answer) node(t testing.TB, status int) httpapi.Node {
	t.Helper()
	var n httpapi.Node
	if err := json.Unmarshal(a.body, &n); err != nil || a.StatusCode != status {
		t.Fatalf("%d %s, want %d and a node", a.StatusCode, a.body, status)
	}
	if m := a.Request.Method; (m == http.MethodPut || m == http.MethodPost) && a.Header.Get("Etag") != n.ETag {
		t.Errorf("ETag %q, the node's is %q", a.Header.Get("Etag"), n.ETag)
	}
	return n
}

// wantProblem fails the test unless the answer is a problem with this status and code.
func (a answer) wantProblem(t testing.TB, status int, code string) {
	t.Helper()
	var p httpapi.Problem
	err := json.Unmarshal(a.body, &p)
	if err != nil || a.StatusCode != status || p.Status != status || p.Code != code || p.RequestID == "" ||
		a.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %s, want a problem: %d %s", a.StatusCode, a.body, status, code)
	}
}

// state is all that a failed write must leave as it was (promise D4): the tree with versions, the used bytes, the
// blobs, and what is being written.
func (s *server) state() string {
	s.t.Helper()
	var b strings.Builder
	var walk func(path string)
	walk = func(path string) {
		var page struct{ Items []httpapi.Node }
		a := s.do(http.MethodGet, "/api/v1/files?limit=1000&path="+url.QueryEscape(path), nil)
		if err := json.Unmarshal(a.body, &page); err != nil || a.StatusCode != 200 {
			s.t.Fatalf("list %s: %d %s", path, a.StatusCode, a.body)
		}
		for _, n := range page.Items {
			fmt.Fprintf(&b, "%+v\n", n)
			if n.Kind == "folder" {
				walk(n.Path)
			} else {
				fmt.Fprintf(&b, "%s\n", s.do(http.MethodGet, "/api/v1/files/"+n.ID+"/versions", nil).body)
			}
		}
	}
	walk("/")
	fmt.Fprintf(&b, "%s\n", s.do(http.MethodGet, "/api/v1/drive", nil).body)
	fmt.Fprintf(&b, "%v\n%d being written", s.blobs(), s.temporary())
	return b.String()
}

// blobs are the digests in the store.
func (s *server) blobs() map[blob.Digest]int64 {
	s.t.Helper()
	all := make(map[blob.Digest]int64)
	if err := s.store.List(s.t.Context(), func(e blob.Entry) error { all[e.Digest] = e.Size; return nil }); err != nil {
		s.t.Fatal(err)
	}
	return all
}

// temporary counts the files that are being written.
func (s *server) temporary() int {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "tmp", "*", "*"))
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if filepath.Base(f) != "lock" {
			n++
		}
	}
	return n
}

// wantState waits until the state is as it was: a handler whose caller has gone cleans up in its own time.
func (s *server) wantState(want string) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; {
		got := s.state()
		if got == want {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("left\n%s\nwas\n%s", got, want)
		}
	}
}

// content reads what a user would get of a node.
func (s *server) content(n httpapi.Node) []byte {
	s.t.Helper()
	d, err := blob.ParseDigest(n.Digest)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := (&blob.Verifier{Store: s.store, Always: true}).Open(s.t.Context(), blob.Ref{Digest: d, Size: n.Size})
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// dial opens a connection that a test writes to byte by byte.
func (s *server) dial() net.Conn {
	s.t.Helper()
	c, err := (&net.Dialer{}).DialContext(s.t.Context(), "tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// head is the start of a raw request to put a file.
func head(path string, headers ...string) string {
	return "PUT /api/v1/uploads/content?" + to(path) + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 1\r\n" +
		strings.Join(append(headers, "\r\n"), "\r\n")
}
