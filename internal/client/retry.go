package client

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"math/big"
	"net"
	"net/http"
	"time"
)

// Retry says how often and when a request is tried again after a failure that may go away: the network, 429,
// 502, 503, 504. Every field's zero value means its default.
type Retry struct {
	// Attempts is how often a request is sent in all; 0 means 10, which rides out about half a minute.
	Attempts int
	// Base doubles with each attempt, up to Max, and the wait is a random part of it ("full jitter",
	// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). Defaults 250 ms and 15 s.
	Base, Max time.Duration
	// MaxRetryAfter is the longest wait that a server may ask for; a longer one is an error at once.
	// Default 2 minutes.
	MaxRetryAfter time.Duration
	// Notify, if set, hears of every failure that is tried again.
	Notify func(err error, wait time.Duration)

	// Random gives a duration in [0, d); tests set it.
	Random func(d time.Duration) time.Duration
	// Sleep waits for d or until ctx ends; tests set it.
	Sleep func(ctx context.Context, d time.Duration) error
}

func (r *Retry) attempts() int {
	if r.Attempts > 0 {
		return r.Attempts
	}
	return 10
}

// next waits until it is time for attempt tries+1, tries of which have failed, the last with err. It returns nil
// when to go on, and else the error to give up with.
func (r *Retry) next(ctx context.Context, tries int, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !retryable(err) || tries >= r.attempts() {
		return gaveUp(err, tries)
	}
	base, limit, maxAfter := r.Base, r.Max, r.MaxRetryAfter
	if base <= 0 {
		base = 250 * time.Millisecond
	}
	if limit <= 0 {
		limit = 15 * time.Second
	}
	if maxAfter <= 0 {
		maxAfter = 2 * time.Minute
	}
	window := limit
	if shift := tries - 1; shift < 30 && base<<shift < limit {
		window = base << shift
	}
	pause := r.random(window)
	var e *Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		if e.RetryAfter > maxAfter {
			return err
		}
		// Not all clients at that very moment.
		pause = e.RetryAfter + r.random(base)
	}
	if r.Notify != nil {
		r.Notify(err, pause)
	}
	if r.Sleep != nil {
		return r.Sleep(ctx, pause)
	}
	return wait(ctx, pause)
}

func (r *Retry) random(d time.Duration) time.Duration {
	if r.Random != nil {
		return r.Random(d)
	}
	n, err := rand.Int(rand.Reader, big.NewInt(int64(d)))
	if err != nil {
		return d / 2
	}
	return time.Duration(n.Int64())
}

// attemptError is a request that got no answer.
type attemptError struct{ err error }

func (e *attemptError) Error() string { return e.err.Error() }
func (e *attemptError) Unwrap() error { return e.err }

// gaveUp turns the last attempt's failure into what callers see.
func gaveUp(err error, tries int) error {
	var a *attemptError
	if errors.As(err, &a) {
		return &NetworkError{Tries: tries, Err: a.err}
	}
	return err
}

// retryable tells whether the same request may succeed later.
func retryable(err error) bool {
	var a *attemptError
	if errors.As(err, &a) {
		return !hopeless(a.err)
	}
	return HasStatus(err, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout)
}

// hopeless are failures of the network that time does not heal: a name that does not exist, a certificate that
// is not trusted, a server that does not speak TLS.
func hopeless(err error) bool {
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		rec  tls.RecordHeaderError
	)
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &cert) || errors.As(err, &rec)
}
