package s3_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/object"
	"github.com/livil/gopan/internal/blob/s3"
	"github.com/livil/gopan/internal/blob/s3/s3test"
	"github.com/livil/gopan/internal/errs"
)

// Requests that tests pick, by what they are for.
func isPut(folder string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/"+folder) && !r.URL.Query().Has("uploadId")
	}
}

func isGet(folder string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/"+folder) && !r.URL.Query().Has("uploadId")
	}
}

func isHead(r *http.Request) bool { return r.Method == http.MethodHead }

func isList(r *http.Request) bool { return r.URL.Query().Get("list-type") == "2" }

func isPart(r *http.Request) bool {
	return r.Method == http.MethodPut && r.URL.Query().Has("partNumber")
}

func isParts(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Query().Has("uploadId")
}

func isComplete(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

func any(*http.Request) bool { return true }

// bench is a store behind a proxy that breaks what it is told to.
type bench struct {
	*s3test.Proxy
	server s3test.Server
	bucket string
	store  *object.Store
}

const attempts = 3

func newBench(t *testing.T, server s3test.Server) bench {
	t.Helper()
	b := bench{Proxy: s3test.NewProxy(t, server), server: server, bucket: server.Bucket(t)}
	b.store = b.open(t)
	return b
}

// open opens the store again, as another process does.
func (b bench) open(t *testing.T) *object.Store {
	t.Helper()
	c := config(b.Server, b.bucket)
	c.Store.Attempts = attempts
	return open(t, c)
}

const (
	smallSize = 100_000
	oneSize   = blob.BlockSize + 1000 // a blob of blocks that one request can put
	partsSize = 2*8<<20 + 3*1000      // and one of parts
)

func put(t *testing.T, s blob.Store, data []byte, size int64) (blob.Ref, error) {
	t.Helper()
	return blob.Write(t.Context(), s, bytes.NewReader(data), blob.Want{Size: size, Limit: -1})
}

func stage(t *testing.T, s blob.Stager, data []byte) blob.Staged {
	t.Helper()
	size := int64(len(data))
	id, err := s.Stage(t.Context(), size)
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Staged(t.Context(), id, size)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func fill(t *testing.T, st blob.Staged, data []byte) error {
	t.Helper()
	return st.Write(t.Context(), 0, int64(len(data)), bytes.NewReader(data))
}

func sums(data []byte) []blob.Sum {
	var all []blob.Sum
	for len(data) > 0 {
		n := min(len(data), blob.BlockSize)
		all = append(all, sha256.Sum256(data[:n]))
		data = data[n:]
	}
	return all
}

func ref(data []byte) blob.Ref {
	return blob.Ref{Digest: blobtest.DigestOf(data), Size: int64(len(data))}
}

func read(t *testing.T, s blob.Store, of blob.Ref) ([]byte, error) {
	t.Helper()
	r, err := (&blob.Verifier{Store: s}).Open(t.Context(), of)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func wantBytes(t *testing.T, s blob.Store, data []byte) {
	t.Helper()
	if got, err := read(t, s, ref(data)); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("read %d bytes, %v; want the %d that were put", len(got), err, len(data))
	}
}

func wantNothing(t *testing.T, s blob.Store) {
	t.Helper()
	if err := s.List(t.Context(), func(e blob.Entry) error { t.Errorf("left %+v", e); return nil }); err != nil {
		t.Fatal(err)
	}
}

// wantOnly fails unless all that a bucket holds are some blobs: nothing is left of how they came.
func (b bench) wantOnly(t *testing.T, blobs ...[]byte) {
	t.Helper()
	var gens, datas, want int
	for _, k := range b.server.Keys(t, b.bucket) {
		switch {
		case strings.HasPrefix(k, "blobs/"):
			gens++
		case strings.HasPrefix(k, "data/"):
			datas++
		case k != "store.json":
			t.Errorf("left %s", k)
		}
	}
	for _, data := range blobs {
		if len(data) > blob.BlockSize {
			want++
		}
	}
	if gens != len(blobs) || datas != want {
		t.Errorf("%d generations and %d data of %d blobs, %d of them large", gens, datas, len(blobs), want)
	}
}

// wantBusy fails unless err says that the store is not to be had for now, and no more than may be in a log.
func wantBusy(t *testing.T, err error) {
	t.Helper()
	var e *errs.Error
	if !errs.Is(errs.Busy, err) || errs.CodeOf(err) != "store_unavailable" || !errors.As(err, &e) || e.RetryAfter <= 0 {
		t.Fatalf("%v; want a busy store, and when to come back", err)
	}
	for _, secret := range []string{s3test.AccessKey, s3test.SecretKey, "Signature", "blobs/", "data/", "http://"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows %q: %v", secret, err)
		}
	}
}

// Everything that a blob goes through, one step after the other.
var steps = []struct {
	name  string
	match func(*http.Request) bool
}{
	{"put a small blob", isPut("blobs/")}, {"put data", isPut("data/")}, {"begin", isPut("stage/")}, {"part", isPart},
	{"parts", isParts}, {"complete", isComplete}, {"list", isList}, {"head", isHead}, {"get", isGet("blobs/")},
	{"get data", isGet("data/")},
}

// everyWay puts three blobs, by every way in, and reads them.
func everyWay(t *testing.T, b bench) (all [][]byte) {
	t.Helper()
	for i, size := range []int64{smallSize, oneSize, partsSize} {
		data := blobtest.Bytes(int64(i), size)
		if _, err := put(t, b.store, data, size); err != nil {
			t.Fatalf("put %d bytes: %v", size, err)
		}
		data2 := blobtest.Bytes(int64(i+10), size)
		if _, err := put(t, b.store, data2, -1); err != nil {
			t.Fatalf("put %d bytes of unknown size: %v", size, err)
		}
		data3 := blobtest.Bytes(int64(i+20), size)
		st := stage(t, b.store, data3)
		if err := fill(t, st, data3); err != nil {
			t.Fatalf("stage %d bytes: %v", size, err)
		}
		if err := st.Commit(t.Context(), sums(data3)); err != nil {
			t.Fatalf("commit %d bytes: %v", size, err)
		}
		all = append(all, data, data2, data3)
	}
	for _, data := range all {
		wantBytes(t, b.store, data)
	}
	return all
}

// F27, F28, F29: each step fails twice, in every way, and nobody notices.
func TestStepsThatFailForAWhile(t *testing.T) {
	server := s3test.MinIO(t)
	for _, fault := range []struct {
		name  string
		fault s3test.Fault
	}{
		{"refuses", s3test.Says(503, "SlowDown")}, {"fails", s3test.Says(500, "InternalError")},
		{"throttles", s3test.Says(429, "TooManyRequests")}, {"breaks", s3test.Drops}, {"forgets to answer", s3test.Forgets},
		{"is damaged", s3test.Damages(500)},
	} {
		t.Run(fault.name, func(t *testing.T) {
			b := newBench(t, server)
			hits := map[string]func() int{}
			for _, s := range steps {
				if fault.name == "is damaged" && !strings.HasPrefix(s.name, "p") || s.name == "parts" && fault.name == "is damaged" {
					continue // these have no body
				}
				hits[s.name] = b.Break(attempts-1, s.match, fault.fault)
			}
			all := everyWay(t, b)
			for name, n := range hits {
				if n() != attempts-1 {
					t.Errorf("%s failed %d times", name, n())
				}
			}
			b.wantOnly(t, all...)
		})
	}
}

// F27: a store that is down is Busy after so many attempts, and as before when it is back.
func TestDown(t *testing.T) {
	b := newBench(t, s3test.MinIO(t))
	old := blobtest.Bytes(1, smallSize)
	if _, err := put(t, b.store, old, -1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"open", func() error { _, _, err := b.store.Open(t.Context(), ref(old)); return err }},
		{"put", func() error { _, err := put(t, b.store, old, -1); return err }},
		{"stage", func() error { _, err := b.store.Stage(t.Context(), 10); return err }},
		{"delete", func() error { _, err := b.store.Delete(t.Context(), ref(old).Digest, time.Now()); return err }},
		{"list", func() error { return b.store.List(t.Context(), func(blob.Entry) error { return nil }) }},
		{"sweep", func() error { _, err := b.store.Sweep(t.Context(), time.Now()); return err }},
		{"check", func() error { return b.store.Check(t.Context()) }},
	} {
		hits := b.Break(-1, any, s3test.Says(503, "SlowDown"))
		wantBusy(t, c.do())
		if n := hits(); n == 0 || n > 2*attempts {
			t.Errorf("%s asked %d times", c.name, n)
		}
		b.Heal()
	}
	b.Break(-1, any, s3test.Drops)
	_, err := put(t, b.store, old, -1)
	wantBusy(t, err)
	b.Heal()
	wantBytes(t, b.store, old)

	away := config(s3test.Server{URL: "http://127.0.0.1:1"}, "nowhere")
	away.Store.Attempts = 2
	_, err = s3.Open(t.Context(), away)
	wantBusy(t, err)
}

// F26: an answer that breaks off is taken up where it broke; one that always does is an error and no end.
func TestReadsThatBreakOff(t *testing.T) {
	b := newBench(t, s3test.MinIO(t))
	for _, size := range []int64{smallSize, partsSize} {
		data := blobtest.Bytes(size, size)
		if _, err := put(t, b.store, data, size); err != nil {
			t.Fatal(err)
		}
		for _, fault := range []s3test.Fault{s3test.Cuts(50_000), s3test.Ends(50_000)} {
			folder := "data/"
			if size == smallSize {
				folder = "blobs/"
			}
			hits := b.Break(4, isGet(folder), fault)
			wantBytes(t, b.store, data)
			if hits() == 0 {
				t.Error("nothing broke")
			}
			b.Heal()
			b.Break(-1, isGet(folder), s3test.Cuts(0))
			got, err := read(t, b.store, ref(data))
			if err == nil || errs.Is(errs.NotFound, err) || len(got) >= len(data) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
			b.Heal()
		}
		// F29: what comes back with other bits is never given out.
		b.Break(-1, isGet(map[bool]string{true: "blobs/", false: "data/"}[size == smallSize]), s3test.DamagesAnswer(10))
		if _, err := read(t, b.store, ref(data)); !errs.Is(errs.Corrupt, err) {
			t.Errorf("damaged bytes were read: %v", err)
		}
		b.Heal()
		wantBytes(t, b.store, data)
	}
}

// F29: bytes that are damaged on their way, each time, are not stored.
func TestWritesThatAreDamaged(t *testing.T) {
	b := newBench(t, s3test.MinIO(t))
	for _, match := range []func(*http.Request) bool{isPut("blobs/"), isPut("data/"), isPart} {
		for _, fault := range []s3test.Fault{s3test.Damages(5000), s3test.Mislabels} {
			size := int64(smallSize)
			r, _ := http.NewRequest(http.MethodPut, "http://x/b/data/x", nil)
			if match(r) {
				size = oneSize
			}
			r, _ = http.NewRequest(http.MethodPut, "http://x/b/data/x?partNumber=1&uploadId=1", nil)
			if match(r) {
				size = partsSize
			}
			data := blobtest.Bytes(size, size)
			hits := b.Break(-1, match, fault)
			_, err := put(t, b.store, data, size)
			wantBusy(t, err)
			if hits() == 0 {
				t.Error("nothing was damaged")
			}
			b.Heal()
			if _, err := b.store.Sweep(t.Context(), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.store.List(t.Context(), func(e blob.Entry) error {
		// The store has the right bytes, and said otherwise: a blob that nobody was told of.
		_, err := read(t, b.store, e.Ref)
		return err
	}); err != nil {
		t.Error(err)
	}
}
