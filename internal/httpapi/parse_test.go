//lint:file-ignore SA5008 the tags are go-zero's

package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

// order has a field of every kind that a contract may have.
type order struct {
	ID    string   `path:"id"`
	Limit int      `form:"limit,default=100,range=[1:1000]"`
	Sort  string   `form:"sort,default=name,options=name|size"`
	Match string   `header:"If-Match,optional"`
	Name  string   `json:"name"`
	Size  int64    `json:"size,optional"`
	Deep  bool     `json:"deep,optional"`
	Tags  []string `json:"tags,optional"`
	Mode  string   `json:"mode,default=fail,options=fail|rename"`
	Parts []part   `json:"parts,optional"`
}

type part struct {
	N int `json:"n"`
}

// parse runs Parse as a route with :id would.
func parse(url, body string, headers ...string) (order, error) {
	r := httptest.NewRequest(http.MethodPost, url, strings.NewReader(body))
	r.SetPathValue("id", "5")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	var v order
	err := httpapi.Parse(r, &v)
	return v, err
}

func TestParseGood(t *testing.T) {
	for _, c := range []struct {
		name, url, body string
		want            order
	}{
		{"defaults", "/x", `{"name":"a"}`, order{"5", 100, "name", `"e"`, "a", 0, false, nil, "fail", nil}},
		{"all", "/x?limit=3&sort=size", `{"name":"文件","size":9223372036854775807,"deep":true,"tags":["b"],"mode":"rename","parts":[{"n":1},{"n":2}]}`,
			order{"5", 3, "size", `"e"`, "文件", 1<<63 - 1, true, []string{"b"}, "rename", []part{{1}, {2}}}},
		{"null is absent", "/x", `{"name":"a","size":null,"mode":null}`, order{"5", 100, "name", `"e"`, "a", 0, false, nil, "fail", nil}},
		{"surrogate pair", "/x", `{"name":"\ud83d\ude00"}`, order{"5", 100, "name", `"e"`, "😀", 0, false, nil, "fail", nil}},
		{"space around", "/x", " \r\n{\"name\":\"a\"}\t", order{"5", 100, "name", `"e"`, "a", 0, false, nil, "fail", nil}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parse(c.url, c.body, `If-Match: "e"`)
			if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

// A request without any header that its contract names gets their defaults, and is refused if one is needed.
func TestParseNoHeaders(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	var none struct {
		Match string `header:"If-Match,optional"`
	}
	if err := httpapi.Parse(r, &none); err != nil || none.Match != "" {
		t.Errorf("optional: %+v, %v", none, err)
	}
	var some struct {
		Match string `header:"If-Match,optional"`
		Mode  string `header:"Mode,default=fail"`
	}
	if err := httpapi.Parse(r, &some); err != nil || some.Mode != "fail" {
		t.Errorf("default: %+v, %v", some, err)
	}
	var all struct {
		Match string `header:"If-Match,optional"`
		Key   string `header:"Key"`
	}
	if err := httpapi.Parse(r, &all); errs.CodeOf(err) != "bad_field" {
		t.Errorf("needed: %+v, %v", all, err)
	}
}

// B002, B006: what is no JSON object of the contract is refused, with the field named where there is one and
// without repeating its value.
func TestParseBad(t *testing.T) {
	const secret = "c4nary"
	deep := strings.Repeat("[", 100_000)
	for _, c := range []struct {
		name, url, body string
		code            errs.Code
		field           errs.Field
	}{
		{"empty", "/x", ``, "bad_json", ""},
		{"null", "/x", `null`, "bad_json", ""},
		{"array", "/x", `[]`, "bad_json", ""},
		{"string", "/x", `"c4nary"`, "bad_json", ""},
		{"number", "/x", `1`, "bad_json", ""},
		{"open", "/x", `{`, "bad_json", ""},
		{"trailing garbage", "/x", `{"name":"a"}c4nary`, "bad_json", ""},
		{"second object", "/x", `{"name":"a"}{"name":"b"}`, "bad_json", ""},
		{"trailing comma", "/x", `{"name":"a",}`, "bad_json", ""},
		{"comment", "/x", `{"name":"a"/* c4nary */}`, "bad_json", ""},
		{"duplicate key", "/x", `{"name":"a","name":"c4nary"}`, "bad_json", ""},
		{"duplicate key, escaped", "/x", `{"name":"a","n\u0061me":"b"}`, "bad_json", ""},
		{"duplicate key below", "/x", `{"name":"a","tags":[{"a":1,"a":2}]}`, "bad_json", ""},
		{"NaN", "/x", `{"name":"a","size":NaN}`, "bad_json", ""},
		{"Infinity", "/x", `{"name":"a","size":-Infinity}`, "bad_json", ""},
		{"hex", "/x", `{"name":"a","size":0x10}`, "bad_json", ""},
		{"leading zero", "/x", `{"name":"a","size":007}`, "bad_json", ""},
		{"lone high surrogate", "/x", `{"name":"\ud800"}`, "bad_json", ""},
		{"lone low surrogate", "/x", `{"name":"\udc00a"}`, "bad_json", ""},
		{"not UTF-8", "/x", "{\"name\":\"\xff\"}", "bad_json", ""},
		{"CESU-8", "/x", "{\"name\":\"\xed\xa0\x80\"}", "bad_json", ""},
		{"overlong", "/x", "{\"name\":\"\xc0\xaf\"}", "bad_json", ""},
		{"byte order mark", "/x", "\ufeff{\"name\":\"a\"}", "bad_json", ""},
		{"control character", "/x", "{\"name\":\"a\nb\"}", "bad_json", ""},
		{"UTF-16", "/x", "\xff\xfe{\x00}\x00", "bad_json", ""},
		{"deep", "/x", `{"name":` + deep, "bad_json", ""},
		{"deep and closed", "/x", `{"tags":` + deep + strings.Repeat("]", 100_000) + `}`, "bad_json", ""},
		{"deep objects", "/x", strings.Repeat(`{"name":`, 100_000), "bad_json", ""},

		{"unknown field", "/x", `{"name":"a","other":"c4nary"}`, "unknown_field", "other"},
		{"other case", "/x", `{"Name":"a"}`, "unknown_field", "Name"},
		{"name of a path value", "/x", `{"name":"a","id":"6"}`, "unknown_field", "id"},
		{"name of a header", "/x", `{"name":"a","If-Match":"x"}`, "unknown_field", "If-Match"},
		{"prototype", "/x", `{"name":"a","__proto__":{}}`, "unknown_field", "__proto__"},
		{"missing", "/x", `{}`, "bad_field", "name"},
		{"null for what must be", "/x", `{"name":null}`, "bad_field", "name"},
		{"number for string", "/x", `{"name":1}`, "bad_field", "name"},
		{"bool for string", "/x", `{"name":true}`, "bad_field", "name"},
		{"array for string", "/x", `{"name":["c4nary"]}`, "bad_field", "name"},
		{"object for string", "/x", `{"name":{"c4nary":1}}`, "bad_field", "name"},
		{"string for int", "/x", `{"name":"a","size":"5"}`, "bad_field", "size"},
		{"word for int", "/x", `{"name":"a","size":"c4nary"}`, "bad_field", "size"},
		{"fraction for int", "/x", `{"name":"a","size":1.5}`, "bad_field", "size"},
		{"2^63", "/x", `{"name":"a","size":9223372036854775808}`, "bad_field", "size"},
		{"1e999", "/x", `{"name":"a","size":1e999}`, "bad_field", "size"},
		{"2^63 below", "/x", `{"name":"a","parts":[{"n":9223372036854775808}]}`, "bad_field", "parts"},
		{"bool for int", "/x", `{"name":"a","size":true}`, "bad_field", "size"},
		{"string for bool", "/x", `{"name":"a","deep":"true"}`, "bad_field", "deep"},
		{"int for bool", "/x", `{"name":"a","deep":1}`, "bad_field", "deep"},
		{"string for array", "/x", `{"name":"a","tags":"[\"c4nary\"]"}`, "bad_field", "tags"},
		{"object for array", "/x", `{"name":"a","tags":{"0":"c4nary"}}`, "bad_field", "tags"},
		{"ints in strings", "/x", `{"name":"a","tags":[1]}`, "bad_field", "tags"},
		{"null in an array", "/x", `{"name":"a","tags":[null]}`, "bad_field", "tags"},
		{"string for an object below", "/x", `{"name":"a","parts":["c4nary"]}`, "bad_field", "parts"},
		{"string for int below", "/x", `{"name":"a","parts":[{"n":"1"}]}`, "bad_field", "parts"},
		{"unknown below", "/x", `{"name":"a","parts":[{"n":1,"c4nary":1}]}`, "bad_field", "parts"},
		{"no such option", "/x", `{"name":"a","mode":"c4nary"}`, "bad_field", "mode"},

		{"limit 0", "/x?limit=0", `{"name":"a"}`, "bad_field", "limit"},
		{"limit negative", "/x?limit=-1", `{"name":"a"}`, "bad_field", "limit"},
		{"limit 2^63", "/x?limit=9223372036854775808", `{"name":"a"}`, "bad_field", "limit"},
		{"limit word", "/x?limit=c4nary", `{"name":"a"}`, "bad_field", "limit"},
		{"limit fraction", "/x?limit=1.0", `{"name":"a"}`, "bad_field", "limit"},
		{"limit empty", "/x?limit=", `{"name":"a"}`, "bad_field", "limit"},
		{"limit hex", "/x?limit=0x10", `{"name":"a"}`, "bad_field", "limit"},
		{"limit twice", "/x?limit=1&limit=c4nary", `{"name":"a"}`, "bad_field", "limit"},
		{"no such sort", "/x?sort=c4nary", `{"name":"a"}`, "bad_field", "sort"},
		{"half an escape", "/x?sort=%2", `{"name":"a"}`, "bad_query", ""},
		{"semicolon", "/x?sort=name;limit=1", `{"name":"a"}`, "bad_query", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse(c.url, c.body)
			var e *errs.Error
			if !errors.As(err, &e) || e.Kind != errs.Invalid || e.CodeOrKind() != c.code || e.Field != c.field {
				t.Fatalf("err = %v; want %s of field %q", err, c.code, c.field)
			}
			if c.code != "bad_query" && strings.Contains(err.Error(), secret) {
				t.Errorf("the error repeats the value: %v", err)
			}
			w := httptest.NewRecorder()
			httpapi.WriteProblem(w, httptest.NewRequest(http.MethodPost, "/x", nil), err)
			if w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), secret) {
				t.Errorf("answer %d %s", w.Code, w.Body)
			}
		})
	}
}

// A field's name is the caller's own text: it is cut short, and what is left of it is valid UTF-8.
func TestParseLongFieldName(t *testing.T) {
	_, err := parse("/x", `{"`+strings.Repeat("名", 100_000)+`":1}`)
	var e *errs.Error
	if !errors.As(err, &e) || e.Code != "unknown_field" || len(e.Field) > 80 || !utf8.ValidString(string(e.Field)) {
		t.Errorf("field of %d bytes: %v", len(e.Field), err)
	}
}

func TestParseContentType(t *testing.T) {
	for ct, good := range map[string]bool{
		"": true, "application/json": true, "Application/JSON; charset=utf-8": true,
		"text/plain": false, "application/x-www-form-urlencoded": false, "multipart/form-data; boundary=x": false,
		"application/json; =": false, "application/jsonp": false, "text/json": false,
	} {
		var headers []string
		if ct != "" {
			headers = []string{"Content-Type: " + ct}
		}
		_, err := parse("/x", `{"name":"a"}`, headers...)
		if good != (err == nil) || !good && (!errs.Is(errs.Unsupported, err) || errs.CodeOf(err) != "not_json") {
			t.Errorf("%q: %v", ct, err)
		}
	}
}

// L01, L08: JSON bodies are bounded by what arrives, whatever Content-Length says or does not say; those without
// one are read all the same.
func TestParseBodyLimit(t *testing.T) {
	addr := serve(t, &httpapi.Server{Routes: []httpapi.Route{
		httpapi.In(httpapi.Spec{Method: "POST", Path: "/api/v1/o/:id", Access: httpapi.Public}, func(context.Context, *order) error { return nil }),
	}})
	fits := `{"name":"` + strings.Repeat("a", httpapi.MaxJSON-len(`{"name":""}`)) + `"}`
	for _, c := range []struct {
		name, body string
		chunked    bool
		want       int
	}{
		{"chunked, small", `{"name":"a"}`, true, 204},
		{"chunked, at the limit", fits, true, 204},
		{"at the limit", fits, false, 204},
		{"chunked, one over", fits + " ", true, 413},
		{"one over", fits + " ", false, 413},
		{"chunked, far over", strings.Repeat(" ", 8<<20), true, 413},
		{"far over", strings.Repeat(" ", 8<<20), false, 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			var body interface{ Read([]byte) (int, error) } = strings.NewReader(c.body)
			if c.chunked {
				body = struct{ *bytes.Reader }{bytes.NewReader([]byte(c.body))} // net/http does not know its length
			}
			a := do(t, "POST", "http://"+addr+"/api/v1/o/5", body)
			if a.StatusCode != c.want {
				t.Fatalf("%d %.200s, want %d", a.StatusCode, a.body, c.want)
			}
			if c.want == 413 && a.problem(t).Code != "too_large" {
				t.Errorf("code %s", a.problem(t).Code)
			}
		})
	}
}

// Whatever arrives, Parse answers with an error of a kind that is the caller's fault, or with values that the
// contract allows.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"name":"a"}`, `{"name":"a","size":-1,"tags":["x"],"mode":"rename"}`, `{"name":1e999}`, `[]`, `{"tags":[[[]]]}`,
		`{"name":"a","tags":"[1]"}`, `{"name":{"a":null}}`, `{"mode":"other","name":""}`,
	} {
		f.Add("limit=1&sort=size", s)
	}
	f.Add("limit=%00&sort=%ff", `{"name":"\u0000"}`)
	f.Fuzz(func(t *testing.T, query, body string) {
		r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader(body))
		r.URL.RawQuery = query
		r.SetPathValue("id", "5")
		var v order
		err := httpapi.Parse(r, &v)
		switch {
		case err == nil:
			if v.Limit < 1 || v.Limit > 1000 || v.Sort != "name" && v.Sort != "size" ||
				v.Mode != "fail" && v.Mode != "rename" || !utf8.ValidString(v.Name) || v.ID != "5" {
				t.Fatalf("let %+v in", v)
			}
		case errs.Is(errs.Invalid, err), errs.Is(errs.TooLarge, err):
			var e *errs.Error
			if !errors.As(err, &e) || !utf8.ValidString(string(e.Field)) {
				t.Fatalf("field %q", e.Field)
			}
		default:
			t.Fatalf("%v", err)
		}
	})
}
