package sms_test

import (
	"strings"
	"testing"

	"github.com/livil/gopan/internal/sms"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]sms.Phone{
		"13800138000": "+8613800138000", "+86 138-0013-8000": "+8613800138000", "138 0013 8000": "+8613800138000",
		"0086 13800138000": "+8613800138000", "１３８００１３８０００": "+8613800138000", "+1 415 555 2671": "+14155552671",
		"": "", "1380013800": "", "138001380001": "", "hello": "", "+999 1234567": "", "13800138000 ext. 5": "",
		"010-12345678": "", "+1 900 555 0123": "", "+44 909 879 0000": "", // no mobile phones, and worse
		"+86": "", "13800138000'--": "", strings.Repeat("1", 70): "",
	} {
		if got, err := sms.Parse(in, "CN"); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	if got := sms.Phone("+8613800138000").Masked(); got != "+86138****8000" {
		t.Error(got)
	}
}
