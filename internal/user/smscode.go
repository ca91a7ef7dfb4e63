package user

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/sms"
)

// A code by SMS (promise S10).
const (
	codeLife     = 5 * time.Minute
	codeAttempts = 5
	codePause    = time.Minute
)

// perPhone is how many messages one phone gets, within any time that is so long.
var perPhone = []struct {
	n      int64
	window time.Duration
}{{1, codePause}, {5, time.Hour}, {10, 24 * time.Hour}}

// pending is what kv knows of a code that was sent: nothing that tells the code or the phone.
type pending struct {
	RequestID string `json:"r"`
	MAC       []byte `json:"m"`
	Left      int    `json:"l"`
	Until     int64  `json:"u"` // milliseconds since 1970
}

// Purposes of a code: one that was sent for one is worth nothing for another.
const signInCode = "sign in"

func phoneCode(user int64) string { return "phone of " + strconv.FormatInt(user, 10) }

func (s *Service) phone(text string) (sms.Phone, error) {
	region := s.Region
	if region == "" {
		region = "CN"
	}
	return sms.Parse(text, region)
}

// sendCode sends a code for a purpose to a phone, whether or not an account has that phone. Nothing but the message
// itself holds the code. The id that comes back binds it to who asked.
func (s *Service) sendCode(ctx context.Context, to sms.Phone, purpose string) (requestID string, err error) {
	const op = errs.Op("user.sendCode")
	if s.SMS == nil {
		return "", errs.E(errs.Denied, op, errs.Code("sms_off"))
	}
	if purpose == signInCode {
		if err := s.offered(ctx, byPhone); err != nil {
			return "", errs.Wrap(op, err)
		}
	}
	l := s.limits()
	if err := s.atMost(ctx, s.key("sms-from", address(ctx)), l.AddressMessages, time.Hour, "too_many"); err != nil {
		return "", errs.Wrap(op, err)
	}
	if err := s.spare(ctx, to); err != nil {
		return "", errs.Wrap(op, err)
	}
	if err := s.atMost(ctx, s.key("sms-all"), l.AllMessages, 24*time.Hour, "sms_unavailable"); err != nil {
		return "", errs.Wrap(op, err)
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", errs.E(errs.Internal, op, err)
	}
	code := fmt.Sprintf("%06d", n)
	p := pending{RequestID: rand.Text(), Left: codeAttempts, Until: s.now().Add(codeLife).UnixMilli()}
	p.MAC = s.codeMAC(to, purpose, p.RequestID, code)
	b, err := json.Marshal(p)
	if err != nil {
		return "", errs.E(errs.Internal, op, err)
	}
	key := s.codeKey(to, purpose)
	if err := s.KV.Set(ctx, key, b, codeLife); err != nil {
		return "", errs.Wrap(op, err)
	}
	if err := s.record(ctx, "sms.send", 0, to.Masked()); err != nil {
		return "", errs.Wrap(op, err)
	}
	if err := s.SMS.Send(ctx, to, sms.Message{Code: code, Life: codeLife}); err != nil {
		// A code that nobody got is good for nothing. Where this fails too it ends by itself, and nobody knows it.
		_ = s.KV.Delete(context.WithoutCancel(ctx), key)
		return "", errs.Wrap(op, err)
	}
	return p.RequestID, nil
}

// spare counts a message to a phone, unless it got as many as it may.
func (s *Service) spare(ctx context.Context, to sms.Phone) error {
	const op = errs.Op("user.spare")
	for {
		h, err := s.history(ctx, s.key("sms-to", string(to)), perPhone[len(perPhone)-1].window)
		if err != nil {
			return errs.Wrap(op, err)
		}
		var left time.Duration
		for _, p := range perPhone {
			left = max(left, h.wait(p.n, p.window))
		}
		if left > 0 {
			return errs.E(errs.TooMany, op, errs.Code("code_wait"), left)
		}
		if mine, err := h.put(ctx, append(h.times, s.now().UnixMilli()), false); err != nil || mine {
			return errs.Wrap(op, err)
		}
	}
}

func (s *Service) codeKey(to sms.Phone, purpose string) string {
	return s.key("sms-code", string(to), purpose)
}

func (s *Service) codeMAC(to sms.Phone, purpose, requestID, code string) []byte {
	return s.mac("sms code", string(to), purpose, requestID, code)
}

// shown is a code that was right. It is used up by take, and as good as before after giveBack.
type shown struct {
	s     *Service
	key   string
	state []byte
	p     pending
}

// showCode judges a code. Each judging counts, before it is made. Whatever is wrong, the answer is the same.
func (s *Service) showCode(ctx context.Context, to sms.Phone, purpose, requestID, code string) (*shown, error) {
	const op = errs.Op("user.showCode")
	bad := errs.E(errs.Unauthenticated, op, errs.Code("bad_code"), errs.Field("code"))
	key := s.codeKey(to, purpose)
	for {
		b, err := s.KV.Get(ctx, key)
		if errs.Is(errs.NotFound, err) {
			return nil, bad
		}
		if err != nil {
			return nil, errs.Wrap(op, err)
		}
		var p pending
		if string(b) == string(taken) || json.Unmarshal(b, &p) != nil || p.Left < 1 || p.Until <= s.now().UnixMilli() {
			return nil, bad
		}
		if requestID != p.RequestID {
			return nil, bad // and no attempt at the code: who did not ask for it can neither guess it nor spend it
		}
		p.Left--
		h := &shown{s: s, key: key, state: b, p: p}
		mine, err := h.put(ctx, p)
		if err != nil {
			return nil, errs.Wrap(op, err)
		}
		if !mine {
			continue // another attempt came between
		}
		if !hmac.Equal(p.MAC, s.codeMAC(to, purpose, p.RequestID, code)) {
			return nil, bad
		}
		return h, nil
	}
}

func (h *shown) swap(ctx context.Context, b []byte) (bool, error) {
	left := time.UnixMilli(h.p.Until).Sub(h.s.now())
	mine, err := h.s.KV.Swap(ctx, h.key, h.state, b, max(left, time.Second))
	if mine {
		h.state = b
	}
	return mine, err
}

func (h *shown) put(ctx context.Context, p pending) (bool, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return false, errs.E(errs.Internal, "user.put", err)
	}
	return h.swap(ctx, b)
}

// take uses the code up; of several that were shown it at once, one can.
func (h *shown) take(ctx context.Context) error {
	const op = errs.Op("user.take")
	for {
		mine, err := h.swap(ctx, taken)
		if err != nil || mine {
			return errs.Wrap(op, err)
		}
		// A wrong attempt may have come between; the code itself is as right as before.
		b, err := h.s.KV.Get(ctx, h.key)
		if err != nil && !errs.Is(errs.NotFound, err) {
			return errs.Wrap(op, err)
		}
		var p pending
		if err != nil || string(b) == string(taken) || json.Unmarshal(b, &p) != nil || p.RequestID != h.p.RequestID {
			return errs.E(errs.Unauthenticated, op, errs.Code("bad_code"), errs.Field("code"))
		}
		h.state = b
	}
}

// giveBack has the code as good as before: something else was missing. Where somebody came between it costs an
// attempt, which harms nobody.
func (h *shown) giveBack(ctx context.Context) error {
	p := h.p
	p.Left++
	_, err := h.put(ctx, p)
	return errs.Wrap("user.giveBack", err)
}
