package httpapi

import (
	"errors"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-playground/locales/en"
	"github.com/go-playground/locales/zh"
	ut "github.com/go-playground/universal-translator"
	"github.com/go-playground/validator/v10"
	enrules "github.com/go-playground/validator/v10/translations/en"
	zhrules "github.com/go-playground/validator/v10/translations/zh"

	"github.com/livil/gopan/internal/errs"
)

// A rule is one of ours that a validate tag in a contract may name, beside those of the validator's own.
type rule struct {
	// holds judges text; nil: the rule is the validator's own, and says nothing in Chinese, or nothing that helps.
	holds  func(string) bool
	en, zh string
}

// rules by name. The sentences say what is wanted; what was given is never repeated.
var rules = map[string]rule{
	"phone":      {phoneShaped, "Enter a phone number, such as +86 138 0013 8000.", "请输入手机号，例如 138 0013 8000。"},
	"smscode":    {regexp.MustCompile(`^[0-9]{6}$`).MatchString, "The code is six digits.", "验证码为 6 位数字。"},
	"login":      {loginShaped, "A login has 2 to 64 letters, digits or . _ - @, and no spaces.", "用户名为 2 至 64 个字母、数字或 . _ - @，不含空格。"},
	"personname": {func(s string) bool { return s == "" || nameShaped(s) }, "A name has at most 64 visible characters.", "姓名最多 64 个可见字符。"},
	"label":      {nameShaped, "A name has 1 to 64 visible characters.", "名称为 1 至 64 个可见字符。"},
	"cron":       {nil, "Enter a time as cron writes it, such as 30 4 * * 1.", "请输入 cron 表达式，例如 30 4 * * 1。"},
	"size":       {nil, "Enter a whole number of bytes, 0 or more.", "请输入字节数，不小于 0 的整数。"},
	"password":   {passwordShaped, "A password has 8 to 1024 characters.", "密码长度为 8 至 1024 个字符。"},
}

// phoneShaped tells whether s can be a phone number at all; the user role knows the numbers of each country. Keyboards
// for Chinese may write digits and signs in full width.
func phoneShaped(s string) bool {
	digits := 0
	for i, r := range s {
		if r >= '！' && r <= '～' {
			r -= '！' - '!'
		}
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r == '+' && i == 0, r == ' ' || r == '\u3000' || r == '-' || r == '(' || r == ')':
		default:
			return false
		}
	}
	return digits >= 5 && digits <= 15 && utf8.RuneCountInString(s) <= 32
}

func loginShaped(s string) bool {
	n := utf8.RuneCountInString(s)
	if n < 2 || n > 64 || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && !strings.ContainsRune("._-@", r) {
			return false
		}
	}
	return true
}

func nameShaped(s string) bool {
	n := utf8.RuneCountInString(s)
	if n < 1 || n > 64 || !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) { // no control characters, no marks that turn the direction of text, nothing of no width
			return false
		}
	}
	return true
}

// sizeShaped tells whether n bytes can be: what JSON's readers take for exactly that number (RFC 8259, section 6).
func sizeShaped(n int64) bool { return n >= 0 && n < 1<<53 }

func passwordShaped(s string) bool { return utf8.RuneCountInString(s) >= 8 && len(s) <= 1024 }

// checker judges structs by their validate tags, and says in both languages what is wrong.
type checker struct {
	*validator.Validate
	en, zh ut.Translator
}

var theChecker = sync.OnceValues(func() (*checker, error) {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		for _, place := range places {
			if name, _, _ := strings.Cut(f.Tag.Get(place), ","); name != "" {
				return name
			}
		}
		return f.Name
	})
	all := ut.New(en.New(), en.New(), zh.New())
	c := &checker{Validate: v}
	c.en, _ = all.GetTranslator("en")
	c.zh, _ = all.GetTranslator("zh")
	failed := []error{enrules.RegisterDefaultTranslations(v, c.en), zhrules.RegisterDefaultTranslations(v, c.zh)}
	failed = append(failed, v.RegisterValidation("size", func(fl validator.FieldLevel) bool { return sizeShaped(fl.Field().Int()) }))
	for name, r := range rules {
		if r.holds != nil {
			failed = append(failed, v.RegisterValidation(name, func(fl validator.FieldLevel) bool { return r.holds(fl.Field().String()) }))
		}
		for tr, text := range map[ut.Translator]string{c.en: r.en, c.zh: r.zh} {
			failed = append(failed, v.RegisterTranslation(name, tr,
				func(tr ut.Translator) error { return tr.Add(name, text, true) },
				func(tr ut.Translator, _ validator.FieldError) string {
					s, _ := tr.T(name) // it was added above
					return s
				}))
		}
	}
	return c, errors.Join(failed...)
})

// places are where a field may travel, by the key of its tag.
var places = []string{"json", "form", "path", "header"}

// validate judges a request by the rules of its contract. The error is errs.Invalid and knows every field at fault.
func validate(v any) error {
	const op = errs.Op("httpapi.validate")
	c, err := theChecker()
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	var wrong validator.ValidationErrors
	if err := c.Struct(v); err == nil {
		return nil
	} else if !errors.As(err, &wrong) {
		return errs.E(errs.Internal, op, err)
	}
	return errs.E(errs.Invalid, op, errs.Code("bad_field"), errs.Field(fieldPath(wrong[0])), &invalid{rules: wrong})
}

// invalid is all that is wrong with a request's fields.
type invalid struct {
	rules validator.ValidationErrors
	// decode are fields that are missing or of another type than the contract's.
	decode []string
}

// Error names the fields and the rules, never a value.
func (i *invalid) Error() string {
	words := append([]string(nil), i.decode...)
	for _, f := range i.rules {
		words = append(words, fieldPath(f)+" ("+f.Tag()+")")
	}
	return "fields: " + strings.Join(words, ", ")
}

// fieldPath is where a field stands in the request: "members[2].name".
func fieldPath(f validator.FieldError) string {
	_, p, _ := strings.Cut(f.Namespace(), ".")
	return p
}

// fieldProblems says what is wrong with each field, if err knows; nil otherwise.
func fieldProblems(err error, lang string) []FieldProblem {
	var i *invalid
	c, broken := theChecker()
	if broken != nil || !errors.As(err, &i) {
		return nil
	}
	tr := c.en
	if lang == "zh" {
		tr = c.zh
	}
	var out []FieldProblem
	for _, name := range i.decode {
		out = append(out, FieldProblem{Field: name, Code: "bad_field", Message: sentence(lang, "bad_field", errs.Invalid)})
	}
	for _, f := range i.rules {
		out = append(out, FieldProblem{Field: fieldPath(f), Code: "bad_field", Message: f.Translate(tr)})
	}
	return out
}

// Holds tells whether a value keeps a rule of ours, for values that do not come in a request.
func Holds(name, value string) bool { return rules[name].holds(value) }
