package s3_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/s3"
	"github.com/livil/gopan/internal/blob/s3/s3test"
	"github.com/livil/gopan/internal/errs"
)

// F30: an answer 404 that is not the store's word on the matter is never "not there", "empty" or "complete".
func TestNotFoundThatIsNone(t *testing.T) {
	b := newBench(t, s3test.MinIO(t))
	small, large := blobtest.Bytes(1, smallSize), blobtest.Bytes(2, oneSize)
	for _, data := range [][]byte{small, large} {
		if _, err := put(t, b.store, data, -1); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		match func(*http.Request) bool
		fault s3test.Fault
	}{
		{"get", isGet("blobs/"), s3test.Says(404, "")}, {"get, in the store's words", isGet("blobs/"), s3test.Says(404, "NoSuchKey")},
		{"list", isList, s3test.Says(404, "")}, {"no bucket", isList, s3test.Says(404, "NoSuchBucket")},
		{"no xml", isList, s3test.Says(200, "")},
	} {
		b.Break(-1, c.match, c.fault)
		for _, data := range [][]byte{small, large} {
			if _, _, err := b.store.Open(t.Context(), ref(data)); err == nil || errs.Is(errs.NotFound, err) {
				t.Errorf("%s: Open = %v", c.name, err)
			}
			if c.name != "get" && c.name != "get, in the store's words" {
				if gone, err := b.store.Delete(t.Context(), ref(data).Digest, time.Now().Add(time.Hour)); gone || err == nil {
					t.Errorf("%s: Delete = %v, %v", c.name, gone, err)
				}
				if err := b.store.List(t.Context(), func(blob.Entry) error { return nil }); err == nil {
					t.Errorf("%s: List found an empty store", c.name)
				}
			}
		}
		b.Heal()
	}
	// HEAD has no body to say who answered; the list has the last word.
	b.Break(-1, isHead, s3test.Says(404, ""))
	wantBytes(t, b.store, small)
	wantBytes(t, b.store, large)
}

// F30: what the store says of an upload's parts is never taken for more than it says.
func TestPartsThatCannotBeListed(t *testing.T) {
	b := newBench(t, s3test.MinIO(t))
	for i, c := range []struct {
		name  string
		fault s3test.Fault
		kind  errs.Kind
	}{
		{"404", s3test.Says(404, ""), errs.Busy},
		{"no such key", s3test.Says(404, "NoSuchKey"), errs.Busy},
		{"no such upload", s3test.Says(404, "NoSuchUpload"), errs.NotFound},
		{"none", func(_ *s3test.Proxy, w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>`)
		}, errs.Internal},
		{"denied", s3test.Says(403, "AccessDenied"), errs.Internal},
	} {
		data := blobtest.Bytes(int64(30+i), partsSize)
		st := stage(t, b.store, data)
		if err := fill(t, st, data); err != nil {
			t.Fatal(err)
		}
		b.Break(-1, isParts, c.fault)
		if err := st.Commit(t.Context(), sums(data)); !errs.Is(c.kind, err) {
			t.Errorf("%s: Commit = %v, want %v", c.name, err, c.kind)
		}
		wantNothing(t, b.store)
		b.Heal()
		if err := st.Commit(t.Context(), sums(data)); err != nil {
			t.Fatalf("%s: Commit once the store is well = %v", c.name, err)
		}
		wantBytes(t, b.store, data)
		if _, err := b.store.Delete(t.Context(), ref(data).Digest, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	b.wantOnly(t)
}

// F28: a Commit that failed, with whatever outcome in the store, is taken up by the next.
func TestCommitTakenUp(t *testing.T) {
	b := newBench(t, s3test.MinIO(t))
	var all [][]byte
	for i, c := range []struct {
		name  string
		match func(*http.Request) bool
		fault s3test.Fault
	}{
		{"complete never arrives", isComplete, s3test.Drops},
		{"completed, and the sums not stored", isPut("blobs/"), s3test.Says(503, "SlowDown")},
		{"completed and nothing known of it", func(r *http.Request) bool {
			return isComplete(r) || isHead(r) || isList(r) && r.URL.Query().Get("prefix") != "" && strings.HasPrefix(r.URL.Query().Get("prefix"), "data/")
		}, s3test.Forgets},
		{"all but the answer", func(r *http.Request) bool {
			return isList(r) && strings.HasPrefix(r.URL.Query().Get("prefix"), "drop/")
		}, s3test.Drops},
	} {
		data := blobtest.Bytes(int64(40+i), partsSize)
		all = append(all, data)
		st := stage(t, b.store, data)
		if err := fill(t, st, data); err != nil {
			t.Fatal(err)
		}
		b.Break(-1, c.match, c.fault)
		wantBusy(t, st.Commit(t.Context(), sums(data)))
		b.Heal()
		// In the last case the blob is there, and the session over: that is for the caller to find out.
		if err := st.Commit(t.Context(), sums(data)); err != nil && !errs.Is(errs.NotFound, err) {
			t.Fatalf("%s: the next Commit = %v", c.name, err)
		}
		wantBytes(t, b.store, data)
	}
	if _, err := b.store.Sweep(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.wantOnly(t, all...)
}

// F32: what processes that died have begun is gone after a Sweep, and what lives is not.
func TestAbandoned(t *testing.T) {
	b := newBench(t, s3test.MinIO(t))
	kept := blobtest.Bytes(1, oneSize)
	if _, err := put(t, b.store, kept, -1); err != nil {
		t.Fatal(err)
	}
	data := blobtest.Bytes(2, partsSize)
	st := stage(t, b.store, data)
	if err := st.Write(t.Context(), 0, 8<<20, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := st.Write(t.Context(), 8<<20, blob.BlockSize, bytes.NewReader(data[8<<20:])); err != nil {
		t.Fatal(err)
	}
	streamed, err := b.store.Create(t.Context(), -1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := streamed.Write(data); err != nil {
		t.Fatal(err)
	}
	begun := 0
	for _, k := range b.server.Keys(t, b.bucket) {
		if strings.HasSuffix(k, "/begin") {
			begun++
		}
	}
	other := b.open(t)
	if got, err := other.Sweep(t.Context(), time.Now().Add(-time.Hour)); err != nil || got.Staged != 0 || begun != 2 {
		t.Fatalf("Sweep of what is old = %+v, %v; %d were begun", got, err, begun)
	}
	got, err := other.Sweep(t.Context(), time.Now().Add(time.Hour))
	if err != nil || got.Staged != 2 || got.Bytes < 8<<20+blob.BlockSize {
		t.Fatalf("Sweep = %+v, %v", got, err)
	}
	if err := st.Commit(t.Context(), sums(data)); !errs.Is(errs.NotFound, err) {
		t.Errorf("Commit after Sweep = %v", err)
	}
	if err := streamed.Commit(t.Context(), partsSize, sums(data)); err == nil {
		t.Error("Commit of a stream whose upload was swept away")
	}
	b.wantOnly(t, kept)
	wantBytes(t, b.store, kept)
}

// Bytes that no blob has, sums that have no bytes, and marks of long ago: Sweep clears up after every crash.
func TestSweepAfterCrashes(t *testing.T) {
	b := newBench(t, s3test.MinIO(t))
	data := blobtest.Bytes(1, oneSize)
	// A crash between the bytes and the sums.
	b.Break(-1, isPut("blobs/"), s3test.Drops)
	if _, err := put(t, b.store, data, -1); err == nil {
		t.Fatal("put without sums")
	}
	b.Heal()
	if _, err := b.store.Sweep(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := len(b.server.Keys(t, b.bucket)); n != 2 {
		t.Fatalf("%d keys; young bytes stay, whoever put them may be at it still", n)
	}
	if _, err := b.store.Sweep(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.wantOnly(t)

	// A crash in the middle of Delete: generations gone, bytes there.
	if _, err := put(t, b.store, data, -1); err != nil {
		t.Fatal(err)
	}
	b.Break(-1, isPut("drop/"), s3test.Drops)
	if _, err := b.store.Delete(t.Context(), ref(data).Digest, time.Now().Add(time.Hour)); err == nil {
		t.Fatal("Delete without its bytes")
	}
	b.Heal()
	if _, _, err := b.store.Open(t.Context(), ref(data)); !errs.Is(errs.NotFound, err) {
		t.Errorf("Open = %v", err)
	}
	if _, err := b.store.Sweep(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.wantOnly(t)

	// Bytes that went missing: the blob is not there, and can be put again.
	if _, err := put(t, b.store, data, -1); err != nil {
		t.Fatal(err)
	}
	for _, k := range b.server.Keys(t, b.bucket) {
		if strings.HasPrefix(k, "data/") {
			b.server.Remove(t, b.bucket, k)
		}
	}
	if _, _, err := b.store.Open(t.Context(), ref(data)); !errs.Is(errs.NotFound, err) {
		t.Errorf("Open of a blob without bytes = %v", err)
	}
	if _, err := put(t, b.store, data, -1); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, b.store, data)
}

// F18: a bucket that is not this store's is an error, not an empty store.
func TestOtherBucket(t *testing.T) {
	server := s3test.MinIO(t)
	bucket := server.Bucket(t)
	c := config(server, bucket)
	c.Store.Init = false
	if _, err := s3.Open(t.Context(), c); err == nil {
		t.Error("opened a bucket without a store")
	}
	c.Store.Init, c.Store.ID = true, "one"
	open(t, c)
	c.Store.Init = false
	open(t, c)
	c.Store.ID = "two"
	if _, err := s3.Open(t.Context(), c); err == nil {
		t.Error("opened another's store")
	}
	c.Store.Init, c.Store.Prefix = true, "two/"
	two := open(t, c)
	if _, err := put(t, two, blobtest.Bytes(1, oneSize), -1); err != nil {
		t.Fatal(err)
	}
	c.Store.ID, c.Store.Prefix = "one", ""
	found := 0
	if err := open(t, c).List(t.Context(), func(e blob.Entry) error {
		found++
		if !strings.HasPrefix(e.Foreign, "two/") {
			t.Errorf("listed %+v", e)
		}
		return nil
	}); err != nil || found == 0 {
		t.Errorf("List = %v, %d found", err, found)
	}
}

// By https, with a certificate of one's own; without it, no.
func TestTLS(t *testing.T) {
	server := s3test.MinIO(t)
	p := s3test.NewTLSProxy(t, server)
	b := bench{Proxy: p, server: server, bucket: server.Bucket(t)}
	b.store = b.open(t)
	everyWay(t, b)
	c := config(p.Server, b.bucket)
	c.CAFile = ""
	if _, err := s3.Open(t.Context(), c); !errs.Is(errs.Internal, err) {
		t.Errorf("a server whose certificate nobody vouches for: %v", err)
	}
}

// A link gives the bytes with the headers that were asked for, by ranges too, and to nobody without it.
func TestLink(t *testing.T) {
	b := newBench(t, s3test.MinIO(t))
	for _, size := range []int64{smallSize, oneSize} {
		data := blobtest.Bytes(1, size)
		if _, err := put(t, b.store, data, -1); err != nil {
			t.Fatal(err)
		}
		h := blob.LinkHeaders{ContentType: "text/plain", ContentDisposition: `attachment; filename="a b.txt"`}
		link, err := b.store.Link(t.Context(), ref(data), h, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		resp, got := s3test.Get(t, link)
		if resp.StatusCode != 200 || !bytes.Equal(got, data) || resp.Header.Get("Content-Type") != h.ContentType ||
			resp.Header.Get("Content-Disposition") != h.ContentDisposition {
			t.Errorf("the link gives %d, %d bytes, %v", resp.StatusCode, len(got), resp.Header)
		}
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		u.RawQuery = ""
		if resp, _ := s3test.Get(t, u.String()); resp.StatusCode != 403 {
			t.Errorf("without its signature it gives %d", resp.StatusCode)
		}
	}
	if _, err := b.store.Link(t.Context(), blob.Ref{Digest: blob.Digest{1}, Size: 3}, blob.LinkHeaders{}, time.Minute); !errs.Is(errs.NotFound, err) {
		t.Errorf("a link to nothing: %v", err)
	}
}

// F22, F31: with hardly any memory everything gets through, many at a time.
func TestLittleMemory(t *testing.T) {
	server := s3test.MinIO(t)
	c := config(server, server.Bucket(t))
	c.Store.WriteMemory, c.Store.ReadMemory = 1, 1
	s := open(t, c)
	var wg sync.WaitGroup
	for i := range int64(6) {
		wg.Go(func() {
			data := blobtest.Bytes(i, partsSize)
			if i%2 == 0 {
				if _, err := put(t, s, data, -1); err != nil {
					t.Error(err)
					return
				}
			} else {
				id, err := s.Stage(t.Context(), partsSize)
				if err != nil {
					t.Error(err)
					return
				}
				st, err := s.Staged(t.Context(), id, partsSize)
				if err == nil {
					err = st.Write(t.Context(), 0, partsSize, bytes.NewReader(data))
				}
				if err == nil {
					err = st.Commit(t.Context(), sums(data))
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
			if got, err := read(t, s, ref(data)); err != nil || !bytes.Equal(got, data) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
}
