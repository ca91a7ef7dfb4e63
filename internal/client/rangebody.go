package client

import (
	"io"
	"sync"
)

// rangeBody is a part of a file as a request's body, as often as it takes.
type rangeBody struct {
	l         *largeFile
	off, size int64
	mu        sync.Mutex
	// present is the present attempt's reader, and sent counts its bytes. One that was given up may still be read.
	present *rangeReader
	sent    int64
}

func (b *rangeBody) open() (io.ReadCloser, error) {
	r := &rangeReader{body: b}
	b.replace(r)
	return r, nil
}

// replace ends the present attempt and takes back what it counted.
func (b *rangeBody) replace(r *rangeReader) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.l.moved(-b.sent)
	b.present, b.sent = r, 0
}

// count counts bytes of an attempt, if it is the present one.
func (b *rangeBody) count(r *rangeReader, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.present == r {
		b.sent += n
		b.l.moved(n)
	}
}

type rangeReader struct {
	body *rangeBody
	pos  int64
}

func (r *rangeReader) Read(p []byte) (int, error) {
	b := r.body
	if r.pos == b.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.size-r.pos)]
	n, err := b.l.f.ReadAt(p, b.off+r.pos)
	switch {
	case n == len(p):
	case err == io.EOF:
		return 0, ErrChanged
	default:
		return 0, err
	}
	r.pos += int64(n)
	b.count(r, int64(n))
	return n, nil
}

func (r *rangeReader) Close() error { return nil }
