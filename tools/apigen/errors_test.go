package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const server = "@server (\n\taccess: user\n)\n"

// TestErrors has a row for each thing that a contract may not say. Each names the file and the line.
func TestErrors(t *testing.T) {
	route := func(types, doc, line string) map[string]string {
		return map[string]string{"a.api": types + server + "service a {\n" + doc + "\n@handler do\n" + line + "\n}\n"}
	}
	typed := func(fields string) map[string]string {
		return route("type T {\n"+fields+"\n}\n", `@doc "Do."`, "post /do (T)")
	}
	block := func(server string) map[string]string {
		return map[string]string{"a.api": server + "service a {\n@doc \"Do.\"\n@handler do\npost /do\n}\n"}
	}
	raw := func(doc, line string) map[string]string {
		return map[string]string{"a.api": "type T {\nA string `json:\"a\"`\n}\n@server (\naccess: user\nraw: true\n)\n" +
			"service a {\n@doc (\nsummary: \"Do.\"\n" + doc + "\n)\n@handler do\n" + line + "\n}\n"}
	}
	two := func(a, b string) map[string]string {
		return map[string]string{
			"a.api": server + "service a {\n" + a + "\n}\n",
			"b.api": server + "service b {\n" + b + "\n}\n",
		}
	}
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		// Line 1 is the syntax, which write adds.
		{"no access", block("@server (\nprefix: /x\n)\n"), "api/a.api:5: service block without access"},
		{"no server block", block(""), "api/a.api:2: service block without access"},
		{"unknown access", block("@server (\naccess: root\n)\n"), `api/a.api:3: access "root" is none of public, account, user, read, upload, admin`},
		{"unknown raw", block("@server (\naccess: user\nraw: yes\n)\n"), `api/a.api:4: raw "yes" is neither`},
		{"unknown server key", block("@server (\naccess: user\ntimeout: 3s\n)\n"), "api/a.api:4: @server has no key timeout"},
		{"service of another file", map[string]string{"a.api": server + "service b {\n@doc \"Do.\"\n@handler do\npost /do\n}\n"},
			"api/a.api:5: service b in a.api"},

		{"route twice", two("@doc \"A.\"\n@handler x\nget /do", "@doc \"B.\"\n@handler y\nget /do"),
			"api/b.api:8: GET /do is already the route of X"},
		{"route twice but for a name", map[string]string{"a.api": "type P {\nID string `path:\"id\"`\n}\ntype Q {\nNo string `path:\"no\"`\n}\n" +
			server + "service a {\n@doc \"A.\"\n@handler x\nget /do/:id (P)\n@doc \"B.\"\n@handler y\nget /do/:no (Q)\n}\n"},
			"api/a.api:17: GET /do/:no is already the route of X"},
		{"route twice in a block", two("@doc \"A.\"\n@handler x\nget /do\n@doc \"A.\"\n@handler z\nget /do", "@doc \"B.\"\n@handler y\nget /y"),
			"api/a.api:11: duplicate path expression"},
		{"handler twice", two("@doc \"A.\"\n@handler do\nget /a", "@doc \"B.\"\n@handler do\nget /b"),
			"api/b.api:8: handler Do is already that of GET /a"},
		{"handler twice but for its case", two("@doc \"A.\"\n@handler do\nget /a\n@doc \"A.\"\n@handler Do\nget /c", "@doc \"B.\"\n@handler y\nget /b"),
			"api/a.api:11: handler Do is already that of GET /a"},
		{"handler twice in a block", two("@doc \"A.\"\n@handler x\nget /a\n@doc \"A.\"\n@handler x\nget /c", "@doc \"B.\"\n@handler y\nget /b"),
			"api/a.api:10: duplicate handler expression"},

		{"no summary", route("", "@doc (\nstatus: \"204\"\n)", "post /do"), "api/a.api:10: Do: no summary"},
		{"unknown doc key", route("", "@doc (\nsumary: \"Do.\"\n)", "post /do"), "api/a.api:7: @doc has no key sumary"},
		{"bad status", route("", "@doc (\nsummary: \"Do.\"\nstatus: \"404\"\n)", "post /do"), `api/a.api:8: status "404"`},
		{"status without an answer", route("", "@doc (\nsummary: \"Do.\"\nstatus: \"201\"\n)", "post /do"), "api/a.api:11: Do: status 201 without an answer"},
		{"answer without a body", route("type T {\nA string `json:\"a\"`\n}\n", "@doc (\nsummary: \"Do.\"\nstatus: \"204\"\n)", "post /do returns (T)"),
			"api/a.api:14: Do: an answer to POST with status 204 has no body"},
		{"consumes without raw", route("", "@doc (\nsummary: \"Do.\"\nconsumes: \"image/png\"\n)", "post /do"), "consumes and produces belong to raw routes"},
		{"consumes and JSON", raw("consumes: \"image/png\"", "post /do (T)"), "api/a.api:15: Do: it consumes image/png and has JSON fields too"},
		{"produces and returns", raw("produces: \"image/png\"", "post /do returns (T)"), "api/a.api:15: Do: it produces image/png and returns T too"},
		{"JSON in a GET", route("type T {\nA string `json:\"a\"`\n}\n", `@doc "Do."`, "get /do (T)"), "api/a.api:11: Do: a GET carries no JSON"},
		{"path field missing", route("", `@doc "Do."`, "post /do/:id"), `the variables ["id"] and its request the path fields []`},
		{"path field too many", typed("ID string `path:\"id\"`"), `the variables [] and its request the path fields ["id"]`},
		{"list as an answer", route("type T {\nA string `json:\"a\"`\n}\n", `@doc "Do."`, "post /do returns ([]T)"), "api/a.api:11: a request or an answer is a named struct"},
		{"answer with a header", route("type T {\nA string `header:\"a\"`\n}\n", `@doc "Do."`, "post /do returns (T)"), "it answers with a T, which has the header field A"},
		{"request that embeds", route("type E {\nA string `json:\"a\"`\n}\ntype T {\nE\n}\n", `@doc "Do."`, "post /do (T)"), "its request embeds E"},

		{"no tag", typed("A string"), "api/a.api:3: field A has no tag"},
		{"two tags", typed("A string `json:\"a\" form:\"a\"`"), "api/a.api:3: field A: a field has one tag"},
		{"other tag", typed("A string `xml:\"a\"`"), "api/a.api:3: field A: a field has one tag"},
		{"no name", typed("A string `json:\",optional\"`"), "gives it no name"},
		{"unknown option", typed("A string `json:\"a,optionel\"`"), `the option "optionel"`},
		{"two defaults", typed("A string `json:\"a,default=x=y\"`"), `the option "default=x=y"`},
		{"optional and default", typed("A string `json:\"a,optional,default=x\"`"), "one of them is enough"},
		{"bad range", typed("A int `json:\"a,range=1-5\"`"), `range "1-5"`},
		{"range of text", typed("A string `json:\"a,range=[1:5]\"`"), "has a range and is no number"},
		{"default of another type", typed("A int `json:\"a,default=x\"`"), `its default: "x" is not a whole number`},
		{"default that is no option", typed("A string `json:\"a,default=x,options=y|z\"`"), "its default is none of its options"},
		{"option of another type", typed("A int `json:\"a,options=1|x\"`"), `its option: "x" is not a whole number`},
		{"same name twice", typed("A string `json:\"a\"`\nB string `json:\"a\"`"), `api/a.api:4: type T has two fields for json "a"`},
		{"one tag for two fields", typed("A, B string `json:\"a\"`"), `two fields for json "a"`},
		{"list in a query", typed("A []string `form:\"a\"`"), "of a type that no form can carry"},
		{"pointer that may be null", typed("A *string `json:\"a\"`"), "a pointer and not optional"},
		{"optional path", typed("A string `path:\"a,optional\"`"), "is part of the path and may not be absent"},
		{"no JSON form", typed("A complex64 `json:\"a\"`"), "has a complex64 in it"},
		{"nested struct", typed("A {\nB string `json:\"b\"`\n} `json:\"a\"`"), "give it a name"},
		{"header in the body", route("type E {\nA string `header:\"a\"`\n}\ntype T {\nE E `json:\"e\"`\n}\n", `@doc "Do."`, "post /do (T)"),
			"api/a.api:6: field E holds a E, which has the header field A"},
		{"not exported", typed("a string `json:\"a\"`"), "field a is not exported"},
		{"type not exported", route("type t {\nA string `json:\"a\"`\n}\n", `@doc "Do."`, "post /do (t)"), "api/a.api:2: type t is not exported"},
		{"embeds itself", route("type T {\nU\n}\ntype U {\nT\n}\n", `@doc "Do."`, "post /do (T)"), "api/a.api:2: type T embeds itself"},
		{"type of another role", map[string]string{
			"a.api": "import \"b.api\"\ntype T {\nB B `json:\"b\"`\n}\n" + server + "service a {\n@doc \"Do.\"\n@handler do\npost /do (T)\n}\n",
			"b.api": "type B {\nA string `json:\"a\"`\n}\n"}, "api/a.api:4: type B is neither in a.api nor in types.api"},
		{"schema of two roles", map[string]string{
			"a.api": "type T {\nA string `json:\"a\"`\n}\n" + server + "service a {\n@doc \"A.\"\n@handler a\npost /a (T)\n}\n",
			"b.api": "type T {\nB string `json:\"b\"`\n}\n" + server + "service b {\n@doc \"B.\"\n@handler b\npost /b (T)\n}\n"},
			"api/b.api:2: schema T is taken"},
		{"service in the shared types", map[string]string{"types.api": server + "service types {\n@doc \"A.\"\n@handler a\npost /a\n}\n"},
			"api/types.api:5: service types in types.api"},
		{"not an .api file", map[string]string{"a.api": "hello {"}, "api/a.api:2: "},
		{"unknown type", typed("A Missing `json:\"a\"`"), "api/a.api:3: "},
		{"no contracts", nil, "no .api files"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.Mkdir(filepath.Join(root, "api"), 0o755); err != nil {
				t.Fatal(err)
			}
			for name, text := range test.files {
				if err := os.WriteFile(filepath.Join(root, "api", name), []byte("syntax = \"v1\"\n"+text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err := run(root)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got error %v\nwant one with %s", err, test.want)
			}
			if strings.Contains(err.Error(), root) && test.files != nil {
				t.Errorf("the error tells where the repository is: %v", err)
			}
			if _, err := os.Stat(filepath.Join(root, "internal")); err == nil {
				t.Error("it wrote code all the same")
			}
		})
	}
}

// TestErrorsAreAllTold: a contract is corrected in one go, not one error a run.
func TestErrorsAreAllTold(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "api"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := "syntax = \"v1\"\ntype T {\nA *string `json:\"a\"`\nB *string `json:\"b\"`\n}\n"
	if err := os.WriteFile(filepath.Join(root, "api", "types.api"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	err := run(root)
	if err == nil || !strings.Contains(err.Error(), "types.api:3:") || !strings.Contains(err.Error(), "types.api:4:") {
		t.Errorf("got %v, want an error for line 3 and one for line 4", err)
	}
}
