package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strconv"
	"time"
)

const (
	// batchFiles go in one request, and batchConns are the connections, as the command line has them.
	batchFiles = 200
	batchConns = 8
	theSingles = "single PUTs"
)

// batch measures many small files in few requests beside the same in a request each.
func (b *bench) batch() error {
	n := float64(b.files)
	return b.phase("batch", func(g *gopan) error {
		out, err := b.compare(
			side{name: theSingles, proc: g.proc, per: n, run: func(round int) (figures, error) {
				token, err := g.token(b.ctx)
				if err != nil {
					return nil, err
				}
				folder := fmt.Sprintf("/singles-%d", round)
				if _, err := g.putAll(b.ctx, token, folder, b.files, 1, 0, 1); err != nil {
					return nil, err
				}
				return b.putSmall(g.addr, token, 2*round, func(i int) string { return uploadOf(folder + "/f" + strconv.Itoa(i)) })
			}},
			side{name: theDrive, proc: g.proc, per: n, run: func(round int) (figures, error) {
				token, err := g.token(b.ctx)
				if err != nil {
					return nil, err
				}
				folder := fmt.Sprintf("batches-%d", round)
				if _, err := g.putAll(b.ctx, token, "/"+folder, b.files, 1, 0, 1); err != nil {
					return nil, err
				}
				return b.putBatches(g.addr, token, folder, 2*round+1)
			}},
		)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%d files of 4 KiB, %d to a request", b.files, batchFiles)
		b.add(row{What: what, Unit: "files/s", Goal: b.goal(ratioFrom, 3)}, out, "rate", theSingles)
		return nil
	})
}

// putBatches sends small files, many to a request. The requests are made before the clock starts.
func (b *bench) putBatches(addr, token, folder string, round int) (figures, error) {
	var requests [][]byte
	for from := 0; from < b.files; from += batchFiles {
		body, err := archive(folder, round, from, min(from+batchFiles, b.files))
		if err != nil {
			return nil, err
		}
		requests = append(requests, request(nil, "POST", "/api/v1/uploads/batch?path=/", token, body, "Content-Type: application/x-tar"))
	}
	f, err := job{addr: addr, conns: min(batchConns, len(requests)), n: len(requests),
		make: func(_ []byte, i int) []byte { return requests[i] },
		check: func(i int, body []byte) error {
			want := min(batchFiles, b.files-i*batchFiles)
			if got := bytes.Count(body, []byte(`"status":201`)); got != want {
				return fmt.Errorf("%d of %d files were made: %s", got, want, body[:min(len(body), 1000)])
			}
			return nil
		},
	}.run(b.ctx)
	if err != nil {
		return nil, err
	}
	return figures{"rate": float64(b.files) / (f["total"] / 1000)}, nil
}

// archive holds the small files of a round from one number up to another.
func archive(folder string, round, from, to int) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := from; i < to; i++ {
		h := &tar.Header{
			Typeflag: tar.TypeReg, Name: folder + "/f" + strconv.Itoa(i), Size: smallSize, Mode: 0o644, Format: tar.FormatPAX,
			ModTime: time.Unix(1_700_000_000, 123_456_789),
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(content(smallSize, round, i)); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
