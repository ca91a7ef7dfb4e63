package user

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/sms"
)

// Attempts are counted by what one caller has: an address of IPv4, the 64 bits of a network of IPv6.
func TestAddress(t *testing.T) {
	from := requestsFrom(t)
	for addr, want := range map[string]string{
		"203.0.113.9": "203.0.113.9", "::ffff:203.0.113.9": "203.0.113.9", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:2::": "2001:db8:1:2::",
		"2001:db8:1:2:ffff:ffff:ffff:ffff": "2001:db8:1:2::", "2001:db8:1:3::1": "2001:db8:1:3::", "fe80::1%eth0": "fe80::", "fe80::2": "fe80::", "::1": "::",
		"127.0.0.1": "127.0.0.1", "@": "unknown", "": "unknown",
	} {
		if got := address(from(addr)); got != want {
			t.Errorf("%q: %q, want %q", addr, got, want)
		}
	}
	if got := address(t.Context()); got != "unknown" {
		t.Errorf("outside of a request: %q", got)
	}
}

// S10, B014, G09: a phone gets one message a minute, five an hour and ten a day, within any minute, hour and day: whoever
// asks as often as can be gets no more. What one is told to wait is enough, and not too much.
func TestMessagesPerPhone(t *testing.T) {
	for name, hurry := range map[string]bool{"at once again": false, "every second": true} {
		f, p := newSMSFixture(t)
		from := requestsFrom(t)
		var sent []time.Time
		for i := 0; len(sent) < 24; i++ {
			before := p.count()
			// Each time from elsewhere: it is the phone's count.
			_, err := f.sendCode(from(fmt.Sprintf("10.%d.%d.1", i/200%200, i%200)), annPhone, signInCode)
			switch {
			case err == nil:
				sent = append(sent, f.clock.Now())
				if p.count() != before+1 {
					t.Fatalf("%d messages", p.count()-before)
				}
			case errs.CodeOf(err) != "code_wait" || !errs.Is(errs.TooMany, err) || p.count() != before:
				t.Fatal(err)
			case toWait(err) <= 0:
				t.Fatalf("to wait %v", toWait(err))
			case hurry && toWait(err) < 10*time.Minute:
				f.forward(min(time.Second, toWait(err)))
			default:
				wait := toWait(err)
				f.forward(wait - time.Millisecond)
				if _, err := f.sendCode(t.Context(), annPhone, signInCode); toWait(err) != time.Millisecond {
					t.Fatalf("a moment before: %v to wait, %v", toWait(err), err)
				}
				f.forward(time.Millisecond)
			}
		}
		for i, at := range sent {
			for _, limit := range []struct {
				n      int
				window time.Duration
			}{{1, time.Minute}, {5, time.Hour}, {10, 24 * time.Hour}} {
				if j := i + limit.n; j < len(sent) && sent[j].Sub(at) < limit.window {
					t.Errorf("%s: messages %d to %d within %v", name, i, j, sent[j].Sub(at))
				}
			}
		}
		// No slower than allowed, either.
		if got := sent[9].Sub(sent[0]); got > 2*time.Hour {
			t.Errorf("%s: ten messages took %v", name, got)
		}
	}
}

// S10, C8: of many who ask for a code for one phone at once, at two processes, one gets it sent.
func TestMessagesInParallel(t *testing.T) {
	f, p := newSMSFixture(t)
	g := f.another(t)
	g.SMS = f.SMS
	for round := range 5 {
		var sent atomic.Int64
		together(20, func(i int) {
			s := f.Service
			if i%2 == 1 {
				s = g
			}
			switch _, err := s.sendCode(t.Context(), annPhone, []string{signInCode, phoneCode(1001)}[i/2%2]); {
			case err == nil:
				sent.Add(1)
			case errs.CodeOf(err) != "code_wait" && errs.CodeOf(err) != "too_many":
				t.Error(err)
			}
		})
		if sent.Load() != 1 || p.count() != round+1 {
			t.Errorf("%d were sent, %d came", sent.Load(), p.count())
		}
		f.forward(time.Hour)
	}
}

// S10, B014: an address, or a network of IPv6, gets so many messages an hour, to whichever phones.
func TestMessagesPerAddress(t *testing.T) {
	f, p := newSMSFixture(t)
	f.Limits = Limits{AddressMessages: 3}
	from := requestsFrom(t)
	n := 0
	send := func(addr string) error {
		n++
		_, err := f.sendCode(from(addr), sms.Phone(fmt.Sprintf("+8613900%06d", n)), signInCode)
		return err
	}
	for i := range 6 {
		for _, addr := range []string{"203.0.113.9", fmt.Sprintf("2001:db8:1:2::%d", i+1)} {
			err := send(addr)
			if i < 3 && err != nil || i >= 3 && (errs.CodeOf(err) != "too_many" || toWait(err) <= 0 || toWait(err) > time.Hour) {
				t.Errorf("message %d to %s: %v", i, addr, err)
			}
		}
	}
	if p.count() != 6 {
		t.Errorf("%d messages", p.count())
	}
	for _, other := range []string{"203.0.113.8", "2001:db8:1:3::1"} {
		if err := send(other); err != nil {
			t.Errorf("%s: %v", other, err)
		}
	}
	f.forward(time.Hour)
	if err := send("203.0.113.9"); err != nil {
		t.Errorf("an hour later: %v", err)
	}
	// Over HTTP it is the address that a proxy of ours tells, and none that the caller made up (B010).
	url := behindProxy(t, f.Service, 0)
	for i, status := range []int{200, 200, 200, 429} {
		resp, body := call(t, "POST", url+"/api/v1/auth/sms/code", fmt.Sprintf(`{"phone":"+8613812340%03d"}`, i), "X-Forwarded-For: 198.51.100."+strconv.Itoa(i)+", 198.51.100.77")
		if resp.StatusCode != status || status == 429 && resp.Header.Get("Retry-After") != "3600" {
			t.Errorf("%d: %d %q %s", i, resp.StatusCode, resp.Header.Get("Retry-After"), body)
		}
	}
}

// S10, B014, F46: whoever asks, no more than so many messages a day go out; a refused one costs nobody money, and a message that the provider
// did not take counts as one.
func TestMessagesInAll(t *testing.T) {
	f, p := newSMSFixture(t)
	const most = 7
	f.Limits = Limits{AllMessages: most}
	from := requestsFrom(t)
	sent := 0
	for i := range 20 {
		to := sms.Phone(fmt.Sprintf("+8613900%06d", i))
		_, err := f.sendCode(from(fmt.Sprintf("10.0.%d.1", i)), to, signInCode)
		if err == nil {
			sent++
		} else if errs.CodeOf(err) != "sms_unavailable" || !errs.Is(errs.TooMany, err) {
			t.Error(err)
		}
		if i == 2 { // those that a phone's own limit refuses do not count
			for range 20 {
				if _, err := f.sendCode(from("10.1.0.1"), to, signInCode); errs.CodeOf(err) != "code_wait" && errs.CodeOf(err) != "too_many" {
					t.Error(err)
				}
			}
		}
	}
	if sent != most || p.count() != most {
		t.Errorf("%d sent, %d came", sent, p.count())
	}
	f.forward(24 * time.Hour)
	if _, err := f.sendCode(t.Context(), annPhone, signInCode); err != nil {
		t.Errorf("a day later: %v", err)
	}
}

// S11: one address that fails at many accounts is kept out, from all of them; others are not, and the accounts are not locked for them.
func TestFailuresPerAddress(t *testing.T) {
	f := newFixture(t)
	from := requestsFrom(t)
	judged := 0
	for i := range DefaultLimits.AddressFailures + 50 {
		// A network of IPv6 is one address.
		_, err := f.signIn(from(fmt.Sprintf("2001:db8::%x", i+1)), fmt.Sprintf("nobody%d", i), "wrong", "", "")
		switch {
		case errs.Is(errs.Unauthenticated, err):
			judged++
		case errs.CodeOf(err) != "locked_out" || !errs.Is(errs.TooMany, err) || toWait(err) <= 0:
			t.Fatal(err)
		}
	}
	if judged != int(DefaultLimits.AddressFailures) {
		t.Errorf("%d judged", judged)
	}
	for range 2 * DefaultLimits.Failures {
		if _, err := f.signIn(from("2001:db8::ffff"), "ann", password, "", ""); !errs.Is(errs.TooMany, err) {
			t.Errorf("from there: %v", err)
		}
	}
	for _, other := range []string{"2001:db8:0:1::1", "203.0.113.9"} {
		if _, err := f.signIn(from(other), "ann", password, "", ""); err != nil {
			t.Errorf("from %s: %v", other, err)
		}
	}
	// By SMS the same count holds.
	g, p := newSMSFixture(t)
	for range DefaultLimits.AddressFailures {
		if _, err := g.bySMS(from("203.0.113.9"), string(annPhone), "000000", "AAAA"+strconv.Itoa(judged), ""); errs.CodeOf(err) != "bad_code" {
			t.Fatal(err)
		}
		judged++
	}
	id, code := g.asked(t, p, annPhone)
	if _, err := g.bySMS(from("203.0.113.9"), string(annPhone), code, id, ""); errs.CodeOf(err) != "locked_out" {
		t.Errorf("the right code from there: %v", err)
	}
	if _, err := g.bySMS(from("203.0.113.8"), string(annPhone), code, id, ""); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
}

// S11: however many addresses somebody has, there are no more than so many failures in all. The browsers in which people signed in
// before are not kept out by it, nor by what others at their address did.
func TestFailuresInAll(t *testing.T) {
	f := newFixture(t)
	f.Limits = Limits{AllFailures: 30, AddressFailures: 20}
	device := f.deviceFor(f.ann(t))
	from := requestsFrom(t)
	judged := 0
	for i := range 100 {
		addr := fmt.Sprintf("10.0.%d.1", i)
		if i < 30 {
			addr = "203.0.113.9"
		}
		_, err := f.signIn(from(addr), fmt.Sprintf("nobody%d", i), "wrong", "", "")
		if errs.Is(errs.Unauthenticated, err) {
			judged++
		} else if !errs.Is(errs.TooMany, err) {
			t.Fatal(err)
		}
	}
	if judged != 30 {
		t.Errorf("%d judged", judged)
	}
	if _, err := f.signIn(from("198.51.100.1"), "ann", password, "", ""); !errs.Is(errs.TooMany, err) {
		t.Errorf("ann at a new browser: %v", err)
	}
	if _, err := f.signIn(from("203.0.113.9"), "ann", password, "", device); err != nil {
		t.Errorf("ann at hers: %v", err)
	}
	// Its own failures count there.
	for range DefaultLimits.Failures {
		for range 2 {
			_, err := f.signIn(from("203.0.113.9"), "ann", "wrong", "", device)
			if !errs.Is(errs.TooMany, err) {
				break
			}
			f.forward(toWait(err))
		}
	}
	f.forward(delay(DefaultLimits.Failures))
	if _, err := f.signIn(from("203.0.113.9"), "ann", password, "", device); errs.CodeOf(err) != "locked_out" {
		t.Errorf("after ten failures of her own: %v", err)
	}
	f.forward(FailureWindow)
	if _, err := f.signIn(from("198.51.100.1"), "ann", password, "", ""); err != nil {
		t.Errorf("a window later: %v", err)
	}
}

// S11: ten failures within any fifteen minutes, whenever they begin: whoever tries as soon as may be has no better moment.
func TestFailuresWithinAnyWindow(t *testing.T) {
	f := newFixture(t)
	var at []time.Time
	for pause := 14 * time.Minute; len(at) < 60; pause = 0 {
		_, err := f.signIn(t.Context(), "ann", "wrong", "", "")
		switch {
		case errs.Is(errs.Unauthenticated, err):
			at = append(at, f.clock.Now())
			f.forward(pause)
		case errs.Is(errs.TooMany, err) && toWait(err) > 0:
			f.forward(toWait(err))
		default:
			t.Fatal(err)
		}
	}
	n := int(DefaultLimits.Failures)
	for i := range at[n:] {
		if d := at[i+n].Sub(at[i]); d < FailureWindow {
			t.Errorf("%d failures within %v", n+1, d)
		}
	}
	if n := f.count(t, "audit WHERE action = 'signin.fail' AND user_id = 1001"); n != 60 {
		t.Errorf("%d in the audit log", n)
	}
	if n := f.count(t, "audit WHERE action = 'signin.locked'"); n < 1 || n > 60/10+1 {
		t.Errorf("locked %d times", n)
	}
}

// C9: from whichever moment on attempts cannot be counted, nobody enters, and the right password is good again when they can.
func TestSignInFailsClosedAtAnyMoment(t *testing.T) {
	in := false
	for calls := 0; !in; calls++ {
		f := newFixture(t)
		store := f.KV
		f.KV = &failing{store, calls}
		_, err := f.signIn(t.Context(), "ann", password, "", "")
		if in = err == nil; in {
			if calls < 4 {
				t.Errorf("entered after %d calls", calls)
			}
			continue
		}
		if !errs.Is(errs.Busy, err) {
			t.Errorf("after %d calls: %v", calls, err)
		}
		f.KV = store
		if _, err := f.signIn(t.Context(), "ann", password, "", ""); err != nil {
			t.Errorf("after %d calls, and back: %v", calls, err)
		}
	}
}

// F41: a history that is none of ours keeps the door shut until it expires.
func TestGarbageForHistory(t *testing.T) {
	f := newFixture(t)
	for _, garbage := range []string{"xx", "1234567", "12345678xx"} {
		if err := f.KV.Set(t.Context(), f.Service.key("signin-failures", "ann"), []byte(garbage), time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := f.signIn(t.Context(), "ann", password, "", ""); !errs.Is(errs.Corrupt, err) {
			t.Errorf("%q: %v", garbage, err)
		}
		f.forward(time.Minute)
		if _, err := f.signIn(t.Context(), "ann", password, "", ""); err != nil {
			t.Errorf("after %q: %v", garbage, err)
		}
	}
}

// A caller who goes away while attempts are counted is no failure of the store's.
func TestCallerGone(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.signIn(ctx, "ann", password, "", ""); err == nil || errors.Is(err, errDown) {
		t.Error(err)
	}
	if _, err := f.signIn(t.Context(), "ann", password, "", ""); err != nil {
		t.Error(err)
	}
}

// A1, S11: who was not judged, as too many passwords were to be hashed, did not fail: no account is locked by an overload.
func TestNotJudgedIsNoFailure(t *testing.T) {
	f := newFixture(t)
	for range cap(hashing) {
		hashing <- struct{}{}
	}
	for range 2 * DefaultLimits.Failures {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := f.signIn(ctx, "ann", password, "", ""); !errs.Is(errs.Busy, err) {
			t.Errorf("%v", err)
		}
		cancel()
	}
	for range cap(hashing) {
		<-hashing
	}
	if _, err := f.signIn(t.Context(), "ann", password, "", ""); err != nil {
		t.Errorf("then: %v", err)
	}
}
