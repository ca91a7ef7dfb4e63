// Command apigen turns the HTTP contracts in api/*.api into code: the types, the interface and the routes of
// each role, and one OpenAPI document of them all. It reads the files with goctl's own parser, so whatever it
// accepts stock goctl accepts too; it is stricter where a contract would otherwise leave something unsaid.
//
// Run it from the repository's root:
//
//	go run -C tools ./apigen -root ..
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	root := flag.String("root", ".", "the repository's root")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "apigen:", err)
		os.Exit(1)
	}
}

// run writes everything that follows from the contracts below root, or nothing when one of them is wrong.
func run(root string) error {
	outputs, err := generate(root)
	if err != nil {
		return err
	}
	for _, o := range outputs {
		if err := write(filepath.Join(root, o.path), o.data); err != nil {
			return err
		}
	}
	return nil
}

// output is one generated file; path is relative to the root and uses slashes.
type output struct {
	path string
	data []byte
}

// generate returns the generated files, sorted by path. The same contracts give the same bytes.
func generate(root string) ([]output, error) {
	c, err := read(root)
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	var outputs []output
	for _, f := range c.files() {
		src, err := goFile(f)
		if err != nil {
			return nil, err
		}
		outputs = append(outputs, output{f.goPath(), src})
	}
	doc, err := openAPI(c)
	if err != nil {
		return nil, err
	}
	outputs = append(outputs, output{"api/openapi.json", doc})
	slices.SortFunc(outputs, func(a, b output) int { return bytes.Compare([]byte(a.path), []byte(b.path)) })
	return outputs, nil
}

// write leaves a file that already holds data alone, so that builds which look at times are not woken.
func write(name string, data []byte) error {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
