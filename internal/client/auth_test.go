package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/client/clienttest"
)

func TestLogin(t *testing.T) {
	s := clienttest.New(t)
	c := &Client{BaseURL: s.URL}
	_, err := c.Login(t.Context(), clienttest.Login, "wrong")
	if !HasStatus(err, http.StatusUnauthorized) || errors.Is(err, ErrSignedOut) {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := c.Stat(t.Context(), "/"); !errors.Is(err, ErrSignedOut) {
		t.Errorf("without a session: %v", err)
	}
	u, err := c.Login(t.Context(), clienttest.Login, clienttest.Password)
	if err != nil || u.Login != clienttest.Login || u.Role != "admin" {
		t.Fatalf("right password: %+v, %v", u, err)
	}
	if _, err := c.Stat(t.Context(), "/"); err != nil {
		t.Errorf("with a session: %v", err)
	}
	if err := c.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, _ := s.Secrets(); a != "" {
		t.Error("the server still has the session")
	}
	if err := c.Logout(t.Context()); !errors.Is(err, ErrSignedOut) {
		t.Errorf("logging out twice: %v", err)
	}
}

// Many requests find the token ended at once; a refresh token works once.
func TestOneRefreshForAll(t *testing.T) {
	for name, spoil := range map[string]func(s *clienttest.Server, c *Client){
		"ended on the server": func(s *clienttest.Server, _ *Client) { s.Revoke() },
		"due by the clock": func(_ *clienttest.Server, c *Client) {
			c.Now = func() time.Time { return time.Now().Add(870*time.Second + time.Second) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := clienttest.New(t)
			c := signedIn(t, s)
			old := c.kept().RenewAt
			spoil(s, c)
			var all sync.WaitGroup
			for range 32 {
				all.Go(func() {
					if _, err := c.Stat(t.Context(), "/"); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if n := s.Calls("POST /auth/refresh"); n != 1 || s.Reused() {
				t.Errorf("%d refreshes, reused: %v; want 1", n, s.Reused())
			}
			if !c.kept().RenewAt.After(old) && name != "ended on the server" {
				t.Error("the new session is due as early as the old one")
			}
		})
	}
}

// Processes share a credentials file: each refresh token is used by one of them.
func TestOneRefreshForAllProcesses(t *testing.T) {
	s := clienttest.New(t)
	store := Store{Path: filepath.Join(t.TempDir(), "gopan", "credentials.json")}
	var clients []*Client
	for range 8 {
		clients = append(clients, &Client{BaseURL: s.URL, Credentials: store.For(s.URL)})
	}
	if _, err := clients[0].Login(t.Context(), clienttest.Login, clienttest.Password); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for _, c := range clients {
			if _, err := c.token(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.Revoke()
		var all sync.WaitGroup
		for _, c := range clients {
			all.Go(func() {
				if _, err := c.Stat(t.Context(), "/"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := s.Calls("POST /auth/refresh"); n != round+1 || s.Reused() {
			t.Fatalf("after round %d: %d refreshes, reused: %v", round, n, s.Reused())
		}
	}
}

func TestSessionThatEnded(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	_ = c.Credentials.Save(t.Context(), Session{Login: "admin", Access: "stolen", Refresh: "used", RenewAt: time.Now().Add(time.Hour)})
	c.keep(Session{})
	if _, err := c.Stat(t.Context(), "/"); !errors.Is(err, ErrSignedOut) {
		t.Errorf("got %v, want ErrSignedOut", err)
	}
	if n := s.Calls("POST /auth/refresh"); n != 1 {
		t.Errorf("%d refreshes, want 1", n)
	}
}

// A caller that gives up in the middle of an exchange must not lose the session.
func TestRefreshSurvivesCancel(t *testing.T) {
	s := clienttest.New(t)
	c := signedIn(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	s.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/auth/refresh") {
			cancel()
		}
		return false
	})
	if err := c.Refresh(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	access, _ := s.Secrets()
	kept, err := c.Credentials.Load(t.Context())
	if err != nil || string(kept.Access) != access {
		t.Errorf("the server's new token was not kept: %v", err)
	}
}

func TestTokensAreNotPrinted(t *testing.T) {
	session := Session{Login: "admin", Access: "access-secret", Refresh: "refresh-secret"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{session, &session, session.Access} {
			if out := fmt.Sprintf(verb, v); strings.Contains(out, "secret") {
				t.Errorf("%s prints %s", verb, out)
			}
		}
	}
	data, err := json.Marshal(session)
	if err != nil || !strings.Contains(string(data), "refresh-secret") {
		t.Errorf("the credentials file would lack the token: %s, %v", data, err)
	}
}

func TestCredentialsFile(t *testing.T) {
	s := clienttest.New(t)
	store := Store{Path: filepath.Join(t.TempDir(), "new", "credentials.json")}
	c := &Client{BaseURL: s.URL, Credentials: store.For(s.URL)}
	if _, err := c.Login(t.Context(), clienttest.Login, clienttest.Password); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{store.Path: 0o600, filepath.Dir(store.Path): 0o700} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode().Perm(), want)
		}
	}
	if cur, err := store.Current(); cur != s.URL || err != nil {
		t.Errorf("Current() = %q, %v", cur, err)
	}
	// A token goes to no other server.
	if _, err := store.For("https://other.example").Load(t.Context()); !errors.Is(err, ErrSignedOut) {
		t.Errorf("another server's session: %v", err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o666} {
		if err := os.Chmod(store.Path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := store.For(s.URL).Load(t.Context()); !errors.Is(err, ErrExposed) {
			t.Errorf("mode %v: %v, want ErrExposed", mode, err)
		}
		if err := store.For(s.URL).Save(t.Context(), Session{Access: "x"}); !errors.Is(err, ErrExposed) {
			t.Errorf("saving with mode %v: %v, want ErrExposed", mode, err)
		}
	}
	if err := os.WriteFile(store.Path, []byte(`{"servers": "refresh-secret`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(store.Path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Current(); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a damaged file: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(store.Path), ".credentials-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCredentialsLockWaitsForTheContext(t *testing.T) {
	store := Store{Path: filepath.Join(t.TempDir(), "credentials.json")}
	creds := store.For("https://a.example")
	if err := creds.Save(t.Context(), Session{Access: "a", Refresh: "r"}); err != nil {
		t.Fatal(err)
	}
	never := func(Session) bool { return false }
	_, err := creds.Renew(t.Context(), never, func(context.Context, Session) (Session, error) {
		// Another process, meanwhile.
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if err := store.For("https://a.example").Delete(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second writer got in: %v", err)
		}
		return Session{Access: "b", Refresh: "s"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := creds.Load(t.Context()); err != nil || s.Access != "b" {
		t.Errorf("after the renewal: %q, %v", string(s.Access), err)
	}
}
