package upload

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // a transport checksum that clients ask for, never identity (promise S7)
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"hash"
	"strings"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// wholeSum is a sum of the whole content that the client announced, and its computation.
type wholeSum struct {
	name string
	hash hash.Hash
	want []byte
}

type wholeSums []wholeSum

// algorithms of RFC 9530's registry that are checked; others are ignored, as the RFC has it.
var algorithms = map[string]func() hash.Hash{
	"sha-256": sha256.New,
	"sha-512": sha512.New,
	"sha":     sha1.New,
	"md5":     md5.New,
}

// parseReprDigest reads a Repr-Digest header, a dictionary such as "sha-256=:base64:, md5=:base64:" (RFC 9530,
// section 3).
func parseReprDigest(header string) (sums wholeSums, err error) {
	if header == "" {
		return nil, nil
	}
	bad := errs.E(errs.Invalid, "upload.parseReprDigest", errs.Code("bad_digest"), errs.Field("Repr-Digest"))
	for entry := range strings.SplitSeq(header, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(entry), "=")
		if !ok || len(value) < 2 || value[0] != ':' || value[len(value)-1] != ':' {
			return nil, bad
		}
		want, err := base64.StdEncoding.DecodeString(value[1 : len(value)-1])
		if err != nil {
			return nil, bad
		}
		start, known := algorithms[name]
		if !known {
			continue
		}
		h := start()
		if len(want) != h.Size() {
			return nil, bad
		}
		sums = append(sums, wholeSum{name, h, want})
	}
	return sums, nil
}

// parseContentDigest reads a Content-Digest header (RFC 9530, section 2), of which SHA-256 is looked at; nil: none.
func parseContentDigest(header string) (*blob.Sum, error) {
	sums, err := parseReprDigest(header)
	if err != nil {
		return nil, errs.E(errs.Invalid, "upload.parseContentDigest", errs.Code("bad_digest"), errs.Field("Content-Digest"))
	}
	for _, s := range sums {
		if s.name == "sha-256" {
			sum := blob.Sum(s.want)
			return &sum, nil
		}
	}
	return nil, nil
}

func (s wholeSums) hashes() []hash.Hash {
	var hs []hash.Hash
	for _, w := range s {
		hs = append(hs, w.hash)
	}
	return hs
}

// check holds what arrived against what was announced (promise D5).
func (s wholeSums) check() error {
	for _, w := range s {
		if !bytes.Equal(w.hash.Sum(nil), w.want) {
			return errs.E(errs.Invalid, "upload.check", errs.Code("digest_mismatch"), errs.Field("Repr-Digest"))
		}
	}
	return nil
}

// sha256 is the content's SHA-256 if it was computed, and nil otherwise.
func (s wholeSums) sha256() []byte {
	for _, w := range s {
		if w.name == "sha-256" {
			return w.want
		}
	}
	return nil
}
