package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// blockSums are the SHA-256 sums of a file's blocks, one after the other.
type blockSums []byte

// blocksOf is how many blocks size bytes have.
func blocksOf(size int64) int { return int((size + BlockSize - 1) / BlockSize) }

// blockLength is the length of block n of size bytes: the last may be short.
func blockLength(n int, size int64) int64 { return min(BlockSize, size-int64(n)*BlockSize) }

// of is block n's sum.
func (s blockSums) of(n int) []byte { return s[n*sha256.Size : (n+1)*sha256.Size] }

// digest is that of the whole file.
func (s blockSums) digest() string {
	sum := sha256.Sum256(s)
	return hex.EncodeToString(sum[:])
}

// list is the sums as the API takes them.
func (s blockSums) list() []string {
	out := make([]string, 0, len(s)/sha256.Size)
	for n := range cap(out) {
		out = append(out, hex.EncodeToString(s.of(n)))
	}
	return out
}

// hashing bounds the blocks that are summed at once, by all transfers of the process, to the number of cores.
var hashing = make(chan struct{}, runtime.GOMAXPROCS(0))

// sumBlocks sums the blocks of size bytes on all cores. Fewer bytes than that are ErrChanged.
func sumBlocks(ctx context.Context, r io.ReaderAt, size int64) (blockSums, error) {
	blocks := blocksOf(size)
	sums := make(blockSums, blocks*sha256.Size)
	failed := make([]error, min(blocks, cap(hashing)))
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for w := range failed {
		wg.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= blocks {
					return
				}
				hashing <- struct{}{}
				err := ctx.Err()
				if err == nil {
					err = sumBlock(r, n, size, sums.of(n))
				}
				<-hashing
				if err != nil {
					failed[w] = err
					next.Store(int64(blocks))
					return
				}
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return sums, errors.Join(failed...)
}

// sumBlock puts the sum of block n of size bytes into out.
func sumBlock(r io.ReaderAt, n int, size int64, out []byte) error {
	h := sha256.New()
	if err := copyRange(h, r, int64(n)*BlockSize, blockLength(n, size)); err != nil {
		return err
	}
	h.Sum(out[:0])
	return nil
}

// copyRange writes size bytes of a file, from off on, to w. Fewer bytes than that are ErrChanged.
func copyRange(w io.Writer, r io.ReaderAt, off, size int64) error {
	buf := buffers.Get().(*[copyBuffer]byte)
	defer buffers.Put(buf)
	n, err := io.CopyBuffer(w, struct{ io.Reader }{io.NewSectionReader(r, off, size)}, buf[:])
	if err == nil && n != size {
		err = ErrChanged
	}
	return err
}
