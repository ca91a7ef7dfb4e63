package upload_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/upload"
)

// folder makes a folder of user 1's and gives the header of a key that opens it alone.
func (s *server) folder(path string) (key string) {
	s.t.Helper()
	made, err := s.tree.MakeFolder(s.t.Context(), &filemetapb.MakeFolderRequest{Actor: &filemetapb.Actor{UserId: 1}, Path: path})
	if err != nil {
		s.t.Fatal(err)
	}
	return "Authorization: Bearer 1/" + jsonID(made.GetNode().GetId())
}

func jsonID(id int64) string {
	b, _ := json.Marshal(id) // a number always marshals
	return string(b)
}

// S15: a key of one folder brings files into it by every way, and nowhere else.
func TestUploadWithAKeyOfOneFolder(t *testing.T) {
	s := newServer(t, 0)
	key := s.folder("/desk")
	other := s.folder("/desk/sub")
	c := contentOf([]byte("0123456789"))

	s.put(to("/desk/put"), bytes.NewReader(c.data), key).node(t, 201)
	for _, p := range []string{"/beside", "/desktop/f", "/new/f"} {
		s.put(to(p)+"&parents=true", bytes.NewReader(c.data), key).wantProblem(t, 404, "not_found")
		s.post("", fields{"path": p, "size": 10, "parents": true}, key).wantProblem(t, 404, "not_found")
	}
	u := s.begin("/desk/blocks", c, nil, key)
	for who, h := range map[string]string{"another folder's key": other, "another user": "Authorization: Bearer 2"} {
		if a := s.do(http.MethodGet, "/api/v1/uploads/"+u.ID, nil, h); a.StatusCode != 404 {
			t.Errorf("%s: %d", who, a.StatusCode)
		}
	}
	s.fill(u, c, key)
	s.wantContent(s.complete(u.ID, key).node(t, 201), c.data)

	owners := s.begin("/desk/hers", c, nil)
	for name, a := range map[string]answer{
		"show": s.do(http.MethodGet, "/api/v1/uploads/"+owners.ID, nil, key), "block": s.block(owners.ID, 0, c.block(0), key),
		"complete": s.complete(owners.ID, key), "remove": s.remove(owners.ID, key), "prove": s.prove(owners.ID, []string{}, key),
	} {
		if a.StatusCode != 404 {
			t.Errorf("%s of an upload that the owner began: %d %s", name, a.StatusCode, a.body)
		}
	}
	// What the key began is its owner's, too.
	u = s.begin("/desk/shared", c, nil, key)
	s.fill(u, c)
	s.wantContent(s.complete(u.ID).node(t, 201), c.data)

	var body bytes.Buffer
	w := tar.NewWriter(&body)
	for _, name := range []string{"a", "deep/b", "c"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 1, Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/desk/batch": 201, "/desk": 201, "/": 404, "/desktop": 404} {
		a := s.do(http.MethodPost, "/api/v1/uploads/batch?path="+path, bytes.NewReader(body.Bytes()), key)
		var out upload.BatchResponse
		if err := json.Unmarshal(a.body, &out); err != nil || a.StatusCode != 200 || len(out.Results) != 3 {
			t.Fatal(a.StatusCode, string(a.body), err)
		}
		for _, r := range out.Results {
			if r.Status != want {
				t.Errorf("%s into %s: %d, want %d", r.Path, path, r.Status, want)
			}
		}
	}
}

// S15: the folder of a key went between the beginning of an upload and its end: the file is not made.
func TestFolderGoesDuringUpload(t *testing.T) {
	s := newServer(t, 0)
	key := s.folder("/desk")
	c := contentOf([]byte("0123456789"))
	u := s.begin("/desk/f", c, nil, key)
	s.fill(u, c, key)
	id := strings.TrimPrefix(key, "Authorization: Bearer 1/")
	s.do(http.MethodDelete, "/api/v1/files/"+id, nil).wantStatus(t, 204)
	s.folder("/desk") // another one in its place
	s.complete(u.ID, key).wantProblem(t, 404, "not_found")
}

// S18: an upload that a key began has no token, which would outlive the key; and no repeat gets one for it, or for the key.
func TestKeysGetNoUploadToken(t *testing.T) {
	s := newServer(t, 0)
	const key = "Authorization: Bearer 1/0"
	c := contentOf([]byte("0123456789"))
	u := s.begin("/f", c, nil, key, "Idempotency-Key: one")
	if u.Token != "" {
		t.Error("a key got an upload token")
	}
	if again := s.begin("/f", c, nil, "Idempotency-Key: one"); again.ID != u.ID || again.Token != "" {
		t.Errorf("the repeat of a key's upload: %s, a token: %v", again.ID, again.Token != "")
	}
	for _, token := range []string{"x", "0", strings.Repeat("A", 43)} {
		s.do(http.MethodGet, "/api/v1/uploads/"+u.ID, nil, "Authorization: ", "Upload-Token: "+token).wantProblem(t, 404, "not_found")
	}
	signedIn := s.begin("/g", c, nil, "Idempotency-Key: two")
	if again := s.begin("/g", c, nil, key, "Idempotency-Key: two"); again.ID != signedIn.ID || again.Token != "" || signedIn.Token == "" {
		t.Errorf("a key's repeat: %s, a token: %v", again.ID, again.Token != "")
	}
	s.fill(u, c, key)
	s.wantContent(s.complete(u.ID, key).node(t, 201), c.data)
}

// S5, S15: content that is elsewhere in the drive is not a key's for the sum of it.
func TestInstantOutsideTheFolder(t *testing.T) {
	s := newServer(t, 0)
	key := s.folder("/desk")
	c := contentOf([]byte("0123456789"))
	s.upload("/secret", c, 201)
	if u := s.begin("/desk/copy", c, fields{"digest": c.digest}, key); u.Node != nil || len(u.Missing) != 1 {
		t.Errorf("the sum fetched it: %+v", u)
	}
	if u := s.begin("/desk/copy", c, fields{"digest": c.digest}); u.Node == nil {
		t.Error("its owner has to send it")
	}
}
