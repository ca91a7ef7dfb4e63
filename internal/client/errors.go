package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrSignedOut means that there is no session, or that it has ended: sign in again.
var ErrSignedOut = errors.New("not signed in")

// ErrChanged means that a file changed while it was being read, here or on the server.
var ErrChanged = errors.New("the file changed while it was being read")

// ErrDigest means that the bytes that arrived are not those that the digest names.
var ErrDigest = errors.New("the bytes that arrived are not the file's: size or digest differ")

// errStalled ends an attempt in which nothing moved.
var errStalled = errors.New("no answer in time")

// Error is what the server says when it refuses: RFC 9457's problem, or whatever a proxy said in its place.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Code is the stable word for the failure, "name_taken"; "http_<status>" where the answer has none.
	Code string
	// Title and Detail are sentences for people, in the language that was asked for.
	Title, Detail string
	// Field is the part of the request at fault, where there is one.
	Field string
	// RequestID finds the request in the server's log.
	RequestID string
	// RetryAfter is when the server wants to be asked again; 0 when it does not say.
	RetryAfter time.Duration
}

// Error is one line: the sentence, the code, the request id.
func (e *Error) Error() string {
	var b strings.Builder
	switch {
	case e.Detail != "":
		b.WriteString(e.Detail)
	case e.Title != "":
		b.WriteString(e.Title)
	default:
		b.WriteString(strings.ToLower(http.StatusText(e.Status)))
	}
	fmt.Fprintf(&b, " (%d %s", e.Status, e.Code)
	if e.Field != "" {
		b.WriteString(", " + e.Field)
	}
	if e.RequestID != "" {
		b.WriteString(", request " + e.RequestID)
	}
	b.WriteByte(')')
	return b.String()
}

// NetworkError means that the server could not be reached, or stopped answering, and that trying again did
// not help.
type NetworkError struct {
	// Tries is how often it was tried.
	Tries int
	Err   error
}

func (e *NetworkError) Error() string {
	if e.Tries > 1 {
		return fmt.Sprintf("cannot reach the server (tried %d times): %v", e.Tries, e.Err)
	}
	return fmt.Sprintf("cannot reach the server: %v", e.Err)
}

// Unwrap gives the last attempt's failure.
func (e *NetworkError) Unwrap() error { return e.Err }

// HasStatus tells whether the server refused with one of the statuses.
func HasStatus(err error, statuses ...int) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, s := range statuses {
		if e.Status == s {
			return true
		}
	}
	return false
}

// isCode tells whether the server refused with one of these codes.
func isCode(err error, codes ...string) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	return slices.Contains(codes, e.Code)
}

// IsNotFound tells whether the server knows of no such thing.
func IsNotFound(err error) bool { return HasStatus(err, http.StatusNotFound) }

// IsUnavailable tells whether the failure may go away by itself: the network, or a server that is busy.
func IsUnavailable(err error) bool {
	var ne *NetworkError
	return errors.As(err, &ne) || HasStatus(err, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout)
}

// maxProblem bounds how much of an error's body is read.
const maxProblem = 64 << 10

// problemOf reads the failure that an answer is, and leaves its body to be closed.
func problemOf(resp *http.Response, now time.Time) *Error {
	e := &Error{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), now)}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	var p struct {
		Title     string `json:"title"`
		Detail    string `json:"detail"`
		Code      string `json:"code"`
		Field     string `json:"field"`
		RequestID string `json:"requestId"`
		Fields    []struct {
			Field   string `json:"field"`
			Message string `json:"message"`
		} `json:"fields"`
	}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") && json.Unmarshal(body, &p) == nil {
		e.Title, e.Detail, e.Code, e.Field, e.RequestID = p.Title, p.Detail, p.Code, p.Field, p.RequestID
		for i, f := range p.Fields {
			if i == 0 && e.Field == "" {
				e.Field = f.Field
			}
			if p.Detail == "" && len(p.Fields) > 1 {
				e.Detail += f.Field + ": " + f.Message + " "
			} else if p.Detail == "" {
				e.Detail = f.Message
			}
		}
		e.Detail = strings.TrimSpace(e.Detail)
	}
	if e.Code == "" {
		e.Code = "http_" + strconv.Itoa(e.Status)
	}
	if loc := resp.Header.Get("Location"); e.Detail == "" && e.Status/100 == 3 && loc != "" {
		e.Detail = "the server moved; use the address that it redirects to"
	}
	return e
}

// retryAfter reads RFC 9110's Retry-After: seconds or a date; 0 for neither.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}
