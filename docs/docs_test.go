// Package docs_test keeps the documents true: their links lead somewhere, their commands are commands, and the two
// languages say the same things.
package docs_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// root of the repository, from this folder.
const root = ".."

// documents are all Markdown files of the repository, by their path from its root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && name != "." && d.Name() != ".github"
		if d.IsDir() && (hidden || slices.Contains([]string{"node_modules", "testdata", "test-results", "gopan-data"}, d.Name())) {
			return fs.SkipDir
		}
		if d.IsDir() || path.Ext(name) != ".md" {
			return nil
		}
		b, err := os.ReadFile(filepath.Join(root, name))
		docs[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

// block is a fenced piece of code.
type block struct {
	lang, code string
	// tested tells that <!-- tested --> stands right before it.
	tested bool
	line   int
}

const testedMark = "<!-- tested -->"

// split takes a document apart into its prose and its fenced blocks.
func split(doc string) (prose string, blocks []block) {
	var text strings.Builder
	var cur *block
	fence, before := "", ""
	for i, line := range strings.Split(doc, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case cur == nil && strings.HasPrefix(trimmed, "```"):
			lang := strings.TrimLeft(trimmed, "`")
			fence = trimmed[:len(trimmed)-len(lang)]
			cur = &block{lang: lang, tested: before == testedMark, line: i + 1}
		case cur != nil && trimmed == fence:
			blocks = append(blocks, *cur)
			cur = nil
		case cur != nil:
			cur.code += line + "\n"
		default:
			text.WriteString(line + "\n")
		}
		before = trimmed
	}
	return text.String(), blocks
}

var heading = regexp.MustCompile(`(?m)^(#{1,6}) +(.+?) *$`)

// anchors are what links into a document can name, made of its headings as GitHub does.
func anchors(prose string) map[string]bool {
	out := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(prose, -1) {
		out[strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, h[2])] = true
	}
	return out
}

var (
	link   = regexp.MustCompile(`\]\(<?([^)>\s]+)>?(?: +"[^"]*")?\)|\b(?:src|srcset|href)="([^"\s]+)"`)
	scheme = regexp.MustCompile(`^(?:[a-z][a-z0-9+.-]*:|//)`)
	inline = regexp.MustCompile("`[^`\n]*`")
)

// Every relative link leads to a file, and to a heading in it where it names one.
func TestLinks(t *testing.T) {
	docs := documents(t)
	seen := 0
	for name, doc := range docs {
		prose, _ := split(doc)
		for _, m := range link.FindAllStringSubmatch(inline.ReplaceAllString(prose, ""), -1) {
			target := m[1] + m[2]
			if scheme.MatchString(target) {
				continue
			}
			seen++
			file, anchor, _ := strings.Cut(target, "#")
			to := name
			if file != "" {
				to = path.Join(path.Dir(name), file)
			}
			if !filepath.IsLocal(to) {
				t.Errorf("%s: %s leads out of the repository", name, target)
				continue
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s: %s leads nowhere", name, target)
				continue
			}
			if to, _ := split(docs[to]); anchor != "" && !anchors(to)[anchor] {
				t.Errorf("%s: %s names a heading that is not there", name, target)
			}
		}
	}
	if seen < 50 {
		t.Errorf("found %d relative links in %d documents: not all of them", seen, len(docs))
	}
}

// Every block of commands that says so is one that a shell can read.
func TestCommandsParse(t *testing.T) {
	seen := 0
	for name, doc := range documents(t) {
		_, blocks := split(doc)
		marked := 0
		for _, b := range blocks {
			if !b.tested {
				continue
			}
			marked++
			if b.lang != "sh" {
				t.Errorf("%s:%d: a tested block is ```sh, not ```%s", name, b.line, b.lang)
				continue
			}
			cmd := exec.CommandContext(t.Context(), "bash", "-n")
			cmd.Stdin = strings.NewReader(b.code)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s:%d: %v\n%s", name, b.line, err, out)
			}
		}
		if n := len(regexp.MustCompile(`(?m)^\s*`+testedMark).FindAllString(doc, -1)); n != marked {
			t.Errorf("%s: %d marks, but %d marked blocks: a mark stands right before its block", name, n, marked)
		}
		seen += marked
	}
	if seen < 30 {
		t.Errorf("found %d tested blocks: not all of them", seen)
	}
}

// pairs are the documents that are there in both languages.
func pairs(t *testing.T, docs map[string]string) map[string]string {
	t.Helper()
	out := map[string]string{"README.md": "README.zh-CN.md"}
	for _, must := range []string{"api.md", "cli.md", "operations.md"} {
		out["docs/"+must] = "docs/zh-CN/" + must
	}
	for name := range docs {
		if base, ok := strings.CutPrefix(name, "docs/zh-CN/"); ok {
			out["docs/"+base] = name
		}
	}
	return out
}

var comment = regexp.MustCompile(`(?m)(?:^|[ \t]+)#(?: .*)?$`)

// A document and its translation have the same headings, tables and code; comments in code may differ.
func TestTranslations(t *testing.T) {
	docs := documents(t)
	for en, zh := range pairs(t, docs) {
		if docs[en] == "" || docs[zh] == "" {
			t.Errorf("%s and %s belong together, and one is missing", en, zh)
			continue
		}
		proseEN, codeEN := split(docs[en])
		proseZH, codeZH := split(docs[zh])
		if a, b := levels(proseEN), levels(proseZH); a != b {
			t.Errorf("%s has the headings %s, %s has %s", en, a, zh, b)
		}
		if a, b := strings.Count(proseEN, "\n|"), strings.Count(proseZH, "\n|"); a != b {
			t.Errorf("%s has %d rows in tables, %s has %d", en, a, zh, b)
		}
		if len(codeEN) != len(codeZH) {
			t.Errorf("%s has %d blocks of code, %s has %d", en, len(codeEN), zh, len(codeZH))
			continue
		}
		for i, a := range codeEN {
			b := codeZH[i]
			same := a.lang == "text" || comment.ReplaceAllString(a.code, "") == comment.ReplaceAllString(b.code, "")
			if a.lang != b.lang || a.tested != b.tested || !same {
				t.Errorf("%s:%d and %s:%d are not the same code", en, a.line, zh, b.line)
			}
		}
	}
}

// levels are a document's headings, by their depth alone.
func levels(prose string) string {
	var b strings.Builder
	for _, h := range heading.FindAllStringSubmatch(prose, -1) {
		b.WriteByte(byte('0' + len(h[1])))
	}
	return b.String()
}
