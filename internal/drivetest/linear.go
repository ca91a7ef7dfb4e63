package drivetest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"
)

// kind of a deed.
type kind string

const (
	reads  kind = "read"
	writes kind = "write"
	erases kind = "delete"
)

// deed is what a client asked for at a shared path.
type deed struct {
	kind kind
	// digest of what is to be written. No two writes have the same.
	digest string
	// ifMatch is the ETag of If-Match; ifNone stands for If-None-Match: *.
	ifMatch string
	ifNone  bool
	// id of the node to be deleted.
	id string
}

// result is what it was answered. Fields that the answer did not tell are zero.
type result struct {
	digest, etag, id string
	version          int64
	// created: the write made a new file.
	created bool
	// missing: there was nothing; refused: the condition did not hold.
	missing, refused bool
	// unknown: whether it took effect, or will.
	unknown bool
	// vague: it took effect, and the answer tells no more; with missing, it may have been the one that took it away.
	vague bool
}

// told writes a value without its fields that are zero, and the beginnings of digests.
func told(what string, fields ...any) string {
	var b strings.Builder
	b.WriteString(what)
	for i := 0; i+1 < len(fields); i += 2 {
		switch v := fields[i+1].(type) {
		case string:
			if v != "" {
				fmt.Fprintf(&b, " %s %.24s", fields[i], v)
			}
		case int64:
			if v != 0 {
				fmt.Fprintf(&b, " %s %d", fields[i], v)
			}
		case bool:
			if v {
				fmt.Fprintf(&b, " %s", fields[i])
			}
		}
	}
	return b.String()
}

func (d deed) String() string {
	return told(string(d.kind), "of", d.id, "of", d.digest, "if-match", d.ifMatch, "if-none-match", d.ifNone)
}

func (r result) String() string {
	return told("→", "digest", r.digest, "etag", r.etag, "id", r.id, "version", r.version, "created", r.created,
		"missing", r.missing, "refused", r.refused, "unknown", r.unknown, "vague", r.vague)
}

// at is what is at a path. Fields of a file that nobody has been told yet are zero: whoever is told first tells the model.
type at struct {
	there            bool
	digest, etag, id string
	version          int64
}

// model of a path: what is there is changed by one operation at a time (promises C1, C5, C6).
var model = porcupine.Model{
	Init: func() any { return at{} },
	Step: func(state, in, out any) (bool, any) {
		s, d, r := state.(at), in.(deed), out.(result)
		switch d.kind {
		case reads:
			return s.read(r)
		case writes:
			return s.write(d, r)
		default:
			return s.erase(d, r)
		}
	},
}

func (s at) read(r result) (bool, any) {
	if r.missing {
		return !s.there, s
	}
	if !s.there || s.digest != r.digest {
		return false, s
	}
	return s.learn(r)
}

// learn fills in what was not known; it fails when what is known is otherwise.
func (s at) learn(r result) (bool, any) {
	if s.etag == "" {
		s.etag = r.etag
	}
	if s.id == "" {
		s.id = r.id
	}
	if s.version == 0 {
		s.version = r.version
	}
	return (r.etag == "" || s.etag == r.etag) && (r.id == "" || s.id == r.id) && (r.version == 0 || s.version == r.version), s
}

// holds tells whether a write's condition does. An ETag is only asked for by who was told it, and then the model was, too.
func (s at) holds(d deed) bool {
	if d.ifNone {
		return !s.there
	}
	return d.ifMatch == "" || s.there && s.etag == d.ifMatch
}

func (s at) write(d deed, r result) (bool, any) {
	if r.refused {
		return !s.holds(d), s
	}
	if !s.holds(d) {
		return r.unknown, s
	}
	next := at{there: true, digest: d.digest, version: 1}
	if s.there {
		next.id, next.version = s.id, 0
		if s.version > 0 {
			next.version = s.version + 1
		}
	}
	if r.unknown || r.vague {
		return true, next
	}
	if r.created == s.there || r.digest != "" && r.digest != d.digest {
		return false, s
	}
	return next.learn(r)
}

func (s at) erase(d deed, r result) (bool, any) {
	here := s.there && s.id == d.id
	match := here && (d.ifMatch == "" || s.etag == d.ifMatch)
	switch {
	case r.refused:
		return here && !match, s
	case r.missing && !r.vague:
		return !here, s
	case match:
		return true, at{}
	case r.unknown:
		return true, s
	}
	return r.missing && !here, s
}

// digest of a content of one block, as the API tells it: the SHA-256 of the SHA-256 of the block.
func digest(b []byte) string {
	inner := sha256.Sum256(b)
	outer := sha256.Sum256(inner[:])
	return hex.EncodeToString(outer[:])
}
