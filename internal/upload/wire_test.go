package upload_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
)

// read takes an answer off a connection.
func read(t testing.TB, c net.Conn) answer {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, b}
}

func send(t *testing.T, c net.Conn, what string) {
	t.Helper()
	if _, err := io.WriteString(c, what); err != nil {
		t.Fatal(err)
	}
}

// D4, B066, F01, F20: a body that breaks off, in whatever way and wherever, stores nothing; who can still hear it
// is told.
func TestCutOff(t *testing.T) {
	s := newServer(t, 0)
	s.put(to("/f"), strings.NewReader("old")).node(t, 201)
	before := s.state()
	large := string(blobtest.Bytes(3, blob.BlockSize+70_000))
	for _, c := range []struct {
		name, sent string
		// hears tells that only the sending half is closed.
		hears bool
	}{
		{"no byte of ten", head("/f", "Content-Length: 10"), true},
		{"half of ten", head("/f", "Content-Length: 10") + "12345", true},
		{"all but one", head("/f", "Content-Length: 10") + "123456789", true},
		{"all but one of a large one", head("/f", fmt.Sprint("Content-Length: ", len(large)+1)) + large, true},
		{"after a block", head("/f", fmt.Sprint("Content-Length: ", len(large))) + large[:blob.BlockSize], true},
		{"new file", head("/g", "Content-Length: 10") + "12345", true},
		{"before the last chunk", head("/f", "Transfer-Encoding: chunked") + "5\r\n12345\r\n", true},
		{"in a chunk", head("/f", "Transfer-Encoding: chunked") + "5\r\n123", true},
		{"a chunk's size is no number", head("/f", "Transfer-Encoding: chunked") + "5\r\n12345\r\nxyz\r\n", true},
		{"a chunk's size is too large", head("/f", "Transfer-Encoding: chunked") + "ffffffffffffffffff\r\n1", true},
		{"gone", head("/f", "Content-Length: 10") + "12345", false},
		{"gone in a large one", head("/g", fmt.Sprint("Content-Length: ", 2*len(large))) + large, false},
		{"gone in chunks", head("/f", "Transfer-Encoding: chunked") + "5\r\n12345\r\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := s.dial()
			send(t, conn, c.sent)
			if c.hears {
				if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				read(t, conn).wantProblem(t, 400, "body_interrupted")
			} else if err := conn.(*net.TCPConn).SetLinger(0); err != nil { // a reset
				t.Fatal(err)
			}
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			s.wantState(before)
		})
	}
}

// B066, B008: more bytes than were announced are another request, and never part of the file.
func TestMoreThanAnnounced(t *testing.T) {
	s := newServer(t, 0)
	c := s.dial()
	send(t, c, head("/f", "Content-Length: 3")+"123456789 and no request\r\n\r\n")
	if n := read(t, c).createdSize(t); n != 3 {
		t.Errorf("stored %d bytes", n)
	}
	before := s.state()
	for _, bad := range []string{
		head("/f", "Content-Length: 3", "Transfer-Encoding: xchunked") + "123",
		head("/f", "Content-Length: 3", "Content-Length: 4") + "1234",
		head("/f", "Content-Length: -1") + "1",
		head("/f", "Content-Length: 99999999999999999999") + "1",
	} {
		c := s.dial()
		send(t, c, bad)
		if a := read(t, c); a.StatusCode != 400 && a.StatusCode != 501 {
			t.Errorf("%q: %d", bad, a.StatusCode)
		}
	}
	s.wantState(before)
}

// createdSize gives the size of the node in the answer; there is no request to look at.
func (a answer) createdSize(t *testing.T) int64 {
	t.Helper()
	a.Request = new(http.Request)
	return a.node(t, 201).Size
}

// B068: who asks before sending is told at once that the drive is too full, that the ETag is old, and so on; and is
// asked for the body only when it can be kept.
func TestExpectContinue(t *testing.T) {
	s := newServer(t, 200_000)
	s.put(to("/f"), strings.NewReader("old")).node(t, 201)
	before := s.state()
	for _, c := range []struct {
		name    string
		headers []string
		status  int
		code    string
	}{
		{"over quota", []string{"Content-Length: 200000"}, 507, "quota_exceeded"},
		{"far over quota", []string{"Content-Length: 9223372036854775807"}, 507, "quota_exceeded"},
		{"old ETag", []string{"Content-Length: 10", `If-Match: "old"`}, 412, "stale"},
		{"there already", []string{"Content-Length: 10", "If-None-Match: *"}, 412, "stale"},
		{"bad digest", []string{"Content-Length: 10", "Gopan-Digest: x"}, 400, "bad_digest"},
		{"encoded", []string{"Content-Length: 10", "Content-Encoding: br"}, 415, "encoded_body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := s.dial()
			send(t, conn, head("/f", append(c.headers, "Expect: 100-continue")...))
			// A 100 would come first, and its status would be the one that is read here.
			read(t, conn).wantProblem(t, c.status, c.code)
			s.wantState(before)
		})
	}
	conn := s.dial()
	send(t, conn, head("/f", "Content-Length: 100000", "Expect: 100-continue"))
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("asked for nothing: %q %v", line, err)
	}
	s.wantState(strings.Replace(before, "0 being written", "1 being written", 1))
	send(t, conn, strings.Repeat("0123456789", 10_000))
	if line, err = r.ReadString('\n'); err != nil || line != "\r\n" {
		t.Fatalf("%q %v", line, err)
	}
	if line, err = r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 200 ") {
		t.Errorf("%q %v", line, err)
	}
}

// C7: a body of unknown length is stopped where the quota ends, however much more would come.
func TestEndlessBody(t *testing.T) {
	s := newServer(t, 1<<20)
	before := s.state()
	c := s.dial()
	send(t, c, head("/f", "Transfer-Encoding: chunked"))
	chunk := "10000\r\n" + strings.Repeat("x", 1<<16) + "\r\n"
	told := make(chan answer, 1)
	go func() {
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			close(told)
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body) // a body that breaks off is no problem, which the test will say
		told <- answer{resp, b}
	}()
	sent := 0
	for sent < 64<<20 {
		n, err := io.WriteString(c, chunk)
		sent += n
		if err != nil {
			break // the server hung up
		}
	}
	a, ok := <-told
	if !ok {
		t.Fatal("no answer")
	}
	a.wantProblem(t, 507, "quota_exceeded")
	if sent >= 64<<20 {
		t.Error("the server took all of an endless body")
	}
	s.wantState(before)
}
