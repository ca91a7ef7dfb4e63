package download_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/download"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// mkdir makes a folder of user 1's.
func (s *server) mkdir(path string) {
	s.t.Helper()
	if a := s.ask("POST", "/api/v1/folders", fmt.Sprintf(`{"path":%q,"parents":true}`, path), "Content-Type: application/json"); a.StatusCode != 201 {
		s.t.Fatal(a.StatusCode, string(a.body))
	}
}

// node asks for what is at a path of user 1's.
func (s *server) node(path string) *filemetapb.Node {
	s.t.Helper()
	n, err := s.tree.Resolve(s.t.Context(), &filemetapb.ResolveRequest{Actor: &filemetapb.Actor{UserId: 1}, Path: path})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func archive(path string) string { return "/api/v1/archive?path=" + url.QueryEscape(path) }

// unzip reads a zip: content by name, with "" for a folder.
func (a answer) unzip(t *testing.T) map[string]string {
	t.Helper()
	if a.err != nil || a.StatusCode != 200 {
		t.Fatalf("%d %.300s %v", a.StatusCode, a.body, a.err)
	}
	z, err := zip.NewReader(bytes.NewReader(a.body), int64(len(a.body)))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r) // which checks the CRC
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if _, twice := all[f.Name]; twice {
			t.Errorf("%q is there twice", f.Name)
		}
		all[f.Name] = string(b)
	}
	return all
}

// A folder comes as a zip of all below it, whatever it is called, however deep it is, empty folders too; the length
// is right beforehand, and HEAD says the same (B078).
func TestArchive(t *testing.T) {
	s := newServer(t, false)
	deep := strings.Repeat("/x", 60)
	want := map[string]string{"docs/": "", "docs/empty/": ""}
	at := "docs"
	for range 60 {
		at += "/x"
		want[at+"/"] = ""
	}
	for name, data := range map[string]string{
		"a.txt": "hello", "none": "", deep[1:] + "/end": "deep", "large.bin": string(blobtest.Bytes(1, 2*blob.BlockSize+9)),
		"文件 (1).txt": "中文", "é.txt": "accent", "🎉": "party", ".profile": "dot", "...": "dots", "C:": "drive", "a;b'\"c": "odd",
		strings.Repeat("长", 85): "long",
	} {
		s.put("/docs/"+name, []byte(data))
		want["docs/"+name] = data
	}
	s.mkdir("/docs/empty")
	s.put("/other", []byte("not in it"))
	old := s.node("/docs/a.txt").GetModifiedAt()

	for range 2 { // the second time the large file is known to be good
		head, get := s.get(http.MethodHead, archive("/docs")), s.get(http.MethodGet, archive("/docs"))
		if got := get.unzip(t); !maps.Equal(got, want) {
			t.Errorf("%d entries, want %d: %q", len(got), len(want), slices.Sorted(maps.Keys(got)))
		}
		if get.ContentLength != int64(len(get.body)) || head.ContentLength != get.ContentLength {
			t.Errorf("lengths %d and %d of %d bytes", head.ContentLength, get.ContentLength, len(get.body))
		}
		sameHeaders(t, head, get)
		for name, value := range map[string]string{
			"Content-Type": "application/zip", "Content-Disposition": "attachment; filename=docs.zip", "Accept-Ranges": "none",
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'", "Etag": "", "Last-Modified": "",
		} {
			if got := get.Header.Get(name); got != value {
				t.Errorf("%s: %q, want %q", name, got, value)
			}
		}
		// Others read it, too.
		file := filepath.Join(t.TempDir(), "docs.zip")
		writeFile(t, file, get.body)
		for _, check := range [][]string{{"unzip", "-tq", file}, {"python3", "-m", "zipfile", "-t", file}} {
			if _, err := exec.LookPath(check[0]); err != nil {
				continue
			}
			if out, err := exec.CommandContext(t.Context(), check[0], check[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", check, err, out)
			}
		}
		z, err := zip.NewReader(bytes.NewReader(get.body), int64(len(get.body)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			if f.Name == "docs/a.txt" && (f.Modified.UnixMilli()/1000 != old/1000 || f.Method != zip.Store) {
				t.Errorf("modified %v, want %v; method %d", f.Modified, time.UnixMilli(old), f.Method)
			}
		}
	}
	// The drive in whole, and a file alone.
	if got := s.get(http.MethodGet, archive("/")).unzip(t); len(got) != len(want)+1 || got["other"] == "" || got["docs/a.txt"] != "hello" {
		t.Errorf("the drive: %q", slices.Sorted(maps.Keys(got)))
	}
	if got := s.get(http.MethodGet, archive("/docs/a.txt")).unzip(t); !maps.Equal(got, map[string]string{"a.txt": "hello"}) {
		t.Errorf("a file: %q", got)
	}
	if got := newServer(t, false).get(http.MethodGet, archive("/")).unzip(t); len(got) != 0 {
		t.Errorf("an empty drive: %q", got)
	}
}

// What is chosen in several places comes together; of two of one name both are there.
func TestArchiveOfSeveral(t *testing.T) {
	s := newServer(t, false)
	a, _ := s.put("/1/a.txt", []byte("one"))
	b, _ := s.put("/2/a.txt", []byte("two"))
	c, _ := s.put("/3/a.txt", []byte("three"))
	s.put("/1/sub/.profile", []byte("p"))
	dir := s.node("/1")
	want := map[string]string{
		"a.txt": "one", "a (1).txt": "two", "a (2).txt": "three", "1/": "", "1/a.txt": "one", "1/sub/": "", "1/sub/.profile": "p",
	}
	ids := fmt.Sprintf("%d,%d,%d,%d,%d", a.GetId(), b.GetId(), c.GetId(), dir.GetId(), a.GetId())
	get := s.get(http.MethodGet, "/api/v1/archive?ids="+ids)
	if got := get.unzip(t); !maps.Equal(got, want) {
		t.Errorf("%q", got)
	}
	sameHeaders(t, s.get(http.MethodHead, "/api/v1/archive?ids="+ids), get)
	body, err := json.Marshal(download.ArchiveOfRequest{
		IDs:   []string{fmt.Sprint(a.GetId()), fmt.Sprint(b.GetId())},
		Paths: []string{"/3/a.txt", "/1", "/1/a.txt"},
	})
	if err != nil {
		t.Fatal(err)
	}
	post := s.ask("POST", "/api/v1/archive", string(body), "Content-Type: application/json")
	if got := post.unzip(t); !maps.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := post.Header.Get("Content-Disposition"); got != "attachment; filename=files.zip" {
		t.Error(got)
	}
}

func TestArchiveRefuses(t *testing.T) {
	s := newServer(t, false)
	n, _ := s.put("/d/a.txt", []byte("0123456789"))
	s.put("/d/b.txt", []byte("0123456789"))
	many := strings.TrimSuffix(strings.Repeat("1,", 1001), ",")
	for _, c := range []struct {
		query, who string
		status     int
		code       string
	}{
		{"", "1", 400, "bad_field"},
		{"?path=", "1", 400, "bad_field"},
		{"?ids=", "1", 400, "bad_field"},
		{"?path=/d&ids=1", "1", 400, "bad_field"},
		{"?path=/d&path=/d", "1", 400, "bad_field"},
		{"?path=d", "1", 400, "bad_path"},
		{"?path=/d/../d", "1", 400, "bad_path"},
		{"?path=/nowhere", "1", 404, "not_found"},
		{"?ids=" + many, "1", 400, "bad_field"},
		{"?ids=1x", "1", 404, "not_found"},
		{"?ids=-1", "1", 404, "not_found"},
		{"?ids=1,,2", "1", 404, "not_found"},
		{"?ids=999999999", "1", 404, "not_found"},
		{fmt.Sprintf("?ids=%d", n.GetId()), "2", 404, "not_found"}, // S2
		{fmt.Sprintf("?ids=%d", n.GetParentId()), "2", 404, "not_found"},
		{"?path=/d", "2", 404, "not_found"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			s.get(method, "/api/v1/archive"+c.query, "Authorization: Bearer "+c.who).wantProblem(t, c.status, c.code)
		}
	}
	for body, code := range map[string]string{
		`{}`: "bad_field", `{"ids":[],"paths":[]}`: "bad_field", `{"ids":"1"}`: "bad_field", `{"files":["1"]}`: "unknown_field",
		`{"paths":[` + strings.TrimSuffix(strings.Repeat(`"/d",`, 1001), ",") + `]}`: "bad_field",
	} {
		s.ask("POST", "/api/v1/archive", body, "Content-Type: application/json").wantProblem(t, 400, code)
	}
	// S16: limits are told before the first byte.
	for _, limit := range []download.Archives{{Entries: 2}, {Bytes: 19}} {
		s := newServer(t, false)
		s.down.Archives = limit
		s.put("/d/a.txt", []byte("0123456789"))
		s.put("/d/b.txt", []byte("0123456789"))
		for _, method := range []string{"GET", "HEAD"} {
			s.get(method, archive("/d")).wantProblem(t, 413, "archive_too_large")
		}
		if got := s.get("GET", archive("/d/a.txt")).unzip(t); len(got) != 1 {
			t.Errorf("%+v: %q", limit, got)
		}
	}
}

// D6: an archive with damaged content in it is cut off, and is no zip.
func TestArchiveOfDamaged(t *testing.T) {
	s := newServer(t, false)
	s.put("/d/a", []byte("fine"))
	_, ref := s.put("/d/b", blobtest.Bytes(1, 2*blob.BlockSize))
	s.put("/d/c", []byte("fine"))
	damage(t, s.blobPath(ref), blob.BlockSize+1)
	a := s.get("GET", archive("/d"))
	if a.err == nil {
		t.Errorf("%d, %d bytes of %d, and a clean end", a.StatusCode, len(a.body), a.ContentLength)
	}
	if _, err := zip.NewReader(bytes.NewReader(a.body), int64(len(a.body))); err == nil {
		t.Error("it passes for a zip")
	}
}

// changing is a tree in which something happens when a folder of user 1's is listed.
type changing struct {
	filemetapb.FileMetaClient
	mu     sync.Mutex
	listed int
	then   func(listed int)
}

func (c *changing) ListFolder(ctx context.Context, r *filemetapb.ListFolderRequest, o ...grpc.CallOption) (*filemetapb.ListFolderResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	page, err := c.FileMetaClient.ListFolder(ctx, r, o...)
	c.listed++
	c.then(c.listed)
	return page, err
}

// B084: what is overwritten or deleted while an archive is made is in it as it was listed, or not at all, and the
// archive is whole.
func TestArchiveOfChanging(t *testing.T) {
	s := newServer(t, false)
	s.put("/d/gone/f", []byte("f"))
	s.put("/d/stays/a", []byte("old"))
	s.put("/d/stays/b", []byte("b"))
	gone := s.node("/d/gone").GetId()
	s.down.Tree = &changing{FileMetaClient: s.down.Tree, then: func(listed int) {
		switch listed {
		case 1: // of /d: its subfolders are known by now
			if a := s.get("DELETE", fmt.Sprintf("/api/v1/files/%d", gone)); a.StatusCode != 204 {
				t.Error(a.StatusCode, string(a.body))
			}
		case 3: // of /d/stays, after the vain look at /d/gone
			s.put("/d/stays/a", []byte("new, and longer"))
			if a := s.get("DELETE", fmt.Sprintf("/api/v1/files/%d", s.node("/d/stays/b").GetId())); a.StatusCode != 204 {
				t.Error(a.StatusCode, string(a.body))
			}
		}
	}}
	a := s.get("GET", archive("/d"))
	want := map[string]string{"d/": "", "d/gone/": "", "d/stays/": "", "d/stays/a": "old", "d/stays/b": "b"}
	if got := a.unzip(t); !maps.Equal(got, want) || a.ContentLength != int64(len(a.body)) {
		t.Errorf("%q, length %d of %d", got, a.ContentLength, len(a.body))
	}
	want = map[string]string{"d/": "", "d/stays/": "", "d/stays/a": "new, and longer"}
	if got := s.get("GET", archive("/d")).unzip(t); !maps.Equal(got, want) {
		t.Errorf("then %q", got)
	}
}
