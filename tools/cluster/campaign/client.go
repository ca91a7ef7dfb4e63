package campaign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// client writes and reads files of its own, one request after the other, and knows therefore what each may hold. Any
// process of any role may answer it.
type client struct {
	gateway, password, folder string
	http                      *http.Client
	rng                       *rand.Rand
	token                     string
	files                     []*file
	written                   uint64
	pulse                     *pulse
	tally
}

// tally counts what came of requests.
type tally struct {
	acknowledged, writes, refused, unknown, lost, wrong int
	slowest                                             time.Duration
	problems                                            []string
}

func (t *tally) add(o tally) {
	t.acknowledged += o.acknowledged
	t.writes += o.writes
	t.refused += o.refused
	t.unknown += o.unknown
	t.lost += o.lost
	t.wrong += o.wrong
	t.slowest = max(t.slowest, o.slowest)
	t.problems = append(t.problems, o.problems...)
}

// file is a path and what may be there.
type file struct {
	path string
	// now is what the last acknowledged write left: the SHA-256 of the bytes, or absent.
	now string
	// open are outcomes of writes that were never answered. Each may take effect at any time until the end.
	open []string
}

const absent = "absent"

func (f *file) may(what string) bool { return what == f.now || slices.Contains(f.open, what) }

const filesEach = 6

func newClient(gateway, password string, seed uint64, i int, p *pulse) *client {
	c := &client{
		gateway: gateway, password: password, folder: fmt.Sprintf("/campaign-%d-%d/%d", seed, time.Now().Unix(), i), pulse: p,
		http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}},
		rng:  rand.New(rand.NewPCG(seed, uint64(i)+1)),
	}
	for n := range filesEach {
		c.files = append(c.files, &file{path: fmt.Sprintf("%s/%d", c.folder, n), now: absent})
	}
	return c
}

func (c *client) work(ctx context.Context) {
	for ctx.Err() == nil {
		f := c.files[c.rng.IntN(len(c.files))]
		switch n := c.rng.IntN(10); {
		case n < 4:
			c.put(ctx, f)
		case n < 7:
			c.get(ctx, f)
		case n < 8:
			c.remove(ctx, f)
		default:
			c.list(ctx)
		}
	}
}

// answer to a request; a status of 0 is none at all.
type answer struct {
	status int
	body   []byte
}

// patience is how long a request is tried again, with the same Idempotency-Key, until it has an answer that is one.
const patience = 45 * time.Second

// do sends a request until it is answered with something else than "try again"; unknown tells that it never was. A request
// is not cut off when the campaign ends: what it did would never be known.
func (c *client) do(ctx context.Context, method, path string, body []byte, key string) (a answer, unknown bool) {
	began := time.Now()
	for wait := 50 * time.Millisecond; time.Since(began) < patience; wait = min(2*wait, time.Second) {
		if c.token == "" && !c.signIn() {
			time.Sleep(wait)
			continue
		}
		var err error
		a, err = c.once(method, path, body, key)
		switch {
		case err == nil && a.status == http.StatusUnauthorized:
			c.token = ""
		case err == nil && a.status < 500 && a.status != http.StatusTooManyRequests:
			c.slowest = max(c.slowest, time.Since(began))
			c.pulse.beat()
			return a, false
		}
		if ctx.Err() != nil && time.Since(began) > 20*time.Second {
			break
		}
		time.Sleep(wait/2 + rand.N(wait))
	}
	return a, true
}

func (c *client) once(method, path string, body []byte, key string) (answer, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, c.gateway+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= 400 && !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		err = fmt.Errorf("somebody on the way answers %s", resp.Status)
	}
	return answer{resp.StatusCode, b}, err
}

func (c *client) signIn() bool {
	body, _ := json.Marshal(map[string]string{"login": "admin", "password": c.password}) // strings
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, c.gateway+"/api/v1/auth/login", bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var t struct{ AccessToken string }
	if resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&t) != nil {
		return false
	}
	c.token = t.AccessToken
	return true
}

func query(path string) string { return "?path=" + url.QueryEscape(path) }

func (c *client) put(ctx context.Context, f *file) {
	c.written++
	size := 1 + c.rng.IntN(200_000)
	if c.rng.IntN(8) == 0 {
		size += 5 << 20 // more than one block
	}
	data := make([]byte, size)
	// Bytes that no other write has, as far as they are told apart by their beginning.
	copy(data, fmt.Sprint(f.path, " ", c.written, " "))
	for i := 64; i+8 <= len(data); i += 4096 {
		binary.LittleEndian.PutUint64(data[i:], c.rng.Uint64())
	}
	what := sum(data)
	a, unknown := c.do(ctx, http.MethodPut, "/uploads/content"+query(f.path)+"&parents=true&conflict=replace", data, fmt.Sprint(f.path, "-", c.written))
	switch {
	case unknown:
		c.unknown++
		f.open = append(f.open, what)
	case a.status == http.StatusOK || a.status == http.StatusCreated:
		c.acknowledged++
		c.writes++
		f.now = what
	default:
		c.refused++
		c.blame(f, "put", a)
	}
}

func (c *client) get(ctx context.Context, f *file) {
	a, unknown := c.do(ctx, http.MethodGet, "/content"+query(f.path), nil, "")
	if unknown {
		c.unknown++
		return
	}
	c.acknowledged++
	c.check(f, a)
}

// check holds what a GET gave against what may be there.
func (c *client) check(f *file, a answer) {
	what := absent
	switch {
	case a.status == http.StatusOK:
		what = sum(a.body)
	case a.status != http.StatusNotFound:
		c.blame(f, "get", a)
		return
	}
	if f.may(what) {
		return
	}
	if what == absent {
		c.lost++
	} else {
		c.wrong++
	}
	c.problems = append(c.problems, fmt.Sprintf("%s at %s: holds %.16s, and may hold %.16s %.16s", f.path, time.Now().Format("15:04:05.000"), what, f.now, f.open))
}

func (c *client) remove(ctx context.Context, f *file) {
	a, unknown := c.do(ctx, http.MethodGet, "/stat"+query(f.path), nil, "")
	if unknown || a.status != http.StatusOK {
		return
	}
	var n struct{ ID string }
	if err := json.Unmarshal(a.body, &n); err != nil {
		c.blame(f, "stat", a)
		return
	}
	a, unknown = c.do(ctx, http.MethodDelete, "/files/"+n.ID, nil, "")
	switch {
	case unknown:
		c.unknown++
		f.open = append(f.open, absent)
	case a.status == http.StatusNoContent || a.status == http.StatusOK || a.status == http.StatusNotFound:
		// Not there any more: a try before this one, whose answer was lost, did it.
		c.acknowledged++
		c.writes++
		f.now = absent
	default:
		c.blame(f, "delete", a)
	}
}

// list looks at the folder: what is there for certain is in it once, and nothing that cannot be there.
func (c *client) list(ctx context.Context) {
	a, unknown := c.do(ctx, http.MethodGet, "/files"+query(c.folder), nil, "")
	if unknown {
		c.unknown++
		return
	}
	var page struct{ Items []struct{ Path string } }
	if a.status == http.StatusOK {
		if err := json.Unmarshal(a.body, &page); err != nil {
			c.problems = append(c.problems, fmt.Sprintf("%s: a list that is none: %v", c.folder, err))
			c.wrong++
			return
		}
	} else if a.status != http.StatusNotFound {
		c.blame(&file{path: c.folder}, "list", a)
		return
	}
	c.acknowledged++
	for _, f := range c.files {
		n := 0
		for _, i := range page.Items {
			if i.Path == f.path {
				n++
			}
		}
		there := f.now != absent || slices.ContainsFunc(f.open, func(o string) bool { return o != absent })
		if n > 1 || n == 1 && !there || n == 0 && !f.may(absent) {
			c.wrong++
			c.problems = append(c.problems, fmt.Sprintf("%s is in its folder %d times at %s", f.path, n, time.Now().Format("15:04:05.000")))
		}
	}
}

// blame notes an answer that nothing explains.
func (c *client) blame(f *file, what string, a answer) {
	c.wrong++
	c.problems = append(c.problems, fmt.Sprintf("%s %s: %d %.200s", what, f.path, a.status, a.body))
}

// readBack reads all files once more, with everything running.
func (c *client) readBack(ctx context.Context) {
	for _, f := range c.files {
		a, unknown := c.do(ctx, http.MethodGet, "/content"+query(f.path), nil, "")
		if unknown {
			c.lost++
			c.problems = append(c.problems, fmt.Sprintf("%s could not be read at the end: %v", f.path, errors.New(strings.TrimSpace(string(a.body)))))
			continue
		}
		c.check(f, a)
	}
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
