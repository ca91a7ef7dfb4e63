package user

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/zeromicro/go-zero/core/logx"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/kv"
	"github.com/livil/gopan/internal/sms"
)

// S10, G07: codes are six digits of crypto/rand's, whatever the time: among many every place has every digit, and two of
// one moment have nothing to do with each other.
func TestCodesAreRandom(t *testing.T) {
	f, p := newSMSFixture(t)
	const n = 400
	f.Limits = Limits{AddressMessages: n}
	var seen [6][10]bool
	differ := map[string]bool{}
	for i := range n {
		_, code := f.asked(t, p, sms.Phone(fmt.Sprintf("+8613900%06d", i)))
		if len(code) != 6 || strings.Trim(code, "0123456789") != "" {
			t.Fatalf("%q", code)
		}
		for place, digit := range code {
			seen[place][digit-'0'] = true
		}
		differ[code] = true
	}
	for place, digits := range seen {
		for digit, ok := range digits {
			if !ok { // once in 10^16 runs
				t.Errorf("no %d in place %d of %d codes", digit, place, n)
			}
		}
	}
	if len(differ) < n-10 {
		t.Errorf("%d different codes of %d", len(differ), n)
	}
}

// S10: a code lives five minutes, and not a moment longer.
func TestCodeLife(t *testing.T) {
	f, p := newSMSFixture(t)
	for _, c := range []struct {
		after time.Duration
		good  bool
	}{{0, true}, {codeLife - time.Millisecond, true}, {codeLife, false}, {codeLife + time.Hour, false}} {
		id, code := f.asked(t, p, annPhone)
		f.forward(c.after)
		_, err := f.bySMS(t.Context(), string(annPhone), code, id, "")
		if c.good && err != nil || !c.good && errs.CodeOf(err) != "bad_code" {
			t.Errorf("after %v: %v", c.after, err)
		}
		f.forward(time.Hour)
	}
	// Trying does not prolong it.
	id, code := f.asked(t, p, annPhone)
	for range codeAttempts - 1 {
		f.forward(time.Minute)
		if _, err := f.bySMS(t.Context(), string(annPhone), wrong(code, 1), id, ""); errs.CodeOf(err) != "bad_code" {
			t.Error(err)
		}
	}
	f.forward(time.Minute)
	if _, err := f.bySMS(t.Context(), string(annPhone), code, id, ""); errs.CodeOf(err) != "bad_code" {
		t.Errorf("after five minutes with attempts: %v", err)
	}
	f.forward(time.Hour)
	id, code = f.asked(t, p, annPhone)
	f.forward(codeLife - time.Millisecond)
	if _, err := f.bySMS(t.Context(), string(annPhone), wrong(code, 1), id, ""); errs.CodeOf(err) != "bad_code" {
		t.Error(err)
	}
	f.forward(time.Millisecond)
	if _, err := f.bySMS(t.Context(), string(annPhone), code, id, ""); errs.CodeOf(err) != "bad_code" {
		t.Errorf("after an attempt at the last moment: %v", err)
	}
}

// S10, B016, G08: after five wrong attempts the right code is refused, too.
func TestFiveAttempts(t *testing.T) {
	f, p := newSMSFixture(t)
	for n := 1; n <= 2*codeAttempts; n++ {
		id, code := f.asked(t, p, annPhone)
		for i := range n {
			// A second process counts along.
			s := f.Service
			if i%2 == 1 {
				s = f.another(t)
				s.SMS = f.SMS
			}
			_, err := s.bySMS(t.Context(), string(annPhone), wrong(code, i+1), id, "")
			if errs.CodeOf(err) != "bad_code" && !errs.Is(errs.TooMany, err) {
				t.Fatal(err)
			}
		}
		f.forward(delay(int64(n))) // what is refused then is not refused for haste
		_, err := f.bySMS(t.Context(), string(annPhone), code, id, "")
		if good := n < codeAttempts; good && err != nil || !good && errs.CodeOf(err) != "bad_code" && !errs.Is(errs.TooMany, err) {
			t.Errorf("after %d wrong ones: %v", n, err)
		}
		f.forward(24 * time.Hour)
	}
}

// C8, S10: of many wrong attempts at once, by two processes, five are judged: with the right one among them it is the
// same whether it came in time, but it is never good after five others.
func TestFiveAttemptsInParallel(t *testing.T) {
	f, p := newSMSFixture(t)
	g := f.another(t)
	id, code := f.asked(t, p, annPhone)
	var judged atomic.Int64
	together(40, func(i int) {
		s := f.Service
		if i%2 == 1 {
			s = g
		}
		// Below the count per request id, which would stop most of them already.
		h, err := s.showCode(t.Context(), annPhone, signInCode, id, wrong(code, i+1))
		if h != nil || errs.CodeOf(err) != "bad_code" {
			t.Errorf("%v, %v", h, err)
		}
		judged.Add(1)
	})
	b, err := f.KV.Get(t.Context(), f.codeKey(annPhone, signInCode))
	var left pending
	if err != nil || json.Unmarshal(b, &left) != nil || left.Left != 0 || judged.Load() != 40 {
		t.Errorf("%s, %v", b, err)
	}
	if _, err := f.bySMS(t.Context(), string(annPhone), code, id, ""); errs.CodeOf(err) != "bad_code" {
		t.Errorf("the right one: %v", err)
	}
}

// together runs fn n times at once.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	wg.Wait()
}

// S10, B018: a code is good for the phone, the purpose and the request that it was asked for, and for nothing else.
func TestCodeIsBound(t *testing.T) {
	f, p := newSMSFixture(t)
	annID, annCode := f.asked(t, p, annPhone)
	bobID, bobCode := f.asked(t, p, bobPhone)
	for name, try := range map[string]func() (*shown, error){
		"ann's for bob's phone": func() (*shown, error) {
			return f.showCode(t.Context(), bobPhone, signInCode, annID, annCode)
		},
		"ann's code with bob's request": func() (*shown, error) {
			return f.showCode(t.Context(), annPhone, signInCode, bobID, annCode)
		},
		"bob's request and code for ann's phone": func() (*shown, error) {
			return f.showCode(t.Context(), annPhone, signInCode, bobID, bobCode)
		},
		"to set a phone":             func() (*shown, error) { return f.showCode(t.Context(), annPhone, phoneCode(1001), annID, annCode) },
		"to set another's phone":     func() (*shown, error) { return f.showCode(t.Context(), annPhone, phoneCode(1000), annID, annCode) },
		"without a request":          func() (*shown, error) { return f.showCode(t.Context(), annPhone, signInCode, "", annCode) },
		"with a part of the request": func() (*shown, error) { return f.showCode(t.Context(), annPhone, signInCode, annID[:25], annCode) },
		"with a request of small letters": func() (*shown, error) {
			return f.showCode(t.Context(), annPhone, signInCode, strings.ToLower(annID), annCode)
		},
	} {
		if h, err := try(); h != nil || errs.CodeOf(err) != "bad_code" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// And who does not know the request cannot spend its attempts.
	for range 2 * codeAttempts {
		for _, id := range []string{"", bobID, "AAAAAAAAAAAAAAAAAAAAAAAAAA"} {
			if h, err := f.showCode(t.Context(), annPhone, signInCode, id, wrong(annCode, 1)); h != nil || errs.CodeOf(err) != "bad_code" {
				t.Errorf("%v", err)
			}
		}
	}
	if _, err := f.bySMS(t.Context(), string(annPhone), annCode, annID, ""); err != nil {
		t.Errorf("ann: %v", err)
	}
	// The other way round: a code to set a phone does not sign in, nor does it set another account's.
	f.forward(codePause)
	id, err := f.sendCode(t.Context(), annPhone, phoneCode(1001))
	if err != nil {
		t.Fatal(err)
	}
	code := p.code(t, annPhone)
	if _, err := f.bySMS(t.Context(), string(annPhone), code, id, ""); errs.CodeOf(err) != "bad_code" {
		t.Errorf("to sign in: %v", err)
	}
	for _, purpose := range []string{phoneCode(1000), phoneCode(100), phoneCode(0), signInCode, ""} {
		if h, err := f.showCode(t.Context(), annPhone, purpose, id, code); h != nil || errs.CodeOf(err) != "bad_code" {
			t.Errorf("for %q: %v", purpose, err)
		}
	}
	if _, err := f.showCode(t.Context(), annPhone, phoneCode(1001), id, code); err != nil {
		t.Errorf("for what it was asked: %v", err)
	}
}

// S10: a newer code of a phone voids the one before.
func TestNewerCode(t *testing.T) {
	f, p := newSMSFixture(t)
	oldID, oldCode := f.asked(t, p, annPhone)
	f.forward(codePause)
	id, code := f.asked(t, p, annPhone)
	for _, c := range [][2]string{{oldID, oldCode}, {oldID, code}} {
		if _, err := f.bySMS(t.Context(), string(annPhone), c[1], c[0], ""); errs.CodeOf(err) != "bad_code" {
			t.Errorf("%v", err)
		}
	}
	if _, err := f.bySMS(t.Context(), string(annPhone), code, id, ""); err != nil {
		t.Error(err)
	}
}

// S10, G08: a code works once, also where two processes are shown it at once by many; wrong ones come between.
func TestCodeWorksOnce(t *testing.T) {
	f, p := newSMSFixture(t)
	g := f.another(t)
	g.SMS = f.SMS
	for round := range 5 {
		id, code := f.asked(t, p, annPhone)
		var in atomic.Int64
		together(20, func(i int) {
			s, given := f.Service, code
			if i%2 == 1 {
				s = g
			}
			if i == 7 || i == 14 {
				given = wrong(code, i)
			}
			switch _, err := s.bySMS(t.Context(), string(annPhone), given, id, ""); {
			case err == nil:
				in.Add(1)
			case errs.CodeOf(err) != "bad_code" && !errs.Is(errs.TooMany, err):
				t.Error(err)
			}
		})
		if in.Load() > 1 {
			t.Errorf("round %d: %d entered by one code", round, in.Load())
		}
		f.forward(delay(20))
		if _, err := f.bySMS(t.Context(), string(annPhone), code, id, ""); in.Load() == 1 && err == nil {
			t.Errorf("round %d: once more", round)
		}
		f.forward(24 * time.Hour)
	}
	// Where nobody else disturbs, of several right ones exactly one enters.
	for range 5 {
		id, code := f.asked(t, p, annPhone)
		var in atomic.Int64
		together(codeAttempts, func(i int) {
			s := f.Service
			if i%2 == 1 {
				s = g
			}
			h, err := s.showCode(t.Context(), annPhone, signInCode, id, code)
			if err == nil {
				err = h.take(t.Context())
			}
			if err == nil {
				in.Add(1)
			} else if errs.CodeOf(err) != "bad_code" {
				t.Error(err)
			}
		})
		if in.Load() != 1 {
			t.Errorf("%d of %d", in.Load(), codeAttempts)
		}
		f.forward(24 * time.Hour)
	}
}

// B022, G14: fifty sign-ups at once by one phone, at two processes, make one account with one session.
func TestSMSSignUpInParallel(t *testing.T) {
	f, p := newSMSFixture(t)
	g := f.another(t)
	g.SMS = f.SMS
	urls := []string{f.serve(t, false), fixture{Service: g}.serve(t, false)}
	id, code := f.asked(t, p, bobPhone)
	body := fmt.Sprintf(`{"phone":%q,"code":%q,"requestId":%q}`, bobPhone, code, id)
	var in atomic.Int64
	together(50, func(i int) {
		resp, got := call(t, "POST", urls[i%2]+"/api/v1/auth/session", body)
		switch {
		case resp.StatusCode == 200:
			in.Add(1)
		case resp.StatusCode != 401 && resp.StatusCode != 429:
			t.Errorf("%d %s", resp.StatusCode, got)
		}
	})
	if n := f.count(t, "users WHERE phone = ?", string(bobPhone)); n != 1 || in.Load() != 1 {
		t.Errorf("%d accounts, %d entered", n, in.Load())
	}
	if n, ses := f.count(t, "users"), f.count(t, "sessions"); n != 3 || ses != 1 {
		t.Errorf("%d accounts and %d sessions in all", n, ses)
	}
	// Also where each has a code of its own, as two processes that do not see each other's might: the table knows better.
	var made atomic.Int64
	together(20, func(i int) {
		s := f.Service
		if i%2 == 1 {
			s = g
		}
		switch _, err := s.create(t.Context(), newAccount{Role: roleUser, Phone: "+8613812345678"}, "sms"); {
		case err == nil:
			made.Add(1)
		case !errs.Is(errs.Exists, err):
			t.Error(err)
		}
	})
	if n := f.count(t, "users WHERE phone = '+8613812345678'"); n != 1 || made.Load() != 1 {
		t.Errorf("%d accounts, %d made", n, made.Load())
	}
}

// failing is a store that cannot be reached any more after so many calls.
type failing struct {
	kv.Store
	left int
}

var errDown = errs.E(errs.Busy, "test", errs.Code("kv_unavailable"), errors.New("down"))

func (f *failing) down() bool { f.left--; return f.left < 0 }

func (f *failing) Get(ctx context.Context, key string) ([]byte, error) {
	if f.down() {
		return nil, errDown
	}
	return f.Store.Get(ctx, key)
}

func (f *failing) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if f.down() {
		return errDown
	}
	return f.Store.Set(ctx, key, value, ttl)
}

func (f *failing) Swap(ctx context.Context, key string, old, value []byte, ttl time.Duration) (bool, error) {
	if f.down() {
		return false, errDown
	}
	return f.Store.Swap(ctx, key, old, value, ttl)
}

func (f *failing) Add(ctx context.Context, key string, n int64, ttl time.Duration) (int64, error) {
	if f.down() {
		return 0, errDown
	}
	return f.Store.Add(ctx, key, n, ttl)
}

func (f *failing) Delete(ctx context.Context, key string) error {
	if f.down() {
		return errDown
	}
	return f.Store.Delete(ctx, key)
}

// S10, C9, F39: while codes and counts cannot be kept, from whichever moment on, no message goes out and nobody enters.
func TestSMSFailsClosed(t *testing.T) {
	sent := false
	for calls := 0; !sent; calls++ {
		f, p := newSMSFixture(t)
		f.KV = &failing{f.KV, calls}
		_, err := f.sendCode(t.Context(), annPhone, signInCode)
		if sent = err == nil; !sent && (!errs.Is(errs.Busy, err) || p.count() != 0) {
			t.Errorf("down after %d calls: %d messages, %v", calls, p.count(), err)
		}
		if sent && calls < 2 {
			t.Errorf("sent after %d calls", calls)
		}
	}
	in := false
	for calls := 0; !in; calls++ {
		f, p := newSMSFixture(t)
		id, code := f.asked(t, p, bobPhone)
		store := f.KV
		f.KV = &failing{store, calls}
		_, err := f.bySMS(t.Context(), string(bobPhone), code, id, "")
		if in = err == nil; in {
			if calls < 4 {
				t.Errorf("entered after %d calls", calls)
			}
			continue
		}
		if n := f.count(t, "users"); !errs.Is(errs.Busy, err) || n != 2 {
			t.Errorf("down after %d calls: %d accounts, %v", calls, n, err)
		}
		// When it is back the code is as good as before: nobody has entered by it.
		f.KV = store
		if _, err := f.bySMS(t.Context(), string(bobPhone), code, id, ""); err != nil {
			t.Errorf("down after %d calls, and back: %v", calls, err)
		}
	}
	f, p := newSMSFixture(t)
	f.KV = brokenKV{errDown}
	url := f.serve(t, false)
	for path, body := range map[string]string{
		"/api/v1/auth/sms/code": `{"phone":"13800138000"}`, "/api/v1/auth/session": `{"phone":"13800138000","code":"123456","requestId":"x"}`,
		"/api/v1/auth/sms/login": `{"phone":"13800138000","code":"123456","requestId":"x"}`,
	} {
		if resp, got := call(t, "POST", url+path, body); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || len(resp.Cookies()) > 0 {
			t.Errorf("%s: %d %s", path, resp.StatusCode, got)
		}
	}
	if p.count() != 0 {
		t.Errorf("%d messages", p.count())
	}
}

// C9: what is lost with the store is codes and counts: a code from before opens nothing.
func TestSMSAfterFlush(t *testing.T) {
	f, p := newSMSFixture(t)
	id, code := f.asked(t, p, annPhone)
	if err := f.KV.Delete(t.Context(), f.codeKey(annPhone, signInCode)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.bySMS(t.Context(), string(annPhone), code, id, ""); errs.CodeOf(err) != "bad_code" {
		t.Error(err)
	}
	// F41: what is not ours there is not trusted.
	for _, garbage := range []string{"", "taken", "null", "{}", "x", `{"r":"` + id + `","m":"","l":5,"u":99999999999999}`, `{"r":"` + id + `","l":9,"u":99999999999999}`} {
		if err := f.KV.Set(t.Context(), f.codeKey(annPhone, signInCode), []byte(garbage), time.Hour); err != nil {
			t.Fatal(err)
		}
		for _, given := range []string{code, "000000"} {
			if _, err := f.bySMS(t.Context(), string(annPhone), given, id, ""); errs.CodeOf(err) != "bad_code" && !errs.Is(errs.TooMany, err) {
				t.Errorf("%q: %v", garbage, err)
			}
		}
		f.forward(time.Minute)
	}
}

// An account that asks for a second factor asks for it here, too. The code by SMS stays good until then, and once.
func TestSMSWithTOTP(t *testing.T) {
	f, p := newSMSFixture(t)
	key, err := f.beginTOTP(t.Context(), f.ann(t), "Gopan")
	if err != nil {
		t.Fatal(err)
	}
	app := func() string {
		code, err := totp.GenerateCode(key.Secret(), f.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	if _, err := f.confirmTOTP(t.Context(), f.ann(t), app()); err != nil {
		t.Fatal(err)
	}
	f.forward(time.Minute)
	url := f.serve(t, false)
	id, code := f.asked(t, p, annPhone)
	try := func(sms, totp string) (int, string) {
		resp, body := call(t, "POST", url+"/api/v1/auth/session",
			fmt.Sprintf(`{"phone":%q,"code":%q,"requestId":%q,"totp":%q}`, annPhone, sms, id, totp))
		if resp.StatusCode != 200 && len(resp.Cookies()) > 0 {
			t.Errorf("cookies with %d", resp.StatusCode)
		}
		if resp.StatusCode == 200 {
			return 200, ""
		}
		return resp.StatusCode, object(t, body)["code"].(string)
	}
	// More often than a code may be tried: to be asked for the other one costs nothing.
	for range 2 * codeAttempts {
		if status, word := try(code, ""); status != 401 || word != "totp_required" {
			t.Errorf("without: %d %s", status, word)
		}
	}
	// Who has not the phone does not hear whether there is a second factor.
	if status, word := try(wrong(code, 1), ""); status != 401 || word != "bad_code" {
		t.Errorf("a wrong code: %d %s", status, word)
	}
	good := app()
	if status, word := try(wrong(code, 2), good); status != 401 || word != "bad_code" {
		t.Errorf("a wrong code and the right second: %d %s", status, word)
	}
	if status, word := try(code, wrong(good, 5)); status != 401 || word != "bad_totp" {
		t.Errorf("a wrong second: %d %s", status, word)
	}
	if status, word := try(code, good); status != 200 {
		t.Errorf("both: %d %s", status, word)
	}
	if status, word := try(code, good); status != 401 || word != "bad_code" {
		t.Errorf("both again: %d %s", status, word)
	}
	if n := f.count(t, "sessions"); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// S17, S19, G01, G10, G22: the code is in the message and nowhere else: no answer, no log, no metric, no row of any table, nothing in
// kv. The phone itself is in no log, and in kv only as a keyed hash.
func TestCodeIsNowhere(t *testing.T) {
	f, p := newSMSFixture(t)
	var logged lockedBuffer
	logx.SetLevel(logx.DebugLevel)
	logx.SetWriter(logx.NewWriter(&logged))
	t.Cleanup(logx.Disable)
	url := serveAs(t, f.Service, httpapi.Server{LogAll: true})
	var answers strings.Builder
	ask := func(path, body string) map[string]any {
		resp, got := call(t, "POST", url+path, body, "Origin: "+url)
		fmt.Fprintln(&answers, resp.StatusCode, resp.Header, got)
		return object(t, got)
	}
	// A code that is part of a time, as kv and the audit log hold them, would seem to be there.
	var times []string
	ok := func(code string) bool {
		for _, u := range times {
			if strings.Contains(u, code) {
				return false
			}
		}
		return true
	}
	var codes []string
	for i := 0; len(codes) < 3; i++ {
		to := sms.Phone(fmt.Sprintf("+8613812340%03d", i))
		sent := ask("/api/v1/auth/sms/code", `{"phone":"`+string(to)+`"}`)
		ask("/api/v1/auth/sms/code", `{"phone":"`+string(to)+`"}`) // refused
		code := p.code(t, to)
		for _, d := range []time.Duration{0, codeLife} {
			times = append(times, strconv.FormatInt(f.clock.Now().Add(d).UnixMilli(), 10))
		}
		if !ok(code) {
			continue
		}
		given := fmt.Sprintf(`{"phone":%q,"code":%q,"requestId":`, to, code)
		ask("/api/v1/auth/session", given+`"of another"}`)
		switch len(codes) {
		case 0:
			ask("/api/v1/auth/session", given+fmt.Sprintf("%q}", sent["requestId"]))
		case 1: // stays in kv
		case 2:
			store := f.KV
			f.KV = brokenKV{errDown}
			ask("/api/v1/auth/session", given+fmt.Sprintf("%q}", sent["requestId"]))
			f.KV = store
		}
		codes = append(codes, code)
	}
	_, metrics := call(t, "GET", url+"/metrics", "")
	rows := everyRow(t, f)
	for name, text := range map[string]string{"answers": answers.String(), "log": logged.String(), "tables": rows} {
		if text == "" {
			t.Errorf("%s: nothing to look at", name)
		}
		for _, code := range codes {
			if strings.Contains(text, code) {
				t.Errorf("%s: the code %s in %s", name, code, text)
			}
		}
	}
	if strings.Contains(logged.String(), "1381234") || strings.Contains(metrics, "1381234") {
		t.Errorf("the log or the metrics hold a phone: %s", logged.String())
	}
	if !strings.Contains(logged.String(), "/api/v1/auth/sms/code") || !strings.Contains(rows, "+86138****0000") {
		t.Errorf("no log of requests or no audit:\n%s\n%s", logged.String(), rows)
	}
	// The store's file, as it lies there: its values and its names.
	for _, name := range []string{"kv.db", "kv.db-wal"} {
		b, err := os.ReadFile(filepath.Join(f.dir, name))
		if err != nil && name == "kv.db" {
			t.Fatal(err)
		}
		for _, code := range codes {
			if bytes.Contains(b, []byte(code)) {
				t.Errorf("%s holds the code %s", name, code)
			}
		}
		if bytes.Contains(b, []byte("1381234")) {
			t.Errorf("%s holds a phone", name)
		}
	}
}

// lockedBuffer is a log that many write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// everyRow is the audit log and what else holds text of ours, one row a line.
func everyRow(t *testing.T, f fixture) string {
	t.Helper()
	var out strings.Builder
	for _, table := range []string{"users", "sessions", "refresh_tokens", "audit", "one_time_links", "identities"} {
		var rows []map[string]any
		if err := f.DB.Read(t.Context(), func(tx *gorm.DB) error { return tx.Raw("SELECT * FROM " + table).Scan(&rows).Error }); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			for k, v := range r {
				if b, ok := v.([]byte); ok {
					v = string(b)
				}
				fmt.Fprintf(&out, "%s.%s=%v\n", table, k, v)
			}
		}
	}
	return out.String()
}

// A phone that an account gets was shown by a code of its own, and by the account's owner.
func TestSetPhone(t *testing.T) {
	f, p := newSMSFixture(t)
	url := f.serve(t, false)
	bearer := "Authorization: Bearer " + f.signedIn(t).access
	set := func(to sms.Phone, code, id, password string) (int, string) {
		resp, body := call(t, "PUT", url+"/api/v1/me/phone",
			fmt.Sprintf(`{"phone":%q,"code":%q,"requestId":%q,"currentPassword":%q}`, to, code, id, password), bearer)
		word, _ := object(t, body)["code"].(string)
		return resp.StatusCode, word
	}
	ask := func(to sms.Phone) (string, string) {
		resp, body := call(t, "POST", url+"/api/v1/me/phone/code", `{"phone":"`+string(to)+`"}`, bearer)
		if resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		return object(t, body)["requestId"].(string), p.code(t, to)
	}
	if resp, _ := call(t, "POST", url+"/api/v1/me/phone/code", `{"phone":"13800138000"}`); resp.StatusCode != 401 {
		t.Errorf("nobody's: %d", resp.StatusCode)
	}
	id, code := ask(bobPhone)
	for _, c := range []struct {
		name               string
		to                 sms.Phone
		code, id, password string
		status             int
		word               string
	}{
		{"no password", bobPhone, code, id, "", 403, "wrong_password"},
		{"a wrong password", bobPhone, code, id, "wrong", 403, "wrong_password"},
		{"a wrong code", bobPhone, wrong(code, 1), id, password, 401, "bad_code"},
		{"another phone", "+8613812345678", code, id, password, 401, "bad_code"},
		{"another request", bobPhone, code, "AAAA", password, 401, "bad_code"},
		{"no request", bobPhone, code, "", password, 401, "bad_code"},
		{"all right", bobPhone, code, id, password, 200, ""},
		{"again", bobPhone, code, id, password, 401, "bad_code"},
	} {
		if status, word := set(c.to, c.code, c.id, c.password); status != c.status || word != c.word {
			t.Errorf("%s: %d %s", c.name, status, word)
		}
	}
	if got := f.ann(t).Phone; got == nil || *got != string(bobPhone) {
		t.Errorf("%v", got)
	}
	if n := f.count(t, "audit WHERE action = 'phone.set' AND user_id = 1001 AND detail = ?", bobPhone.Masked()); n != 1 {
		t.Errorf("%d in the audit log", n)
	}
	// By the phone of before nobody enters ann's account; it makes a new one.
	oldID, oldCode := f.asked(t, p, annPhone)
	if a, err := f.bySMS(t.Context(), string(annPhone), oldCode, oldID, ""); err != nil || a.ID == 1001 {
		t.Errorf("%d, %v", a.ID, err)
	}
	// Which now has that phone: ann cannot have it back by showing it.
	f.forward(codePause)
	id, code = ask(annPhone)
	if status, word := set(annPhone, code, id, password); status != 409 || word != "phone_taken" {
		t.Errorf("another's: %d %s", status, word)
	}
	if got := f.ann(t).Phone; got == nil || *got != string(bobPhone) {
		t.Errorf("%v", got)
	}
}

// One phone that many accounts get at once becomes that of one of them.
func TestSetPhoneInParallel(t *testing.T) {
	f, _ := newSMSFixture(t)
	g := f.another(t)
	var mine []account
	for range 8 {
		a, err := f.create(t.Context(), newAccount{Role: roleUser}, "test")
		if err != nil {
			t.Fatal(err)
		}
		mine = append(mine, a)
	}
	var got atomic.Int64
	together(len(mine), func(i int) {
		s := f.Service
		if i%2 == 1 {
			s = g
		}
		switch err := s.setPhone(t.Context(), mine[i], bobPhone); {
		case err == nil:
			got.Add(1)
		case errs.CodeOf(err) != "phone_taken":
			t.Error(err)
		}
	})
	if n := f.count(t, "users WHERE phone = ?", string(bobPhone)); n != 1 || got.Load() != 1 {
		t.Errorf("%d have it, %d were told so", n, got.Load())
	}
}

// Without a password a phone is set by who signed in a moment ago, and by nobody who found the browser open.
func TestSetPhoneWithoutPassword(t *testing.T) {
	f, p := newSMSFixture(t)
	id, code := f.asked(t, p, bobPhone)
	bob, err := f.bySMS(t.Context(), string(bobPhone), code, id, "")
	if err != nil {
		t.Fatal(err)
	}
	const to = sms.Phone("+8613812345678")
	h := HTTP{Service: f.Service}
	// set signs bob in and gives the account the phone so long after.
	set := func(after time.Duration) error {
		tok, err := f.openTokens(t.Context(), bob, "sms")
		if err != nil {
			t.Fatal(err)
		}
		f.forward(after)
		who, err := f.byToken(t.Context(), tok.access)
		if err != nil {
			t.Fatal(err)
		}
		ctx := auth.With(t.Context(), auth.Principal{UserID: bob.ID, SessionID: who.GetSessionId(), Role: roleUser})
		sent, err := h.SendPhoneCode(ctx, &CodeRequest{Phone: string(to)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.SetPhone(ctx, &PhoneRequest{Phone: string(to), Code: p.code(t, to), RequestID: sent.RequestID})
		return err
	}
	if err := set(fresh + time.Millisecond); errs.CodeOf(err) != "reauthenticate" {
		t.Errorf("long after: %v", err)
	}
	if err := set(fresh); err != nil {
		t.Errorf("soon after: %v", err)
	}
	if a, err := f.account(t.Context(), "phone = ?", string(to)); err != nil || a.ID != bob.ID {
		t.Errorf("%+v, %v", a, err)
	}
}
