package drivetest

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"sync"
)

// block is the size of all blocks of a session but the last.
const block = 4 << 20

// sessionTries is how often a session is begun again that was forgotten under way.
const sessionTries = 5

// session uploads a file by blocks, several at the same time, and completes it until it knows what came of that.
func (c *client) session(ctx context.Context, f *file) {
	size := c.size()
	if c.Large && c.rng.IntN(8) == 0 {
		size += block + c.rng.IntN(2*block)
	}
	data := c.content(size)
	what := sum(data)
	for range sessionTries {
		done, again := c.sessionOnce(ctx, f, data)
		switch {
		case done:
			c.did("session", true)
			f.now = what
			return
		case !again:
			return
		}
		c.Again++
	}
	c.Wrong++
	c.problem("the session of %s was forgotten %d times", f.path, sessionTries)
}

// sessionOnce is one session: whether the file is there now, or another is to be begun.
func (c *client) sessionOnce(ctx context.Context, f *file, data []byte) (done, again bool) {
	want, _ := json.Marshal(map[string]any{"path": f.path, "size": len(data), "parents": true, "conflict": "replace"}) // strings and a number
	a := c.do(ctx, request{method: http.MethodPost, path: "/uploads", body: want, key: c.key(), headers: isJSON})
	if a.unknown {
		c.Unknown++ // no block of it was sent: nothing can come of it
		return false, false
	}
	var u struct {
		ID      string
		Missing []int
	}
	if err := a.into(&u); err != nil || !a.is(http.StatusCreated) {
		c.blame("begin session", f.path, a)
		return false, false
	}
	for range sessionTries {
		if lost := c.blocks(ctx, u.ID, u.Missing, data); lost {
			return false, true
		}
		a = c.do(ctx, request{method: http.MethodPost, path: "/uploads/" + u.ID + "/complete"})
		if !a.is(http.StatusConflict) {
			break
		}
		// Records of blocks are gone; which, the session says.
		state := c.do(ctx, request{method: http.MethodGet, path: "/uploads/" + u.ID})
		if u.Missing = nil; !state.ok() || state.into(&u) != nil || len(u.Missing) == 0 {
			break
		}
		c.Again++
	}
	if a.unknown || a.earlier > 0 {
		f.maybe(sum(data))
	}
	switch {
	case a.unknown:
		c.Unknown++
		return false, false
	case a.ok():
		if a.earlier > 0 { // it took effect once, and the answer is about that
			f.open = f.open[:len(f.open)-1]
		}
		return true, false
	case a.is(http.StatusNotFound), a.is(http.StatusConflict):
		return false, true
	}
	c.blame("complete", f.path, a)
	return false, false
}

// blocks sends those that are missing, at the same time; lost tells that the session is not known any more.
func (c *client) blocks(ctx context.Context, id string, missing []int, data []byte) (lost bool) {
	answers := make([]answer, len(missing))
	var all sync.WaitGroup
	for i, n := range missing {
		all.Go(func() {
			part := data[n*block : min((n+1)*block, len(data))]
			answers[i] = c.do(ctx, request{method: http.MethodPut, path: fmt.Sprintf("/uploads/%s/blocks/%d", id, n), body: part})
		})
	}
	all.Wait()
	for i, a := range answers {
		switch {
		case a.ok(), a.unknown: // complete will tell
		case a.is(http.StatusNotFound), a.is(http.StatusConflict):
			lost = true
		default:
			c.blame(fmt.Sprintf("block %d of", missing[i]), id, a)
			lost = true
		}
	}
	return lost
}

// batch writes several files with one request, which has no Idempotency-Key: a try without an answer may take effect late.
func (c *client) batch(ctx context.Context) {
	var body bytes.Buffer
	w := tar.NewWriter(&body)
	var files []*file
	var whats []string
	for _, i := range c.rng.Perm(filesEach)[:3] {
		f, data := c.files[i], c.content(1+c.rng.IntN(10_000))
		// Writing to memory does not fail.
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path.Base(f.path), Size: int64(len(data)), Mode: 0o644})
		_, _ = w.Write(data)
		files, whats = append(files, f), append(whats, sum(data))
	}
	_ = w.Close()
	a := c.do(ctx, request{method: http.MethodPost, path: "/uploads/batch" + query(c.folder) + "&conflict=replace", body: body.Bytes(),
		headers: []string{"Content-Type: application/x-tar"}})
	var results struct{ Results []struct{ Status int } }
	if a.ok() {
		if err := a.into(&results); err != nil || len(results.Results) != len(files) {
			c.blame("batch", c.folder, a)
			return
		}
		c.did("batch", true)
	} else if a.unknown {
		c.Unknown++
	} else {
		c.blame("batch", c.folder, a)
	}
	for i, f := range files {
		status := 0
		if a.ok() {
			status = results.Results[i].Status
		}
		switch status {
		case http.StatusOK, http.StatusCreated:
			f.now = whats[i]
		case 0, http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInternalServerError:
			f.maybe(whats[i])
		default:
			c.blame("batch entry", f.path, a)
		}
		if a.earlier > 0 {
			f.maybe(whats[i])
		}
	}
}

// move renames a file, or moves it to the other folder, or both, to a path at which there is nothing.
func (c *client) move(ctx context.Context, f *file) {
	var to *file
	for _, i := range c.rng.Perm(len(c.files)) {
		if g := c.files[i]; g.now == absent && g.certain() {
			to = g
		}
	}
	if to == nil || f.now == absent || !f.certain() {
		return
	}
	n, ok := c.stat(ctx, f.path)
	if !ok {
		return // a later read will tell whether it is lost
	}
	change := map[string]string{"name": path.Base(to.path), "parentPath": path.Dir(to.path)}
	body, _ := json.Marshal(change) // strings
	a := c.do(ctx, request{method: http.MethodPatch, path: "/files/" + n.ID, body: body, key: c.key(), headers: isJSON})
	switch {
	case a.unknown:
		c.Unknown++
		to.maybe(f.now)
		f.maybe(absent)
	case a.ok():
		c.did("move", true)
		f.now, to.now = absent, f.now
	default:
		c.blame("move", f.path, a)
	}
}

// trashAndRestore deletes a file and takes it back.
func (c *client) trashAndRestore(ctx context.Context, f *file) {
	was := f.now
	if was == absent || !f.certain() {
		return
	}
	id, done := c.remove(ctx, f)
	if id == "" {
		return
	}
	if !done {
		f.maybe(absent) // a try of the deletion that is still on its way may come after the restoring
	}
	a := c.do(ctx, request{method: http.MethodPost, path: "/trash/" + url.PathEscape(id) + "/restore", body: []byte(`{}`), headers: isJSON})
	switch {
	case a.unknown:
		c.Unknown++
		f.maybe(was)
	case a.ok(), a.is(http.StatusNotFound) && a.earlier > 0:
		// Not in the trash any more: a try whose answer was lost took it out.
		c.did("restore", true)
		f.now = was
	default:
		c.blame("restore", f.path, a)
	}
}
