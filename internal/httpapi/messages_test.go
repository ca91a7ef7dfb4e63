package httpapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/livil/gopan/internal/errs"
)

// codes are the words that the source makes errs.Code of, with where.
func codes(t *testing.T) map[string]token.Position {
	t.Helper()
	out, files := map[string]token.Position{}, token.NewFileSet()
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			fn, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || fn.Sel.Name != "Code" {
				return true
			}
			if pkg, ok := fn.X.(*ast.Ident); !ok || pkg.Name != "errs" {
				return true
			}
			if lit, ok := call.Args[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				word, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Error(err)
				}
				out[word] = files.Position(call.Pos())
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every code that a caller may see has a sentence in both languages.
func TestEveryCodeHasSentences(t *testing.T) {
	found := codes(t)
	for _, known := range []string{"bad_json", "name_taken", "bad_credentials", "role_unavailable"} {
		if _, ok := found[known]; !ok {
			t.Errorf("%s was not found in the source: this test looks in the wrong place", known)
		}
	}
	for k := range errs.Kinds {
		found[k.String()] = token.Position{Filename: "kind"}
	}
	for code, at := range found {
		if m, ok := messages[code]; !ok || m.en == "" || m.zh == "" {
			t.Errorf("%s: code %q has no sentence in English and Chinese", at, code)
		}
	}
	for code, m := range messages {
		han := strings.ContainsFunc(m.zh, func(r rune) bool { return unicode.Is(unicode.Han, r) })
		if !han || strings.ContainsFunc(m.en, func(r rune) bool { return r > unicode.MaxASCII }) {
			t.Errorf("%s: %q, %q", code, m.en, m.zh)
		}
	}
}

// Every kind has a status of its own class, and none is a success.
func TestEveryKindHasStatus(t *testing.T) {
	for k := range errs.Kinds {
		s, ok := statuses[k]
		ours := k == errs.Internal || k == errs.Busy || k == errs.Corrupt || k == errs.OverQuota
		if !ok || s < 400 || s > 599 || (s >= 500) != ours {
			t.Errorf("%s: status %d", k, s)
		}
	}
}
