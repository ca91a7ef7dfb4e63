package main

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// The parts of an OpenAPI 3.1 document that contracts need: https://spec.openapis.org/oas/v3.1.0
type (
	document struct {
		OpenAPI    string                        `json:"openapi"`
		Info       info                          `json:"info"`
		Tags       []docTag                      `json:"tags"`
		Paths      *ordered[*ordered[operation]] `json:"paths"`
		Components components                    `json:"components"`
	}
	info struct {
		Title   string `json:"title"`
		Version string `json:"version"`
	}
	docTag struct {
		Name        string `json:"name"`
		Description string `json:"description,omitempty"`
	}
	operation struct {
		OperationID string                `json:"operationId"`
		Tags        []string              `json:"tags"`
		Summary     string                `json:"summary"`
		Description string                `json:"description,omitempty"`
		Security    []map[string][]string `json:"security"`
		Parameters  []parameter           `json:"parameters,omitempty"`
		RequestBody *body                 `json:"requestBody,omitempty"`
		Responses   *ordered[response]    `json:"responses"`
	}
	parameter struct {
		Name        string  `json:"name"`
		In          string  `json:"in"`
		Description string  `json:"description,omitempty"`
		Required    bool    `json:"required,omitempty"`
		Schema      *schema `json:"schema"`
	}
	body struct {
		Required bool    `json:"required,omitempty"`
		Content  content `json:"content"`
	}
	response struct {
		Ref         string  `json:"$ref,omitempty"`
		Description string  `json:"description,omitempty"`
		Content     content `json:"content,omitempty"`
	}
	// content is keyed by media type; there is one at a time.
	content map[string]media
	media   struct {
		Schema *schema `json:"schema"`
	}
	components struct {
		Schemas         *ordered[*schema]        `json:"schemas"`
		Responses       *ordered[response]       `json:"responses"`
		SecuritySchemes *ordered[securityScheme] `json:"securitySchemes"`
	}
	securityScheme struct {
		Type         string `json:"type"`
		Description  string `json:"description,omitempty"`
		Scheme       string `json:"scheme,omitempty"`
		BearerFormat string `json:"bearerFormat,omitempty"`
		In           string `json:"in,omitempty"`
		Name         string `json:"name,omitempty"`
	}
)

// openAPI is the document of all routes.
func openAPI(c *contract) ([]byte, error) {
	doc := document{
		OpenAPI:    "3.1.0",
		Info:       info{Title: "Gopan", Version: "1"},
		Paths:      &ordered[*ordered[operation]]{},
		Components: fixedComponents(),
	}
	used := map[*structType]bool{}
	for _, f := range c.roles {
		doc.Tags = append(doc.Tags, docTag{f.role, f.title})
		for _, r := range f.routes {
			path := pathVar.ReplaceAllString(r.path, "/{$1}")
			item, ok := doc.Paths.get(path)
			if !ok {
				item = &ordered[operation]{}
				doc.Paths.set(path, item)
			}
			item.set(strings.ToLower(r.method), describe(r))
			if r.req != nil && slices.ContainsFunc(r.req.fields, isJSON) {
				use(used, r.req)
			}
			use(used, r.resp)
		}
	}
	if err := doc.Components.addTypes(c, used); err != nil {
		return nil, err
	}
	return encode(doc, "  ")
}

func describe(r *route) operation {
	op := operation{
		OperationID: r.id,
		Tags:        []string{r.role},
		Summary:     r.summary,
		Security:    []map[string][]string{},
		Responses:   &ordered[response]{},
	}
	if r.access != "public" {
		op.Security = append(op.Security, map[string][]string{"bearer": {}}, map[string][]string{"cookie": {}})
	}
	if r.access == "upload" {
		op.Security = append(op.Security, map[string][]string{"upload": {}})
	}
	if r.access == "admin" {
		op.Description = "For administrators only."
	}
	op.Parameters, op.RequestBody = describeRequest(r)

	answer := response{Description: http.StatusText(r.status), Content: describeAnswer(r)}
	op.Responses.set(strconv.Itoa(r.status), answer)
	// What answers 201 for what it made answers 200 for what it replaced (RFC 9110, 9.3.4). Only a raw route can
	// choose.
	if r.raw && r.status == http.StatusCreated {
		answer.Description = http.StatusText(http.StatusOK)
		op.Responses.set(strconv.Itoa(http.StatusOK), answer)
	}
	op.Responses.set("default", response{Ref: "#/components/responses/Problem"})
	return op
}

// in is where OpenAPI sees a parameter, by the key of its tag.
var in = map[string]string{"form": "query", "path": "path", "header": "header"}

func describeRequest(r *route) (params []parameter, b *body) {
	if r.consumes != "" {
		b = &body{Required: true, Content: binary(r.consumes)}
	}
	if r.req == nil {
		return nil, b
	}
	for _, f := range r.req.fields {
		if !isJSON(f) {
			params = append(params, parameter{
				Name: f.tag.name, In: in[f.tag.place], Description: text(f.doc),
				Required: f.tag.required(), Schema: fieldSchema(f),
			})
			continue
		}
		// Also when every field may be absent: then it is at least "{}".
		b = &body{Required: true, Content: content{"application/json": {ref(r.req.name)}}}
	}
	return params, b
}

func describeAnswer(r *route) content {
	switch {
	case r.method == "HEAD":
		return nil
	case r.produces != "":
		return binary(r.produces)
	case r.resp != nil:
		return content{"application/json": {ref(r.resp.name)}}
	}
	return nil
}

func binary(mediaType string) content {
	return content{mediaType: {&schema{Type: "string", Format: "binary"}}}
}

func isJSON(f *field) bool { return f.tag.place == "json" }

// use marks t and the types that its JSON form mentions.
func use(used map[*structType]bool, t *structType) {
	if t == nil || used[t] {
		return
	}
	used[t] = true
	for _, f := range flatten(t) {
		use(used, f.typ.named())
	}
}

// addTypes adds the used types in the order of the contracts. A schema's name is its type's, whatever the role.
func (cs *components) addTypes(c *contract, used map[*structType]bool) error {
	var errs []error
	for _, f := range c.files() {
		for _, t := range f.types {
			if !used[t] {
				continue
			}
			if _, taken := cs.Schemas.get(t.name); taken {
				errs = append(errs, errorAt(t.pos, "schema %s is taken; use another name, or share the type in %s", t.name, sharedName))
				continue
			}
			cs.Schemas.set(t.name, objectSchema(t))
		}
	}
	return errors.Join(errs...)
}

// fixedComponents are what every route has without saying so: its errors and how a caller proves who it is.
func fixedComponents() components {
	cs := components{&ordered[*schema]{}, &ordered[response]{}, &ordered[securityScheme]{}}

	cs.Schemas.set("Problem", object("What went wrong (RFC 9457).",
		prop("type", &schema{Type: "string", Format: "uri", Description: "Names the kind of problem."}),
		prop("title", &schema{Type: "string", Description: "The problem in a sentence, in the reader's language."}),
		prop("status", &schema{Type: "integer", Description: "The HTTP status."}),
		prop("code", &schema{Type: "string", Description: "The problem for programs: stable, in any language."}),
		prop("requestId", &schema{Type: "string", Description: "Finds the request in the server's log."}),
	))
	problem, _ := cs.Schemas.get("Problem")
	problem.Properties.set("detail", &schema{
		Type: "string", Description: "What there is to say about this time only, in the reader's language.",
	})
	problem.Properties.set("fields", &schema{
		Type: "array", Items: ref("FieldProblem"), Description: "The parts of the request that are at fault, if any are.",
	})
	cs.Schemas.set("FieldProblem", object("A part of a request that is at fault.",
		prop("field", &schema{Type: "string", Description: "The part's name in the request."}),
		prop("code", &schema{Type: "string", Description: "The fault for programs: stable, in any language."}),
		prop("message", &schema{Type: "string", Description: "The fault in the reader's language."}),
	))
	cs.Responses.set("Problem", response{
		Description: "A problem.",
		Content:     content{"application/problem+json": {ref("Problem")}},
	})
	cs.SecuritySchemes.set("bearer", securityScheme{
		Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "An access token, for programs.",
	})
	cs.SecuritySchemes.set("cookie", securityScheme{
		Type: "apiKey", In: "cookie", Name: "gopan_session", Description: "A session, for browsers.",
	})
	cs.SecuritySchemes.set("upload", securityScheme{
		Type: "apiKey", In: "header", Name: "Upload-Token", Description: "The token of one upload, for that upload alone.",
	})
	return cs
}

type property struct {
	name   string
	schema *schema
}

func prop(name string, s *schema) property { return property{name, s} }

// object is a schema whose properties are all required.
func object(description string, props ...property) *schema {
	s := &schema{Type: "object", Description: description, Properties: &ordered[*schema]{}}
	for _, p := range props {
		s.Properties.set(p.name, p.schema)
		s.Required = append(s.Required, p.name)
	}
	return s
}
