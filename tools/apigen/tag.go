package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zeromicro/go-zero/tools/goctl/api/spec"
)

// places are where a field may travel, by the key of its tag.
var places = []string{"json", "form", "path", "header"}

// A tag says where a field travels, under which name, and what go-zero's decoder demands of it. A validate tag may
// stand beside it, with rules of package httpapi.
type tag struct {
	place    string // one of places
	name     string
	options  []string // as written
	optional bool
	def      *string
	enum     []string
	bounds   *bounds
	validate string // rules, as written
}

// bounds is a range=[min:max]; an empty end is open, a parenthesis leaves its end out.
type bounds struct {
	min, max               string
	excludeMin, excludeMax bool
}

func parseTag(raw string) (tag, error) {
	parsed, err := spec.Parse(raw)
	if err != nil {
		return tag{}, err
	}
	tags := parsed.Tags()
	if len(tags) == 0 || !slices.Contains(places, tags[0].Key) || len(tags) > 2 || len(tags) == 2 && tags[1].Key != "validate" {
		return tag{}, fmt.Errorf("a field has one tag, of %s, and after it at most one validate", strings.Join(places, ", "))
	}
	one := tags[0]
	t := tag{place: one.Key, name: one.Name, options: one.Options}
	if len(tags) == 2 {
		t.validate = strings.Join(append([]string{tags[1].Name}, tags[1].Options...), ",")
	}
	if t.name == "" || t.name == "-" {
		return tag{}, fmt.Errorf("its tag gives it no name")
	}
	for _, opt := range one.Options {
		key, val, has := strings.Cut(opt, "=")
		switch {
		case key == "optional" && !has:
			t.optional = true
		case key == "default" && has && !strings.Contains(val, "="): // go-zero refuses a second "="
			t.def = &val
		case key == "options" && has:
			t.enum = strings.Split(val, "|")
		case key == "range" && has:
			if t.bounds, err = parseBounds(val); err != nil {
				return tag{}, err
			}
		case (key == "omitempty" || key == "omitzero") && !has:
		default:
			return tag{}, fmt.Errorf("its tag has the option %q, which has no meaning here", opt)
		}
	}
	if t.optional && t.def != nil {
		return tag{}, fmt.Errorf("it is optional and has a default: one of them is enough")
	}
	return t, nil
}

func parseBounds(s string) (*bounds, error) {
	bad := fmt.Errorf("range %q is not of the form [min:max]", s)
	if len(s) < 3 || !strings.ContainsRune("[(", rune(s[0])) || !strings.ContainsRune("])", rune(s[len(s)-1])) {
		return nil, bad
	}
	lo, hi, ok := strings.Cut(s[1:len(s)-1], ":")
	if !ok || lo == "" && hi == "" {
		return nil, bad
	}
	for _, end := range []string{lo, hi} {
		if end != "" && !isNumber(end) {
			return nil, bad
		}
	}
	return &bounds{lo, hi, s[0] == '(', s[len(s)-1] == ')'}, nil
}

// required says that a request without the field is refused.
func (t tag) required() bool { return !t.optional && t.def == nil }

// goTag is the tag as Go gets it. ",optional" means nothing to encoding/json, which writes the answers, so what
// is optional there is also left out of them when it has nothing to say; a struct says nothing when it is zero.
func (f *field) goTag() string {
	opts := f.tag.options
	omit := "omitempty"
	if f.typ.ref != nil {
		omit = "omitzero"
	}
	if f.tag.place == "json" && f.tag.optional && !slices.Contains(opts, omit) {
		opts = append(slices.Clone(opts), omit)
	}
	out := fmt.Sprintf("%s:%q", f.tag.place, strings.Join(append([]string{f.tag.name}, opts...), ","))
	if f.tag.validate != "" {
		out += fmt.Sprintf(" validate:%q", f.tag.validate)
	}
	return "`" + out + "`"
}
