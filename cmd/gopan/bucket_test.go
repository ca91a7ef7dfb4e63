package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/app"
	"github.com/livil/gopan/internal/blob/s3/s3test"
	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/transfer"
)

const block = 4 << 20

// bucketDrive is a drive whose content is in a bucket of MinIO, and the bytes that its one file should have.
type bucketDrive struct {
	t          *testing.T
	bucket     string
	minio      s3test.Server
	data, conf string
	server     *process
	token      string
	file       []byte
}

func newBucketDrive(t *testing.T) *bucketDrive {
	t.Helper()
	d := &bucketDrive{t: t, minio: s3test.MinIO(t), data: t.TempDir(), conf: filepath.Join(t.TempDir(), "gopan.yaml")}
	d.bucket = d.minio.Bucket(t)
	t.Setenv("GOPAN_STORE_MINIO_ACCESS_KEY", s3test.AccessKey)
	t.Setenv("GOPAN_STORE_MINIO_SECRET_KEY", s3test.SecretKey)
	conf := fmt.Sprintf("data: %q\nlisten: %s\nblob:\n  stores:\n    minio: {kind: s3, endpoint: %q, bucket: %s}\n  policies:\n    - {store: minio}\n",
		d.data, freeAddress(t), d.minio.URL, d.bucket)
	if err := os.WriteFile(d.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	d.server = startServer(t, "--config", d.conf)
	d.token = accessToken(t, d.server.url)
	d.file = make([]byte, 10*block-12_345)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(d.file) // documented never to fail
	return d
}

// ask sends a request below /api/v1 and wants a status.
func (d *bucketDrive) ask(status int, method, path string, body []byte) []byte {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.server.url+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	if method == http.MethodPost && body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		d.t.Fatalf("%s %s: %d, want %d: %s %v", method, path, resp.StatusCode, status, tail(string(b), 1000), err)
	}
	return b
}

// sessionState is what an upload says of itself.
type sessionState struct {
	ID            string
	RequestBlocks int
	Missing       []int
}

// begin announces the file under a path.
func (d *bucketDrive) begin(path string) (u sessionState) {
	d.t.Helper()
	var sums []string
	for b := range slices.Chunk(d.file, block) {
		sum := sha256.Sum256(b)
		sums = append(sums, hex.EncodeToString(sum[:]))
	}
	body, err := json.Marshal(map[string]any{"path": path, "size": len(d.file), "blocks": sums, "conflict": "replace", "parents": true})
	if err != nil {
		d.t.Fatal(err)
	}
	if err := json.Unmarshal(d.ask(201, "POST", "/uploads", body), &u); err != nil {
		d.t.Fatal(err)
	}
	return u
}

// send sends some blocks in one request.
func (d *bucketDrive) send(u sessionState, first, n int) {
	d.t.Helper()
	d.ask(204, "PUT", fmt.Sprintf("/uploads/%s/blocks/%d", u.ID, first), d.file[first*block:min((first+n)*block, len(d.file))])
}

// die has the server die with kill -9 when it has taken half of a request with some blocks, and starts another.
func (d *bucketDrive) die(u sessionState, first, n int) {
	d.t.Helper()
	sent := d.file[first*block : min((first+n)*block, len(d.file))]
	half, more := io.Pipe()
	req, err := http.NewRequestWithContext(d.t.Context(), "PUT", fmt.Sprintf("%s/api/v1/uploads/%s/blocks/%d", d.server.url, u.ID, first), half)
	if err != nil {
		d.t.Fatal(err)
	}
	req.ContentLength = int64(len(sent))
	req.Header.Set("Authorization", "Bearer "+d.token)
	ended := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			err = fmt.Errorf("answered with %d", resp.StatusCode)
		}
		ended <- err
	}()
	if _, err := more.Write(sent[:len(sent)/2]); err != nil {
		d.t.Fatal(err)
	}
	d.server.kill(d.t)
	more.CloseWithError(io.ErrUnexpectedEOF)
	if err := <-ended; strings.HasPrefix(err.Error(), "answered") {
		d.t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections() // they lead to the dead one
	d.server = startServer(d.t, "--config", d.conf)
}

// whole wants the file to have its bytes, at one version or, with 0, now.
func (d *bucketDrive) whole(when string, want []byte, version int) {
	d.t.Helper()
	path := "/content?path=/dir/f.bin"
	if version > 0 {
		path += fmt.Sprintf("&version=%d", version)
	}
	if got := d.ask(200, "GET", path, nil); !bytes.Equal(got, want) {
		d.t.Fatalf("%s: %d bytes that are not the file's", when, len(got))
	}
}

// tool runs a command on the data folder that must succeed, and reads its JSON.
func (d *bucketDrive) tool(into any, args ...string) {
	d.t.Helper()
	out := run(d.t, gopan(d.t.Context(), nil, append(args, "--json", "--config", d.conf)...))
	if err := json.Unmarshal(out, into); err != nil {
		d.t.Fatalf("%v: %v", args, err)
	}
}

// A large file's life in a bucket (D1, D4, D6, F08): single blocks in any order and whole parts come in, the server dies
// and is told what it has, one block changes, the file is in a zip, moves to the disk and back, and is whole all along.
func TestUploadIntoBucket(t *testing.T) {
	d := newBucketDrive(t)
	u := d.begin("/dir/f.bin")
	if u.RequestBlocks != 2 || len(u.Missing) != 10 {
		t.Fatalf("%+v: want parts of two blocks, ten of which are missing", u)
	}
	for _, n := range []int{7, 0, 6, 1, 4} { // two parts of them, and half of a third
		d.send(u, n, 1)
	}
	d.send(u, 2, 2)
	d.die(u, 8, 2)
	if err := json.Unmarshal(d.ask(200, "GET", "/uploads/"+u.ID, nil), &u); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(u.Missing, []int{5, 8, 9}) {
		t.Fatalf("after the server died %v are missing, want what was not acknowledged: 5, 8, 9", u.Missing)
	}
	d.send(u, 8, 2)
	d.send(u, 5, 1)
	d.ask(201, "POST", "/uploads/"+u.ID+"/complete", nil)
	d.whole("uploaded", d.file, 0)
	for _, k := range d.minio.Keys(t, d.bucket) {
		if strings.HasPrefix(k, "stage/") {
			t.Errorf("%s is left of the upload", k)
		}
	}

	// A new version sends what is new.
	first := slices.Clone(d.file)
	d.file[3*block+1000]++
	u = d.begin("/dir/f.bin")
	if !slices.Equal(u.Missing, []int{3}) {
		t.Fatalf("of a changed block %v are missing", u.Missing)
	}
	d.send(u, 3, 1)
	d.ask(200, "POST", "/uploads/"+u.ID+"/complete", nil)
	d.whole("overwritten", d.file, 0)
	d.whole("the version before", first, 1)
	d.inZip()

	for _, to := range []string{"local", "minio"} {
		var m transfer.Migrated
		d.tool(&m, "storage", "migrate", "--from", map[string]string{"local": "minio", "minio": "local"}[to], "--to", to)
		if m.Blobs != 2 || m.Kept != 0 || len(m.Problems) != 0 {
			t.Errorf("to %s: %+v", to, m)
		}
		d.whole("in "+to, d.file, 0)
	}
	var c transfer.Checked
	d.tool(&c, "fsck", "--read-data")
	if len(c.Problems) != 0 || c.Orphans != 0 || len(c.Stores) != 2 || c.Stores[0].Blobs != 0 || c.Stores[1].Blobs != 2 ||
		c.ReadBytes != 2*int64(len(d.file)) {
		t.Errorf("%+v", c)
	}
	d.forsake()
	d.whole("after the sweep", d.file, 0)
}

// inZip wants the file in a zip of its folder.
func (d *bucketDrive) inZip() {
	d.t.Helper()
	b := d.ask(200, "GET", "/archive?path=/dir", nil)
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		d.t.Fatal(err)
	}
	i := slices.IndexFunc(z.File, func(f *zip.File) bool { return strings.HasSuffix(f.Name, "f.bin") })
	if i < 0 {
		d.t.Fatalf("%d entries, and no f.bin", len(z.File))
	}
	r, err := z.File[i].Open()
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, d.file) {
		d.t.Errorf("%d bytes in the zip that are not the file's, %v", len(got), err)
	}
}

// forsake begins an upload that nobody goes on with, and wants nothing left of it when its time is over.
func (d *bucketDrive) forsake() {
	d.t.Helper()
	d.file[0]++ // no content that is here
	defer func() { d.file[0]-- }()
	u := d.begin("/dir/forsaken.bin")
	d.send(u, 2, 2)
	d.send(u, 5, 1)
	staged := func() (keys []string) {
		for _, k := range d.minio.Keys(d.t, d.bucket) {
			if strings.HasPrefix(k, "stage/") {
				keys = append(keys, k)
			}
		}
		return keys
	}
	keys := staged()
	if len(keys) != 2 {
		d.t.Fatalf("staged are %v, want a begin and a block", keys)
	}
	id := strings.Split(keys[0], "/")[1]
	data := "data/" + id[:2] + "/" + id
	if n := d.minio.Uploads(d.t, d.bucket, data); n != 1 {
		d.t.Fatalf("%d uploads of %s in the bucket, want one", n, data)
	}
	c, err := config.Load(d.conf)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, at := range []struct {
		after  time.Duration
		staged int64
	}{{c.Uploads.Life, 0}, {c.Uploads.Life + 25*time.Hour, 1}} {
		if err := app.Operate(d.t.Context(), c, func(ctx context.Context, s *transfer.Service) error {
			s.Now = func() time.Time { return time.Now().Add(at.after) }
			done, err := s.Collect(ctx, transfer.Collection{})
			if done.Swept.Staged != at.staged {
				d.t.Errorf("after %v %d uploads were swept, want %d", at.after, done.Swept.Staged, at.staged)
			}
			return err
		}); err != nil {
			d.t.Fatal(err)
		}
	}
	if left := staged(); len(left) != 0 || d.minio.Uploads(d.t, d.bucket, data) != 0 {
		d.t.Errorf("left in the bucket: %v, %d uploads", left, d.minio.Uploads(d.t, d.bucket, data))
	}
}
