package client

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

const (
	// batchFiles and batchBytes bound what goes in one request of many small files. Times the workers, the bytes
	// bound the memory.
	batchFiles = 200
	batchBytes = 8 << 20
)

// smallFiles are files that go in one request.
type smallFiles struct {
	files []*source
	bytes int64
}

// gather keeps a small file until there are enough for a request.
func (r *run) gather(ctx context.Context, s *source) {
	if len(r.small.files) == batchFiles || r.small.bytes+s.it.Size > batchBytes {
		r.flush(ctx)
	}
	r.small.files = append(r.small.files, s)
	r.small.bytes += s.it.Size
}

// flush queues what was gathered.
func (r *run) flush(ctx context.Context) {
	files := r.small.files
	r.small = smallFiles{}
	switch len(files) {
	case 0:
	case 1:
		r.queue(ctx, func() { r.putFile(ctx, files[0]) })
	default:
		r.queue(ctx, func() { r.putBatch(ctx, files) })
	}
}

// batches are the buffers of batches; their number follows the workers'.
var batches = sync.Pool{New: func() any { return &batch{data: make([]byte, smallFile)} }}

// batch is a request of many small files under way: a tar archive in memory, so that it can be sent again.
type batch struct {
	archive bytes.Buffer
	data    []byte
	files   []archived
}

// archived is a file in an archive.
type archived struct {
	*source
	digest string
	// end is where in the archive its last byte is.
	end int64
}

// putBatch sends small files in one request, but for those that the server has. What comes of each is its own
// affair: a file that the server has no answer for goes by itself.
func (r *run) putBatch(ctx context.Context, files []*source) {
	b := batches.Get().(*batch)
	defer batches.Put(b)
	b.archive.Reset()
	b.files = b.files[:0]
	w := tar.NewWriter(&b.archive)
	var alone []*source
	for _, s := range files {
		switch o, err := b.add(w, s); {
		case errors.Is(err, errAlone):
			alone = append(alone, s)
		case err != nil || o == Unchanged:
			r.done(ctx, s.it, o, err)
		default:
			r.progress.Start(s.it)
		}
	}
	if err := w.Close(); err != nil {
		for _, a := range b.files {
			r.fail(ctx, a.it, err)
		}
		return
	}
	if len(b.files) > 0 {
		alone = append(alone, r.sendBatch(ctx, b)...)
	}
	for _, s := range alone {
		if ctx.Err() != nil {
			return
		}
		r.putFile(ctx, s)
	}
}

// errAlone means that a file is not fit for a batch.
var errAlone = errors.New("the file goes by itself")

// add puts a file into the archive, unless the server has it.
func (b *batch) add(w *tar.Writer, s *source) (Outcome, error) {
	f, info, err := s.openFile()
	if err != nil {
		return outcomeOf(err), err
	}
	defer f.Close()
	if s.it.Size > smallFile {
		// It has grown since its folder was read.
		return 0, errAlone
	}
	data := b.data[:s.it.Size]
	if err := readWhole(f, info, data); err != nil {
		return Failed, err
	}
	digest := digestOf(data)
	if s.have.is(s.it.Size, digest) {
		s.it.Digest = digest
		return Unchanged, nil
	}
	h := &tar.Header{
		Typeflag: tar.TypeReg, Name: strings.TrimPrefix(s.it.Remote, "/"), Size: s.it.Size, Mode: 0o644,
		Format: tar.FormatPAX, PAXRecords: map[string]string{"GOPAN.digest": digest},
	}
	if timeText(info.ModTime()) != "" {
		h.ModTime = info.ModTime()
	}
	if err := w.WriteHeader(h); err != nil {
		// The format has no form for it; nothing of it was written.
		return 0, errAlone
	}
	if _, err := w.Write(data); err != nil {
		return Failed, err
	}
	b.files = append(b.files, archived{s, digest, int64(b.archive.Len())})
	return Moved, nil
}

// batchResult is what became of one file of a batch.
type batchResult struct {
	Status int    `json:"status"`
	Node   *Node  `json:"node"`
	Code   string `json:"code"`
	Title  string `json:"title"`
}

// sendBatch sends the archive and reports its files, but for those that it returns: they go by themselves. An
// archive whose answer was lost goes again: bytes that are there already make no new version.
func (r *run) sendBatch(ctx context.Context, b *batch) (alone []*source) {
	p := &batchProgress{batch: b, to: r.progress}
	var out struct {
		Results []batchResult `json:"results"`
	}
	_, err := r.Client.do(ctx, &call{
		method: http.MethodPost, path: "/uploads/batch", query: url.Values{"path": {"/"}, "conflict": {"replace"}},
		header:  http.Header{"Content-Type": {"application/x-tar"}},
		content: &Content{Size: int64(b.archive.Len()), Open: p.open}, out: &out,
	})
	var refused *Error
	if err != nil && (!errors.As(err, &refused) || IsUnavailable(err) || errors.Is(err, ErrSignedOut)) {
		// It is the same for all of them.
		p.back(nil)
		for _, a := range b.files {
			r.fail(ctx, a.it, err)
		}
		return nil
	}
	if err != nil {
		p.back(nil)
	}
	reported := p.end()
	for i, a := range b.files {
		var res batchResult
		if i < len(out.Results) {
			res = out.Results[i]
		}
		switch {
		case res.Status/100 == 2:
			o, err := a.it.arrived(res.Node, a.digest)
			r.done(ctx, a.it, o, err)
		case res.Status/100 == 4 && res.Status != http.StatusTooManyRequests && res.Status != http.StatusRequestEntityTooLarge:
			r.fail(ctx, a.it, &Error{Status: res.Status, Code: res.Code, Title: res.Title})
		default:
			if i < reported {
				r.progress.Advance(a.it, -a.it.Size)
			}
			alone = append(alone, a.source)
		}
	}
	return alone
}

// batchProgress reports the files of an archive as it goes.
type batchProgress struct {
	*batch
	to Progress

	mu sync.Mutex
	// present is the present attempt's reader. One that was given up may still be read, also when the archive is
	// another's already: it yields nothing any more.
	present *batchReader
	// done is how many of the files have been reported.
	done int
}

func (p *batchProgress) open() (io.ReadCloser, error) {
	r := &batchReader{p: p, r: bytes.NewReader(p.archive.Bytes())}
	p.back(r)
	return r, nil
}

// back ends the present attempt and takes back what was reported.
func (p *batchProgress) back(next *batchReader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.present = next
	for ; p.done > 0; p.done-- {
		p.to.Advance(p.files[p.done-1].it, -p.files[p.done-1].it.Size)
	}
}

// end ends the present attempt. Of the files that were reported, it gives the number.
func (p *batchProgress) end() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.present = nil
	return p.done
}

type batchReader struct {
	p *batchProgress
	r *bytes.Reader
}

func (r *batchReader) Read(b []byte) (int, error) {
	p := r.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.present != r {
		return 0, io.ErrClosedPipe
	}
	n, err := r.r.Read(b)
	for at := r.r.Size() - int64(r.r.Len()); p.done < len(p.files) && p.files[p.done].end <= at; p.done++ {
		p.to.Advance(p.files[p.done].it, p.files[p.done].it.Size)
	}
	return n, err
}

func (r *batchReader) Close() error { return nil }
