package main

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/client"
)

func TestExitCode(t *testing.T) {
	status := func(n int) error { return &client.Error{Status: n} }
	rows := []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{status(400), 1}, {status(403), 1}, {status(413), 1}, {status(500), 1},
		{client.ErrChanged, 1}, {client.ErrDigest, 1}, {client.ErrNotUTF8, 1},
		{usageError(errors.New("x")), 2},
		{errors.New(`unknown command "x" for "gopan"`), 2},
		{client.ErrSignedOut, 3}, {status(401), 3}, {client.ErrExposed, 3},
		{status(404), 4}, {status(410), 4}, {os.ErrNotExist, 4},
		{status(409), 5}, {status(412), 5}, {client.ErrInTheWay, 5}, {client.ErrSameName, 5}, {client.ErrBusyPart, 5},
		{status(507), 6},
		{&client.NetworkError{Err: errors.New("refused")}, 7},
		{status(429), 7}, {status(502), 7}, {status(503), 7}, {status(504), 7},
		{context.Canceled, 130},
		{&exitError{42, errors.New("x")}, 42},
		{&exitError{exitFailed, client.ErrSignedOut}, 1},
	}
	for _, row := range rows {
		if got := exitCode(row.err); got != row.want {
			t.Errorf("exitCode(%v) = %d, want %d", row.err, got, row.want)
		}
		if row.err == nil {
			continue
		}
		if got := exitCode(fmt.Errorf("wrapped: %w", row.err)); got != row.want && row.want != exitUsage {
			t.Errorf("exitCode(wrapped %v) = %d, want %d", row.err, got, row.want)
		}
		if !slices.ContainsFunc(exitTable, func(e struct {
			code    int
			meaning text
		}) bool {
			return e.code == row.want
		}) && row.want != 42 {
			t.Errorf("%d is not in the table", row.want)
		}
	}
}

func TestTally(t *testing.T) {
	quota, taken, gone, down := &client.Error{Status: 507}, &client.Error{Status: 409}, &client.Error{Status: 404}, &client.Error{Status: 503}
	rows := []struct {
		name string
		errs []error
		want int
	}{
		{"nothing", nil, exitOK},
		{"all well", []error{nil, nil}, exitOK},
		{"all for one reason", []error{taken, taken}, exitConflict},
		{"for several reasons", []error{taken, gone}, exitFailed},
		{"some", []error{nil, taken}, exitFailed},
		{"full", []error{nil, quota, taken}, exitOverQuota},
		{"gone away", []error{nil, quota, down}, exitUnavailable},
		{"signed out", []error{nil, down, client.ErrSignedOut}, exitSignedOut},
		{"interrupted", []error{client.ErrSignedOut, context.Canceled}, exitInterrupted},
	}
	for _, row := range rows {
		var all tally
		for _, err := range row.errs {
			all.add(err)
		}
		if got := all.code(); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}

func TestLanguage(t *testing.T) {
	rows := []struct {
		all, messages, lang string
		want                bool
	}{
		{"", "", "zh_CN.UTF-8", true}, {"", "", "en_US.UTF-8", false}, {"C", "", "zh_CN.UTF-8", false},
		{"", "zh_TW", "en_US", true}, {"", "", "", false},
	}
	for _, row := range rows {
		env := map[string]string{"LC_ALL": row.all, "LC_MESSAGES": row.messages, "LANG": row.lang}
		if got := wantsChinese(func(k string) string { return env[k] }); got != row.want {
			t.Errorf("%+v: %v", row, got)
		}
	}
}

// Every text is there in both languages and takes the same arguments in both.
func TestTextsAreComplete(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	verb := regexp.MustCompile(`%(\[\d+\])?[a-z]`)
	verbs := func(s string) []string {
		out := verb.FindAllString(s, -1)
		for i, v := range out {
			out[i] = "%" + v[len(v)-1:]
		}
		slices.Sort(out)
		return out
	}
	n := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(node ast.Node) bool {
			lit, ok := node.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if id, ok := lit.Type.(*ast.Ident); !ok || id.Name != "text" {
				return true
			}
			if len(lit.Elts) == 0 {
				// No text at all.
				return true
			}
			n++
			var both []string
			for _, e := range lit.Elts {
				both = append(both, constant(e))
			}
			if len(both) != 2 || both[0] == "" || both[1] == "" {
				t.Errorf("%s: a text lacks a language: %q", name, both)
			} else if !slices.Equal(verbs(both[0]), verbs(both[1])) {
				t.Errorf("%s: %q and %q take other arguments", name, both[0], both[1])
			}
			return true
		})
	}
	if n < 50 {
		t.Errorf("only %d texts found", n)
	}
}

// constant is the value of a string literal, or of several that are joined.
func constant(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.BinaryExpr:
		return constant(e.X) + constant(e.Y)
	}
	return ""
}

// What the client can fail with has a sentence in both languages.
func TestExplain(t *testing.T) {
	for _, s := range sentences {
		for _, zh := range []bool{false, true} {
			speak(t, zh)
			if got := explain(fmt.Errorf("deep: %w", s.err)); got != say(s.text) {
				t.Errorf("explain(%v) = %q", s.err, got)
			}
		}
	}
	speak(t, true)
	if got := explain(&client.NetworkError{Tries: 3, Err: errors.New("refused")}); got != "无法连接服务器(已尝试 3 次):refused" {
		t.Errorf("got %q", got)
	}
	if got := explain(&client.Error{Status: 409, Code: "name_taken", Detail: "名称已被占用", RequestID: "r"}); !strings.Contains(got, "名称已被占用") || !strings.Contains(got, "r") {
		t.Errorf("got %q", got)
	}
}
