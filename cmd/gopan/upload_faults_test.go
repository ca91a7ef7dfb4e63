//go:build faults

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/faultpoint"
)

// killable is a drive whose server dies at a point, and is started again when a client finds that it is not there.
type killable struct {
	t      *testing.T
	args   []string
	server *process
	token  string
	deaths int
}

// start starts the server, which will die at a point; "" is none.
func (d *killable) start(point string) {
	d.t.Helper()
	d.t.Setenv(faultpoint.Variable, point)
	d.server = startServer(d.t, d.args...)
	d.t.Setenv(faultpoint.Variable, "")
	var tokens struct {
		AccessToken string `json:"accessToken"`
	}
	status, body := d.ask("POST", "/auth/login", []byte(`{"login":"admin","password":"`+testPassword+`"}`))
	if err := json.Unmarshal(body, &tokens); err != nil || status != 200 {
		d.t.Fatalf("login: %d %s", status, body)
	}
	d.token = tokens.AccessToken
}

// ask asks as a client does: when no answer comes, again.
func (d *killable) ask(method, path string, body []byte, headers ...string) (int, []byte) {
	d.t.Helper()
	for {
		req, err := http.NewRequestWithContext(d.t.Context(), method, d.server.url+"/api/v1"+path, bytes.NewReader(body))
		if err != nil {
			d.t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+d.token)
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			var b []byte
			b, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil {
				return resp.StatusCode, b
			}
		}
		_ = d.server.cmd.Wait() // says that it was killed
		if d.deaths++; d.deaths > 1 {
			d.t.Fatalf("died again: %v\n%s", err, tail(d.server.log.String(), 4000))
		}
		d.start("")
	}
}

// D1, D4, F05, C6: the server dies by kill -9 at every moment of an upload and of what comes before and after; the
// client goes on asking, and has its file, once, every byte of it.
func TestUploadKilled(t *testing.T) {
	const block = 4 << 20
	d := &killable{t: t, args: []string{"--data", t.TempDir(), "--listen", freeAddress(t)}}
	random := make([]byte, 3*block)
	for i := range random {
		random[i] = byte(i*i>>7 ^ i>>15)
	}
	files := int64(0)
	for _, point := range []string{
		"upload.create.reserved", "upload.create.staged", "upload.create.kept", "upload.block.written", "upload.block.written:2",
		"upload.block.noted", "upload.block.noted:2", "upload.complete.copied", "upload.complete.checked", "upload.complete.stored",
		"upload.complete.committed", "upload.complete.noted", "upload.create.claimed",
	} {
		t.Run(point, func(t *testing.T) {
			d.t, d.deaths = t, 0
			d.start("")
			// Each has contents of its own.
			old := slices.Concat([]byte(point), random[len(point):])
			now := slices.Concat(old[:block], []byte("changed"), old[block+7:], []byte("and longer"))
			path := "/" + strings.ReplaceAll(point, ":", "-")
			if status, body := d.ask("PUT", "/uploads/content?path="+path, old); status != 201 {
				t.Fatalf("%d %s", status, body)
			}
			d.server.stop(t)
			d.start(point)
			defer func() { d.server.stop(t) }()
			versions, content := int64(2), now
			if point == "upload.create.claimed" { // the content that is there, as another file
				path, versions, content = path+"-again", 1, old
			}
			var sums []string
			for b := range slices.Chunk(content, block) {
				sum := sha256.Sum256(b)
				sums = append(sums, hex.EncodeToString(sum[:]))
			}
			create, err := json.Marshal(map[string]any{"path": path, "size": len(content), "blocks": sums})
			if err != nil {
				t.Fatal(err)
			}
			type node struct {
				ID      string
				Version int64
			}
			var u struct {
				ID      string
				Missing []int64
				Node    *node
			}
			status, body := d.ask("POST", "/uploads", create, "Idempotency-Key: "+point)
			if err := json.Unmarshal(body, &u); err != nil || status != 201 {
				t.Fatalf("create: %d %s", status, body)
			}
			if u.Node == nil {
				if fmt.Sprint(u.Missing) != "[1 3]" {
					t.Errorf("missing: %v", u.Missing)
				}
				for _, n := range u.Missing {
					status, body := d.ask("PUT", fmt.Sprintf("/uploads/%s/blocks/%d", u.ID, n), content[n*block:min((n+1)*block, int64(len(content)))])
					if status != 204 {
						t.Fatalf("block %d: %d %s", n, status, body)
					}
				}
				status, body := d.ask("POST", "/uploads/"+u.ID+"/complete", nil)
				if err := json.Unmarshal(body, &u.Node); err != nil || status != 200 {
					t.Fatalf("complete: %d %s", status, body)
				}
			}
			if d.deaths != 1 {
				t.Fatalf("the server died %d times, want once", d.deaths)
			}
			if u.Node.Version != versions {
				t.Errorf("version %d, want %d", u.Node.Version, versions)
			}
			if status, got := d.ask("GET", "/content/"+u.Node.ID, nil); status != 200 || !bytes.Equal(got, content) {
				t.Errorf("%d, %d bytes came back of %d", status, len(got), len(content))
			}
			files += 2
		})
	}
	d.t = t
	d.start("")
	defer d.server.stop(t)
	var report struct {
		Versions, Orphans, YoungOrphans int64
		Problems                        []any
	}
	if err := json.Unmarshal(run(t, gopan(t.Context(), nil, "fsck", "--read-data", "--json", "--data", d.args[1])), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) != 0 || report.Versions != files || report.Orphans != report.YoungOrphans {
		t.Errorf("fsck: %+v; want no problem and %d versions", report, files)
	}
}
