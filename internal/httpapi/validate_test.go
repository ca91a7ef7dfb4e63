//lint:file-ignore SA5008 go-zero's decoder reads options that encoding/json does not have.

package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/httpapi"
)

// ruled has a field for each of our rules, and some in a list.
type ruled struct {
	Phone    string        `json:"phone,optional" validate:"omitempty,phone"`
	Code     string        `json:"code,optional" validate:"omitempty,smscode"`
	Login    string        `json:"login,optional" validate:"omitempty,login"`
	Name     string        `json:"name,optional" validate:"personname"`
	Label    string        `json:"label,optional" validate:"omitempty,label"`
	Password string        `json:"password,optional" validate:"omitempty,password"`
	When     string        `json:"when,optional" validate:"omitempty,cron"`
	Size     int64         `json:"size,optional" validate:"size"`
	Note     string        `json:"note,optional" validate:"max=3"`
	Members  []ruledMember `json:"members,optional" validate:"dive"`
}

type ruledMember struct {
	Phone string `json:"phone" validate:"phone"`
}

// parsed is what a request with this body is answered by, in a language.
func parsed(t *testing.T, body, language string) (status int, p httpapi.Problem) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept-Language", language)
	err := httpapi.Parse(r, new(ruled))
	if err == nil {
		return http.StatusOK, p
	}
	w := httptest.NewRecorder()
	httpapi.WriteProblem(w, r, err)
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	return w.Code, p
}

// Every rule takes what it should and refuses what it should, and says in either language, at the field, what is wanted
// and never what was given.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		field, path string // the field's JSON, with %s for the value, and its path
		good, bad   []string
		en, zh      string
	}{
		{`"phone":%s`, "phone", []string{`"13800138000"`, `"+86 138-0013-8000"`, `"１３８００１３８０００"`, `"+1 (415) 555-0100"`},
			[]string{`"c4nary"`, `"138"`, `"1380013800013800138000"`, `"13800138000;rm"`, `"138+00138000"`, `"\u200b13800138000"`},
			"Enter a phone number", "请输入手机号"},
		{`"code":%s`, "code", []string{`"000000"`}, []string{`"12345"`, `"1234567"`, `"12345a"`, `"１２３４５６"`, `"123456\n"`}, "six digits", "6 位数字"},
		{`"login":%s`, "login", []string{`"ann"`, `"安娜"`, `"a.b_c-d@e"`}, []string{`"a"`, `"a b"`, `"a/b"`, `"a\u0000b"`, `"` + strings.Repeat("c", 65) + `"`},
			"A login has", "用户名为"},
		{`"name":%s`, "name", []string{`""`, `"Anna 安娜"`}, []string{`" Anna"`, `"A\nB"`, `"A\u202eB"`, `"` + strings.Repeat("n", 65) + `"`}, "A name has at most", "姓名最多"},
		{`"label":%s`, "label", []string{`"Laptop"`}, []string{`" "`, `"A\tB"`, `"` + strings.Repeat("n", 65) + `"`}, "A name has 1", "名称为 1"},
		{`"password":%s`, "password", []string{`"correct horse"`, `"八个字符的密码吧"`}, []string{`"1234567"`, `"` + strings.Repeat("p", 1025) + `"`}, "A password has", "密码长度"},
		{`"when":%s`, "when", []string{`"30 4 * * 1"`, `"*/5 * * * *"`, `"@daily"`}, []string{`"c4nary"`, `"* *"`, `"61 4 * * * * * *"`}, "as cron writes", "cron 表达式"},
		{`"size":%s`, "size", []string{`0`, `9007199254740991`}, []string{`-1`, `9007199254740992`}, "whole number of bytes", "字节数"},
		{`"note":%s`, "note", []string{`"abc"`, `"三个字"`}, []string{`"abcd"`}, "note", "note"},
		{`"members":[{"phone":"13800138000"},{"phone":%s}]`, "members[1].phone", []string{`"13800138001"`}, []string{`"c4nary"`}, "Enter a phone number", "请输入手机号"},
	} {
		for _, v := range c.good {
			if status, p := parsed(t, "{"+strings.ReplaceAll(c.field, "%s", v)+"}", "en"); status != http.StatusOK {
				t.Errorf("%s = %s: %d %+v", c.path, v, status, p)
			}
		}
		for _, v := range c.bad {
			for lang, want := range map[string]string{"en-GB, fr;q=0.5": c.en, "zh-CN": c.zh} {
				status, p := parsed(t, "{"+strings.ReplaceAll(c.field, "%s", v)+"}", lang)
				if status != http.StatusBadRequest || len(p.Fields) != 1 || p.Fields[0].Field != c.path || !strings.Contains(p.Fields[0].Message, want) ||
					strings.Contains(p.Fields[0].Message, "c4nary") {
					t.Errorf("%s = %.40s in %s: %d %+v, want %q", c.path, v, lang, status, p, want)
				}
			}
		}
	}
	// All that is wrong is said at once.
	if _, p := parsed(t, `{"login":"a","size":-1,"members":[{"phone":"x"}]}`, "zh"); len(p.Fields) != 3 {
		t.Errorf("%+v", p)
	}
}
