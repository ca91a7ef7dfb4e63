// Command serve runs the sites of oauthtest on this machine, for a test in a browser:
//
//	go run ./internal/oauth/oauthtest/serve -github 127.0.0.1:9201 -oidc 127.0.0.1:9202
//
// It prints a line with the name and the URL of each, and then ready; port 0 is any that is free. It ends with SIGINT or
// SIGTERM. The client secret is that of oauthtest, or what OAUTHTEST_SECRET says.
//
// A site's page asks who comes, and what is to go wrong with this one sign-in. POST /misbehave with the fields step and
// fault has the site fail for everybody, until fault is empty; both are named in oauthtest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/livil/gopan/internal/oauth/oauthtest"
)

// site is one of those to run.
type site struct {
	name, address string
	*oauthtest.Server
}

func main() {
	sites := []site{{name: "github", Server: oauthtest.NewGitHub()}, {name: "oidc", Server: oauthtest.NewOIDC()}}
	client := flag.String("client", sites[0].ClientID, "client id, of both")
	flag.StringVar(&sites[0].address, "github", "127.0.0.1:9201", "where the site like GitHub listens")
	flag.StringVar(&sites[1].address, "oidc", "127.0.0.1:9202", "where the site of OpenID Connect listens")
	flag.Parse()
	for _, s := range sites {
		s.ClientID = *client
		// Not an argument: those are for everybody on the machine to see.
		if secret := os.Getenv("OAUTHTEST_SECRET"); secret != "" {
			s.ClientSecret = secret
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, sites)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves until ctx ends, and tells out where.
func run(ctx context.Context, out io.Writer, sites []site) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range sites {
		listener, err := listen(ctx, s.address)
		if err != nil {
			return err
		}
		server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
		group.Go(func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			return server.Close()
		})
		fmt.Fprintf(out, "%s http://%s\n", s.name, listener.Addr())
	}
	fmt.Fprintln(out, "ready")
	return group.Wait()
}

// listen takes addresses of this machine alone: who the sites say somebody is, anybody may type.
func listen(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s is not an address of this machine alone", address)
	}
	return (&net.ListenConfig{}).Listen(ctx, "tcp", address)
}
