package download

import (
	"archive/zip"
	"bufio"
	"context"
	"io"
	"io/fs"
	"math"
	"sync"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Archives bound one archive.
type Archives struct {
	// Entries, folders and files; 0: any number. Each takes about half a kilobyte of memory until the end, where a
	// zip lists what is in it.
	Entries int64
	// Bytes of its files; 0: any number.
	Bytes int64
}

// copyBuffers move content into an archive, through the CRC that a zip wants.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// writeZip writes what walk yields as a zip. Contents are stored as they are: most large ones are compressed
// already, the processor is left to others, and the archive's length can be told beforehand.
func (s *Service) writeZip(ctx context.Context, w io.Writer, walk func(func(entry) error) error) error {
	z := zip.NewWriter(bufio.NewWriterSize(w, 64<<10))
	err := walk(func(e entry) error {
		out, err := z.CreateHeader(zipHeader(e))
		if err != nil || e.node.GetFolder() {
			return err
		}
		return s.copyContent(ctx, out, e.node)
	})
	if err != nil {
		return err // without Close, so that what is there can never pass for a whole zip
	}
	return z.Close()
}

func (s *Service) copyContent(ctx context.Context, w io.Writer, n *filemetapb.Node) error {
	const op = errs.Op("download.copyContent")
	ref := blob.Ref{Digest: blob.Digest(n.GetDigest()), Size: n.GetSize()}
	content, err := s.Blobs.Open(ctx, ref)
	if err != nil {
		return errs.Wrap(op, err)
	}
	defer content.Close()
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	// Bare, so that the buffer is used.
	size, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{content}, *buf)
	if err == nil && size != ref.Size {
		err = errs.E(errs.Corrupt, op, errs.Code("content_unavailable"), "size")
	}
	return errs.Wrap(op, err)
}

// The years that a zip's older kind of time can hold.
const firstYear, lastYear = 1980, 2107

func zipHeader(e entry) *zip.FileHeader {
	h := &zip.FileHeader{Name: e.name, Method: zip.Store, Modified: time.UnixMilli(e.node.GetModifiedAt()).UTC()}
	switch y := h.Modified.Year(); {
	case y < firstYear:
		h.Modified = time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC)
	case y > lastYear:
		h.Modified = time.Date(lastYear, 12, 31, 0, 0, 0, 0, time.UTC)
	}
	if e.node.GetFolder() {
		h.SetMode(fs.ModeDir | 0o755)
	} else {
		h.SetMode(0o644)
	}
	return h
}

// Lengths of a zip's records in bytes, without names (APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16).
const (
	localHeader   = 30
	timeExtra     = 9 // extended timestamp, in both headers
	descriptor    = 16
	descriptor64  = 24
	centralHeader = 46
	extra64       = 28 // in the central header
	endRecord     = 22
	end64         = 56 + 20 // zip64 end record and its locator
)

// zipSize is how long the zip of these entries will be: what archive/zip writes for stored contents.
func zipSize(entries []entry) int64 {
	var offset, central int64
	for _, e := range entries {
		fixed := int64(len(e.name)) + timeExtra
		central += centralHeader + fixed
		size := int64(0)
		if !e.node.GetFolder() {
			size = e.node.GetSize()
		}
		if size >= math.MaxUint32 || offset >= math.MaxUint32 {
			central += extra64
		}
		offset += localHeader + fixed + size
		switch {
		case e.node.GetFolder():
		case size >= math.MaxUint32:
			offset += descriptor64
		default:
			offset += descriptor
		}
	}
	total := offset + central + endRecord
	if len(entries) >= math.MaxUint16 || central >= math.MaxUint32 || offset >= math.MaxUint32 {
		total += end64
	}
	return total
}
