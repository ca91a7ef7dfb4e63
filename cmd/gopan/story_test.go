package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/client"
)

// The story of a drive, the same in both shapes: sign in, make folders, upload, list, download a range,
// overwrite, rename, move, delete, restore, restart, sign out. What was acknowledged is there at once and after the restart.
func TestStory(t *testing.T) {
	for name, d := range map[string]drive{"one process": &onePiece{dir: t.TempDir()}, "a process a role": &splitUp{dir: t.TempDir()}} {
		t.Run(name, func(t *testing.T) { story(t, d) })
	}
}

func story(t *testing.T, d drive) {
	ctx := t.Context()
	base := d.start(t)
	session := new(client.Memory)
	alice := &client.Client{BaseURL: base, Credentials: session}

	// A wrong password opens nothing; the right one does.
	if _, err := alice.Login(ctx, "admin", "wrong"); !hasCode(err, "bad_credentials") {
		t.Fatalf("a wrong password: %v", err)
	}
	if _, err := alice.Login(ctx, "admin", testPassword); err != nil {
		t.Fatal(err)
	}

	// Folders and files. What was written is listed at once.
	if _, err := alice.Mkdir(ctx, "/照片/2026", true); err != nil {
		t.Fatal(err)
	}
	first := strings.Repeat("first version ", 1000)
	put := func(path, s string) *client.Node {
		t.Helper()
		n, err := alice.Put(ctx, path, client.Bytes([]byte(s)), client.PutOptions{Parents: true})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	note := put("/notes/todo.txt", first)
	big := strings.Repeat("0123456789abcdef", 9<<20/16) // three blocks
	put("/照片/2026/é.jpg", big)
	wantNames(t, alice, "/", "notes", "照片")
	wantNames(t, alice, "/notes", "todo.txt")

	// A range, and the whole.
	token := accessToken(t, base)
	status, body, h := get(t, base+"/api/v1/content?path=/notes/todo.txt", token, "Range", "bytes=6-12")
	if status != http.StatusPartialContent || string(body) != first[6:13] || h.Get("ETag") != note.ETag {
		t.Fatalf("a range: %d %q etag %s, want %s", status, body, h.Get("ETag"), note.ETag)
	}
	for range 2 { // the second time by sendfile
		if _, body, _ := get(t, base+"/api/v1/content?path="+url.QueryEscape("/照片/2026/é.jpg"), token); string(body) != big {
			t.Fatalf("downloaded %d bytes, want %d", len(body), len(big))
		}
	}

	// Overwriting makes a version and loses none.
	second := put("/notes/todo.txt", "second version")
	if second.ID != note.ID || second.Version != 2 || second.ETag == note.ETag {
		t.Fatalf("overwritten: %+v, before %+v", second, note)
	}
	if _, body, _ := get(t, base+"/api/v1/content/"+note.ID+"?version=1", token); string(body) != first {
		t.Fatal("the first version is not what it was")
	}

	// Rename with the tag that was shown; the tag from before is stale.
	if _, err := alice.Rename(ctx, note.ID, note.ETag, "late.txt"); !hasCode(err, "stale") {
		t.Fatalf("a rename with a stale tag: %v", err)
	}
	renamed, err := alice.Rename(ctx, note.ID, second.ETag, "done.txt")
	if err != nil || renamed.Path != "/notes/done.txt" {
		t.Fatalf("renamed to %+v, %v", renamed, err)
	}

	// Move a whole folder, delete it, restore it.
	photos, err := alice.Stat(ctx, "/照片")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alice.Move(ctx, photos.ID, "", "/notes", "pictures"); err != nil {
		t.Fatal(err)
	}
	if n, err := alice.Stat(ctx, "/notes/pictures/2026/é.jpg"); err != nil || n.Size != int64(len(big)) {
		t.Fatalf("moved along: %+v, %v", n, err)
	}
	if err := alice.Trash(ctx, photos.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.Stat(ctx, "/notes/pictures/2026/é.jpg"); !hasCode(err, "not_found") {
		t.Fatalf("in the trash and still there: %v", err)
	}
	wantNames(t, alice, "/notes", "done.txt")

	// Restart everything: it is all still there, and so is the session.
	d.stop(t)
	base = d.start(t)
	alice = &client.Client{BaseURL: base, Credentials: session}
	wantNames(t, alice, "/notes", "done.txt")
	if _, body, _ := get(t, base+"/api/v1/content?path=/notes/done.txt", token); string(body) != "second version" {
		t.Fatalf("after the restart: %q", body)
	}
	if status := post(t, base+"/api/v1/trash/"+photos.ID+"/restore", token, `{}`); status != http.StatusOK {
		t.Fatalf("restore: %d", status)
	}
	if _, body, _ := get(t, base+"/api/v1/content?path="+url.QueryEscape("/notes/pictures/2026/é.jpg"), token); string(body) != big {
		t.Fatal("restored with other bytes")
	}

	// Signing out ends the session in every process within a second.
	if status := post(t, base+"/api/v1/auth/logout", token, ""); status != http.StatusNoContent {
		t.Fatalf("logout: %d", status)
	}
	for _, path := range []string{"/api/v1/me", "/api/v1/files", "/api/v1/content?path=/notes/done.txt"} {
		eventually(t, path+" is refused after the logout", time.Second, func() bool {
			status, _, _ := get(t, base+path, token)
			return status == http.StatusUnauthorized
		})
	}
	d.stop(t)
}

func wantNames(t *testing.T, c *client.Client, path string, want ...string) {
	t.Helper()
	var got []string
	for n, err := range c.List(t.Context(), path) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n.Name)
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Fatalf("%s holds %q, want %q", path, got, want)
	}
}

func hasCode(err error, code string) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Code == code
}

func accessToken(t *testing.T, base string) string {
	t.Helper()
	in, err := json.Marshal(map[string]string{"login": "admin", "password": testPassword})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(base+"/api/v1/auth/login", "application/json", bytes.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out struct{ AccessToken string }
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out.AccessToken == "" {
		t.Fatalf("login: %d, %v", resp.StatusCode, err)
	}
	return out.AccessToken
}

func post(t *testing.T, url, token, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
