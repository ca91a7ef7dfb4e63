package upload_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/upload"
)

// tarOf packs entries; those whose body is nil are what their header says.
func tarOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.Header
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		h.Size = int64(len(e.body))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type entry struct {
	tar.Header
	body []byte
}

func file(name, body string) entry { return entry{tar.Header{Name: name}, []byte(body)} }

func dir(name string) entry { return entry{tar.Header{Name: name, Typeflag: tar.TypeDir}, nil} }

func (s *server) batch(query string, body []byte, headers ...string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, "/api/v1/uploads/batch?"+query, bytes.NewReader(body), append([]string{"Content-Type: application/x-tar"}, headers...)...)
}

func (a answer) results(t *testing.T) []upload.BatchResult {
	t.Helper()
	var out upload.BatchResponse
	if err := json.Unmarshal(a.body, &out); err != nil || a.StatusCode != 200 || out.Results == nil {
		t.Fatalf("%d %s, want 200 and results", a.StatusCode, a.body)
	}
	for _, r := range out.Results {
		if (r.Status < 300) != (r.Node != nil) || (r.Status < 300) != (r.Code == "") || (r.Code == "") != (r.Title == "") {
			t.Errorf("no result: %+v", r)
		}
	}
	return out.Results
}

// Many files in one request: each has its own outcome, in order, and is there.
func TestBatch(t *testing.T) {
	s := newServer(t, 10*mib)
	s.up.Batch = upload.Batch{Files: 20, Bytes: 6 * mib}
	s.put(to("/d/there", "parents=true"), strings.NewReader("old")).node(t, 201)
	when := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	good, other := contentOf([]byte("summed")), contentOf([]byte("else"))
	withSum := func(name, body, digest string) entry {
		return entry{tar.Header{Name: name, PAXRecords: map[string]string{"GOPAN.digest": digest}}, []byte(body)}
	}
	long := strings.Repeat("å", 100)
	rows := []struct {
		e      entry
		path   string
		status int
		code   string
	}{
		{dir("./"), "/d", 200, ""},
		{dir("./sub/deep/"), "/d/sub/deep", 201, ""},
		{file("./a.txt", "text"), "/d/a.txt", 201, ""},
		{file("new/b.txt", ""), "/d/new/b.txt", 201, ""},
		{entry{tar.Header{Name: "dated", ModTime: when}, []byte("x")}, "/d/dated", 201, ""},
		{file("there", "new"), "/d/there", 200, ""},
		{file(long+"/"+long, "long names"), "/d/" + long + "/" + long, 201, ""},
		{withSum("sum", "summed", good.digest), "/d/sum", 201, ""},
		{withSum("badsum", "summed", other.digest), "/d/badsum", 400, "digest_mismatch"},
		{withSum("nosum", "summed", "abc"), "/d/nosum", 400, "bad_digest"},
		{entry{tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, nil}, "/d/link", 400, "bad_entry"},
		{entry{tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: "a.txt"}, nil}, "/d/hard", 400, "bad_entry"},
		{entry{tar.Header{Name: "null", Typeflag: tar.TypeChar}, nil}, "/d/null", 400, "bad_entry"},
		{file("../up", "x"), "../up", 400, "bad_path"},
		{file("/root", "x"), "/root", 400, "bad_path"},
		{file("a/../../b", "x"), "a/../../b", 400, "bad_path"},
		{file("a.txt/below", "x"), "/d/a.txt/below", 409, "not_a_folder"},
		{file("large", strings.Repeat("x", blob.BlockSize+1)), "/d/large", 413, "too_large"},
		{file("most", strings.Repeat("x", blob.BlockSize)), "/d/most", 201, ""},
		{file("beyond", strings.Repeat("x", 3*mib)), "/d/beyond", 413, "too_large"},
		{file("one too many", "x"), "/d/one too many", 413, "too_large"},
	}
	var all []entry
	for _, r := range rows {
		all = append(all, r.e)
	}
	results := s.batch(to("/d"), tarOf(t, all...)).results(t)
	if len(results) != len(rows) {
		t.Fatalf("%d results of %d entries", len(results), len(rows))
	}
	for i, r := range rows {
		got := results[i]
		if got.Path != r.path || got.Status != r.status || got.Code != r.code {
			t.Errorf("%s: %+v, want %d %s", r.path, got, r.status, r.code)
		}
		a := s.do(http.MethodGet, "/api/v1/stat?"+to(r.path), nil)
		if r.status < 300 {
			if n := a.node(t, 200); n != *got.Node || n.Kind == "file" && !bytes.Equal(s.content(n), r.e.body) {
				t.Errorf("%s: %+v, want %+v", r.path, n, *got.Node)
			}
		} else if a.StatusCode == 200 {
			t.Errorf("%s is there", r.path)
		}
	}
	if n := results[4].Node; n.ModifiedAt != "2001-02-03T04:05:06.000Z" {
		t.Errorf("%+v", n)
	}
	// The drive is full for some of them.
	var many []entry
	for i := range 5 {
		many = append(many, file(fmt.Sprint("fill", i), strings.Repeat(fmt.Sprint(i), mib)))
	}
	s.up.Batch.Bytes = 64 * mib
	fit := s.available(1) / mib
	for i, r := range s.batch("conflict=rename", tarOf(t, many...)).results(t) {
		if want := map[bool]int{true: 201, false: 507}[int64(i) < fit]; r.Status != want {
			t.Errorf("%d of %d that fit: %+v", i, fit, r)
		}
	}
}

// More files than are committed at once, among them the same path twice: what comes later is newer.
func TestBatchGroups(t *testing.T) {
	s := newServer(t, 0)
	var all []entry
	for i := range 600 {
		all = append(all, file(fmt.Sprintf("f%d/%d", i%7, i), fmt.Sprint("content ", i)))
	}
	all = append(all, file("f0/0", "newer"), file("f0/0", "newest"))
	results := s.batch("", tarOf(t, all...)).results(t)
	for i, r := range results {
		want := 201
		if i >= 600 {
			want = 200
		}
		if r.Status != want {
			t.Fatalf("%d: %+v", i, r)
		}
		if i < 600 {
			s.wantContent(*r.Node, all[i].body)
		}
	}
	n := s.do(http.MethodGet, "/api/v1/stat?path=/f0/0", nil).node(t, 200)
	if n.Version != 3 {
		t.Errorf("%+v", n)
	}
	s.wantContent(n, []byte("newest"))
	// C6: all of it again changes nothing but what was overwritten.
	for i, r := range s.batch("", tarOf(t, all[1:600]...)).results(t) {
		if r.Status != 200 || r.Node.Version != 1 {
			t.Fatalf("%d again: %+v", i, r)
		}
	}
	for i, r := range s.batch("conflict=fail", tarOf(t, all[:3]...)).results(t) {
		if r.Status != 409 || r.Code != "name_taken" {
			t.Errorf("%d: %+v", i, r)
		}
	}
}

// What GNU tar writes is read, in each of its formats.
func TestBatchOfTar(t *testing.T) {
	if _, err := exec.LookPath("tar"); err != nil {
		t.Fatal(err)
	}
	from := t.TempDir()
	long := strings.Repeat("long/", 30) + "名字"
	for name, body := range map[string]string{"a": "1", "d/b": "2", "d/空": "3", long: "4"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, format := range []string{"gnu", "posix"} {
		s := newServer(t, 0)
		out, err := exec.CommandContext(t.Context(), "tar", "--format="+format, "-C", from, "-cf", "-", ".").Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range s.batch("", out).results(t) {
			if r.Status >= 300 || r.Path == "/" && r.Node.Kind != "folder" {
				t.Errorf("%s: %+v", format, r)
			}
		}
		n := s.do(http.MethodGet, "/api/v1/stat?"+to("/"+long), nil).node(t, 200)
		s.wantContent(n, []byte("4"))
	}
}

// A stream that is none, or breaks off, is refused, and nothing of its last group is there.
func TestBatchRefused(t *testing.T) {
	s := newServer(t, 0)
	s.up.Batch = upload.Batch{Files: 10, Bytes: mib}
	before := s.state()
	whole := tarOf(t, file("a", strings.Repeat("x", 2000)), file("b", "y"))
	damaged := bytes.Clone(whole)
	damaged[512+2048+10] ^= 1 // in the second header
	endless := tarOf(t, file("a", strings.Repeat("x", 4*mib)), file("b", strings.Repeat("x", 4*mib)))
	for _, c := range []struct {
		name   string
		query  string
		body   []byte
		header string
		status int
		code   string
	}{
		{"text", "", []byte(strings.Repeat("this is not a tar stream ", 100)), "", 400, "bad_tar"},
		{"cut in a file", "", whole[:700], "", 400, "bad_tar"},
		{"cut in a header", "", whole[:512+2048+100], "", 400, "bad_tar"},
		{"damaged", "", damaged, "", 400, "bad_tar"},
		{"too large to go on", "", endless, "", 413, "too_large"},
		{"no type", "", whole, "Content-Type: application/octet-stream", 415, "not_tar"},
		{"encoded", "", whole, "Content-Encoding: gzip", 415, "encoded_body"},
		{"relative", "path=a", whole, "", 400, "bad_path"},
		{"bad conflict", "conflict=x", whole, "", 400, "bad_field"},
		{"nobody", "", whole, "Authorization: ", 401, "unauthenticated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := []string{"Content-Type: application/x-tar"}
			if strings.HasPrefix(c.header, "Content-Type") {
				headers = nil
			}
			if c.header != "" {
				headers = append(headers, c.header)
			}
			s.do(http.MethodPost, "/api/v1/uploads/batch?"+c.query, bytes.NewReader(c.body), headers...).wantProblem(t, c.status, c.code)
		})
	}
	if got := treeOf(s.state()); got != treeOf(before) {
		t.Errorf("left\n%s", got)
	}
	for _, nothing := range [][]byte{nil, tarOf(t)} {
		if r := s.batch("", nothing).results(t); len(r) != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// treeOf is the part of a state that is not the store's.
func treeOf(state string) string { return state[:strings.LastIndex(state, "map[")] }

// The drive's memory is given back, whatever becomes of a request.
func TestMemoryIsGivenBack(t *testing.T) {
	s := newServer(t, 0)
	s.up.Memory = &upload.Memory{Size: 2 * blob.BlockSize, Wait: time.Minute}
	c := contentOf(blobtest.Bytes(1, 4*blob.BlockSize))
	for i := range 5 {
		u := s.begin(fmt.Sprint("/f", i), c, nil)
		s.block(u.ID, 0, c.block(0), digestOf(c.block(1))).wantProblem(t, 400, "block_mismatch")
		s.block(u.ID, 0, c.block(0)[1:]).wantProblem(t, 400, "bad_block")
		s.cut(u.ID, 0, c.data, 3*mib)
		s.block(u.ID, 0, c.data).wantStatus(t, 204)
		s.block(u.ID, 0, c.data).wantStatus(t, 204)
		s.block(u.ID, 0, c.data[4*mib:]).wantProblem(t, 409, "block_differs")
		s.complete(u.ID).node(t, 201)
		s.batch("", tarOf(t, file("large", strings.Repeat("x", blob.BlockSize)), file("x", "y"))[:5*mib/2]).wantProblem(t, 400, "bad_tar")
		for _, r := range s.batch("", tarOf(t, file("a", strings.Repeat("x", blob.BlockSize)), file("b", "y"))).results(t) {
			if r.Status > 201 {
				t.Errorf("%+v", r)
			}
		}
	}
	if used := s.up.Memory.Used(); used != 0 {
		t.Errorf("%d bytes are held by nobody", used)
	}
}
