package download_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/livil/gopan/internal/pb/filemetapb"
)

// S15: a key of one folder reads what is in it, by every way, and nothing else.
func TestReadWithAKeyOfOneFolder(t *testing.T) {
	s := newServer(t, false)
	in, _ := s.put("/top/desk/in", []byte("inside"))
	s.put("/top/desk/sub/deep", []byte("deep"))
	beside, _ := s.put("/top/beside", []byte("beside"))
	other, _ := s.put("/top/desktop/f", []byte("other"))
	desk, err := s.tree.Resolve(t.Context(), &filemetapb.ResolveRequest{Actor: &filemetapb.Actor{UserId: 1}, Path: "/top/desk"})
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("Authorization: Bearer 1/%d", desk.GetId())
	byID := func(n *filemetapb.Node) string { return fmt.Sprintf("/api/v1/content/%d", n.GetId()) }

	for _, p := range []string{content("/top/desk/in"), byID(in)} {
		if a := s.get("GET", p, key); a.StatusCode != 200 || string(a.body) != "inside" {
			t.Errorf("%s: %d %s", p, a.StatusCode, a.body)
		}
	}
	for _, p := range []string{
		content("/top/beside"), byID(beside), content("/top/desktop/f"), byID(other), content("/"), content("/top"), content("/never"),
		"/api/v1/archive?path=/", "/api/v1/archive?path=/top", "/api/v1/archive?path=/top/desktop",
		fmt.Sprintf("/api/v1/archive?ids=%d,%d", in.GetId(), beside.GetId()), fmt.Sprintf("/api/v1/archive?ids=%d", desk.GetParentId()),
	} {
		s.get("GET", p, key).wantProblem(t, 404, "not_found")
		if a := s.get("HEAD", p, key); a.StatusCode != 404 {
			t.Errorf("HEAD %s: %d", p, a.StatusCode)
		}
	}
	a := s.get("GET", "/api/v1/archive?path=/top/desk", key)
	if a.StatusCode != 200 {
		t.Fatal(a.StatusCode, string(a.body))
	}
	z, err := zip.NewReader(bytes.NewReader(a.body), int64(len(a.body)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	if want := []string{"desk/", "desk/in", "desk/sub/", "desk/sub/deep"}; !slices.Equal(names, want) {
		t.Errorf("the archive has %q, want %q", names, want)
	}
	s.ask("POST", "/api/v1/archive", fmt.Sprintf(`{"ids":["%d"]}`, other.GetId()), key).wantProblem(t, 404, "not_found")
}
