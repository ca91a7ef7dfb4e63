package download_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
)

const text = "0123456789"

// B076, G60: ranges as RFC 9110 has them.
func TestRanges(t *testing.T) {
	s := newServer(t, false)
	s.put("/ten.txt", []byte(text))
	s.put("/empty", nil)
	for _, c := range []struct {
		name, file, header string
		status             int
		body, contentRange string
	}{
		{"first byte", "/ten.txt", "bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"last byte", "/ten.txt", "bytes=-1", 206, "9", "bytes 9-9/10"},
		{"all, open", "/ten.txt", "bytes=0-", 206, text, "bytes 0-9/10"},
		{"middle", "/ten.txt", "bytes=3-5", 206, "345", "bytes 3-5/10"},
		{"end beyond", "/ten.txt", "bytes=8-999", 206, "89", "bytes 8-9/10"},
		{"end at 2^63", "/ten.txt", "bytes=8-9223372036854775808", 206, "89", "bytes 8-9/10"},
		{"end at 10^40", "/ten.txt", "bytes=0-1" + strings.Repeat("0", 40), 206, text, "bytes 0-9/10"},
		{"suffix longer than the file", "/ten.txt", "bytes=-11", 206, text, "bytes 0-9/10"},
		{"suffix of 2^63", "/ten.txt", "bytes=-9223372036854775808", 206, text, "bytes 0-9/10"},
		{"unit in another case", "/ten.txt", "Bytes=1-1", 206, "1", "bytes 1-1/10"},
		{"spaces", "/ten.txt", "bytes= 1-1 , ", 206, "1", "bytes 1-1/10"},
		{"backwards", "/ten.txt", "bytes=5-2", 416, "", "bytes */10"},
		{"suffix of nothing", "/ten.txt", "bytes=-0", 416, "", "bytes */10"},
		{"at the end", "/ten.txt", "bytes=10-", 416, "", "bytes */10"},
		{"beyond the end", "/ten.txt", "bytes=999-", 416, "", "bytes */10"},
		{"from 2^63", "/ten.txt", "bytes=9223372036854775808-", 416, "", "bytes */10"},
		{"nothing", "/ten.txt", "bytes=", 416, "", "bytes */10"},
		{"a dash", "/ten.txt", "bytes=-", 416, "", "bytes */10"},
		{"no numbers", "/ten.txt", "bytes=a-b", 416, "", "bytes */10"},
		{"negative", "/ten.txt", "bytes=--1", 416, "", "bytes */10"},
		{"signed", "/ten.txt", "bytes=+1-+2", 416, "", "bytes */10"},
		{"one good, one beyond", "/ten.txt", "bytes=99-,0-0", 206, "0", "bytes 0-0/10"},
		{"one good, one of nothing", "/ten.txt", "bytes=-0,4-4", 206, "4", "bytes 4-4/10"},
		{"another unit", "/ten.txt", "items=0-1", 200, text, ""},
		{"no unit", "/ten.txt", "0-1", 200, text, ""},
		{"overlapping, more than the file", "/ten.txt", "bytes=0-,0-,0-", 200, text, ""},
		{"17 ranges", "/ten.txt", "bytes=0-0" + strings.Repeat(",1-1", 16), 200, text, ""},
		{"10,000 ranges", "/ten.txt", "bytes=" + strings.Repeat("1-,", 10000), 200, text, ""},
		{"of nothing", "/empty", "bytes=0-0", 200, "", ""},
		{"suffix of nothing", "/empty", "bytes=-5", 200, "", ""},
		{"beyond nothing", "/empty", "bytes=7-", 200, "", ""},
	} {
		t.Run(c.name+c.file, func(t *testing.T) {
			a := s.get(http.MethodGet, content(c.file), "Range: "+c.header)
			if a.err != nil {
				t.Fatal(a.err)
			}
			if got := a.Header.Get("Content-Range"); got != c.contentRange {
				t.Errorf("Content-Range %q, want %q", got, c.contentRange)
			}
			if c.status == 416 {
				a.wantProblem(t, 416, "range_not_satisfiable")
				return
			}
			if a.StatusCode != c.status || string(a.body) != c.body || a.ContentLength != int64(len(c.body)) {
				t.Errorf("%d %q of length %d, want %d %q", a.StatusCode, a.body, a.ContentLength, c.status, c.body)
			}
			if a.Header.Get("Accept-Ranges") != "bytes" || a.Header.Get("Etag") == "" {
				t.Errorf("headers %v", a.Header)
			}
		})
	}
	t.Run("two headers", func(t *testing.T) {
		if a := s.get(http.MethodGet, content("/ten.txt"), "Range: bytes=0-0", "Range: bytes=1-1"); a.StatusCode != 200 || string(a.body) != text {
			t.Errorf("%d %q", a.StatusCode, a.body)
		}
	})
}

// parts reads a multipart answer.
func parts(t *testing.T, a answer) (ranges []string, bodies []string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" || a.StatusCode != 206 || a.err != nil {
		t.Fatalf("%d %s: %v %v", a.StatusCode, a.Header.Get("Content-Type"), err, a.err)
	}
	if a.ContentLength != int64(len(a.body)) {
		t.Errorf("Content-Length %d of %d bytes", a.ContentLength, len(a.body))
	}
	for r := multipart.NewReader(bytes.NewReader(a.body), params["boundary"]); ; {
		p, err := r.NextPart()
		if err == io.EOF {
			return ranges, bodies
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		ranges, bodies = append(ranges, p.Header.Get("Content-Range")), append(bodies, string(b))
	}
}

// B076: several ranges, up to 16, in the order in which they were asked for.
func TestSeveralRanges(t *testing.T) {
	s := newServer(t, false)
	s.put("/ten.txt", []byte(text))
	for _, c := range []struct{ header, ranges, bodies string }{
		{"bytes=0-0,2-2", "bytes 0-0/10|bytes 2-2/10", "0|2"},
		{"bytes=7-8, 0-1 ,-1", "bytes 7-8/10|bytes 0-1/10|bytes 9-9/10", "78|01|9"},
		{"bytes=0-3,2-5", "bytes 0-3/10|bytes 2-5/10", "0123|2345"},
	} {
		ranges, bodies := parts(t, s.get(http.MethodGet, content("/ten.txt"), "Range: "+c.header))
		if strings.Join(ranges, "|") != c.ranges || strings.Join(bodies, "|") != c.bodies {
			t.Errorf("%s: %q %q", c.header, ranges, bodies)
		}
	}
	// Across the blocks of a large file, with all 16 that are allowed.
	data := blobtest.Bytes(1, 2*blob.BlockSize+1000)
	s.put("/large", data)
	var spec []string
	for i := range 16 {
		from := i * 530_000
		spec = append(spec, fmt.Sprintf("%d-%d", from, from+99_999))
	}
	for range 2 { // the second time the blob is known to be good
		_, bodies := parts(t, s.get(http.MethodGet, content("/large"), "Range: bytes="+strings.Join(spec, ",")))
		for i, b := range bodies {
			if from := i * 530_000; b != string(data[from:from+100_000]) {
				t.Errorf("range %d differs", i)
			}
		}
		if a := s.get(http.MethodGet, content("/large")); !bytes.Equal(a.body, data) {
			t.Error("the whole differs")
		}
	}
}

// F26, B084's kin: callers that go away in the middle of several ranges disturb nobody's bytes.
func TestGoneInTheMiddle(t *testing.T) {
	s := newServer(t, true)
	data := blobtest.Bytes(2, 3*blob.BlockSize)
	s.put("/large", data)
	for range 15 {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 1\r\nRange: bytes=0-5000000,6000000-\r\n\r\n", content("/large"))
		if err == nil {
			_, err = io.ReadFull(c, make([]byte, 10_000))
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		if a := s.get(http.MethodGet, content("/large"), "Range: bytes=4000000-4300000"); !bytes.Equal(a.body, data[4000000:4300001]) {
			t.Fatal("another caller got other bytes")
		}
	}
}

// RFC 9110, sections 13.1 and 14: If-Match, If-None-Match and If-Range, alone and together with a range.
func TestConditions(t *testing.T) {
	s := newServer(t, false)
	old, _ := s.put("/ten.txt", []byte("something else"))
	n, _ := s.put("/ten.txt", []byte(text))
	tag := n.GetEtag()
	modified := s.get(http.MethodHead, content("/ten.txt")).Header.Get("Last-Modified")
	if _, err := http.ParseTime(modified); err != nil {
		t.Fatalf("Last-Modified %q", modified)
	}
	for _, c := range []struct {
		name   string
		header []string
		status int
		body   string
	}{
		{"If-None-Match", []string{"If-None-Match: " + tag}, 304, ""},
		{"If-None-Match, a list", []string{`If-None-Match: "x", ` + tag}, 304, ""},
		{"If-None-Match, weak", []string{"If-None-Match: W/" + tag}, 304, ""},
		{"If-None-Match, any", []string{"If-None-Match: *"}, 304, ""},
		{"If-None-Match, old", []string{"If-None-Match: " + old.GetEtag()}, 200, text},
		{"If-Match", []string{"If-Match: " + tag}, 200, text},
		{"If-Match, any", []string{"If-Match: *"}, 200, text},
		{"If-Match, old", []string{"If-Match: " + old.GetEtag()}, 412, ""},
		{"If-Match, weak", []string{"If-Match: W/" + tag}, 412, ""},
		{"If-Match before a range", []string{"If-Match: " + old.GetEtag(), "Range: bytes=99-"}, 412, ""},
		{"If-None-Match before a range", []string{"If-None-Match: " + tag, "Range: bytes=99-"}, 304, ""},
		{"If-Range", []string{"If-Range: " + tag, "Range: bytes=1-2"}, 206, "12"},
		{"If-Range, old", []string{"If-Range: " + old.GetEtag(), "Range: bytes=1-2"}, 200, text},
		{"If-Range, old, range beyond", []string{"If-Range: " + old.GetEtag(), "Range: bytes=99-"}, 200, text},
		{"If-Range, weak", []string{"If-Range: W/" + tag, "Range: bytes=1-2"}, 200, text},
		{"If-Range, range beyond", []string{"If-Range: " + tag, "Range: bytes=99-"}, 416, ""},
		{"If-Range without a range", []string{"If-Range: " + tag}, 200, text},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.get(http.MethodGet, content("/ten.txt"), c.header...)
			if a.err != nil || a.StatusCode != c.status || c.status < 300 && string(a.body) != c.body {
				t.Errorf("%d %q %v, want %d %q", a.StatusCode, a.body, a.err, c.status, c.body)
			}
			if c.status == 304 && (len(a.body) > 0 || a.Header.Get("Etag") != tag) {
				t.Errorf("304 with the ETag %q and %d bytes", a.Header.Get("Etag"), len(a.body))
			}
		})
	}
}
