// Package costest is an endpoint that speaks as much of COS as a store of blobs needs, for tests: it checks every
// signature and every sum by Tencent's documents, and keeps objects in memory.
//
// Sources: https://cloud.tencent.com/document/product/436/7778 (signatures), 436/7751 (the XML API), 436/40334
// (CRC-64).
package costest

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"net/http/httptest"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Credentials of every server here.
const (
	SecretID  = "gopan-test-id"
	SecretKey = "gopan-test-key"
)

// Server is a bucket.
type Server struct {
	// URL of the bucket.
	URL string

	mu      sync.Mutex
	objects map[string]stored
	uploads map[string]*upload
	// fault, if set, may answer in the server's place.
	fault func(http.ResponseWriter, *http.Request) bool
}

type stored struct {
	data     []byte
	etag     string
	crc      string
	modified time.Time
}

type upload struct {
	key   string
	begun time.Time
	parts map[int]stored
}

// New starts a server for the duration of a test.
func New(t testing.TB) *Server {
	s := &Server{objects: map[string]stored{}, uploads: map[string]*upload{}}
	front := httptest.NewServer(s)
	t.Cleanup(front.Close)
	s.URL = front.URL
	return s
}

// Break has fault see every request first; it says whether it has answered. nil ends that.
func (s *Server) Break(fault func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Keys are those of all objects.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys("", "")
}

// Uploads is how many were begun, and neither completed nor aborted.
func (s *Server) Uploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads)
}

var ecma = crc64.MakeTable(crc64.ECMA)

// failure is an answer in COS's form.
type failure struct {
	status int
	code   string
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	body, err := io.ReadAll(r.Body)
	w.Header().Set("X-Cos-Request-Id", rand.Text())
	f := failure{http.StatusBadRequest, "IncompleteBody"}
	if err == nil {
		f = s.serve(w, r, body)
	}
	if f.code != "" {
		Fail(w, r, f.status, f.code)
	}
}

// Fail answers with an error in COS's form.
func Fail(w http.ResponseWriter, r *http.Request, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, body []byte) failure {
	if !signed(r) {
		return failure{http.StatusForbidden, "SignatureDoesNotMatch"}
	}
	if want := r.Header.Get("Content-Md5"); want != "" {
		have := md5.Sum(body)
		if base64.StdEncoding.EncodeToString(have[:]) != want {
			return failure{http.StatusBadRequest, "BadDigest"}
		}
	}
	// COS takes no body of unknown length for an object.
	if r.Method == http.MethodPut && r.ContentLength < 0 {
		return failure{http.StatusLengthRequired, "MissingContentLength"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key, q := strings.TrimPrefix(r.URL.Path, "/"), r.URL.Query()
	switch {
	case key == "" && r.Method == http.MethodGet && q.Has("uploads"):
		return s.listUploads(w, q.Get("prefix"))
	case key == "" && r.Method == http.MethodGet:
		return s.list(w, q.Get("prefix"), q.Get("marker"), q.Get("max-keys"))
	case key == "" && r.Method == http.MethodPost && q.Has("delete"):
		return s.deleteMany(w, body)
	case q.Has("uploads") || q.Has("uploadId"):
		return s.multipart(w, r, key, body)
	}
	switch r.Method {
	case http.MethodPut:
		s.objects[key] = s.put(w, body)
	case http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet, http.MethodHead:
		return s.get(w, r, key)
	default:
		return failure{http.StatusMethodNotAllowed, "MethodNotAllowed"}
	}
	return failure{}
}

// put makes what is stored of a body, and answers with its sums.
func (s *Server) put(w http.ResponseWriter, body []byte) stored {
	sum := md5.Sum(body)
	o := stored{body, `"` + hex.EncodeToString(sum[:]) + `"`, strconv.FormatUint(crc64.Checksum(body, ecma), 10), time.Now()}
	w.Header().Set("ETag", o.etag)
	w.Header().Set("X-Cos-Hash-Crc64ecma", o.crc)
	return o
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, key string) failure {
	o, ok := s.objects[key]
	if !ok {
		return failure{http.StatusNotFound, "NoSuchKey"}
	}
	w.Header().Set("ETag", o.etag)
	w.Header().Set("X-Cos-Hash-Crc64ecma", o.crc)
	for _, h := range []string{"Content-Type", "Content-Disposition"} {
		if v := r.URL.Query().Get("response-" + strings.ToLower(h)); v != "" {
			w.Header().Set(h, v)
		}
	}
	http.ServeContent(w, r, "", o.modified, bytes.NewReader(o.data))
	return failure{}
}

func (s *Server) keys(prefix, after string) []string {
	var keys []string
	for k := range s.objects {
		if strings.HasPrefix(k, prefix) && k > after {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return keys
}

type object struct {
	Key          string `xml:",omitempty"`
	PartNumber   int    `xml:",omitempty"`
	ETag         string
	Size         int64
	LastModified string
}

// stamp is a time as COS writes it in lists: to the second.
func stamp(t time.Time) string {
	return t.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05.000Z")
}

func (s *Server) list(w http.ResponseWriter, prefix, after, most string) failure {
	limit, err := strconv.Atoi(most)
	if err != nil || limit < 1 || limit > 1000 {
		return failure{http.StatusBadRequest, "InvalidArgument"}
	}
	var page struct {
		XMLName     xml.Name `xml:"ListBucketResult"`
		IsTruncated bool
		NextMarker  string `xml:",omitempty"`
		Contents    []object
	}
	for _, k := range s.keys(prefix, after) {
		if page.IsTruncated = len(page.Contents) == limit; page.IsTruncated {
			page.NextMarker = page.Contents[limit-1].Key
			break
		}
		o := s.objects[k]
		page.Contents = append(page.Contents, object{Key: k, ETag: o.etag, Size: int64(len(o.data)), LastModified: stamp(o.modified)})
	}
	return answer(w, page)
}

func (s *Server) deleteMany(w http.ResponseWriter, body []byte) failure {
	var ask struct {
		Object []struct{ Key string }
	}
	if err := xml.Unmarshal(body, &ask); err != nil || len(ask.Object) == 0 || len(ask.Object) > 1000 {
		return failure{http.StatusBadRequest, "MalformedXML"}
	}
	for _, o := range ask.Object {
		delete(s.objects, o.Key)
	}
	return answer(w, struct {
		XMLName xml.Name `xml:"DeleteResult"`
	}{})
}

func answer(w http.ResponseWriter, v any) failure {
	b, err := xml.Marshal(v)
	if err != nil {
		return failure{http.StatusInternalServerError, "InternalError"}
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(b) // the client sees what comes
	return failure{}
}
