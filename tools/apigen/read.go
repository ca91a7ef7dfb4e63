package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zeromicro/go-zero/tools/goctl/pkg/parser/api/ast"
	"github.com/zeromicro/go-zero/tools/goctl/pkg/parser/api/parser"
	"github.com/zeromicro/go-zero/tools/goctl/pkg/parser/api/token"
)

// read parses every .api file in root's api folder. It works on goctl's syntax trees and not on its spec,
// which sorts routes and types by name and forgets where each was written.
func read(root string) (*contract, error) {
	names, err := filepath.Glob(filepath.Join(root, "api", "*.api"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no .api files in %s", filepath.Join(root, "api"))
	}
	slices.Sort(names)
	trees := map[string]*ast.AST{}
	for _, name := range names {
		if trees[name], err = parse(name); err != nil {
			return nil, err
		}
	}

	c := &contract{}
	for _, name := range names {
		if filepath.Base(name) == sharedName {
			c.shared = &file{name: sharedName}
			if err := c.shared.read(trees[name]); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range names {
		base := filepath.Base(name)
		if base == sharedName {
			continue
		}
		f := &file{name: base, role: strings.TrimSuffix(base, ".api"), shared: c.shared}
		if err := f.read(trees[name]); err != nil {
			return nil, err
		}
		c.roles = append(c.roles, f)
	}
	return c, nil
}

// parse lets goctl check the file with all that it imports, and returns the file's own tree.
func parse(name string) (*ast.AST, error) {
	p := parser.New(name, "")
	tree := p.Parse()
	err := p.CheckErrors()
	if err == nil && (tree == nil || len(tree.Stmts) == 0) {
		err = errors.New("nothing in it")
	}
	if err == nil {
		_, err = parser.Parse(name, "")
	}
	if err != nil {
		// goctl names files by their absolute path or by their name alone.
		dir, _ := filepath.Abs(filepath.Dir(name))
		msg := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
		if goctlPos.MatchString(msg) {
			return nil, errors.New(goctlPos.ReplaceAllString(msg, "api/$1:$2: "))
		}
		return nil, fmt.Errorf("api/%s: %s", filepath.Base(name), msg)
	}
	return tree, nil
}

// goctlPos is a position in goctl's errors, with the words before it: "syntax error: a.api 3:7 …".
var goctlPos = regexp.MustCompile(`(?:syntax error: |duplicate declaration: )?([^\s/]+\.api) (\d+):\d+ (?:syntax error: )?`)

func (f *file) read(tree *ast.AST) error {
	var exprs []*ast.TypeExpr
	var services []*ast.ServiceStmt
	for _, stmt := range tree.Stmts {
		switch s := stmt.(type) {
		case *ast.InfoStmt:
			f.title = values(s.Values)["title"].text
		case *ast.TypeLiteralStmt:
			// With "type X {…}" the comment stands before the keyword.
			s.Expr.Name.HeadCommentGroup = s.Type.HeadCommentGroup
			exprs = append(exprs, s.Expr)
		case *ast.TypeGroupStmt:
			exprs = append(exprs, s.ExprList...)
		case *ast.ServiceStmt:
			services = append(services, s)
		}
	}
	// Names first: a field may have a type that is written further down.
	for _, e := range exprs {
		head, _ := e.CommentGroup()
		f.types = append(f.types, &structType{
			file: f, pos: e.Name.Token.Position, name: e.Name.Token.Text, doc: comment(head),
		})
	}
	for i, e := range exprs {
		s, ok := e.DataType.(*ast.StructDataType)
		if !ok {
			return errorAt(e.Name.Token.Position, "type %s is not a struct", e.Name.Token.Text)
		}
		for _, elem := range s.Elements {
			if err := f.readField(f.types[i], elem); err != nil {
				return err
			}
		}
	}
	for _, s := range services {
		if err := f.readService(s); err != nil {
			return err
		}
	}
	return nil
}

func (f *file) readField(t *structType, elem *ast.ElemExpr) error {
	head, trailing := elem.CommentGroup()
	doc := append(comment(head), comment(trailing)...)
	if elem.IsAnonymous() {
		typ, err := f.readType(t.pos, elem.DataType)
		if err != nil {
			return err
		}
		if typ.ref == nil || elem.Tag != nil {
			return errorAt(t.pos, "type %s embeds something other than a struct by its name alone", t.name)
		}
		t.fields = append(t.fields, &field{pos: t.pos, typ: typ, doc: doc})
		return nil
	}
	for _, name := range elem.Name {
		pos := name.Token.Position
		typ, err := f.readType(pos, elem.DataType)
		if err != nil {
			return err
		}
		if elem.Tag == nil {
			return errorAt(pos, "field %s has no tag: say where it travels", name.Token.Text)
		}
		tg, err := parseTag(elem.Tag.RawText())
		if err != nil {
			return errorAt(pos, "field %s: %v", name.Token.Text, err)
		}
		t.fields = append(t.fields, &field{pos: pos, name: name.Token.Text, typ: typ, tag: tg, doc: doc})
	}
	return nil
}

func (f *file) readType(pos token.Position, in ast.DataType) (dataType, error) {
	elem := func(d ast.DataType) (*dataType, error) {
		t, err := f.readType(pos, d)
		return &t, err
	}
	var out dataType
	var err error
	switch d := in.(type) {
	case *ast.BaseDataType:
		name := d.RawText()
		if parser.IsBaseType(name) {
			return dataType{basic: name}, nil
		}
		if out.ref = f.lookup(name); out.ref == nil {
			return out, errorAt(pos, "type %s is neither in %s nor in %s", name, f.name, sharedName)
		}
	case *ast.InterfaceDataType:
		out.basic = "any"
	case *ast.SliceDataType:
		out.slice, err = elem(d.DataType)
	case *ast.MapDataType:
		out.basic = d.Key.RawText()
		out.mapped, err = elem(d.Value)
	case *ast.PointerDataType:
		out.ptr, err = elem(d.DataType)
	default:
		return out, errorAt(pos, "a contract has no words for the type %s; give it a name", in.RawText())
	}
	return out, err
}

func (f *file) readService(s *ast.ServiceStmt) error {
	if name := s.Name.Name.Token.Text; name != f.role {
		return errorAt(s.Name.Name.Token.Position, "service %s in %s", name, f.name)
	}
	var server map[string]value
	if s.AtServerStmt != nil {
		server = values(s.AtServerStmt.Values)
	}
	if err := onlyKeys("@server", server, "prefix", "access", "raw"); err != nil {
		return err
	}
	acc, ok := server["access"]
	if !ok {
		return errorAt(s.Service.Token.Position, "service block without access: say public, account, user, read, upload or admin in its @server")
	}
	if accessName[access(acc.text)] == "" {
		return errorAt(acc.pos, "access %q is none of public, account, user, read, upload, admin", acc.text)
	}
	raw := server["raw"]
	if raw.text != "" && raw.text != "true" && raw.text != "false" {
		return errorAt(raw.pos, "raw %q is neither true nor false", raw.text)
	}
	for _, item := range s.Routes {
		r := &route{
			pos:     item.Route.Method.Token.Position,
			role:    f.role,
			id:      item.AtHandler.Name.Token.Text,
			handler: exported(item.AtHandler.Name.Token.Text),
			method:  strings.ToUpper(item.Route.Method.Token.Text),
			path:    path.Join("/", server["prefix"].text, item.Route.Path.Format("")),
			access:  access(acc.text),
			raw:     raw.text == "true",
		}
		if err := f.readRoute(r, item); err != nil {
			return err
		}
		f.routes = append(f.routes, r)
	}
	return nil
}

func (f *file) readRoute(r *route, item *ast.ServiceItemStmt) (err error) {
	if r.req, err = f.readBody(item.Route.Request); err != nil {
		return err
	}
	if r.resp, err = f.readBody(item.Route.Response); err != nil {
		return err
	}
	doc := map[string]value{}
	switch d := item.AtDoc.(type) {
	case *ast.AtDocLiteralStmt:
		doc["summary"] = newValue(d.Value)
	case *ast.AtDocGroupStmt:
		doc = values(d.Values)
	}
	if err := onlyKeys("@doc", doc, "summary", "status", "consumes", "produces"); err != nil {
		return err
	}
	r.summary, r.consumes, r.produces = doc["summary"].text, doc["consumes"].text, doc["produces"].text

	r.status = http.StatusNoContent
	if r.resp != nil || r.produces != "" {
		r.status = http.StatusOK
	}
	if status, ok := doc["status"]; ok {
		n, err := strconv.Atoi(status.text)
		if err != nil || n < 200 || n > 299 {
			return errorAt(status.pos, "status %q is not that of a success", status.text)
		}
		r.status = n
	}
	return nil
}

func (f *file) readBody(b *ast.BodyStmt) (*structType, error) {
	if b == nil || b.Body == nil {
		return nil, nil
	}
	name, pos := b.Body.Value.Token.Text, b.Body.Value.Token.Position
	if b.Body.LBrack != nil || b.Body.Star != nil || parser.IsBaseType(name) {
		return nil, errorAt(pos, "a request or an answer is a named struct, so that it can grow")
	}
	t := f.lookup(name)
	if t == nil {
		return nil, errorAt(pos, "type %s is neither in %s nor in %s", name, f.name, sharedName)
	}
	return t, nil
}

// A value is the right side of a "key: value" line.
type value struct {
	pos  token.Position
	text string
}

// newValue drops the quotes. goctl knows no escapes inside them.
func newValue(n *ast.TokenNode) value { return value{n.Token.Position, n.RawText()} }

func values(kvs []*ast.KVExpr) map[string]value {
	m := make(map[string]value, len(kvs))
	for _, kv := range kvs {
		m[strings.TrimSuffix(kv.Key.Token.Text, ":")] = newValue(kv.Value)
	}
	return m
}

// onlyKeys refuses what goctl would obey and this generator would silently ignore.
func onlyKeys(block string, m map[string]value, known ...string) error {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(known, key) {
			return errorAt(m[key].pos, "%s has no key %s here, only %s", block, key, strings.Join(known, ", "))
		}
	}
	return nil
}

// comment returns a comment's lines without their marks.
func comment(g ast.CommentGroup) []string {
	var lines []string
	for _, text := range g.List() {
		if body, ok := strings.CutPrefix(text, "/*"); ok {
			for line := range strings.Lines(strings.TrimSpace(strings.TrimSuffix(body, "*/"))) {
				lines = append(lines, strings.TrimSpace(line))
			}
			continue
		}
		lines = append(lines, strings.TrimSpace(strings.TrimPrefix(text, "//")))
	}
	return lines
}

func exported(name string) string { return strings.ToUpper(name[:1]) + name[1:] }
