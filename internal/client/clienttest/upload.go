package clienttest

import (
	"archive/tar"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	blockSize = 4 << 20
	// maxJSON is how long a JSON body may be.
	maxJSON = 1 << 20
	// minDedupe is from what size on others' content counts.
	minDedupe = 16 << 20
	// batchFiles bounds a batch's entries.
	batchFiles = 1000
)

// upload is a session.
type upload struct {
	id, token  string
	path       string
	size       int64
	digest     string
	parents    bool
	modified   time.Time
	sums       []string
	arrived    []bool
	data       []byte
	challenge  *challenge
	done       bool
	doneStatus int
}

type challenge struct {
	Nonce  string `json:"nonce"`
	Blocks []int  `json:"blocks"`
}

// Others puts content into the drive of somebody else, whom nobody sees.
func (s *Server) Others(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others[Digest(data)] = data
}

// Uploads counts the sessions that are neither complete nor dropped.
func (s *Server) Uploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, u := range s.uploads {
		if !u.done {
			n++
		}
	}
	return n
}

// Arrived counts the blocks that sessions have got.
func (s *Server) Arrived() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, u := range s.uploads {
		for _, there := range u.arrived {
			if there {
				n++
			}
		}
	}
	return n
}

// Forget ends all sessions, as time does.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.uploads)
}

// EndTokens makes the sessions' tokens worthless, as a sign-out does.
func (s *Server) EndTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.uploads {
		u.token = "ended"
	}
}

// Lose makes a session forget a block that had arrived, as a power cut may.
func (s *Server) Lose(block int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.uploads {
		if block < len(u.arrived) {
			u.arrived[block] = false
		}
	}
}

func (s *Server) upload(w http.ResponseWriter, r *http.Request, at string) {
	if at == "" {
		s.createUpload(w, r)
		return
	}
	id, below, _ := strings.Cut(strings.TrimPrefix(at, "/"), "/")
	s.mu.Lock()
	u := s.uploads[id]
	if token := r.Header.Get("Upload-Token"); u != nil && token != "" && token != u.token {
		u = nil
	}
	s.mu.Unlock()
	number, isBlock := strings.CutPrefix(below, "blocks/")
	switch {
	case u == nil:
		Problem(w, http.StatusNotFound, "not_found")
	case r.Method == http.MethodGet && below == "":
		s.mu.Lock()
		defer s.mu.Unlock()
		answer(w, http.StatusOK, s.describe(u))
	case r.Method == http.MethodDelete && below == "":
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut && isBlock:
		s.putBlocks(w, r, u, number)
	case r.Method == http.MethodPost && below == "proof":
		s.prove(w, r, u)
	case r.Method == http.MethodPost && below == "complete":
		s.complete(w, u)
	default:
		Problem(w, http.StatusNotFound, "no_route")
	}
}

func (s *Server) createUpload(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Path, Digest, ModifiedAt string
		Size                     int64
		Blocks                   []string
		Parents                  bool
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxJSON+1))
	if err != nil || len(body) > maxJSON || json.Unmarshal(body, &in) != nil {
		Problem(w, http.StatusBadRequest, "bad_json")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	blocks := int((in.Size + blockSize - 1) / blockSize)
	key := r.Header.Get("Idempotency-Key")
	if u := s.uploads[s.keys[key]]; u != nil {
		answer(w, http.StatusCreated, s.describe(u))
		return
	}
	if in.Blocks != nil && len(in.Blocks) != blocks {
		Problem(w, http.StatusBadRequest, "bad_blocks")
		return
	}
	if status, code := s.place(in.Path, in.Parents); code != "" {
		Problem(w, status, code)
		return
	}
	u := &upload{
		id: rand.Text(), token: "upload-" + rand.Text(), path: in.Path, size: in.Size, digest: in.Digest, parents: in.Parents,
		modified: moment(in.ModifiedAt), sums: make([]string, blocks), arrived: make([]bool, blocks), data: make([]byte, in.Size),
	}
	copy(u.sums, in.Blocks)
	s.uploads[u.id] = u
	if key != "" {
		s.keys[key] = u.id
	}
	s.fill(u)
	out := s.describe(u)
	out["token"] = u.token
	answer(w, http.StatusCreated, out)
}

// fill gives an upload what is there already: the whole of it, or blocks of the version before.
func (s *Server) fill(u *upload) {
	for _, f := range s.files {
		if !f.Folder && u.digest != "" && f.digest == u.digest {
			copy(u.data, f.Data)
			s.finish(u)
			return
		}
	}
	if f := s.files[u.path]; f != nil {
		for block := range slices.Chunk(f.Data, blockSize) {
			for n, sum := range u.sums {
				if sum == hexSum(block) && !u.arrived[n] {
					copy(u.data[n*blockSize:], block)
					u.arrived[n] = true
				}
			}
		}
	}
	if data := s.others[u.digest]; data != nil && int64(len(data)) == u.size && u.size >= minDedupe {
		nonce := make([]byte, 32)
		_, _ = rand.Read(nonce)
		u.challenge = &challenge{hex.EncodeToString(nonce), []int{len(u.sums) - 1, 0}}
	}
}

func (s *Server) finish(u *upload) int {
	if !u.done {
		u.done, u.doneStatus = true, s.store(u.path, u.data, u.modified)
		for n := range u.arrived {
			u.arrived[n] = true
		}
	}
	return u.doneStatus
}

func (s *Server) describe(u *upload) map[string]any {
	group, most, limit := max(s.RequestBlocks, 1), s.MaxRequestBlocks, s.MissingLimit
	if most == 0 {
		most = 16
	}
	if limit == 0 {
		limit = 10_000
	}
	missing := []int{}
	for n, there := range u.arrived {
		if !there {
			missing = append(missing, n)
		}
	}
	out := map[string]any{
		"id": u.id, "path": u.path, "size": u.size, "blockSize": blockSize, "requestBlocks": group, "maxRequestBlocks": most,
		"missing": missing[:min(len(missing), limit)], "missingCount": len(missing), "expiresAt": time.Now().Add(72 * time.Hour),
	}
	if u.challenge != nil {
		out["challenge"] = u.challenge
	}
	if u.done {
		out["node"] = s.node(u.path)
	}
	return out
}

func (s *Server) putBlocks(w http.ResponseWriter, r *http.Request, u *upload, number string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	first, err := strconv.Atoi(number)
	if err != nil || first < 0 || first >= len(u.sums) || len(body) == 0 {
		Problem(w, http.StatusBadRequest, "bad_block")
		return
	}
	off := int64(first) * blockSize
	whole := len(body)%blockSize == 0 || off+int64(len(body)) == u.size
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.MaxRequestBlocks
	if most == 0 {
		most = 16
	}
	switch want := r.Header.Get("Content-Digest"); {
	case !whole || off+int64(len(body)) > u.size:
		Problem(w, http.StatusBadRequest, "bad_block")
		return
	case len(body) > most*blockSize:
		Problem(w, http.StatusRequestEntityTooLarge, "too_large")
		return
	case want != "" && want != "sha-256=:"+sum64(body)+":":
		Problem(w, http.StatusBadRequest, "block_mismatch")
		return
	}
	n := first
	for block := range slices.Chunk(body, blockSize) {
		sum := hexSum(block)
		switch {
		case u.sums[n] != "" && u.sums[n] != sum && u.arrived[n]:
			Problem(w, http.StatusConflict, "block_differs")
			return
		case u.sums[n] != "" && u.sums[n] != sum:
			Problem(w, http.StatusBadRequest, "block_mismatch")
			return
		}
		u.sums[n], u.arrived[n] = sum, true
		copy(u.data[n*blockSize:], block)
		n++
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) prove(w http.ResponseWriter, r *http.Request, u *upload) {
	var in struct{ Answers []string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := u.challenge
	u.challenge = nil
	if ch == nil || len(in.Answers) != len(ch.Blocks) {
		Problem(w, http.StatusForbidden, "proof_failed")
		return
	}
	nonce, _ := hex.DecodeString(ch.Nonce)
	data := s.others[u.digest]
	for i, n := range ch.Blocks {
		mac := hmac.New(sha256.New, nonce)
		mac.Write(data[n*blockSize : min((n+1)*blockSize, len(data))])
		if in.Answers[i] != hex.EncodeToString(mac.Sum(nil)) {
			Problem(w, http.StatusForbidden, "proof_failed")
			return
		}
	}
	copy(u.data, data)
	s.finish(u)
	answer(w, http.StatusOK, s.describe(u))
}

func (s *Server) complete(w http.ResponseWriter, u *upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !u.done && slices.Contains(u.arrived, false):
		Problem(w, http.StatusConflict, "blocks_missing")
		return
	case !u.done && u.digest != "" && u.digest != Digest(u.data):
		Problem(w, http.StatusBadRequest, "digest_mismatch")
		return
	}
	if status, code := s.place(u.path, u.parents); code != "" {
		Problem(w, status, code)
		return
	}
	answer(w, s.finish(u), s.node(u.path))
}

func (s *Server) batch(w http.ResponseWriter, r *http.Request, folder string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	results := []map[string]any{}
	for tr := tar.NewReader(bytes.NewReader(body)); ; {
		h, err := tr.Next()
		if err != nil {
			break
		}
		p := path.Join("/", folder, h.Name) //nolint:gosec // a key of a map, and no file's path
		data, err := io.ReadAll(tr)
		if err != nil {
			break
		}
		res := map[string]any{"path": p}
		results = append(results, res)
		refuse := func(status int, code string) { res["status"], res["code"], res["title"] = status, code, "it is "+code }
		status, code := s.place(p, true)
		switch want := h.PAXRecords["GOPAN.digest"]; {
		case len(results) > batchFiles || len(data) > blockSize:
			refuse(http.StatusRequestEntityTooLarge, "too_large")
		case h.Typeflag != tar.TypeReg:
			refuse(http.StatusBadRequest, "bad_entry")
		case code != "":
			refuse(status, code)
		case want != "" && want != Digest(data):
			refuse(http.StatusBadRequest, "digest_mismatch")
		default:
			res["status"] = s.store(p, data, h.ModTime)
			res["node"] = s.node(p)
		}
	}
	answer(w, http.StatusOK, map[string]any{"results": results})
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func sum64(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.StdEncoding.EncodeToString(sum[:])
}
