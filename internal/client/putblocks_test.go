package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livil/gopan/internal/client/clienttest"
)

// wire counts the block requests that a server got, and may answer them.
type wire struct {
	mu     sync.Mutex
	blocks []string
	// before, if set, sees each block request; if it returns true it has answered it.
	before func(w http.ResponseWriter, r *http.Request, n int) bool
}

func watchBlocks(s *clienttest.Server) *wire {
	x := &wire{}
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !isBlock(r) {
			return false
		}
		x.mu.Lock()
		x.blocks = append(x.blocks, fmt.Sprintf("%s %d", r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], r.ContentLength))
		n := len(x.blocks)
		before := x.before
		x.mu.Unlock()
		return before != nil && before(w, r, n)
	})
	return x
}

func isBlock(r *http.Request) bool { return strings.Contains(r.URL.Path, "/blocks/") }

// sent gives the block requests so far, in the order of their blocks, and forgets them.
func (x *wire) sent() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := x.blocks
	x.blocks = nil
	slices.SortFunc(out, func(a, b string) int {
		var m, n int
		fmt.Sscan(a, &m)
		fmt.Sscan(b, &n)
		return m - n
	})
	return out
}

// sender sends one file to /d/f, and remembers where it broke off in a folder of its own.
type sender struct {
	t     *testing.T
	s     *clienttest.Server
	c     *Client
	file  string
	state *Unfinished
	rec   *record
}

func newSender(t *testing.T, data []byte) *sender {
	s := clienttest.New(t)
	dir := t.TempDir()
	x := &sender{t: t, s: s, c: signedIn(t, s), file: filepath.Join(dir, "f"), state: &Unfinished{Dir: filepath.Join(dir, "state")}}
	write(t, x.file, data)
	return x
}

func (x *sender) put(ctx context.Context, to string) (Summary, error) {
	x.rec = newRecord()
	tr := &Transfer{Client: x.c, Progress: x.rec, Unfinished: x.state}
	return tr.PutTree(ctx, []Pair{{x.file, to}})
}

// ok sends it, and holds what arrived against the file.
func (x *sender) ok(to string) Summary {
	x.t.Helper()
	sum, err := x.put(x.t.Context(), to)
	if err != nil || sum.Failed > 0 {
		x.t.Fatalf("%+v, %v, %v", sum, err, x.rec.errs)
	}
	want, err := os.ReadFile(x.file)
	if got := x.s.Get(to); err != nil || got == nil || !bytes.Equal(got.Data, want) {
		x.t.Fatalf("%s did not arrive as it is: %v", to, err)
	}
	return sum
}

// pending are the uploads that can be gone on with.
func (x *sender) pending() int {
	x.t.Helper()
	found, err := filepath.Glob(filepath.Join(x.state.Dir, "*"))
	if err != nil {
		x.t.Fatal(err)
	}
	return len(found)
}

// interrupt stops the transfer, as Ctrl-C does, when the server has so many blocks.
func (x *sender) interrupt(after int) {
	x.t.Helper()
	ctx, cancel := context.WithCancel(x.t.Context())
	defer cancel()
	w := watchBlocks(x.s)
	w.before = func(rw http.ResponseWriter, r *http.Request, n int) bool {
		if n <= after {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body) // only then the server hears that the client is gone
		for x.s.Arrived() < after && r.Context().Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
		<-r.Context().Done()
		return true
	}
	if sum, err := x.put(ctx, "/d/f"); !errors.Is(err, context.Canceled) || sum.Failed+sum.Files > 0 {
		x.t.Fatalf("interrupted: %+v, %v", sum, err)
	}
}

const fiveBlocks = 4*BlockSize + 1000

func TestLargeFileInBlocks(t *testing.T) {
	for _, row := range []struct {
		group, most, limit int
		want               []string
	}{
		{0, 0, 0, []string{"0 4194304", "1 4194304", "2 4194304", "3 4194304", "4 1000"}},
		{2, 0, 0, []string{"0 8388608", "2 8388608", "4 1000"}},
		{4, 2, 0, []string{"0 8388608", "2 8388608", "4 1000"}},
		// More are missing than one answer says.
		{1, 0, 2, []string{"0 4194304", "1 4194304", "2 4194304", "3 4194304", "4 1000"}},
	} {
		x := newSender(t, random(t, fiveBlocks))
		x.s.RequestBlocks, x.s.MaxRequestBlocks, x.s.MissingLimit = row.group, row.most, row.limit
		w := watchBlocks(x.s)
		var moved atomic.Int64
		when := time.Date(2020, 2, 29, 12, 30, 15, 5000, time.UTC)
		if err := os.Chtimes(x.file, when, when); err != nil {
			t.Fatal(err)
		}
		sum := x.ok("/d/f")
		if got := w.sent(); !slices.Equal(got, row.want) {
			t.Errorf("%+v: sent %q", row, got)
		}
		if sum.Files != 1 || sum.Bytes != fiveBlocks || sum.Kept != 0 || !x.s.Get("/d/f").Modified.Equal(when) {
			t.Errorf("%+v: %+v", row, sum)
		}
		if x.s.Uploads() != 0 || x.pending() != 0 || moved.Load() != 0 {
			t.Errorf("%+v: %d uploads are left on the server, %d here", row, x.s.Uploads(), x.pending())
		}
	}
}

// inFlight counts the requests that are under way.
type inFlight struct {
	http.RoundTripper
	now, most atomic.Int64
}

func (f *inFlight) RoundTrip(r *http.Request) (*http.Response, error) {
	now := f.now.Add(1)
	defer f.now.Add(-1)
	for {
		most := f.most.Load()
		if now <= most || f.most.CompareAndSwap(most, now) {
			break
		}
	}
	return f.RoundTripper.RoundTrip(r)
}

// However many large files there are, no more requests are under way than was asked for; a single one has several.
func TestConnectionsAreBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		write(t, filepath.Join(dir, fmt.Sprint(i)), random(t, fiveBlocks))
	}
	for _, row := range []struct {
		local           string
		parallel        int
		atLeast, atMost int64
	}{{dir, 1, 1, 1}, {dir, 3, 2, 3}, {dir, 6, 4, 6}, {filepath.Join(dir, "0"), 8, 2, streams}} {
		s := clienttest.New(t)
		c := signedIn(t, s)
		count := &inFlight{RoundTripper: NewHTTPClient().Transport}
		c = &Client{BaseURL: s.URL, Credentials: c.Credentials, HTTP: &http.Client{Transport: count}}
		tr := &Transfer{Client: c, Parallel: row.parallel}
		sum, err := tr.PutTree(t.Context(), []Pair{{row.local, "/d"}})
		if err != nil || sum.Failed > 0 {
			t.Fatalf("%+v, %v", sum, err)
		}
		if most := count.most.Load(); most < row.atLeast || most > row.atMost {
			t.Errorf("%+v: %d requests at once", row, most)
		}
	}
}

// What the server has in another file is not sent; of a new version only what changed.
func TestInstantAndDelta(t *testing.T) {
	data := random(t, fiveBlocks)
	x := newSender(t, data)
	w := watchBlocks(x.s)
	x.ok("/d/f")
	w.sent()
	sum := x.ok("/d/other name")
	if got := w.sent(); len(got) > 0 || sum.Files != 1 || sum.Bytes != 0 || sum.Kept != fiveBlocks || x.rec.kept != fiveBlocks {
		t.Errorf("the same content: sent %q, %+v", got, sum)
	}
	data[BlockSize+5]++
	write(t, x.file, data)
	sum = x.ok("/d/f")
	if got := w.sent(); !slices.Equal(got, []string{"1 4194304"}) || sum.Bytes != BlockSize || sum.Kept != fiveBlocks-BlockSize {
		t.Errorf("a block changed: sent %q, %+v", got, sum)
	}
	sum = x.ok("/d/f")
	if got := w.sent(); len(got) > 0 || sum.Unchanged != 1 || sum.Files != 0 {
		t.Errorf("nothing changed: sent %q, %+v", got, sum)
	}
	if x.s.Uploads() != 0 || x.pending() != 0 {
		t.Errorf("%d uploads are left on the server, %d here", x.s.Uploads(), x.pending())
	}
}

// Content of others needs proof; when the proof is not taken, the bytes go over.
func TestProofOfPossession(t *testing.T) {
	for _, row := range []struct {
		name string
		fail http.HandlerFunc
		want int
	}{
		{"taken", nil, 0},
		{"not taken", func(w http.ResponseWriter, _ *http.Request) {
			clienttest.Problem(w, http.StatusForbidden, "proof_failed")
		}, 5},
		{"too many failures", func(w http.ResponseWriter, _ *http.Request) {
			clienttest.Problem(w, http.StatusTooManyRequests, "too_many")
		}, 5},
	} {
		t.Run(row.name, func(t *testing.T) {
			data := random(t, fiveBlocks)
			x := newSender(t, data)
			x.s.Others(data)
			blocks, proofs := 0, 0
			var mu sync.Mutex
			x.s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case isBlock(r):
					blocks++
				case strings.HasSuffix(r.URL.Path, "/proof"):
					proofs++
					if row.fail != nil {
						row.fail(w, r)
						return true
					}
				}
				return false
			})
			x.ok("/d/f")
			if blocks != row.want || proofs != 1 {
				t.Errorf("%d blocks and %d proofs, want %d and 1", blocks, proofs, row.want)
			}
		})
	}
}

// An upload that broke off goes on at the next run, also in another process after another sign-in: what arrived
// does not go again (F08).
func TestResume(t *testing.T) {
	const arrived = 2
	for _, row := range []struct {
		name    string
		between func(x *sender)
		// want is how many block requests the second run makes; at most a stream's worth were cut off.
		least, most int
	}{
		{"as it is", func(*sender) {}, 1, 5 - arrived},
		{"the file was touched", func(x *sender) {
			if err := os.Chtimes(x.file, time.Now(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}, 1, 5 - arrived},
		{"signed in anew", func(x *sender) {
			x.s.EndTokens()
			if _, err := x.c.Login(t.Context(), clienttest.Login, clienttest.Password); err != nil {
				t.Fatal(err)
			}
		}, 1, 5 - arrived},
		{"the server has forgotten", func(x *sender) { x.s.Forget() }, 5, 5},
		{"it changed", func(x *sender) { write(t, x.file, random(t, fiveBlocks)) }, 5, 5},
		{"what was kept is damaged", func(x *sender) {
			found, _ := filepath.Glob(filepath.Join(x.state.Dir, "*"))
			for _, name := range found {
				write(t, name, []byte(`{"id":"x"`))
			}
		}, 5, 5},
	} {
		t.Run(row.name, func(t *testing.T) {
			x := newSender(t, random(t, fiveBlocks))
			x.interrupt(arrived)
			if x.pending() != 1 || x.s.Uploads() != 1 {
				t.Fatalf("%d uploads are kept here and %d on the server, want 1", x.pending(), x.s.Uploads())
			}
			row.between(x)
			w := watchBlocks(x.s)
			sum := x.ok("/d/f")
			if got := w.sent(); len(got) < row.least || len(got) > row.most {
				t.Errorf("the second run sent %q, want %d to %d", got, row.least, row.most)
			}
			if row.most < 5 && (sum.Kept < arrived*BlockSize || sum.Kept != x.rec.kept) {
				t.Errorf("kept %d and told of %d, want at least %d", sum.Kept, x.rec.kept, arrived*BlockSize)
			}
			if sum.Bytes+sum.Kept != fiveBlocks {
				t.Errorf("%+v", sum)
			}
			if x.pending() != 0 {
				t.Errorf("%d uploads are kept here, want none", x.pending())
			}
			// The one of the damaged file is the server's to end.
			if row.name != "what was kept is damaged" && x.s.Uploads() != 0 {
				t.Errorf("%d uploads are left on the server", x.s.Uploads())
			}
		})
	}
}

// An upload that was complete before its process could forget it does not stand for the file that is there now.
func TestResumeOfWhatIsComplete(t *testing.T) {
	x := newSender(t, random(t, fiveBlocks))
	x.interrupt(2)
	kept, _ := filepath.Glob(filepath.Join(x.state.Dir, "*"))
	if len(kept) != 1 {
		t.Fatalf("kept: %v", kept)
	}
	note, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	x.s.Intercept(nil)
	x.ok("/d/f")
	x.s.Put("/d/f", []byte("by somebody else"), time.Now())
	write(t, kept[0], note)
	later := time.Now().Add(time.Hour)
	if err := errors.Join(os.Chmod(kept[0], 0o600), os.Chtimes(kept[0], later, later)); err != nil {
		t.Fatal(err)
	}
	if sum := x.ok("/d/f"); sum.Files != 1 {
		t.Errorf("%+v", sum)
	}
}

// The second run does not read the file before it sends, for its sums are kept.
func TestSumsAreKept(t *testing.T) {
	x := newSender(t, random(t, fiveBlocks))
	x.interrupt(2)
	f, err := os.Open(x.file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Transfer: &Transfer{Client: x.c, Unfinished: x.state}, progress: silent{}}
	l := &largeFile{run: r, it: &Item{Local: x.file, Remote: "/d/f", Size: info.Size()}, f: f, info: info}
	before := l.remember(t.Context())
	defer l.claim.release()
	if before == nil {
		t.Fatal("nothing was kept")
	}
	before.Sums[0]++ // a reading would put it right
	if err := l.sum(t.Context(), before); err != nil || l.sums[0] != before.Sums[0] {
		t.Errorf("the sums were made anew: %v", err)
	}
	before.Stamp.Changed++
	if err := l.sum(t.Context(), before); err != nil || l.sums[0] == before.Sums[0] {
		t.Errorf("old sums were taken for a file that may have changed: %v", err)
	}
}

// Two processes that send the same file to the same place do not share an upload.
func TestOneUploadOneProcess(t *testing.T) {
	u := &Unfinished{Dir: filepath.Join(t.TempDir(), "state")}
	at := target{Server: "s", Account: "a", Local: "/l", Remote: "/r"}
	first, _ := u.claim(at)
	if first == nil {
		t.Fatal("no claim")
	}
	first.save(begun{target: at, ID: "u1", Size: 1, Sums: make(blockSums, 32)}, time.Hour)
	if second, before := u.claim(at); second != nil || before != nil {
		t.Error("two have it")
	}
	other := at
	other.Account = "b"
	if c, before := u.claim(other); c == nil || before != nil {
		t.Errorf("another account: %v, %v", c, before)
	} else {
		c.release()
	}
	first.release()
	c, before := u.claim(at)
	if before == nil || before.ID != "u1" {
		t.Fatalf("after the first: %+v", before)
	}
	info, err := os.Stat(c.name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v; want 0600", info.Mode(), err)
	}
	u.Sweep(time.Now().Add(2 * time.Hour)) // it is ours
	c.release()
	u.Sweep(time.Now().Add(30 * time.Minute))
	if c, before := u.claim(at); before == nil {
		t.Error("an upload that still lives was swept")
	} else {
		c.release()
	}
	u.Sweep(time.Now().Add(2 * time.Hour))
	if left, err := os.ReadDir(u.Dir); err != nil || len(left) != 0 {
		t.Errorf("after its time: %v, %v", left, err)
	}
}

// A file that changes on its way up is never made of two halves, and its upload is given up (D4).
func TestLargeFileThatChanges(t *testing.T) {
	for _, how := range []string{"its bytes", "its time", "its length"} {
		t.Run(how, func(t *testing.T) {
			data := random(t, fiveBlocks)
			x := newSender(t, data)
			x.s.Put("/d/f", []byte("old"), time.Now())
			w := watchBlocks(x.s)
			w.before = func(_ http.ResponseWriter, _ *http.Request, n int) bool {
				if n != 1 {
					return false
				}
				f, err := os.OpenFile(x.file, os.O_WRONLY, 0)
				if err != nil {
					t.Error(err)
					return false
				}
				defer f.Close()
				switch how {
				case "its bytes":
					_, err = f.WriteAt([]byte("changed"), fiveBlocks-10)
				case "its time":
					err = os.Chtimes(x.file, time.Now(), time.Now().Add(time.Minute))
				default:
					err = f.Truncate(fiveBlocks - 1)
				}
				if err != nil {
					t.Error(err)
				}
				return false
			}
			sum, err := x.put(t.Context(), "/d/f")
			if err != nil || sum.Failed != 1 || !errors.Is(x.rec.errs["/d/f"], ErrChanged) {
				t.Errorf("%+v, %v, %v", sum, err, x.rec.errs)
			}
			if string(x.s.Get("/d/f").Data) != "old" || x.s.Uploads() != 0 || x.pending() != 0 {
				t.Errorf("%d uploads are left, %d here", x.s.Uploads(), x.pending())
			}
			w.before = nil
			x.ok("/d/f")
		})
	}
}

// Faults on the way cost time and nothing else.
func TestBlocksThroughFaults(t *testing.T) {
	busy := func(w http.ResponseWriter, _ *http.Request) {
		clienttest.Problem(w, http.StatusServiceUnavailable, "busy")
	}
	isComplete := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/complete") }
	isCreate := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/uploads") }
	for _, row := range []struct {
		name  string
		match func(*http.Request) bool
		fault http.HandlerFunc
	}{
		{"a busy server", isBlock, busy},
		{"too many requests", isBlock, func(w http.ResponseWriter, _ *http.Request) {
			clienttest.Problem(w, http.StatusTooManyRequests, "too_many")
		}},
		{"a cut line", isBlock, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
			hangUp(w, r)
		}},
		{"damage on the way", isBlock, func(w http.ResponseWriter, _ *http.Request) {
			clienttest.Problem(w, http.StatusBadRequest, "block_mismatch")
		}},
		{"other bytes there", isBlock, func(w http.ResponseWriter, _ *http.Request) {
			clienttest.Problem(w, http.StatusConflict, "block_differs")
		}},
		{"a lost answer to the creation", isCreate, hangUp},
		{"a lost answer to the end", isComplete, hangUp},
		{"an end by no answer", isComplete, busy},
	} {
		t.Run(row.name, func(t *testing.T) {
			x := newSender(t, random(t, fiveBlocks))
			x.s.Intercept(first(2, row.match, row.fault))
			var moved atomic.Int64
			rec := newRecord()
			rec.advance = func(_ *Item, n int64) { moved.Add(n) }
			sum, err := (&Transfer{Client: x.c, Progress: rec, Unfinished: x.state}).PutTree(t.Context(), []Pair{{x.file, "/d/f"}})
			if err != nil || sum.Files != 1 || x.s.Get("/d/f").Version != 1 {
				t.Errorf("%+v, %v, %v", sum, err, rec.errs)
			}
			if moved.Load()+rec.kept != fiveBlocks {
				t.Errorf("told of %d bytes and %d kept, want %d", moved.Load(), rec.kept, fiveBlocks)
			}
		})
	}
}

// Blocks that the server lost go again before the end.
func TestLostBlocksGoAgain(t *testing.T) {
	x := newSender(t, random(t, fiveBlocks))
	var ends atomic.Int32
	x.s.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/complete") && ends.Add(1) == 1 {
			x.s.Lose(3)
		}
		return false
	})
	x.ok("/d/f")
	if ends.Load() != 2 {
		t.Errorf("%d ends, want 2", ends.Load())
	}
}

// An expired sign-in does not stop an upload, and an upload that is refused for good leaves nothing behind.
func TestUploadsAndAccess(t *testing.T) {
	x := newSender(t, random(t, fiveBlocks))
	w := watchBlocks(x.s)
	w.before = func(_ http.ResponseWriter, _ *http.Request, n int) bool {
		if n == 2 {
			x.s.Revoke()
		}
		return false
	}
	x.ok("/d/f")
	if x.s.Calls("POST /auth/refresh") != 0 {
		t.Error("the upload's own token was not used")
	}
	write(t, x.file, random(t, fiveBlocks))
	w.before = func(_ http.ResponseWriter, _ *http.Request, n int) bool {
		x.s.Mkdir("/d/g")
		return false
	}
	sum, err := x.put(t.Context(), "/d/g")
	if err != nil || sum.Failed != 1 || !HasStatus(x.rec.errs["/d/g"], http.StatusConflict) {
		t.Errorf("%+v, %v, %v", sum, err, x.rec.errs)
	}
	if x.s.Uploads() != 0 || x.pending() != 0 {
		t.Errorf("%d uploads are left, %d here", x.s.Uploads(), x.pending())
	}
}

// Without a place to remember, uploads work all the same.
func TestUploadWithoutState(t *testing.T) {
	x := newSender(t, random(t, fiveBlocks))
	write(t, filepath.Join(filepath.Dir(x.file), "in-the-way"), nil)
	for _, state := range []*Unfinished{nil, {Dir: filepath.Join(filepath.Dir(x.file), "in-the-way")}} {
		x.state = state
		write(t, x.file, random(t, fiveBlocks))
		x.ok("/d/f")
	}
}

func TestSumBlocks(t *testing.T) {
	for _, n := range []int64{1, BlockSize, BlockSize + 1, 3*BlockSize + 7} {
		data := random(t, int(n))
		sums, err := sumBlocks(t.Context(), bytes.NewReader(data), n)
		if err != nil || sums.digest() != clienttest.Digest(data) || len(sums.list()) != blocksOf(n) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if _, err := sumBlocks(t.Context(), bytes.NewReader(data), n+1); !errors.Is(err, ErrChanged) {
			t.Errorf("a byte short of %d: %v", n+1, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sumBlocks(ctx, bytes.NewReader(nil), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
