package drivetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// client does one thing after the other. Any process of any role may answer it.
type client struct {
	Options
	i       int
	folder  string
	http    *http.Client
	rng     *rand.Rand
	files   []*file
	shared  *shared
	pulse   *Pulse
	written uint64
	// tags are the ETags that it saw last at the shared paths.
	tags map[string]string
	Report

	mu    sync.Mutex // guards token and Slowest, which requests made at the same time change
	token string
}

func newClient(o Options, folder string, i int, c *Crowd) *client {
	cl := &client{
		Options: o, i: i, folder: fmt.Sprintf("%s/%d", folder, i), shared: c.shared, pulse: c.Pulse, tags: map[string]string{},
		http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}},
		rng:  rand.New(rand.NewPCG(o.Seed, uint64(i)+1)), Report: Report{Operations: map[string]int{}},
	}
	for n := range filesEach {
		cl.files = append(cl.files, &file{path: fmt.Sprintf("%s/%d", cl.folder, n), now: absent})
	}
	for n := range filesEach / 2 {
		cl.files = append(cl.files, &file{path: fmt.Sprintf("%s/below/%d", cl.folder, n), now: absent})
	}
	return cl
}

func (c *client) work(ctx context.Context) {
	defer c.http.CloseIdleConnections()
	c.makeFolder(ctx)
	for ctx.Err() == nil {
		f := c.files[c.rng.IntN(len(c.files))]
		switch n := c.rng.IntN(24); {
		case n < 5:
			c.put(ctx, f)
		case n < 9:
			c.get(ctx, f)
		case n < 10:
			c.remove(ctx, f)
		case n < 11:
			c.trashAndRestore(ctx, f)
		case n < 13:
			c.list(ctx)
		case n < 14:
			c.session(ctx, f)
		case n < 15:
			c.batch(ctx)
		case n < 17:
			c.move(ctx, f)
		default:
			c.share(ctx)
		}
	}
}

// request is what a client asks.
type request struct {
	method, path string
	body         []byte
	// key is the Idempotency-Key, with which a request that is tried again has one effect.
	key string
	// headers are "Name: value".
	headers []string
}

// answer to a request; a status of 0 is none at all.
type answer struct {
	status int
	body   []byte
	etag   string
	// earlier tries had no answer, or one that does not say what they did: they may have had an effect, and one that is
	// still on its way may yet.
	earlier int
	// unknown: it never had an answer, and will not be tried again.
	unknown bool
}

func (a answer) ok() bool { return !a.unknown && a.status >= 200 && a.status < 300 }

func (a answer) is(status int) bool { return !a.unknown && a.status == status }

// into reads a body of JSON.
func (a answer) into(v any) error { return json.Unmarshal(a.body, v) }

// patience is how long a request is tried again until it has an answer that is one.
const patience = 60 * time.Second

// do sends a request until it is answered with something else than "try again". A request is not cut off when ctx ends:
// what it did would never be known.
func (c *client) do(ctx context.Context, r request) (a answer) {
	began := time.Now()
	earlier := 0
	for wait := 50 * time.Millisecond; time.Since(began) < patience; wait = min(2*wait, time.Second) {
		token := c.signedIn()
		if token == "" {
			time.Sleep(wait)
			continue
		}
		var err error
		a, err = c.once(r, token)
		a.earlier = earlier
		switch {
		case err == nil && a.status == http.StatusUnauthorized:
			c.forget(token)
		case err == nil && a.status < 500 && a.status != http.StatusTooManyRequests:
			c.mu.Lock()
			c.Slowest = max(c.Slowest, time.Since(began))
			c.mu.Unlock()
			c.pulse.beat()
			return a
		case err != nil || a.status >= 500:
			earlier++
		}
		if ctx.Err() != nil && time.Since(began) > patience/2 {
			break
		}
		time.Sleep(wait/2 + rand.N(wait))
	}
	a.unknown = true
	return a
}

func (c *client) once(r request, token string) (answer, error) {
	req, err := http.NewRequestWithContext(context.Background(), r.method, c.URL+"/api/v1"+r.path, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	for _, h := range r.headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
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
	return answer{status: resp.StatusCode, body: b, etag: resp.Header.Get("ETag")}, err
}

// signedIn gives an access token, or "" if none is to be had now.
func (c *client) signedIn() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != "" {
		return c.token
	}
	body, _ := json.Marshal(map[string]string{"login": "admin", "password": c.Password}) // strings
	resp, err := c.http.Post(c.URL+"/api/v1/auth/login", "application/json", bytes.NewReader(body))
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var t struct{ AccessToken string }
	if resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&t) == nil {
		c.token = t.AccessToken
	}
	return c.token
}

// forget drops a token that is good no more.
func (c *client) forget(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == token {
		c.token = ""
	}
}

func query(path string) string { return "?path=" + url.QueryEscape(path) }

// key is an Idempotency-Key that no other request has.
func (c *client) key() string {
	c.written++
	return fmt.Sprintf("%s-%d", c.folder, c.written)
}

// content makes bytes that no other write has, as far as they are told apart by their beginning.
func (c *client) content(size int) []byte {
	c.written++
	head := fmt.Sprintf("%s %d ", c.folder, c.written)
	data := make([]byte, max(size, len(head)))
	copy(data, head)
	for i := 128; i+8 <= len(data); i += 4096 {
		binary.LittleEndian.PutUint64(data[i:], c.rng.Uint64())
	}
	return data
}

// node is what clients want of one.
type node struct {
	ID, Path, ETag, Digest string
	Version                int64
}

// blame notes an answer that nothing explains.
func (c *client) blame(what, path string, a answer) {
	c.Wrong++
	c.problem("%s %s: %d %.200s", what, path, a.status, a.body)
}
