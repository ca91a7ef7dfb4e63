package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livil/gopan/internal/client/clienttest"
)

func TestRetrySchedule(t *testing.T) {
	busy := &Error{Status: 503, Code: "busy"}
	dead := &attemptError{errors.New("connection refused")}
	s := time.Second
	rows := []struct {
		name string
		r    Retry
		err  error
		want []time.Duration
	}{
		{"doubles up to the limit", Retry{Attempts: 6, Base: s, Max: 5 * s}, dead, []time.Duration{s, 2 * s, 4 * s, 5 * s, 5 * s}},
		{"defaults", Retry{}, dead, []time.Duration{s / 4, s / 2, s, 2 * s, 4 * s, 8 * s, 15 * s, 15 * s, 15 * s}},
		{"busy server", Retry{Attempts: 3, Base: s}, busy, []time.Duration{s, 2 * s}},
		{"retry-after, and a little", Retry{Attempts: 3, Base: s}, &Error{Status: 429, RetryAfter: 7 * s}, []time.Duration{8 * s, 8 * s}},
		{"retry-after too long", Retry{Attempts: 3}, &Error{Status: 503, RetryAfter: time.Hour}, nil},
		{"a refusal is final", Retry{}, &Error{Status: 409}, nil},
		{"a server's bug is final", Retry{}, &Error{Status: 500}, nil},
		{"an error of ours is final", Retry{}, ErrChanged, nil},
		{"no such host", Retry{}, &attemptError{&net.DNSError{IsNotFound: true}}, nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var slept []time.Duration
			// The jitter is at its most: the whole window.
			row.r.Random = func(d time.Duration) time.Duration { return d }
			row.r.Sleep = func(_ context.Context, d time.Duration) error {
				slept = append(slept, d)
				return nil
			}
			var err error
			tries := 0
			for err == nil {
				tries++
				err = row.r.next(t.Context(), tries, row.err)
			}
			if !slices.Equal(slept, row.want) {
				t.Errorf("waits %v, want %v", slept, row.want)
			}
			var a *attemptError
			if errors.As(err, &a) {
				t.Errorf("%v leaks out unexplained", err)
			}
		})
	}
}

func TestJitterIsWithinItsWindow(t *testing.T) {
	var r Retry
	seen := map[time.Duration]bool{}
	for range 100 {
		d := r.random(time.Second)
		if d < 0 || d >= time.Second {
			t.Fatalf("%v is outside [0, 1s)", d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("only %d different waits of 100", len(seen))
	}
}

func TestRetryAfterHeader(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"3": 3 * time.Second, " 120 ": 2 * time.Minute, "0": 0, "-1": 0, "": 0, "soon": 0, "1e9": 0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
	} {
		if got := retryAfter(in, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", in, got, want)
		}
	}
}

func TestBusyServerIsAskedAgainWhenItSays(t *testing.T) {
	s := clienttest.New(t)
	s.Put("/a", []byte("a"), time.Now())
	c := signedIn(t, s)
	var slept []time.Duration
	c.Retry.Random = func(time.Duration) time.Duration { return 0 }
	c.Retry.Sleep = func(_ context.Context, d time.Duration) error {
		slept = append(slept, d)
		return nil
	}
	s.Intercept(first(2, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/stat") }, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "9")
		clienttest.Problem(w, http.StatusTooManyRequests, "too_many")
	}))
	if _, err := c.Stat(t.Context(), "/a"); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{9 * time.Second, 9 * time.Second}; !slices.Equal(slept, want) {
		t.Errorf("waits %v, want %v", slept, want)
	}
}

func TestServerThatIsGone(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	s.Close()
	_, err := c.Stat(t.Context(), "/a")
	var ne *NetworkError
	if !errors.As(err, &ne) || ne.Tries != 4 || !IsUnavailable(err) {
		t.Errorf("got %v, want a NetworkError after 4 tries", err)
	}
}

func TestCancelEndsTheWaitAtOnce(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	// Real waits, of an hour: only the context can end them.
	c.Retry = Retry{Base: time.Hour, Max: time.Hour, Random: func(d time.Duration) time.Duration { return d }, Notify: func(error, time.Duration) { cancel() }}
	s.Close()
	if _, err := c.Stat(ctx, "/a"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestStalledServer(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	c.Stall = 20 * time.Millisecond
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	s.Intercept(func(http.ResponseWriter, *http.Request) bool { <-release; return true })
	_, err := c.Stat(t.Context(), "/a")
	if !errors.Is(err, errStalled) || !IsUnavailable(err) {
		t.Errorf("got %v, want errStalled", err)
	}
}

func TestProblem(t *testing.T) {
	rows := []struct {
		name, kind, body string
		status           int
		want             Error
	}{
		{"a problem", "application/problem+json", `{"title":"T","detail":"D","code":"name_taken","field":"path","requestId":"r1"}`, 409,
			Error{Status: 409, Title: "T", Detail: "D", Code: "name_taken", Field: "path", RequestID: "r1"}},
		{"a proxy's page", "text/html", "<h1>Bad Gateway</h1>", 502, Error{Status: 502, Code: "http_502"}},
		{"broken JSON", "application/json", "{", 500, Error{Status: 500, Code: "http_500"}},
		{"other JSON", "application/json", "[]", 400, Error{Status: 400, Code: "http_400"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			w.Header().Set("Content-Type", row.kind)
			w.WriteHeader(row.status)
			w.WriteString(row.body)
			if got := problemOf(w.Result(), time.Now()); *got != row.want {
				t.Errorf("got %+v, want %+v", *got, row.want)
			}
		})
	}
}

func TestWritesAreNotRedirected(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	var gets atomic.Int32
	s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			gets.Add(1)
		}
		http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
		return true
	})
	_, err := c.Put(t.Context(), "/a", Bytes([]byte("x")), PutOptions{})
	if !HasStatus(err, http.StatusMovedPermanently) || gets.Load() != 0 {
		t.Errorf("got %v after %d GETs, want the 301 as an error", err, gets.Load())
	}
}

func TestParseServer(t *testing.T) {
	for in, want := range map[string]string{
		"https://drive.example.com":     "https://drive.example.com",
		"https://Drive.Example.com/":    "https://drive.example.com",
		"drive.example.com":             "https://drive.example.com",
		"drive.example.com:8443/gopan/": "https://drive.example.com:8443/gopan",
		"localhost:8080":                "http://localhost:8080",
		"127.0.0.1:8080":                "http://127.0.0.1:8080",
		"[::1]:8080":                    "http://[::1]:8080",
		"http://10.0.0.1":               "http://10.0.0.1",
		"":                              "", "ftp://x": "", "https://": "", "https://u:secret@x": "", "https://x?y=1": "",
		"https://x#y": "", "https://u:sec ret@x": "",
	} {
		got, err := ParseServer(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ParseServer(%q) = %q, %v, want %q", in, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "sec") {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
	for in, want := range map[string]bool{
		"http://10.0.0.1": true, "http://drive.example.com": true, "http://localhost:1": false,
		"http://127.0.0.1": false, "http://[::1]:80": false, "https://10.0.0.1": false,
	} {
		if Insecure(in) != want {
			t.Errorf("Insecure(%q) = %v", in, !want)
		}
	}
}
