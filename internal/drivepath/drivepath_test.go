package drivepath_test

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"/", "/"},
		{"/a", "/a"},
		{"/a/b.txt", "/a/b.txt"},
		{"/a/", "/a"},
		{"/文件/报告.pdf", "/文件/报告.pdf"},
		{"/e\u0301", "/\u00e9"},                                // NFD becomes NFC
		{"/%2f", "/%2f"},                                       // percent signs are literal here
		{"/a\u2215b", "/a\u2215b"},                             // B098: look-alikes are no separators
		{"/a\uff0fb", "/a\uff0fb"},                             //
		{"/.git/.htaccess", "/.git/.htaccess"},                 // B108
		{"/ leading and trailing ", "/ leading and trailing "}, // as on Unix
		{"/" + strings.Repeat("x", 255), "/" + strings.Repeat("x", 255)},
	} {
		p, err := drivepath.Parse(c.in)
		if err != nil || p.String() != c.want {
			t.Errorf("Parse(%q) = %q, %v; want %q", c.in, p, err, c.want)
		}
	}
}

// B098–B104, B110, G28, G42, G54.
func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", "a", "a/b", "//", "//a", "/a//b", "/a//", "/.", "/..", "/a/..", "/../a", "/a/./b",
		`/a\b`, `\a`, `/..\..\x`,
		"/a\x00b", "/a\nb", "/a\rb", "/\x7f", "/\u0085",
		"/a\u200bb", "/\ufeffa", "/a\u202eb", "/\U000e0041", "/a\u2028b", "/\u2060",
		"/\xc0\xaf", "/\xff", "/\xed\xa0\x80", "/caf\xe9",
		"/" + strings.Repeat("x", 256), "/" + strings.Repeat("𝄞", 64),
		strings.Repeat("/x", drivepath.MaxDepth+1),
		strings.Repeat("/"+strings.Repeat("x", 255), 17),
	} {
		if p, err := drivepath.Parse(in); !errs.Is(errs.Invalid, err) {
			t.Errorf("Parse(%.40q) = %q, %v; want errs.Invalid", in, p, err)
		}
	}
}

func TestParts(t *testing.T) {
	p, err := drivepath.Parse("/a/b/c")
	if err != nil {
		t.Fatal(err)
	}
	if p.Base() != "c" || p.Dir().String() != "/a/b" || p.Depth() != 3 || len(p.Names()) != 3 {
		t.Errorf("parts of %v: %v %v %v %v", p, p.Base(), p.Dir(), p.Depth(), p.Names())
	}
	if r := drivepath.Root; r.Base() != "" || !r.Dir().IsRoot() || r.Depth() != 0 || r.Names() != nil {
		t.Error("parts of the root")
	}
	if got := drivepath.Root.Join("x").Join("y").String(); got != "/x/y" {
		t.Error(got)
	}
}

// Whatever comes in, what is accepted is canonical: parsing it again changes nothing, and no name in it could
// mean anything but itself.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"/", "/a/b", "/e\u0301/\u00e9", "/a/../b", "/\u1100\u1161", "/\xff", "/a\u0344"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := drivepath.Parse(s)
		if err != nil {
			return
		}
		again, err := drivepath.Parse(p.String())
		if err != nil || again != p {
			t.Fatalf("%q parses to %q, which parses to %q, %v", s, p, again, err)
		}
		if !norm.NFC.IsNormalString(p.String()) {
			t.Fatalf("%q is not NFC", p)
		}
		q := drivepath.Root
		for _, n := range p.Names() {
			if m, err := drivepath.ParseName(string(n)); err != nil || m != n {
				t.Fatalf("name %q of %q: %q, %v", n, p, m, err)
			}
			q = q.Join(n)
		}
		if q != p {
			t.Fatalf("names of %q join to %q", p, q)
		}
	})
}
