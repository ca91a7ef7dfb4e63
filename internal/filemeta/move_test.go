package filemeta

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
)

// C2, C4: what a move may do, and what it says when it may not; a move that was refused changed nothing.
func TestMoves(t *testing.T) {
	for _, c := range []struct {
		name, what string
		to         string // parent's path; "": keep
		as         drivepath.Name
		code       string
		path       string
	}{
		{"rename", "/d/f", "", "g", "", "/d/g"},
		{"move", "/d/f", "/e", "", "", "/e/f"},
		{"move and rename", "/d/f", "/e", "g", "", "/e/g"},
		{"to the root", "/d/sub/deep", "/", "", "", "/deep"},
		{"to where it is", "/d/f", "/d", "f", "", "/d/f"},
		{"a whole tree", "/d", "/e", "", "", "/e/d"},
		{"case only", "/d/f", "", "F", "", "/d/F"}, // B106
		{"to another case's name", "/d/x", "", "F", "", "/d/F"},
		{"name taken by a file", "/d/f", "", "x", "name_taken", ""},
		{"name taken by a folder", "/d/f", "", "sub", "name_taken", ""},
		{"a folder over a file", "/d/sub", "", "f", "name_taken", ""},
		{"name taken over there", "/d/x", "/e", "", "name_taken", ""},
		{"into itself", "/d", "/d", "", "into_itself", ""},
		{"into its child", "/d", "/d/sub", "", "into_itself", ""},
		{"into its grandchild", "/d", "/d/sub/deep", "new", "into_itself", ""},
		{"into a file", "/d/sub", "/e/x", "", "not_a_folder", ""},
		{"into nothing", "/d", "/nowhere", "", "parent_not_found", ""},
		{"the root", "/", "/e", "", "is_the_root", ""},
		{"the root's name", "/", "", "drive", "is_the_root", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, 0)
			for _, p := range []string{"/d/f", "/d/x", "/e/x"} {
				f.file(alice, p, 1)
			}
			f.mkdir(alice, "/d/sub/deep")
			before := f.tree(alice, "/")
			id := f.mustStat(alice, c.what).ID
			m := move{name: c.as}
			if c.to != "" {
				p := at(c.to)
				m.parentPath = &p
			}
			got, err := f.update(t.Context(), owner(alice), id, m)
			wantCode(t, err, c.code)
			if err != nil {
				if after := f.tree(alice, "/"); !slices.Equal(after, before) {
					t.Errorf("a move that was refused left\n%q, before\n%q", after, before)
				}
				return
			}
			if got.path.String() != c.path || got.ID != id || f.mustStat(alice, c.path).ID != id {
				t.Errorf("node %d is at %s, want %d at %s", got.ID, got.path, id, c.path)
			}
			if c.path != c.what {
				if _, err := f.stat(t.Context(), owner(alice), at(c.what)); !errs.Is(errs.NotFound, err) {
					t.Errorf("it is still at %s too: %v", c.what, err)
				}
			}
			if len(f.tree(alice, "/")) != len(before) {
				t.Errorf("the tree is\n%q, before\n%q", f.tree(alice, "/"), before)
			}
			f.sound(alice)
		})
	}
}

// tree gives all paths below a folder, files with their version.
func (f *fixture) tree(user UserID, below string) []string {
	f.t.Helper()
	var all []string
	for _, name := range f.names(user, below, order{By: "name"}, 100) {
		p := f.mustStat(user, at(below).Join(drivepath.Name(name)).String())
		all = append(all, fmt.Sprintf("%d %s %s", p.ID, p.path, p.etag()))
		if p.Kind == folder {
			all = append(all, f.tree(user, p.path.String())...)
		}
	}
	return all
}

// C5, C6: If-Match and Idempotency-Key of an update.
func TestMoveGuards(t *testing.T) {
	f := newFixture(t, 0)
	d := f.mkdir(alice, "/d")
	if _, err := f.update(t.Context(), owner(alice), d.ID, move{name: "e", ifMatch: `"other"`}); code(err) != "stale" {
		t.Errorf("with another ETag: %v", err)
	}
	m := move{name: "e", ifMatch: d.etag(), key: "once"}
	first, err := f.update(t.Context(), owner(alice), d.ID, m)
	if err != nil {
		t.Fatal(err)
	}
	// The answer got lost; the retry's If-Match is old by now, but its key is known.
	again, err := f.update(t.Context(), owner(alice), d.ID, m)
	if err != nil || again.etag() != first.etag() || again.path.String() != "/e" {
		t.Errorf("the retry answered %v at %s, %v", again.etag(), again.path, err)
	}
	m.key = "another"
	if _, err := f.update(t.Context(), owner(alice), d.ID, m); code(err) != "stale" {
		t.Errorf("with the old ETag and a new key: %v", err)
	}
	if err := f.delete(t.Context(), owner(alice), d.ID, d.etag()); code(err) != "stale" {
		t.Errorf("delete with the old ETag: %v", err)
	}
	if err := f.delete(t.Context(), owner(alice), f.row(alice).RootID, ""); code(err) != "is_the_root" {
		t.Errorf("deleting the root: %v", err)
	}
}

// S16: nothing sinks deeper, or gets a longer path, than a path can name; not in one step and not by moving.
func TestDepthAndLength(t *testing.T) {
	f := newFixture(t, 0)
	chain := func(name string, n int) string { return strings.Repeat("/"+name, n) }
	f.mkdir(alice, chain("a", drivepath.MaxDepth-2))
	f.mkdir(alice, "/three/levels/down")
	f.file(alice, "/two/file", 1)
	f.mkdir(alice, "/one")
	bottom := at(chain("a", drivepath.MaxDepth-2))
	above := bottom.Dir()
	for _, c := range []struct {
		what string
		to   drivepath.Path
		code string
	}{
		{"/three", bottom, "too_deep"},
		{"/two", bottom, ""},
		{"/three", above, ""},
		{"/one", bottom, ""},
		{"/one", bottom.Join("two"), "not_found"}, // it is moved by now
	} {
		p, err := f.stat(t.Context(), owner(alice), at(c.what))
		if err == nil {
			_, err = f.update(t.Context(), owner(alice), p.ID, move{parentPath: &c.to})
		}
		wantCode(t, err, c.code)
	}
	f.mkdir(alice, "/new/deep")
	deepest := bottom.Join("two")
	if _, err := f.update(t.Context(), owner(alice), f.mustStat(alice, "/new").ID, move{parentPath: &deepest}); code(err) != "too_deep" {
		t.Errorf("moved to level %d: %v", drivepath.MaxDepth+1, err)
	}

	long := strings.Repeat("长", 85) // 255 bytes
	f.mkdir(alice, chain(long, 15)) // 15 × 256 bytes of 4096
	for _, c := range []struct {
		make, code string
		file       bool
	}{
		{"/short", "", false},
		{"/" + strings.Repeat("x", 255), "", false}, // 4096 bytes
		{"/p/" + strings.Repeat("x", 254), "path_too_long", false},
		{"/q/" + strings.Repeat("x", 254), "path_too_long", true},
		{"/r/" + strings.Repeat("x", 253), "", true},
	} {
		if c.file {
			f.file(alice, c.make, 1)
		} else {
			f.mkdir(alice, c.make)
		}
		top := f.mustStat(alice, "/"+string(at(c.make).Names()[0]))
		to := at(chain(long, 15))
		moved, err := f.update(t.Context(), owner(alice), top.ID, move{parentPath: &to})
		wantCode(t, err, c.code)
		if err == nil {
			if again := f.mustStat(alice, moved.path.String()); again.ID != top.ID {
				t.Errorf("%d is not found by its path", top.ID)
			}
		}
	}
	// Renaming a folder makes the paths below it longer, too.
	f.mkdir(alice, "/s"+chain(long, 15)+"/"+strings.Repeat("x", 252))
	s := f.mustStat(alice, "/s")
	if _, err := f.update(t.Context(), owner(alice), s.ID, move{name: "ss"}); err != nil {
		t.Errorf("to 4096 bytes: %v", err)
	}
	if _, err := f.update(t.Context(), owner(alice), s.ID, move{name: "sss"}); code(err) != "path_too_long" {
		t.Errorf("to 4097 bytes: %v", err)
	}
	// What the trash holds can be listed and restored, however long its path.
	if err := f.delete(t.Context(), owner(alice), f.mustStat(alice, chain(long, 15)+"/short").ID, ""); err != nil {
		t.Fatal(err)
	}
	ctx := auth.With(t.Context(), auth.Principal{UserID: int64(alice)})
	if _, err := (HTTP{f.Service}).ListTrash(ctx, &TrashRequest{Limit: 10}); err != nil {
		t.Error(err)
	}
	f.sound(alice)
}

// B098-B110: the names that a rename takes and refuses, and how they are kept.
func TestNames(t *testing.T) {
	f := newFixture(t, 0)
	ctx := auth.With(t.Context(), auth.Principal{UserID: int64(alice)})
	d := f.mkdir(alice, "/d")
	for _, c := range []struct{ name, kept string }{
		{"e\u0301", "\u00e9"}, // NFC
		{".htaccess", ".htaccess"},
		{"...", "..."},
		{" spaces ", " spaces "},
		{"a\u2215b\uff0fc", "a\u2215b\uff0fc"}, // look like separators and are none
		{`%2f'"<b>; DROP TABLE nodes; --`, `%2f'"<b>; DROP TABLE nodes; --`},
		{strings.Repeat("x", 255), strings.Repeat("x", 255)},
		{strings.Repeat("x", 256), ""},
		{strings.Repeat("😀", 63), strings.Repeat("😀", 63)},
		{strings.Repeat("😀", 64), ""}, // 64 runes, 256 bytes
		{"a/b", ""}, {`a\b`, ""}, {".", ""}, {"..", ""}, {"../x", ""}, {"/x", ""},
		{"a\x00b", ""}, {"a\nb", ""}, {"a\u200bb", ""}, {"a\u202eb", ""}, {"\ufeffa", ""},
		{"\xc0\xaf", ""}, {"caf\xe9", ""}, {"\xed\xa0\x80", ""},
	} {
		got, err := HTTP{f.Service}.UpdateNode(ctx, &UpdateNodeRequest{ID: d.ID.String(), Name: c.name})
		switch {
		case c.kept == "":
			var e *errs.Error
			if code(err) != "bad_name" || !errors.As(err, &e) || e.Field != "name" {
				t.Errorf("%q: %v, want bad_name in the field name", c.name, err)
			}
		case err != nil || got.Name != c.kept || f.mustStat(alice, "/"+c.kept).ID != d.ID:
			t.Errorf("%q: kept as %v, %v", c.name, got, err)
		}
	}
	// Two spellings of one name are one name (C3).
	f.mkdir(alice, "/\u00e9")
	if _, err := f.createFolder(t.Context(), owner(alice), at("/e\u0301"), false, ""); code(err) != "name_taken" {
		t.Errorf("the other spelling: %v", err)
	}
	if _, err := f.createFolder(t.Context(), owner(alice), at("/É"), false, ""); err != nil {
		t.Errorf("another case is another name: %v", err)
	}
}

// What making a folder says, with and without the ones above it.
func TestCreateFolder(t *testing.T) {
	f := newFixture(t, 0)
	f.file(alice, "/file", 1)
	f.mkdir(alice, "/d")
	for _, c := range []struct {
		path    string
		parents bool
		code    string
	}{
		{"/", false, "name_taken"}, {"/", true, ""},
		{"/d", false, "name_taken"}, {"/d", true, ""},
		{"/file", false, "name_taken"}, {"/file", true, "name_taken"},
		{"/file/x", false, "not_a_folder"}, {"/file/x", true, "not_a_folder"},
		{"/x/y", false, "parent_not_found"}, {"/x/y/z", true, ""}, {"/x/w", false, ""},
	} {
		p, err := f.createFolder(t.Context(), owner(alice), at(c.path), c.parents, "")
		if code(err) != c.code || err == nil && p.path.String() != at(c.path).String() {
			t.Errorf("%s, parents %v: %v at %s, want %q", c.path, c.parents, err, p.path, c.code)
		}
	}
	f.sound(alice)
}
