// Package drivepath is the one type for names and paths in a drive: whatever protocol a path came by, it is
// parsed here or it does not enter.
package drivepath

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/livil/gopan/internal/errs"
)

// Limits of names and paths, in bytes of UTF-8 in normal form C, and in segments.
const (
	MaxName  = 255
	MaxPath  = 4096
	MaxDepth = 64
)

// Name is a node's name in its folder: NFC, 1 to MaxName bytes, no separator, nothing invisible.
type Name string

// Path is a place in a drive: absolute, canonical. The zero Path is the root.
type Path struct {
	// names joined by "/", each with a "/" before it; "" for the root.
	s string
}

// Root is the drive's root folder.
var Root = Path{}

// ParseName checks and normalises a name. Errors are errs.Invalid with code "bad_name".
func ParseName(s string) (Name, error) {
	n, why := checkName(s)
	if why != "" {
		return "", errs.E(errs.Invalid, "drivepath.ParseName", errs.Code("bad_name"), why)
	}
	return Name(n), nil
}

// Parse checks and normalises an absolute path. It refuses rather than repairs: "//", "/./" and "/a/.." are
// errors, since two spellings of one path are one too many. A single "/" at the end is ignored, as people
// write folders so. Errors are errs.Invalid with code "bad_path".
func Parse(s string) (Path, error) {
	const op = errs.Op("drivepath.Parse")
	bad := func(why string) (Path, error) {
		return Path{}, errs.E(errs.Invalid, op, errs.Code("bad_path"), why)
	}
	if len(s) > 2*MaxPath {
		return bad("too long")
	}
	if !strings.HasPrefix(s, "/") {
		return bad("not absolute")
	}
	if s == "/" {
		return Root, nil
	}
	s = strings.TrimSuffix(s, "/")
	var b strings.Builder
	b.Grow(len(s))
	depth := 0
	for seg := range strings.SplitSeq(s[1:], "/") {
		name, why := checkName(seg)
		if why != "" {
			return bad(why)
		}
		b.WriteByte('/')
		b.WriteString(name)
		depth++
	}
	switch {
	case depth > MaxDepth:
		return bad("too deep")
	case b.Len() > MaxPath:
		return bad("too long")
	}
	return Path{b.String()}, nil
}

// checkName gives the normal form of a name, or why it is none.
func checkName(s string) (name, why string) {
	switch {
	case s == "":
		return "", "empty name"
	case len(s) > 4*MaxName:
		return "", "name too long"
	case !utf8.ValidString(s):
		return "", "name is not UTF-8"
	}
	s = norm.NFC.String(s)
	switch {
	case len(s) > MaxName:
		return "", "name too long"
	case s == "." || s == "..":
		return "", "name is . or .."
	}
	for _, r := range s {
		if r == '/' || r == '\\' {
			return "", "separator in a name"
		}
		// Cc: controls; Cf: zero-width and bidi characters, byte order marks, tags; Zl, Zp: line and
		// paragraph separators. All can make one name look like another, or forge a line of a log.
		if r >= 0x20 && r < 0x7f { // most are
			continue
		}
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return "", "invisible character in a name"
		}
	}
	return s, ""
}

// String is the path as users write it; "/" for the root.
func (p Path) String() string {
	if p.s == "" {
		return "/"
	}
	return p.s
}

// IsRoot tells whether p is the drive's root.
func (p Path) IsRoot() bool { return p.s == "" }

// Base is the last name; "" for the root.
func (p Path) Base() Name { return Name(p.s[strings.LastIndexByte(p.s, '/')+1:]) }

// Dir is the folder that holds p; the root's is the root.
func (p Path) Dir() Path {
	if i := strings.LastIndexByte(p.s, '/'); i > 0 {
		return Path{p.s[:i]}
	}
	return Root
}

// Names are the path's names from the root down; none for the root.
func (p Path) Names() []Name {
	if p.s == "" {
		return nil
	}
	parts := strings.Split(p.s[1:], "/")
	names := make([]Name, len(parts))
	for i, s := range parts {
		names[i] = Name(s)
	}
	return names
}

// Join is the path of a node in folder p.
func (p Path) Join(n Name) Path { return Path{p.s + "/" + string(n)} }

// In tells whether p is dir or somewhere below it.
func (p Path) In(dir Path) bool { return p == dir || strings.HasPrefix(p.s, dir.s+"/") }

// Depth is the number of names in the path; 0 for the root.
func (p Path) Depth() int { return strings.Count(p.s, "/") }
