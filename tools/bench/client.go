package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// conn is one connection that speaks as much HTTP/1.1 as the load needs, at little cost: the client must not take
// the processor that the servers are measured on.
type conn struct {
	*net.TCPConn
	r *bufio.Reader
	// body of the last answer, until the next.
	body []byte
}

// answerLimit bounds one request.
const answerLimit = 2 * time.Minute

func dial(ctx context.Context, addr string) (*conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{TCPConn: c.(*net.TCPConn), r: bufio.NewReaderSize(c, 16<<10)}, nil
}

// request appends a request to b. A nil body has no Content-Length.
func request(b []byte, method, target, token string, body []byte, headers ...string) []byte {
	b = append(b, method+" "+target+" HTTP/1.1\r\nHost: bench\r\n"...)
	if token != "" {
		b = append(b, "Authorization: Bearer "+token+"\r\n"...)
	}
	for _, h := range headers {
		b = append(b, h+"\r\n"...)
	}
	if body != nil {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, body...)
}

// roundTrip sends a request and reads the whole answer. head tells that the answer has no body.
func (c *conn) roundTrip(req []byte, head bool) (status int, err error) {
	if err := c.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return 0, err
	}
	if _, err := c.Write(req); err != nil {
		return 0, err
	}
	return c.answer(head)
}

// answer reads an answer with its body.
func (c *conn) answer(head bool) (status int, err error) {
	status, length, err := c.header()
	c.body = c.body[:0]
	switch {
	case err != nil || head || status == 204:
		return status, err
	case length < 0:
		c.body, err = io.ReadAll(httputil.NewChunkedReader(c.r))
		if err == nil {
			_, err = c.r.ReadSlice('\n') // no trailers: the empty line
		}
	default:
		if int64(cap(c.body)) < length {
			c.body = make([]byte, 0, length)
		}
		c.body = c.body[:length]
		_, err = io.ReadFull(c.r, c.body)
	}
	return status, err
}

// header reads an answer's status and headers. length is -1 for a chunked body.
func (c *conn) header() (status int, length int64, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, fmt.Errorf("not an answer: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, err
	}
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return 0, 0, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			return status, length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return 0, 0, err
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			length = -1
		}
	}
}

// sendFile sends a request whose body is n bytes of a file, from off on, which the kernel moves, and reads the
// answer. It moves the file's own offset.
func (c *conn) sendFile(req []byte, f *os.File, off, n int64) (status int, err error) {
	if err := c.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return 0, err
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	if _, err := c.Write(req); err != nil {
		return 0, err
	}
	if _, err := c.ReadFrom(&io.LimitedReader{R: f, N: n}); err != nil {
		// The server may have refused before the end, and said why.
		if status, aerr := c.answer(false); aerr == nil {
			return status, nil
		}
		return 0, err
	}
	return c.answer(false)
}

// receive sends a request and throws the answer's body away without copying it out of the kernel: with MSG_TRUNC a
// TCP socket drops what it would deliver (tcp(7)).
func (c *conn) receive(req []byte) (status int, n int64, err error) {
	if err := c.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return 0, 0, err
	}
	if _, err := c.Write(req); err != nil {
		return 0, 0, err
	}
	status, length, err := c.header()
	if err != nil || length < 0 {
		return status, 0, errors.Join(err, errIf(length < 0, "a chunked answer"))
	}
	held, err := c.r.Discard(int(min(length, int64(c.r.Buffered()))))
	if err != nil {
		return status, 0, err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return status, 0, err
	}
	rest := length - int64(held)
	var rerr error
	err = raw.Read(func(fd uintptr) bool {
		for rest > 0 {
			n, _, err := unix.Recvfrom(int(fd), discarded[:min(rest, int64(len(discarded)))], unix.MSG_TRUNC|unix.MSG_DONTWAIT)
			switch {
			case err == unix.EAGAIN:
				return false
			case err == unix.EINTR:
			case err != nil:
				rerr = err
				return true
			case n == 0:
				rerr = io.ErrUnexpectedEOF
				return true
			default:
				rest -= int64(n)
			}
		}
		return true
	})
	return status, length - rest, errors.Join(err, rerr)
}

// discarded only says how much to drop; nothing is written to it.
var discarded [4 << 20]byte

func errIf(is bool, what string) error {
	if is {
		return errors.New(what)
	}
	return nil
}

// field is the value of a string field in a JSON answer, found without decoding it.
func field(body []byte, name string) string {
	_, rest, ok := bytes.Cut(body, []byte(`"`+name+`":"`))
	if !ok {
		return ""
	}
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(value)
}
