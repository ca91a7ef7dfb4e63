package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Content is what Put sends.
type Content struct {
	// Size in bytes; -1 when it is not known, and then the body goes out in chunks.
	Size int64
	// Open starts reading from the beginning; it is called once for each attempt.
	Open func() (io.ReadCloser, error)

	// once is set for content that can be read a single time; read, once its first byte was asked for.
	once bool
	read atomic.Bool
}

// Bytes is content in memory.
func Bytes(b []byte) *Content {
	return &Content{Size: int64(len(b)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b)), nil
	}}
}

// Reader is content that can be read only once, so that a failure after its first byte is final. size is -1 when
// it is not known.
func Reader(r io.Reader, size int64) *Content {
	c := &Content{Size: size, once: true}
	c.Open = func() (io.ReadCloser, error) { return io.NopCloser(&onceReader{r, &c.read}), nil }
	return c
}

type onceReader struct {
	r    io.Reader
	read *atomic.Bool
}

func (o *onceReader) Read(p []byte) (int, error) {
	o.read.Store(true)
	return o.r.Read(p)
}

func (c *Content) open() (io.ReadCloser, error) { return c.Open() }

// spent tells whether the content cannot be sent again.
func (c *Content) spent() bool { return c != nil && c.once && c.read.Load() }

// PutOptions refine Put. The zero value writes a new version over a file that is there, into a folder that is
// there.
type PutOptions struct {
	// Parents also makes the missing folders above the file.
	Parents bool
	// Conflict is "replace", "rename" or "fail"; empty is "replace".
	Conflict string
	// ModifiedAt is the content's own time; zero means now.
	ModifiedAt time.Time
	// IfMatch writes only over the version with this ETag; "*" in IfNoneMatch only where nothing is.
	IfMatch, IfNoneMatch string
	// Digest, if known, is checked by the server before it takes the bytes for the file.
	Digest string
}

// header has the preconditions.
func (o *PutOptions) header() http.Header {
	h := http.Header{}
	if o.IfMatch != "" {
		h.Set("If-Match", o.IfMatch)
	}
	if o.IfNoneMatch != "" {
		h.Set("If-None-Match", o.IfNoneMatch)
	}
	return h
}

// timeText is a content's time for the API; empty where there is none, also for years that RFC 3339 has no form for.
func timeText(t time.Time) string {
	t = t.UTC()
	if y := t.Year(); t.IsZero() || y < 1 || y > 9999 {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// Put writes a file in one request and returns it as it then is. Every attempt carries the same
// Idempotency-Key, so that one whose answer was lost counts once.
func (c *Client) Put(ctx context.Context, path string, content *Content, opt PutOptions) (*Node, error) {
	if !utf8.ValidString(path) {
		return nil, ErrNotUTF8
	}
	q := url.Values{"path": {path}}
	if opt.Parents {
		q.Set("parents", "true")
	}
	if opt.Conflict != "" {
		q.Set("conflict", opt.Conflict)
	}
	if t := timeText(opt.ModifiedAt); t != "" {
		q.Set("modifiedAt", t)
	}
	h := opt.header()
	if opt.Digest != "" {
		h.Set("Gopan-Digest", opt.Digest)
	}
	return c.node(ctx, &call{
		method: http.MethodPut, path: "/uploads/content", query: q, header: h, content: content, key: newKey(),
	})
}

// fileContent is an open file as content. Its last bytes are held back until the file has been seen not to have
// changed since info, so that a file that does is a request that breaks off and never a wrong upload. moved
// hears of the bytes as they go, and of their return when an attempt starts over.
func fileContent(f *os.File, info os.FileInfo, moved func(int64)) (*Content, *fileDigest) {
	d := &fileDigest{}
	return &Content{Size: info.Size(), Open: func() (io.ReadCloser, error) {
		if n := d.sent.Swap(0); n > 0 {
			moved(-n)
		}
		r := &fileReader{f: f, info: info, moved: moved, sent: &d.sent}
		d.last.Store(r)
		return r, nil
	}}, d
}

// fileDigest gives the digest of what the last attempt sent.
type fileDigest struct {
	last atomic.Pointer[fileReader]
	// sent counts the bytes of the present attempt.
	sent atomic.Int64
}

// hex is the digest of a whole file that was sent; empty if none was. It is asked for after the attempt.
func (d *fileDigest) hex() string {
	if r := d.last.Load(); r != nil && r.whole.Load() {
		return r.digest.Hex()
	}
	return ""
}

// fileReader reads a file by offset: an attempt that was given up may still be reading when the next begins.
type fileReader struct {
	f      *os.File
	info   os.FileInfo
	moved  func(int64)
	sent   *atomic.Int64
	pos    int64
	digest Digester
	// whole is set when the last byte was read and nothing had changed.
	whole atomic.Bool
}

func (r *fileReader) Read(p []byte) (int, error) {
	left := r.info.Size() - r.pos
	if left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > left {
		p = p[:left]
	}
	n, err := r.f.ReadAt(p, r.pos)
	switch {
	case n == len(p):
	case err == io.EOF:
		return 0, ErrChanged
	default:
		return 0, err
	}
	r.pos += int64(n)
	r.digest.Write(p[:n])
	if r.pos == r.info.Size() {
		if err := unchanged(r.f, r.info); err != nil {
			return 0, err
		}
		r.whole.Store(true)
	}
	r.sent.Add(int64(n))
	r.moved(int64(n))
	return n, nil
}

func (r *fileReader) Close() error { return nil }

// unchanged returns ErrChanged if a file is no longer as info says.
func unchanged(f *os.File, info os.FileInfo) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if now.Size() != info.Size() || !now.ModTime().Equal(info.ModTime()) {
		return ErrChanged
	}
	return nil
}
