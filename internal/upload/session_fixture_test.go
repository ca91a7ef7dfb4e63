package upload_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/upload"
)

// content is what a client has, and what it may announce of it.
type content struct {
	data   []byte
	blocks []string
	digest string
}

func contentOf(data []byte) content {
	c := content{data: data}
	var sums []blob.Sum
	for b := range slices.Chunk(data, blob.BlockSize) {
		sum := sha256.Sum256(b)
		sums, c.blocks = append(sums, sum), append(c.blocks, hex.EncodeToString(sum[:]))
	}
	c.digest = blob.DigestOf(sums).String()
	return c
}

// block n of the content.
func (c content) block(n int64) []byte {
	return c.data[n*blob.BlockSize : min((n+1)*blob.BlockSize, int64(len(c.data)))]
}

// fields of a request as JSON.
type fields map[string]any

// as user n; the request's other headers are "Name: value".
func as(user int, more ...string) []string {
	return append([]string{fmt.Sprint("Authorization: Bearer ", user)}, more...)
}

func (s *server) post(path string, f fields, headers ...string) answer {
	s.t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do(http.MethodPost, "/api/v1/uploads"+path, bytes.NewReader(b), headers...)
}

// begin begins an upload of c as user 1, and wants that to work.
func (s *server) begin(path string, c content, more fields, headers ...string) upload.Upload {
	s.t.Helper()
	f := fields{"path": path, "size": len(c.data)}
	for k, v := range more {
		f[k] = v
	}
	return s.post("", f, headers...).upload(s.t, http.StatusCreated)
}

// announced are the fields that say what c is.
func announced(c content) fields { return fields{"digest": c.digest, "blocks": c.blocks} }

// upload reads the answer's upload and checks what always holds of one.
func (a answer) upload(t testing.TB, status int) upload.Upload {
	t.Helper()
	var u upload.Upload
	if err := json.Unmarshal(a.body, &u); err != nil || a.StatusCode != status {
		t.Fatalf("%d %s, want %d and an upload", a.StatusCode, a.body, status)
	}
	if u.ID == "" || u.BlockSize != blob.BlockSize || u.RequestBlocks < 1 || u.MaxRequestBlocks < u.RequestBlocks || u.ExpiresAt == "" ||
		u.Missing == nil || u.MissingCount < int64(len(u.Missing)) || !slices.IsSorted(u.Missing) || u.Node != nil && u.MissingCount > 0 {
		t.Fatalf("not what an upload is: %s", a.body)
	}
	return u
}

func (s *server) show(id string, headers ...string) upload.Upload {
	s.t.Helper()
	return s.do(http.MethodGet, "/api/v1/uploads/"+id, nil, headers...).upload(s.t, 200)
}

// block sends body as block n.
func (s *server) block(id string, n int64, body []byte, headers ...string) answer {
	s.t.Helper()
	return s.do(http.MethodPut, fmt.Sprintf("/api/v1/uploads/%s/blocks/%d", id, n), bytes.NewReader(body), headers...)
}

// wantStatus fails the test unless the answer has a status and no body.
func (a answer) wantStatus(t testing.TB, status int) {
	t.Helper()
	if a.StatusCode != status || len(a.body) > 0 {
		t.Fatalf("%d %s, want %d", a.StatusCode, a.body, status)
	}
}

// fill sends all that is missing.
func (s *server) fill(u upload.Upload, c content, headers ...string) {
	s.t.Helper()
	for _, n := range u.Missing {
		s.block(u.ID, n, c.block(n), headers...).wantStatus(s.t, 204)
	}
}

func (s *server) complete(id string, headers ...string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, "/api/v1/uploads/"+id+"/complete", nil, headers...)
}

func (s *server) remove(id string, headers ...string) answer {
	s.t.Helper()
	return s.do(http.MethodDelete, "/api/v1/uploads/"+id, nil, headers...)
}

// upload brings a content up block by block.
func (s *server) upload(path string, c content, status int) httpapi.Node {
	s.t.Helper()
	u := s.begin(path, c, nil)
	s.fill(u, c)
	n := s.complete(u.ID).node(s.t, status)
	s.wantContent(n, c.data)
	return n
}

func (s *server) wantContent(n httpapi.Node, want []byte) {
	s.t.Helper()
	if n.Size != int64(len(want)) || n.Digest != contentOf(want).digest || !bytes.Equal(s.content(n), want) {
		s.t.Fatalf("%+v is not the content that was sent", n)
	}
}

// staged counts the uploads that have something in the store's staging.
func (s *server) staged() int {
	s.t.Helper()
	files, err := os.ReadDir(filepath.Join(s.dir, "stage"))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(files)
}

// available is how much room a user's drive has, for one who has reserved none of it.
func (s *server) available(user int64) int64 {
	s.t.Helper()
	ready, err := s.tree.Prepare(s.t.Context(), &filemetapb.Target{
		Actor: &filemetapb.Actor{UserId: user}, Path: "/none", Size: -1,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return ready.GetAvailable()
}

// answers to a challenge by somebody who has c.
func (c content) answers(t testing.TB, ch *upload.UploadChallenge) []string {
	t.Helper()
	nonce, err := hex.DecodeString(ch.Nonce)
	if err != nil || len(nonce) != 32 {
		t.Fatalf("nonce %q", ch.Nonce)
	}
	var out []string
	for _, n := range ch.Blocks {
		mac := hmac.New(sha256.New, nonce)
		mac.Write(c.block(n))
		out = append(out, hex.EncodeToString(mac.Sum(nil)))
	}
	return out
}

// digestOf is a Content-Digest header.
func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "Content-Digest: sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

func (s *server) prove(id string, answers []string, headers ...string) answer {
	s.t.Helper()
	return s.post("/"+id+"/proof", fields{"answers": answers}, headers...)
}

// cut sends the first n bytes of a body of blocks from number first on, and hangs up.
func (s *server) cut(id string, first int64, body []byte, n int) {
	s.t.Helper()
	conn := s.dial()
	head := fmt.Sprintf("PUT /api/v1/uploads/%s/blocks/%d HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 1\r\nContent-Length: %d\r\n\r\n", id, first, len(body))
	if _, err := conn.Write(append([]byte(head), body[:n]...)); err != nil {
		s.t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		s.t.Fatal(err)
	}
	read(s.t, conn).wantProblem(s.t, 400, "body_interrupted")
}

func (s *server) wantMissing(id string, want ...int64) {
	s.t.Helper()
	if got := s.show(id); !slices.Equal(got.Missing, want) || got.MissingCount != int64(len(want)) {
		s.t.Errorf("missing are %v of %d, want %v", got.Missing, got.MissingCount, want)
	}
}
