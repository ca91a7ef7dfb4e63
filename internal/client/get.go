package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Download is a file's bytes on their way. When the connection breaks it goes on from the byte that it has,
// with Range and If-Range, as often as the client's Retry allows without a byte arriving in between.
type Download struct {
	// Size of the whole file; -1 when the server does not say.
	Size int64
	// Offset is where the bytes begin: what was asked for, or 0 when the file is not the one with the ETag.
	Offset int64
	// ETag of the bytes.
	ETag string

	c     *Client
	ctx   context.Context
	ref   Ref
	body  io.ReadCloser
	pos   int64
	tries int
}

// Get opens a file's bytes from an offset on. With an etag the offset holds only for the file of that etag, and
// for another one the download begins at 0.
func (c *Client) Get(ctx context.Context, r Ref, offset int64, etag string) (*Download, error) {
	d := &Download{c: c, ctx: ctx, ref: r, Offset: offset}
	resp, err := d.request(offset, etag)
	if err != nil {
		return nil, err
	}
	d.body, d.ETag = resp.Body, resp.Header.Get("ETag")
	switch resp.StatusCode {
	case http.StatusPartialContent:
		start, total, ok := contentRange(resp.Header.Get("Content-Range"))
		if !ok || start != offset {
			d.body.Close()
			return nil, fmt.Errorf("the server sent another range than was asked for")
		}
		d.Size = total
	default:
		d.Offset, d.Size = 0, resp.ContentLength
	}
	d.pos = d.Offset
	return d, nil
}

func (d *Download) request(offset int64, etag string) (*http.Response, error) {
	k := &call{method: http.MethodGet, stream: true, header: http.Header{}}
	if d.ref.id != "" {
		k.path = "/content/" + url.PathEscape(d.ref.id)
	} else {
		k.path, k.query = "/content", url.Values{"path": {d.ref.path}}
	}
	if offset > 0 {
		k.header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
		if etag != "" {
			k.header.Set("If-Range", etag)
		}
	}
	return d.c.do(d.ctx, k)
}

// Read gives the next bytes. It returns ErrChanged when the file was replaced on the server and the rest of
// these bytes is no longer to be had, and a NetworkError when the connection could not be brought back.
func (d *Download) Read(p []byte) (int, error) {
	for {
		n, err := d.body.Read(p)
		d.pos += int64(n)
		if n > 0 {
			// An error beside bytes comes again at the next read.
			d.tries = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		if err == io.EOF && (d.Size < 0 || d.pos == d.Size) {
			return 0, io.EOF
		}
		if d.ctx.Err() != nil {
			return 0, d.ctx.Err()
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err := d.resume(err); err != nil {
			return 0, err
		}
	}
}

// resume opens the rest of the bytes after the connection broke with err.
func (d *Download) resume(err error) error {
	d.body.Close()
	d.tries++
	if err := d.c.Retry.next(d.ctx, d.tries, &attemptError{err}); err != nil {
		return err
	}
	strong := d.ETag != "" && !strings.HasPrefix(d.ETag, "W/")
	if d.pos > 0 && !strong {
		return &NetworkError{Tries: d.tries, Err: err}
	}
	resp, rerr := d.request(d.pos, d.ETag)
	if HasStatus(rerr, http.StatusRequestedRangeNotSatisfiable) || IsNotFound(rerr) {
		return ErrChanged
	}
	if rerr != nil {
		return rerr
	}
	d.body = resp.Body
	switch {
	case resp.Header.Get("ETag") != d.ETag:
		return ErrChanged
	case resp.StatusCode == http.StatusPartialContent:
		if start, _, ok := contentRange(resp.Header.Get("Content-Range")); !ok || start != d.pos {
			return fmt.Errorf("the server sent another range than was asked for")
		}
	case d.pos > 0:
		// The same file, by a server or proxy that does not do ranges.
		if _, err := io.CopyN(io.Discard, d.body, d.pos); err != nil {
			d.body.Close()
			d.body = brokenBody{err}
		}
	}
	return nil
}

// Close ends the download.
func (d *Download) Close() error { return d.body.Close() }

type brokenBody struct{ err error }

func (b brokenBody) Read([]byte) (int, error) {
	if b.err == io.EOF {
		return 0, io.ErrUnexpectedEOF
	}
	return 0, b.err
}
func (b brokenBody) Close() error { return nil }

// contentRange reads "bytes 5-9/10"; an unknown total is -1.
func contentRange(s string) (start, total int64, ok bool) {
	rest, ok := strings.CutPrefix(s, "bytes ")
	if !ok {
		return 0, 0, false
	}
	span, all, ok := strings.Cut(rest, "/")
	if !ok {
		return 0, 0, false
	}
	first, _, ok := strings.Cut(span, "-")
	start, err := strconv.ParseInt(first, 10, 64)
	if !ok || err != nil || start < 0 {
		return 0, 0, false
	}
	if all == "*" {
		return start, -1, true
	}
	total, err = strconv.ParseInt(all, 10, 64)
	return start, total, err == nil && total > start
}
