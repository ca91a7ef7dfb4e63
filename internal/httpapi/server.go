package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/zeromicro/go-zero/rest"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
)

// Server serves the routes of the roles that live in this process, and the few of the process itself.
type Server struct {
	// Routes of the roles. Each has an access rule, or Handler fails.
	Routes []Route
	// Check judges a credential.
	Check func(context.Context, auth.Credential) (auth.Principal, error)
	// Ready tells whether the process can serve; nil means always.
	Ready func(context.Context) error
	// OpenAPI is the document for GET /api/v1/openapi.json.
	OpenAPI []byte
	// UI serves everything outside /api; nil: nothing does.
	UI http.Handler
	// Addresses finds out who calls when a proxy stands before us.
	Addresses Addresses
	// JSONTimeout bounds a JSON route; 0 means 30 s.
	JSONTimeout time.Duration
	// StallTimeout is how long a body may make no progress, either way; 0 means 60 s.
	StallTimeout time.Duration
	// LogAll logs every request, not only sign-ins, refusals and failures.
	LogAll bool
}

// Paths of the process itself; they are open to anybody, for they tell nothing.
const (
	pathLive    = "/livez"
	pathReady   = "/readyz"
	pathMetrics = "/metrics"
	pathOpenAPI = "/api/v1/openapi.json"
)

var variable = regexp.MustCompile(`:(\w+)`)

// Handler builds the process's handler: JSON routes through go-zero's router and middlewares, raw routes
// through net/http beside it.
func (s *Server) Handler() (http.Handler, error) {
	const op = errs.Op("httpapi.Handler")
	jsonServer, err := rest.NewServer(restConf(), rest.WithNotFoundHandler(http.HandlerFunc(s.notFound)),
		rest.WithNotAllowedHandler(http.HandlerFunc(s.notFound)))
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	raw := http.NewServeMux()
	for _, r := range s.Routes {
		if r.Access < Public || r.Access > Admin {
			return nil, errs.E(errs.Internal, op, fmt.Errorf("%s %s has no access rule", r.Method, r.Path))
		}
		h := s.serve(r)
		if r.Raw {
			raw.Handle(r.Method+" "+variable.ReplaceAllString(r.Path, "{$1}"), h)
			continue
		}
		jsonServer.AddRoute(rest.Route{Method: r.Method, Path: r.Path, Handler: h})
	}
	serverless, err := rest.NewServerless(jsonServer)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	metrics := promhttp.Handler()
	pick := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		switch {
		case p == pathLive:
			plain(w, r, nil)
		case p == pathReady:
			plain(w, r, s.ready(r.Context()))
		case p == pathMetrics && r.Method == http.MethodGet:
			metrics.ServeHTTP(w, r)
		case p == pathOpenAPI && r.Method == http.MethodGet:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(s.OpenAPI) // the caller may have gone
		case !strings.HasPrefix(p, "/api/") && s.UI != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			s.UI.ServeHTTP(w, r)
		case p != path.Clean(p):
			s.notFound(w, r) // ServeMux would redirect to a path that nobody asked for
		default:
			if _, pattern := raw.Handler(r); pattern != "" {
				raw.ServeHTTP(w, r)
				return
			}
			serverless.Serve(w, r)
		}
	})
	return s.outermost(pick), nil
}

// restConf is what we take of go-zero's HTTP server. Off: Trace (nobody collects traces yet), Gunzip (unbounded), Log (it dumps whole requests,
// credentials and all, on a 5xx), Timeout (it buffers answers; routes have deadlines of ours), MaxBytes (it
// believes Content-Length), Breaker and Shedding (they turn one caller's failures into everybody's), Recover (it
// answers a panic with nothing, logs the query, and lets half an answer pass for a whole one).
func restConf() rest.RestConf {
	var c rest.RestConf
	c.Name = "gopan"
	c.MaxConns = 10_000
	c.Middlewares = rest.MiddlewaresConf{MaxConns: true}
	return c
}

// serve is one route with its access rule, its limits and its errors.
func (s *Server) serve(route Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		info := infoOf(r.Context())
		info.route = route.Path
		ctx, err := s.admit(r, route.Access)
		if err == nil && r.Header.Get("Content-Encoding") != "" {
			err = errs.E(errs.Unsupported, "httpapi.serve", errs.Code("encoded_body"))
		}
		if err == nil {
			var cancel context.CancelFunc = func() {}
			if route.Raw {
				// Raw bodies may take any time as long as they make progress.
				w = &progressWriter{ResponseWriter: w, progress: info.progress}
			} else {
				timeout := s.JSONTimeout
				if timeout == 0 {
					timeout = 30 * time.Second
				}
				ctx, cancel = context.WithTimeout(ctx, timeout)
				info.progress.until, _ = ctx.Deadline()
			}
			defer cancel()
			err = route.handler(w, r.WithContext(ctx))
		}
		if err == nil {
			return
		}
		info.err = err
		if info.wrote() {
			// Half an answer is out: cut the connection, so that it cannot pass for a whole one.
			panic(http.ErrAbortHandler)
		}
		WriteProblem(w, r, err)
	}
}

// admit applies a route's access rule and gives the context in which its principal asks.
func (s *Server) admit(r *http.Request, rule Access) (context.Context, error) {
	const op = errs.Op("httpapi.admit")
	ctx := r.Context()
	if rule == Public {
		return ctx, nil
	}
	if rule == Upload && len(r.Header.Values(auth.UploadTokenHeader)) > 0 {
		return auth.WithUploadToken(ctx, r)
	}
	cred, err := auth.CredentialOf(r)
	if err != nil {
		return ctx, err
	}
	if cred.Cookie && !safe(r.Method) && !sameOrigin(r) {
		return ctx, errs.E(errs.Denied, op, errs.Code("foreign_origin"))
	}
	p, err := s.Check(ctx, cred)
	if err != nil {
		return ctx, err
	}
	infoOf(ctx).user = p.UserID
	switch {
	case p.KeyID != 0 && (rule == Account || rule == Admin):
		return ctx, errs.E(errs.Denied, op, errs.Code("key_not_enough"))
	case p.ReadOnly && rule != Read && !safe(r.Method):
		return ctx, errs.E(errs.Denied, op, errs.Code("read_only_key"))
	case rule == Admin && !p.Admin():
		return ctx, errs.E(errs.Denied, op)
	}
	return auth.With(ctx, p), nil
}

func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// sameOrigin tells whether a browser says that a page of ours made the request. A request with neither header
// is refused: a cookie without an origin is not from a browser that we know.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin := r.Header.Get("Origin")
	return origin == "http://"+r.Host || origin == "https://"+r.Host
}

// SameOrigin guards a public route that sets a cookie: a browser must say that our own page asks.
func SameOrigin(r *http.Request) error {
	if r.Header.Get("Origin") == "" && r.Header.Get("Sec-Fetch-Site") == "" || sameOrigin(r) {
		return nil
	}
	return errs.E(errs.Denied, "httpapi.SameOrigin", errs.Code("foreign_origin"))
}

func (s *Server) stall() time.Duration {
	if s.StallTimeout > 0 {
		return s.StallTimeout
	}
	return time.Minute
}

func (s *Server) ready(ctx context.Context) error {
	if s.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		return errs.E(errs.Busy, "httpapi.ready", errs.Code("not_ready"), err)
	}
	return nil
}

func plain(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		infoOf(r.Context()).err = err
		WriteProblem(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // the caller may have gone
}

// notFound answers for what no route serves; with the right path and the wrong method that is a 405.
func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	err := errs.E(errs.NotFound, "httpapi.notFound", errs.Code("no_such_route"))
	var allow []string
	for _, route := range s.Routes {
		if r.URL.Path == path.Clean(r.URL.Path) && matches(route.Path, r.URL.Path) {
			allow = append(allow, route.Method)
		}
	}
	if len(allow) > 0 {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		err = errs.E(errs.Invalid, "httpapi.notFound", errs.Code("method_not_allowed"))
	}
	infoOf(r.Context()).err = err
	WriteProblem(w, r, err)
}

func matches(pattern, p string) bool {
	a, b := strings.Split(pattern, "/"), strings.Split(p, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && (!strings.HasPrefix(a[i], ":") || b[i] == "") {
			return false
		}
	}
	return true
}

// NewHTTPServer is the process's own http.Server, with bounds of its own: go-zero's would drop theirs as soon as
// one route has no time limit. Bodies are bounded by their progress.
func NewHTTPServer(h http.Handler, tlsConfig *tls.Config) *http.Server {
	return &http.Server{
		Handler:           h,
		TLSConfig:         tlsConfig,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          quietLog(),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			boundUnsent(c)
			return ctx
		},
	}
}

// Gone tells whether err is only that the caller went away.
func Gone(err error) bool { return errs.Is(errs.Canceled, err) || errors.Is(err, http.ErrAbortHandler) }
