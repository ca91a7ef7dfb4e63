package upload_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/transfer"
	"github.com/livil/gopan/internal/upload"
)

// steps of the property test in each of its checks; -rapid.checks and -rapid.steps make it longer.
const steps = 60

// sized sets how much the property test does, unless the command line says so.
func sized(t *testing.T) {
	t.Helper()
	for name, n := range map[string]int{"rapid.checks": checks, "rapid.steps": steps} {
		given := false
		flag.Visit(func(fl *flag.Flag) { given = given || fl.Name == name })
		if !given {
			if err := flag.Set(name, strconv.Itoa(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// mfile is a file of the model: its contents, the newest last.
type mfile struct{ versions [][]byte }

func (f *mfile) now() []byte { return f.versions[len(f.versions)-1] }

// msession is an upload of the model.
type msession struct {
	id, token, path, key string
	want                 content
	digest, blocks       bool // announced
	// got are the blocks that the upload has, or will copy; nil: missing.
	got  [][]byte
	room int64
	// sealed: its blob was made, and not committed yet; a collection may have taken it since.
	sealed, collected bool
	node              *httpapi.Node
}

// mover plays uploads of one user against the role, and against the model.
type mover struct {
	*server
	t        *rapid.T
	user     int64
	handlers [2]http.Handler
	files    map[string]*mfile
	open     []*msession
	quota    int64
	failures int
	keys     int
	pool     []content
}

// C6, C7, C9, D1, D4, F05, F50: whatever is asked of uploads, in whatever order and of whichever process, answers
// lost, processes replaced, time passing and blobs being collected: the answers, the files and the room are what the
// model says.
func TestUploadsAgainstModel(t *testing.T) {
	sized(t)
	const quota = 1 << 40
	s := newServer(t, quota)
	s.up.Dedupe.MinSize = 1
	base := blobtest.Bytes(1, 2*blob.BlockSize+3)
	changed := slices.Concat(base[:blob.BlockSize], blobtest.Bytes(2, blob.BlockSize/2))
	pool := []content{contentOf(nil), contentOf([]byte("small")), contentOf([]byte("other")), contentOf(base), contentOf(changed),
		contentOf(slices.Concat(base, base[:blob.BlockSize]))}
	user := int64(100)
	rapid.Check(t, func(rt *rapid.T) {
		user++ // a new drive in the same installation
		m := &mover{server: s, t: rt, user: user, files: map[string]*mfile{}, quota: quota, pool: pool}
		m.restart(0)
		m.restart(1)
		rt.Repeat(map[string]func(*rapid.T){
			"create":     m.tryCreate,
			"block":      m.tryBlock,
			"more block": m.tryBlock, // uploads get to an end by it
			"fill":       m.tryFill,
			"complete":   m.tryComplete,
			"prove":      m.tryProve,
			"delete":     m.tryDelete,
			"expire":     m.expire,
			"restart":    func(t *rapid.T) { m.restart(rapid.IntRange(0, 1).Draw(t, "which")) },
			"collect":    m.collect,
			"":           m.compare,
		})
	})
}

// restart puts a new process in the place of one of the two.
func (m *mover) restart(i int) {
	up := &upload.Service{
		Blobs: m.up.Blobs, Tree: m.up.Tree, Users: m.signIns, KV: m.kv, Now: m.clock.Now, Memory: &upload.Memory{Size: 64 << 20},
		Dedupe: m.up.Dedupe,
	}
	m.handlers[i] = handlerOf(m.server.t, m.tree, up)
}

// ask sends a request to one of the two processes.
func (m *mover) ask(method, path string, body []byte, headers ...string) answer {
	r := httptest.NewRequestWithContext(m.server.t.Context(), method, "/api/v1/uploads"+path, bytes.NewReader(body))
	r.Header.Set("Authorization", fmt.Sprint("Bearer ", m.user))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
		if name == "Upload-Token" {
			r.Header.Del("Authorization")
		}
	}
	w := httptest.NewRecorder()
	m.handlers[rapid.IntRange(0, 1).Draw(m.t, "process")].ServeHTTP(w, r)
	resp := w.Result()
	return answer{resp, w.Body.Bytes()}
}

func (m *mover) wantCode(a answer, what string, status int, code string) {
	var p httpapi.Problem
	if err := json.Unmarshal(a.body, &p); err != nil || a.StatusCode != status || p.Code != code {
		m.t.Fatalf("%s: %d %s, want %d %s", what, a.StatusCode, a.body, status, code)
	}
}

// pick draws an open upload; without any the step is skipped.
func (m *mover) pick(t *rapid.T) *msession {
	m.t = t
	if len(m.open) == 0 {
		t.Skip("none is open")
	}
	return m.open[rapid.IntRange(0, len(m.open)-1).Draw(t, "upload")]
}

// gone ends an upload in the model.
func (m *mover) gone(u *msession) {
	m.open = slices.DeleteFunc(m.open, func(o *msession) bool { return o == u })
}

// held tells whether the user has a content in any version.
func (m *mover) held(data []byte) bool {
	for _, f := range m.files {
		if slices.ContainsFunc(f.versions, func(v []byte) bool { return bytes.Equal(v, data) }) {
			return true
		}
	}
	return false
}

// becomes notes that a file has a content now.
func (m *mover) becomes(path string, data []byte) {
	f := m.files[path]
	if f == nil {
		f = new(mfile)
		m.files[path] = f
	}
	if len(f.versions) == 0 || !bytes.Equal(f.now(), data) {
		f.versions = append(f.versions, data)
	}
}

func (m *mover) tryCreate(t *rapid.T) {
	m.t = t
	u := &msession{
		path: rapid.SampledFrom([]string{"/a", "/b"}).Draw(t, "path"),
		want: rapid.SampledFrom(m.pool).Draw(t, "content"),
	}
	switch rapid.IntRange(0, 2).Draw(t, "announce") {
	case 1:
		u.digest = true
	case 2:
		u.digest, u.blocks = true, len(u.want.blocks) > 0
	}
	if len(m.open) > 4 {
		t.Skip("enough are open")
	}
	f := fields{"path": u.path, "size": len(u.want.data)}
	if u.digest {
		f["digest"] = u.want.digest
	}
	if u.blocks {
		f["blocks"] = u.want.blocks
	}
	body, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var headers []string
	if rapid.Bool().Draw(t, "lost answer") {
		m.keys++
		u.key = fmt.Sprint("key-", m.keys)
		headers = append(headers, "Idempotency-Key: "+u.key)
		m.ask(http.MethodPost, "", body, headers...)
	}
	a := m.ask(http.MethodPost, "", body, headers...)
	var got upload.Upload
	if err := json.Unmarshal(a.body, &got); err != nil || a.StatusCode != 201 {
		t.Fatalf("create: %d %s", a.StatusCode, a.body)
	}
	u.id, u.token = got.ID, got.Token
	if instant := u.digest && m.held(u.want.data); instant != (got.Node != nil) {
		t.Fatalf("instant: %v; %s", instant, a.body)
	} else if instant {
		m.becomes(u.path, u.want.data)
		return // it takes no room, and its session no longer matters
	}
	u.room = int64(len(u.want.data))
	u.got = make([][]byte, len(u.want.blocks))
	if f := m.files[u.path]; f != nil {
		for i, sum := range u.want.blocks {
			for _, v := range f.versions {
				if u.blocks && slices.Contains(contentOf(v).blocks, sum) {
					u.got[i] = u.want.block(int64(i))
				}
			}
		}
	}
	m.open = append(m.open, u)
}

// send sends a block and holds the answer against the model.
func (m *mover) send(u *msession, n int64, data []byte) {
	headers := []string{"Upload-Token: " + u.token}
	if rapid.Bool().Draw(m.t, "as owner") {
		headers = nil
	}
	path := fmt.Sprintf("/%s/blocks/%d", u.id, n)
	a := m.ask(http.MethodPut, path, data, headers...)
	if rapid.Bool().Draw(m.t, "lost answer") {
		a = m.ask(http.MethodPut, path, data, headers...)
	}
	right := bytes.Equal(data, u.want.block(n))
	switch {
	case u.node != nil:
		m.wantCode(a, "block", 409, "upload_complete")
	case u.sealed: // its staging is gone, which is found out at the end
	case u.blocks && !right:
		m.wantCode(a, "block", 400, "block_mismatch")
	case u.got[n] != nil && !bytes.Equal(u.got[n], data):
		m.wantCode(a, "block", 409, "block_differs")
	case a.StatusCode != 204:
		m.t.Fatalf("block %d: %d %s", n, a.StatusCode, a.body)
	default:
		u.got[n] = data
	}
}

func (m *mover) tryBlock(t *rapid.T) {
	u := m.pick(t)
	if len(u.want.blocks) == 0 {
		t.Skip("it has none")
	}
	n := rapid.Int64Range(0, int64(len(u.want.blocks))-1).Draw(t, "block")
	data := u.want.block(n)
	if rapid.IntRange(0, 3).Draw(t, "wrong") == 0 {
		data = bytes.Clone(data)
		data[0] ^= 1
	}
	m.send(u, n, data)
}

func (m *mover) tryFill(t *rapid.T) {
	u := m.pick(t)
	for n, b := range u.got {
		if b == nil {
			m.send(u, int64(n), u.want.block(int64(n)))
		}
	}
}

func (m *mover) tryComplete(t *rapid.T) {
	u := m.pick(t)
	data := slices.Concat(u.got...)
	whole := !slices.ContainsFunc(u.got, func(b []byte) bool { return b == nil })
	wrong := whole && u.digest && !bytes.Equal(data, u.want.data)
	healthy := m.up.Tree
	lost := rapid.SampledFrom([]string{"", "", "answer", "commit"}).Draw(t, "lost")
	if lost != "" {
		for i := range m.handlers {
			m.up.Tree = lossy{healthy, lost == "answer"}
			m.restart(i)
		}
		a := m.ask(http.MethodPost, "/"+u.id+"/complete", nil)
		m.up.Tree = healthy
		m.restart(0)
		m.restart(1)
		if u.collected && a.StatusCode == 404 {
			m.gone(u)
			return
		}
		if whole && !wrong && u.node == nil {
			m.wantCode(a, "complete without the tree", 503, "role_unavailable")
			u.sealed = u.sealed || len(data) > 0
			if lost == "answer" {
				m.becomes(u.path, data)
				u.room, u.collected = 0, false
			}
		}
		if rapid.Bool().Draw(t, "not now") {
			return
		}
	}
	a := m.ask(http.MethodPost, "/"+u.id+"/complete", nil, "Upload-Token: "+u.token)
	switch {
	case u.node != nil: // as before
	case !whole:
		m.wantCode(a, "complete", 409, "blocks_missing")
		return
	case wrong:
		m.wantCode(a, "complete", 400, "digest_mismatch")
		return
	case u.collected && a.StatusCode == 404:
		m.gone(u)
		return
	}
	var n httpapi.Node
	if err := json.Unmarshal(a.body, &n); err != nil || a.StatusCode > 201 {
		t.Fatalf("complete: %d %s", a.StatusCode, a.body)
	}
	if u.node != nil && *u.node != n {
		t.Fatalf("complete: %+v, before %+v", n, *u.node)
	}
	if u.node == nil {
		if n.Digest != contentOf(data).digest {
			t.Fatalf("complete: %+v is not what arrived", n)
		}
		if u.room > 0 || len(data) == 0 { // not after a complete whose answer was lost
			m.becomes(u.path, data)
		}
		u.node, u.room = &n, 0
	}
}

// tryProve answers a challenge: others, of other checks, have the same contents.
func (m *mover) tryProve(t *rapid.T) {
	u := m.pick(t)
	var now upload.Upload
	a := m.ask(http.MethodGet, "/"+u.id, nil)
	if err := json.Unmarshal(a.body, &now); err != nil {
		t.Fatal(err)
	}
	answers := []string{}
	right := now.Challenge != nil && rapid.Bool().Draw(t, "right")
	if right {
		answers = u.want.answers(m.server.t, now.Challenge)
	}
	body, err := json.Marshal(fields{"answers": answers})
	if err != nil {
		t.Fatal(err)
	}
	a = m.ask(http.MethodPost, "/"+u.id+"/proof", body)
	switch {
	case u.node != nil:
		if a.StatusCode != 200 {
			t.Fatalf("proof of what is done: %d %s", a.StatusCode, a.body)
		}
	case now.Challenge == nil:
		m.wantCode(a, "proof", 403, "proof_failed")
	case m.failures >= 10:
		m.wantCode(a, "proof", 429, "too_many")
	case !right:
		m.failures++
		m.wantCode(a, "proof", 403, "proof_failed")
	default:
		if err := json.Unmarshal(a.body, &now); err != nil || a.StatusCode != 200 || now.Node == nil {
			t.Fatalf("proof: %d %s", a.StatusCode, a.body)
		}
		if u.room > 0 {
			m.becomes(u.path, u.want.data)
		}
		u.node, u.room = now.Node, 0
	}
}

func (m *mover) tryDelete(t *rapid.T) {
	u := m.pick(t)
	if a := m.ask(http.MethodDelete, "/"+u.id, nil); a.StatusCode != 204 {
		t.Fatalf("delete: %d %s", a.StatusCode, a.body)
	}
	m.wantCode(m.ask(http.MethodDelete, "/"+u.id, nil), "delete again", 404, "not_found")
	m.gone(u)
}

// expire lets so much time pass that all uploads end.
func (m *mover) expire(t *rapid.T) {
	m.t = t
	m.clock.advance(life + life/8)
	if err := m.tree.ReleaseExpired(m.server.t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, u := range m.open {
		m.wantCode(m.ask(http.MethodGet, "/"+u.id, nil), "expired", 404, "not_found")
	}
	m.open, m.failures = nil, 0
}

// collect deletes every blob that nothing refers to, however young.
func (m *mover) collect(t *rapid.T) {
	c := &transfer.Service{Blobs: m.up.Blobs, Tree: m.up.Tree, Grace: -time.Hour}
	for range 2 {
		if _, err := c.Collect(m.server.t.Context(), transfer.Collection{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, u := range m.open {
		u.collected = u.collected || u.sealed
	}
}

// compare holds everything against the model.
func (m *mover) compare(t *rapid.T) {
	m.t = t
	room := m.quota
	for _, u := range m.open {
		room -= u.room
		a := m.ask(http.MethodGet, "/"+u.id, nil)
		var got upload.Upload
		if err := json.Unmarshal(a.body, &got); err != nil || a.StatusCode != 200 {
			t.Fatalf("get: %d %s", a.StatusCode, a.body)
		}
		var missing []int64
		for n, b := range u.got {
			if b == nil && u.node == nil {
				missing = append(missing, int64(n))
			}
		}
		if !slices.Equal(got.Missing, missing) || (got.Node == nil) != (u.node == nil) || got.Node != nil && *got.Node != *u.node {
			t.Fatalf("upload %s: %s, want %v missing and the node %+v", u.id, a.body, missing, u.node)
		}
	}
	for path, f := range m.files {
		a := m.server.do(http.MethodGet, "/api/v1/stat?"+to(path), nil, as(int(m.user))...)
		var n httpapi.Node
		if err := json.Unmarshal(a.body, &n); err != nil || a.StatusCode != 200 || n.Version != int64(len(f.versions)) {
			t.Fatalf("%s: %d %s, want version %d", path, a.StatusCode, a.body, len(f.versions))
		}
		if !bytes.Equal(m.content(n), f.now()) {
			t.Fatalf("%s: another content", path)
		}
		for _, v := range f.versions {
			room -= int64(len(v))
		}
	}
	if got := m.available(m.user); got != room {
		t.Fatalf("%d bytes of room, want %d", got, room)
	}
}
