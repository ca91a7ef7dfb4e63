package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	theDD    = "dd conv=fsync"
	theNginx = "nginx"
	theSync  = "nginx, then fsync"
	theDrive = "gopan"
)

func (b *bench) gib() float64 { return float64(b.size) / (1 << 30) }

// sized names an amount in a row.
func (b *bench) sized() string {
	if b.size >= 1<<30 {
		return fmt.Sprintf("%d GiB", b.size>>30)
	}
	return fmt.Sprintf("%d MiB", b.size>>20)
}

// put measures one large upload.
func (b *bench) put() error {
	src, err := b.theSource()
	if err != nil {
		return err
	}
	ng, err := b.theNginx()
	if err != nil {
		return err
	}
	return b.phase("put", func(g *gopan) error {
		out, err := b.compare(
			side{name: theDD, run: func(int) (figures, error) { return b.dd(src) }},
			side{name: theDrive, proc: g.proc, per: b.gib(), run: func(round int) (figures, error) {
				return b.putLarge(g, src, fmt.Sprintf("/large/%d.bin", round))
			}},
			side{name: theSync, proc: ng.proc, per: b.gib(), run: func(int) (figures, error) { return b.putNginx(ng, src) }},
		)
		if err != nil {
			return err
		}
		what := "PUT " + b.sized()
		b.add(row{What: what, Unit: "MiB/s", Goal: b.goal(ratioFrom, 0.85)}, out, "rate", theDD)
		b.add(row{What: what, Unit: "MiB/s", Goal: b.goal(ratioFrom, 1)}, out, "rate", theSync)
		hash, err := hashCPU()
		if err != nil {
			return err
		}
		// What the drive does that nginx does not is to hash; the goal is about the rest.
		beyond := make(series, len(out[theDrive]["cpu"]))
		for i, cpu := range out[theDrive]["cpu"] {
			beyond[i] = max(0, cpu-hash)
		}
		b.rows = append(b.rows, row{
			What: fmt.Sprintf("PUT, CPU per GiB beyond SHA-256 (%.2f s)", hash), Unit: "s", Less: true,
			Gopan: beyond, Against: theNginx, Other: out[theSync]["cpu"], Goal: b.goal(ratioFrom, 1/1.5),
		})
		return nil
	})
}

// putLarge uploads the large file, with bytes that the drive has not seen.
func (b *bench) putLarge(g *gopan, src *source, path string) (figures, error) {
	token, err := g.token(b.ctx)
	if err != nil {
		return nil, err
	}
	if err := src.stamp(); err != nil {
		return nil, err
	}
	c, err := dial(b.ctx, g.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	req := request(nil, "PUT", uploadOf(path), token, nil, fmt.Sprintf("Content-Length: %d", src.size))
	start := time.Now()
	status, err := c.sendFile(req, src.File, 0, src.size)
	took := time.Since(start)
	if err == nil && status != 201 {
		err = fmt.Errorf("PUT: status %d %s", status, c.body)
	}
	return figures{"rate": mibs(src.size, took)}, err
}

// putNginx uploads to nginx, which leaves it to the kernel when the bytes reach the disk, and waits until they have.
func (b *bench) putNginx(ng *nginx, src *source) (figures, error) {
	c, err := dial(b.ctx, ng.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	name := filepath.Join(ng.root, "large.bin")
	req := request(nil, "PUT", "/large.bin", "", nil, fmt.Sprintf("Content-Length: %d", src.size))
	start := time.Now()
	status, err := c.sendFile(req, src.File, 0, src.size)
	if err == nil && status != 201 {
		err = fmt.Errorf("PUT: status %d %s", status, c.body)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return nil, err
	}
	took := time.Since(start)
	return figures{"rate": mibs(src.size, took)}, os.Remove(name)
}

// hashCPU is the processor time, in seconds, that SHA-256 takes for a GiB on one core of this machine.
func hashCPU() (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	block := make([]byte, stampEvery)
	const blocks = 64
	var before, after unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &before); err != nil {
		return 0, err
	}
	for range blocks {
		sum := sha256.Sum256(block)
		block[0] = sum[0] // so that no block is like the one before
	}
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &after); err != nil {
		return 0, err
	}
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	return time.Duration(used).Seconds() * (1 << 30) / (blocks * stampEvery), nil
}

// get measures the download of a large file: at its first read, when the drive checks every block, and after it.
func (b *bench) get() (err error) {
	src, err := b.theSource()
	if err != nil {
		return err
	}
	ng, err := b.theNginx()
	if err != nil {
		return err
	}
	link := filepath.Join(ng.root, "get.bin")
	if err := os.Link(src.Name(), link); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(link)) }()
	path := func(round int) string { return fmt.Sprintf("/large/%d.bin", round) }
	return b.phase("get", func(g *gopan) error {
		for round := range b.rounds {
			if _, err := b.putLarge(g, src, path(round)); err != nil {
				return err
			}
		}
		for _, m := range []struct {
			what  string
			parts int
			goal  goal
		}{
			{"GET %s, the first read since start", 1, goal{}},
			{"GET %s, one stream", 1, b.goal(ratioFrom, 0.85)},
			{"GET %s, four ranges at once", 4, b.goal(ratioFrom, 0.85)},
		} {
			out, err := b.compare(b.byGet(g, path, m.parts), side{name: theNginx, proc: ng.proc, per: b.gib(), run: func(int) (figures, error) {
				return b.pull(ng.addr, "/get.bin", "", m.parts)
			}})
			if err != nil {
				return err
			}
			b.add(row{What: fmt.Sprintf(m.what, b.sized()), Unit: "MiB/s", Goal: m.goal}, out, "rate", theNginx)
		}
		return b.same(g, src, path(b.rounds-1))
	})
}

// byGet downloads the large file of a round from the drive.
func (b *bench) byGet(g *gopan, path func(round int) string, parts int) side {
	return side{name: theDrive, proc: g.proc, per: b.gib(), run: func(round int) (figures, error) {
		token, err := g.token(b.ctx)
		if err != nil {
			return nil, err
		}
		return b.pull(g.addr, contentOf(path(round)), token, parts)
	}}
}

// pull downloads the large file in a number of ranges at once, one for all of it, and discards what comes.
func (b *bench) pull(addr, target, token string, parts int) (figures, error) {
	conns := make([]*conn, parts)
	for i := range conns {
		c, err := dial(b.ctx, addr)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		conns[i] = c
	}
	failed := make([]error, parts)
	var wg sync.WaitGroup
	start := time.Now()
	for i, c := range conns {
		wg.Go(func() {
			size, want := b.size/int64(parts), 200
			var headers []string
			if parts > 1 {
				want = 206
				headers = []string{fmt.Sprintf("Range: bytes=%d-%d", int64(i)*size, int64(i+1)*size-1)}
			}
			status, n, err := c.receive(request(nil, "GET", target, token, nil, headers...))
			if err == nil && (status != want || n != size) {
				err = fmt.Errorf("GET: status %d, %d bytes of %d", status, n, size)
			}
			failed[i] = err
		})
	}
	wg.Wait()
	took := time.Since(start)
	for _, err := range failed {
		if err != nil {
			return nil, err
		}
	}
	return figures{"rate": mibs(b.size, took)}, nil
}

// same makes sure, unmeasured, that the drive gave the very bytes that were sent last.
func (b *bench) same(g *gopan, src *source, path string) error {
	token, err := g.token(b.ctx)
	if err != nil {
		return err
	}
	c, err := dial(b.ctx, g.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return err
	}
	if _, err := c.Write(request(nil, "GET", contentOf(path), token, nil)); err != nil {
		return err
	}
	status, length, err := c.header()
	if err != nil || status != 200 || length != src.size {
		return fmt.Errorf("GET: status %d, %d bytes, %w", status, length, err)
	}
	got, want := sha256.New(), sha256.New()
	if _, err := io.CopyN(got, c.r, length); err != nil {
		return err
	}
	if _, err := io.Copy(want, io.NewSectionReader(src, 0, src.size)); err != nil {
		return err
	}
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		return fmt.Errorf("%s came back with other bytes", path)
	}
	return nil
}
