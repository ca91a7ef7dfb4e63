package user

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/httpapi"
)

// Bad input on every surface of this role: the field at fault is named, in the reader's language, and what was given is
// never said again (B002, B006, B020, B026).
func TestBadInput(t *testing.T) {
	f := newPasskeyFixture(t)
	f.SMS = nowhere{}
	site := f.serve(t, false) + "/api/v1"
	if err := f.setRegistration(t.Context(), "open"); err != nil {
		t.Fatal(err)
	}
	_, reset, err := f.resetLink(t.Context(), ann)
	if err != nil {
		t.Fatal(err)
	}
	boss, me, nobody := f.as(t, admin), f.as(t, ann), "X-None: 1"
	const (
		loginEN, loginZH = "A login has 2 to 64 letters, digits or . _ - @, and no spaces.", "用户名为 2 至 64 个字母、数字或 . _ - @，不含空格。"
		nameEN, nameZH   = "A name has at most 64 visible characters.", "姓名最多 64 个可见字符。"
		labelEN, labelZH = "A name has 1 to 64 visible characters.", "名称为 1 至 64 个可见字符。"
		passEN, passZH   = "A password has 8 to 1024 characters.", "密码长度为 8 至 1024 个字符。"
		phoneEN, phoneZH = "Enter a phone number, such as +86 138 0013 8000.", "请输入手机号，例如 138 0013 8000。"
		codeEN, codeZH   = "The code is six digits.", "验证码为 6 位数字。"
		fieldEN, fieldZH = "A value is missing or not valid.", "有字段缺失或无效。"
	)
	long := strings.Repeat("c4nary", 200)
	for _, c := range []struct {
		method, path, who, body string
		// fields are those at fault; en and zh what is said of the first.
		fields []string
		en, zh string
	}{
		{"POST", "/auth/login", nobody, `{}`, []string{"login", "password"}, fieldEN, fieldZH},
		{"POST", "/auth/login", nobody, `{"login":"c4nary","password":"c4nary","totp":"` + long + `"}`, []string{"totp"}, "", ""},
		{"POST", "/auth/login", nobody, `{"login":7,"password":"c4nary"}`, []string{"login"}, fieldEN, fieldZH},
		{"POST", "/auth/login", nobody, `{"login":"ann","password":["c4nary"]}`, []string{"password"}, fieldEN, fieldZH},
		{"POST", "/auth/refresh", nobody, `{}`, []string{"refreshToken"}, fieldEN, fieldZH},
		{"POST", "/auth/session", nobody, `{"phone":"c4nary","code":"c4nary"}`, []string{"phone", "code"}, phoneEN, phoneZH},
		{"POST", "/auth/session", nobody, `{"passkey":"` + strings.Repeat("x", 32769) + `"}`, []string{"passkey"}, "", ""},
		{"POST", "/auth/sms/code", nobody, `{"phone":""}`, []string{"phone"}, phoneEN, phoneZH},
		{"POST", "/auth/sms/login", nobody, `{"phone":"13800138000","code":"１２３４５６"}`, []string{"code"}, codeEN, codeZH},
		{"POST", "/auth/sms/login", nobody, `{"phone":"13800138000","code":" 123456"}`, []string{"code"}, codeEN, codeZH},
		{"POST", "/auth/sms/login", nobody, `{"phone":"13800138000","code":"12345"}`, []string{"code"}, codeEN, codeZH},
		{"POST", "/auth/sms/login", nobody, `{"phone":"13800138000","code":"0123456"}`, []string{"code"}, codeEN, codeZH},
		{"POST", "/auth/sms/login", nobody, `{"phone":"13800138000","code":null}`, []string{"code"}, fieldEN, fieldZH},
		{"POST", "/auth/sms/login", nobody, `{"phone":"13800138000","code":[1,2,3,4,5,6]}`, []string{"code"}, fieldEN, fieldZH},
		{"POST", "/auth/sms/login", nobody, `{"phone":"13800138000","code":123456}`, []string{"code"}, fieldEN, fieldZH},
		{"POST", "/auth/register", nobody, `{"login":"a","name":"` + long + `","password":"c4nary"}`, []string{"login", "name", "password"}, loginEN, loginZH},
		{"POST", "/auth/register", nobody, `{"login":"ann\u202egnp","password":"` + newPassword + `"}`, []string{"login"}, loginEN, loginZH},
		{"POST", "/auth/register", nobody, `{"login":"a\u200bnn","password":"` + newPassword + `"}`, []string{"login"}, loginEN, loginZH},
		{"POST", "/auth/register", nobody, `{"login":"ann\u0000","password":"` + newPassword + `"}`, []string{"login"}, loginEN, loginZH},
		{"POST", "/auth/register", nobody, `{"login":"bob","name":" c4nary","password":"` + newPassword + `"}`, []string{"name"}, nameEN, nameZH},
		{"POST", "/auth/register", nobody, `{"login":"bob","name":"c4nary\n","password":"` + newPassword + `"}`, []string{"name"}, nameEN, nameZH},
		{"POST", "/auth/register", nobody, `{"login":"bob","password":"c4nary"}`, []string{"password"}, passEN, passZH},
		{"POST", "/auth/register", nobody, `{"login":"bob","password":"password"}`, []string{"password"}, "This password is easy to guess. Choose another one.", "此密码容易被猜到，请换一个。"},
		{"POST", "/auth/reset", nobody, `{"token":"` + reset + `","password":"c4nary"}`, []string{"password"}, passEN, passZH},
		{"POST", "/auth/reset", nobody, `{"token":"` + long + `","password":"` + newPassword + `"}`, []string{"token"}, "", ""},
		{"POST", "/auth/link", nobody, `{}`, []string{"token"}, fieldEN, fieldZH},
		{"PATCH", "/me", me, `{"login":"c4nary c4nary","name":"c4nary\u202e"}`, []string{"login", "name"}, loginEN, loginZH},
		{"PUT", "/me/password", me, `{"password":"c4nary"}`, []string{"password"}, passEN, passZH},
		{"PUT", "/me/totp", me, `{}`, []string{"totp"}, fieldEN, fieldZH},
		{"POST", "/me/totp", me, `{"currentPassword":"` + long + `"}`, []string{"currentPassword"}, "", ""},
		{"PUT", "/me/phone", me, `{"phone":"c4nary","code":"c4nary"}`, []string{"phone", "code"}, phoneEN, phoneZH},
		{"POST", "/me/passkeys", me, `{"name":"","ceremony":"x","passkey":"{}"}`, []string{"name"}, labelEN, labelZH},
		{"PATCH", "/me/passkeys/1", me, `{"name":"\u200b"}`, []string{"name"}, labelEN, labelZH},
		{"PATCH", "/me/sessions/1", me, `{"name":"` + long + `"}`, []string{"name"}, labelEN, labelZH},
		{"POST", "/me/keys", me, `{"name":"x","kind":"c4nary"}`, []string{"kind"}, fieldEN, fieldZH},
		{"POST", "/me/keys", me, `{"name":"x","kind":"app","expiresIn":-1}`, []string{"expiresIn"}, fieldEN, fieldZH},
		{"POST", "/me/keys", me, `{"name":"x","kind":"app","expiresIn":9223372036854775808}`, []string{"expiresIn"}, fieldEN, fieldZH},
		{"POST", "/me/keys", me, `{"name":"x","kind":"app","expiresIn":1.5}`, []string{"expiresIn"}, fieldEN, fieldZH},
		{"POST", "/me/keys", me, `{"name":"x","kind":"app","expiresIn":"1"}`, []string{"expiresIn"}, fieldEN, fieldZH},
		{"POST", "/me/keys", me, `{"name":"x","kind":"app","readOnly":"yes"}`, []string{"readOnly"}, fieldEN, fieldZH},
		{"POST", "/me/keys", me, `{"name":"x","kind":"app","folderId":"c4nary"}`, []string{"folderId"}, "", ""},
		{"POST", "/me/keys", me, `{"name":"x","kind":"app","folderId":"99999999999999999999","currentPassword":"` + password + `"}`, []string{"folderId"}, fieldEN, fieldZH},
		{"GET", "/me/events?limit=x", me, ``, []string{"limit"}, fieldEN, fieldZH},
		{"GET", "/me/events?since=c4nary", me, ``, []string{"since"}, "The time is not valid (RFC 3339).", "时间格式无效（应为 RFC 3339）。"},
		{"GET", "/me/events?cursor=c4nary", me, ``, []string{"cursor"}, "The cursor is not valid here. Start from the first page.", "分页游标无效，请从第一页重新开始。"},
		{"POST", "/admin/users", boss, `{"login":"c4nary c4nary","name":"\u0007","phone":"c4nary","password":"x"}`, []string{"login", "name", "phone", "password"}, loginEN, loginZH},
		{"POST", "/admin/users", boss, `{"login":"bob","role":"c4nary"}`, []string{"role"}, fieldEN, fieldZH},
		{"PATCH", "/admin/users/1001", boss, `{"name":"\u202ec4nary"}`, []string{"name"}, nameEN, nameZH},
		{"PATCH", "/admin/users/1001", boss, `{"state":"c4nary"}`, []string{"state"}, fieldEN, fieldZH},
		{"POST", "/admin/invites", boss, `{"expiresIn":0}`, []string{"expiresIn"}, fieldEN, fieldZH},
		{"POST", "/admin/invites", boss, `{"expiresIn":91}`, []string{"expiresIn"}, fieldEN, fieldZH},
		{"POST", "/admin/invites", boss, `{"role":"c4nary"}`, []string{"role"}, fieldEN, fieldZH},
		{"POST", "/admin/invites", boss, `{"note":"` + long + `"}`, []string{"note"}, labelEN, labelZH},
		{"POST", "/admin/groups", boss, `{"name":" "}`, []string{"name"}, labelEN, labelZH},
		{"PUT", "/admin/policy", boss, `{"registration":"c4nary"}`, []string{"registration"}, fieldEN, fieldZH},
		{"GET", "/admin/users?state=c4nary", boss, ``, []string{"state"}, fieldEN, fieldZH},
		{"GET", "/admin/users?limit=1&limit=2", boss, ``, []string{"limit"}, fieldEN, fieldZH},
		{"GET", "/admin/events/export?until=c4nary", boss, ``, []string{"until"}, "The time is not valid (RFC 3339).", "时间格式无效（应为 RFC 3339）。"},
	} {
		name := fmt.Sprintf("%s %s %.60s", c.method, c.path, c.body)
		for lang, want := range map[string]string{"en-GB": c.en, "zh-CN,en;q=0.5": c.zh} {
			resp, text := call(t, c.method, site+c.path, c.body, c.who, "Accept-Language: "+lang)
			if resp.StatusCode != 400 || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %d %s", name, resp.StatusCode, text)
				continue
			}
			var p httpapi.Problem
			read(t, text, &p)
			var fields []string
			for _, field := range p.Fields {
				fields = append(fields, field.Field)
			}
			if strings.Join(fields, " ") != strings.Join(c.fields, " ") {
				t.Errorf("%s: at fault are %v, want %v", name, fields, c.fields)
				continue
			}
			for _, field := range p.Fields {
				if field.Message == "" || strings.HasPrefix(lang, "zh") != hasChinese(field.Message) {
					t.Errorf("%s, in %s: %q", name, lang, field.Message)
				}
			}
			if want != "" && p.Fields[0].Message != want {
				t.Errorf("%s, in %s: %q, want %q", name, lang, p.Fields[0].Message, want)
			}
			if strings.Contains(text, "c4nary") || strings.Contains(text, reset) {
				t.Errorf("%s: it says again what was given: %s", name, text)
			}
		}
	}
	// The link is as good as before, and nobody was made.
	fetch(t, 200, "", "POST", site+"/auth/link", body("token", reset))
	if n := f.number(t, "SELECT count(*) FROM users"); n != 2 {
		t.Errorf("%d accounts", n)
	}
}

func hasChinese(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0x4E00 && r <= 0x9FFF })
}

// What is no JSON object of the contract's is refused by every route that takes a body (B002, B004, B006).
func TestBodiesThatAreNone(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false)
	bodies := map[string]string{
		"nothing": "", "null": "null", "a list": "[]", "half": "{", "two": "{}{}", "a name twice": `{"login":"a","login":"b"}`,
		"not a number": `{"login":NaN}`, "no UTF-8": "{\"login\":\"\xff\"}", "a lone surrogate": `{"login":"\ud800"}`,
		"deep": strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000), "an unknown field": `{"c4nary":1}`,
	}
	tried := 0
	for _, r := range Routes(HTTP{Service: f.Service}) {
		if r.Method == http.MethodGet || r.Method == http.MethodDelete || strings.Contains(r.Path, "/members/") {
			continue
		}
		path := strings.NewReplacer(":id", "1001", ":userId", "1001", ":provider", "github").Replace(r.Path)
		if takesNone[r.Path] {
			continue
		}
		tried++
		for name, text := range bodies {
			resp, got := call(t, r.Method, site+path, text, f.as(t, admin), "Content-Type: application/json")
			if resp.StatusCode != 400 || !strings.Contains(got, `"bad_json"`) && !strings.Contains(got, `"unknown_field"`) || strings.Contains(got, `"login":`) {
				t.Errorf("%s %s with %s: %d %s", r.Method, path, name, resp.StatusCode, got)
			}
		}
		for _, header := range []string{"Content-Encoding: gzip", "Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded"} {
			if resp, got := call(t, r.Method, site+path, `{}`, f.as(t, admin), header); resp.StatusCode != 415 {
				t.Errorf("%s %s with %s: %d %s", r.Method, path, header, resp.StatusCode, got)
			}
		}
		if resp, got := call(t, r.Method, site+path, `{"login":"`+strings.Repeat("a", httpapi.MaxJSON)+`"}`, f.as(t, admin)); resp.StatusCode != 413 {
			t.Errorf("%s %s with a megabyte: %d %s", r.Method, path, resp.StatusCode, got)
		}
	}
	if tried < 25 {
		t.Errorf("%d routes take a body", tried)
	}
}

// takesNone are the routes that change something and take no body.
var takesNone = map[string]bool{
	"/api/v1/auth/passkey": true, "/api/v1/auth/logout": true, "/api/v1/admin/users/:id/reset": true,
}
