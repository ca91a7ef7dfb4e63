package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	// maxAnswer bounds a JSON answer: a page of 1,000 nodes with the longest paths fits.
	maxAnswer = 32 << 20
	// expectFrom is the body size from which the server is asked first whether it wants the bytes at all, so
	// that a full drive refuses before they are sent.
	expectFrom = 8 << 20
)

// call is one request, as often as it takes.
type call struct {
	method string
	// path below /api/v1, escaped.
	path   string
	query  url.Values
	header http.Header
	// json is sent as the body, or content is, or neither.
	json    any
	content *Content
	// key makes repeating the call harmless.
	key string
	// out receives the answer's JSON. Without it the answer's body is thrown away, unless stream is set: then
	// the caller reads and closes it.
	out    any
	stream bool
	// public calls carry no credential.
	public bool
	// unasked content is sent without asking first whether it is wanted.
	unasked bool
	// tooMany makes a 429 an answer instead of a reason to wait.
	tooMany bool

	// tries counts the attempts made.
	tries int
}

// do makes the call until it succeeds, is refused, or has failed often enough. Only a call with stream set
// returns an answer.
func (c *Client) do(ctx context.Context, k *call) (*http.Response, error) {
	c.init()
	renewed := false
	for {
		var token Token
		if !k.public {
			var err error
			if token, err = c.token(ctx); err != nil {
				return nil, err
			}
		}
		k.tries++
		resp, err := c.attempt(ctx, k, token)
		if err == nil {
			return resp, nil
		}
		refused := !k.public && HasStatus(err, http.StatusUnauthorized)
		switch {
		case refused && renewed:
			return nil, fmt.Errorf("%w: %w", ErrSignedOut, err)
		case refused:
			// The token may have been ended, or run out early by the server's clock.
			renewed = true
			k.tries--
			if _, rerr := c.renew(ctx, token); rerr != nil {
				return nil, rerr
			}
			if k.content.spent() {
				return nil, fmt.Errorf("%w: %w", ErrSignedOut, err)
			}
			continue
		case k.content.spent():
			return nil, gaveUp(err, k.tries)
		case k.tooMany && HasStatus(err, http.StatusTooManyRequests):
			return nil, err
		}
		if err := c.Retry.next(ctx, k.tries, err); err != nil {
			return nil, err
		}
	}
}

// attempt makes the call once. An attemptError means that there was no whole answer.
func (c *Client) attempt(ctx context.Context, k *call, token Token) (*http.Response, error) {
	actx, cancel := context.WithCancelCause(ctx)
	dog := &watchdog{limit: c.stall(), cancel: cancel}
	req, body, err := c.request(actx, k, token, dog)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	dog.start()
	resp, err := c.http.Do(req)
	if err == nil {
		if resp.StatusCode/100 == 2 && k.stream {
			dog.stop()
			resp.Body = &watchedBody{ReadCloser: resp.Body, dog: dog, ctx: actx}
			return resp, nil
		}
		err = c.read(resp, k)
		resp.Body.Close()
	} else {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		err = &attemptError{err}
	}
	dog.stop()
	cause := context.Cause(actx)
	cancel(nil)
	var a *attemptError
	if !errors.As(err, &a) {
		return nil, err
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case body != nil && body.failure() != nil:
		// Ours to explain, not the network's; sending the same again would fail the same.
		return nil, body.failure()
	case errors.Is(cause, errStalled):
		return nil, &attemptError{errStalled}
	}
	return nil, err
}

func (c *Client) request(ctx context.Context, k *call, token Token, dog *watchdog) (*http.Request, *sentBody, error) {
	target := c.BaseURL + "/api/v1" + k.path
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	var (
		reader io.Reader
		body   *sentBody
		size   int64
		kind   string
	)
	switch {
	case k.content != nil:
		kind, size = "application/octet-stream", k.content.Size
		rc, err := k.content.open()
		if err != nil {
			return nil, nil, err
		}
		if size == 0 {
			rc.Close()
			reader = http.NoBody
			break
		}
		body = &sentBody{ReadCloser: rc, dog: dog}
		reader = body
	case k.json != nil:
		data, err := json.Marshal(k.json)
		if err != nil {
			return nil, nil, err
		}
		kind, size, reader = "application/json", int64(len(data)), bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, reader)
	if err != nil {
		return nil, nil, fmt.Errorf("bad server address: %w", err)
	}
	req.ContentLength = size
	for name, values := range k.header {
		req.Header[name] = values
	}
	if kind != "" && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", kind)
	}
	if k.key != "" {
		req.Header.Set("Idempotency-Key", k.key)
	}
	if body != nil && !k.unasked && (size < 0 || size >= expectFrom) {
		req.Header.Set("Expect", "100-continue")
	}
	if !k.stream {
		req.Header.Set("Accept", "application/json, application/problem+json")
	}
	if c.Language != "" {
		req.Header.Set("Accept-Language", c.Language)
	}
	agent := c.UserAgent
	if agent == "" {
		agent = "gopan"
	}
	req.Header.Set("User-Agent", agent)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	return req, body, nil
}

// read takes a whole answer.
func (c *Client) read(resp *http.Response, k *call) error {
	if resp.StatusCode/100 != 2 {
		return problemOf(resp, c.now())
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return &attemptError{err}
	case k.out == nil:
		return nil
	case len(data) > maxAnswer:
		return errors.New("the server's answer is too long")
	}
	if err := json.Unmarshal(data, k.out); err != nil {
		return fmt.Errorf("the server's answer is not Gopan's: %w", err)
	}
	return nil
}

// newKey makes an Idempotency-Key.
func newKey() string { return rand.Text() }

// watchdog ends an attempt in which nothing moves.
type watchdog struct {
	limit  time.Duration
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (d *watchdog) start() {
	d.timer = time.AfterFunc(d.limit, func() { d.cancel(errStalled) })
}

// feed says that something moved; the next must come within the limit, factor times.
func (d *watchdog) feed(factor int) { d.timer.Reset(time.Duration(factor) * d.limit) }

func (d *watchdog) stop() { d.timer.Stop() }

// sentBody is a request's body: it feeds the watchdog and remembers why it could not be read.
type sentBody struct {
	io.ReadCloser
	dog *watchdog
	err atomic.Pointer[error]
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		b.dog.feed(2)
	case err != nil:
		b.err.Store(&err)
	default:
		b.dog.feed(1)
	}
	return n, err
}

func (b *sentBody) failure() error {
	if p := b.err.Load(); p != nil {
		return *p
	}
	return nil
}

// watchedBody is an answer's body that the caller reads: it may take its time between reads, the server not.
type watchedBody struct {
	io.ReadCloser
	dog *watchdog
	ctx context.Context
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.dog.feed(1)
	n, err := b.ReadCloser.Read(p)
	b.dog.stop()
	if err != nil && err != io.EOF && errors.Is(context.Cause(b.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

func (b *watchedBody) Close() error {
	b.dog.stop()
	b.dog.cancel(nil)
	return b.ReadCloser.Close()
}
