package oauthtest

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/oauth"
)

// Callback is where the suite has people come back to.
const Callback = "http://127.0.0.1:8080/api/v1/auth/providers/site/callback"

const (
	state = "state-1"
	// nonce, like whatever else errors must not hold here, has the word in it.
	nonce = canary + "-nonce"
	// canary is the word.
	canary = "c4nary"
	// patient is the timeout of what should succeed, hasty that of what should not, for lack of time.
	patient, hasty = time.Minute, 300 * time.Millisecond
)

// Suite is the whole of what every kind of oauth.Provider has to do.
type Suite struct {
	// Site makes a site of the kind.
	Site func() *Server
	// Open makes a Provider for a site that serves at an address.
	Open func(base string, s *Server, timeout time.Duration) (oauth.Provider, error)
	// Subject is what the Provider makes of a person's number.
	Subject func(base string, id int64) string
	// Steps are what an Identity asks of a site.
	Steps []Step
	// Faults of these steps that are the kind's own, and what comes of each; an empty code: nothing does.
	Faults map[Step]map[Fault]errs.Code
}

// Stage is a site that serves, and what is needed to sign in by it.
type Stage struct {
	*Server
	Base string
	open func(base string, s *Server, timeout time.Duration) (oauth.Provider, error)
}

// Start has a site serve until the test ends.
func (k Suite) Start(t *testing.T) *Stage {
	t.Helper()
	s := k.Site()
	s.Callbacks = []string{Callback}
	ts := httptest.NewServer(s)
	t.Cleanup(ts.Close)
	return &Stage{Server: s, Base: ts.URL, open: k.Open}
}

// Open makes a new Provider, which knows nothing of the site yet.
func (s *Stage) Open(t *testing.T, timeout time.Duration) oauth.Provider {
	t.Helper()
	p, err := s.open(s.Base, s.Server, timeout)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Patient is a Provider that only a site that hangs for good can tire.
func (s *Stage) Patient(t *testing.T) oauth.Provider {
	t.Helper()
	return s.Open(t, patient)
}

// Verifier makes one with the word in it that errors must not hold.
func Verifier() string { return canary + oauth2.GenerateVerifier() }

// Allow has a person sign in at the site up to their coming back, and gives the code that they bring.
func Allow(t *testing.T, p oauth.Provider, who Person, verifier string) string {
	t.Helper()
	page, err := p.AuthURL(t.Context(), state, nonce, verifier, Callback)
	if err != nil {
		t.Fatal(err)
	}
	back, err := who.Allow(t.Context(), page)
	if err != nil {
		t.Fatal(err)
	}
	if back.Get("state") != state {
		t.Fatalf("came back with the state %q", back.Get("state"))
	}
	return back.Get("code")
}

// Ask trades a code for who it was given to, as whoever began with Allow, and sees that an error gives nothing away.
func Ask(ctx context.Context, t *testing.T, p oauth.Provider, code, verifier string) (oauth.Identity, error) {
	t.Helper()
	got, err := p.Identity(ctx, code, nonce, verifier, Callback)
	Quiet(t, err)
	if err != nil && got != (oauth.Identity{}) {
		t.Errorf("an identity besides an error: %+v, %v", got, err)
	}
	return got, err
}

// SignIn is the whole of a sign-in.
func SignIn(t *testing.T, p oauth.Provider, who Person) (oauth.Identity, error) {
	t.Helper()
	v := Verifier()
	return Ask(t.Context(), t, p, Allow(t, p, who, v), v)
}

// Quiet sees that an error gives nothing away (S17). Whatever is secret here has the word in it.
func Quiet(t *testing.T, err error) {
	t.Helper()
	if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, canary) || strings.Contains(text, "Bearer") {
		t.Errorf("gives away a secret: %s", text)
	}
}

// Run tests a kind of Provider.
func (k Suite) Run(t *testing.T) {
	t.Run("Identity", k.identity)
	t.Run("Page", k.page)
	t.Run("Codes", k.codes)
	t.Run("OneCode", k.oneCode)
	t.Run("Crowd", k.crowd)
	t.Run("Faults", k.faults)
	t.Run("Hang", k.hang)
	t.Run("Away", k.away)
}

// ann is who signs in where it does not matter who does.
var ann = Person{ID: 583231, Login: "ann", Name: "Ann Lee"}

// S14: who somebody is depends on the site's number for them and on no name. G19: numbers above 2^53 stay as they are.
func (k Suite) identity(t *testing.T) {
	s := k.Start(t)
	p := s.Patient(t)
	for _, who := range []Person{
		ann,
		{ID: ann.ID, Login: "ann-lee", Name: "安"}, // she takes another name,
		{ID: 7, Login: "ann", Name: "Ann Lee"},    // and somebody else takes hers
		{ID: 1<<53 + 1, Login: "late"},
		{ID: 1<<63 - 1},
	} {
		want := oauth.Identity{Subject: k.Subject(s.Base, who.ID), Login: who.Login, Name: who.Name}
		if got, err := SignIn(t, p, who); got != want || err != nil {
			t.Errorf("%+v: %+v, %v; want %+v", who, got, err, want)
		}
	}
}

// What a browser gets to see has no secret in it but what the site must bring back.
func (k Suite) page(t *testing.T) {
	s := k.Start(t)
	p, v := s.Patient(t), Verifier()
	page, err := p.AuthURL(t.Context(), state, "nonce-1", v, Callback)
	if err != nil || strings.Contains(page, canary) || !strings.Contains(page, "code_challenge_method=S256") {
		t.Errorf("%s, %v", page, err)
	}
	for _, short := range []string{"", "x", strings.Repeat("x", 42), strings.Repeat("x", 129)} {
		if _, err := p.AuthURL(t.Context(), state, "nonce-1", short, Callback); !errs.Is(errs.Internal, err) {
			t.Errorf("sent somebody away without PKCE: %v", err)
		}
	}
	back, err := ann.Deny(t.Context(), page)
	if err != nil || back.Get("error") != "access_denied" || back.Has("code") || back.Get("state") != state {
		t.Errorf("%v, %v", back, err)
	}
}

// S14: a code is good for whoever began, and from where they began.
func (k Suite) codes(t *testing.T) {
	s := k.Start(t)
	p, v := s.Patient(t), Verifier()
	mine := func() string { return Allow(t, p, ann, v) }
	// A site of the same kind which is somebody else's: what one gave out is worth nothing at the other.
	other := k.Start(t)
	strangers := Allow(t, other.Patient(t), ann, v)
	secret := s.ClientSecret
	s.ClientSecret = canary + "-other-secret" // what the next Provider shows
	stranger := s.Open(t, patient)
	s.ClientSecret = secret
	for name, c := range map[string]struct {
		code, verifier, callback string
		p                        oauth.Provider
		want                     errs.Kind
	}{
		"another's verifier":  {mine(), Verifier(), Callback, p, errs.Unauthenticated},
		"made up":             {canary + "-code-X", v, Callback, p, errs.Unauthenticated},
		"another site's":      {strangers, v, Callback, p, errs.Unauthenticated},
		"with more behind it": {mine() + "&redirect_uri=x", v, Callback, p, errs.Unauthenticated}, // G17
		"empty":               {"", v, Callback, p, errs.Unauthenticated},
		"large":               {strings.Repeat(canary, 1000), v, Callback, p, errs.Unauthenticated},
		"no verifier":         {mine(), "", Callback, p, errs.Internal},
		"a short verifier":    {mine(), "x", Callback, p, errs.Internal},
		"another secret":      {mine(), v, Callback, stranger, errs.Busy},
	} {
		_, err := c.p.Identity(t.Context(), c.code, nonce, c.verifier, c.callback)
		if !errs.Is(c.want, err) || c.want == errs.Unauthenticated && errs.CodeOf(err) != "provider_refused" {
			t.Errorf("%s: %v", name, err)
		}
		Quiet(t, err)
	}
	if _, err := p.Identity(t.Context(), mine(), nonce, v, Callback+"/x"); err == nil {
		t.Error("came in by another callback than they had left by")
	}
}

// A code is good once, also for many who show it at the same moment.
func (k Suite) oneCode(t *testing.T) {
	p, v := k.Start(t).Patient(t), Verifier()
	code := Allow(t, p, ann, v)
	var in atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			switch _, err := Ask(t.Context(), t, p, code, v); {
			case err == nil:
				in.Add(1)
			case errs.CodeOf(err) != "provider_refused" || !errs.Is(errs.Unauthenticated, err):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 {
		t.Errorf("%d came in by one code", in.Load())
	}
}

// G15: of many who sign in at the same moment, to a Provider that knows nothing of the site yet, each is who they are.
func (k Suite) crowd(t *testing.T) {
	s := k.Start(t)
	p := s.Patient(t)
	var wg sync.WaitGroup
	for i := range int64(50) {
		wg.Go(func() {
			v := Verifier()
			who := Person{ID: i + 1, Login: fmt.Sprint("user", i)}
			page, err := p.AuthURL(t.Context(), state, nonce, v, Callback)
			if err != nil {
				t.Error(err)
				return
			}
			back, err := who.Allow(t.Context(), page)
			if err != nil {
				t.Error(err)
				return
			}
			got, err := Ask(t.Context(), t, p, back.Get("code"), v)
			if err != nil || got.Subject != k.Subject(s.Base, who.ID) || got.Login != who.Login {
				t.Errorf("%+v: %+v, %v", who, got, err)
			}
		})
	}
	wg.Wait()
	if n := s.Calls(Discovery); n > 1 {
		t.Errorf("asked %d times what the site is", n)
	}
}

// F47, G18, S17: whatever the site does at whatever step, it is said in time that it is out of order, and nothing else
// is said.
func (k Suite) faults(t *testing.T) {
	s := k.Start(t)
	well := s.Patient(t)
	for _, step := range k.Steps {
		rows := map[Fault]errs.Code{}
		for _, f := range General() {
			rows[f] = "provider_unavailable"
		}
		rows[Hang], rows[Drip] = "provider_timeout", "provider_timeout"
		for f, want := range k.Faults[step] {
			rows[f] = want
		}
		for f, want := range rows {
			t.Run(string(step)+" "+string(f), func(t *testing.T) {
				v, timeout := Verifier(), patient
				if want == "provider_timeout" {
					timeout = hasty
				}
				code := Allow(t, well, ann, v)
				p := s.Open(t, timeout)
				s.Misbehave(step, f)
				defer s.Misbehave(step, None)
				before, began := s.Calls(Token), time.Now()
				_, err := Ask(t.Context(), t, p, code, v)
				if want == "" && err != nil || want != "" && (err == nil || errs.CodeOf(err) != want) {
					t.Errorf("%v; want %q", err, want)
				}
				if err != nil && errs.Is(errs.Busy, err) != (want != "provider_refused") {
					t.Errorf("the kind is %v", errs.KindOf(err))
				}
				if took := time.Since(began); timeout == hasty && took > 5*time.Second {
					t.Errorf("took %v", took)
				}
				if n := s.Calls(Token) - before; n > 1 {
					t.Errorf("showed the code %d times", n)
				}
			})
		}
	}
	if n := s.Calls(Elsewhere); n != 0 {
		t.Errorf("%d redirects were followed, with what was secret", n)
	}
	if _, err := SignIn(t, well, ann); err != nil {
		t.Errorf("it is well again: %v", err)
	}
}

// G20: what hangs lets go of all that it held, whether time is up or the caller has gone.
func (k Suite) hang(t *testing.T) {
	s := k.Start(t)
	well := s.Patient(t)
	v := Verifier()
	var codes []string
	for range 20 {
		codes = append(codes, Allow(t, well, ann, v))
	}
	impatient := s.Open(t, hasty)
	until(t, func() bool { _, err := SignIn(t, impatient, ann); return err == nil }) // it knows the site now
	before := runtime.NumGoroutine()
	s.Misbehave(Token, Hang)
	var wg sync.WaitGroup
	for _, code := range codes[:10] {
		wg.Go(func() {
			if _, err := Ask(t.Context(), t, impatient, code, v); errs.CodeOf(err) != "provider_timeout" {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := s.Calls(Token)
	for _, code := range codes[10:] {
		wg.Go(func() {
			if _, err := Ask(ctx, t, well, code, v); !errs.Is(errs.Canceled, err) {
				t.Errorf("whoever asked has gone: %v", err)
			}
		})
	}
	until(t, func() bool { return s.Calls(Token) >= calls+10 })
	cancel()
	wg.Wait()
	until(t, func() bool { return runtime.NumGoroutine() <= before+5 })
}

// until waits for a condition.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("waited for nothing")
		}
	}
}

// A4: a site that is not there at all harms nobody who does not ask for it.
func (k Suite) away(t *testing.T) {
	ts := httptest.NewServer(nil)
	gone := &Stage{Server: k.Site(), Base: ts.URL, open: k.Open}
	ts.Close()
	_, err := Ask(t.Context(), t, gone.Patient(t), canary+"-code", Verifier())
	if errs.CodeOf(err) != "provider_unavailable" || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
	// Somebody else is there in its place.
	tls := httptest.NewUnstartedServer(gone.Server)
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // it says what this test is about
	tls.StartTLS()
	defer tls.Close()
	gone.Base = tls.URL
	_, err = Ask(t.Context(), t, gone.Patient(t), canary+"-code", Verifier())
	if errs.CodeOf(err) != "provider_unavailable" || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("%v", err)
	}
	for _, step := range k.Steps {
		if gone.Calls(step) != 0 {
			t.Errorf("%s: told to a stranger", step)
		}
	}
}
