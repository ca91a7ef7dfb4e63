package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/livil/gopan/internal/drivetest"
)

// C1, C2, C5, C6, D8: many clients at once, of which each has files of its own, and which all write the same paths. Whatever
// they are told can be explained by an order in which it happened.
func TestLinearizable(t *testing.T) {
	d := newDrive(t)
	crowd := drivetest.New(drivetest.Options{URL: d.URL(), Password: adminPassword, Seed: 1, Clients: 12})
	crowd.WorkFor(t.Context(), 900)
	r := crowd.Finish(t.Context())
	t.Log(r)
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if r.Unknown+r.Again+r.Undecided > 0 {
		t.Error("nothing was broken, and yet something has no answer")
	}
	for _, kind := range []string{"put", "move", "restore", "batch", "session", "shared put", "shared put if-match", "shared get", "shared delete"} {
		if r.Operations[kind] == 0 {
			t.Errorf("no %s was acknowledged", kind)
		}
	}
}

// The judge notices when what it judges does not keep its word: somebody on the way says that it stored a file, and does not;
// or that a file is not there.
func TestLiesAreNoticed(t *testing.T) {
	d := newDrive(t)
	to, err := url.Parse(d.URL())
	if err != nil {
		t.Fatal(err)
	}
	for path, lie := range map[string]http.HandlerFunc{
		"/api/v1/uploads/content": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id":"1","path":"/x","etag":"\"1\"","version":1}`)
		},
		"/api/v1/content": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
		},
	} {
		t.Run(path, func(t *testing.T) {
			var n atomic.Int64
			forward := httputil.NewSingleHostReverseProxy(to)
			gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == path && n.Add(1)%4 == 0 {
					lie(w, r)
				} else {
					forward.ServeHTTP(w, r)
				}
			}))
			defer gateway.Close()
			crowd := drivetest.New(drivetest.Options{URL: gateway.URL, Password: adminPassword, Seed: 2, Clients: 4})
			crowd.WorkFor(t.Context(), 300)
			if r := crowd.Finish(t.Context()); r.Err() == nil || r.Lost == 0 || r.Impossible == 0 {
				t.Errorf("it was believed: %v", r)
			}
		})
	}
}
