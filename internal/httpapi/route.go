// Package httpapi turns the roles' methods into HTTP: routes with an access rule each, strict decoding,
// RFC 9457 errors in the reader's language, one access log, and the process's own http.Server.
package httpapi

import (
	"context"
	"net/http"
)

// Access says who may call a route. The zero value is no rule, and a route without one is refused at start.
type Access int

const (
	// Public routes are for anybody.
	Public Access = iota + 1
	// Account routes are about the account itself: the person must have signed in; no access key opens them
	// (promise S15).
	Account
	// User routes want an account, by a sign-in or by an access key. A key that is read-only opens GET and HEAD.
	User
	// Read routes are as User ones, and change nothing whatever their method.
	Read
	// Upload routes want a signed-in account, or the token of the upload that they are about, which the upload role
	// judges (auth.UploadToken).
	Upload
	// Admin routes want a signed-in account whose role is admin.
	Admin
)

// Spec is what a role's .api file says of a route.
type Spec struct {
	Method string
	// Path in go-zero's syntax: a segment ":id" is a variable.
	Path   string
	Access Access
	// Status of a success that carries a body or, without one, 204.
	Status int
}

// Route is one method of one role, ready to serve.
type Route struct {
	Spec
	// Raw routes write their own answer and are served by net/http alone: no buffering, no time limit
	// but progress, so that they can carry bytes of any size.
	Raw bool

	handler func(w http.ResponseWriter, r *http.Request) error
}

// InOut serves a method that takes a request and gives an answer.
func InOut[Req, Resp any](s Spec, fn func(context.Context, *Req) (*Resp, error)) Route {
	return Route{Spec: s, handler: func(w http.ResponseWriter, r *http.Request) error {
		req := new(Req)
		if err := Parse(r, req); err != nil {
			return err
		}
		resp, err := fn(r.Context(), req)
		if err != nil {
			return err
		}
		return WriteJSON(w, s.Status, resp)
	}}
}

// In serves a method that takes a request and gives nothing but success.
func In[Req any](s Spec, fn func(context.Context, *Req) error) Route {
	return Route{Spec: s, handler: func(w http.ResponseWriter, r *http.Request) error {
		req := new(Req)
		if err := Parse(r, req); err != nil {
			return err
		}
		if err := fn(r.Context(), req); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}}
}

// Out serves a method that gives an answer and takes nothing.
func Out[Resp any](s Spec, fn func(context.Context) (*Resp, error)) Route {
	return InOut(s, func(ctx context.Context, _ *struct{}) (*Resp, error) { return fn(ctx) })
}

// Bare serves a method that takes nothing and gives nothing but success.
func Bare(s Spec, fn func(context.Context) error) Route {
	return In(s, func(ctx context.Context, _ *struct{}) error { return fn(ctx) })
}

// Raw serves a method that reads the request and writes the answer itself. An error that it returns before
// it wrote is answered as a problem; after that the connection is cut, so that no broken body looks whole.
func Raw(s Spec, fn func(w http.ResponseWriter, r *http.Request) error) Route {
	return Route{Spec: s, Raw: true, handler: fn}
}
