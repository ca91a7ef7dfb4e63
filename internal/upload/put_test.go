package upload_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// onlyReader hides a reader's length, so that the body goes out in chunks.
type onlyReader struct{ io.Reader }

// digests is a Repr-Digest header with all sums of data that are checked.
func digests(data []byte) string {
	s256, s512, s1, s5 := sha256.Sum256(data), sha512.Sum512(data), sha1.Sum(data), md5.Sum(data)
	var all []string
	for name, sum := range map[string][]byte{"sha-256": s256[:], "sha-512": s512[:], "sha": s1[:], "md5": s5[:]} {
		all = append(all, name+"=:"+base64.StdEncoding.EncodeToString(sum)+":")
	}
	return strings.Join(all, ", ")
}

// S7, G56: bodies of sizes around the edges, with a length and in chunks, with sums and without, arrive as they are
// and get the digest that the plainest computation gives.
func TestSizes(t *testing.T) {
	s := newServer(t, 0)
	for i, size := range []int64{0, 1, 4095, 32 << 10, 32<<10 + 1, blob.BlockSize - 1, blob.BlockSize, blob.BlockSize + 1, 2*blob.BlockSize + 9} {
		data := blobtest.Bytes(size, size)
		want := blobtest.DigestOf(data).String()
		path := fmt.Sprintf("/dir/%d", size)
		n := s.put(to(path, "parents=true"), bytes.NewReader(data)).node(t, 201)
		if n.Size != size || n.Digest != want || n.Path != path || n.Version != 1 || !bytes.Equal(s.content(n), data) {
			t.Errorf("%d bytes: %+v, want digest %s", size, n, want)
		}
		known, err := s.tree.Resolve(t.Context(), &filemetapb.ResolveRequest{Actor: &filemetapb.Actor{UserId: 1}, Path: path})
		if sum := sha256.Sum256(data); err != nil || size <= blob.BlockSize && !bytes.Equal(known.GetSha256(), sum[:]) {
			t.Errorf("%d bytes: the SHA-256 is kept as %x, %v", size, known.GetSha256(), err)
		}
		for _, a := range []answer{
			s.put(to(path), onlyReader{bytes.NewReader(data)}), // chunks
			s.put(to(path), bytes.NewReader(data), "Repr-Digest: "+digests(data), "Gopan-Digest: "+want),
			s.put(to(path), onlyReader{bytes.NewReader(data)}, "Repr-Digest: "+digests(data), "Gopan-Digest: "+want),
		} {
			if again := a.node(t, 200); again != n { // C6: the same bytes again change nothing
				t.Errorf("%d bytes again: %+v, was %+v", size, again, n)
			}
		}
		data = append(data, byte(i))
		if n := s.put(to(path), onlyReader{bytes.NewReader(data)}).node(t, 200); n.Version != 2 || n.Size != size+1 || !bytes.Equal(s.content(n), data) {
			t.Errorf("a byte more: %+v", n)
		}
	}
	if n := s.temporary(); n != 0 {
		t.Errorf("%d files are still being written", n) // G45
	}
}

// D4, D5, G29: a request that is refused, for whatever reason, leaves all as it was.
func TestRefused(t *testing.T) {
	s := newServer(t, 1000)
	body := []byte("the new content")
	large := blobtest.Bytes(1, 900)
	old := s.put(to("/d/f", "parents=true"), strings.NewReader("old content")).node(t, 201)
	// From now on it is asked whether a body can be kept before it is: see TestSmallWithoutAsking.
	s.put(to("/d"), strings.NewReader("x")).wantProblem(t, 409, "is_a_folder")
	sum := func(data []byte) string {
		d := sha256.Sum256(data)
		return "sha-256=:" + base64.StdEncoding.EncodeToString(d[:]) + ":"
	}
	wrong := []byte("another content")
	for _, c := range []struct {
		name, query string
		body        []byte
		headers     []string
		status      int
		code        string
	}{
		{"wrong Repr-Digest", to("/d/f"), body, []string{"Repr-Digest: " + sum(wrong)}, 400, "digest_mismatch"},
		{"one of several wrong", to("/d/f"), body, []string{"Repr-Digest: md5=:" + base64.StdEncoding.EncodeToString(make([]byte, 16)) + ":, " + sum(body)}, 400, "digest_mismatch"},
		{"wrong in a second header", to("/d/f"), body, []string{"Repr-Digest: " + sum(body), "Repr-Digest: sha=:" + base64.StdEncoding.EncodeToString(make([]byte, 20)) + ":"}, 400, "digest_mismatch"},
		{"Repr-Digest of nothing", to("/d/f"), nil, []string{"Repr-Digest: " + sum(body)}, 400, "digest_mismatch"},
		{"malformed Repr-Digest", to("/d/f"), body, []string{"Repr-Digest: sha-256=abc"}, 400, "bad_digest"},
		{"short Repr-Digest", to("/d/f"), body, []string{"Repr-Digest: sha-256=:" + base64.StdEncoding.EncodeToString(body) + ":"}, 400, "bad_digest"},
		{"wrong Gopan-Digest", to("/d/f"), body, []string{"Gopan-Digest: " + blobtest.DigestOf(wrong).String()}, 400, "digest_mismatch"},
		{"Gopan-Digest of zeros", to("/d/f"), body, []string{"Gopan-Digest: " + strings.Repeat("0", 64)}, 400, "digest_mismatch"},
		{"upper-case Gopan-Digest", to("/d/f"), body, []string{"Gopan-Digest: " + strings.ToUpper(blobtest.DigestOf(body).String())}, 400, "bad_digest"},
		{"short Gopan-Digest", to("/d/f"), body, []string{"Gopan-Digest: abcd"}, 400, "bad_digest"},
		{"encoded body", to("/d/f"), body, []string{"Content-Encoding: gzip"}, 415, "encoded_body"}, // L02
		{"part of a body", to("/d/f"), body, []string{"Content-Range: bytes 0-14/100"}, 400, "bad_field"},
		{"If-Match, old", to("/d/f"), body, []string{`If-Match: "1-1"`}, 412, "stale"},
		{"If-Match, weak", to("/d/f"), body, []string{"If-Match: W/" + old.ETag}, 412, "stale"}, // B070
		{"If-Match, nothing there", to("/d/g"), body, []string{"If-Match: *"}, 412, "stale"},
		{"If-None-Match", to("/d/f"), body, []string{"If-None-Match: *"}, 412, "stale"},
		{"both", to("/d/f"), body, []string{"If-Match: " + old.ETag, "If-None-Match: *"}, 412, "stale"},
		{"If-None-Match with a tag", to("/d/f"), body, []string{"If-None-Match: " + old.ETag}, 400, "bad_field"},
		{"name taken", to("/d/f", "conflict=fail"), body, nil, 409, "name_taken"},
		{"unknown conflict", to("/d/f", "conflict=overwrite"), body, nil, 400, "bad_field"},
		{"over quota", to("/d/f"), blobtest.Bytes(2, 990), nil, 507, "quota_exceeded"},
		{"new, over quota", to("/new/f", "parents=true"), blobtest.Bytes(2, 990), nil, 507, "quota_exceeded"},
		{"no parent", to("/new/f"), body, nil, 404, "parent_not_found"},
		{"below a file", to("/d/f/g", "parents=true"), body, nil, 409, "not_a_folder"},
		{"over a folder", to("/d"), body, nil, 409, "is_a_folder"},
		{"over the root", to("/"), body, nil, 409, "is_a_folder"},
		{"no path", "", body, nil, 400, "bad_field"},
		{"two paths", to("/a", "path=/b"), body, nil, 400, "bad_field"},
		{"dots", to("/d/../f"), body, nil, 400, "bad_path"},
		{"relative", to("d/f"), body, nil, 400, "bad_path"},
		{"long name", to("/" + strings.Repeat("x", 256)), body, nil, 400, "bad_path"}, // B102
		{"not UTF-8", "path=/%ff", body, nil, 400, "bad_path"},
		{"key with spaces", to("/d/f"), body, []string{"Idempotency-Key: a b"}, 400, "bad_field"},
		{"long key", to("/d/f"), body, []string{"Idempotency-Key: " + strings.Repeat("k", 129)}, 400, "bad_field"},
		{"bad time", to("/d/f", "modifiedAt=yesterday"), body, nil, 400, "bad_time"},
		{"time before time", to("/d/f", "modifiedAt=1969-12-31T23:59:59Z"), body, nil, 400, "bad_time"},
		{"nobody", to("/d/f"), body, []string{"Authorization: Bearer x"}, 401, "unauthenticated"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.state()
			s.put(c.query, bytes.NewReader(c.body), c.headers...).wantProblem(t, c.status, c.code)
			s.wantState(before)
			if c.status != 412 && c.status != 415 || len(c.headers) == 0 {
				s.put(c.query, onlyReader{bytes.NewReader(c.body)}, c.headers...).wantProblem(t, c.status, c.code)
				s.wantState(before)
			}
		})
	}
	// What was refused for its size alone goes in when it fits: to the last byte (C7).
	s.put(to("/exact"), onlyReader{bytes.NewReader(large)}).node(t, 201)
	s.put(to("/last"), onlyReader{bytes.NewReader(large[:89])}).node(t, 201)
	s.put(to("/none"), strings.NewReader("")).node(t, 201)
	s.put(to("/one"), onlyReader{strings.NewReader("x")}).wantProblem(t, 507, "quota_exceeded")
}

// C5: If-Match and If-None-Match that hold.
func TestConditionsHold(t *testing.T) {
	s := newServer(t, 0)
	n := s.put(to("/f"), strings.NewReader("1"), "If-None-Match: *").node(t, 201)
	n = s.put(to("/f"), strings.NewReader("2"), `If-Match: "other", `+n.ETag).node(t, 200)
	n = s.put(to("/f"), strings.NewReader("3"), "If-Match: *").node(t, 200)
	if n.Version != 3 {
		t.Errorf("version %d", n.Version)
	}
	// Of many with one If-Match, one wins.
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			a := s.put(to("/f"), strings.NewReader(fmt.Sprint("racer ", i)), "If-Match: "+n.ETag)
			mu.Lock()
			defer mu.Unlock()
			statuses[a.StatusCode]++
		})
	}
	wg.Wait()
	if statuses[200] != 1 || statuses[412] != 15 {
		t.Errorf("statuses %v", statuses)
	}
}

// C6: a request with an Idempotency-Key that comes again gets the first answer and has no second effect, whatever its
// conflict rule and condition.
func TestIdempotencyKey(t *testing.T) {
	for _, c := range []struct {
		name, query string
		headers     []string
		status      int
	}{
		{"replace", to("/d/f"), nil, 200},
		{"fail", to("/d/new", "conflict=fail"), nil, 201},
		{"rename", to("/d/f", "conflict=rename"), nil, 201},
		{"If-None-Match", to("/d/new"), []string{"If-None-Match: *"}, 201},
		{"parents", to("/x/y/z", "parents=true"), nil, 201},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, 100)
			s.put(to("/d/f", "parents=true"), strings.NewReader("old")).node(t, 201)
			headers := append(c.headers, "Idempotency-Key: k-"+c.name)
			body := strings.Repeat("n", 60) // a second time would not fit
			first := s.put(c.query, strings.NewReader(body), headers...).node(t, c.status)
			before := s.state()
			for range 2 {
				if again := s.put(c.query, strings.NewReader(body), headers...).node(t, c.status); again != first {
					t.Errorf("the retry answered %+v, the first was %+v", again, first)
				}
				s.wantState(before)
			}
		})
	}
}

// conflict=rename finds a name that is free and still is one.
func TestRename(t *testing.T) {
	s := newServer(t, 0)
	long := strings.Repeat("长", 83) + ".txt" // 253 bytes
	for _, c := range []struct{ name, second, third string }{
		{"a.txt", "a (1).txt", "a (2).txt"},
		{"no ending", "no ending (1)", "no ending (2)"},
		{".bashrc", ".bashrc (1)", ".bashrc (2)"},
		{"x.tar.gz", "x.tar (1).gz", "x.tar (2).gz"},
		{"文件.txt", "文件 (1).txt", "文件 (2).txt"},
		{long, strings.Repeat("长", 82) + " (1).txt", strings.Repeat("长", 82) + " (2).txt"},
	} {
		for _, want := range []string{c.name, c.second, c.third} {
			n := s.put(to("/"+c.name, "conflict=rename"), strings.NewReader("x")).node(t, 201)
			if n.Name != want || n.Path != "/"+want || n.Version != 1 {
				t.Errorf("%q became %q at %q, want %q", c.name, n.Name, n.Path, want)
			}
		}
	}
	if a := s.do(http.MethodPost, "/api/v1/folders", strings.NewReader(`{"path":"/folder"}`)); a.StatusCode != 201 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if n := s.put(to("/folder", "conflict=rename"), strings.NewReader("x")).node(t, 201); n.Name != "folder (1)" {
		t.Errorf("beside a folder: %q", n.Name)
	}
}

// The content's own time is kept; without one it is now.
func TestModifiedAt(t *testing.T) {
	s := newServer(t, 0)
	n := s.put(to("/f", "modifiedAt=2001-02-03T04:05:06.789%2B01:00"), strings.NewReader("x")).node(t, 201)
	if n.ModifiedAt != "2001-02-03T03:05:06.789Z" {
		t.Errorf("modifiedAt %s", n.ModifiedAt)
	}
	if again := s.put(to("/f"), strings.NewReader("y")).node(t, 200); again.ModifiedAt <= "2026" || again.CreatedAt != n.CreatedAt {
		t.Errorf("without a time: %+v", again)
	}
}

// S1, G41: two users, and two names, have files of their own of the same bytes, stored once.
func TestSameBytes(t *testing.T) {
	s := newServer(t, 0)
	a := s.put(to("/f"), strings.NewReader("same")).node(t, 201)
	b := s.put(to("/f"), strings.NewReader("same"), "Authorization: Bearer 2").node(t, 201)
	c := s.put(to("/g"), strings.NewReader("same")).node(t, 201)
	if a.ID == b.ID || a.ID == c.ID || a.Digest != b.Digest || len(s.blobs()) != 1 {
		t.Errorf("%+v\n%+v\n%+v\n%d blobs", a, b, c, len(s.blobs()))
	}
}

// asked counts what the tree is asked before bodies are stored.
type asked struct {
	filemetapb.FileMetaClient
	n atomic.Int64
}

func (a *asked) Prepare(ctx context.Context, in *filemetapb.Target, opts ...grpc.CallOption) (*filemetapb.PrepareResponse, error) {
	a.n.Add(1)
	return a.FileMetaClient.Prepare(ctx, in, opts...)
}

// Small files of a user whose files were fine so far are stored without asking the tree first. One that is refused then
// leaves the tree as it was, and from then on it is asked again.
func TestSmallWithoutAsking(t *testing.T) {
	s := newServer(t, mib)
	tree := &asked{FileMetaClient: s.up.Tree}
	s.up.Tree = tree
	asks := func(want bool, a answer) answer {
		t.Helper()
		if got := tree.n.Swap(0); (got > 0) != want {
			t.Errorf("the tree was asked %d times", got)
		}
		return a
	}
	n := asks(true, s.put(to("/first"), strings.NewReader("x"))).node(t, 201)
	for i := range 3 {
		asks(false, s.put(to(fmt.Sprint("/", i)), strings.NewReader(fmt.Sprint(i)))).node(t, 201)
	}
	key := "Idempotency-Key: one"
	k := asks(false, s.put(to("/key", "conflict=rename"), strings.NewReader("x"), key)).node(t, 201)
	if again := asks(false, s.put(to("/key", "conflict=rename"), strings.NewReader("x"), key)).node(t, 201); again != k {
		t.Errorf("%+v and %+v", k, again)
	}
	asks(true, s.put(to("/first"), strings.NewReader("y"), "If-Match: "+n.ETag)).node(t, 200)
	asks(true, s.put(to("/first"), strings.NewReader("z"), "If-None-Match: *")).wantProblem(t, 412, "stale")
	asks(true, s.put(to("/first", "conflict=fail"), strings.NewReader("z"))).wantProblem(t, 409, "name_taken")
	asks(true, s.put(to("/large"), bytes.NewReader(make([]byte, 64<<10+1)))).node(t, 201)
	asks(true, s.put(to("/unsaid"), struct{ io.Reader }{strings.NewReader("x")})).node(t, 201)
	asks(true, s.put(to("/first"), strings.NewReader("x"), as(2)...)).node(t, 201)
	for _, refused := range []func() answer{
		func() answer { return s.put(to("/none/f"), strings.NewReader("refused")) },
		func() answer { return s.put(to("/first/f"), strings.NewReader("refused too")) },
	} {
		before, blobs := s.state(), len(s.blobs())
		a := asks(false, refused())
		if a.StatusCode < 400 || treeOf(s.state()) != treeOf(before) || len(s.blobs()) != blobs+1 {
			t.Errorf("%d %s, %d blobs after %d", a.StatusCode, a.body, len(s.blobs()), blobs)
		}
		before = s.state()
		asks(true, refused())
		s.wantState(before)
		asks(true, s.put(to("/first"), strings.NewReader("good"))).node(t, 200)
		s.clock.advance(11 * time.Minute)
	}
	asks(false, s.put(to("/first"), strings.NewReader("good again"))).node(t, 200)
}
