package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// gopan is the drive under test, and an account that is signed in.
type gopan struct {
	*proc
	data            string
	setup           setup
	access, refresh string
	signedIn        time.Time
}

// setup is what a drive is started with beyond its defaults.
type setup struct {
	// config is a file of settings; "": none.
	config string
	env    []string
	// bucket: the settings send content to one.
	bucket bool
}

const password = "bench-and-nothing-else"

// startGopan starts the drive on a data folder of the run.
func (b *bench) startGopan(data string, with setup) (*gopan, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(b.gopan, "serve", "--data", data, "--listen", addr, "--config", with.config)
	cmd.Env = append(append(os.Environ(), "GOPAN_ADMIN_PASSWORD="+password), with.env...)
	p, err := startProc(b.ctx, b.dir, "gopan", addr, "/readyz", cmd)
	if err != nil {
		return nil, err
	}
	return &gopan{proc: p, data: data, setup: with}, nil
}

// freshGopan starts the drive on a new data folder, and gives a phase a process that has not hashed a password: that
// takes memory which would hide what the phase needs. done stops it and removes its data.
func (b *bench) freshGopan(name string, with setup) (g *gopan, done func() error, err error) {
	data := filepath.Join(b.dir, name)
	first, err := b.startGopan(data, with)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(first.signIn(b.ctx), first.stop()); err != nil {
		return nil, nil, errors.Join(err, first.kill())
	}
	if g, err = b.startGopan(data, with); err != nil {
		return nil, nil, err
	}
	g.access, g.refresh, g.signedIn = first.access, first.refresh, first.signedIn
	return g, func() error { return errors.Join(g.stop(), os.RemoveAll(data)) }, nil
}

// restart gives the phase a new process on the same data, so that it does not pay for what filled them.
func (b *bench) restart(g *gopan) error {
	if err := g.stop(); err != nil {
		return err
	}
	again, err := b.startGopan(g.data, g.setup)
	if err != nil {
		return err
	}
	g.proc = again.proc
	return g.forgetPeak()
}

func (g *gopan) signIn(ctx context.Context) error {
	return g.tokens(ctx, "/api/v1/auth/login", fmt.Sprintf(`{"login":"admin","password":%q}`, password))
}

// token is an access token that is good for the next few minutes.
func (g *gopan) token(ctx context.Context) (string, error) {
	if time.Since(g.signedIn) > 5*time.Minute {
		if err := g.tokens(ctx, "/api/v1/auth/refresh", fmt.Sprintf(`{"refreshToken":%q}`, g.refresh)); err != nil {
			return "", err
		}
	}
	return g.access, nil
}

func (g *gopan) tokens(ctx context.Context, path, body string) error {
	c, err := dial(ctx, g.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.roundTrip(request(nil, "POST", path, "", []byte(body), "Content-Type: application/json"), false)
	if err != nil {
		return err
	}
	g.access, g.refresh, g.signedIn = field(c.body, "accessToken"), field(c.body, "refreshToken"), time.Now()
	if status != 200 || g.access == "" {
		return fmt.Errorf("POST %s: status %d %s", path, status, c.body)
	}
	return nil
}

// Targets of the drive's routes.
func uploadOf(path string) string {
	return "/api/v1/uploads/content?parents=true&path=" + url.QueryEscape(path)
}
func contentOf(path string) string { return "/api/v1/content?path=" + url.QueryEscape(path) }
func statOf(path string) string    { return "/api/v1/stat?path=" + url.QueryEscape(path) }

// fillers are how many connections fill a folder. They are more than the phases have, for commits that come together
// are written together.
const fillers = 4 * connections

// fill puts n small files into a folder, of size bytes each, and gives the ids of all but the first.
func (g *gopan) fill(ctx context.Context, folder string, n, size int) ([]string, error) {
	token, err := g.token(ctx)
	if err != nil {
		return nil, err
	}
	// The folder first, by one request alone.
	if _, err := g.putAll(ctx, token, folder, 0, 1, size, 1); err != nil {
		return nil, err
	}
	return g.putAll(ctx, token, folder, 1, n-1, size, fillers)
}

func (g *gopan) putAll(ctx context.Context, token, folder string, from, n, size, conns int) ([]string, error) {
	ids := make([]string, n)
	_, err := job{addr: g.addr, conns: conns, n: n,
		make: func(b []byte, i int) []byte {
			return request(b, "PUT", uploadOf(fmt.Sprintf("%s/f%06d", folder, from+i)), token, content(size, 0, from+i))
		},
		check: func(i int, body []byte) error {
			if ids[i] = field(body, "id"); ids[i] == "" {
				return fmt.Errorf("no id in %s", body)
			}
			return nil
		},
	}.run(ctx)
	return ids, err
}

// content is size bytes that no other file of the run has, if there is room for that.
func content(size, round, i int) []byte {
	data := make([]byte, size)
	copy(data, fmt.Sprintf("%d/%d", round, i))
	return data
}
