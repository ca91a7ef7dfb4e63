package main

import (
	"errors"
	"go/token"
	"regexp"
	"slices"
	"strconv"
)

// check finds what goctl lets pass and what would make the code, the document or a client's day wrong. It
// reports everything that it finds.
func (c *contract) check() error {
	var errs []error
	for _, f := range c.files() {
		for _, t := range f.types {
			if embeds(t, t) {
				errs = append(errs, errorAt(t.pos, "type %s embeds itself", t.name))
			}
		}
	}
	if errs != nil {
		return errors.Join(errs...) // what follows walks embedded types to their end
	}
	for _, f := range c.files() {
		for _, t := range f.types {
			errs = append(errs, checkType(t)...)
		}
	}
	handlers, routes := map[string]*route{}, map[string]*route{}
	for _, f := range c.roles {
		for _, r := range f.routes {
			if old := handlers[r.handler]; old != nil {
				errs = append(errs, errorAt(r.pos, "handler %s is already that of %s %s", r.handler, old.method, old.path))
			}
			handlers[r.handler] = r
			// The variables' names tell no two routes apart.
			key := r.method + " " + pathVar.ReplaceAllString(r.path, "/:")
			if old := routes[key]; old != nil {
				errs = append(errs, errorAt(r.pos, "%s %s is already the route of %s", r.method, r.path, old.handler))
			}
			routes[key] = r
			errs = append(errs, checkRoute(r)...)
		}
	}
	return errors.Join(errs...)
}

// pathVar is a variable segment in go-zero's syntax.
var pathVar = regexp.MustCompile(`/:([^/]+)`)

func checkType(t *structType) (errs []error) {
	if !token.IsExported(t.name) {
		errs = append(errs, errorAt(t.pos, "type %s is not exported", t.name))
	}
	seen := map[string]bool{}
	for _, f := range flatten(t) {
		if !token.IsExported(f.name) {
			errs = append(errs, errorAt(f.pos, "field %s is not exported", f.name))
		}
		if key := f.tag.place + ":" + f.tag.name; seen[key] {
			errs = append(errs, errorAt(f.pos, "type %s has two fields for %s %q", t.name, f.tag.place, f.tag.name))
		} else {
			seen[key] = true
		}
		errs = append(errs, checkField(f)...)
	}
	return errs
}

func checkField(f *field) (errs []error) {
	fail := func(format string, args ...any) {
		errs = append(errs, errorAt(f.pos, "field "+f.name+format, args...))
	}
	if name := f.typ.foreign(); name != "" {
		fail(" has a %s in it, which JSON cannot carry", name)
		return errs
	}
	if f.typ.ptr != nil && !f.tag.optional {
		fail(" is a pointer and not optional: nil would be written as null")
	}
	for _, option := range f.tag.enum {
		if _, err := literal(f.typ, option); err != nil {
			fail(": its option: %v", err)
		}
	}
	if f.tag.def != nil {
		if _, err := literal(f.typ, *f.tag.def); err != nil {
			fail(": its default: %v", err)
		} else if f.tag.enum != nil && !slices.Contains(f.tag.enum, *f.tag.def) {
			fail(": its default is none of its options")
		}
	}
	if f.tag.bounds != nil {
		if kind := f.typ.scalar(); kind != "integer" && kind != "number" {
			fail(" has a range and is no number")
		}
	}
	if f.tag.place == "path" && !f.tag.required() {
		fail(" is part of the path and may not be absent")
	}
	if ref := f.typ.named(); ref != nil {
		if bad := notJSON(ref); bad != nil {
			fail(" holds a %s, which has the %s field %s", ref.name, bad.tag.place, bad.name)
		}
	}
	if f.tag.place != "json" && f.typ.scalar() == "" {
		fail(" is of a type that no %s can carry", f.tag.place)
	}
	return errs
}

func checkRoute(r *route) (errs []error) {
	fail := func(format string, args ...any) {
		errs = append(errs, errorAt(r.pos, r.handler+": "+format, args...))
	}
	if r.summary == "" {
		fail("no summary in its @doc")
	}
	var want, got []string
	for _, m := range pathVar.FindAllStringSubmatch(r.path, -1) {
		want = append(want, m[1])
	}
	hasBody := false
	if r.req != nil {
		for _, f := range r.req.fields {
			if f.name == "" {
				fail("its request embeds %s, and httpapi.Parse does not look into that", f.typ.ref.name)
				continue
			}
			switch f.tag.place {
			case "path":
				got = append(got, f.tag.name)
			case "json":
				hasBody = true
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		fail("its path has the variables %q and its request the path fields %q", want, got)
	}
	if hasBody && (r.method == "GET" || r.method == "HEAD") {
		fail("a %s carries no JSON", r.method)
	}
	if (r.consumes != "" || r.produces != "") && !r.raw {
		fail("consumes and produces belong to raw routes")
	}
	if r.consumes != "" && hasBody {
		fail("it consumes %s and has JSON fields too", r.consumes)
	}
	if r.produces != "" && r.resp != nil {
		fail("it produces %s and returns %s too", r.produces, r.resp.name)
	}
	if r.resp != nil {
		if bad := notJSON(r.resp); bad != nil {
			fail("it answers with a %s, which has the %s field %s", r.resp.name, bad.tag.place, bad.name)
		}
		if r.method == "HEAD" || r.status == 204 {
			fail("an answer to %s with status %d has no body", r.method, r.status)
		}
	} else if !r.raw && r.status != 204 {
		fail("status %d without an answer; it would be 204", r.status)
	}
	return errs
}

// flatten returns the fields of t with those of what it embeds in their place.
func flatten(t *structType) []*field {
	var out []*field
	for _, f := range t.fields {
		if f.name == "" {
			out = append(out, flatten(f.typ.ref)...)
		} else {
			out = append(out, f)
		}
	}
	return out
}

// embeds says whether t embeds what, itself or through others. Only embedding must end: a field may well hold
// a slice of its own type.
func embeds(t, what *structType) bool {
	seen := map[*structType]bool{}
	var walk func(*structType) bool
	walk = func(t *structType) bool {
		if seen[t] {
			return false
		}
		seen[t] = true
		for _, f := range t.fields {
			if f.name == "" && (f.typ.ref == what || walk(f.typ.ref)) {
				return true
			}
		}
		return false
	}
	return walk(t)
}

// notJSON returns a field of t that is not JSON, nil if all are.
func notJSON(t *structType) *field {
	for _, f := range flatten(t) {
		if f.tag.place != "json" {
			return f
		}
	}
	return nil
}

// named is the struct that values of t are or are made of, nil if there is none.
func (t dataType) named() *structType {
	for _, inner := range []*dataType{t.slice, t.mapped, t.ptr} {
		if inner != nil {
			return inner.named()
		}
	}
	return t.ref
}

// foreign is the basic type in t that has no JSON form, empty if there is none.
func (t dataType) foreign() string {
	for _, inner := range []*dataType{t.slice, t.mapped, t.ptr} {
		if inner != nil {
			return inner.foreign()
		}
	}
	if _, ok := basicSchemas[t.basic]; t.ref == nil && !ok {
		return t.basic
	}
	return ""
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}
