package download_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// B078, G57: every byte of sizes around the edges, by path and by id, the first time and again; HEAD says the same
// as GET.
func TestWhole(t *testing.T) {
	s := newServer(t, false)
	for _, size := range []int64{0, 1, 511, 32 << 10, blob.BlockSize - 1, blob.BlockSize, blob.BlockSize + 1, 2*blob.BlockSize + 7} {
		data := blobtest.Bytes(size, size)
		n, ref := s.put(fmt.Sprintf("/%d.bin", size), data)
		for _, at := range []string{content(n.GetPath()), fmt.Sprintf("/api/v1/content/%d", n.GetId()), content(n.GetPath())} {
			head, get := s.get(http.MethodHead, at), s.get(http.MethodGet, at)
			if get.err != nil || get.StatusCode != 200 || !bytes.Equal(get.body, data) || get.ContentLength != size {
				t.Errorf("%d bytes: %d, %d of length %d, %v", size, get.StatusCode, len(get.body), get.ContentLength, get.err)
			}
			if head.err != nil || head.StatusCode != 200 || len(head.body) != 0 || head.ContentLength != size {
				t.Errorf("%d bytes: HEAD %d, %d bytes, length %d, %v", size, head.StatusCode, len(head.body), head.ContentLength, head.err)
			}
			sameHeaders(t, head, get)
			if get.Header.Get("Etag") != n.GetEtag() || get.Header.Get("Gopan-Digest") != ref.Digest.String() {
				t.Errorf("%d bytes: headers %v", size, get.Header)
			}
			sum := sha256.Sum256(data)
			want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
			if got := get.Header.Get("Repr-Digest"); size > 0 && size <= blob.BlockSize && got != want || got != "" && got != want {
				t.Errorf("%d bytes: Repr-Digest %q, want %q", size, got, want)
			}
		}
	}
}

// sameHeaders compares what HEAD and GET say; Date and the request's id are each their own.
func sameHeaders(t *testing.T, head, get answer) {
	t.Helper()
	for _, a := range []answer{head, get} {
		a.Header.Del("Date")
		a.Header.Del("X-Request-Id")
	}
	if h, g := fmt.Sprint(head.Header), fmt.Sprint(get.Header); h != g {
		t.Errorf("HEAD says %s\nGET says %s", h, g)
	}
}

// Repr-Digest of a file of several blocks, once its sum is known.
func TestReprDigestOfLarge(t *testing.T) {
	s := newServer(t, false)
	data := blobtest.Bytes(1, blob.BlockSize+1)
	_, ref := s.put("/large", data)
	if a := s.get(http.MethodHead, content("/large")); a.Header.Get("Repr-Digest") != "" {
		t.Errorf("Repr-Digest %q out of nowhere", a.Header.Get("Repr-Digest"))
	}
	sum := sha256.Sum256(data)
	if _, err := s.tree.PutSums(t.Context(), &filemetapb.Blob{Digest: ref.Digest[:], Size: ref.Size, Sha256: sum[:]}); err != nil {
		t.Fatal(err)
	}
	a := s.get(http.MethodGet, content("/large"), "Range: bytes=5-9")
	if want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"; a.Header.Get("Repr-Digest") != want {
		t.Errorf("Repr-Digest %q, want %q, of the whole also with a range", a.Header.Get("Repr-Digest"), want)
	}
	if !bytes.Equal(a.body, data[5:10]) {
		t.Errorf("%d, %q", a.StatusCode, a.body)
	}
}

// S8, B072, B074: whatever a file is called, it is an attachment of that name in a sandbox, of the type that its
// ending says, and nothing in the request changes that.
func TestHeaders(t *testing.T) {
	s := newServer(t, false)
	for _, c := range []struct{ name, kind string }{
		{"page.html", "text/html; charset=utf-8"},
		{"PICTURE.PNG", "image/png"},
		{"drawing.svg", "image/svg+xml"},
		{"unknown.xyz", "application/octet-stream"},
		{"no ending", "application/octet-stream"},
		{`a"; filename=b.html`, ""},
		{`quote"d.txt`, "text/plain; charset=utf-8"},
		{"a;b.txt", ""}, {"a=b, c", ""}, {"%41%2f.txt", ""}, {"a'b.txt", ""}, {"  spaces  ", ""},
		{"...", ""}, {".txt", ""},
		{"文件.txt", ""}, {"é.txt", ""}, {"🎉.mp4", "video/mp4"}, {"עברית.txt", ""},
		{strings.Repeat("长", 85), ""}, {strings.Repeat("x", 255), ""},
		{"<img src=x onerror=alert(1)>", ""},
	} {
		name, err := drivepath.ParseName(c.name)
		if err != nil {
			t.Fatal(err)
		}
		s.put("/d/"+c.name, []byte("x"))
		a := s.get(http.MethodGet, content("/d/"+c.name)+"&inline=1&response-content-type=text/html", "Content-Type: text/html", "Accept: text/html")
		if a.err != nil || a.StatusCode != 200 {
			t.Fatalf("%q: %v %v", c.name, a.Response, a.err)
		}
		disposition := a.Header.Values("Content-Disposition")
		if len(disposition) != 1 {
			t.Fatalf("%q: Content-Disposition %q", c.name, disposition)
		}
		kind, params, err := mime.ParseMediaType(disposition[0])
		if err != nil || kind != "attachment" || params["filename"] != string(name) || len(params) != 1 {
			t.Errorf("%q: %q parses as %s %q, %v", c.name, disposition[0], kind, params, err)
		}
		if got := a.Header.Get("Content-Type"); c.kind != "" && got != c.kind {
			t.Errorf("%q: Content-Type %q, want %q", c.name, got, c.kind)
		}
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'",
			"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "private, no-cache",
		} {
			if got := a.Header.Values(header); !slices.Equal(got, []string{want}) {
				t.Errorf("%q: %s: %q", c.name, header, got)
			}
		}
	}
}

// Old versions keep their bytes and have an ETag of their own.
func TestVersions(t *testing.T) {
	s := newServer(t, false)
	var id int64
	tags := map[string]string{}
	for i := range 3 {
		n, _ := s.put("/f", []byte(strings.Repeat("x", i+1)))
		id = n.GetId()
	}
	for _, c := range []struct {
		query  string
		status int
		code   string
		size   int
	}{
		{"", 200, "", 3}, {"&version=3", 200, "", 3}, {"&version=2", 200, "", 2}, {"&version=1", 200, "", 1},
		{"&version=0", 200, "", 3}, // absent
		{"&version=4", 404, "no_such_version", 0}, {"&version=-1", 400, "bad_field", 0}, {"&version=x", 400, "bad_field", 0},
		{"&version=9223372036854775808", 400, "bad_field", 0},
	} {
		for _, at := range []string{content("/f") + c.query, fmt.Sprintf("/api/v1/content/%d?%s", id, strings.TrimPrefix(c.query, "&"))} {
			a := s.get(http.MethodGet, at)
			if c.status != 200 {
				a.wantProblem(t, c.status, c.code)
				continue
			}
			if a.StatusCode != 200 || len(a.body) != c.size {
				t.Errorf("%s: %d, %d bytes, want %d", at, a.StatusCode, len(a.body), c.size)
			}
			tag := a.Header.Get("Etag")
			if body, known := tags[tag]; known && body != string(a.body) {
				t.Errorf("%s: the ETag %s is that of %q, too", at, tag, body) // C5
			}
			tags[tag] = string(a.body)
		}
	}
	if len(tags) != 3 {
		t.Errorf("ETags %v", tags)
	}
}

// S1, S2: what is another user's, in the trash, or a folder is no content; and what cannot be is not, either.
func TestNotContent(t *testing.T) {
	s := newServer(t, false)
	n, _ := s.put("/d/f", []byte("secret"))
	never := s.get(http.MethodGet, content("/never"))
	never.wantProblem(t, 404, "not_found")
	for _, at := range []string{content("/d/f"), fmt.Sprintf("/api/v1/content/%d", n.GetId()), fmt.Sprintf("/api/v1/content/%d?version=1", n.GetId())} {
		a := s.get(http.MethodGet, at, "Authorization: Bearer 2", "If-Match: "+n.GetEtag())
		a.wantProblem(t, 404, "not_found")
		var mine, nobodys httpapi.Problem
		if err := json.Unmarshal(a.body, &mine); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(never.body, &nobodys); err != nil {
			t.Fatal(err)
		}
		mine.RequestID, nobodys.RequestID = "", ""
		sameHeaders(t, a, s.get(http.MethodGet, content("/never")))
		if fmt.Sprint(mine) != fmt.Sprint(nobodys) {
			t.Errorf("%s: %+v, of nothing %+v", at, mine, nobodys)
		}
	}
	for at, want := range map[string]struct {
		status int
		code   string
	}{
		content("/d"):                         {409, "is_a_folder"},
		content("/"):                          {409, "is_a_folder"},
		content("/d/f/x"):                     {404, "not_found"},
		content("/d/../d/f"):                  {400, "bad_path"},
		content("d/f"):                        {400, "bad_path"},
		"/api/v1/content?path=%2Fa%00":        {400, "bad_path"},
		"/api/v1/content":                     {400, "bad_field"},
		"/api/v1/content?path=/a&path=/d/f":   {400, "bad_field"},
		"/api/v1/content/0":                   {404, "not_found"},
		"/api/v1/content/-1":                  {404, "not_found"},
		"/api/v1/content/x":                   {404, "not_found"},
		"/api/v1/content/9223372036854775808": {404, "not_found"},
	} {
		s.get(http.MethodGet, at).wantProblem(t, want.status, want.code)
		s.get(http.MethodHead, at).wantProblem(t, want.status, want.code)
	}
	s.get(http.MethodGet, content("/d/f"), "Authorization: Basic x").wantProblem(t, 401, "unauthenticated")
	a := s.get(http.MethodDelete, "/api/v1/files/"+fmt.Sprint(n.GetId()))
	if a.StatusCode != 204 {
		t.Fatal(a.StatusCode)
	}
	s.get(http.MethodGet, fmt.Sprintf("/api/v1/content/%d", n.GetId())).wantProblem(t, 404, "not_found")
}

// D6, F23, F24, G58: damage is an answer of 500 or a connection that breaks off, never wrong bytes and never a clean
// end; listing and everything else goes on.
func TestDamage(t *testing.T) {
	// Both are files of the store; what damage does to its rows its own tests show.
	const one, large = 100_000, 2*blob.BlockSize + 100
	flip := func(t *testing.T, path string, at int64) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[at] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		size   int64
		damage func(t *testing.T, path string)
		// refused tells that not even the headers may look good.
		refused bool
	}{
		{"missing", one, func(t *testing.T, p string) { remove(t, p) }, true},
		{"missing, large", large, func(t *testing.T, p string) { remove(t, p) }, true},
		{"truncated", one, func(t *testing.T, p string) { truncate(t, p, one-1) }, true},
		{"truncated to nothing", large, func(t *testing.T, p string) { truncate(t, p, 0) }, true},
		{"a folder", one, func(t *testing.T, p string) { remove(t, p); mkdir(t, p) }, true},
		{"sums missing", large, func(t *testing.T, p string) { remove(t, p+".sums") }, true},
		{"sums damaged", large, func(t *testing.T, p string) { flip(t, p+".sums", 33) }, false},
		{"first byte", one, func(t *testing.T, p string) { flip(t, p, 0) }, false},
		{"last byte", one, func(t *testing.T, p string) { flip(t, p, one-1) }, false},
		{"first block", large, func(t *testing.T, p string) { flip(t, p, 5) }, false},
		{"middle block", large, func(t *testing.T, p string) { flip(t, p, blob.BlockSize) }, false},
		{"last block", large, func(t *testing.T, p string) { flip(t, p, large-1) }, false},
	} {
		for _, always := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, ", always ", always), func(t *testing.T) {
				t.Parallel()
				s := newServer(t, always)
				data := blobtest.Bytes(7, c.size)
				_, ref := s.put("/d/damaged", data)
				s.put("/d/fine", []byte("fine"))
				if always { // then damage is found even in what was good before
					if a := s.get(http.MethodGet, content("/d/damaged")); !bytes.Equal(a.body, data) {
						t.Fatal("not even whole at first")
					}
				}
				c.damage(t, s.blobPath(ref))
				for range 2 {
					a := s.get(http.MethodGet, content("/d/damaged"))
					switch {
					case a.Response == nil && !c.refused: // cut off before the headers were out
					case a.Response != nil && a.StatusCode == 500:
						a.wantProblem(t, 500, "content_unavailable")
						if h := a.Header.Get("Content-Disposition") + a.Header.Get("Etag"); h != "" {
							t.Errorf("the problem has the file's headers: %s", h)
						}
					case a.err == nil:
						t.Errorf("a clean end: %d, %d bytes", a.StatusCode, len(a.body))
					case c.refused:
						t.Errorf("%v, want a problem", a.err)
					}
					if a.Response != nil && a.StatusCode == 200 && !bytes.HasPrefix(data, a.body) {
						t.Error("wrong bytes")
					}
				}
				if c.name == "last block" { // what is whole can be read
					if a := s.get(http.MethodGet, content("/d/damaged"), "Range: bytes=10-19"); a.StatusCode != 206 || !bytes.Equal(a.body, data[10:20]) {
						t.Errorf("a range of a good block: %d %v", a.StatusCode, a.err)
					}
				}
				if c.refused {
					s.get(http.MethodHead, content("/d/damaged")).wantProblem(t, 500, "content_unavailable")
				}
				a := s.get(http.MethodGet, "/api/v1/files?path="+url.QueryEscape("/d"))
				if a.StatusCode != 200 || strings.Count(string(a.body), `"kind":"file"`) != 2 {
					t.Errorf("listing: %d %s", a.StatusCode, a.body)
				}
				if a := s.get(http.MethodGet, content("/d/fine")); string(a.body) != "fine" {
					t.Errorf("another file: %d %q", a.StatusCode, a.body)
				}
			})
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}
