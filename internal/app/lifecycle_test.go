package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// A process that stopped starts again on its folder, as a new one or as the same, and finds everything.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	d := &drive{dir: dir, Process: process(dir)}
	var file node
	for round := range 4 {
		if round%2 == 0 {
			d.Process = process(dir) // as after the end of the program; otherwise the same Process again
		}
		if err := d.Start(t.Context()); err != nil {
			t.Fatalf("start %d: %v", round, err)
		}
		token := d.signIn(t, "admin")
		if round == 0 {
			d.admin = token
			file = d.put(t, "/a.txt", "hello")
		}
		for _, credential := range []string{token, d.admin} { // the first start's token is still good
			if r := d.ask(t, "GET", "/api/v1/content/"+file.ID, "", bearer(credential)); r.StatusCode != 200 || r.body != "hello" {
				t.Errorf("start %d: %d %s", round, r.StatusCode, r.body)
			}
		}
		if r := d.ask(t, "GET", "/readyz", ""); r.StatusCode != 200 {
			t.Errorf("start %d: not ready: %s", round, r.body)
		}
		address := d.listener.Addr().String()
		if err := d.Stop(t.Context()); err != nil {
			t.Fatalf("stop %d: %v", round, err)
		}
		var nd net.Dialer
		if c, err := nd.DialContext(t.Context(), "tcp", address); err == nil {
			t.Errorf("stop %d: still listens", round)
			_ = c.Close() // nothing was written
		}
		if err := <-d.Done(); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("stop %d: serving ended with %v", round, err)
		}
		if err := d.Stop(t.Context()); err != nil {
			t.Errorf("stopping what has stopped: %v", err)
		}
	}
}

// beginUpload sends the head and the first bytes of an upload of size bytes and waits until the server has some.
func (d *drive) beginUpload(t *testing.T, name string, size int) net.Conn {
	t.Helper()
	var nd net.Dialer
	c, err := nd.DialContext(t.Context(), "tcp", d.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	before := d.partial(t)
	fmt.Fprintf(c, "PUT /api/v1/uploads/content?path=/%s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n", name, bearer(d.admin), size)
	if _, err := c.Write([]byte("half of it")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the upload is under way", func() bool { return d.partial(t) > before })
	return c
}

// partial counts the files in which the blob store keeps what is being written.
func (d *drive) partial(t *testing.T) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(d.dir, "blobs", "tmp"), func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was removed meanwhile
		}
		if err == nil && !e.IsDir() && e.Name() != "lock" {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A2: a process that is told to stop waits for an upload under way, which is acknowledged and is there afterwards.
func TestStopWaitsForUpload(t *testing.T) {
	d := newDrive(t)
	rest := strings.Repeat(" and a half", 10_000)
	c := d.beginUpload(t, "slow.txt", len("half of it")+len(rest))
	stopped := make(chan error, 1)
	go func() { stopped <- d.Stop(t.Context()) }()
	eventually(t, "no new connections", func() bool {
		var nd net.Dialer
		n, err := nd.DialContext(t.Context(), "tcp", c.RemoteAddr().String())
		if err == nil {
			_ = n.Close() // nothing was written
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("stopped with an upload under way: %v", err)
	default:
	}
	if _, err := c.Write([]byte(rest)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 201 {
		t.Errorf("the upload: %d", resp.StatusCode)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := d.ask(t, "GET", "/api/v1/content?path=/slow.txt", "", bearer(d.admin)); r.StatusCode != 200 || r.body != "half of it"+rest {
		t.Errorf("%d, %d bytes", r.StatusCode, len(r.body))
	}
}

// A2, D4: an upload that does not end is cut when the time to stop is up; nothing of it is left.
func TestStopCutsUpload(t *testing.T) {
	d := newDrive(t)
	old := d.put(t, "/endless.bin", "old")
	d.beginUpload(t, "endless.bin", 1<<30)
	d.beginUpload(t, "new.bin", 1<<30)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	if err := d.Stop(ctx); err == nil {
		t.Error("does not tell that something was cut")
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no piece of it left", func() bool { return d.partial(t) == 0 })
	if r := d.ask(t, "GET", "/api/v1/content?path=/endless.bin", "", bearer(d.admin)); r.StatusCode != 200 || r.body != "old" {
		t.Errorf("%d %q", r.StatusCode, r.body)
	}
	if r := d.ask(t, "GET", "/api/v1/stat?path=/endless.bin", "", bearer(d.admin)); !strings.Contains(r.body, `"id":"`+old.ID+`"`) || !strings.Contains(r.body, `"version":1`) {
		t.Errorf("%s", r.body)
	}
	if r := d.ask(t, "GET", "/api/v1/stat?path=/new.bin", "", bearer(d.admin)); r.StatusCode != 404 {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}

// A5: requests that were answered, refused or broken off leave no goroutine, no open file and no piece of a file.
func TestNothingLeaks(t *testing.T) {
	d := newDrive(t)
	d.put(t, "/big.bin", strings.Repeat("x", 8<<20))
	client := &http.Client{Transport: new(http.Transport)}
	mix := func(rounds int) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for i := range rounds {
					d.mixed(t, client, i)
				}
			})
		}
		wg.Wait()
		client.CloseIdleConnections()
		http.DefaultClient.CloseIdleConnections()
	}
	mix(2) // opens what is kept: the database's connections, the log
	settled := func() (goroutines, files int) {
		goroutines, files = 1<<30, 1<<30
		still := 0
		eventually(t, "counts that stand still", func() bool {
			g, f := runtime.NumGoroutine(), openFiles(t)
			if g < goroutines || f < files {
				still = 0
			} else {
				still++
			}
			goroutines, files = min(goroutines, g), min(files, f)
			return still >= 20
		})
		return goroutines, files
	}
	goroutines, files := settled()
	const rounds = 40
	mix(rounds)
	// A leak of one in ten requests would be 32 and more.
	const slack = 16
	var g, f int
	eventually(t, "the baseline", func() bool {
		g, f = runtime.NumGoroutine(), openFiles(t)
		return g <= goroutines+slack && f <= files+slack && d.partial(t) == 0
	})
	t.Logf("%d goroutines and %d files before, %d and %d after", goroutines, files, g, f)
	if r := d.ask(t, "GET", "/readyz", ""); r.StatusCode != 200 {
		t.Errorf("not ready: %s", r.body)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, fs.ErrNotExist) {
		return 0 // not on this system
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// mixed sends one request of many sorts and does not care for the answer.
func (d *drive) mixed(t *testing.T, client *http.Client, i int) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	send := func(method, path string, body io.Reader, token string) *http.Response {
		req, err := http.NewRequestWithContext(ctx, method, d.URL()+path, body)
		if err != nil {
			t.Error(err)
			return nil
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(req)
		if err != nil {
			return nil
		}
		return resp
	}
	finish := func(resp *http.Response) {
		if resp != nil {
			_, _ = io.Copy(io.Discard, resp.Body) // broken off by the server or by us; both are wanted
			_ = resp.Body.Close()
		}
	}
	switch i % 8 {
	case 0:
		finish(send("PUT", fmt.Sprintf("/api/v1/uploads/content?path=/%p.txt", &i), strings.NewReader("hello"), d.admin))
	case 1: // the caller's body breaks off
		finish(send("PUT", "/api/v1/uploads/content?path=/broken.bin", io.MultiReader(strings.NewReader("x"), failing{}), d.admin))
	case 2: // the caller leaves in the middle of an answer
		if resp := send("GET", "/api/v1/content?path=/big.bin", nil, d.admin); resp != nil {
			_, _ = io.CopyN(io.Discard, resp.Body, 10)
			cancel()
			_ = resp.Body.Close()
		}
	case 3:
		finish(send("GET", "/api/v1/files?path=/", nil, d.admin))
	case 4:
		finish(send("POST", "/api/v1/folders", strings.NewReader(`{"path":`), d.admin))
	case 5:
		finish(send("PUT", "/api/v1/uploads/content?path=/never.bin", strings.NewReader(strings.Repeat("x", 1<<20)), "garbage"))
	case 6: // the connection ends in the middle of a request
		var nd net.Dialer
		c, err := nd.DialContext(ctx, "tcp", d.listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprintf(c, "PUT /api/v1/uploads/content?path=/cut.bin HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: 100\r\n\r\nhalf", bearer(d.admin))
		_ = c.Close() // that is the point
	case 7:
		finish(send("GET", "/api/v1/content?path=/nothing", nil, d.mallory))
	}
}

// failing is a body that breaks off.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken off") }
