package upload_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/upload"
)

// three is a content of three blocks.
func three(seed int64) content { return contentOf(blobtest.Bytes(seed, 2*blob.BlockSize+5)) }

// One's own content needs no bytes and no proof, whatever its size: as another file, a new version, after the first was
// deleted, and for no bytes at all.
func TestInstantSelf(t *testing.T) {
	s := newServer(t, 0)
	for i, data := range [][]byte{nil, []byte("small"), blobtest.Bytes(1, blob.BlockSize+1)} {
		c := contentOf(data)
		first := s.upload(fmt.Sprint("/a", i), c, 201)
		for j, more := range []fields{{"digest": c.digest}, announced(c)} {
			u := s.begin(fmt.Sprint("/b", i, j), c, more)
			if u.Node == nil || u.Challenge != nil || u.MissingCount != 0 {
				t.Fatalf("%+v", u)
			}
			s.wantContent(*u.Node, data)
			if got := s.show(u.ID); *got.Node != *u.Node {
				t.Errorf("%+v", got)
			}
			if n := s.complete(u.ID).node(t, 201); n != *u.Node {
				t.Errorf("%+v", n)
			}
		}
		s.do(http.MethodDelete, "/api/v1/files/"+first.ID, nil).wantStatus(t, 204)
		if u := s.begin(fmt.Sprint("/a", i), c, announced(c)); u.Node == nil {
			t.Error("content in the trash is still one's own")
		}
	}
	if s.staged() != 0 {
		t.Error("something is in the staging")
	}
}

// Content that the tree knows and the store has lost is sent, and then there again.
func TestInstantLost(t *testing.T) {
	s := newServer(t, 0)
	c := contentOf(blobtest.Bytes(1, blob.BlockSize+1))
	n := s.upload("/f", c, 201)
	d, _ := blob.ParseDigest(c.digest)
	if gone, err := s.store.Delete(t.Context(), d, time.Now().Add(time.Hour)); err != nil || !gone {
		t.Fatal(gone, err)
	}
	u := s.begin("/g", c, announced(c))
	if u.Node != nil || u.MissingCount != 2 {
		t.Fatalf("%+v", u)
	}
	s.fill(u, c)
	s.wantContent(s.complete(u.ID).node(t, 201), c.data)
	s.wantContent(n, c.data)
}

// S6: who proves that they have what another user stored need not send it. Only then.
func TestInstantOther(t *testing.T) {
	s := newServer(t, 0)
	c := contentOf(blobtest.Bytes(1, 18*blob.BlockSize+5)) // more blocks than a challenge asks for
	s.upload("/theirs", c, 201)
	u := s.begin("/mine", c, announced(c), as(2)...)
	if u.Node != nil || u.Challenge == nil || u.MissingCount != 19 {
		t.Fatalf("%+v", u)
	}
	if n := u.Challenge.Blocks; len(n) != 16 || slices.Max(n) > 18 || slices.Min(n) < 0 || len(slices.Compact(slices.Sorted(slices.Values(n)))) != 16 {
		t.Errorf("the challenge is about %v", n)
	}
	if got := s.show(u.ID, as(2)...); got.Challenge == nil || got.Challenge.Nonce != u.Challenge.Nonce {
		t.Errorf("%+v", got)
	}
	if other := s.begin("/mine2", c, announced(c), as(2)...); other.Challenge.Nonce == u.Challenge.Nonce ||
		slices.Equal(other.Challenge.Blocks, u.Challenge.Blocks) {
		t.Error("two challenges are alike")
	}
	answers := c.answers(t, u.Challenge)
	got := s.prove(u.ID, answers, as(2)...).upload(t, 200)
	if got.Node == nil || got.MissingCount != 0 {
		t.Fatalf("%+v", got)
	}
	s.wantContent(*got.Node, c.data)
	if again := s.prove(u.ID, answers, as(2)...).upload(t, 200); *again.Node != *got.Node {
		t.Errorf("%+v", again)
	}
	if n := s.complete(u.ID, as(2)...).node(t, 201); n != *got.Node {
		t.Errorf("%+v", n)
	}
	// B064: the first to have it deletes it for good; the other's is whole.
	n := s.do(http.MethodGet, "/api/v1/stat?path=/theirs", nil).node(t, 200)
	s.do(http.MethodDelete, "/api/v1/files/"+n.ID, nil).wantStatus(t, 204)
	s.do(http.MethodDelete, "/api/v1/trash/"+n.ID, nil)
	s.wantContent(*got.Node, c.data)
}

// S5: a wrong proof spends the challenge, and the upload goes on with blocks. Ten wrong proofs in an hour are the end
// of it, at once or one after the other.
func TestWrongProof(t *testing.T) {
	s := newServer(t, 0)
	s.up.Dedupe.MinSize = 1
	c := three(1)
	s.upload("/theirs", c, 201)
	var u upload.Upload
	for name, spoil := range map[string]func(right []string) []string{
		"none":           func([]string) []string { return []string{} },
		"one is missing": func(r []string) []string { return r[1:] },
		"one too many":   func(r []string) []string { return append(r, r[0]) },
		"out of order":   func(r []string) []string { r[0], r[1] = r[1], r[0]; return r },
		"one is wrong":   func(r []string) []string { r[2] = strings.Repeat("0", 64); return r },
	} {
		u = s.begin("/f", c, announced(c), as(2)...)
		s.prove(u.ID, spoil(c.answers(t, u.Challenge)), as(2)...).wantProblem(t, 403, "proof_failed")
		if got := s.show(u.ID, as(2)...); got.Challenge != nil || got.Node != nil || got.MissingCount != 3 {
			t.Fatalf("%s: %+v", name, got)
		}
		s.prove(u.ID, c.answers(t, u.Challenge), as(2)...).wantProblem(t, 403, "proof_failed") // spent
	}
	// Another challenge's answers are wrong ones.
	u = s.begin("/f", c, announced(c), as(2)...)
	s.prove(u.ID, c.answers(t, s.begin("/f", c, announced(c), as(2)...).Challenge), as(2)...).wantProblem(t, 403, "proof_failed")
	s.prove(u.ID, []string{"xyz"}, as(2)...).wantProblem(t, 400, "bad_digest")
	// The upload goes on.
	s.fill(u, c, as(2)...)
	s.wantContent(s.complete(u.ID, as(2)...).node(t, 201), c.data)

	// C8: of many at once no more are judged than there may be.
	failed := atomic.Int32{}
	var wg sync.WaitGroup
	var fresh []upload.Upload
	for range 20 {
		fresh = append(fresh, s.begin("/g", c, announced(c), as(3)...))
	}
	for _, u := range fresh {
		wg.Go(func() {
			a := s.prove(u.ID, []string{}, as(3)...)
			if a.StatusCode == 403 {
				failed.Add(1)
				return
			}
			a.wantProblem(t, 429, "too_many")
			if a.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		})
	}
	wg.Wait()
	if failed.Load() != 10 {
		t.Errorf("%d proofs were judged, want 10", failed.Load())
	}
	last := s.begin("/g", c, announced(c), as(3)...)
	s.prove(last.ID, c.answers(t, last.Challenge), as(3)...).wantProblem(t, 429, "too_many")
	s.clock.advance(time.Hour + time.Minute)
	if got := s.prove(last.ID, c.answers(t, last.Challenge), as(3)...).upload(t, 200); got.Node == nil {
		t.Errorf("%+v", got)
	}
}

// A challenge is answered once: of many right answers at once one is judged, and all come to one file.
func TestProofOnce(t *testing.T) {
	s := newServer(t, 0)
	s.up.Dedupe.MinSize = 1
	c := three(1)
	s.upload("/theirs", c, 201)
	u := s.begin("/f", c, announced(c), as(2)...)
	answers := c.answers(t, u.Challenge)
	var wg sync.WaitGroup
	var nodes sync.Map
	for range 8 {
		wg.Go(func() {
			a := s.prove(u.ID, answers, as(2)...)
			if a.StatusCode == 200 {
				nodes.Store(a.upload(t, 200).Node.ID, true)
				return
			}
			a.wantProblem(t, 403, "proof_failed")
		})
	}
	wg.Wait()
	n := 0
	nodes.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d files", n)
	}
}

// S6: below the least size, and when other users' content does not count, nothing of an answer and of what it does
// depends on what others have. Stored once all the same.
func TestOthersDoNotShow(t *testing.T) {
	changing := regexp.MustCompile(`"(id|token|expiresAt|createdAt|modifiedAt|etag|nonce|parentId)":"(?:[^"\\]|\\.)*"`)
	for name, dedupe := range map[string]upload.Dedupe{
		"global, too small": {Others: true, MinSize: 1 << 40}, "user": {MinSize: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, 1<<30)
			s.up.Dedupe = dedupe
			known, fresh := three(1), three(2)
			s.upload("/theirs", known, 201)
			blobs := len(s.blobs())
			for i, size := range []int64{5, 2*blob.BlockSize + 5} {
				known, fresh := contentOf(known.data[:size]), contentOf(fresh.data[:size])
				if i == 0 {
					s.upload("/theirs5", known, 201)
					blobs++
				}
				var said, did [2]string
				for j, c := range []content{known, fresh} {
					user := as(2 + j)
					u := s.begin("/f", c, announced(c), user...)
					b, err := json.Marshal(u)
					if err != nil {
						t.Fatal(err)
					}
					said[j] = string(b)
					did[j] = fmt.Sprint(s.available(int64(2+j)), s.staged())
					a := s.prove(u.ID, []string{}, user...)
					said[j] += string(a.body[:60])
					s.fill(u, c, user...)
					a = s.complete(u.ID, user...)
					n := a.node(t, 201-i) // the second content is a new version
					s.wantContent(n, c.data)
					said[j] += strings.ReplaceAll(string(a.body), c.digest, "DIGEST")
					did[j] += fmt.Sprint(" ", s.available(int64(2+j)))
				}
				for j := range said {
					said[j] = changing.ReplaceAllString(said[j], "")
				}
				if said[0] != said[1] {
					t.Errorf("told apart:\n%s\n%s", said[0], said[1])
				}
				// The second upload has the same effects, but that the first left its blob.
				if did[0] != did[1] {
					t.Errorf("effects: %s and %s", did[0], did[1])
				}
				blobs++
				if got := len(s.blobs()); got != blobs {
					t.Errorf("%d blobs, want %d: stored once", got, blobs)
				}
			}
		})
	}
}
