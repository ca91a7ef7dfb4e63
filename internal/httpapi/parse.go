package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/zeromicro/go-zero/core/mapping"
	"github.com/zeromicro/go-zero/rest/pathvar"

	"github.com/livil/gopan/internal/errs"
)

// MaxJSON is the largest JSON body that is read, in bytes.
const MaxJSON = 1 << 20

// go-zero's readers of the tags that a .api file puts on a field.
var (
	pathValues   = mapping.NewUnmarshaler("path", mapping.WithStringValues(), mapping.WithOpaqueKeys())
	formValues   = mapping.NewUnmarshaler("form", mapping.WithStringValues(), mapping.WithOpaqueKeys())
	headerValues = mapping.NewUnmarshaler("header", mapping.WithStringValues(), mapping.WithOpaqueKeys())
	jsonValues   = mapping.NewUnmarshaler("json", mapping.WithOpaqueKeys())
)

// Parse fills a request struct from the path, the query, the headers and the JSON body, by its tags. Unlike
// go-zero's httpx.Parse it reads bodies without a Content-Length, never reads a form from the body, and
// refuses what it does not know: fields that are not in the contract, duplicates, text that is not UTF-8.
// Errors are errs.Invalid and name the field, never its value.
func Parse(r *http.Request, v any) error {
	fields := fieldsOf(reflect.TypeOf(v).Elem())
	if names := fields["path"]; len(names) > 0 {
		vars, m := pathvar.Vars(r), map[string]any{}
		for name := range names {
			if s, ok := vars[name]; ok {
				m[name] = s
			} else if s := r.PathValue(name); s != "" {
				m[name] = s
			}
		}
		if err := fill(pathValues, "path", m, v); err != nil {
			return err
		}
	}
	if names := fields["form"]; len(names) > 0 {
		q, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return errs.E(errs.Invalid, "httpapi.Parse", errs.Code("bad_query"), err)
		}
		m := map[string]any{}
		for name := range names {
			switch vals := q[name]; {
			case len(vals) == 1:
				m[name] = vals[0]
			case len(vals) > 1:
				return errs.E(errs.Invalid, "httpapi.Parse", errs.Code("bad_field"), errs.Field(name), "given twice")
			}
		}
		if err := fill(formValues, "form", m, v); err != nil {
			return err
		}
	}
	if names := fields["header"]; len(names) > 0 {
		m := map[string]any{}
		for name := range names {
			if vals := r.Header.Values(name); len(vals) > 0 {
				m[name] = strings.Join(vals, ", ")
			}
		}
		if err := fill(headerValues, "header", m, v); err != nil {
			return err
		}
	}
	if names := fields["json"]; len(names) > 0 {
		m, err := readObject(r, names)
		if err != nil {
			return err
		}
		if field := misfit(reflect.TypeOf(v).Elem(), m); field != "" {
			return errs.E(errs.Invalid, "httpapi.Parse", errs.Code("bad_field"), errs.Field(field))
		}
		if err := fill(jsonValues, "json", m, v); err != nil {
			return err
		}
	}
	if !ruled(reflect.TypeOf(v).Elem()) {
		return nil
	}
	return validate(v)
}

var ruledCache sync.Map // reflect.Type → bool

// ruled tells whether a contract has rules for a struct's fields; most requests have none.
func ruled(t reflect.Type) bool {
	if known, ok := ruledCache.Load(t); ok {
		return known.(bool)
	}
	found := false
	for i := range t.NumField() {
		f := t.Field(i)
		elem := f.Type
		for elem.Kind() == reflect.Slice || elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		found = found || f.Tag.Get("validate") != "" || elem.Kind() == reflect.Struct && elem != t && ruled(elem)
	}
	ruledCache.Store(t, found)
	return found
}

// readObject reads the body as one JSON object with only these fields.
func readObject(r *http.Request, known map[string]bool) (map[string]any, error) {
	const op = errs.Op("httpapi.readObject")
	if ct := r.Header.Get("Content-Type"); ct != "" {
		if t, _, err := mime.ParseMediaType(ct); err != nil || t != "application/json" {
			return nil, errs.E(errs.Unsupported, op, errs.Code("not_json"))
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, MaxJSON))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errs.E(errs.TooLarge, op, err)
	case err != nil:
		return nil, errs.E(errs.Invalid, op, errs.Code("bad_json"), err)
	}
	bad := errs.E(errs.Invalid, op, errs.Code("bad_json"))
	// jsontext is strict where encoding/json is not: duplicate names, invalid UTF-8, deep nesting.
	if value := jsontext.Value(body); !value.IsValid() || value.Kind() != '{' {
		return nil, bad
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return nil, bad
	}
	for name, value := range m {
		if !known[name] {
			return nil, errs.E(errs.Invalid, op, errs.Code("unknown_field"), errs.Field(clip(name)))
		}
		if value == nil {
			delete(m, name) // null is absent
		}
	}
	return m, nil
}

// misfit names the field of t whose JSON value is of another type than the contract's. go-zero would be lenient with
// lists: it takes a string for one, and numbers for strings in it.
func misfit(t reflect.Type, m map[string]any) string {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if value, ok := m[name]; ok && !fits(f.Type, value) {
			return name
		}
	}
	return ""
}

// fits tells whether a JSON value is of a type, all the way down.
func fits(t reflect.Type, value any) bool {
	switch t.Kind() {
	case reflect.Pointer:
		return value == nil || fits(t.Elem(), value)
	case reflect.Slice:
		list, ok := value.([]any)
		for _, v := range list {
			ok = ok && fits(t.Elem(), v)
		}
		return ok
	case reflect.Struct:
		m, ok := value.(map[string]any)
		known := fieldsOf(t)["json"]
		for name := range m {
			ok = ok && known[name]
		}
		return ok && misfit(t, m) == ""
	case reflect.Map:
		m, ok := value.(map[string]any)
		for _, v := range m {
			ok = ok && fits(t.Elem(), v)
		}
		return ok
	case reflect.String:
		_, ok := value.(string)
		return ok
	case reflect.Bool:
		_, ok := value.(bool)
		return ok
	case reflect.Interface:
		return true
	}
	_, ok := value.(json.Number) // its range is the reader's affair
	return ok
}

// clip keeps a field's name that a caller made up from filling logs and answers.
func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// fill unmarshals m into v and finds out which field is at fault when that fails.
func fill(u *mapping.Unmarshaler, tag string, m map[string]any, v any) error {
	if len(m) == 0 && optional(reflect.TypeOf(v).Elem(), tag) {
		return nil // most requests have none of their optional headers, and go-zero takes its time to find that out
	}
	err := u.Unmarshal(m, v)
	if err == nil {
		return nil
	}
	all := culprits(u, tag, m, v)
	if len(all) == 0 {
		return errs.E(errs.Invalid, "httpapi.Parse", errs.Code("bad_field"), fmt.Errorf("some %s field", tag))
	}
	return errs.E(errs.Invalid, "httpapi.Parse", errs.Code("bad_field"), errs.Field(all[0]), &invalid{decode: all})
}

// culprits fills each field alone: go-zero stops at the first that is at fault, and does not name each.
func culprits(u *mapping.Unmarshaler, tag string, m map[string]any, v any) (all []string) {
	t := reflect.TypeOf(v).Elem()
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get(tag), ",")
		if name == "" {
			continue
		}
		alone := reflect.New(reflect.StructOf([]reflect.StructField{f}))
		if u.Unmarshal(m, alone.Interface()) != nil {
			all = append(all, name)
		}
	}
	return all
}

var optionalCache sync.Map // optionalKey → bool

type optionalKey struct {
	t   reflect.Type
	tag string
}

// optional tells whether no field of t that has this tag needs a value, or gets one where the request has none.
func optional(t reflect.Type, tag string) bool {
	if known, ok := optionalCache.Load(optionalKey{t, tag}); ok {
		return known.(bool)
	}
	all := true
	for i := range t.NumField() {
		if name, options, _ := strings.Cut(t.Field(i).Tag.Get(tag), ","); name != "" {
			all = all && slices.Contains(strings.Split(options, ","), "optional") && !strings.Contains(options, "default=")
		}
	}
	optionalCache.Store(optionalKey{t, tag}, all)
	return all
}

var fieldCache sync.Map // reflect.Type → map[string]map[string]bool

// fieldsOf gives the names that each kind of tag gives to a struct's fields.
func fieldsOf(t reflect.Type) map[string]map[string]bool {
	if m, ok := fieldCache.Load(t); ok {
		return m.(map[string]map[string]bool)
	}
	all := map[string]map[string]bool{}
	for i := range t.NumField() {
		for _, tag := range []string{"path", "form", "header", "json"} {
			if name, _, _ := strings.Cut(t.Field(i).Tag.Get(tag), ","); name != "" {
				if all[tag] == nil {
					all[tag] = map[string]bool{}
				}
				all[tag][name] = true
			}
		}
	}
	fieldCache.Store(t, all)
	return all
}
