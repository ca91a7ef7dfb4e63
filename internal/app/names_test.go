package app

import (
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ours are the only names that files and folders below a data folder have: words of the program's, digests and ids
// of its making.
var ours = regexp.MustCompile(`^([a-z][a-z.-]*(-wal|-shm)?|[0-9a-f]{2}|[0-9a-f]{64}(\.sums)?|p?[A-Z2-7]{26}(\.[a-z]+)?)$`)

// S9, G28, B108, B110: what users call their files names nothing on the server's disk, is no SQL and no pattern, and
// comes back as it was or is refused.
func TestNamesStayNames(t *testing.T) {
	d := newDrive(t)
	kept := 0
	for _, name := range []string{
		"c4nary", "..c4nary", "c4nary'; DROP TABLE nodes; --", `c4nary" OR "1"="1`, "c4nary%s%n%d", "$(touch c4nary)", "`c4nary`",
		"c4nary|x", "{{c4nary}}", "%2e%2e%2fc4nary", "c4nary%00", "-rf c4nary", ".htaccess", ".git", "web.config", "gopan.db", "c4nary_%",
		"c4nary\u2215x", "c4nary\uff0fx", "C:c4nary", "c4nary:stream", "con", "~c4nary", "..", "../c4nary", "a/../../c4nary", `..\c4nary`,
		"/etc/c4nary", "c4nary\x00", "c4nary\n", "c4nary\u202e", "\xffc4nary", strings.Repeat("c4nary", 43),
	} {
		q := "/api/v1/uploads/content?parents=true&path=" + url.QueryEscape("/n/"+name)
		a := d.ask(t, "PUT", q, "bytes of "+name, bearer(d.admin))
		switch a.StatusCode {
		case http.StatusCreated:
			var n node
			a.into(t, &n)
			if n.Path != "/n/"+name {
				t.Errorf("%q came back as %q", name, n.Path)
			}
			if got := d.ask(t, "GET", "/api/v1/content?path="+url.QueryEscape(n.Path), "", bearer(d.admin)); got.body != "bytes of "+name {
				t.Errorf("%q: %d %q", name, got.StatusCode, got.body)
			}
			kept++
		case http.StatusBadRequest:
		default:
			t.Errorf("%q: %d %s", name, a.StatusCode, a.body)
		}
	}
	var page struct{ Total int }
	d.ask(t, "GET", "/api/v1/files?path=/n", "", bearer(d.admin)).into(t, &page)
	if page.Total != kept || kept < 20 {
		t.Errorf("%d were kept, %d are listed", kept, page.Total)
	}
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && path != d.dir && !ours.MatchString(e.Name()) {
			t.Errorf("%s is called by somebody else", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
