package filemeta

import (
	"testing"

	"github.com/livil/gopan/internal/errs"
)

// C5, B070: If-Match compares strongly (RFC 9110, section 13.1.1); a header that names nothing that is there
// stops the write.
func TestMatchETag(t *testing.T) {
	n := newNode(37, 1, 2, "a", file, 0)
	n.Digest = []byte("0123456789abcdef0123456789abcdef")
	tag := n.etag()
	bare := tag[1 : len(tag)-1]
	for _, c := range []struct {
		name, header string
		node         *node
		ok           bool
	}{
		{"no header", "", n, true},
		{"no header, nothing there", "", nil, true},
		{"any", "*", n, true},
		{"any, with spaces", " * ", n, true},
		{"any, nothing there", "*", nil, false},
		{"the tag", tag, n, true},
		{"the tag, nothing there", tag, nil, false},
		{"first of a list", tag + `, "other"`, n, true},
		{"last of a list without spaces", `"other",` + tag, n, true},
		{"list with empty elements", `, ,` + tag + `,`, n, true},
		{"list without it", `"other", "another"`, n, false},
		{"without quotes", bare, n, true},
		{"weak", "W/" + tag, n, false},
		{"any in quotes", `"*"`, n, false},
		{"empty tag", `""`, n, false},
		{"part of it", tag[:len(tag)-2] + `"`, n, false},
		{"upper case", `"11-1-30313233343536AB"`, n, false},
		{"any in a list", `"other", *`, n, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := matchETag(c.header, c.node)
			if c.ok != (err == nil) || err != nil && !errs.Is(errs.Stale, err) {
				t.Errorf("matchETag(%s) = %v, want ok %v", c.header, err, c.ok)
			}
		})
	}
}

// C5: an ETag names one content for ever. It changes with the content, the name and the place, and not when the
// same bytes come again.
func TestETagChanges(t *testing.T) {
	f := newFixture(t, 0)
	first := f.file(alice, "/a", 10)
	if again := f.file(alice, "/a", 10); again.GetEtag() != first.GetEtag() || again.GetVersion() != 1 {
		t.Errorf("the same bytes again: %s version %d, was %s", again.GetEtag(), again.GetVersion(), first.GetEtag())
	}
	seen := map[string]string{first.GetEtag(): "first"}
	note := func(what, tag string) {
		t.Helper()
		if before, dup := seen[tag]; dup {
			t.Errorf("%s has the ETag of %s", what, before)
		}
		seen[tag] = what
	}
	second := f.file(alice, "/a", 11)
	note("second version", second.GetEtag())
	back := f.file(alice, "/a", 10)
	note("the first bytes once more", back.GetEtag())
	p, err := f.update(t.Context(), owner(alice), NodeID(back.GetId()), move{name: "b"})
	if err != nil {
		t.Fatal(err)
	}
	note("renamed", p.etag())
	if err := f.delete(t.Context(), owner(alice), p.ID, ""); err != nil {
		t.Fatal(err)
	}
	if p, err = f.restore(t.Context(), owner(alice), p.ID, nil, false); err != nil {
		t.Fatal(err)
	}
	note("restored", p.etag())
	other := f.file(alice, "/other", 10)
	note("another file", other.GetEtag())
}
