package user

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/sms"
)

// as signs an account in as a program, and gives the header that says so.
func (f fixture) as(t *testing.T, id int64) string {
	t.Helper()
	a, err := f.account(t.Context(), "id = ?", id)
	if err != nil || a.ID == 0 {
		t.Fatal(a, err)
	}
	got, err := f.openTokens(t.Context(), a, "test")
	if err != nil {
		t.Fatal(err)
	}
	return "Authorization: Bearer " + got.access
}

// The accounts of a fixture.
const (
	admin = 1000
	ann   = 1001
)

// fetch calls, and fails unless the answer has this status and, for a problem, this code.
func fetch(t *testing.T, status int, code, method, url, body string, headers ...string) string {
	t.Helper()
	resp, got := call(t, method, url, body, headers...)
	if resp.StatusCode != status || code != "" && !strings.Contains(got, `"code":"`+code+`"`) {
		t.Errorf("%s %s: %d %s, want %d %s", method, url[strings.Index(url, "/api/"):], resp.StatusCode, got, status, code)
	}
	return got
}

// get is fetch of what is there, read into a T.
func get[T any](t *testing.T, url string, headers ...string) (out T) {
	t.Helper()
	read(t, fetch(t, 200, "", "GET", url, "", headers...), &out)
	return out
}

// post is fetch of what answers 200, read into a T.
func post[T any](t *testing.T, method, url, body string, headers ...string) (out T) {
	t.Helper()
	read(t, fetch(t, 200, "", method, url, body, headers...), &out)
	return out
}

func read(t *testing.T, text string, to any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), to); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// body makes a request's body of names and values.
func body(pairs ...string) string {
	m := make(map[string]string)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	b, _ := json.Marshal(m) // strings
	return string(b)
}

// sureBody is the body that shows the password.
const sureBody = `{"currentPassword":"` + password + `"}`

// number gives one number that a query finds.
func (f fixture) number(t *testing.T, query string, args ...any) (n int64) {
	t.Helper()
	if err := f.DB.Read(t.Context(), func(tx *gorm.DB) error { return tx.Raw(query, args...).Scan(&n).Error }); err != nil {
		t.Fatal(err)
	}
	return n
}

// log gives the events of an action, the latest first; "" is all actions.
func (f fixture) log(t *testing.T, action string) []event {
	t.Helper()
	list, err := f.events(t.Context(), eventFilter{action: action}, mark{}, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// together runs fn n times at once, the i-th time on process i of two, and counts the successes. Failures must be what
// refused says.
func (f fixture) together(t *testing.T, n int, fn func(s *Service, i int) error, refused func(error) bool) (successes int) {
	t.Helper()
	processes := []*Service{f.Service, f.another(t)}
	processes[1].PublicURL = f.PublicURL
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		wg.Go(func() {
			err := fn(processes[i%2], i)
			for errs.Is(errs.Busy, err) { // a server may have more to do than connections; people try again
				err = fn(processes[i%2], i)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				successes++
			case !refused(err):
				t.Errorf("attempt %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	return successes
}

// again gives a header that still lets an account in: this one, or one of a new sign-in where it does not any more.
func (f fixture) again(t *testing.T, header string, id int64) string {
	t.Helper()
	_, err := f.byToken(t.Context(), strings.TrimPrefix(header, "Authorization: Bearer "))
	if err == nil {
		return header
	}
	if a, err := f.account(t.Context(), "id = ?", id); err != nil || a.DisabledAt > 0 {
		return header
	}
	return f.as(t, id)
}

// nowhere is a sender whose messages go nowhere.
type nowhere struct{}

func (nowhere) Send(context.Context, sms.Phone, sms.Message) error { return nil }
