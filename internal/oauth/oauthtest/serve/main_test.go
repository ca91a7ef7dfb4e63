package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/oauth/oauthtest"
)

// Whoever starts it reads where the sites are, and has them misbehave.
func TestServe(t *testing.T) {
	for _, bad := range []string{"0.0.0.0:0", "localhost:0", "192.0.2.1:80", ":0", "x"} {
		if err := run(t.Context(), io.Discard, []site{{name: "x", address: bad, Server: oauthtest.NewGitHub()}}); err == nil {
			t.Errorf("listened at %s", bad)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	read, write := io.Pipe()
	ended := make(chan error)
	go func() {
		ended <- run(ctx, write, []site{
			{name: "github", address: "127.0.0.1:0", Server: oauthtest.NewGitHub()},
			{name: "oidc", address: "127.0.0.1:0", Server: oauthtest.NewOIDC()},
		})
	}()
	where := map[string]string{}
	for lines := bufio.NewScanner(read); lines.Scan() && lines.Text() != "ready"; {
		name, address, _ := strings.Cut(lines.Text(), " ")
		where[name] = address
	}
	if got := get(t, where["github"]); got != http.StatusOK {
		t.Errorf("github: %d", got)
	}
	for _, c := range []struct {
		step, fault string
		told, then  int
	}{
		{"", "", http.StatusBadRequest, http.StatusOK},
		{"discovery", "down", http.StatusNoContent, http.StatusServiceUnavailable},
		{"discovery", "unheard of", http.StatusBadRequest, http.StatusServiceUnavailable},
		{"discovery", "", http.StatusNoContent, http.StatusOK},
	} {
		resp, err := http.PostForm(where["oidc"]+"/misbehave", url.Values{"step": {c.step}, "fault": {c.fault}})
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if then := get(t, where["oidc"]+"/.well-known/openid-configuration"); resp.StatusCode != c.told || then != c.then {
			t.Errorf("%+v: %d, then %d", c, resp.StatusCode, then)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// get gives the status that an address answers with.
func get(t *testing.T, address string) int {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
