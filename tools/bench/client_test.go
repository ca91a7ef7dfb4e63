package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func serve(t *testing.T, h http.HandlerFunc) *conn {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := dial(t.Context(), s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Answers of every framing, one after the other on one connection.
func TestAnswers(t *testing.T) {
	long := strings.Repeat("0123456789", 5000)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/sized":
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			fmt.Fprint(w, long)
		case "/chunked":
			for part := range strings.SplitSeq(long, "5") {
				fmt.Fprint(w, part)
				w.(http.Flusher).Flush()
			}
		case "/none":
			w.WriteHeader(204)
		default:
			http.Error(w, "no", 404)
		}
	})
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/sized", 200, long},
		{"HEAD", "/sized", 200, ""},
		{"GET", "/chunked", 200, strings.ReplaceAll(long, "5", "")},
		{"GET", "/none", 204, ""},
		{"GET", "/gone", 404, "no\n"},
		{"GET", "/sized", 200, long},
	} {
		status, err := c.roundTrip(request(nil, tt.method, tt.path, "", nil), tt.method == "HEAD")
		if err != nil || status != tt.status || string(c.body) != tt.body {
			t.Fatalf("%s %s: status %d, %d bytes, %v", tt.method, tt.path, status, len(c.body), err)
		}
	}
	// What is thrown away is counted, and leaves the connection good for the next.
	for range 2 {
		if status, n, err := c.receive(request(nil, "GET", "/sized", "", nil)); err != nil || status != 200 || n != int64(len(long)) {
			t.Fatalf("received %d bytes, status %d, %v", n, status, err)
		}
	}
}

// A body from a file arrives whole, with the token; a job sends each request once.
func TestUploads(t *testing.T) {
	data := bytes.Repeat([]byte("gopan"), 100_000)
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(got, data) || r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%d bytes arrived as %q, %v", len(got), r.Header.Get("Authorization"), err)
		}
		w.WriteHeader(201)
	})
	req := request(nil, "PUT", "/f", "secret", nil, fmt.Sprintf("Content-Length: %d", len(data)))
	if status, err := c.sendFile(req, f, 0, int64(len(data))); err != nil || status != 201 {
		t.Errorf("status %d, %v", status, err)
	}
}

func TestPlainServerAndJob(t *testing.T) {
	dir := t.TempDir()
	s := httptest.NewServer(plainHandler(dir))
	defer s.Close()
	j := job{addr: s.Listener.Addr().String(), conns: 4, n: 50, make: func(b []byte, i int) []byte {
		return request(b, "PUT", fmt.Sprintf("/f%d", i), "", content(smallSize, 1, i))
	}}
	f, err := j.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if f["rate"] <= 0 || f["p99"] < f["p50"] || f["p50"] <= 0 {
		t.Errorf("figures %v", f)
	}
	for i := range j.n {
		if got, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("f%d", i))); err != nil || !bytes.Equal(got, content(smallSize, 1, i)) {
			t.Fatalf("file %d: %d bytes, %v", i, len(got), err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != j.n {
		t.Errorf("%d files for %d requests, %v", len(left), j.n, err)
	}
	// A refusal ends the sample, and so does the end of the run.
	j.make = func(b []byte, _ int) []byte { return request(b, "DELETE", "/f1", "", nil) }
	if _, err := j.run(t.Context()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("refused requests gave %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := inParallel(gone, 2, 10, func(int) func(int) error { return func(int) error { return nil } }); err == nil {
		t.Error("a run that was ended gave figures")
	}
}
