package client

import (
	"context"
	"io"
	"os"
)

// smallFile is up to what size a file is read into memory and its digest sent ahead, so that the server refuses
// bytes that were damaged on the way. Times the workers, it bounds the memory.
const smallFile = 1 << 20

// source is a file that is to be sent.
type source struct {
	it *Item
	// open opens the file that was found, and no other.
	open func() (*os.File, error)
	// have is what the server has in its place; nil for nothing.
	have *entry
}

// file queues a file, by itself or with others like it.
func (r *run) file(ctx context.Context, s *source) {
	if s.it.Size <= smallFile {
		r.gather(ctx, s)
		return
	}
	r.queue(ctx, func() { r.putFile(ctx, s) })
}

// putFile sends one file, unless the server has it.
func (r *run) putFile(ctx context.Context, s *source) {
	o, err := r.tryPut(ctx, s)
	if err != nil && o != Skipped {
		o = Failed
	}
	r.done(ctx, s.it, o, err)
}

func (r *run) tryPut(ctx context.Context, s *source) (Outcome, error) {
	it, have := s.it, s.have
	f, info, err := s.openFile()
	if err != nil {
		return outcomeOf(err), err
	}
	defer f.Close()
	opt := PutOptions{Parents: true, Conflict: "replace", ModifiedAt: info.ModTime()}
	switch {
	case it.Size > blocksFrom:
		return r.putLarge(ctx, it, f, info, have, opt)
	case it.Size <= smallFile:
		return r.putSmall(ctx, it, f, info, have, opt)
	case have != nil && have.size == it.Size && have.digest != "":
		digest, n, err := DigestOf(ctxReader{ctx, io.NewSectionReader(f, 0, it.Size)})
		if err == nil && n != it.Size {
			err = ErrChanged
		}
		if err == nil {
			err = unchanged(f, info)
		}
		if err != nil {
			return Failed, err
		}
		it.Digest, opt.Digest = digest, digest
		if digest == have.digest {
			return Unchanged, nil
		}
	}
	r.progress.Start(it)
	content, digest := fileContent(f, info, func(n int64) { r.progress.Advance(it, n) })
	node, err := r.Client.Put(ctx, it.Remote, content, opt)
	if err != nil {
		return Failed, err
	}
	return it.arrived(node, digest.hex())
}

// openFile opens a file that is one, and takes its size as it now is.
func (s *source) openFile() (*os.File, os.FileInfo, error) {
	f, err := s.open()
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrSkipped
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	s.it.Size = info.Size()
	return f, info, nil
}

func outcomeOf(err error) Outcome {
	if err == ErrSkipped { //nolint:errorlint // openFile gives it as it is
		return Skipped
	}
	return Failed
}

// putSmall sends a file that fits into memory.
func (r *run) putSmall(ctx context.Context, it *Item, f *os.File, info os.FileInfo, have *entry, opt PutOptions) (Outcome, error) {
	data := make([]byte, it.Size)
	if err := readWhole(f, info, data); err != nil {
		return Failed, err
	}
	opt.Digest = digestOf(data)
	if have.is(it.Size, opt.Digest) {
		it.Digest = opt.Digest
		return Unchanged, nil
	}
	r.progress.Start(it)
	node, err := r.Client.Put(ctx, it.Remote, Bytes(data), opt)
	if err != nil {
		return Failed, err
	}
	r.progress.Advance(it, it.Size)
	return it.arrived(node, opt.Digest)
}

// readWhole fills data with a file as info describes it.
func readWhole(f *os.File, info os.FileInfo, data []byte) error {
	if _, err := f.ReadAt(data, 0); err == io.EOF && len(data) > 0 {
		return ErrChanged
	} else if err != nil && err != io.EOF {
		return err
	}
	return unchanged(f, info)
}

// digestOf is the digest of bytes in memory.
func digestOf(data []byte) string {
	var d Digester
	d.Write(data)
	return d.Hex()
}

// is tells whether an entry is a file with these bytes.
func (e *entry) is(size int64, digest string) bool {
	return e != nil && !e.folder && e.size == size && e.digest == digest
}

// arrived holds what the server made of a file against what was sent; an empty digest is not known.
func (it *Item) arrived(node *Node, digest string) (Outcome, error) {
	if node == nil || node.Size != it.Size || digest != "" && node.Digest != digest {
		return Failed, ErrDigest
	}
	it.Digest = node.Digest
	return Moved, nil
}
