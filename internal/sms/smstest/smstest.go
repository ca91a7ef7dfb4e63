// Package smstest is an endpoint that answers as Tencent Cloud SMS does, for tests: it checks every signature itself.
package smstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is the endpoint. What it does next is up to its fields, which Set changes while it runs.
type Server struct {
	// SecretID and SecretKey that requests must be signed with.
	SecretID, SecretKey string

	mu    sync.Mutex
	sent  []Sent
	calls int
	odd   http.HandlerFunc
}

// Sent is a message that was taken.
type Sent struct {
	Phone, App, Sign, Template string
	Params                     []string
}

// Behave has the endpoint answer by another handler, after it has checked the signature; nil makes it behave well again.
func (s *Server) Behave(odd http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.odd = odd
}

// Sent gives the messages that were taken.
func (s *Server) Sent() []Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Sent(nil), s.sent...)
}

// Calls is how many requests with a good signature came.
func (s *Server) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // the caller has gone
	}
	if err := s.signed(r, body); err != nil {
		Error("AuthFailure.SignatureFailure", err.Error())(w, r)
		return
	}
	s.mu.Lock()
	s.calls++
	odd := s.odd
	s.mu.Unlock()
	if odd != nil {
		odd(w, r)
		return
	}
	var req struct {
		PhoneNumberSet, TemplateParamSet  []string
		SmsSdkAppId, SignName, TemplateId string
	}
	if err := json.Unmarshal(body, &req); err != nil || len(req.PhoneNumberSet) != 1 || r.Header.Get("X-TC-Action") != "SendSms" {
		Error("InvalidParameter", "not a message")(w, r)
		return
	}
	s.mu.Lock()
	s.sent = append(s.sent, Sent{req.PhoneNumberSet[0], req.SmsSdkAppId, req.SignName, req.TemplateId, req.TemplateParamSet})
	s.mu.Unlock()
	Status("Ok")(w, r)
}

// Status answers that one message was taken, or with another code for its number.
func Status(code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"SendStatusSet": []any{map[string]any{
			"SerialNo": "1", "PhoneNumber": "", "Fee": 1, "SessionContext": "", "Code": code, "Message": "", "IsoCode": "CN",
		}}})
	}
}

// Error answers with an error, with status 200 as Tencent does.
func Error(code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"Error": map[string]string{"Code": code, "Message": message}})
	}
}

func answer(w http.ResponseWriter, v map[string]any) {
	v["RequestId"] = "test"
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"Response": v}) // the caller may have gone
}

// signed checks a request's signature by method v3 (TC3-HMAC-SHA256), as
// https://cloud.tencent.com/document/api/382/52072 describes it.
func (s *Server) signed(r *http.Request, body []byte) error {
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "TC3-HMAC-SHA256 ")
	if !ok {
		return fmt.Errorf("not signed by TC3-HMAC-SHA256")
	}
	part := map[string]string{}
	for _, p := range strings.Split(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		part[k] = v
	}
	stamp := r.Header.Get("X-TC-Timestamp")
	sec, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || time.Since(time.Unix(sec, 0)).Abs() > 5*time.Minute {
		return fmt.Errorf("signed at another time")
	}
	date := time.Unix(sec, 0).UTC().Format("2006-01-02")
	scope := date + "/sms/tc3_request"
	if part["Credential"] != s.SecretID+"/"+scope {
		return fmt.Errorf("signed by another key")
	}
	canonical := r.Method + "\n/\n" + r.URL.RawQuery + "\n"
	var hasType, hasHost bool
	for _, name := range strings.Split(part["SignedHeaders"], ";") {
		value := r.Header.Get(name)
		if name == "host" {
			value, hasHost = r.Host, true
		}
		hasType = hasType || name == "content-type"
		canonical += name + ":" + strings.ToLower(strings.TrimSpace(value)) + "\n"
	}
	if !hasType || !hasHost {
		return fmt.Errorf("content-type and host must be signed")
	}
	canonical += "\n" + part["SignedHeaders"] + "\n" + hexSum(body)
	text := "TC3-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hexSum([]byte(canonical))
	key := mac([]byte("TC3"+s.SecretKey), date)
	key = mac(mac(key, "sms"), "tc3_request")
	if !hmac.Equal([]byte(hex.EncodeToString(mac(key, text))), []byte(part["Signature"])) {
		return fmt.Errorf("the signature is wrong")
	}
	return nil
}

func hexSum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
