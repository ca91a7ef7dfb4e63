package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/livil/gopan/internal/errs"
)

// Problem is the body of every error (RFC 9457).
type Problem struct {
	// Type is "urn:gopan:problem:" and the code.
	Type string `json:"type"`
	// Title is a sentence in the reader's language.
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Code is a stable word for programs.
	Code string `json:"code"`
	// RequestID finds the cause in the log.
	RequestID string `json:"requestId"`
	// Fields are the parts of the request that are at fault.
	Fields []FieldProblem `json:"fields,omitempty"`
}

// FieldProblem is what is wrong with one part of the request.
type FieldProblem struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// statuses is the one table from kinds of errors to HTTP.
var statuses = map[errs.Kind]int{
	errs.Internal:        http.StatusInternalServerError,
	errs.Invalid:         http.StatusBadRequest,
	errs.Unauthenticated: http.StatusUnauthorized,
	errs.Denied:          http.StatusForbidden,
	errs.NotFound:        http.StatusNotFound,
	errs.Exists:          http.StatusConflict,
	errs.Conflict:        http.StatusConflict,
	errs.Stale:           http.StatusPreconditionFailed,
	errs.TooLarge:        http.StatusRequestEntityTooLarge,
	errs.OverQuota:       http.StatusInsufficientStorage,
	errs.Busy:            http.StatusServiceUnavailable,
	errs.Corrupt:         http.StatusInternalServerError,
	errs.Unsupported:     http.StatusUnsupportedMediaType,
	errs.TooMany:         http.StatusTooManyRequests,
	errs.Canceled:        499, // the caller has gone and will not read it; nginx's number for the log
}

// StatusOf is the HTTP status of an error.
func StatusOf(err error) int {
	switch errs.CodeOf(err) {
	case "method_not_allowed":
		return http.StatusMethodNotAllowed
	case "range_not_satisfiable":
		return http.StatusRequestedRangeNotSatisfiable
	case "provider_timeout":
		return http.StatusGatewayTimeout
	}
	return statuses[errs.KindOf(err)]
}

var languages = language.NewMatcher([]language.Tag{language.English, language.Chinese})

// readerLanguage picks "en" or "zh" by Accept-Language.
func readerLanguage(r *http.Request) string {
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return "en"
	}
	if _, i, _ := languages.Match(tags...); i == 1 {
		return "zh"
	}
	return "en"
}

// WriteProblem answers with an error. The cause stays here; the reader gets a sentence and a request id.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	status, code, lang := StatusOf(err), string(errs.CodeOf(err)), readerLanguage(r)
	p := Problem{
		Type: "urn:gopan:problem:" + code, Title: sentence(lang, code, errs.KindOf(err)), Status: status, Code: code,
		RequestID: requestID(r.Context()),
	}
	var e *errs.Error
	var after time.Duration
	if errors.As(err, &e) {
		after = e.RetryAfter
		if e.Field != "" {
			p.Fields = []FieldProblem{{Field: string(e.Field), Code: code, Message: p.Title}}
		}
	}
	if all := fieldProblems(err, lang); all != nil {
		p.Fields = all
	}
	if after > 0 || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout || status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(after.Seconds())))))
	}
	h := w.Header()
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", challenge(r))
	}
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Disposition", "ETag", "Last-Modified", "Repr-Digest"} {
		h.Del(name)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Language", lang)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	body, merr := json.Marshal(p)
	if merr != nil {
		body = fmt.Appendf(nil, `{"status":%d,"code":%q}`, status, code)
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n')) // the caller may have gone; there is nobody else to tell
	}
}

// challenge says how to show who one is. Only programs that know Basic hear of it: browsers would ask for a password
// themselves.
func challenge(r *http.Request) string {
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Basic") {
		return `Basic realm="gopan", charset="UTF-8"`
	}
	return `Bearer realm="gopan"`
}

// Outcome is what a Problem would say of an error that is one of several in an answer.
func Outcome(r *http.Request, err error) (status int, code, title string) {
	code = string(errs.CodeOf(err))
	return StatusOf(err), code, sentence(readerLanguage(r), code, errs.KindOf(err))
}

// WriteJSON answers with a value.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return errs.E(errs.Internal, "httpapi.WriteJSON", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // as above
	return nil
}
