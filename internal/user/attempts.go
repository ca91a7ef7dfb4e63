package user

import (
	"context"
	"net/netip"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

// Limits bound what somebody may try. They are counted in kv; while that does not answer, nobody gets in.
type Limits struct {
	// Failures to sign in within FailureWindow: of one account, from one address (IPv6: one /64), and in all. A browser
	// that signed in before has a count of its own and no other, so that strangers cannot keep the owner out.
	Failures, AddressFailures, AllFailures int64
	// Messages by SMS: to one address in an hour, and to everybody in a day. Each costs money.
	AddressMessages, AllMessages int64
	// Accounts that one address may make in an hour, where anybody may.
	AddressAccounts int64
}

// DefaultLimits are those of an installation that sets none.
var DefaultLimits = Limits{
	Failures: 10, AddressFailures: 100, AllFailures: 10_000, AddressMessages: 20, AllMessages: 2_000, AddressAccounts: 10,
}

func (s *Service) limits() Limits {
	l := s.Limits
	for _, f := range []struct {
		to   *int64
		from int64
	}{
		{&l.Failures, DefaultLimits.Failures},
		{&l.AddressFailures, DefaultLimits.AddressFailures},
		{&l.AllFailures, DefaultLimits.AllFailures},
		{&l.AddressMessages, DefaultLimits.AddressMessages},
		{&l.AllMessages, DefaultLimits.AllMessages},
		{&l.AddressAccounts, DefaultLimits.AddressAccounts},
	} {
		if *f.to == 0 {
			*f.to = f.from
		}
	}
	return l
}

// FailureWindow is the time in which failures to sign in are counted (promise S11).
const FailureWindow = 15 * time.Minute

// freeFailures cost nothing; after each one more the next attempt has to wait twice as long, from a second.
const freeFailures = 5

// address is what a caller's attempts are counted by: an IPv4 address, or the 64 bits that one customer has of IPv6.
func address(ctx context.Context) string {
	a := httpapi.ClientOf(ctx).Address
	if a.Is6() {
		p, _ := a.WithZone("").Prefix(64) // 64 bits there are
		a = p.Addr()
	}
	if a == (netip.Addr{}) {
		return "unknown"
	}
	return a.String()
}

// attempt is one try at a secret that a person chose, or that is short. It was counted before it is judged, so that
// many at once cannot slip through together.
type attempt struct {
	s      *Service
	key    string // of the history that is the account's own
	at     int64
	others []string // keys of counters
}

// attempt begins one at a secret of who's, kind by kind. Too many have failed when it fails with errs.TooMany.
func (s *Service) attempt(ctx context.Context, kind, who string) (*attempt, error) {
	const op = errs.Op("user.attempt")
	a, err := s.ownAttempt(ctx, kind, who)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	l := s.limits()
	for _, c := range []struct {
		key   string
		limit int64
	}{{s.key("signin-from", address(ctx)), l.AddressFailures}, {s.key("signin-all"), l.AllFailures}} {
		n, err := s.KV.Add(ctx, c.key, 1, FailureWindow)
		if err != nil {
			return nil, errs.Wrap(op, err)
		}
		if n > c.limit {
			// It is not judged: the account must not be locked for it.
			if err := a.undecided(ctx); err != nil {
				return nil, errs.Wrap(op, err)
			}
			return nil, errs.E(errs.TooMany, op, errs.Code("locked_out"), FailureWindow/4)
		}
		a.others = append(a.others, c.key)
	}
	return a, nil
}

// ownAttempt begins one that counts for itself alone: no failures of strangers are in its way.
func (s *Service) ownAttempt(ctx context.Context, kind, who string) (*attempt, error) {
	const op = errs.Op("user.ownAttempt")
	a, most := &attempt{s: s, key: s.key(kind+"-failures", who)}, s.limits().Failures
	for {
		h, err := s.history(ctx, a.key, FailureWindow)
		if err != nil {
			return nil, errs.Wrap(op, err)
		}
		n := int64(len(h.times))
		left := max(h.wait(most, FailureWindow), h.wait(1, delay(n)))
		if left <= 0 {
			a.at = s.now().UnixMilli()
			mine, err := h.put(ctx, append(h.times, a.at), h.told && n > 0)
			if err != nil {
				return nil, errs.Wrap(op, err)
			}
			if mine {
				return a, nil
			}
			continue // another attempt came between
		}
		if n >= most && !h.told {
			mine, err := h.put(ctx, h.times, true)
			if err == nil && mine {
				err = s.record(ctx, "signin.locked", 0, kind)
			}
			if err != nil {
				return nil, errs.Wrap(op, err)
			}
		}
		return nil, errs.E(errs.TooMany, op, errs.Code("locked_out"), left)
	}
}

// delay is how long after the nth failure the next attempt has to wait.
func delay(n int64) time.Duration {
	if n < freeFailures {
		return 0
	}
	return time.Second << min(n-freeFailures, 10)
}

// succeeded forgets the failures before.
func (a *attempt) succeeded(ctx context.Context) error {
	const op = errs.Op("user.succeeded")
	if err := a.s.KV.Delete(ctx, a.key); err != nil {
		return errs.Wrap(op, err)
	}
	return errs.Wrap(op, a.giveBack(ctx))
}

// undecided takes back that there was an attempt at all.
func (a *attempt) undecided(ctx context.Context) error {
	const op = errs.Op("user.undecided")
	if err := a.s.forget(ctx, a.key, FailureWindow, a.at); err != nil {
		return errs.Wrap(op, err)
	}
	return errs.Wrap(op, a.giveBack(ctx))
}

func (a *attempt) giveBack(ctx context.Context) error {
	for _, key := range a.others {
		if _, err := a.s.KV.Add(ctx, key, -1, FailureWindow); err != nil {
			return err
		}
	}
	return nil
}

// atMost counts something; more than n in a window are too many. Windows follow one another, the first from the first
// thing on.
func (s *Service) atMost(ctx context.Context, key string, n int64, window time.Duration, code errs.Code) error {
	const op = errs.Op("user.atMost")
	got, err := s.KV.Add(ctx, key, 1, window)
	if err != nil {
		return errs.Wrap(op, err)
	}
	if got > n {
		return errs.E(errs.TooMany, op, code, window)
	}
	return nil
}
