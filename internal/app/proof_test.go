package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/client"
)

// content is bytes that somebody has, and what they can announce of them.
type content struct {
	data   string
	digest string
	blocks []string
}

// contentOf makes bytes that nobody can guess.
func contentOf(seed byte, size int) content {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(data) // documented never to fail
	c := content{data: string(data)}
	var sums []blob.Sum
	for at := 0; at < size; at += blob.BlockSize {
		sum := sha256.Sum256(data[at:min(at+blob.BlockSize, size)])
		sums, c.blocks = append(sums, sum), append(c.blocks, hex.EncodeToString(sum[:]))
	}
	c.digest = blob.DigestOf(sums).String()
	return c
}

// begun is what the tests want of an upload.
type begun struct {
	ID           string
	MissingCount int
	Challenge    *struct {
		Nonce  string
		Blocks []int
	}
	Node *node
}

// announce begins an upload of mallory's as one who knows the sums, and maybe nothing else.
func (d *drive) announce(t *testing.T, path string, c content) (u begun, r reply) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"path": path, "size": len(c.data), "digest": c.digest, "blocks": c.blocks})
	if err != nil {
		t.Fatal(err)
	}
	r = d.ask(t, "POST", "/api/v1/uploads", string(body), bearer(d.mallory), "Content-Type: application/json")
	r.into(t, &u)
	return u, r
}

// prove answers a challenge as one who has some bytes.
func (d *drive) prove(t *testing.T, u begun, data string) reply {
	t.Helper()
	nonce, err := hex.DecodeString(u.Challenge.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	answers := []string{}
	for _, n := range u.Challenge.Blocks {
		mac := hmac.New(sha256.New, nonce)
		mac.Write([]byte(data[n*blob.BlockSize : min((n+1)*blob.BlockSize, len(data))]))
		answers = append(answers, hex.EncodeToString(mac.Sum(nil)))
	}
	body, err := json.Marshal(map[string]any{"answers": answers})
	if err != nil {
		t.Fatal(err)
	}
	return d.ask(t, "POST", "/api/v1/uploads/"+u.ID+"/proof", string(body), bearer(d.mallory), "Content-Type: application/json")
}

// wantProblem fails the test unless the answer is a refusal with a status and a code.
func (r reply) wantProblem(t *testing.T, status int, code string) {
	t.Helper()
	var p struct{ Code string }
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.StatusCode != status || p.Code != code {
		t.Fatalf("%s: %d %s, want %d %s", r.Request.URL, r.StatusCode, r.body, status, code)
	}
}

// S5, S6: who knows the sums of another user's content gets nothing of it; who has the bytes need not send them.
func TestSumsAreNoKey(t *testing.T) {
	d := newDrive(t)
	theirs := contentOf(1, 16<<20+5) // five blocks: a challenge asks for all of them
	d.put(t, "/theirs.bin", theirs.data)

	u, _ := d.announce(t, "/mine.bin", theirs)
	if u.Challenge == nil || len(u.Challenge.Blocks) != 5 || u.Node != nil || u.MissingCount != 5 {
		t.Fatalf("%+v", u)
	}
	d.prove(t, u, contentOf(2, len(theirs.data)).data).wantProblem(t, 403, "proof_failed")
	var after begun
	d.ask(t, "GET", "/api/v1/uploads/"+u.ID, "", bearer(d.mallory)).into(t, &after)
	if after.Challenge != nil || after.Node != nil || after.MissingCount != 5 {
		t.Errorf("after a wrong proof: %+v", after)
	}
	// It is spent: not even the right answers count now, and without bytes there is no file.
	d.prove(t, u, theirs.data).wantProblem(t, 403, "proof_failed")
	d.ask(t, "POST", "/api/v1/uploads/"+u.ID+"/complete", "", bearer(d.mallory)).wantProblem(t, 409, "blocks_missing")
	d.ask(t, "GET", "/api/v1/stat?path=/mine.bin", "", bearer(d.mallory)).wantProblem(t, 404, "not_found")
	// Nor are answers good for any upload but the one that asked.
	other, _ := d.announce(t, "/other.bin", theirs)
	third, _ := d.announce(t, "/third.bin", theirs)
	third.Challenge = other.Challenge
	d.prove(t, third, theirs.data).wantProblem(t, 403, "proof_failed")

	var proven begun
	d.prove(t, other, theirs.data).into(t, &proven)
	if proven.Node == nil || proven.MissingCount != 0 || proven.Node.Path != "/other.bin" {
		t.Fatalf("%+v", proven)
	}
	if r := d.ask(t, "GET", "/api/v1/content/"+proven.Node.ID, "", bearer(d.mallory)); r.StatusCode != 200 || r.body != theirs.data {
		t.Errorf("%d, %d bytes that are not the content's", r.StatusCode, len(r.body))
	}
	// What was proven once is one's own.
	if again, _ := d.announce(t, "/again.bin", theirs); again.Node == nil || again.Challenge != nil {
		t.Errorf("%+v", again)
	}
}

// blockCount counts the requests that send blocks.
type blockCount struct {
	http.RoundTripper
	n atomic.Int32
}

func (b *blockCount) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/blocks/") {
		b.n.Add(1)
	}
	return b.RoundTripper.RoundTrip(r)
}

// The client's own proof is one for the real server: no block goes over.
func TestClientProves(t *testing.T) {
	d := newDrive(t)
	theirs := contentOf(3, 20<<20) // more than a client sends in one request
	d.put(t, "/theirs.bin", theirs.data)
	file := filepath.Join(t.TempDir(), "mine.bin")
	if err := os.WriteFile(file, []byte(theirs.data), 0o600); err != nil {
		t.Fatal(err)
	}
	h := client.NewHTTPClient()
	count := &blockCount{RoundTripper: h.Transport}
	h.Transport = count
	c := &client.Client{BaseURL: d.URL(), HTTP: h, Credentials: new(client.Memory)}
	if _, err := c.Login(t.Context(), "mallory", adminPassword); err != nil {
		t.Fatal(err)
	}
	sum, err := (&client.Transfer{Client: c}).PutTree(t.Context(), []client.Pair{{Local: file, Remote: "/mine.bin"}})
	if err != nil || sum.Files != 1 || sum.Kept != int64(len(theirs.data)) {
		t.Fatalf("%+v, %v: want one file, all of whose bytes were there", sum, err)
	}
	if n := count.n.Load(); n != 0 {
		t.Errorf("%d requests with blocks", n)
	}
	back, err := c.Get(t.Context(), client.ByPath("/mine.bin"), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if got, err := io.ReadAll(back); err != nil || string(got) != theirs.data {
		t.Errorf("%d bytes that are not the file's, %v", len(got), err)
	}
}

// ofItself is what differs from one upload to the next.
var ofItself = regexp.MustCompile(`"(id|token|expiresAt)":"[^"]*"`)

// S6: where other users' content does not count, an answer is the same whether they have it or not, and so is what it does.
func TestOthersContentHidden(t *testing.T) {
	for name, c := range map[string]struct {
		scope string
		size  int
	}{
		"too small to be asked for": {"global", 16<<20 - 1},
		"one block":                 {"global", 1000},
		"one's own content only":    {"user", 16<<20 + 5},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDrive(t, func(p *Process) { p.Config.Dedupe.Scope = c.scope })
			known, fresh := contentOf(4, c.size), contentOf(5, c.size)
			d.put(t, "/theirs.bin", known.data)
			var said [2]string
			for i, one := range []content{known, fresh} {
				u, r := d.announce(t, "/probe.bin", one)
				if u.Challenge != nil || u.Node != nil || u.MissingCount != len(one.blocks) {
					t.Errorf("%+v", u)
				}
				drive := d.ask(t, "GET", "/api/v1/drive", "", bearer(d.mallory))
				said[i] = fmt.Sprint(r.StatusCode, len(r.Header), ofItself.ReplaceAllString(r.body, ""), drive.body)
				if r := d.ask(t, "DELETE", "/api/v1/uploads/"+u.ID, "", bearer(d.mallory)); r.StatusCode != http.StatusNoContent {
					t.Errorf("%d %s", r.StatusCode, r.body)
				}
			}
			if said[0] != said[1] {
				t.Errorf("told apart:\n%s\n%s", said[0], said[1])
			}
		})
	}
}
