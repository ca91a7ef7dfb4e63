package drivetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"path"
	"slices"
)

// file is a path that one client alone writes, and what may be there.
type file struct {
	path string
	// now is what the last acknowledged write left: the SHA-256 of the bytes, or absent.
	now string
	// open are outcomes of writes of which not all is known. Each may take effect at any time until the end.
	open []string
}

const absent = "absent"

// filesEach are directly in a client's folder; half as many again are in a folder below.
const filesEach = 6

func (f *file) may(what string) bool { return what == f.now || slices.Contains(f.open, what) }

func (f *file) maybe(what string) { f.open = append(f.open, what) }

// certain tells whether it is known what is there.
func (f *file) certain() bool { return len(f.open) == 0 }

func (c *client) makeFolder(ctx context.Context) {
	a := c.do(ctx, request{method: http.MethodPost, path: "/folders", body: []byte(`{"path":"` + c.folder + `/below","parents":true}`), key: c.key(), headers: isJSON})
	if !a.ok() && !a.unknown {
		c.blame("make", c.folder, a)
	}
}

var isJSON = []string{"Content-Type: application/json"}

// size of a content, in bytes: most are small, so that a long campaign does not fill the disk.
func (c *client) size() int {
	size := 1 + c.rng.IntN(20_000)
	if c.Large && c.rng.IntN(4) == 0 {
		size *= 10
	}
	if c.Large && c.rng.IntN(64) == 0 {
		size += block
	}
	return size
}

func (c *client) put(ctx context.Context, f *file) {
	data := c.content(c.size())
	what := sum(data)
	a := c.do(ctx, request{method: http.MethodPut, path: "/uploads/content" + query(f.path) + "&parents=true&conflict=replace", body: data, key: c.key()})
	switch {
	case a.unknown:
		c.Unknown++
		f.maybe(what)
	case a.is(http.StatusOK), a.is(http.StatusCreated):
		c.did("put", true)
		f.now = what
	default:
		c.blame("put", f.path, a)
	}
}

func (c *client) get(ctx context.Context, f *file) {
	a := c.do(ctx, request{method: http.MethodGet, path: "/content" + query(f.path)})
	if a.unknown {
		c.Unknown++
		return
	}
	c.did("get", false)
	c.check(f, a)
}

// check holds what a GET gave against what may be there.
func (c *client) check(f *file, a answer) {
	what := absent
	switch {
	case a.is(http.StatusOK):
		what = sum(a.body)
	case !a.is(http.StatusNotFound):
		c.blame("get", f.path, a)
		return
	}
	if f.may(what) {
		return
	}
	if what == absent {
		c.Lost++
	} else {
		c.Wrong++
	}
	c.problem("%s holds %.16s, and may hold %.16s %.16s", f.path, what, f.now, f.open)
}

// stat gives the node at a path; ok is false when there is none, or no answer.
func (c *client) stat(ctx context.Context, path string) (n node, ok bool) {
	a := c.do(ctx, request{method: http.MethodGet, path: "/stat" + query(path)})
	if !a.is(http.StatusOK) {
		return n, false
	}
	if err := a.into(&n); err != nil {
		c.blame("stat", path, a)
		return n, false
	}
	return n, true
}

// remove moves a file to the trash.
func (c *client) remove(ctx context.Context, f *file) (id string, done bool) {
	n, ok := c.stat(ctx, f.path)
	if !ok {
		return "", false
	}
	a := c.do(ctx, request{method: http.MethodDelete, path: "/files/" + n.ID})
	switch {
	case a.unknown:
		c.Unknown++
		f.maybe(absent)
	case a.ok(), a.is(http.StatusNotFound) && (a.earlier > 0 || !f.certain()):
		// Not there any more: a try before this one, whose answer was lost, did it.
		c.did("delete", true)
		f.now = absent
		return n.ID, a.earlier == 0
	default:
		c.blame("delete", f.path, a)
	}
	return "", false
}

// list looks at the folder: what is there for certain is in it once, and nothing that cannot be there.
func (c *client) list(ctx context.Context) {
	a := c.do(ctx, request{method: http.MethodGet, path: "/files" + query(c.folder)})
	if a.unknown {
		c.Unknown++
		return
	}
	var page struct{ Items []node }
	if err := a.into(&page); err != nil || !a.ok() {
		c.blame("list", c.folder, a)
		return
	}
	c.did("list", false)
	for _, f := range c.files {
		if path.Dir(f.path) != c.folder {
			continue
		}
		n := 0
		for _, i := range page.Items {
			if i.Path == f.path {
				n++
			}
		}
		there := f.now != absent || slices.ContainsFunc(f.open, func(o string) bool { return o != absent })
		if n > 1 || n == 1 && !there || n == 0 && !f.may(absent) {
			c.Wrong++
			c.problem("%s is in its folder %d times", f.path, n)
		}
	}
}

// readBack reads all files once more, with everything running.
func (c *client) readBack(ctx context.Context) {
	defer c.http.CloseIdleConnections()
	for _, f := range c.files {
		a := c.do(ctx, request{method: http.MethodGet, path: "/content" + query(f.path)})
		if a.unknown {
			c.Lost++
			c.problem("%s could not be read at the end: %d %.200s", f.path, a.status, a.body)
			continue
		}
		c.check(f, a)
	}
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
