package docs_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/app"
	"github.com/livil/gopan/internal/config"
)

// The examples of api.md work, one after the other, against a real server.
func TestAPIExamples(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the examples need %s", tool)
		}
	}
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

	doc, err := os.ReadFile("api.md")
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
	for _, want := range []string{
		`"code":"stale"`,     // a second write with one If-Match
		`"name":"a.jpg"`,     // the first
		"HTTP/1.1 200 OK",    // HEAD
		`"path":"/new.jpg"`,  // with an Idempotency-Key
		`"path":"/sure.jpg"`, // with a digest announced
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "new (1).jpg") {
		t.Error("a repeated Idempotency-Key made a second file")
	}
	if _, err := os.Stat(filepath.Join(cmd.Dir, "part")); err != nil {
		t.Error(err)
	}
}
