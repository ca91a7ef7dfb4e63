package tencent_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/sms"
	"github.com/livil/gopan/internal/sms/smstest"
	"github.com/livil/gopan/internal/sms/tencent"
)

const (
	phone = sms.Phone("+8613800138000")
	code  = "493817"
	key   = "c4nary-secret-key"
)

func endpoint(t *testing.T) (*smstest.Server, tencent.Options) {
	t.Helper()
	s := &smstest.Server{SecretID: "AKIDtest", SecretKey: key}
	ts := httptest.NewServer(s)
	t.Cleanup(ts.Close)
	return s, tencent.Options{
		SecretID: s.SecretID, SecretKey: s.SecretKey, Region: "ap-guangzhou", Endpoint: ts.URL,
		AppID: "1400006666", Sign: "Gopan", Template: "449739", Timeout: time.Second,
	}
}

func send(t *testing.T, o tencent.Options) error {
	t.Helper()
	s, err := tencent.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s.Send(t.Context(), phone, sms.Message{Code: code, Life: 5 * time.Minute})
}

func TestSend(t *testing.T) {
	s, o := endpoint(t)
	if err := send(t, o); err != nil {
		t.Fatal(err)
	}
	got := s.Sent()
	if len(got) != 1 || got[0].Phone != string(phone) || !slices.Equal(got[0].Params, []string{code, "5"}) ||
		got[0].App != o.AppID || got[0].Sign != o.Sign || got[0].Template != o.Template {
		t.Errorf("%+v", got)
	}
}

// F46, S17: whatever the provider does, a message is asked for once, the error says whether it is the number's fault, and
// holds neither the code nor the key.
func TestProviderFails(t *testing.T) {
	s, o := endpoint(t)
	busy, invalid := errs.Code("sms_unavailable"), errs.Code("bad_phone")
	for _, c := range []struct {
		name string
		odd  http.HandlerFunc
		want errs.Code
	}{
		{"500", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down "+code, 500) }, busy},
		{"200 with an error", smstest.Error("InternalError", "x "+code), busy},
		{"too many", smstest.Error("LimitExceeded.PhoneNumberDailyLimit", ""), busy},
		{"no money", smstest.Status("FailedOperation.InsufficientBalanceInSmsPackage"), busy},
		{"a wrong number", smstest.Status("InvalidParameterValue.IncorrectPhoneNumber"), invalid},
		{"a wrong number as an error", smstest.Error("InvalidParameterValue.IncorrectPhoneNumber", ""), invalid},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, busy},
		{"nothing", func(http.ResponseWriter, *http.Request) {}, busy},
		{"an empty set", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"Response":{"SendStatusSet":[]}}`)
		}, busy},
		{"null", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"Response":{"SendStatusSet":[null]}}`)
		}, busy},
		{"10 MB", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat(" ", 10<<20)) }, busy},
		{"cut off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, busy},
		{"a hang", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, busy},
	} {
		s.Behave(c.odd)
		before := s.Calls()
		err := send(t, o)
		if errs.CodeOf(err) != c.want || strings.Contains(err.Error(), code) || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", c.name, err)
		}
		if n := s.Calls() - before; n != 1 {
			t.Errorf("%s: asked %d times", c.name, n)
		}
	}
	if len(s.Sent()) != 0 {
		t.Errorf("%v", s.Sent())
	}
}

// The endpoint of the tests lets no wrong signature pass: else the tests above would prove nothing.
func TestWrongKey(t *testing.T) {
	s, o := endpoint(t)
	for _, change := range []func(*tencent.Options){
		func(o *tencent.Options) { o.SecretKey = "other" }, func(o *tencent.Options) { o.SecretID = "other" },
	} {
		o := o
		change(&o)
		if err := send(t, o); errs.CodeOf(err) != "sms_unavailable" || !strings.Contains(err.Error(), "AuthFailure") {
			t.Errorf("%v", err)
		}
	}
	if s.Calls() != 0 {
		t.Error("taken")
	}
}

func TestAway(t *testing.T) {
	_, o := endpoint(t)
	o.Endpoint = "http://127.0.0.1:1"
	if err := send(t, o); errs.CodeOf(err) != "sms_unavailable" {
		t.Errorf("%v", err)
	}
	s, err := tencent.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Send(ctx, phone, sms.Message{Code: code}); err == nil {
		t.Error("sent for somebody who had gone")
	}
}
