package user

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// dead fails the test if a session's tokens are still good for anything.
func (f fixture) dead(t *testing.T, what string, s tokens) {
	t.Helper()
	if _, err := f.byToken(t.Context(), s.access); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("%s: the access token: %v", what, err)
	}
	if _, err := f.refresh(t.Context(), s.refresh); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("%s: the refresh token: %v", what, err)
	}
}

// S4, G05: a refresh token works once, and each gives the next.
func TestRefreshRotates(t *testing.T) {
	f := newFixture(t)
	first := f.signedIn(t)
	seen := map[string]bool{first.access: true, first.refresh: true}
	last := first
	for range 5 {
		next, err := f.refresh(t.Context(), last.refresh)
		if err != nil {
			t.Fatal(err)
		}
		if seen[next.access] || seen[next.refresh] || next.account.Login != "ann" {
			t.Fatal("a token was given out twice")
		}
		seen[next.access], seen[next.refresh] = true, true
		p, err := f.byToken(t.Context(), next.access)
		if err != nil || p.GetUserId() != 1001 || p.GetRole() != "user" {
			t.Fatalf("%v, %v", p, err)
		}
		last = next
	}
}

// G05: a refresh token that comes a second time has been stolen: everything of its session ends, at once, whoever
// holds it. Other sessions go on.
func TestRefreshReuse(t *testing.T) {
	f := newFixture(t)
	other, first := f.signedIn(t), f.signedIn(t)
	second, err := f.refresh(t.Context(), first.refresh)
	if err != nil {
		t.Fatal(err)
	}
	third, err := f.refresh(t.Context(), second.refresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.refresh(t.Context(), first.refresh); !errs.Is(errs.Unauthenticated, err) || errs.CodeOf(err) != "bad_refresh" {
		t.Errorf("the first again: %v", err)
	}
	f.dead(t, "first", first)
	f.dead(t, "second", second)
	f.dead(t, "third", third)
	if _, err := f.byToken(t.Context(), other.access); err != nil {
		t.Errorf("another session's token: %v", err)
	}
	if _, err := f.refresh(t.Context(), other.refresh); err != nil {
		t.Errorf("another session's refresh token: %v", err)
	}
}

// C8, G05: of many that use one refresh token at once, in several processes, one gets a new pair, and the session is
// over.
func TestRefreshInParallel(t *testing.T) {
	f := newFixture(t)
	first := f.signedIn(t)
	here, there := f.Service, f.another(t)
	var mu sync.Mutex
	var won []tokens
	var wg sync.WaitGroup
	for i := range 50 {
		s := here
		if i%2 == 1 {
			s = there
		}
		wg.Go(func() {
			next, err := s.refresh(t.Context(), first.refresh)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won = append(won, next)
			case !errs.Is(errs.Unauthenticated, err):
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d got a new pair", len(won))
	}
	f.dead(t, "the one that got it", won[0])
	f.dead(t, "the first", first)
}

// What is no refresh token is refused, an access token and a cookie among it.
func TestRefreshGarbage(t *testing.T) {
	f := newFixture(t)
	s := f.signedIn(t)
	cookie := f.cookie(t)
	for _, bad := range []string{
		"", "x", s.access, cookie, strings.ToLower(s.refresh), s.refresh + "A", s.refresh[1:], strings.Repeat("A", 1<<20),
		string(hashOf(s.refresh)), "' OR 1=1 --",
	} {
		if _, err := f.refresh(t.Context(), bad); !errs.Is(errs.Unauthenticated, err) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
	if _, err := f.refresh(t.Context(), s.refresh); err != nil {
		t.Errorf("the session suffered: %v", err)
	}
}

// S4: a session has an end that refreshing does not put off.
func TestSessionEnds(t *testing.T) {
	f := newFixture(t)
	s := f.signedIn(t)
	cookie := f.cookie(t)
	var err error
	for passed := time.Duration(0); passed < f.sessionLife()-24*time.Hour; passed += 24 * time.Hour {
		f.forward(24 * time.Hour)
		if s, err = f.refresh(t.Context(), s.refresh); err != nil {
			t.Fatalf("after %v: %v", passed, err)
		}
	}
	f.forward(24*time.Hour - time.Second)
	if s, err = f.refresh(t.Context(), s.refresh); err != nil {
		t.Fatal(err)
	}
	// What is given out now must not live longer than its session.
	p, err := f.byToken(t.Context(), s.access)
	if err != nil || p.GetExpiresAt() > f.clock.Now().Add(time.Second).UnixMilli() {
		t.Errorf("expires at %v, %v", p.GetExpiresAt(), err)
	}
	if _, err := f.byCookie(t.Context(), cookie); err != nil {
		t.Errorf("the cookie before its end: %v", err)
	}
	f.forward(time.Second)
	f.dead(t, "at the session's end", s)
	if _, err := f.byCookie(t.Context(), cookie); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("the cookie after its end: %v", err)
	}
}
