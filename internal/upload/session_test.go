package upload_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/httpapi"
)

const (
	mib  = 1 << 20
	life = 72 * time.Hour
)

// G56: contents of every size around a block's arrive, announced or not, and a repeated complete has one effect (C6).
func TestSessionSizes(t *testing.T) {
	s := newServer(t, 0)
	for i, size := range []int64{0, 1, blob.BlockSize - 1, blob.BlockSize, blob.BlockSize + 1, 3*blob.BlockSize + 7} {
		for _, known := range []bool{false, true} {
			c := contentOf(blobtest.Bytes(int64(i), size))
			var more fields
			path := fmt.Sprint("/", i, known)
			if known {
				c.data = append([]byte("other"), c.data...)
				c = contentOf(c.data)
				more = announced(c)
			}
			u := s.begin(path, c, more)
			if u.MissingCount != blob.Blocks(int64(len(c.data))) || u.Token == "" || u.Challenge != nil {
				t.Fatalf("%d bytes: %+v", size, u)
			}
			s.fill(u, c)
			n := s.complete(u.ID).node(t, 201)
			s.wantContent(n, c.data)
			if again := s.complete(u.ID).node(t, 201); again != n {
				t.Errorf("completed again: %+v, before %+v", again, n)
			}
			if got := s.show(u.ID); got.Node == nil || *got.Node != n || got.Token != "" {
				t.Errorf("%+v", got)
			}
		}
	}
	if s.staged() != 0 {
		t.Error("something is left in the staging")
	}
}

// Every bad request that begins an upload, and what it is answered. None leaves anything.
func TestCreateRefuses(t *testing.T) {
	s := newServer(t, 100*mib)
	s.put(to("/there"), strings.NewReader("x")).node(t, 201)
	before, room := s.state(), s.available(1)
	one := contentOf([]byte("x"))
	two := contentOf(blobtest.Bytes(1, blob.BlockSize+1))
	for _, c := range []struct {
		name    string
		body    string
		headers []string
		status  int
		code    string
	}{
		{"no path", `{"size":1}`, nil, 400, "bad_field"},
		{"no size", `{"path":"/f"}`, nil, 400, "bad_field"},
		{"negative size", `{"path":"/f","size":-1}`, nil, 400, "bad_field"},
		{"size as text", `{"path":"/f","size":"1"}`, nil, 400, "bad_field"},
		{"size beyond int64", `{"path":"/f","size":9223372036854775808}`, nil, 400, "bad_field"},
		{"size of 1.5", `{"path":"/f","size":1.5}`, nil, 400, "bad_field"},
		{"too large for an upload", `{"path":"/f","size":5497558138881}`, nil, 413, "too_large"},
		{"too large for the drive", `{"path":"/f","size":104857600}`, nil, 507, "quota_exceeded"},
		{"relative path", `{"path":"f","size":1}`, nil, 400, "bad_path"},
		{"path with ..", `{"path":"/a/../f","size":1}`, nil, 400, "bad_path"},
		{"the root", `{"path":"/","size":1}`, nil, 409, "is_a_folder"},
		{"no parent", `{"path":"/none/f","size":1}`, nil, 404, "parent_not_found"},
		{"below a file", `{"path":"/there/f","size":1,"parents":true}`, nil, 409, "not_a_folder"},
		{"conflict that is none", `{"path":"/f","size":1,"conflict":"merge"}`, nil, 400, "bad_field"},
		{"taken", `{"path":"/there","size":1,"conflict":"fail"}`, nil, 409, "name_taken"},
		{"taken, If-None-Match", `{"path":"/there","size":1}`, []string{"If-None-Match: *"}, 412, "stale"},
		{"bad If-None-Match", `{"path":"/f","size":1}`, []string{`If-None-Match: "x"`}, 400, "bad_field"},
		{"old ETag", `{"path":"/there","size":1}`, []string{`If-Match: "x"`}, 412, "stale"},
		{"bad key", `{"path":"/f","size":1}`, []string{"Idempotency-Key: a b"}, 400, "bad_field"},
		{"bad time", `{"path":"/f","size":1,"modifiedAt":"yesterday"}`, nil, 400, "bad_time"},
		{"time before 1970", `{"path":"/f","size":1,"modifiedAt":"1969-01-01T00:00:00Z"}`, nil, 400, "bad_time"},
		{"unknown field", `{"path":"/f","size":1,"owner":2}`, nil, 400, "unknown_field"},
		// B062
		{"digest in capitals", `{"path":"/f","size":1,"digest":"` + strings.ToUpper(one.digest) + `"}`, nil, 400, "bad_digest"},
		{"digest too short", `{"path":"/f","size":1,"digest":"` + one.digest[1:] + `"}`, nil, 400, "bad_digest"},
		{"digest too long", `{"path":"/f","size":1,"digest":"` + one.digest + `0"}`, nil, 400, "bad_digest"},
		{"digest with %", `{"path":"/f","size":1,"digest":"%` + one.digest[1:] + `"}`, nil, 400, "bad_digest"},
		{"digest with SQL", `{"path":"/f","size":1,"digest":"' OR 1=1 --"}`, nil, 400, "bad_digest"},
		{"digest with a path", `{"path":"/f","size":1,"digest":"../../../etc/passwd"}`, nil, 400, "bad_digest"},
		{"block's sum in capitals", `{"path":"/f","size":1,"blocks":["` + strings.ToUpper(one.blocks[0]) + `"]}`, nil, 400, "bad_digest"},
		{"too many blocks", `{"path":"/f","size":1,"blocks":["` + strings.Join(two.blocks, `","`) + `"]}`, nil, 400, "bad_field"},
		{"too few blocks", `{"path":"/f","size":4194305,"blocks":["` + two.blocks[0] + `"]}`, nil, 400, "bad_field"},
		{"blocks that are not the digest's", `{"path":"/f","size":1,"digest":"` + two.digest + `","blocks":["` + one.blocks[0] + `"]}`, nil, 400, "digest_mismatch"},
		{"a block as number", `{"path":"/f","size":1,"blocks":[1]}`, nil, 400, "bad_field"},
		{"no JSON", `path=/f`, nil, 400, "bad_json"},
		{"nobody", `{"path":"/f","size":1}`, []string{"Authorization: "}, 401, "unauthenticated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.do(http.MethodPost, "/api/v1/uploads", strings.NewReader(c.body), c.headers...).wantProblem(t, c.status, c.code)
		})
	}
	s.wantState(before)
	if got := s.available(1); got != room || s.staged() != 0 {
		t.Errorf("%d bytes of room, were %d; %d in the staging", got, room, s.staged())
	}
}

// Every bad block, and what it is answered. None changes what the next good one finds.
func TestBlocksRefused(t *testing.T) {
	s := newServer(t, 0)
	c := contentOf(blobtest.Bytes(1, 3*blob.BlockSize+10))
	other := blobtest.Bytes(2, blob.BlockSize)
	for name, u := range map[string]string{
		"announced": s.begin("/announced", c, announced(c)).ID, "unknown": s.begin("/unknown", c, nil).ID,
	} {
		s.block(u, 1, c.block(1)).wantStatus(t, 204)
		for _, r := range []struct {
			name    string
			n       string
			body    []byte
			headers []string
			status  int
			code    string
		}{
			{"negative number", "-1", c.block(0), nil, 400, "bad_block"},
			{"number beyond the end", "4", c.block(0), nil, 400, "bad_block"},
			{"number beyond int64", "9223372036854775808", c.block(0), nil, 400, "bad_field"},
			{"a name for a number", "first", c.block(0), nil, 400, "bad_field"},
			{"nothing", "0", nil, nil, 400, "bad_block"},
			{"too short", "0", c.block(0)[1:], nil, 400, "bad_block"},
			{"too long", "0", c.data[:blob.BlockSize+1], nil, 400, "bad_block"},
			{"last too short", "3", c.block(3)[1:], nil, 400, "bad_block"},
			{"last too long", "3", append(bytes.Clone(c.block(3)), 1), nil, 400, "bad_block"},
			{"last as if it were none", "3", other, nil, 400, "bad_block"},
			{"beyond the end", "2", append(bytes.Clone(c.data[2*blob.BlockSize:]), other...), nil, 400, "bad_block"},
			{"not what its digest says", "0", c.block(0), []string{digestOf(other)}, 400, "block_mismatch"},
			{"several, not what their digest says", "2", c.data[2*blob.BlockSize:], []string{digestOf(other)}, 400, "block_mismatch"},
			{"bad digest", "0", c.block(0), []string{"Content-Digest: sha-256=abc"}, 400, "bad_digest"},
			{"a range", "0", c.block(0), []string{"Content-Range: bytes 0-1/2"}, 400, "bad_field"},
			{"encoded", "0", c.block(0), []string{"Content-Encoding: gzip"}, 415, "encoded_body"},
			{"other bytes", "1", other, nil, 409, "block_differs"},
		} {
			t.Run(name+" "+r.name, func(t *testing.T) {
				if name == "announced" {
					switch r.name {
					case "other bytes":
						r.status, r.code = 400, "block_mismatch"
					case "several, not what their digest says":
						return // the sums that were announced say more than a digest of this request
					}
				}
				s.do(http.MethodPut, "/api/v1/uploads/"+u+"/blocks/"+r.n, bytes.NewReader(r.body), r.headers...).wantProblem(t, r.status, r.code)
				if got := s.show(u).Missing; fmt.Sprint(got) != "[0 2 3]" {
					t.Errorf("missing: %v", got)
				}
			})
		}
		s.complete(u).wantProblem(t, 409, "blocks_missing")
		s.fill(s.show(u), c)
		s.wantContent(s.complete(u).node(t, 201), c.data)
		s.block(u, 0, c.block(0)).wantProblem(t, 409, "upload_complete")
	}
}

// A request may carry several blocks, may not say how long its body is, may repeat what is here, and may not carry
// more than it should.
func TestBlocksTogether(t *testing.T) {
	s := newServer(t, 0)
	s.up.RequestBlocks = 3
	c := contentOf(blobtest.Bytes(1, 4*blob.BlockSize+10))
	for i, c := range []content{c, contentOf(append([]byte("other"), c.data[5:]...))} {
		var more fields
		if i == 1 { // else it would be there already
			more = announced(c)
		}
		path := fmt.Sprint("/", i)
		u := s.begin(path, c, more)
		if u.MaxRequestBlocks != 3 {
			t.Errorf("%+v", u)
		}
		s.block(u.ID, 0, c.data).wantProblem(t, 413, "too_large")
		// A body that breaks off keeps what was whole, unless the digest of all of it was to be the proof.
		s.cut(u.ID, 2, c.data[2*blob.BlockSize:], blob.BlockSize+5)
		s.wantMissing(u.ID, 0, 1, 3, 4)
		s.block(u.ID, 1, c.data[blob.BlockSize:3*blob.BlockSize], digestOf(c.data[blob.BlockSize:3*blob.BlockSize])).wantStatus(t, 204)
		s.wantMissing(u.ID, 0, 3, 4)
		unsaid := func(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} } // sent in chunks
		path = "/api/v1/uploads/" + u.ID + "/blocks/"
		s.do(http.MethodPut, path+"0", unsaid(c.data[:blob.BlockSize+1])).wantProblem(t, 400, "bad_block")
		s.do(http.MethodPut, path+"0", unsaid(c.data[:blob.BlockSize-1])).wantProblem(t, 400, "bad_block")
		s.wantMissing(u.ID, 0, 3, 4)
		s.do(http.MethodPut, path+"0", unsaid(c.block(0))).wantStatus(t, 204)
		s.do(http.MethodPut, path+"4", unsaid(c.block(4))).wantStatus(t, 204)
		s.block(u.ID, 2, c.data[2*blob.BlockSize:]).wantStatus(t, 204)
		s.block(u.ID, 2, c.data[2*blob.BlockSize:]).wantStatus(t, 204)
		s.wantMissing(u.ID)
		s.wantContent(s.complete(u.ID).node(t, 201), c.data)
	}
}

// S2, S5, G32: whatever the request, an upload that is not there and one that is not yours look the same.
func TestNotYours(t *testing.T) {
	s := newServer(t, 0)
	c := contentOf(blobtest.Bytes(1, blob.BlockSize+1))
	mine, theirs := s.begin("/f", c, announced(c)), s.begin("/f", c, announced(c), as(2)...)
	done := s.begin("/done", contentOf(nil), nil)
	s.complete(done.ID).node(t, 201)
	deleted := s.begin("/deleted", c, nil)
	s.remove(deleted.ID).wantStatus(t, 204)

	ended := s.begin("/ended", c, nil, as(3)...)
	s.signIns.ended.Store(int64(300), true)
	strangers := map[string][2]string{ // upload, and who asks
		"another user":             {mine.ID, "Authorization: Bearer 2"},
		"another user, done":       {done.ID, "Authorization: Bearer 2"},
		"deleted":                  {deleted.ID, "Authorization: Bearer 1"},
		"its token, deleted":       {deleted.ID, "Upload-Token: " + deleted.Token},
		"no such":                  {strings.Repeat("A", 26), "Authorization: Bearer 1"},
		"not even an id":           {"x", "Authorization: Bearer 1"},
		"an id with more":          {mine.ID + "A", "Authorization: Bearer 1"},
		"an id in small":           {strings.ToLower(mine.ID), "Authorization: Bearer 1"},
		"another upload's token":   {mine.ID, "Upload-Token: " + theirs.Token},
		"a made up token":          {mine.ID, "Upload-Token: " + strings.Repeat("A", 43)},
		"a token of an old signin": {ended.ID, "Upload-Token: " + ended.Token},
		"a wrong token, signed in": {mine.ID, "Upload-Token: " + theirs.Token + "\nAuthorization: Bearer 1"},
	}
	requests := []struct {
		method, path string
		body         []byte
	}{
		{http.MethodGet, "", nil},
		{http.MethodPut, "/blocks/0", c.block(0)},
		{http.MethodPut, "/blocks/0", []byte("wrong")},
		{http.MethodPut, "/blocks/99", c.block(0)},
		{http.MethodPost, "/proof", []byte(`{"answers":[]}`)},
		{http.MethodPost, "/complete", nil},
		{http.MethodDelete, "", nil},
	}
	before := s.state()
	for _, r := range requests {
		bodies := map[string]string{}
		for name, who := range strangers {
			headers := append([]string{"Authorization: "}, strings.Split(who[1], "\n")...)
			a := s.do(r.method, "/api/v1/uploads/"+who[0]+r.path, bytes.NewReader(r.body), headers...)
			a.wantProblem(t, 404, "not_found")
			text := strings.ReplaceAll(string(a.body), a.Header.Get("X-Request-Id"), "ID")
			bodies[text] += " " + name
		}
		if len(bodies) != 1 {
			t.Errorf("%s %s tells strangers apart: %q", r.method, r.path, bodies)
		}
		s.do(r.method, "/api/v1/uploads/"+mine.ID+r.path, bytes.NewReader(r.body), "Authorization: ").wantProblem(t, 401, "unauthenticated")
	}
	s.wantState(before)
	for _, u := range []string{mine.ID, theirs.ID} {
		owner := as(1)
		if u == theirs.ID {
			owner = as(2)
		}
		if got := s.show(u, owner...); got.MissingCount != 2 {
			t.Errorf("strangers changed %+v", got)
		}
	}
}

// S18: the token does all that the owner can do, for its upload, as long as the owner's sign-in lives.
func TestToken(t *testing.T) {
	s := newServer(t, 0)
	c := contentOf(blobtest.Bytes(1, blob.BlockSize+1))
	for _, finish := range []string{"complete", "delete"} {
		u := s.begin("/f", c, nil)
		token := []string{"Authorization: ", "Upload-Token: " + u.Token}
		s.fill(s.show(u.ID, token...), c, token...)
		if finish == "complete" {
			s.wantContent(s.complete(u.ID, token...).node(t, 201), c.data)
		} else {
			s.remove(u.ID, token...).wantStatus(t, 204)
		}
	}
	// What it does not open.
	u := s.begin("/g", c, nil)
	token := []string{"Authorization: ", "Upload-Token: " + u.Token}
	for _, path := range []string{"/api/v1/files?path=/", "/api/v1/drive"} {
		s.do(http.MethodGet, path, nil, token...).wantProblem(t, 401, "unauthenticated")
	}
	s.put(to("/h"), strings.NewReader("x"), token...).wantProblem(t, 401, "unauthenticated")
	s.post("", fields{"path": "/h", "size": 1}, token...).wantProblem(t, 401, "unauthenticated")

	s.show(u.ID, token...)
	s.signIns.ended.Store(int64(100), true)
	ended := time.Now()
	for s.do(http.MethodGet, "/api/v1/uploads/"+u.ID, nil, token...).StatusCode != 404 {
		if time.Since(ended) > time.Second {
			t.Fatal("the token outlives the sign-in by more than a second")
		}
	}
	s.show(u.ID) // the owner's, signed in anew
}

// C7, B162: an upload that nothing happens to ends, and its room is free again. One that goes on lives on.
func TestExpiry(t *testing.T) {
	s := newServer(t, 100*mib)
	c := contentOf(blobtest.Bytes(1, 3*blob.BlockSize))
	room := s.available(1)
	u := s.begin("/f", c, nil)
	if got := s.available(1); got != room-int64(len(c.data)) {
		t.Errorf("room for %d bytes after an upload of %d began in %d", got, len(c.data), room)
	}
	for n := range int64(3) {
		s.clock.advance(life - time.Minute)
		s.block(u.ID, n, c.block(n)).wantStatus(t, 204)
	}
	s.clock.advance(life - time.Minute)
	if err := s.tree.ReleaseExpired(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.available(1) == room {
		t.Error("an upload that lives has lost its room")
	}
	s.clock.advance(life/8 + time.Minute)
	s.do(http.MethodGet, "/api/v1/uploads/"+u.ID, nil).wantProblem(t, 404, "not_found")
	s.complete(u.ID).wantProblem(t, 404, "not_found")
	if err := s.tree.ReleaseExpired(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.available(1); got != room {
		t.Errorf("%d bytes of room, were %d", got, room)
	}
	if swept, err := s.store.Sweep(t.Context(), time.Now().Add(time.Minute)); err != nil || swept.Staged != 1 {
		t.Errorf("%+v %v", swept, err)
	}
}

// An upload that is given up leaves nothing; given up when it is complete it leaves the file.
func TestDelete(t *testing.T) {
	s := newServer(t, 100*mib)
	c := contentOf(blobtest.Bytes(1, blob.BlockSize+1))
	before, room := s.state(), s.available(1)
	for _, more := range []fields{nil, announced(c)} {
		u := s.begin("/f", c, more)
		s.block(u.ID, 1, c.block(1)).wantStatus(t, 204)
		s.remove(u.ID).wantStatus(t, 204)
		s.remove(u.ID).wantProblem(t, 404, "not_found")
		s.wantState(before)
		if s.available(1) != room || s.staged() != 0 {
			t.Errorf("%d bytes of room, were %d; %d in the staging", s.available(1), room, s.staged())
		}
	}
	u := s.begin("/f", c, nil)
	s.fill(u, c)
	n := s.complete(u.ID).node(t, 201)
	s.remove(u.ID).wantStatus(t, 204)
	s.complete(u.ID).wantProblem(t, 404, "not_found")
	s.wantContent(n, c.data)
	if got := s.available(1); got != room-n.Size {
		t.Errorf("%d bytes of room, want %d", got, room-n.Size)
	}
}

// C6: the same Idempotency-Key finds the same upload, also at once, and after it is done and gone the file.
func TestCreateAgain(t *testing.T) {
	s := newServer(t, 0)
	c := contentOf(blobtest.Bytes(1, blob.BlockSize+1))
	key := "Idempotency-Key: one"
	u := s.begin("/f", c, nil, key)
	s.block(u.ID, 0, c.block(0)).wantStatus(t, 204)
	again := s.begin("/f", c, nil, key)
	if again.ID != u.ID || again.MissingCount != 1 || again.Token == u.Token || again.Token == "" {
		t.Errorf("%+v is not %+v", again, u)
	}
	for _, token := range []string{u.Token, again.Token} { // whichever answer arrived
		s.show(u.ID, "Authorization: ", "Upload-Token: "+token)
	}
	s.post("", fields{"path": "/g", "size": len(c.data)}, key).wantProblem(t, 409, "key_reused")
	s.post("", fields{"path": "/f", "size": 1}, key).wantProblem(t, 409, "key_reused")
	s.begin("/f", c, nil, as(2, key)...) // another user's key is another key
	s.fill(again, c)
	n := s.complete(u.ID).node(t, 201)
	if got := s.begin("/f", c, nil, key); got.Node == nil || *got.Node != n {
		t.Errorf("%+v", got)
	}
	s.remove(u.ID).wantStatus(t, 204)
	if got := s.begin("/f", c, nil, key); got.Node == nil || *got.Node != n {
		t.Errorf("%+v", got)
	}

	room := s.available(1)
	var wg sync.WaitGroup
	ids := make(chan string, 20)
	for range cap(ids) {
		wg.Go(func() {
			ids <- s.post("", fields{"path": "/many", "size": 10}, "Idempotency-Key: two").upload(t, 201).ID
		})
	}
	wg.Wait()
	close(ids)
	first := <-ids
	for id := range ids {
		if id != first {
			t.Errorf("two uploads of one key: %s and %s", first, id)
		}
	}
	if got := s.available(1); first == "" || got != room-10 {
		t.Errorf("room for %d bytes, want %d", got, room-10)
	}
}

// B060, S7: two contents with one SHA-1 are two contents.
func TestSHA1Collision(t *testing.T) {
	s := newServer(t, 0)
	tail := blobtest.Bytes(1, 2*blob.BlockSize)
	var nodes []httpapi.Node
	for i, head := range shattered(t) {
		c := contentOf(append(head, tail...))
		nodes = append(nodes, s.upload(fmt.Sprint("/session", i), c, 201))
		n := s.put(to(fmt.Sprint("/put", i)), bytes.NewReader(c.data), fmt.Sprint("Repr-Digest: ", "sha=:"+sha1Of(c.data)+":")).node(t, 201)
		s.wantContent(n, c.data)
		other := s.begin("/f", c, announced(c), as(2, fmt.Sprint("Idempotency-Key: ", i))...)
		s.fill(other, c, as(2)...)
		s.wantContent(s.complete(other.ID, as(2)...).node(t, 201-i), c.data)
	}
	if nodes[0].Digest == nodes[1].Digest {
		t.Error("one digest for both")
	}
}
