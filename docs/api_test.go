package docs_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/app"
	"github.com/livil/gopan/internal/config"
)

// examples are the documents whose examples are run, and what has to come of them.
var examples = map[string][]string{
	"api.md": {
		`"code":"stale"`,     // a second write with one If-Match
		`"name":"a.jpg"`,     // the first
		"HTTP/1.1 200 OK",    // HEAD
		`"path":"/new.jpg"`,  // with an Idempotency-Key
		`"path":"/sure.jpg"`, // with a digest announced
	},
	"uploads.md": {
		`"missing":[0,1,2],"missingCount":3`,        // at first
		`"missingCount":0,"node":"/big.bin"`,        // by the token
		`{"path":"/notes/2026/2.txt","status":201}`, // in a batch
	},
}

// The examples work, one after the other, against a real server.
func TestExamples(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the examples need %s", tool)
		}
	}
	for doc, want := range examples {
		t.Run(doc, func(t *testing.T) { runExamples(t, doc, want) })
	}
}

// runExamples runs the tested blocks of a document as one script.
func runExamples(t *testing.T, name string, want []string) {
	const password = "correct horse battery staple"
	c := config.Default()
	c.Data, c.Listen, c.Log.Level = t.TempDir(), "127.0.0.1:0", "error"
	p := &app.Process{Config: c, AdminPassword: password, Out: io.Discard}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), app.StopTimeout)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
	}()

	doc, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	script := "set -euo pipefail\n"
	_, blocks := split(string(doc))
	for _, b := range blocks {
		if b.tested {
			script += b.code
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	// Each command is shown before it runs, so that a failure says which one it was.
	cmd := exec.CommandContext(ctx, "bash", "-xc", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GOPAN="+p.URL(), "PASSWORD="+password, "no_proxy=*")
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range want {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "new (1).jpg") {
		t.Error("a repeated Idempotency-Key made a second file")
	}
}
