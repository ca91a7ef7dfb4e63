// Package clienttest is a small server for the tests of what speaks to one: the slice of Gopan's HTTP API that
// the client uses, in memory, with faults on request.
package clienttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Login and Password are the one account's.
const (
	Login    = "admin"
	Password = "correct horse"
)

// File is a file or, with a nil Data, a folder.
type File struct {
	ID       string
	Folder   bool
	Data     []byte
	Modified time.Time
	Version  int
	digest   string
}

// Server answers requests. Set its fields before the first one.
type Server struct {
	*httptest.Server

	// PageSize bounds a listing's page; 0 is what the client asks for.
	PageSize int
	// ExpiresIn is the life of an access token in seconds, as it is told; 0 means 900.
	ExpiresIn int
	// RequestBlocks and MaxRequestBlocks are told of every upload; 0 means 1 and 16.
	RequestBlocks, MaxRequestBlocks int
	// MissingLimit is how many missing blocks an answer names; 0 means 10,000.
	MissingLimit int

	mu        sync.Mutex
	intercept func(w http.ResponseWriter, r *http.Request) bool
	files     map[string]*File
	keys      map[string]string
	calls     map[string]int
	access    string
	refresh   string
	issued    int
	reused    bool
	nextFile  int
	uploads   map[string]*upload
	others    map[string][]byte
}

// New starts a server with an empty drive; it ends with the test.
func New(t testing.TB) *Server {
	s := &Server{
		files: map[string]*File{"/": {ID: "root", Folder: true}},
		keys:  map[string]string{}, calls: map[string]int{},
		uploads: map[string]*upload{}, others: map[string][]byte{},
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// Calls counts the requests of a method and a path, "PUT /uploads/content"; with a query key appended,
// "GET /files?path=/a", only those with this value.
func (s *Server) Calls(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[what]
}

// Intercept lets fn see every request first, in place of the one before it; fn answers it if it returns true.
// nil is nobody.
func (s *Server) Intercept(fn func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = fn
}

// Get gives what is at a path, or nil.
func (s *Server) Get(p string) *File {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[p]; f != nil {
		out := *f
		out.Data = slices.Clone(f.Data)
		return &out
	}
	return nil
}

// Put makes a file and the folders above it.
func (s *Server) Put(p string, data []byte, modified time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parents(p)
	s.write(p, data, modified)
}

// Mkdir makes a folder and those above it.
func (s *Server) Mkdir(p string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parents(p + "/x")
}

// Revoke makes the access token that was given last worthless.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access = "revoked"
}

// Reused tells whether a refresh token came in twice.
func (s *Server) Reused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reused
}

// Secrets are the tokens that are valid now.
func (s *Server) Secrets() (access, refresh string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.access, s.refresh
}

// Digest is the block digest of data.
func Digest(data []byte) string {
	outer := sha256.New()
	for block := range slices.Chunk(data, 4<<20) {
		sum := sha256.Sum256(block)
		outer.Write(sum[:])
	}
	return hex.EncodeToString(outer.Sum(nil))
}

// Problem answers with a problem.
func Problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"about:blank","title":%q,"status":%d,"detail":"it is %s","code":%q,"requestId":"req-1"}`,
		http.StatusText(status), status, code, code)
}

func (s *Server) parents(p string) {
	for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
		if s.files[dir] == nil {
			s.nextFile++
			s.files[dir] = &File{ID: "n" + strconv.Itoa(s.nextFile), Folder: true}
		}
	}
}

func (s *Server) write(p string, data []byte, modified time.Time) {
	f := s.files[p]
	if f == nil {
		s.nextFile++
		f = &File{ID: "n" + strconv.Itoa(s.nextFile)}
		s.files[p] = f
	}
	f.Data, f.Modified, f.digest = data, modified, Digest(data)
	f.Version++
}

func (s *Server) find(id string) string {
	for p, f := range s.files {
		if f.ID == id {
			return p
		}
	}
	return ""
}

func (f *File) etag() string { return fmt.Sprintf(`"%s.%d"`, f.ID, f.Version) }

func (s *Server) node(p string) map[string]any {
	f := s.files[p]
	n := map[string]any{
		"id": f.ID, "path": p, "name": strings.TrimPrefix(path.Base(p), "/"), "kind": "file", "size": len(f.Data),
		"etag": f.etag(), "createdAt": time.Unix(0, 0).UTC(), "modifiedAt": f.Modified.UTC(),
	}
	if f.Folder {
		n["kind"] = "folder"
	} else {
		n["digest"], n["version"] = f.digest, f.Version
	}
	return n
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	at := strings.TrimPrefix(r.URL.Path, "/api/v1")
	s.mu.Lock()
	s.calls[r.Method+" "+at]++
	if p := r.URL.Query().Get("path"); p != "" {
		s.calls[r.Method+" "+at+"?path="+p]++
	}
	access, intercept := s.access, s.intercept
	s.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	if strings.HasPrefix(at, "/auth/") && at != "/auth/logout" {
		s.auth(w, r, at)
		return
	}
	if token := r.Header.Get("Upload-Token"); token != "" && strings.HasPrefix(at, "/uploads/") {
		// It alone counts; whether it is the right one is judged with the upload.
		s.api(w, r, at)
		return
	}
	if access == "" || r.Header.Get("Authorization") != "Bearer "+access {
		Problem(w, http.StatusUnauthorized, "unauthenticated")
		return
	}
	s.api(w, r, at)
}

func (s *Server) auth(w http.ResponseWriter, r *http.Request, at string) {
	var in struct{ Login, Password, RefreshToken string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case at == "/auth/login" && (in.Login != Login || in.Password != Password):
		Problem(w, http.StatusUnauthorized, "bad_credentials")
		return
	case at == "/auth/refresh" && (s.refresh == "" || in.RefreshToken != s.refresh):
		s.reused = true
		s.access, s.refresh = "", ""
		Problem(w, http.StatusUnauthorized, "session_ended")
		return
	}
	s.issued++
	s.access, s.refresh = fmt.Sprintf("access-secret-%d", s.issued), fmt.Sprintf("refresh-secret-%d", s.issued)
	life := s.ExpiresIn
	if life == 0 {
		life = 900
	}
	answer(w, http.StatusOK, map[string]any{
		"accessToken": s.access, "refreshToken": s.refresh, "expiresIn": life,
		"user": map[string]string{"id": "u1", "login": Login, "role": "admin"},
	})
}

func (s *Server) api(w http.ResponseWriter, r *http.Request, at string) {
	p := r.URL.Query().Get("path")
	id, byID := strings.CutPrefix(at, "/files/")
	cid, cByID := strings.CutPrefix(at, "/content/")
	switch {
	case at == "/auth/logout":
		s.mu.Lock()
		s.access, s.refresh = "", ""
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut && at == "/uploads/content":
		s.put(w, r, p)
	case r.Method == http.MethodPost && at == "/uploads/batch":
		s.batch(w, r, p)
	case at == "/uploads" || strings.HasPrefix(at, "/uploads/"):
		s.upload(w, r, strings.TrimPrefix(at, "/uploads"))
	case r.Method == http.MethodGet && at == "/content":
		s.content(w, r, p)
	case r.Method == http.MethodGet && cByID:
		s.mu.Lock()
		p := s.find(cid)
		s.mu.Unlock()
		s.content(w, r, p)
	case at == "/files":
		s.list(w, r, p)
	case at == "/stat":
		s.stat(w, p)
	case at == "/folders":
		s.mkdir(w, r)
	case byID:
		s.byID(w, r, id)
	default:
		Problem(w, http.StatusNotFound, "no_route")
	}
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, p string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		// A body that ends early leaves nothing.
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	if done := s.keys[key]; done != "" {
		answer(w, http.StatusOK, s.node(done))
		return
	}
	if d := r.Header.Get("Gopan-Digest"); d != "" && d != Digest(body) {
		Problem(w, http.StatusBadRequest, "digest_mismatch")
		return
	}
	if status, code := s.place(p, r.URL.Query().Get("parents") == "true"); code != "" {
		Problem(w, status, code)
		return
	}
	status := s.store(p, body, moment(r.URL.Query().Get("modifiedAt")))
	if key != "" {
		s.keys[key] = p
	}
	answer(w, status, s.node(p))
}

// place makes sure that a file can be at p; otherwise it gives the refusal.
func (s *Server) place(p string, parents bool) (status int, code string) {
	if strings.ContainsAny(p, "\\\n") {
		return http.StatusBadRequest, "bad_path"
	}
	if f := s.files[p]; f != nil && f.Folder {
		return http.StatusConflict, "is_folder"
	}
	if parents {
		s.parents(p)
	} else if s.files[path.Dir(p)] == nil {
		return http.StatusNotFound, "not_found"
	}
	return 0, ""
}

// store writes a file, unless it has these bytes already, and gives the status to answer with.
func (s *Server) store(p string, body []byte, modified time.Time) int {
	f := s.files[p]
	if f == nil {
		s.write(p, body, modified)
		return http.StatusCreated
	}
	if !bytes.Equal(f.Data, body) {
		s.write(p, body, modified)
	}
	return http.StatusOK
}

// moment reads a time; none is now.
func moment(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Now()
	}
	return t
}

func (s *Server) content(w http.ResponseWriter, r *http.Request, p string) {
	f := s.Get(p)
	if f == nil || f.Folder {
		Problem(w, http.StatusNotFound, "not_found")
		return
	}
	w.Header().Set("ETag", f.etag())
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(f.Data)))
}

func (s *Server) stat(w http.ResponseWriter, p string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files[p] == nil {
		Problem(w, http.StatusNotFound, "not_found")
		return
	}
	answer(w, http.StatusOK, s.node(p))
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, p string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.files[p]; f == nil || !f.Folder {
		Problem(w, http.StatusNotFound, "not_found")
		return
	}
	var names []string
	for q := range s.files {
		if q != "/" && path.Dir(q) == p {
			names = append(names, q)
		}
	}
	slices.Sort(names)
	slices.SortStableFunc(names, func(a, b string) int {
		switch fa, fb := s.files[a].Folder, s.files[b].Folder; {
		case fa == fb:
			return 0
		case fa:
			return -1
		}
		return 1
	})
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	if s.PageSize > 0 {
		limit = s.PageSize
	}
	start, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	end := min(start+limit, len(names))
	page := map[string]any{"folder": s.node(p), "total": len(names)}
	items := []any{}
	for _, q := range names[start:end] {
		items = append(items, s.node(q))
	}
	page["items"] = items
	if end < len(names) {
		page["nextCursor"] = strconv.Itoa(end)
	}
	answer(w, http.StatusOK, page)
}

func (s *Server) mkdir(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Path    string
		Parents bool
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !in.Parents && s.files[in.Path] != nil:
		Problem(w, http.StatusConflict, "exists")
		return
	case !in.Parents && s.files[path.Dir(in.Path)] == nil:
		Problem(w, http.StatusNotFound, "not_found")
		return
	}
	s.parents(in.Path + "/x")
	answer(w, http.StatusCreated, s.node(in.Path))
}

func (s *Server) byID(w http.ResponseWriter, r *http.Request, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.find(id)
	if p == "" {
		Problem(w, http.StatusNotFound, "not_found")
		return
	}
	switch r.Method {
	case http.MethodDelete:
		s.rename(p, "")
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPatch:
		var in struct{ Name, ParentPath string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		dir, name := path.Dir(p), path.Base(p)
		if in.ParentPath != "" {
			dir = in.ParentPath
		}
		if in.Name != "" {
			name = in.Name
		}
		to := path.Join(dir, name)
		if match := r.Header.Get("If-Match"); match != "" && match != s.files[p].etag() {
			Problem(w, http.StatusPreconditionFailed, "stale")
			return
		}
		if s.files[to] != nil {
			Problem(w, http.StatusConflict, "name_taken")
			return
		}
		if s.files[dir] == nil {
			Problem(w, http.StatusNotFound, "not_found")
			return
		}
		s.rename(p, to)
		answer(w, http.StatusOK, s.node(to))
	default:
		answer(w, http.StatusOK, s.node(p))
	}
}

// rename moves what is at p, and all below, to another path; to "" it vanishes.
func (s *Server) rename(p, to string) {
	moved := map[string]*File{}
	for q, f := range s.files {
		rest, below := strings.CutPrefix(q, p+"/")
		switch {
		case q == p:
			moved[to] = f
		case below:
			moved[to+"/"+rest] = f
		default:
			continue
		}
		delete(s.files, q)
	}
	if to != "" {
		for q, f := range moved {
			s.files[q] = f
		}
	}
}
