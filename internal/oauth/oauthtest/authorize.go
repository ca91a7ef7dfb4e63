package oauthtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// page asks a person who they are and whether they allow it. Its form comes back to the same address, query and all.
var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in by the test site</title>
<h1>Sign in by the test site</h1>
<form method="post">
<p><label>Number <input name="id" value="1" inputmode="numeric"></label></p>
<p><label>Login <input name="login" value="octocat"></label></p>
<p><label>Name <input name="name" value="The Octocat"></label></p>
<p><label>Fault <select name="fault">{{range .Faults}}<option>{{.}}</option>{{end}}</select></label>
<label>at <select name="step"><option>token</option><option>user</option></select></label></p>
<p><button name="answer" value="allow">Allow {{.ClientID}}</button> <button name="answer" value="deny">Deny</button></p>
</form>
`))

// authorize is the page that people are sent to, RFC 6749, section 4.1.1. What is wrong with the program that sent them
// is said to them and not to it.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	callback := q.Get("redirect_uri")
	for what, ok := range map[string]bool{
		"client_id":             q.Get("client_id") == s.ClientID,
		"redirect_uri":          s.callback(callback),
		"response_type":         q.Get("response_type") == "code",
		"state":                 q.Get("state") != "",
		"code_challenge":        len(q.Get("code_challenge")) == 43,
		"code_challenge_method": q.Get("code_challenge_method") == "S256",
		"nonce":                 q.Get("nonce") != "" || !slices.Contains(strings.Fields(q.Get("scope")), "openid"),
	} {
		if !ok {
			http.Error(w, what+" is wrong", http.StatusBadRequest)
			return
		}
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		// The browser may have gone.
		_ = page.Execute(w, struct {
			ClientID string
			Faults   []Fault
		}{s.ClientID, Faults()})
		return
	}
	back := url.Values{"state": {q.Get("state")}}
	id, err := strconv.ParseInt(r.PostForm.Get("id"), 10, 64)
	step, fault := Step(r.PostForm.Get("step")), Fault(r.PostForm.Get("fault"))
	switch {
	case r.PostForm.Get("answer") != "allow":
		back.Set("error", "access_denied")
		back.Set("error_description", "The user has denied your application access.")
	case err != nil || id < 1:
		http.Error(w, "id is wrong", http.StatusBadRequest)
		return
	case !slices.Contains(Faults(), fault) || fault != None && step != Token && step != User:
		http.Error(w, "no such fault, or not at that step", http.StatusBadRequest)
		return
	default:
		code := "c4nary-code-" + rand.Text()
		back.Set("code", code)
		s.mu.Lock()
		s.grants[code] = grant{
			Person:   Person{ID: id, Login: r.PostForm.Get("login"), Name: r.PostForm.Get("name"), Step: step, Fault: fault},
			Callback: callback, Challenge: q.Get("code_challenge"), Nonce: q.Get("nonce"), At: time.Now(),
		}
		s.mu.Unlock()
	}
	http.Redirect(w, r, callback+"?"+back.Encode(), http.StatusFound)
}

// callback tells whether people may be sent back there.
func (s *Server) callback(address string) bool {
	if len(s.Callbacks) > 0 {
		return slices.Contains(s.Callbacks, address)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Allow does what a person does who is sent to the site's page and allows the sign-in. It gives what the site sends back.
func (p Person) Allow(ctx context.Context, page string) (url.Values, error) {
	return p.answer(ctx, page, "allow")
}

// Deny does what a person does who does not want it.
func (p Person) Deny(ctx context.Context, page string) (url.Values, error) {
	return p.answer(ctx, page, "deny")
}

func (p Person) answer(ctx context.Context, page, answer string) (url.Values, error) {
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := url.Values{
		"id": {strconv.FormatInt(p.ID, 10)}, "login": {p.Login}, "name": {p.Name}, "answer": {answer},
		"step": {string(p.Step)}, "fault": {string(p.Fault)},
	}
	for _, step := range []struct {
		method, body string
		want         int
	}{{http.MethodGet, "", http.StatusOK}, {http.MethodPost, form.Encode(), http.StatusFound}} {
		r, err := http.NewRequestWithContext(ctx, step.method, page, strings.NewReader(step.body))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := browser.Do(r)
		if err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != step.want {
			return nil, fmt.Errorf("%s of the page: %s", step.method, resp.Status)
		}
		if to, err := resp.Location(); err == nil {
			return to.Query(), nil
		}
	}
	return nil, fmt.Errorf("the site sends nobody back")
}
