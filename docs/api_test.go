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

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/app"
	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/db"
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
		`{"missing":[0,1]}`,                         // after the last block
		`{"status":400,"code":"block_mismatch"}`,    // another block's bytes
		`{"missing":[0,2],"missingCount":2}`,        // by the token
		`{"missingCount":5,"challenge":{"nonce":`,   // what the first user has
		`{"path":"/notes/2026/2.txt","status":201}`, // in a batch
	},
}

// The examples work, one after the other, against a real server.
func TestExamples(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq", "openssl", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the examples need %s", tool)
		}
	}
	for doc, want := range examples {
		for _, name := range []string{doc, "zh-CN/" + doc} {
			t.Run(name, func(t *testing.T) { runExamples(t, name, want) })
		}
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

	addUser(t, c.Data, "ana")

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

// addUser makes a second account beside a running drive's first, with the same password.
func addUser(t *testing.T, data, login string) {
	t.Helper()
	d, err := db.OpenSQLite(data)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Write(t.Context(), func(tx *gorm.DB) error {
		return tx.Exec("INSERT INTO users (id, login, password_hash, role, created_at) SELECT 100001, ?, password_hash, 'user', 1 FROM users", login).Error
	}); err != nil {
		t.Fatal(err)
	}
}
