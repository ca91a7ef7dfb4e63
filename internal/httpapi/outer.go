package httpapi

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/zeromicro/go-zero/core/logx"
)

// info is what the outermost handler wants to know of a request when it is over.
type info struct {
	id       string
	client   Client
	route    string
	user     int64
	err      error
	status   int
	bytes    int64
	progress *progress
}

func (i *info) wrote() bool { return i.status != 0 }

type infoKey struct{}

func infoOf(ctx context.Context) *info {
	if i, ok := ctx.Value(infoKey{}).(*info); ok {
		return i
	}
	return &info{progress: new(progress)}
}

func requestID(ctx context.Context) string { return infoOf(ctx).id }

// Client is what a request tells of who sent it. Only Address can be relied on.
type Client struct {
	// Address of the caller, as Addresses finds it.
	Address netip.Addr
	// Agent is what the caller calls itself, at most 256 bytes of it.
	Agent string
	// Origin is the scheme and host that the caller asked: "https://drive.example".
	Origin string
}

// ClientOf gives who sent the request that ctx is of; the zero value outside of one.
func ClientOf(ctx context.Context) Client { return infoOf(ctx).client }

// ClientAddress is that caller's address as text; "" outside of a request.
func ClientAddress(ctx context.Context) string {
	if a := ClientOf(ctx).Address; a.IsValid() {
		return a.String()
	}
	return ""
}

func (s *Server) clientOf(r *http.Request) Client {
	c := Client{Address: s.Addresses.Of(r), Agent: r.UserAgent(), Origin: "http://" + r.Host}
	if len(c.Agent) > 256 {
		c.Agent = c.Agent[:256]
	}
	c.Agent = oneLine(strings.ToValidUTF8(c.Agent, "\uFFFD"))
	if r.TLS != nil || r.Header.Get("Origin") == "https://"+r.Host || s.forwardedHTTPS(r) {
		c.Origin = "https://" + r.Host
	}
	return c
}

// forwardedHTTPS tells whether a proxy of ours took the request by HTTPS.
func (s *Server) forwardedHTTPS(r *http.Request) bool {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && s.Addresses.trusted(remote.Addr().Unmap()) && r.Header.Get("X-Forwarded-Proto") == "https"
}

var (
	requests = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "gopan_http_requests_total", Help: "Requests by route, method and status.",
	}, []string{"route", "method", "status"})
	durations = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "gopan_http_request_seconds", Help: "How long requests took, bodies included.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
	}, []string{"route", "method"})
	sent = promauto.NewCounter(prometheus.CounterOpts{
		Name: "gopan_http_sent_bytes_total", Help: "Bytes of answers' bodies.",
	})
)

// outermost gives every request an id, sees to it that a panic ends one request only, counts, and writes the
// one line of the access log.
func (s *Server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		i := &info{id: rand.Text()[:16], client: s.clientOf(r), progress: &progress{ctl: http.NewResponseController(w), stall: s.stall()}}
		ctx := context.WithValue(r.Context(), infoKey{}, i)
		out := &response{ResponseWriter: w, info: i}
		r = r.WithContext(ctx) // net/http looks at its own request's body when the handler is done
		if r.Body != http.NoBody {
			// From the start: net/http itself waits for what a handler leaves unread.
			i.progress.reading()
			r.Body = &progressReader{ReadCloser: r.Body, progress: i.progress}
		}
		w.Header().Set("X-Request-Id", i.id)
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler {
				logx.Errorw("panic", logx.Field("request", i.id), logx.Field("panic", oneLine(fmt.Sprint(p))), logx.Field("stack", string(debug.Stack())))
				if i.wrote() {
					p = http.ErrAbortHandler
				} else {
					i.err = fmt.Errorf("panic: %v", p)
					WriteProblem(out, r, i.err)
				}
			}
			s.finish(r, i, time.Since(start))
			if p == http.ErrAbortHandler {
				panic(p) // net/http cuts the connection and says nothing
			}
		}()
		next.ServeHTTP(out, r)
	})
}

// telling are answers that an operator wants to see even when nothing is wrong with the server: somebody was kept
// out.
var telling = map[int]bool{http.StatusForbidden: true, http.StatusTooManyRequests: true}

func (s *Server) finish(r *http.Request, i *info, took time.Duration) {
	route := i.route
	if route == "" {
		route = "other" // a made-up path must not become a label
	}
	requests.WithLabelValues(route, method(r), strconv.Itoa(i.status)).Inc()
	durations.WithLabelValues(route, method(r)).Observe(took.Seconds())
	sent.Add(float64(i.bytes))
	if !s.LogAll && i.status < 500 && !telling[i.status] && !strings.HasPrefix(i.route, "/api/v1/auth/") {
		return
	}
	// No query, headers or body: they may hold what a log must not (promise S17). Paths are quoted, so that
	// they cannot forge a line.
	fields := []logx.LogField{
		logx.Field("request", i.id), logx.Field("from", i.client.Address), logx.Field("user", i.user),
		logx.Field("status", i.status), logx.Field("bytes", i.bytes), logx.Field("ms", took.Milliseconds()),
	}
	what := r.Method + " " + strconv.QuoteToASCII(clip(r.URL.Path))
	switch {
	case i.err != nil && i.status >= 500 && !Gone(i.err):
		logx.Errorw(what, append(fields, logx.Field("error", oneLine(i.err.Error())))...)
	case i.err != nil:
		logx.Infow(what, append(fields, logx.Field("error", oneLine(i.err.Error())))...)
	default:
		logx.Infow(what, fields...)
	}
}

// oneLine keeps what a caller sent, a field's name for example, from making a line of its own in the log or
// moving a terminal's cursor (promise S19).
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete:
		return r.Method
	}
	return "other"
}

// response notes the status and counts the bytes. It passes ReadFrom on, without which there would be no
// sendfile.
type response struct {
	http.ResponseWriter
	info *info
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if w.info.status == 0 && status >= 200 {
		w.info.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	if w.info.status == 0 {
		w.info.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.info.bytes += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom.
func (w *response) ReadFrom(r io.Reader) (int64, error) {
	if w.info.status == 0 {
		w.info.status = http.StatusOK
	}
	n, err := io.Copy(w.ResponseWriter, r)
	w.info.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// quietLog takes what net/http has to say, mostly about callers that break off, at a low level.
func quietLog() *log.Logger { return log.New(debugLog{}, "", 0) }

type debugLog struct{}

func (debugLog) Write(p []byte) (int, error) {
	logx.Debug(strings.TrimSpace(string(p)))
	return len(p), nil
}
