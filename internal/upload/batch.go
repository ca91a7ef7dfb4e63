package upload

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Batch bounds a request with many files. What is beyond it fails entry by entry.
type Batch struct {
	// Files is how many entries a request may have; 0 means 1,000.
	Files int
	// Bytes of all files together; 0 means 64 MiB. A file has one block at most.
	Bytes int64
}

// orDefault puts the defaults in the place of zeros.
func (b Batch) orDefault() Batch {
	if b.Files == 0 {
		b.Files = 1000
	}
	if b.Bytes == 0 {
		b.Bytes = 64 << 20
	}
	return b
}

// stream is how many bytes a body may have: what tar puts around files counts, and so does what is too large and is
// passed over.
func (b Batch) stream() int64 {
	const around = 16 << 10
	return 2*b.Bytes + int64(b.Files)*around
}

const (
	// groupEntries are committed at once, while the next ones wait in the connection.
	groupEntries = 256
	// groupPuts of them are stored at the same time, so that a store can make many of them durable together.
	groupPuts = 64
)

// batch is a request with many files.
type batch struct {
	*Service
	user     *filemetapb.Actor
	base     drivepath.Path
	conflict filemetapb.Conflict
	drive    int64
	limits   Batch

	all   []*entry
	bytes int64
	// group is what was read and not committed yet; puts are its files on their way into the store.
	group []*entry
	puts  sync.WaitGroup
	slots chan struct{}
}

// entry is one entry of the stream, and what becomes of it.
type entry struct {
	path string
	// file is what is to be committed; nil: it is a folder, or it failed.
	file *filemetapb.CommitRequest
	done *filemetapb.CommitResponse
	err  error
}

// take takes all entries of a tar stream. When the stream breaks off, what has not been committed by then is not.
func (b *batch) take(ctx context.Context, body io.Reader) error {
	const op = errs.Op("upload.batch")
	defer b.puts.Wait()
	from := &bodyReader{r: body}
	in := tar.NewReader(from)
	for {
		h, err := in.Next()
		var tooLarge *http.MaxBytesError
		switch {
		case err == io.EOF:
			return errs.Wrap(op, b.commit(ctx))
		case errors.As(from.err, &tooLarge):
			return errs.E(errs.TooLarge, op, from.err)
		case from.err != nil:
			return errs.E(errs.Invalid, op, errs.Code("body_interrupted"), from.err)
		case err != nil:
			return errs.E(errs.Invalid, op, errs.Code("bad_tar"), err)
		}
		e := &entry{path: strings.ToValidUTF8(h.Name, "\uFFFD")}
		b.all = append(b.all, e)
		// Nothing is written to e when it is being stored: what becomes of that is for the storing to say.
		if err := b.read(ctx, e, h, in); err != nil {
			e.err = err
		} else {
			b.group = append(b.group, e)
		}
		if len(b.group) == groupEntries {
			if err := b.commit(ctx); err != nil {
				return errs.Wrap(op, err)
			}
		}
	}
}

// read looks at an entry, and sets about storing it if it is a file.
func (b *batch) read(ctx context.Context, e *entry, h *tar.Header, in io.Reader) error {
	const op = errs.Op("upload.read")
	p, err := b.place(h.Name)
	if err != nil {
		return err
	}
	e.path = p.String()
	switch {
	case len(b.all) > b.limits.Files:
		return errs.E(errs.TooLarge, op)
	case h.Typeflag == tar.TypeDir:
		return nil
	case h.Typeflag != tar.TypeReg:
		return errs.E(errs.Invalid, op, errs.Code("bad_entry"))
	case h.Size > blob.BlockSize || b.bytes+h.Size > b.limits.Bytes:
		return errs.E(errs.TooLarge, op)
	}
	want := blob.Want{Size: h.Size, Limit: -1}
	if text, ok := h.PAXRecords["GOPAN.digest"]; ok {
		if want.Digest, err = blob.ParseDigest(text); err != nil {
			return err
		}
		if want.Digest == (blob.Digest{}) { // no content has it
			return errs.E(errs.Invalid, op, errs.Code("digest_mismatch"))
		}
	}
	b.bytes += h.Size
	content := &pieces{hold: b.Memory.hold(b.user.GetUserId())}
	if err := content.fill(ctx, in, h.Size); err != nil {
		content.drop()
		return errs.Wrap(op, err)
	}
	e.file = &filemetapb.CommitRequest{
		Target: &filemetapb.Target{
			Actor: b.user, Path: e.path, Parents: true, Conflict: b.conflict, Size: h.Size,
		},
		Blob: &filemetapb.Blob{Size: h.Size},
	}
	if plausible(h.ModTime) {
		e.file.ModifiedAt = h.ModTime.UnixMilli()
	}
	b.slots <- struct{}{}
	b.puts.Go(func() {
		e.err = b.put(ctx, e.file.GetBlob(), content, want)
		content.drop()
		<-b.slots
	})
	return nil
}

// put stores the content of one file.
func (b *batch) put(ctx context.Context, to *filemetapb.Blob, content io.Reader, want blob.Want) error {
	want.Check = func(blocks []blob.Sum) error {
		to.Sha256 = plainSHA256(blocks)
		return nil
	}
	ref, err := blob.Write(ctx, b.Blobs.For(b.drive, want.Size), content, want)
	if err != nil {
		return errs.Wrap("upload.put", err)
	}
	to.Digest = ref.Digest[:]
	return nil
}

// commit puts the present group into the tree: its folders, and then its files, in one commit of many.
func (b *batch) commit(ctx context.Context) error {
	const op = errs.Op("upload.commit")
	b.puts.Wait()
	if err := ctx.Err(); err != nil {
		return errs.Wrap(op, err)
	}
	group := b.group
	b.group = nil
	var files []*entry
	var many filemetapb.CommitManyRequest
	for _, e := range group {
		switch {
		case e.err != nil:
		case e.file != nil:
			files, many.Commits = append(files, e), append(many.Commits, e.file)
		default:
			e.done, e.err = b.Tree.MakeFolder(ctx, &filemetapb.MakeFolderRequest{Actor: b.user, Path: e.path})
		}
	}
	if len(files) == 0 {
		return nil
	}
	resp, err := b.Tree.CommitMany(ctx, &many)
	if err != nil {
		return errs.Wrap(op, err)
	}
	for i, o := range resp.GetOutcomes() {
		files[i].done = o.GetDone()
		if f := o.GetFailure(); f != nil {
			files[i].err = errs.E(errs.Kind(f.GetKind()), op, errs.Code(f.GetCode()), errs.Field(f.GetField()))
		}
	}
	return nil
}

// place is where an entry goes: below the batch's folder. tar writes "./a", and folders with a "/" at the end.
func (b *batch) place(name string) (drivepath.Path, error) {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if name == "" || name == "." {
		return b.base, nil
	}
	return drivepath.Parse(strings.TrimSuffix(b.base.String(), "/") + "/" + name)
}
