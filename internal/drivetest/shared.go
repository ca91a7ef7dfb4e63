package drivetest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// sharedPaths are written by all clients; after pathLife operations each gives way to a new one, so that no history is too
// long to be judged.
const (
	sharedPaths = 4
	pathLife    = 600
)

// shared records what all clients did at the paths that they share, and when.
type shared struct {
	folder string
	began  time.Time

	mu        sync.Mutex
	now       []string
	histories map[string][]porcupine.Operation
}

func newShared(folder string) *shared {
	s := &shared{folder: folder, began: time.Now(), histories: map[string][]porcupine.Operation{}}
	for range sharedPaths {
		s.now = append(s.now, s.path())
	}
	return s
}

// path makes a new one. The caller holds mu, or has s alone.
func (s *shared) path() string {
	p := fmt.Sprintf("%s/shared-%d", s.folder, len(s.histories))
	s.histories[p] = nil
	return p
}

// pick gives one of the paths of now.
func (s *shared) pick(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n %= len(s.now)
	if len(s.histories[s.now[n]]) >= pathLife {
		s.now[n] = s.path()
	}
	return s.now[n]
}

// clock is the time since the beginning, by a clock that only goes forward.
func (s *shared) clock() int64 { return int64(time.Since(s.began)) }

// never is when an operation ends of which it is not known whether it took effect, or will.
const never = math.MaxInt64

func (s *shared) record(path string, client int, in deed, out result, call, end int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.histories[path] = append(s.histories[path], porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: end})
}

// share does something at a shared path.
func (c *client) share(ctx context.Context) {
	path := c.shared.pick(c.rng.IntN(sharedPaths))
	switch n := c.rng.IntN(20); {
	case n < 6:
		c.readContent(ctx, path)
	case n < 9:
		c.readNode(ctx, path)
	case n < 13:
		c.write(ctx, path, deed{kind: writes})
	case n < 17:
		if c.rng.IntN(4) > 0 { // else with what it saw some time ago
			c.readNode(ctx, path)
		}
		if tag := c.tags[path]; tag != "" {
			c.write(ctx, path, deed{kind: writes, ifMatch: tag})
		} else {
			c.write(ctx, path, deed{kind: writes, ifNone: true})
		}
	case n < 18:
		c.write(ctx, path, deed{kind: writes, ifNone: true})
	default:
		c.erase(ctx, path)
	}
}

// readContent is a GET.
func (c *client) readContent(ctx context.Context, path string) {
	call := c.shared.clock()
	a := c.do(ctx, request{method: http.MethodGet, path: "/content" + query(path)})
	end := c.shared.clock()
	switch {
	case a.unknown:
		c.Unknown++ // it changed nothing
	case a.is(http.StatusOK):
		c.did("shared get", false)
		c.tags[path] = a.etag
		c.shared.record(path, c.i, deed{kind: reads}, result{digest: digest(a.body), etag: a.etag}, call, end)
	case a.is(http.StatusNotFound):
		c.did("shared get", false)
		c.tags[path] = ""
		c.shared.record(path, c.i, deed{kind: reads}, result{missing: true}, call, end)
	default:
		c.blame("get", path, a)
	}
}

// readNode is a stat.
func (c *client) readNode(ctx context.Context, path string) (n node, ok bool) {
	call := c.shared.clock()
	a := c.do(ctx, request{method: http.MethodGet, path: "/stat" + query(path)})
	end := c.shared.clock()
	switch {
	case a.unknown:
		c.Unknown++
	case a.is(http.StatusOK) && a.into(&n) == nil:
		c.did("shared stat", false)
		c.tags[path] = n.ETag
		c.shared.record(path, c.i, deed{kind: reads}, resultOf(n), call, end)
		return n, true
	case a.is(http.StatusNotFound):
		c.did("shared stat", false)
		c.tags[path] = ""
		c.shared.record(path, c.i, deed{kind: reads}, result{missing: true}, call, end)
	default:
		c.blame("stat", path, a)
	}
	return n, false
}

func resultOf(n node) result {
	return result{digest: n.Digest, etag: n.ETag, id: n.ID, version: n.Version}
}

// write is a PUT, with the condition that d has.
func (c *client) write(ctx context.Context, path string, d deed) {
	data := c.content(1 + c.rng.IntN(2000))
	d.digest = digest(data)
	r := request{method: http.MethodPut, path: "/uploads/content" + query(path) + "&parents=true&conflict=replace", body: data, key: c.key()}
	kind := "shared put"
	if d.ifMatch != "" {
		r.headers, kind = []string{"If-Match: " + d.ifMatch}, "shared put if-match"
	}
	if d.ifNone {
		r.headers, kind = []string{"If-None-Match: *"}, "shared put if-none-match"
	}
	call := c.shared.clock()
	a := c.do(ctx, r)
	end := c.shared.clock()
	var n node
	switch {
	case a.unknown:
		c.Unknown++
		c.shared.record(path, c.i, d, result{unknown: true}, call, never)
	case a.ok() && json.Unmarshal(a.body, &n) == nil:
		c.did(kind, true)
		out := resultOf(n)
		out.created = a.is(http.StatusCreated)
		if a.earlier > 0 && n.Digest != d.digest {
			// The answer to a try that came again tells of the file as it is by now.
			out = result{id: n.ID, created: out.created}
		} else {
			c.tags[path] = n.ETag
		}
		c.shared.record(path, c.i, d, out, call, end)
	case a.is(http.StatusNotFound) && a.earlier > 0:
		// A try before this one took effect, and what it made was deleted since.
		c.did(kind, true)
		c.shared.record(path, c.i, d, result{vague: true}, call, end)
	case a.is(http.StatusPreconditionFailed) && (d.ifMatch != "" || d.ifNone):
		c.Refused++
		c.tags[path] = ""
		c.shared.record(path, c.i, d, result{refused: true}, call, end)
		if a.earlier > 0 { // and those that are still on their way may find things otherwise
			c.shared.record(path, c.i, d, result{unknown: true}, call, never)
		}
	default:
		c.blame(kind, path, a)
	}
}

// erase looks what is there and deletes that, half of the time only as it was seen.
func (c *client) erase(ctx context.Context, path string) {
	n, ok := c.readNode(ctx, path)
	if !ok {
		return
	}
	d := deed{kind: erases, id: n.ID}
	r := request{method: http.MethodDelete, path: "/files/" + n.ID}
	if c.rng.IntN(2) == 0 {
		d.ifMatch = n.ETag
		r.headers = []string{"If-Match: " + n.ETag}
	}
	call := c.shared.clock()
	a := c.do(ctx, r)
	end := c.shared.clock()
	switch {
	case a.unknown:
		c.Unknown++
		c.shared.record(path, c.i, d, result{unknown: true}, call, never)
	case a.ok():
		c.did("shared delete", true)
		c.tags[path] = ""
		c.shared.record(path, c.i, d, result{}, call, end)
	case a.is(http.StatusNotFound):
		c.did("shared delete", false)
		c.shared.record(path, c.i, d, result{missing: true, vague: a.earlier > 0}, call, end)
	case a.is(http.StatusPreconditionFailed) && d.ifMatch != "":
		c.Refused++
		c.shared.record(path, c.i, d, result{refused: true}, call, end)
	default:
		c.blame("delete", path, a)
	}
}

// readShared reads all shared paths once more.
func (c *client) readShared(ctx context.Context) {
	defer c.http.CloseIdleConnections()
	for path := range c.shared.histories {
		unknown := c.Unknown
		c.readContent(ctx, path)
		if c.Unknown > unknown {
			c.Lost++
			c.problem("%s could not be read at the end", path)
		}
		c.readNode(ctx, path)
	}
}

// judgePatience is how long one history may take to be judged.
const judgePatience = time.Minute

// judge holds every history against the model.
func (s *shared) judge(r *Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for path, h := range s.histories {
		if len(h) == 0 {
			continue
		}
		r.Histories++
		r.Judged += len(h)
		switch porcupine.CheckOperationsTimeout(model, h, judgePatience) {
		case porcupine.Illegal:
			r.Wrong++
			r.Impossible++
			r.problem("%s: no order of what was done there explains what was answered\n%s", path, tell(h))
		case porcupine.Unknown:
			r.Undecided++
		}
	}
}

// tell writes the end of the shortest beginning of a history that cannot be.
func tell(h []porcupine.Operation) string {
	h = slices.Clone(h)
	slices.SortFunc(h, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	bad := sort.Search(len(h), func(n int) bool {
		return porcupine.CheckOperationsTimeout(model, until(h, n), judgePatience) == porcupine.Illegal
	})
	out := ""
	for _, o := range h[max(0, bad-15):bad] {
		out += fmt.Sprintf("  client %d, from %.6f to %.6f s: %v %v\n", o.ClientId, seconds(o.Call), seconds(o.Return), o.Input, o.Output)
	}
	return out
}

// until are the first n operations of a history that is sorted by their ends, and of the others the writes that had begun by
// then: they may have had their effect.
func until(h []porcupine.Operation, n int) []porcupine.Operation {
	out := slices.Clone(h[:n])
	for _, o := range h[n:] {
		if n > 0 && o.Call <= h[n-1].Return && o.Input.(deed).kind != reads {
			o.Output, o.Return = result{unknown: true}, never
			out = append(out, o)
		}
	}
	return out
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }
