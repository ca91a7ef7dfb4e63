package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Token is a secret. It prints as a word, so that no message or log can hold it by mistake.
type Token string

// String hides the token.
func (Token) String() string { return "[token]" }

// GoString hides the token.
func (Token) GoString() string { return "[token]" }

// LogValue hides the token.
func (Token) LogValue() slog.Value { return slog.StringValue("[token]") }

// Session is what a sign-in gave: who, and the tokens to act as them.
type Session struct {
	Login   string `json:"login"`
	Access  Token  `json:"accessToken"`
	Refresh Token  `json:"refreshToken"`
	// RenewAt is when to stop using Access: a little before the server does.
	RenewAt time.Time `json:"renewAt"`
}

// Credentials keep a session between requests and, if they last, between runs. Several clients, also in
// several processes, may share them.
type Credentials interface {
	// Load gives the session, or ErrSignedOut when there is none.
	Load(ctx context.Context) (Session, error)
	// Renew replaces the session by what trade makes of it. While trade runs nobody else can renew: a refresh
	// token works once, and using it twice ends the session. When the session that it finds is good already,
	// since somebody else was faster, that is the answer and trade is not called.
	Renew(ctx context.Context, good func(Session) bool, trade func(context.Context, Session) (Session, error)) (Session, error)
	// Save keeps a new session in place of the present one.
	Save(ctx context.Context, s Session) error
	// Delete forgets the session.
	Delete(ctx context.Context) error
}

// User is an account.
type User struct {
	ID    string `json:"id"`
	Login string `json:"login"`
	Role  string `json:"role"`
}

type tokens struct {
	AccessToken  Token `json:"accessToken"`
	RefreshToken Token `json:"refreshToken"`
	ExpiresIn    int64 `json:"expiresIn"`
	User         User  `json:"user"`
}

// refreshGrace is how long an exchange of tokens may go on after its caller gave up: an answer that is not
// waited for is a session lost.
const refreshGrace = 2 * time.Second

// Login signs in and keeps the session.
func (c *Client) Login(ctx context.Context, login, password string) (*User, error) {
	c.init()
	var t tokens
	_, err := c.do(ctx, &call{
		method: http.MethodPost, path: "/auth/login", public: true, out: &t,
		json: map[string]string{"login": login, "password": password},
	})
	if err != nil {
		return nil, err
	}
	s, err := c.sessionOf(t)
	if err != nil {
		return nil, err
	}
	if err := c.Credentials.Save(ctx, s); err != nil {
		return nil, err
	}
	c.keep(s)
	return &t.User, nil
}

// Logout ends the session on the server and forgets it here. The session is forgotten even if the server
// cannot be told, and then the error says so. Without a session it returns ErrSignedOut.
func (c *Client) Logout(ctx context.Context) error {
	c.init()
	if _, err := c.Credentials.Load(ctx); err != nil {
		return err
	}
	_, err := c.do(ctx, &call{method: http.MethodPost, path: "/auth/logout"})
	c.keep(Session{})
	if derr := c.Credentials.Delete(context.WithoutCancel(ctx)); derr != nil {
		return derr
	}
	if errors.Is(err, ErrSignedOut) {
		return nil
	}
	return err
}

// Refresh trades the session for a new one now, whether or not it is due.
func (c *Client) Refresh(ctx context.Context) error {
	c.init()
	s, err := c.Credentials.Load(ctx)
	if err != nil {
		return err
	}
	_, err = c.renew(ctx, s.Access)
	return err
}

func (c *Client) keep(s Session) {
	c.mu.Lock()
	c.session = s
	c.mu.Unlock()
}

func (c *Client) kept() Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

func (c *Client) sessionOf(t tokens) (Session, error) {
	if t.AccessToken == "" {
		return Session{}, errors.New("the server's answer is not Gopan's: no token in it")
	}
	life := time.Duration(t.ExpiresIn) * time.Second
	return Session{
		Login: t.User.Login, Access: t.AccessToken, Refresh: t.RefreshToken,
		RenewAt: c.now().Add(life - min(30*time.Second, life/4)),
	}, nil
}

func (c *Client) due(s Session) bool { return !c.now().Before(s.RenewAt) }

// token gives an access token that should work, renewing the session when it is due.
func (c *Client) token(ctx context.Context) (Token, error) {
	s := c.kept()
	if s.Access == "" {
		var err error
		if s, err = c.Credentials.Load(ctx); err != nil {
			return "", err
		}
		c.keep(s)
	}
	if c.due(s) {
		return c.renew(ctx, s.Access)
	}
	return s.Access, nil
}

// renew replaces the session whose access token is stale, once for all who ask at the same time.
func (c *Client) renew(ctx context.Context, stale Token) (Token, error) {
	select {
	case c.renewing <- struct{}{}:
		defer func() { <-c.renewing }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	good := func(s Session) bool { return s.Access != "" && s.Access != stale && !c.due(s) }
	if s := c.kept(); good(s) {
		return s.Access, nil
	}
	s, err := c.Credentials.Renew(ctx, good, c.trade)
	if err != nil {
		return "", err
	}
	c.keep(s)
	return s.Access, nil
}

// trade exchanges the refresh token for a new session. Cancelling ctx gives it refreshGrace to finish.
func (c *Client) trade(ctx context.Context, s Session) (Session, error) {
	if s.Refresh == "" {
		return Session{}, ErrSignedOut
	}
	tctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		_ = wait(tctx, refreshGrace)
		cancel()
	})
	defer stop()
	var t tokens
	_, err := c.do(tctx, &call{
		method: http.MethodPost, path: "/auth/refresh", public: true, out: &t,
		json: map[string]string{"refreshToken": string(s.Refresh)},
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return Session{}, ctx.Err()
	case HasStatus(err, http.StatusUnauthorized):
		return Session{}, fmt.Errorf("%w: %w", ErrSignedOut, err)
	case err != nil:
		return Session{}, err
	}
	next, err := c.sessionOf(t)
	if next.Login == "" {
		next.Login = s.Login
	}
	return next, err
}

// Memory keeps a session as long as the process lives.
type Memory struct {
	mu      sync.Mutex
	session Session
	trading sync.Mutex
}

// Load implements Credentials.
func (m *Memory) Load(context.Context) (Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session.Access == "" {
		return Session{}, ErrSignedOut
	}
	return m.session, nil
}

// Renew implements Credentials.
func (m *Memory) Renew(ctx context.Context, good func(Session) bool, trade func(context.Context, Session) (Session, error)) (Session, error) {
	m.trading.Lock()
	defer m.trading.Unlock()
	s, err := m.Load(ctx)
	if err != nil || good(s) {
		return s, err
	}
	if s, err = trade(ctx, s); err != nil {
		return Session{}, err
	}
	return s, m.Save(ctx, s)
}

// Save implements Credentials.
func (m *Memory) Save(_ context.Context, s Session) error {
	m.mu.Lock()
	m.session = s
	m.mu.Unlock()
	return nil
}

// Delete implements Credentials.
func (m *Memory) Delete(ctx context.Context) error { return m.Save(ctx, Session{}) }
