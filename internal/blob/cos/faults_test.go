package cos_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/cos"
	"github.com/livil/gopan/internal/blob/cos/costest"
	"github.com/livil/gopan/internal/errs"
)

func put(t *testing.T, s blob.Store, data []byte) (blob.Ref, error) {
	t.Helper()
	return blob.Write(t.Context(), s, bytes.NewReader(data), blob.Want{Size: -1, Limit: -1})
}

func wantBytes(t *testing.T, s blob.Store, ref blob.Ref, want []byte) {
	t.Helper()
	r, err := (&blob.Verifier{Store: s}).Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes, %v", len(got), err)
	}
}

// No other credentials open the bucket, and no error shows them.
func TestCredentials(t *testing.T) {
	c := config(costest.New(t))
	c.SecretKey = "another-key"
	_, err := cos.Open(t.Context(), c)
	if !errs.Is(errs.Internal, err) || strings.Contains(err.Error(), c.SecretKey) || strings.Contains(err.Error(), c.SecretID) {
		t.Errorf("Open = %v", err)
	}
}

// times has the next requests that match broken by fault, so many times, and counts.
func times(s *costest.Server, n int, match func(*http.Request) bool, fault func(http.ResponseWriter, *http.Request) bool) func() int {
	hits := make(chan struct{}, 1000)
	s.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if !match(r) || len(hits) >= n {
			return false
		}
		hits <- struct{}{}
		return fault(w, r)
	})
	return func() int { return len(hits) }
}

// F27, F28, F29: what fails for a while is tried again; bytes that are damaged on their way are noticed, by COS or by the
// sum that it gives back.
func TestFaults(t *testing.T) {
	damage := func(_ http.ResponseWriter, r *http.Request) bool {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return false
		}
		body[len(body)/2] ^= 1
		r.Body = io.NopCloser(bytes.NewReader(body))
		return false
	}
	says := func(status int, code string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			costest.Fail(w, r, status, code)
			return true
		}
	}
	drop := func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }
	for _, c := range []struct {
		name  string
		size  int64
		match func(*http.Request) bool
		fault func(http.ResponseWriter, *http.Request) bool
	}{
		{"small, damaged", 1000, isPut, damage},
		{"one request, damaged", blob.BlockSize + 1, isPut, damage},
		{"part, damaged", 17 << 20, isPart, damage},
		{"put, slow down", 1000, isPut, says(503, "SlowDown")},
		{"part, broken off", 17 << 20, isPart, drop},
		{"complete, broken off", 17 << 20, isPost, drop},
		{"get, internal error", 1000, isGet, says(500, "InternalError")},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := costest.New(t)
			s := open(t, config(server))
			data := blobtest.Bytes(1, c.size)
			hits := times(server, 2, c.match, c.fault)
			ref, err := put(t, s, data)
			if err != nil {
				t.Fatal(err)
			}
			wantBytes(t, s, ref, data)
			if hits() != 2 {
				t.Errorf("%d faults", hits())
			}
			times(server, 1000, c.match, c.fault)
			other := blobtest.Bytes(2, c.size)
			ref, err = put(t, s, other)
			if err == nil {
				_, _, err = s.Open(t.Context(), ref)
			}
			if !errs.Is(errs.Busy, err) || errs.CodeOf(err) != "store_unavailable" {
				t.Errorf("a fault that stays: %v", err)
			}
		})
	}
}

func isPut(r *http.Request) bool {
	return r.Method == http.MethodPut && !r.URL.Query().Has("uploadId") && !strings.Contains(r.URL.Path, "stage/")
}

func isPart(r *http.Request) bool { return r.Method == http.MethodPut && r.URL.Query().Has("uploadId") }

func isPost(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploadId")
}

func isGet(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/blobs/")
}

// F30: 404 of nobody in particular is no word of COS.
func TestNotFoundThatIsNone(t *testing.T) {
	server := costest.New(t)
	s := open(t, config(server))
	data := blobtest.Bytes(1, 17<<20)
	size := int64(len(data))
	id, err := s.Stage(t.Context(), size)
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Staged(t.Context(), id, size)
	if err == nil {
		err = st.Write(t.Context(), 0, size, bytes.NewReader(data))
	}
	if err != nil {
		t.Fatal(err)
	}
	var sums []blob.Sum
	if _, err := blob.Write(t.Context(), s, bytes.NewReader(data), blob.Want{Size: size, Limit: -1, Check: func(all []blob.Sum) error {
		sums = all
		return errs.E(errs.Invalid, "test")
	}}); !errs.Is(errs.Invalid, err) {
		t.Fatal(err)
	}
	server.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && r.URL.Query().Has("uploadId") {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
	if err := st.Commit(t.Context(), sums); !errs.Is(errs.Busy, err) {
		t.Errorf("Commit = %v", err)
	}
	server.Break(nil)
	if err := st.Commit(t.Context(), sums); err != nil {
		t.Fatal(err)
	}
	wantBytes(t, s, blob.Ref{Digest: blobtest.DigestOf(data), Size: size}, data)
}

// A link is signed, and carries the headers that were asked for.
func TestLink(t *testing.T) {
	s := open(t, config(costest.New(t)))
	data := blobtest.Bytes(1, 1000)
	ref, err := put(t, s, data)
	if err != nil {
		t.Fatal(err)
	}
	h := blob.LinkHeaders{ContentType: "text/plain", ContentDisposition: `attachment; filename*=UTF-8''%E7%BD%91%E7%9B%98.txt`}
	link, err := s.Link(t.Context(), ref, h, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		url    string
		status int
	}{{link, 200}, {strings.Replace(link, "text", "test", 1), 403}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status {
			t.Fatalf("%d, %v; want %d", resp.StatusCode, err, c.status)
		}
		if c.status == 200 && (!bytes.Equal(got, data) || resp.Header.Get("Content-Type") != h.ContentType ||
			resp.Header.Get("Content-Disposition") != h.ContentDisposition) {
			t.Errorf("%d bytes, %v", len(got), resp.Header)
		}
	}
}
