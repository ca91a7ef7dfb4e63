// Package s3test runs real S3 servers for tests, and a proxy that breaks what passes through it.
package s3test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Credentials of every server here.
const (
	AccessKey = "gopan-test"
	SecretKey = "gopan-test-secret"
)

// Server is one that runs for the duration of a test.
type Server struct {
	// URL without a path.
	URL string
	// CAFile has its certificate, if it is https.
	CAFile string
}

// MinIO starts a MinIO server.
func MinIO(t testing.TB) Server {
	addr := freeAddr(t)
	return start(t, Server{URL: "http://" + addr}, "minio", []string{
		// It would refuse folders of a container's root, and otherwise look at the network.
		"MINIO_CI_CD=1", "MINIO_ROOT_USER=" + AccessKey, "MINIO_ROOT_PASSWORD=" + SecretKey, "MINIO_BROWSER=off",
		"MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off",
	}, "server", "--quiet", "--anonymous", "--address", addr, "--certs-dir", t.TempDir(), filepath.Join(t.TempDir(), "data"))
}

// Versity starts a Versity gateway on a folder.
func Versity(t testing.TB) Server {
	addr := freeAddr(t)
	return start(t, Server{URL: "http://" + addr}, "versitygw", nil,
		"--port", addr, "--access", AccessKey, "--secret", SecretKey, "--quiet", "--keep-alive",
		"posix", "--sidecar", t.TempDir(), t.TempDir())
}

// binary finds a server's program, which tools/scripts/tool.sh builds unless it has.
var binary = func() func(name string) (string, error) {
	var mu sync.Mutex
	found := map[string]string{}
	return func(name string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if found[name] != "" {
			return found[name], nil
		}
		mod, err := exec.CommandContext(context.Background(), "go", "env", "GOMOD").Output()
		if err != nil {
			return "", err
		}
		script := filepath.Join(filepath.Dir(strings.TrimSpace(string(mod))), "tools", "scripts", "tool.sh")
		var says bytes.Buffer
		cmd := exec.CommandContext(context.Background(), script, name)
		cmd.Stderr = &says
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("%w\n%s", err, says.Bytes())
		}
		found[name] = strings.TrimSpace(string(out))
		return found[name], nil
	}
}()

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func start(t testing.TB, s Server, name string, env []string, args ...string) Server {
	t.Helper()
	path, err := binary(name)
	if err != nil {
		t.Fatalf("no %s to test against; `make test-stores` builds it and shows what is wrong: %v", name, err)
	}
	says := new(lockedBuffer)
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = says, says
	endsWithUs(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", name, says.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; {
		err := s.try(t.Context())
		if err == nil {
			return s
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", name, err, says.String())
		case <-time.After(50 * time.Millisecond): // until it listens
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come up: %v\n%s", name, err, says.String())
		}
	}
}

func (s Server) client() (*minio.Client, error) {
	return minio.New(strings.TrimPrefix(s.URL, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(AccessKey, SecretKey, ""), Region: "us-east-1", MaxRetries: 1,
	})
}

func (s Server) try(ctx context.Context) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	_, err = c.ListBuckets(ctx)
	return err
}

// Bucket makes a new bucket.
func (s Server) Bucket(t testing.TB) string {
	t.Helper()
	name := "test-" + strings.ToLower(rand.Text())
	c, err := s.client()
	if err == nil {
		err = c.MakeBucket(t.Context(), name, minio.MakeBucketOptions{Region: "us-east-1"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// Keys lists all that is in a bucket.
func (s Server) Keys(t testing.TB, bucket string) []string {
	t.Helper()
	c, err := s.client()
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for o := range c.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

// Uploads counts the multipart uploads under way for a key. MinIO lists no more of them at once.
func (s Server) Uploads(t testing.TB, bucket, key string) int {
	t.Helper()
	c, err := s.client()
	if err != nil {
		t.Fatal(err)
	}
	core := minio.Core{Client: c}
	page, err := core.ListMultipartUploads(t.Context(), bucket, key, "", "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(page.Uploads)
}

// Put stores an object as it is.
func (s Server) Put(t testing.TB, bucket, key string, data []byte) {
	t.Helper()
	c, err := s.client()
	if err == nil {
		_, err = c.PutObject(t.Context(), bucket, key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Remove deletes an object behind the store's back.
func (s Server) Remove(t testing.TB, bucket, key string) {
	t.Helper()
	c, err := s.client()
	if err == nil {
		err = c.RemoveObject(t.Context(), bucket, key, minio.RemoveObjectOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Get fetches a URL as anybody would.
func Get(t testing.TB, url string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return resp, b.Bytes()
}

// lockedBuffer takes what a server says while a test reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
