package download

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/mem"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// zeros is content without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func sized(name string, size int64) entry {
	return entry{name, &filemetapb.Node{Name: name, Size: size, Folder: name[len(name)-1] == '/', ModifiedAt: 1e12}}
}

// zipSize says to the byte what archive/zip writes, on both sides of every bound of the format.
func TestZipSize(t *testing.T) {
	var many []entry
	for i := range math.MaxUint16 {
		many = append(many, sized(fmt.Sprintf("f%d", i), int64(i%3)))
	}
	for name, entries := range map[string][]entry{
		"nothing":                     nil,
		"folder":                      {sized("文件/", 0)},
		"small":                       {sized("a/", 0), sized("a/b", 1), sized("a/none", 0)},
		"one entry below zip64":       many[1:],
		"enough entries for zip64":    many,
		"a file of zip64, then files": {sized("a", math.MaxUint32), sized("b", 1), sized("c/", 0)},
		"an offset at the bound":      {sized("a", math.MaxUint32-localHeader-timeExtra-1-descriptor), sized("b", 1)},
		"an offset below the bound":   {sized("a", math.MaxUint32-localHeader-timeExtra-1-descriptor-1), sized("b/", 0)},
	} {
		var n counter
		z := zip.NewWriter(&n)
		buf := make([]byte, 1<<20)
		for _, e := range entries {
			w, err := z.CreateHeader(zipHeader(e))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyBuffer(w, io.LimitReader(zeros{}, e.node.GetSize()), buf); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if got := zipSize(entries); got != int64(n) {
			t.Errorf("%s: %d bytes, want %d", name, got, n)
		}
	}
}

// Times that the format cannot hold become the nearest that it can.
func TestZipTime(t *testing.T) {
	for ms, want := range map[int64]string{
		0: "1980-01-01", -1e15: "1980-01-01", 1e12: "2001-09-09", 9e15: "2107-12-31",
	} {
		e := sized("a", 0)
		e.node.ModifiedAt = ms
		if got := zipHeader(e).Modified.Format(time.DateOnly); got != want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
}

// L19: what could leave the folder that a zip is unpacked in is never packed, wherever it came from.
func TestZipNames(t *testing.T) {
	for _, name := range []string{"..", ".", "", "a/b", "/etc/passwd", `a\b`, `..\..\x`, "a\x00b", "a\nb", "a\u202eb"} {
		s := &Service{Blobs: &blob.Verifier{Store: new(mem.Store)}}
		forest := &forest{names: []string{name}}
		if err := s.walk(t.Context(), tree{FileMetaClient: forest}, []entry{{"d/", forest.node(rootID)}}, func(e entry) error {
			if e.name != "d/" {
				t.Errorf("%q became %q", name, e.name)
			}
			return nil
		}); !errs.Is(errs.Internal, err) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

const rootID = 1

// forest is a tree of one folder with more in it than a test could upload: files of one byte, by name or by number.
type forest struct {
	filemetapb.FileMetaClient
	names []string
	count int64
	ref   blob.Ref
}

func (f *forest) node(id int64) *filemetapb.Node {
	if id == rootID {
		return &filemetapb.Node{Id: id, Name: "d", Folder: true}
	}
	name := strconv.FormatInt(id, 10)
	if f.names != nil {
		name = f.names[id-2]
	}
	return &filemetapb.Node{Id: id, Name: name, Size: f.ref.Size, Digest: f.ref.Digest[:]}
}

func (f *forest) Resolve(_ context.Context, r *filemetapb.ResolveRequest, _ ...grpc.CallOption) (*filemetapb.Node, error) {
	return f.node(r.GetId()), nil
}

func (f *forest) ListFolder(_ context.Context, r *filemetapb.ListFolderRequest, _ ...grpc.CallOption) (*filemetapb.ListFolderResponse, error) {
	first := int64(2)
	if r.GetCursor() != "" {
		var err error
		if first, err = strconv.ParseInt(r.GetCursor(), 10, 64); err != nil {
			return nil, err
		}
	}
	end := max(f.count, int64(len(f.names))) + 2
	page := new(filemetapb.ListFolderResponse)
	for id := first; id < min(end, first+int64(r.GetLimit())); id++ {
		page.Nodes = append(page.Nodes, f.node(id))
	}
	if next := first + int64(r.GetLimit()); next < end {
		page.Next = strconv.FormatInt(next, 10)
	}
	return page, nil
}

// An archive of more entries than the old format counts; one that is too long to be planned has no length and is whole
// all the same.
func TestManyEntries(t *testing.T) {
	store := new(mem.Store)
	ref, err := blob.Write(t.Context(), store, bytes.NewReader([]byte("x")), blob.Want{Size: 1, Limit: -1})
	if err != nil {
		t.Fatal(err)
	}
	for count, length := range map[int64]bool{plannedEntries - 1: true, plannedEntries: false, 70_000: false} {
		s := &Service{
			Blobs: &blob.Verifier{Store: store}, Tree: &forest{count: count, ref: ref}, Archives: Archives{Entries: 100_000},
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/api/v1/archive?ids=1", nil)
		if err := s.GetArchive(w, r.WithContext(auth.With(t.Context(), auth.Principal{UserID: 1}))); err != nil {
			t.Fatal(err)
		}
		if got := w.Header().Get("Content-Length"); (got == strconv.Itoa(w.Body.Len())) != length || got != "" != length {
			t.Errorf("%d: Content-Length %q of %d", count, got, w.Body.Len())
		}
		z, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(z.File)) != count+1 {
			t.Errorf("%d entries, want %d", len(z.File), count+1)
		}
		last, err := z.File[count].Open()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(last); err != nil || string(b) != "x" {
			t.Errorf("%d: %q, %v", count, b, err)
		}
	}
	// One more than the limit is refused before a byte is written.
	s := &Service{Tree: &forest{count: 100_000, ref: ref}, Archives: Archives{Entries: 100_000}}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/api/v1/archive?ids=1", nil)
	if err := s.GetArchive(w, r.WithContext(auth.With(t.Context(), auth.Principal{UserID: 1}))); !errs.Is(errs.TooLarge, err) || w.Body.Len() > 0 {
		t.Errorf("%v, and %d bytes", err, w.Body.Len())
	}
}
