// Package oauth has other sites say who somebody is.
package oauth

import "context"

// Identity is an account at another site.
type Identity struct {
	// Subject is the site's own lasting id of it, which is never given to another: not a name, not an address.
	Subject string
	// Login and Name are what the account shows there at the moment; either may be empty.
	Login, Name string
}

// Provider is a site that says who somebody is, by the authorization code flow with PKCE (RFC 7636).
//
// One site cannot pass for another as long as each has a callback of its own, and whoever comes back to it must bring a
// state that was given out for that same Provider (RFC 9700, section 4.4.2.2).
type Provider interface {
	// AuthURL is the site's page to send a browser to. The site sends it to callback, with a code and the state. nonce and
	// verifier are secrets of this one sign-in, and the verifier has 43 to 128 characters. errs.Busy as for Identity.
	AuthURL(ctx context.Context, state, nonce, verifier, callback string) (string, error)
	// Identity trades the code for who it was given to. errs.Unauthenticated, with the code provider_refused, when the
	// site does not take the code; errs.Busy, with provider_unavailable or provider_timeout, when it is out of order.
	Identity(ctx context.Context, code, nonce, verifier, callback string) (Identity, error)
}
