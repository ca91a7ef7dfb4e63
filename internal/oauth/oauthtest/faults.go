package oauthtest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Fault is a way to misbehave.
type Fault string

// None is to behave well.
const None Fault = ""

// Faults of any step.
const (
	Down        Fault = "down"         // status 503 and a page
	HTML        Fault = "html"         // status 200 and a page
	Empty       Fault = "empty"        // status 200 and nothing
	Null        Fault = "null"         // JSON's null
	List        Fault = "list"         // JSON of another shape
	Huge        Fault = "huge"         // JSON of 10 MiB
	HugeHeader  Fault = "huge_header"  // a header of 1 MiB before the right answer
	Hang        Fault = "hang"         // no answer until the caller goes away
	Drip        Fault = "drip"         // an answer that begins and does not end until the caller goes away
	Cut         Fault = "cut"          // the connection breaks
	Redirect    Fault = "redirect"     // 307 to another address, which then takes whatever comes
	RateLimited Fault = "rate_limited" // 403 as GitHub says it
	Echo        Fault = "echo"         // status 400 with all that was sent, in words and places that end up in errors
	EchoOK      Fault = "echo_ok"      // the same with status 200
	EchoLine    Fault = "echo_line"    // the same in a status line that is none
)

// Faults of the token endpoint.
const (
	Refuse  Fault = "refuse"   // the code is not taken
	NoToken Fault = "no_token" // an answer without an access token
)

// Faults of GitHub's account.
const (
	NoID     Fault = "no_id"
	ZeroID   Fault = "zero_id"
	StringID Fault = "string_id"
	FloatID  Fault = "float_id"
	NullName Fault = "null_name" // null for the name and the login, which is no failure
)

// Faults of the token endpoint of OpenID Connect: of the id token in its answer.
const (
	NoIDToken      Fault = "no_id_token"
	NotJWT         Fault = "not_jwt"
	WrongNonce     Fault = "wrong_nonce"
	NoNonce        Fault = "no_nonce"
	WrongIssuer    Fault = "wrong_issuer"
	WrongAudience  Fault = "wrong_audience"
	ExtraAudience  Fault = "extra_audience" // ours and another, without an authorized party
	ForUsOfTwo     Fault = "for_us_of_two"  // ours and another, and we are the authorized party; no failure
	OtherParty     Fault = "other_party"    // ours, but another is the authorized party
	NoIssuer       Fault = "no_issuer"
	NoAudience     Fault = "no_audience"
	NoExpiry       Fault = "no_expiry"
	Expired        Fault = "expired"         // a minute ago
	NotYet         Fault = "not_yet"         // valid in an hour
	AlgNone        Fault = "alg_none"        // not signed, and says so
	NoSignature    Fault = "no_signature"    // says RS256, and has no signature
	HS256Secret    Fault = "hs256_secret"    // signed by the client's secret
	HS256Key       Fault = "hs256_key"       // signed by the text of the public key, as if it were a secret
	OtherKey       Fault = "other_key"       // signed by another key, under the name of the right one
	Changed        Fault = "changed"         // another subject under the signature of the right one
	NoSubject      Fault = "no_subject"      // an empty one
	SpacedSubject  Fault = "spaced_subject"  // with a space at its end
	LongSubject    Fault = "long_subject"    // of 256 characters
	ForeignSubject Fault = "foreign_subject" // with characters that are not ASCII
	OddNames       Fault = "odd_names"       // a list and a number for names, which is no failure
	NewKey         Fault = "new_key"         // signed by a new key, which the site has published meanwhile; no failure
)

// Faults of what a site of OpenID Connect says of itself.
const (
	OtherIssuer  Fault = "other_issuer"
	PlainToken   Fault = "plain_token"   // a token endpoint that is reached by http on another machine
	NoTokenURL   Fault = "no_token_url"  // no token endpoint at all
	ScriptedPage Fault = "scripted_page" // a javascript: URL for people to go to
)

// general is how each fault of any step looks.
var general = map[Fault]http.HandlerFunc{
	Down: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "<html><h1>Unicorn!</h1>")
	},
	HTML: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><h1>Welcome</h1>")
	},
	Empty: func(http.ResponseWriter, *http.Request) {},
	Null:  func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, nil) },
	List:  func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, []int{1, 2, 3}) },
	Huge: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":1,"issuer":"`+strings.Repeat("x", 10<<20)+`"}`)
	},
	HugeHeader: func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Large", strings.Repeat("x", 1<<20)) },
	Hang:       func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	Drip: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	},
	Cut: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	Redirect: func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	},
	RateLimited: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-RateLimit-Remaining", "0")
		writeJSON(w, http.StatusForbidden, map[string]string{"message": "API rate limit exceeded for 203.0.113.7."})
	},
	Echo: func(w http.ResponseWriter, r *http.Request) {
		sent := sent(r)
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": sent, "error_description": sent, "message": sent})
	},
	EchoOK: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", sent(r))
		_, _ = io.WriteString(w, sent(r))
	},
	EchoLine: func(w http.ResponseWriter, r *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return // HTTP/2, which these sites do not speak
		}
		defer conn.Close()
		_, _ = buf.WriteString(strings.ReplaceAll(sent(r), "\n", " ") + "\r\n\r\n")
		_ = buf.Flush()
	},
}

// sent is all of a request that could be secret.
func sent(r *http.Request) string {
	return fmt.Sprintf("%s %s %s", r.Header.Get("Authorization"), r.URL.RawQuery, r.PostForm.Encode())
}

// particular are the faults of certain steps.
var particular = []Fault{
	Refuse, NoToken, NoID, ZeroID, StringID, FloatID, NullName,
	NoIDToken, NotJWT, WrongNonce, NoNonce, WrongIssuer, WrongAudience, ExtraAudience, ForUsOfTwo, OtherParty,
	NoIssuer, NoAudience, NoExpiry, Expired, NotYet,
	AlgNone, NoSignature, HS256Secret, HS256Key, OtherKey, Changed, NoSubject, SpacedSubject, LongSubject, ForeignSubject, OddNames, NewKey,
	OtherIssuer, PlainToken, NoTokenURL, ScriptedPage,
}

// General are the faults of any step.
func General() []Fault { return slices.Sorted(maps.Keys(general)) }

// Faults are all there are, None included.
func Faults() []Fault { return slices.Concat([]Fault{None}, General(), particular) }
