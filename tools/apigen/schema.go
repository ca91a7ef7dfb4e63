package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// A schema is the part of JSON Schema 2020-12 that contracts need.
type schema struct {
	Ref                  string            `json:"$ref,omitempty"`
	Description          string            `json:"description,omitempty"`
	Type                 string            `json:"type,omitempty"`
	Format               string            `json:"format,omitempty"`
	ContentEncoding      string            `json:"contentEncoding,omitempty"`
	Enum                 []any             `json:"enum,omitempty"`
	Minimum              json.Number       `json:"minimum,omitempty"`
	ExclusiveMinimum     json.Number       `json:"exclusiveMinimum,omitempty"`
	Maximum              json.Number       `json:"maximum,omitempty"`
	ExclusiveMaximum     json.Number       `json:"exclusiveMaximum,omitempty"`
	Default              any               `json:"default,omitempty"`
	Items                *schema           `json:"items,omitempty"`
	AdditionalProperties *schema           `json:"additionalProperties,omitempty"`
	Properties           *ordered[*schema] `json:"properties,omitempty"`
	Required             []string          `json:"required,omitempty"`
}

func ref(component string) *schema { return &schema{Ref: "#/components/schemas/" + component} }

// basicSchemas has an entry for every basic type that JSON can carry. int and uint have no format: their
// size is the platform's affair and their bounds are the contract's.
var basicSchemas = map[string]schema{
	"any":     {},
	"bool":    {Type: "boolean"},
	"string":  {Type: "string"},
	"int":     {Type: "integer"},
	"int8":    {Type: "integer", Minimum: "-128", Maximum: "127"},
	"int16":   {Type: "integer", Minimum: "-32768", Maximum: "32767"},
	"int32":   {Type: "integer", Format: "int32"},
	"rune":    {Type: "integer", Format: "int32"},
	"int64":   {Type: "integer", Format: "int64"},
	"uint":    {Type: "integer", Minimum: "0"},
	"uint8":   {Type: "integer", Minimum: "0", Maximum: "255"},
	"byte":    {Type: "integer", Minimum: "0", Maximum: "255"},
	"uint16":  {Type: "integer", Minimum: "0", Maximum: "65535"},
	"uint32":  {Type: "integer", Minimum: "0", Maximum: "4294967295"},
	"uint64":  {Type: "integer", Minimum: "0"},
	"float32": {Type: "number", Format: "float"},
	"float64": {Type: "number", Format: "double"},
}

// schemaOf is how encoding/json writes the type.
func schemaOf(t dataType) *schema {
	switch {
	case t.ref != nil:
		return ref(t.ref.name)
	case t.slice != nil:
		if t.slice.basic == "byte" || t.slice.basic == "uint8" {
			return &schema{Type: "string", ContentEncoding: "base64"}
		}
		return &schema{Type: "array", Items: schemaOf(*t.slice)}
	case t.mapped != nil:
		return &schema{Type: "object", AdditionalProperties: schemaOf(*t.mapped)}
	case t.ptr != nil:
		return schemaOf(*t.ptr)
	}
	s := basicSchemas[t.basic]
	return &s
}

// fieldSchema is the schema of a field's type with what its tag adds. The description stays out: a parameter
// carries it beside its schema.
func fieldSchema(f *field) *schema {
	s := schemaOf(f.typ)
	for _, option := range f.tag.enum {
		v, _ := literal(f.typ, option) // check has tried it
		s.Enum = append(s.Enum, v)
	}
	if b := f.tag.bounds; b != nil {
		s.Minimum, s.ExclusiveMinimum = ends(b.min, b.excludeMin, s.Minimum)
		s.Maximum, s.ExclusiveMaximum = ends(b.max, b.excludeMax, s.Maximum)
	}
	if f.tag.def != nil {
		s.Default, _ = literal(f.typ, *f.tag.def)
	}
	return s
}

// ends returns an end of a range as the inclusive and the exclusive keyword's value.
func ends(end string, exclude bool, natural json.Number) (inclusive, exclusive json.Number) {
	switch {
	case end == "":
		return natural, ""
	case exclude:
		return "", json.Number(end)
	}
	return json.Number(end), ""
}

// objectSchema is a struct's JSON form.
func objectSchema(t *structType) *schema {
	s := &schema{Type: "object", Description: text(t.doc), Properties: &ordered[*schema]{}}
	for _, f := range flatten(t) {
		if f.tag.place != "json" {
			continue
		}
		p := fieldSchema(f)
		p.Description = text(f.doc)
		s.Properties.set(f.tag.name, p)
		if f.tag.required() {
			s.Required = append(s.Required, f.tag.name)
		}
	}
	return s
}

// text joins a comment's lines into sentences.
func text(doc []string) string { return strings.Join(doc, " ") }

// literal is the value that a default or an option in a tag stands for.
func literal(t dataType, s string) (any, error) {
	switch t.scalar() {
	case "string":
		return s, nil
	case "boolean":
		return strconv.ParseBool(s)
	case "integer":
		if _, err := strconv.ParseInt(s, 10, 64); err != nil {
			return nil, fmt.Errorf("%q is not a whole number", s)
		}
		return json.Number(s), nil
	case "number":
		if !isNumber(s) {
			return nil, fmt.Errorf("%q is not a number", s)
		}
		return json.Number(s), nil
	}
	return nil, fmt.Errorf("%q cannot stand for a value of this type", s)
}

// scalar is the JSON type of t, or of what it points at; empty when that is a list, an object or anything.
func (t dataType) scalar() string {
	if t.ptr != nil {
		return t.ptr.scalar()
	}
	if t.ref != nil || t.slice != nil || t.mapped != nil {
		return ""
	}
	return basicSchemas[t.basic].Type
}
