package download_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/zeromicro/go-zero/core/logx"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/local"
	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/download"
	"github.com/livil/gopan/internal/errs"
	eventlocal "github.com/livil/gopan/internal/event/local"
	"github.com/livil/gopan/internal/filemeta"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/rpc"
)

func TestMain(m *testing.M) {
	logx.Disable()
	os.Exit(m.Run())
}

const storeID = "test-store"

// server is a drive that gives out content over HTTP, its blobs on a real disk.
type server struct {
	t     *testing.T
	url   string
	addr  string
	dir   string // of the blobs
	store *local.Store
	tree  *filemeta.Service
	// down may be changed before the first request.
	down *download.Service
}

func newServer(t *testing.T, always bool) *server {
	t.Helper()
	return newServerLike(t, always, new(httpapi.Server))
}

// newServerLike is newServer with settings of the HTTP server's own.
func newServerLike(t *testing.T, always bool, api *httpapi.Server) *server {
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
	s.tree = &filemeta.Service{DB: d}
	log := eventlocal.New(s.tree.Apply)
	s.tree.Log = log
	conn := rpc.Local([]rpc.Service{{Desc: &filemetapb.FileMeta_ServiceDesc, Impl: filemeta.RPC{Service: s.tree}}})
	s.down = &download.Service{
		Blobs: &blob.Verifier{Store: s.store, Always: always}, Tree: filemetapb.NewFileMetaClient(conn),
	}
	api.Routes = append(filemeta.Routes(filemeta.HTTP{Service: s.tree}), download.Routes(s.down)...)
	api.Check = check
	h, err := api.Handler()
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewUnstartedServer(nil)
	ts.Config = httpapi.NewHTTPServer(h, nil)
	ts.Start()
	s.url, s.addr = ts.URL, ts.Listener.Addr().String()
	t.Cleanup(func() {
		ts.Close()
		if err := errors.Join(log.Close(), d.Close(), s.store.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
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
	return auth.Principal{UserID: id, Role: "user"}, nil
}

// put makes data a version of user 1's file.
func (s *server) put(path string, data []byte) (*filemetapb.Node, blob.Ref) {
	s.t.Helper()
	var sums []blob.Sum
	ref, err := blob.Write(s.t.Context(), s.store, bytes.NewReader(data), blob.Want{
		Size: -1, Limit: -1, Check: func(all []blob.Sum) error { sums = all; return nil },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	b := &filemetapb.Blob{Digest: ref.Digest[:], Size: ref.Size}
	if len(sums) == 1 {
		b.Sha256 = sums[0][:]
	}
	r, err := s.tree.Commit(s.t.Context(), &filemetapb.CommitRequest{
		Target: &filemetapb.Target{Actor: &filemetapb.Actor{UserId: 1}, Path: path, Parents: true}, Blob: b,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.GetNode(), ref
}

// blobPath is a blob's file.
func (s *server) blobPath(ref blob.Ref) string {
	name := ref.Digest.String()
	return filepath.Join(s.dir, name[:2], name)
}

// answer is a response that was read to its end; err is why it could not be.
type answer struct {
	*http.Response
	body []byte
	err  error
}

// get asks as user 1; headers are "Name: value".
func (s *server) get(method, rawPath string, headers ...string) answer {
	s.t.Helper()
	return s.ask(method, rawPath, "", headers...)
}

// ask is get with a body.
func (s *server) ask(method, rawPath, body string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+rawPath, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer 1")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Authorization" {
			req.Header.Set(name, value)
			continue
		}
		req.Header.Add(name, value)
	}
	// Each on a connection of its own, so that a retry of net/http's cannot hide an abort.
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answer{resp, got, err}
}

func content(path string) string { return "/api/v1/content?path=" + url.QueryEscape(path) }

// wantProblem fails the test unless the answer is a problem with this status and code.
func (a answer) wantProblem(t *testing.T, status int, code string) {
	t.Helper()
	if a.err != nil {
		t.Fatal(a.err)
	}
	if a.StatusCode != status || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("status %d, %s, want a problem of status %d: %.200q", a.StatusCode, a.Header.Get("Content-Type"), status, a.body)
	}
	var p httpapi.Problem
	if a.Request.Method == http.MethodHead {
		return
	}
	if err := json.Unmarshal(a.body, &p); err != nil || p.Code != code || p.Status != status || p.RequestID == "" {
		t.Fatalf("problem %+v, %v, want code %s", p, err, code)
	}
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// damage flips a bit of a file.
func damage(t *testing.T, name string, at int64) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[at] ^= 1
	writeFile(t, name, data)
}
