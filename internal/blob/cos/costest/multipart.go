package costest

import (
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// smallestPart that may be followed by another.
const smallestPart = 1 << 20

// multipart serves what has to do with an upload of an object.
func (s *Server) multipart(w http.ResponseWriter, r *http.Request, key string, body []byte) failure {
	q := r.URL.Query()
	if q.Has("uploads") {
		if r.Method != http.MethodPost {
			return failure{http.StatusMethodNotAllowed, "MethodNotAllowed"}
		}
		id := rand.Text()
		s.uploads[id] = &upload{key, time.Now(), map[int]stored{}}
		return answer(w, struct {
			XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
			Key      string
			UploadID string `xml:"UploadId"`
		}{Key: key, UploadID: id})
	}
	id := q.Get("uploadId")
	u, ok := s.uploads[id]
	if !ok || u.key != key {
		return failure{http.StatusNotFound, "NoSuchUpload"}
	}
	switch r.Method {
	case http.MethodPut:
		n, err := strconv.Atoi(q.Get("partNumber"))
		if err != nil || n < 1 || n > 10_000 {
			return failure{http.StatusBadRequest, "InvalidArgument"}
		}
		if from := r.Header.Get("X-Cos-Copy-Source"); from != "" {
			return s.copyPart(w, r, u, n, from)
		}
		u.parts[n] = s.put(w, body)
	case http.MethodGet:
		return s.listParts(w, u, q)
	case http.MethodPost:
		return s.complete(w, id, u, body)
	case http.MethodDelete:
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	default:
		return failure{http.StatusMethodNotAllowed, "MethodNotAllowed"}
	}
	return failure{}
}

func (s *Server) copyPart(w http.ResponseWriter, r *http.Request, u *upload, n int, from string) failure {
	host, key, _ := strings.Cut(from, "/")
	key, err := url.PathUnescape(key)
	if err != nil || host != r.Host {
		return failure{http.StatusBadRequest, "InvalidArgument"}
	}
	o, ok := s.objects[key]
	if !ok {
		return failure{http.StatusNotFound, "NoSuchKey"}
	}
	var first, last int
	if c, err := fmt.Sscanf(r.Header.Get("X-Cos-Copy-Source-Range"), "bytes=%d-%d", &first, &last); err != nil || c != 2 ||
		first > last || last >= len(o.data) {
		return failure{http.StatusBadRequest, "InvalidRange"}
	}
	p := s.put(w, o.data[first:last+1])
	u.parts[n] = p
	return answer(w, struct {
		XMLName      xml.Name `xml:"CopyPartResult"`
		ETag         string
		LastModified string
	}{ETag: p.etag, LastModified: stamp(p.modified)})
}

func (u *upload) numbers() []int {
	all := make([]int, 0, len(u.parts))
	for n := range u.parts {
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

func (s *Server) listParts(w http.ResponseWriter, u *upload, q url.Values) failure {
	limit, err := strconv.Atoi(q.Get("max-parts"))
	if err != nil || limit < 1 || limit > 1000 {
		return failure{http.StatusBadRequest, "InvalidArgument"}
	}
	after, err := strconv.Atoi(q.Get("part-number-marker"))
	if err != nil && q.Has("part-number-marker") {
		return failure{http.StatusBadRequest, "InvalidArgument"}
	}
	var page struct {
		XMLName     xml.Name `xml:"ListPartsResult"`
		IsTruncated bool
		Part        []object
	}
	for _, n := range u.numbers() {
		if n <= after {
			continue
		}
		if page.IsTruncated = len(page.Part) == limit; page.IsTruncated {
			break
		}
		p := u.parts[n]
		page.Part = append(page.Part, object{PartNumber: n, ETag: p.etag, Size: int64(len(p.data)), LastModified: stamp(p.modified)})
	}
	return answer(w, page)
}

func (s *Server) complete(w http.ResponseWriter, id string, u *upload, body []byte) failure {
	var ask struct{ Part []object }
	if err := xml.Unmarshal(body, &ask); err != nil || len(ask.Part) == 0 {
		return failure{http.StatusBadRequest, "MalformedXML"}
	}
	var data []byte
	for i, p := range ask.Part {
		have, ok := u.parts[p.PartNumber]
		switch {
		case !ok || have.etag != p.ETag:
			return failure{http.StatusBadRequest, "InvalidPart"}
		case i > 0 && p.PartNumber <= ask.Part[i-1].PartNumber:
			return failure{http.StatusBadRequest, "InvalidPartOrder"}
		case i < len(ask.Part)-1 && len(have.data) < smallestPart:
			return failure{http.StatusBadRequest, "EntityTooSmall"}
		}
		data = append(data, have.data...)
	}
	delete(s.uploads, id)
	o := s.put(w, data)
	o.etag = fmt.Sprintf(`"%s-%d"`, strings.Trim(o.etag, `"`), len(ask.Part))
	s.objects[u.key] = o
	return answer(w, struct {
		XMLName xml.Name `xml:"CompleteMultipartUploadResult"`
		Key     string
		ETag    string
	}{Key: u.key, ETag: o.etag})
}

func (s *Server) listUploads(w http.ResponseWriter, prefix string) failure {
	type one struct {
		Key       string
		UploadID  string `xml:"UploadId"`
		Initiated string
	}
	var page struct {
		XMLName     xml.Name `xml:"ListMultipartUploadsResult"`
		IsTruncated bool
		Upload      []one
	}
	for id, u := range s.uploads {
		if strings.HasPrefix(u.key, prefix) {
			page.Upload = append(page.Upload, one{u.key, id, stamp(u.begun)})
		}
	}
	return answer(w, page)
}
