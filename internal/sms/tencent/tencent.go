// Package tencent sends messages by Tencent Cloud SMS, with the provider's own SDK.
package tencent

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common"
	sdkerrors "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/errors"
	"github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/common/profile"
	tsms "github.com/tencentcloud/tencentcloud-sdk-go/tencentcloud/sms/v20210111"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/sms"
)

// Options say as whom to send, and what.
type Options struct {
	// SecretID and SecretKey of the API; the key is a secret.
	SecretID, SecretKey string
	// Region of the API, such as "ap-guangzhou".
	Region string
	// Endpoint is the API's URL where it is not the provider's own.
	Endpoint string
	// AppID, Sign and Template as the provider's console shows them. The template takes two parameters: the code, and
	// for how many minutes it works.
	AppID, Sign, Template string
	// Timeout of one call; 0 means 10 s.
	Timeout time.Duration
}

// Sender sends by Tencent Cloud SMS.
type Sender struct {
	client *tsms.Client
	o      Options
}

var _ sms.Sender = (*Sender)(nil)

// maxAnswer bounds how much of an answer is read, in bytes.
const maxAnswer = 1 << 20

// New makes a Sender; nothing is asked of the provider before the first message.
func New(o Options) (*Sender, error) {
	const op = errs.Op("tencent.New")
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	p := profile.NewClientProfile()
	// The time of a call is bound by Send, which then knows that it was the time; the SDK's bounds come after it.
	p.HttpProfile.ReqTimeout = int(o.Timeout.Seconds()) + 2
	p.NetworkFailureMaxRetries, p.RateLimitExceededMaxRetries = 0, 0 // a message that may have gone out is not sent again
	p.DisableRegionBreaker = true
	if o.Endpoint != "" {
		scheme, host, ok := strings.Cut(o.Endpoint, "://")
		if !ok {
			return nil, errs.E(errs.Invalid, op, errors.New("endpoint: no URL"))
		}
		p.HttpProfile.Scheme, p.HttpProfile.Endpoint = scheme, host
	}
	c, err := tsms.NewClient(common.NewCredential(o.SecretID, o.SecretKey), o.Region, p)
	if err != nil {
		return nil, errs.E(errs.Invalid, op, err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.IdleConnTimeout = 30 * time.Second
	c.WithHttpTransport(bounded{transport})
	return &Sender{client: c, o: o}, nil
}

// bounded reads no more than maxAnswer of an answer: the SDK would read all of it.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// Send implements sms.Sender.
func (s *Sender) Send(ctx context.Context, to sms.Phone, m sms.Message) error {
	const op = errs.Op("tencent.Send")
	away := func(why string) error {
		return errs.E(errs.Busy, op, errs.Code("sms_unavailable"), time.Minute, errors.New(why))
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	req := tsms.NewSendSmsRequest()
	req.SmsSdkAppId, req.SignName, req.TemplateId = &s.o.AppID, &s.o.Sign, &s.o.Template
	req.PhoneNumberSet = common.StringPtrs([]string{string(to)})
	req.TemplateParamSet = common.StringPtrs([]string{m.Code, strconv.Itoa(int(m.Life.Minutes()))})
	resp, err := s.client.SendSmsWithContext(ctx, req)
	if err != nil {
		// The SDK's own words may repeat the request, code and all. What it knows for certain is enough.
		if ctx.Err() != nil {
			return away("no answer in time")
		}
		var answered *sdkerrors.TencentCloudSDKError
		if errors.As(err, &answered) && answered.GetCode() != "ClientError.NetworkError" {
			return s.refused(answered.GetCode())
		}
		return away("cannot be reached")
	}
	if resp == nil || resp.Response == nil || len(resp.Response.SendStatusSet) != 1 || resp.Response.SendStatusSet[0] == nil {
		return away("an answer without a status")
	}
	status := resp.Response.SendStatusSet[0]
	if status.Code == nil || *status.Code != "Ok" {
		code := ""
		if status.Code != nil {
			code = *status.Code
		}
		return s.refused(code)
	}
	return nil
}

// wrongNumber are the provider's words for a number that cannot get messages.
var wrongNumber = []string{
	"InvalidParameterValue.IncorrectPhoneNumber", "FailedOperation.PhoneNumberInBlacklist",
	"UnsupportedOperation.UnsupportedRegion", "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone",
	"UnsupportedOperation.GlobalTemplateToChineseMainlandPhone",
}

// refused is the error for one of the provider's codes, https://cloud.tencent.com/document/product/382/55981.
func (s *Sender) refused(code string) error {
	const op = errs.Op("tencent.Send")
	known := strings.Map(func(r rune) rune {
		if r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, code)
	if len(known) > 100 {
		known = known[:100]
	}
	for _, w := range wrongNumber {
		if code == w {
			return errs.E(errs.Invalid, op, errs.Code("bad_phone"), errs.Field("phone"), errors.New(known))
		}
	}
	return errs.E(errs.Busy, op, errs.Code("sms_unavailable"), time.Minute, errors.New("the provider refused: "+known))
}
