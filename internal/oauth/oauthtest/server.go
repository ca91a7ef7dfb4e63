// Package oauthtest is sites to sign in by, for Go tests and for a browser's: one like GitHub and one that speaks OpenID
// Connect. They check what a strict site checks, and misbehave when told to.
package oauthtest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Person is an account at the site. Whoever is asked to allow a sign-in types one in.
type Person struct {
	// ID lasts; Login and Name may change. An empty Name is none at all.
	ID          int64
	Login, Name string
	// Fault is what goes wrong with this sign-in alone, at the step Token or User, once it was allowed.
	Step  Step
	Fault Fault
}

// Step is one of the things that a site is asked.
type Step string

// The steps.
const (
	Authorize Step = "authorize"
	Token     Step = "token"
	User      Step = "user"      // GitHub: the account that a token is for
	Discovery Step = "discovery" // OpenID Connect: what the site says of itself
	Keys      Step = "keys"      // OpenID Connect: what id tokens are checked by
	Elsewhere Step = "elsewhere" // where the fault Redirect sends callers
)

// Server is a site. Its exported fields are set before it serves.
type Server struct {
	// ClientID and ClientSecret of the one program that signs people in by it.
	ClientID, ClientSecret string
	// Callbacks are the addresses that people may be sent back to, letter by letter; none: any on this machine.
	Callbacks []string
	// InParams has programs show their secret in the body of a request; else by HTTP's basic authentication.
	InParams bool

	paths map[string]Step
	// failed is how the token endpoint says that something is wrong, and the description repeats something secret.
	failed func(w http.ResponseWriter, word, description string)
	// granted adds to what the token endpoint gives.
	granted func(r *http.Request, g grant, answer map[string]any, f Fault)
	// steps are the other things that it is asked.
	steps map[Step]func(w http.ResponseWriter, r *http.Request, f Fault)

	newKey atomic.Bool // OpenID Connect: a second key is published

	mu     sync.Mutex
	grants map[string]grant  // by code; one that was traded is gone
	tokens map[string]Person // by access token
	faults map[Step]Fault
	calls  map[Step]int
}

// grant is what a person has allowed.
type grant struct {
	Person                     Person
	Callback, Challenge, Nonce string
	At                         time.Time
}

// codeLife is how long a code works.
const codeLife = 10 * time.Minute

func newServer(paths map[string]Step) *Server {
	paths["/elsewhere"] = Elsewhere
	return &Server{
		ClientID: "gopan-test", ClientSecret: "c4nary-client-secret",
		paths: paths, grants: map[string]grant{}, tokens: map[string]Person{}, faults: map[Step]Fault{}, calls: map[Step]int{},
	}
}

// Misbehave has a step fail from now on; the fault None has it behave well again.
func (s *Server) Misbehave(step Step, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[step] = f
}

// Calls is how often a step was asked for.
func (s *Server) Calls(step Step) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[step]
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "not a form", http.StatusBadRequest)
		return
	}
	switch {
	case r.URL.Path == "/":
		_, _ = io.WriteString(w, "A site to sign in by, for tests.\n") // for whoever waits until it is there
		return
	case r.URL.Path == "/misbehave" && r.Method == http.MethodPost:
		s.told(w, r)
		return
	}
	step, ok := s.paths[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	s.calls[step]++
	f := s.fault(step, r)
	s.mu.Unlock()
	if f == HugeHeader {
		general[f](w, r)
		f = None
	}
	switch {
	case general[f] != nil:
		general[f](w, r)
	case step == Authorize:
		s.authorize(w, r)
	case step == Token:
		s.token(w, r, f)
	case s.steps[step] != nil:
		s.steps[step](w, r, f)
	}
}

// fault is what goes wrong with a request: what was asked for by Misbehave, or by the person that it is about. s.mu is
// held.
func (s *Server) fault(step Step, r *http.Request) Fault {
	var who Person
	switch step {
	case Token:
		who = s.grants[r.PostForm.Get("code")].Person
	case User:
		who = s.tokens[accessToken(r)]
	}
	if f := s.faults[step]; f != None || who.Step != step {
		return f
	}
	return who.Fault
}

// accessToken is the token that a request shows.
func accessToken(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

// told misbehaves as another process asks it to: POST /misbehave with the fields step and fault.
func (s *Server) told(w http.ResponseWriter, r *http.Request) {
	step, f := Step(r.PostForm.Get("step")), Fault(r.PostForm.Get("fault"))
	if !slices.Contains(Faults(), f) || !slices.Contains([]Step{Authorize, Token, User, Discovery, Keys}, step) {
		http.Error(w, "no such step, or no such fault", http.StatusBadRequest)
		return
	}
	s.Misbehave(step, f)
	w.WriteHeader(http.StatusNoContent)
}

// token is the token endpoint, RFC 6749, section 4.1.3, and RFC 7636, section 4.6.
func (s *Server) token(w http.ResponseWriter, r *http.Request, f Fault) {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if !s.InParams {
		user, password, _ := r.BasicAuth()
		id, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	if id != s.ClientID || secret != s.ClientSecret {
		s.failed(w, "invalid_client", sent(r))
		return
	}
	if r.Method != http.MethodPost || r.PostForm.Get("grant_type") != "authorization_code" {
		s.failed(w, "unsupported_grant_type", sent(r))
		return
	}
	code := r.PostForm.Get("code")
	s.mu.Lock()
	g, ok := s.grants[code]
	delete(s.grants, code) // whoever tries it with anything wrong has spent it, too
	s.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	switch {
	case !ok || time.Since(g.At) > codeLife || f == Refuse:
		s.failed(w, "invalid_grant", sent(r))
	case r.PostForm.Get("redirect_uri") != g.Callback:
		s.failed(w, "redirect_uri_mismatch", sent(r))
	case subtle.ConstantTimeCompare([]byte(challenge), []byte(g.Challenge)) != 1:
		s.failed(w, "invalid_grant", sent(r))
	default:
		access := "c4nary-access-" + rand.Text()
		s.mu.Lock()
		s.tokens[access] = g.Person
		s.mu.Unlock()
		answer := map[string]any{"access_token": access, "token_type": "bearer", "scope": ""}
		if f == NoToken {
			delete(answer, "access_token")
		}
		if s.granted != nil {
			s.granted(r, g, answer, f)
		}
		writeJSON(w, http.StatusOK, answer)
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller may have gone
}
