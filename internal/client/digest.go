package client

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
)

// BlockSize is the unit of hashing.
const BlockSize = 4 << 20

// Digester computes a file's digest as its bytes go by: the SHA-256 of the concatenated SHA-256 sums of its
// 4 MiB blocks, which Dropbox published as content_hash. The zero value is ready.
type Digester struct {
	outer, block hash.Hash
	// filled counts the bytes in block; size all.
	filled int
	size   int64
}

// Write never fails.
func (d *Digester) Write(p []byte) (int, error) {
	n := len(p)
	if d.outer == nil {
		d.outer, d.block = sha256.New(), sha256.New()
	}
	for len(p) > 0 {
		take := min(len(p), BlockSize-d.filled)
		d.block.Write(p[:take])
		p = p[take:]
		if d.filled += take; d.filled == BlockSize {
			d.close()
		}
	}
	d.size += int64(n)
	return n, nil
}

func (d *Digester) close() {
	d.outer.Write(d.block.Sum(nil))
	d.block.Reset()
	d.filled = 0
}

// Size counts the bytes written.
func (d *Digester) Size() int64 { return d.size }

// Hex is the digest of what was written, in lower-case hex. Nothing may be written after it.
func (d *Digester) Hex() string {
	if d.outer == nil {
		d.outer = sha256.New()
	}
	if d.filled > 0 {
		d.close()
	}
	return hex.EncodeToString(d.outer.Sum(nil))
}

// DigestOf reads r to its end.
func DigestOf(r io.Reader) (digest string, size int64, err error) {
	var d Digester
	if _, err := io.CopyBuffer(&d, struct{ io.Reader }{r}, make([]byte, copyBuffer)); err != nil {
		return "", d.size, err
	}
	return d.Hex(), d.size, nil
}

// copyBuffer is how much is moved at once.
const copyBuffer = 256 << 10
