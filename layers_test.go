package gopan_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/livil/gopan"

// group of packages that stand at one height, and why there.
type group struct {
	why      string
	packages []string
}

// layers from the bottom up: a package imports from its own layer and those below, never from above. A name
// stands for the package and all below it.
var layers = []group{
	{"the vocabulary that everything shares; it can depend on nothing without a cycle",
		[]string{"internal/errs", "internal/pb", "internal/drivepath", "internal/faultpoint"}},
	{"one way to keep things or to reach somebody each, and who is asking; they serve every role and so can know none",
		[]string{"internal/blob", "internal/kv", "internal/etcd", "internal/event", "internal/db", "internal/auth",
			"internal/sms", "internal/oauth"}},
	{"how calls come in; a role is handed to them as a table of methods",
		[]string{"internal/rpc", "internal/httpapi"}},
	{"the services",
		[]string{"internal/user", "internal/filemeta", "internal/upload", "internal/download", "internal/transfer"}},
	{"what belongs to a process as a whole",
		[]string{"internal/config", "internal/app", "internal/client", "api", "web"}},
	{"the program", []string{"cmd"}},
	{"clients that judge the whole, for tests", []string{"internal/drivetest"}},
}

// roles is the layer whose packages never meet.
const roles = 3

// rule refuses what the packages of from import among those of to, and says why.
type rule struct {
	why      string
	from, to func(pkg string) bool
}

// rules are the imports that the layers allow and we do not.
var rules = []rule{
	{"app alone knows every driver: it picks one in one place, and everybody else sees the interface",
		func(p string) bool { return p != "internal/app" },
		driver},
	{"what stores in a bucket have in common is for them, and for app, which opens them",
		func(p string) bool {
			return !slices.Contains([]string{"internal/app", "internal/blob/s3", "internal/blob/cos"}, p)
		},
		func(p string) bool { return p == bucketStore }},
	{"other sites say who somebody is to the role that signs people in, and to nobody else",
		func(p string) bool {
			return !slices.ContainsFunc([]string{"internal/oauth", "internal/user", "internal/app"}, func(r string) bool { return under(p, r) })
		},
		func(p string) bool { return under(p, "internal/oauth") }},
	{"a conformance suite is for tests, its own and those in a browser",
		func(p string) bool { return !strings.HasSuffix(path.Dir(p), "test") },
		func(p string) bool { return strings.HasSuffix(p, "test") }},
	{"settings belong to the process: a package takes what it needs as fields",
		func(p string) bool { return p != "internal/app" && !under(p, "cmd") },
		func(p string) bool { return p == "internal/config" }},
	{"the client speaks HTTP like everybody's, and must build and change without the server",
		func(p string) bool { return under(p, "internal/client") },
		func(p string) bool { return !under(p, "internal/client") }},
	{"a server that needs its own client calls the wrong way",
		func(p string) bool { return !under(p, "internal/client") && !under(p, "cmd") },
		func(p string) bool { return under(p, "internal/client") }},
	{"the page and the contracts are data: they depend on no code",
		func(p string) bool { return p == "web" || p == "api" },
		func(string) bool { return true }},
	{"the page and the contracts reach the server by app, which hands them on",
		func(p string) bool { return p != "internal/app" },
		func(p string) bool { return p == "web" || p == "api" }},
	{"errors and messages are at the very bottom",
		func(p string) bool { return p == "internal/errs" || under(p, "internal/pb") },
		func(string) bool { return true }},
}

func under(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }

// bucketStore is the store that s3 and cos put on their buckets.
const bucketStore = "internal/blob/object"

// drivers are the interfaces that have packages below them which do what they promise, each in its way.
var drivers = []string{"internal/blob", "internal/kv", "internal/event", "internal/sms", "internal/oauth"}

// driver tells whether a package is one way to do what an interface promises.
func driver(pkg string) bool {
	parent := path.Dir(pkg)
	return pkg != bucketStore && slices.Contains(drivers, parent) && !strings.HasSuffix(pkg, "test")
}

func layer(pkg string) int {
	return slices.IndexFunc(layers, func(l group) bool {
		return slices.ContainsFunc(l.packages, func(root string) bool { return under(pkg, root) })
	})
}

// role is the service that a package belongs to, or "".
func role(pkg string) string {
	for _, r := range layers[roles].packages {
		if under(pkg, r) {
			return r
		}
	}
	return ""
}

// source is what matters here of a package's files, its tests apart.
type source struct {
	imports   map[string]string // imported package of ours → a file that does
	comment   bool
	generated bool // by its files alone
}

// sources are the module's packages by their folder.
func sources(t *testing.T) map[string]*source {
	t.Helper()
	out := map[string]*source{}
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, err := os.Stat(filepath.Join(name, "go.mod"))
			other := err == nil && name != "."
			if other || name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(name))
		s := out[pkg]
		if s == nil {
			s = &source{imports: map[string]string{}, generated: true}
			out[pkg] = s
		}
		s.comment = s.comment || f.Doc.Text() != ""
		s.generated = s.generated && ast.IsGenerated(f)
		for _, i := range f.Imports {
			to, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if rest, ok := strings.CutPrefix(to, module); ok {
				s.imports[strings.TrimPrefix(rest, "/")] = name
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("found %d packages: not the whole tree", len(out))
	}
	return out
}

// Imports point one way (doc.go).
func TestLayers(t *testing.T) {
	for pkg, s := range sources(t) {
		if pkg == "." {
			if len(s.imports) > 0 {
				t.Errorf("the root package is a page of documentation; it imports %v", slices.Collect(maps.Keys(s.imports)))
			}
			continue
		}
		if s.generated && under(pkg, "internal/pb") {
			continue // has its own place, and protoc writes its imports
		}
		from := layer(pkg)
		if from < 0 {
			t.Errorf("%s is in no layer: say in this file what it is for", pkg)
			continue
		}
		for to, file := range s.imports {
			switch above := layer(to); {
			case above < 0:
				t.Errorf("%s imports %s, which is in no layer", file, to)
			case above > from:
				t.Errorf("%s: %s may not import %s, which stands above it: %s", file, pkg, to, layers[from].why)
			case role(pkg) != "" && role(to) != "" && role(pkg) != role(to):
				t.Errorf("%s: role %s may not import role %s: they run apart; they meet as gRPC clients or through the log", file, pkg, to)
			}
			for _, r := range rules {
				if r.from(pkg) && r.to(to) && pkg != to {
					t.Errorf("%s: %s may not import %s: %s", file, pkg, to, r.why)
				}
			}
		}
	}
}

// The rules themselves, held against what they must refuse.
func TestLayersRefuse(t *testing.T) {
	for _, bad := range [][2]string{
		{"internal/upload", "internal/blob/local"}, {"internal/blob", "internal/blob/mem"}, {"internal/blob/local", "internal/blob/object"},
		{"internal/app", "internal/kv/kvtest"}, {"cmd/gopan", "internal/drivetest"}, {"internal/httpapi", "internal/config"},
		{"internal/client", "internal/errs"}, {"internal/filemeta", "internal/client"}, {"web", "internal/errs"},
		{"internal/httpapi", "api"}, {"internal/errs", "internal/drivepath"},
		{"internal/user", "internal/oauth/github"}, {"internal/httpapi", "internal/oauth"}, {"internal/app", "internal/oauth/oauthtest"},
	} {
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.from(bad[0]) && r.to(bad[1]) }) {
			t.Errorf("no rule keeps %s from importing %s", bad[0], bad[1])
		}
	}
	for _, up := range [][2]string{
		{"internal/errs", "internal/kv"}, {"internal/auth", "internal/rpc"}, {"internal/rpc", "internal/user"},
		{"internal/user", "internal/app"}, {"internal/app", "cmd/gopan"},
	} {
		if layer(up[0]) >= layer(up[1]) || layer(up[0]) < 0 {
			t.Errorf("%s does not stand below %s", up[0], up[1])
		}
	}
}

// Every package says what it is for.
func TestPackageComments(t *testing.T) {
	for pkg, s := range sources(t) {
		if !s.comment && !s.generated {
			t.Errorf("%s has no package comment", pkg)
		}
	}
}
