package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// source is the large file that is sent, held in the page cache.
type source struct {
	*os.File
	size   int64
	stamps uint64
}

// stampEvery is how far apart the bytes are that make one round's content differ from the next one's in every
// block, so that no store can have it already.
const stampEvery = 4 << 20

// theSource makes the large file, once.
func (b *bench) theSource() (*source, error) {
	if b.source != nil {
		return b.source, nil
	}
	f, err := os.Create(filepath.Join(b.dir, "source"))
	if err != nil {
		return nil, err
	}
	b.stops = append(b.stops, f.Close)
	random := rand.NewChaCha8([32]byte{}) // the same bytes in every run
	buf := make([]byte, 1<<20)
	for at := int64(0); at < b.size; at += int64(len(buf)) {
		if _, err := random.Read(buf); err != nil {
			return nil, err
		}
		if _, err := f.Write(buf); err != nil {
			return nil, err
		}
	}
	b.source = &source{File: f, size: b.size}
	return b.source, f.Sync()
}

// stamp makes the file one that nobody has seen.
func (s *source) stamp() error {
	s.stamps++
	mark := []byte(fmt.Sprintf("%08d", s.stamps))
	for at := int64(0); at < s.size; at += stampEvery {
		if _, err := s.WriteAt(mark, at); err != nil {
			return err
		}
	}
	return s.Sync()
}

// settle waits until what was written before has reached the disk, so that no sample pays for another.
func (b *bench) settle() error {
	d, err := os.Open(b.dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}

// dd copies the large file as the disk's own limit, and removes the copy.
func (b *bench) dd(src *source) (figures, error) {
	to := filepath.Join(b.dir, "dd")
	cmd := exec.CommandContext(b.ctx, "dd", "if="+src.Name(), "of="+to, "bs=4M", "conv=fsync", "status=none")
	cmd.Stderr = os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("dd: %w", err)
	}
	took := time.Since(start)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return figures{"rate": mibs(src.size, took), "cpu": cpu.Seconds()}, os.Remove(to)
}

func mibs(n int64, took time.Duration) float64 { return float64(n) / (1 << 20) / took.Seconds() }

// writeDurably is all that a file that survives a power cut costs: write, fsync, rename, fsync of the folder.
func writeDurably(tmp, name string, data []byte) error {
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return renameDurably(tmp, name)
}

// renameDurably renames within a folder and waits for the disk.
func renameDurably(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writers is the floor under small files: as many writers as there are connections, and no HTTP.
func (b *bench) writers(ctx context.Context, dir string, n int) (figures, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	return inParallel(ctx, connections, n, func(int) func(int) error {
		data := make([]byte, smallSize)
		return func(i int) error {
			name := filepath.Join(dir, "f"+strconv.Itoa(i))
			return writeDurably(name+".tmp", name, data)
		}
	})
}
