package httpapi

import (
	"io"
	"net/http"
	"time"
)

// progress moves a connection's deadlines along while bytes move, so that a body may take hours but not stand
// still (fault F21).
type progress struct {
	ctl   *http.ResponseController
	stall time.Duration
	// until, if set, is when a body must have arrived in any case.
	until time.Time
	// When the deadlines were last moved; moving them costs a little, so it is not done for every read.
	read, write time.Time
}

func (p *progress) reading() {
	now := time.Now()
	if !p.until.IsZero() && now.Add(p.stall).After(p.until) {
		_ = p.ctl.SetReadDeadline(p.until) // as below
		return
	}
	if now.Sub(p.read) > p.stall/16 {
		p.read = now
		_ = p.ctl.SetReadDeadline(now.Add(p.stall)) // a connection that has no deadlines keeps none
	}
}

func (p *progress) writing() {
	if now := time.Now(); now.Sub(p.write) > p.stall/16 {
		p.write = now
		_ = p.ctl.SetWriteDeadline(now.Add(p.stall)) // as above
	}
}

type progressReader struct {
	io.ReadCloser
	*progress
}

// Read implements io.Reader.
func (r *progressReader) Read(b []byte) (int, error) {
	r.reading()
	return r.ReadCloser.Read(b)
}

type progressWriter struct {
	http.ResponseWriter
	*progress
}

// Write implements io.Writer.
func (w *progressWriter) Write(b []byte) (int, error) {
	w.writing()
	return w.ResponseWriter.Write(b)
}

// How much goes to the kernel in one sendfile, in bytes. A caller must take a piece in the time that a stall may
// last, so it is small for the slow, and large for the fast, whom every piece costs a little.
const (
	minSend = 64 << 10
	maxSend = 4 << 20
)

// ReadFrom implements io.ReaderFrom. It hands the file on in pieces, each with a fresh deadline.
func (w *progressWriter) ReadFrom(r io.Reader) (total int64, err error) {
	rest := int64(1<<63 - 1)
	if lr, ok := r.(*io.LimitedReader); ok {
		// Unwrapped, for net looks for one LimitedReader around a file and no more.
		r, rest = lr.R, lr.N
		defer func() { lr.N -= total }()
	}
	for piece := int64(4 * minSend); rest > 0 && err == nil; {
		w.writing()
		want, start := min(rest, piece), time.Now()
		var n int64
		n, err = io.Copy(w.ResponseWriter, &io.LimitedReader{R: r, N: want})
		total += n
		rest -= n
		if n < want {
			break
		}
		switch took := time.Since(start); {
		case took < 50*time.Millisecond:
			piece = min(2*piece, maxSend)
		case took > time.Second:
			piece = max(piece/2, minSend)
		}
	}
	return total, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *progressWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
