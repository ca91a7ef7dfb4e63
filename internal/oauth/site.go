package oauth

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/livil/gopan/internal/errs"
)

const (
	// DefaultTimeout bounds all that one question to a site takes, however many calls that is.
	DefaultTimeout = 10 * time.Second
	// maxAnswer bounds how much of an answer is read, in bytes.
	maxAnswer = 1 << 20
	// maxHeader bounds the header of an answer, in bytes.
	maxHeader = 64 << 10
)

// Site speaks to another site, for the kinds of Provider: within a time, reading no more than an answer can be, and
// following no redirect, so that what is secret goes to the address that it is meant for and to no other.
//
// Its errors, like those of every Provider, hold nothing that was sent or that came back: a site in disorder may
// answer with our own secret.
type Site struct {
	timeout time.Duration
	client  *http.Client
}

// NewSite makes a Site; a timeout of 0 is DefaultTimeout.
func NewSite(timeout time.Duration) *Site {
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxResponseHeaderBytes, t.IdleConnTimeout = maxHeader, 30*time.Second
	return &Site{timeout: timeout, client: &http.Client{
		Transport: bounded{t},
		// For go-oidc, which fetches keys under no context of ours. The context of a question ends first, and tells why.
		Timeout:       timeout + time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// bounded reads no more than maxAnswer of an answer, and asks for JSON where nobody asked for anything else.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", "gopan")
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "application/json") // GitHub answers in a form's encoding else
	}
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// Begin gives the context of one question to the site: with its bound of time, and with its client, for the packages
// oauth2 and go-oidc.
func (s *Site) Begin(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, s.client), s.timeout)
}

// Do makes a call, and gives the answer's body if its status is 200.
func (s *Site) Do(op errs.Op, r *http.Request) ([]byte, error) {
	resp, err := s.client.Do(r) //nolint:gosec // G704: which sites there are is for whoever runs the drive to say
	if err != nil {
		return nil, Failed(r.Context(), op, "cannot be reached", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, Failed(r.Context(), op, "answers with status "+statusText(resp.StatusCode), nil)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, Failed(r.Context(), op, "does not finish its answer", err)
	}
	return body, nil
}

// AuthURL is the page of conf's site, with a challenge that only the verifier meets.
func AuthURL(op errs.Op, conf *oauth2.Config, state, verifier string, more ...oauth2.AuthCodeOption) (string, error) {
	if err := checkVerifier(op, verifier); err != nil {
		return "", err
	}
	return conf.AuthCodeURL(state, append(more, oauth2.S256ChallengeOption(verifier))...), nil
}

// checkVerifier sees that PKCE protects something: RFC 7636, section 4.1, wants 43 to 128 characters.
func checkVerifier(op errs.Op, verifier string) error {
	if len(verifier) < 43 || len(verifier) > 128 {
		return errs.E(errs.Internal, op, errors.New("the verifier of PKCE does not have 43 to 128 characters"))
	}
	return nil
}

// refusals are the words of sites for a code that is wrong, used, old or another's, and for a person who may not or will
// not: RFC 6749, sections 4.1.2.1 and 5.2, and
// https://docs.github.com/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors
var refusals = map[string]bool{"invalid_grant": true, "access_denied": true, "bad_verification_code": true, "unverified_user_email": true}

// Exchange trades a code for a token, once: a code that may have been used is not sent again. conf's AuthStyle must be
// set, for to find out by trial takes two calls. ctx is of Begin.
func Exchange(ctx context.Context, op errs.Op, conf *oauth2.Config, code, verifier string) (*oauth2.Token, error) {
	if err := checkVerifier(op, verifier); err != nil {
		return nil, err
	}
	token, err := conf.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	var answered *oauth2.RetrieveError
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &answered) && refusals[answered.ErrorCode]:
		return nil, errs.E(errs.Unauthenticated, op, errs.Code("provider_refused"), errors.New("the site says "+answered.ErrorCode))
	case errors.As(err, &answered):
		return nil, Failed(ctx, op, "gives no token: status "+statusText(answered.Response.StatusCode)+knownError(answered.ErrorCode), nil)
	}
	return nil, Failed(ctx, op, "gives no token", err)
}

// knownError is a site's word for what is wrong with a request, for whoever set it up; words that are nobody's are left out.
func knownError(word string) string {
	switch word {
	case "invalid_client", "incorrect_client_credentials", "unauthorized_client", "redirect_uri_mismatch", "invalid_request",
		"unsupported_grant_type", "invalid_scope", "server_error", "temporarily_unavailable", "application_suspended":
		return ", " + word
	}
	return ""
}

// statusText is a status without the words that the site chose for it.
func statusText(code int) string {
	if text := http.StatusText(code); text != "" {
		return strings.ToLower(text)
	}
	return "unknown"
}

// Failed is the error for a site that is out of order: errs.Busy, with the code provider_timeout if it did not answer in
// time and provider_unavailable else; errs.Canceled if it was the caller who went away. Of the cause only what is known
// to hold no words of the site is kept.
func Failed(ctx context.Context, op errs.Op, why string, cause error) error {
	var timeout net.Error
	if errors.Is(ctx.Err(), context.Canceled) {
		return errs.Wrap(op, context.Canceled)
	}
	if ctx.Err() != nil || errors.As(cause, &timeout) && timeout.Timeout() {
		return errs.E(errs.Busy, op, errs.Code("provider_timeout"), errors.New("the site does not answer in time"))
	}
	text := "the site " + why
	var (
		network *net.OpError
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
	)
	switch {
	case errors.As(cause, &dns):
		text += ": " + dns.Error()
	case errors.As(cause, &network):
		text += ": " + network.Error()
	case errors.As(cause, &cert):
		text += ": its certificate is not trusted"
	}
	return errs.E(errs.Busy, op, errs.Code("provider_unavailable"), errors.New(text))
}

// ParseURL reads the address of a site or one of its endpoints. What would send secrets over a network in the clear is
// no address: http is for this machine alone.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("not an https URL")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, errors.New("http would show secrets to everybody on the way: use https")
	}
	return u, nil
}

// CheckClient sees that a provider is set up with what a site knows us by.
func CheckClient(op errs.Op, id, secret string) error {
	switch {
	case id == "":
		return errs.E(errs.Invalid, op, errs.Field("clientId"), errors.New("no client id"))
	case secret == "":
		return errs.E(errs.Invalid, op, errs.Field("clientSecret"), errors.New("no client secret"))
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
