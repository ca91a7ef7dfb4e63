package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	theLibrary = "minio-go"
	// partSize is how the drive stores a file of this size in a bucket.
	partSize = 8 << 20
	// aheadParts are how many parts the library has under way at once.
	aheadParts = 4

	accessKey, secretKey = "bench-access", "bench-secret-key"
	// The drive's bucket, and the library's own.
	driveBucket, libraryBucket = "drive", "library"
)

// minioServer is a MinIO with a bucket for the drive, and the client library that the drive has.
type minioServer struct {
	*proc
	client *minio.Client
	// self is this process: what the library takes of the processor.
	self *proc
}

// theMinIO starts MinIO on the disk that is measured, once for the run.
func (b *bench) theMinIO() (*minioServer, error) {
	if b.minioOnce != nil {
		return b.minioOnce, nil
	}
	program, err := b.findMinIO()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "minio")
	certs := filepath.Join(dir, "certs")
	if err := os.MkdirAll(certs, 0o700); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "server", "--quiet", "--anonymous", "--address", addr, "--certs-dir", certs, filepath.Join(dir, "data"))
	cmd.Env = append(os.Environ(),
		// It would refuse folders of a container's root, and otherwise look at the network.
		"MINIO_CI_CD=1", "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey, "MINIO_BROWSER=off",
		"MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off")
	p, err := startProc(b.ctx, b.dir, "minio", addr, "/minio/health/live", cmd)
	if err != nil {
		return nil, err
	}
	b.stops = append(b.stops, p.stop)
	client, err := minio.New(addr, &minio.Options{
		Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: "us-east-1", TrailingHeaders: true,
	})
	if err != nil {
		return nil, err
	}
	for _, bucket := range []string{driveBucket, libraryBucket} {
		if err := client.MakeBucket(b.ctx, bucket, minio.MakeBucketOptions{}); err != nil {
			return nil, err
		}
	}
	b.minioOnce = &minioServer{proc: p, client: client, self: &proc{pids: []int{os.Getpid()}}}
	return b.minioOnce, nil
}

// findMinIO gives the program; unless one is named, the script that builds it says where it is.
func (b *bench) findMinIO() (string, error) {
	if b.minio != "" {
		return b.minio, nil
	}
	var says bytes.Buffer
	cmd := exec.CommandContext(b.ctx, "tools/scripts/tool.sh", "minio")
	cmd.Stderr = &says
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("MinIO is built from the project's folder, or named with -minio: %w\n%s", err, says.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// inBucket is phase for a drive that keeps all content in a bucket of its own.
func (b *bench) inBucket(name string, m *minioServer, fn func(g *gopan) error) error {
	file := filepath.Join(b.dir, name+".yaml")
	text := fmt.Sprintf("blob:\n  stores:\n    minio: {kind: s3, endpoint: \"http://%s\", bucket: %s, prefix: %s/}\n  policies:\n    - {store: minio}\n",
		m.addr, driveBucket, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	with := setup{config: file, bucket: true, env: []string{
		"GOPAN_STORE_MINIO_ACCESS_KEY=" + accessKey, "GOPAN_STORE_MINIO_SECRET_KEY=" + secretKey,
	}}
	return b.phaseWith(with, name, fn)
}

// empty removes all that a phase has left, for the room that it takes.
func (m *minioServer) empty(b *bench) error {
	for _, bucket := range []string{driveBucket, libraryBucket} {
		for o := range m.client.ListObjectsIter(b.ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
			err := o.Err
			if err == nil {
				err = m.client.RemoveObject(b.ctx, bucket, o.Key, minio.RemoveObjectOptions{})
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// putParts uploads the large file by the library alone, in the parts that the drive makes of it, with the sums that it
// sends.
func (m *minioServer) putParts(b *bench, src *source, key string) error {
	_, err := m.client.FPutObject(b.ctx, libraryBucket, key, src.Name(), minio.PutObjectOptions{
		PartSize: partSize, NumThreads: aheadParts, DisableContentSha256: true,
	})
	return err
}

// getParts downloads the large file by the library alone, in ranges of a part's size, some at once, and discards them.
func (m *minioServer) getParts(b *bench, key string) error {
	failed := make([]error, aheadParts)
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range failed {
		wg.Go(func() { failed[i] = m.getSome(b, key, &next) })
	}
	wg.Wait()
	return errors.Join(failed...)
}

// getSome downloads one part after the other, as long as there are any.
func (m *minioServer) getSome(b *bench, key string, next *atomic.Int64) error {
	core, buf := minio.Core{Client: m.client}, make([]byte, 1<<20)
	for {
		at := (next.Add(1) - 1) * partSize
		if at >= b.size {
			return nil
		}
		n := min(partSize, b.size-at)
		var opts minio.GetObjectOptions
		if err := opts.SetRange(at, at+n-1); err != nil {
			return err
		}
		body, _, _, err := core.GetObject(b.ctx, libraryBucket, key, opts)
		if err != nil {
			return err
		}
		got, err := io.CopyBuffer(onlyWriter{io.Discard}, body, buf)
		if err := errors.Join(err, body.Close()); err != nil {
			return err
		}
		if got != n {
			return fmt.Errorf("%d bytes of %d", got, n)
		}
	}
}

// onlyWriter hides that io.Discard would read by small buffers.
type onlyWriter struct{ io.Writer }

// s3put measures a large upload whose content goes to a bucket, beside the same by the library that the drive has.
func (b *bench) s3put() error {
	src, err := b.theSource()
	if err != nil {
		return err
	}
	m, err := b.theMinIO()
	if err != nil {
		return err
	}
	err = b.inBucket("s3put", m, func(g *gopan) error {
		out, err := b.compare(
			b.bySession(g, src),
			side{name: theLibrary, proc: m.self, per: b.gib(), run: func(round int) (figures, error) {
				if err := src.stamp(); err != nil {
					return nil, err
				}
				f, err := timed(src.size, func() error { return m.putParts(b, src, "put") })
				if err != nil {
					return nil, err
				}
				return f, m.client.RemoveObject(b.ctx, libraryBucket, "put", minio.RemoveObjectOptions{})
			}},
		)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("session of %s by %d connections, to a bucket", b.sized(), streams)
		b.add(row{What: what, Unit: "MiB/s", Goal: b.goal(ratioFrom, 0.8)}, out, "rate", theLibrary)
		return nil
	})
	return errors.Join(err, m.empty(b))
}

// s3get measures the download of a large file from a bucket.
func (b *bench) s3get() error {
	src, err := b.theSource()
	if err != nil {
		return err
	}
	m, err := b.theMinIO()
	if err != nil {
		return err
	}
	const key, path = "get", "/get.bin"
	err = b.inBucket("s3get", m, func(g *gopan) error {
		if err := src.stamp(); err != nil {
			return err
		}
		if err := m.putParts(b, src, key); err != nil {
			return err
		}
		if _, err := b.putLarge(g, src, path); err != nil {
			return err
		}
		if err := b.restart(g); err != nil {
			return err
		}
		for _, parts := range []int{1, 4} {
			out, err := b.compare(
				b.byGet(g, func(int) string { return path }, parts),
				side{name: theLibrary, proc: m.self, per: b.gib(), run: func(int) (figures, error) {
					return timed(src.size, func() error { return m.getParts(b, key) })
				}},
			)
			if err != nil {
				return err
			}
			what := map[int]string{1: "GET %s from a bucket, one stream", 4: "GET %s from a bucket, four ranges at once"}[parts]
			b.add(row{What: fmt.Sprintf(what, b.sized()), Unit: "MiB/s", Goal: b.goal(ratioFrom, 0.8)}, out, "rate", theLibrary)
		}
		return b.same(g, src, path)
	})
	return errors.Join(err, m.empty(b))
}
