package main

import (
	"fmt"
	"path/filepath"

	"github.com/zeromicro/go-zero/tools/goctl/pkg/parser/api/token"
)

// sharedName is the file whose types every role may use. It has no service.
const sharedName = "types.api"

// A contract is all of api/*.api.
type contract struct {
	shared *file // nil when no two roles share a type
	roles  []*file
}

// files returns the shared types first, then the roles by name.
func (c *contract) files() []*file {
	if c.shared == nil {
		return c.roles
	}
	return append([]*file{c.shared}, c.roles...)
}

// A file is one .api file, in the order in which it is written.
type file struct {
	name   string // "user.api"
	role   string // "user"; empty for the shared types
	title  string
	types  []*structType
	routes []*route
	shared *file // where names that are not among types are looked up
}

// goPath is where the file's Go code goes, relative to the root.
func (f *file) goPath() string {
	if f.role == "" {
		return "internal/httpapi/types_gen.go"
	}
	return "internal/" + f.role + "/api_gen.go"
}

// lookup finds a type by name in the file or among the shared types; nil when neither has it.
func (f *file) lookup(name string) *structType {
	for _, t := range f.types {
		if t.name == name {
			return t
		}
	}
	if f.shared != nil {
		return f.shared.lookup(name)
	}
	return nil
}

type structType struct {
	file   *file
	pos    token.Position
	name   string
	doc    []string // lines, without "//"
	fields []*field
}

// A field of a struct. One without a name embeds its type, which is then a named struct, and has no tag.
type field struct {
	pos  token.Position
	name string
	typ  dataType
	tag  tag
	doc  []string
}

// dataType is a type as a field spells it. Exactly one of the shapes below.
type dataType struct {
	basic  string      // a Go basic type, or "any"
	ref    *structType // a named struct
	slice  *dataType
	mapped *dataType // the value of a map whose key is the basic type in basic
	ptr    *dataType
}

// access is who may call a route, as the .api file spells it.
type access string

// accessName maps what @server may say to the constant of package httpapi.
var accessName = map[access]string{
	"public": "Public", "account": "Account", "user": "User", "read": "Read", "upload": "Upload", "admin": "Admin",
}

type route struct {
	pos      token.Position
	role     string
	id       string // the handler's name as written
	handler  string // the same, exported
	method   string // upper case
	path     string // with the prefix, in go-zero's syntax
	access   access
	raw      bool
	summary  string
	status   int
	consumes string // a media type, or empty for JSON
	produces string
	req      *structType // nil when the route takes nothing
	resp     *structType // nil when it gives nothing
}

// errorAt is an error in a contract, in the form that editors make a link of.
func errorAt(pos token.Position, format string, args ...any) error {
	return fmt.Errorf("api/%s:%d: %s", filepath.Base(pos.Filename), pos.Line, fmt.Sprintf(format, args...))
}
