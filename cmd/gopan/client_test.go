package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/livil/gopan/internal/client"
	"github.com/livil/gopan/internal/client/clienttest"
)

// shell runs commands against a server of its own, with settings and a working folder of its own.
type shell struct {
	t      *testing.T
	server *clienttest.Server
	dir    string
	in     io.Reader
}

func newShell(t *testing.T) *shell {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	t.Setenv("GOPAN_PASSWORD", "")
	t.Setenv("GOPAN_CREDENTIALS", "")
	speak(t, false)
	sh := &shell{t: t, server: clienttest.New(t), dir: filepath.Join(dir, "work")}
	t.Setenv("GOPAN_SERVER", sh.server.URL)
	if err := os.Mkdir(sh.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(sh.dir)
	return sh
}

// speak sets the language for a test.
func speak(t *testing.T, zh bool) {
	before := chinese
	chinese = zh
	t.Cleanup(func() { chinese = before })
}

type result struct {
	code        int
	out, stderr string
	err         error
}

// run runs a command line; what it returned is among its stderr, as main prints it.
func (sh *shell) run(args ...string) result {
	sh.t.Helper()
	root := &cobra.Command{Use: "gopan", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(clientCommands()...)
	var out, stderr bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&stderr)
	root.SetIn(sh.in)
	if sh.in == nil {
		root.SetIn(strings.NewReader(""))
	}
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	if err != nil {
		fmt.Fprintln(&stderr, "gopan:", err)
	}
	r := result{exitCode(err), out.String(), stderr.String(), err}
	access, refresh := sh.server.Secrets()
	for _, secret := range []string{access, refresh, clienttest.Password} {
		if secret != "" && strings.Contains(r.out+r.stderr, secret) {
			sh.t.Errorf("gopan %v prints a secret:\n%s%s", args, r.out, r.stderr)
		}
	}
	return r
}

// ok runs a command line that has to work, and gives its stdout.
func (sh *shell) ok(args ...string) string {
	sh.t.Helper()
	r := sh.run(args...)
	if r.code != exitOK {
		sh.t.Fatalf("gopan %v: exit %d\n%s", args, r.code, r.stderr)
	}
	return r.out
}

// fails runs a command line that has to fail with a code.
func (sh *shell) fails(code int, args ...string) result {
	sh.t.Helper()
	r := sh.run(args...)
	if r.code != code {
		sh.t.Errorf("gopan %v: exit %d, want %d\n%s", args, r.code, code, r.stderr)
	}
	return r
}

func (sh *shell) login() {
	sh.t.Helper()
	sh.t.Setenv("GOPAN_PASSWORD", clienttest.Password)
	sh.ok("login")
}

func (sh *shell) write(name, data string) {
	sh.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		sh.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
		sh.t.Fatal(err)
	}
}

func (sh *shell) read(name string) string {
	sh.t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		sh.t.Fatal(err)
	}
	return string(data)
}

// A user's first day: sign in, send a folder, look around, rename, fetch, throw away, sign out.
func TestClientStory(t *testing.T) {
	sh := newShell(t)
	sh.fails(exitSignedOut, "ls")
	sh.in = strings.NewReader(clienttest.Password + "\n")
	if r := sh.run("login", sh.server.URL, "--login", "admin", "--password-stdin"); r.code != 0 || r.out != "" {
		t.Fatalf("login: %+v", r)
	}
	// The server that was signed in to is the one for all that follows.
	t.Setenv("GOPAN_SERVER", "")
	sh.write("photos/a.jpg", "A")
	sh.write("photos/2024/b.jpg", "B")
	if r := sh.run("put", "-r", "photos", "/album"); r.code != 0 || r.out != "" || !strings.Contains(r.stderr, "sent 2 files") {
		t.Fatalf("put: %+v", r)
	}
	if got := sh.ok("ls", "/album"); got != "2024/\na.jpg\n" {
		t.Errorf("ls: %q", got)
	}
	if got := sh.ok("ls"); got != "album/\n" {
		t.Errorf("ls of the root: %q", got)
	}
	if got := sh.ok("ls", "-l", "album/a.jpg"); !strings.Contains(got, " 1  ") || !strings.HasSuffix(got, "  a.jpg\n") {
		t.Errorf("ls -l: %q", got)
	}
	sh.ok("mkdir", "-p", "/x/y")
	sh.fails(exitConflict, "mkdir", "/x/y")
	sh.ok("mv", "/album/a.jpg", "/x")
	sh.ok("mv", "/x/a.jpg", "/x/c.jpg")
	var n client.Node
	if err := json.Unmarshal([]byte(sh.ok("stat", "--json", "/x/c.jpg")), &n); err != nil || n.Digest != clienttest.Digest([]byte("A")) {
		t.Errorf("stat: %+v, %v", n, err)
	}
	sh.ok("get", "-r", "/", "back")
	if a, b := sh.read("back/x/c.jpg"), sh.read("back/album/2024/b.jpg"); a != "A" || b != "B" {
		t.Errorf("get: %q, %q", a, b)
	}
	if got := sh.ok("get", "/x/c.jpg", "-"); got != "A" {
		t.Errorf("get to stdout: %q", got)
	}
	sh.ok("rm", "/x", "/album/2024/b.jpg")
	sh.fails(exitNotFound, "stat", "/x/c.jpg")
	sh.ok("logout")
	sh.fails(exitSignedOut, "ls")
	sh.ok("logout")
}

func TestWhereThingsGo(t *testing.T) {
	rows := []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"to a new name", []string{"put", "f", "/new"}, 0, []string{"/new"}},
		{"to a new name, with folders above", []string{"put", "f", "/a/b/new"}, 0, []string{"/a/b/new"}},
		{"into a folder", []string{"put", "f", "/dir"}, 0, []string{"/dir/f"}},
		{"into a new folder", []string{"put", "f", "/fresh/"}, 0, []string{"/fresh/f"}},
		{"into the root", []string{"put", "f", "/"}, 0, []string{"/f"}},
		{"into the root, without a slash", []string{"put", "f", "dir/.."}, 0, []string{"/f"}},
		{"over a file", []string{"put", "f", "/dir/old"}, 0, []string{"/dir/old"}},
		{"several", []string{"put", "f", "g", "/dir"}, 0, []string{"/dir/f", "/dir/g"}},
		{"several into what is not there", []string{"put", "f", "g", "/none"}, exitConflict, nil},
		{"a folder to a new name", []string{"put", "-r", "d", "/new"}, 0, []string{"/new/x", "/new/sub/y"}},
		{"a folder into a folder", []string{"put", "-r", "d/", "/dir"}, 0, []string{"/dir/d/x", "/dir/d/sub/y"}},
		{"a folder over a folder", []string{"put", "-r", "-T", "d", "/dir"}, 0, []string{"/dir/x", "/dir/sub/y"}},
		{"what is in a folder", []string{"put", "-r", "d/.", "/dir"}, 0, []string{"/dir/x", "/dir/sub/y"}},
		{"a folder without -r", []string{"put", "d", "/dir"}, exitUsage, nil},
		{"a folder over a file", []string{"put", "-r", "-T", "d", "/dir/old"}, exitConflict, nil},
		{"a file over a folder", []string{"put", "-T", "f", "/dir"}, exitConflict, nil},
		{"a source that is not there", []string{"put", "none", "/dir"}, exitNotFound, nil},
		{"one of two sources is not there", []string{"put", "none", "f", "/dir"}, exitFailed, []string{"/dir/f"}},
		{"moved into a folder", []string{"mv", "/dir/old", "/other"}, 0, []string{"/other/old"}},
		{"moved with a slash", []string{"mv", "/dir/old", "/other/"}, 0, []string{"/other/old"}},
		{"moved to a name", []string{"mv", "/dir/old", "/other/name"}, 0, []string{"/other/name"}},
		{"moved into nothing", []string{"mv", "/dir/old", "/none/"}, exitNotFound, []string{"/dir/old"}},
		{"moved onto a file", []string{"mv", "/dir/old", "/taken"}, exitConflict, []string{"/dir/old", "/taken"}},
		{"moved onto a file with a slash", []string{"mv", "/dir/old", "/taken/"}, exitConflict, []string{"/dir/old", "/taken"}},
		{"moved to a folder's place", []string{"mv", "-T", "/dir/old", "/other"}, exitConflict, []string{"/dir/old"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			sh := newShell(t)
			sh.server.Put("/dir/old", []byte("old"), time.Now())
			sh.server.Put("/taken", []byte("taken"), time.Now())
			sh.server.Mkdir("/other")
			for _, name := range []string{"f", "g", "d/x", "d/sub/y"} {
				sh.write(name, name)
			}
			sh.login()
			sh.fails(row.code, row.args...)
			for _, p := range row.want {
				if f := sh.server.Get(p); f == nil || f.Folder {
					t.Errorf("%s is not there", p)
				}
			}
		})
	}
}

func TestWhereDownloadsGo(t *testing.T) {
	rows := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a file to a new name", []string{"get", "/d/f", "new"}, 0, "new"},
		{"a file into a folder", []string{"get", "/d/f", "here"}, 0, "here/f"},
		{"a file into the working folder", []string{"get", "/d/f", "."}, 0, "f"},
		{"a file into a new folder", []string{"get", "/d/f", "new/"}, 0, "new/f"},
		{"a folder to a new name", []string{"get", "-r", "/d", "new"}, 0, "new/f"},
		{"a folder into a folder", []string{"get", "-r", "d", "here"}, 0, "here/d/f"},
		{"a folder over a folder", []string{"get", "-r", "-T", "/d", "here"}, 0, "here/f"},
		{"everything", []string{"get", "-r", "/", "here"}, 0, "here/d/f"},
		{"a folder without -r", []string{"get", "/d", "new"}, exitUsage, ""},
		{"a file over a folder", []string{"get", "-T", "/d/f", "here"}, exitConflict, ""},
		{"a folder to stdout", []string{"get", "-r", "/d", "-"}, exitUsage, ""},
		{"what is not there", []string{"get", "/none", "new"}, exitNotFound, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			sh := newShell(t)
			sh.server.Put("/d/f", []byte("f"), time.Now())
			if err := os.Mkdir("here", 0o755); err != nil {
				t.Fatal(err)
			}
			sh.login()
			sh.fails(row.code, row.args...)
			if row.want != "" && sh.read(row.want) != "f" {
				t.Errorf("%s has other content", row.want)
			}
		})
	}
}

func TestTransferAsJSON(t *testing.T) {
	sh := newShell(t)
	sh.login()
	sh.write("d/f", "f")
	sh.write("d/bad\\name", "x")
	if err := os.Symlink("f", "d/link"); err != nil {
		t.Fatal(err)
	}
	r := sh.fails(exitFailed, "put", "-r", "--json", "d", "/d")
	events := map[string]map[string]any{}
	for line := range strings.Lines(r.out) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("not JSON: %q", line)
		}
		events[e["event"].(string)] = e
	}
	if e := events["transferred"]; e["remote"] != "/d/f" || e["digest"] != clienttest.Digest([]byte("f")) || e["size"] != 1.0 {
		t.Errorf("transferred: %v", e)
	}
	if e := events["failed"]; e["remote"] != "/d/bad\\name" || e["error"] == "" || e["exit"] != 1.0 {
		t.Errorf("failed: %v", e)
	}
	if e := events["skipped"]; e["remote"] != "/d/link" {
		t.Errorf("skipped: %v", e)
	}
	if e := events["summary"]; e["files"] != 1.0 || e["failed"] != 1.0 || e["skipped"] != 1.0 {
		t.Errorf("summary: %v", e)
	}
}

func TestQuiet(t *testing.T) {
	sh := newShell(t)
	sh.login()
	sh.write("f", "f")
	if r := sh.run("put", "-q", "f", "/f"); r.code != 0 || r.out+r.stderr != "" {
		t.Errorf("a quiet put says %q %q", r.out, r.stderr)
	}
	if r := sh.fails(exitNotFound, "rm", "-q", "/none"); r.out != "" || !strings.Contains(r.stderr, "/none") {
		t.Errorf("a quiet failure says %q %q", r.out, r.stderr)
	}
}

func TestPutStdin(t *testing.T) {
	sh := newShell(t)
	sh.login()
	sh.in = strings.NewReader("from a pipe")
	sh.ok("put", "-", "/new/file")
	if f := sh.server.Get("/new/file"); f == nil || string(f.Data) != "from a pipe" {
		t.Errorf("got %+v", f)
	}
	sh.fails(exitUsage, "put", "-", "/new/")
}

func TestLoginRefusals(t *testing.T) {
	sh := newShell(t)
	t.Setenv("GOPAN_PASSWORD", "wrong")
	sh.fails(exitSignedOut, "login")
	t.Setenv("GOPAN_PASSWORD", "")
	sh.fails(exitUsage, "login")
	sh.fails(exitUsage, "login", "--password-stdin")
	if r := sh.fails(exitUsage, "login", "https://admin:"+clienttest.Password+"@example.com"); r.err == nil {
		t.Error("an address with a password is taken")
	}
	sh.login()
	if err := os.Chmod(filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "gopan", "credentials.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := sh.fails(exitSignedOut, "ls"); !strings.Contains(r.stderr, "chmod 600") {
		t.Errorf("an exposed file: %q", r.stderr)
	}
}

func TestCredentialsElsewhere(t *testing.T) {
	sh := newShell(t)
	t.Setenv("GOPAN_PASSWORD", clienttest.Password)
	sh.ok("login", "--credentials", "mine/creds.json")
	sh.fails(exitSignedOut, "ls")
	sh.ok("ls", "--credentials", "mine/creds.json")
	t.Setenv("GOPAN_CREDENTIALS", "mine/creds.json")
	sh.ok("ls")
}

func TestUnencryptedServerIsNamed(t *testing.T) {
	sh := newShell(t)
	t.Setenv("HTTP_PROXY", "")
	r := sh.fails(exitSignedOut, "ls", "--server", "http://drive.example.com")
	if !strings.Contains(r.stderr, "warning: http://drive.example.com is not encrypted") {
		t.Errorf("no warning: %q", r.stderr)
	}
	for _, quiet := range []string{"https://drive.example.com", sh.server.URL} {
		if r := sh.fails(exitSignedOut, "ls", "--server", quiet); strings.Contains(r.stderr, "warning") {
			t.Errorf("%s: %q", quiet, r.stderr)
		}
	}
}

// Ctrl-C: nothing half done is left, the exit code says so, and the hint leads to the rest.
func TestInterrupt(t *testing.T) {
	rows := []struct {
		dst, hint string
	}{
		{"/dir/", "run the same command again"},
		{"/new", "gopan put -r -T d /new"},
	}
	for _, row := range rows {
		t.Run(row.dst, func(t *testing.T) {
			sh := newShell(t)
			sh.login()
			// Larger than what goes in batches.
			for i := range 30 {
				sh.write(fmt.Sprintf("d/%d", i), strings.Repeat("x", 1<<20+1))
			}
			// The real program, so that the signal finds its real handlers.
			cmd := gopan(t.Context(), nil, "put", "-r", "--parallel", "1", "d", row.dst)
			var out, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &stderr
			var puts atomic.Int32
			reached, over := make(chan struct{}), make(chan struct{})
			sh.server.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPut && puts.Add(1) == 10 {
					close(reached)
					<-over
				}
				return false
			})
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				_ = cmd.Wait()
				close(ended)
			}()
			select {
			case <-reached:
			case <-ended:
				t.Fatalf("it ended before: %s", &stderr)
			}
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
			<-ended
			close(over)
			if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || out.Len() > 0 {
				t.Errorf("exit %d, stdout %q", code, &out)
			}
			if !strings.Contains(stderr.String(), row.hint) {
				t.Errorf("no hint: %q", &stderr)
			}
			sh.server.Intercept(nil)
			args := []string{"put", "-r", "d", row.dst}
			if strings.Contains(row.hint, "-T") {
				args = strings.Fields(row.hint)[1:]
			}
			r := sh.run(args...)
			if r.code != 0 || !strings.Contains(r.stderr, "unchanged") {
				t.Errorf("going on: %+v", r)
			}
			base := strings.TrimSuffix(row.dst, "/")
			if row.dst == "/dir/" {
				base += "/d"
			}
			for i := range 30 {
				if sh.server.Get(fmt.Sprintf("%s/%d", base, i)) == nil {
					t.Fatalf("%d is missing", i)
				}
			}
		})
	}
}

func TestUsage(t *testing.T) {
	sh := newShell(t)
	for _, args := range [][]string{
		{"mv", "/a"}, {"ls", "/a", "/b"}, {"put", "x"}, {"rm"}, {"ls", "--no-such-flag"}, {"put", "--parallel", "0", "x", "/y"},
		{"put", "--parallel", "many", "x", "/y"}, {"no-such-command"},
	} {
		sh.fails(exitUsage, args...)
	}
	if out := sh.ok("help", "exit-codes"); !strings.Contains(out, "130  interrupted") {
		t.Errorf("exit-codes: %q", out)
	}
	speak(t, true)
	if out := sh.ok("put", "--help"); !strings.Contains(out, "用法:") || !strings.Contains(out, "选项:") || strings.Contains(out, "Usage") {
		t.Errorf("Chinese help: %q", out)
	}
}

func TestRemotePath(t *testing.T) {
	for in, want := range map[string]struct {
		p    string
		into bool
	}{
		"/a": {"/a", false}, "a": {"/a", false}, "a/b/": {"/a/b", true}, "/": {"/", true}, "": {"/", true},
		"/../../x": {"/x", false}, "a//b": {"/a/b", false}, "./a": {"/a", false},
	} {
		if p, into := remotePath(in); p != want.p || into != want.into {
			t.Errorf("remotePath(%q) = %q, %v", in, p, into)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"a/b.c": "a/b.c", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "中文": "中文", "$x": "'$x'", "a;b": "'a;b'", "~": "'~'",
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestNamesOnATerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain 中文": "plain 中文", "\x1b[31mred": "\uFFFD[31mred", "a\nb": "a\uFFFDb", "\u202Egpj.exe": "\uFFFDgpj.exe",
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q", in, got)
		}
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	want := []string{"exit-codes", "get", "login", "logout", "ls", "mkdir", "mv", "put", "rm", "stat"}
	for _, zh := range []bool{false, true} {
		speak(t, zh)
		var got []string
		for _, c := range clientCommands() {
			got = append(got, c.Name())
			if c.Short == "" || c.Long == "" {
				t.Errorf("%s has no help", c.Name())
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("commands %v, want %v", got, want)
		}
	}
}
