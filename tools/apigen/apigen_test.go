package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestGolden compares what comes of testdata/api, which has one of every shape, with what was reviewed. To
// change it: go run -C tools ./apigen -root apigen/testdata, and read the diff.
func TestGolden(t *testing.T) {
	outputs := mustGenerate(t, "testdata")
	var paths []string
	for _, o := range outputs {
		paths = append(paths, o.path)
		want, err := os.ReadFile(filepath.Join("testdata", o.path))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(o.data, want) {
			t.Errorf("%s differs from the golden file:\n%s", o.path, firstDifference(o.data, want))
		}
	}
	want := "api/openapi.json internal/httpapi/types_gen.go internal/plain/api_gen.go " +
		"internal/shop/api_gen.go internal/store/api_gen.go"
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("generated %s, want %s", got, want)
	}
}

func TestDeterministic(t *testing.T) {
	first := mustGenerate(t, "testdata")
	for range 10 { // maps are walked in another order each time
		again := mustGenerate(t, "testdata")
		for i, o := range again {
			if o.path != first[i].path || !bytes.Equal(o.data, first[i].data) {
				t.Fatalf("%s is not the same twice:\n%s", o.path, firstDifference(o.data, first[i].data))
			}
		}
	}
}

// TestGoTypes type-checks the generated code against the constructors that it calls.
func TestGoTypes(t *testing.T) {
	fset := token.NewFileSet()
	known := importer{}
	add := func(path string, sources ...string) {
		t.Helper()
		var files []*ast.File
		for _, src := range sources {
			f, err := parser.ParseFile(fset, path+".go", src, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		pkg, err := (&types.Config{Importer: known}).Check(path, fset, files, nil)
		if err != nil {
			t.Fatal(err)
		}
		known[path] = pkg
	}
	code := map[string]string{}
	for _, o := range mustGenerate(t, "testdata") {
		code[o.path] = string(o.data)
	}
	add("context", "package context; type Context interface{ Done() }")
	add("net/http", "package http; type ResponseWriter interface{ Flush() }; type Request struct{}")
	add(module+"/internal/httpapi", httpapiStub, code["internal/httpapi/types_gen.go"])
	for _, role := range []string{"plain", "shop", "store"} {
		add(module+"/internal/"+role, code["internal/"+role+"/api_gen.go"])
	}
	if known[module+"/internal/shop"].Scope().Lookup("Routes") == nil {
		t.Error("the shop has no routes")
	}
}

// httpapiStub has the signatures of internal/httpapi, which is in another module.
const httpapiStub = `package httpapi

import (
	"context"
	"net/http"
)

type Access int

const (
	Public Access = iota + 1
	User
	Admin
)

type Spec struct {
	Method, Path string
	Access       Access
	Status       int
}

type Route struct{}

func InOut[Req, Resp any](s Spec, fn func(context.Context, *Req) (*Resp, error)) Route { return Route{} }
func In[Req any](s Spec, fn func(context.Context, *Req) error) Route                   { return Route{} }
func Out[Resp any](s Spec, fn func(context.Context) (*Resp, error)) Route              { return Route{} }
func Bare(s Spec, fn func(context.Context) error) Route                                { return Route{} }
func Raw(s Spec, fn func(http.ResponseWriter, *http.Request) error) Route              { return Route{} }
`

type importer map[string]*types.Package

func (m importer) Import(path string) (*types.Package, error) { return m[path], nil }

// TestReferences follows every $ref of the document.
func TestReferences(t *testing.T) {
	var doc any
	if err := json.Unmarshal(mustGenerate(t, "testdata")[0].data, &doc); err != nil {
		t.Fatal(err)
	}
	count := 0
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for key, e := range v {
				if target, ok := e.(string); ok && key == "$ref" {
					count++
					if resolve(doc, target) == nil {
						t.Errorf("%s leads nowhere", target)
					}
				}
				walk(e)
			}
		}
	}
	walk(doc)
	if count == 0 {
		t.Error("no reference in the document")
	}
}

func resolve(doc any, ref string) any {
	for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		m, ok := doc.(map[string]any)
		if !ok {
			return nil
		}
		doc = m[part]
	}
	return doc
}

func TestRunWritesOnlyWhatChanged(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "api"), os.DirFS("testdata/api")); err != nil {
		t.Fatal(err)
	}
	same := filepath.Join(root, "internal/shop/api_gen.go")
	stale := filepath.Join(root, "internal/plain/api_gen.go")
	if err := run(root); err != nil {
		t.Fatal(err)
	}
	long := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := os.Chtimes(same, long, long); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, []byte("package plain\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(root); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(same)
	if err != nil {
		t.Fatal(err)
	}
	if !after.ModTime().Equal(long) {
		t.Error("a file that was right was written again")
	}
	if got, _ := os.ReadFile(stale); !bytes.Contains(got, []byte("func Routes")) {
		t.Errorf("a stale file was left alone: %s", got)
	}
}

func mustGenerate(t *testing.T, root string) []output {
	t.Helper()
	outputs, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	return outputs
}

func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range g {
		if i >= len(w) {
			return "got more: " + g[i]
		}
		if g[i] != w[i] {
			return "got  " + g[i] + "\nwant " + w[i]
		}
	}
	return "want more: " + w[len(g)]
}
