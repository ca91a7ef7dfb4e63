// Package sms sends one text message with a code to one phone.
package sms

import (
	"context"
	"time"

	"github.com/nyaruka/phonenumbers"

	"github.com/livil/gopan/internal/errs"
)

// Phone is a number in E.164: "+8613800138000".
type Phone string

// Parse reads a number as people write it. One without a country's code is of the region, such as "CN".
// What cannot be a phone's number is errs.Invalid with the code bad_phone.
func Parse(text, region string) (Phone, error) {
	const op = errs.Op("sms.Parse")
	if len(text) > 64 {
		return "", errs.E(errs.Invalid, op, errs.Code("bad_phone"), errs.Field("phone"))
	}
	n, err := phonenumbers.Parse(text, region)
	if err != nil || !phonenumbers.IsValidNumber(n) || n.GetExtension() != "" || !mobile(n) {
		return "", errs.E(errs.Invalid, op, errs.Code("bad_phone"), errs.Field("phone"))
	}
	return Phone(phonenumbers.Format(n, phonenumbers.E164)), nil
}

// mobile tells whether a number may be a mobile phone's. Messages to others get lost, and some of those cost whoever
// sends them a fortune, which is what they are for.
func mobile(n *phonenumbers.PhoneNumber) bool {
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE, phonenumbers.PERSONAL_NUMBER:
		return true
	}
	return false
}

// Masked hides the middle of the number, for whoever need not know it: "+86138****8000".
func (p Phone) Masked() string {
	if len(p) < 9 {
		return "****"
	}
	return string(p[:len(p)-8]) + "****" + string(p[len(p)-4:])
}

// Message is a code that somebody waits for.
type Message struct {
	// Code is secret: it goes to the phone and nowhere else, no error and no log among them.
	Code string
	// Life is how long the code works.
	Life time.Duration
}

// Sender sends messages. Send returns nil once the provider has taken the message; it never sends one twice.
// errs.Busy, with the code sms_unavailable, when the provider is away, refuses or does not answer in time;
// errs.Invalid, with the code bad_phone, when it says that the number cannot get messages.
type Sender interface {
	Send(ctx context.Context, to Phone, m Message) error
}
