package app

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/livil/gopan/api"
	"github.com/livil/gopan/internal/httpapi"
)

// documented are the routes of the OpenAPI document, "GET /api/v1/files/{id}", and whether each is public.
func documented(t *testing.T) map[string]bool {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			Security []any `json:"security"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(api.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, m := range methods {
			out[strings.ToUpper(method)+" "+path] = len(m.Security) == 0
		}
	}
	return out
}

// public are all routes that anybody may call, and what one gets who brings nothing of use; a new one is a decision to
// be made here, too.
var public = map[string]int{
	"GET /api/v1/auth/methods":                       http.StatusOK,
	"GET /api/v1/auth/providers/{provider}":          http.StatusNotFound, // none is set up
	"GET /api/v1/auth/providers/{provider}/callback": http.StatusBadRequest,
	"POST /api/v1/auth/link":                         http.StatusBadRequest,
	"POST /api/v1/auth/login":                        http.StatusBadRequest,
	"POST /api/v1/auth/passkey":                      http.StatusForbidden, // this drive's address is no HTTPS
	"POST /api/v1/auth/refresh":                      http.StatusBadRequest,
	"POST /api/v1/auth/register":                     http.StatusBadRequest,
	"POST /api/v1/auth/reset":                        http.StatusBadRequest,
	"POST /api/v1/auth/session":                      http.StatusUnauthorized,
	"POST /api/v1/auth/sms/code":                     http.StatusBadRequest,
	"POST /api/v1/auth/sms/login":                    http.StatusBadRequest,
}

func isPublic(route string) bool {
	_, ok := public[route]
	return ok
}

// G61: what the process serves is what the document says, and only the routes listed here are public.
func TestRoutesAreDocumented(t *testing.T) {
	d := newDrive(t)
	doc := documented(t)
	for route, open := range doc {
		if open != isPublic(route) {
			t.Errorf("%s: public: %v", route, open)
		}
	}
	served := map[string]bool{}
	for _, r := range d.routes {
		segments := strings.Split(r.Path, "/")
		for i, s := range segments {
			if name, ok := strings.CutPrefix(s, ":"); ok {
				segments[i] = "{" + name + "}"
			}
		}
		route := r.Method + " " + strings.Join(segments, "/")
		served[route] = true
		if open, ok := doc[route]; !ok || open != (r.Access == httpapi.Public) {
			t.Errorf("%s is served with access %d and documented %v, public %v", route, r.Access, ok, open)
		}
	}
	if len(served) != len(doc) || len(doc) < 20 {
		t.Errorf("%d routes served, %d documented", len(served), len(doc))
	}
}

// aim is a request but its method and its credential.
type aim struct{ target, body string }

// attempts are a request for every route, aimed at a file, a folder, a thing in the trash and an upload under way.
func attempts(file, trashed, upload string) map[string]aim {
	return map[string]aim{
		"GET /api/v1/content":             {"/api/v1/content?path=/vault/plan.txt", ""},
		"HEAD /api/v1/content":            {"/api/v1/content?path=/vault/plan.txt", ""},
		"GET /api/v1/content/{id}":        {"/api/v1/content/" + file, ""},
		"HEAD /api/v1/content/{id}":       {"/api/v1/content/" + file, ""},
		"GET /api/v1/archive":             {"/api/v1/archive?path=/vault", ""},
		"HEAD /api/v1/archive":            {"/api/v1/archive?ids=" + file, ""},
		"POST /api/v1/archive":            {"/api/v1/archive", `{"ids":["` + file + `"]}`},
		"GET /api/v1/stat":                {"/api/v1/stat?path=/vault/plan.txt", ""},
		"GET /api/v1/files":               {"/api/v1/files?path=/vault", ""},
		"GET /api/v1/files/{id}":          {"/api/v1/files/" + file, ""},
		"PATCH /api/v1/files/{id}":        {"/api/v1/files/" + file, `{"name":"taken.txt"}`},
		"DELETE /api/v1/files/{id}":       {"/api/v1/files/" + file, ""},
		"GET /api/v1/files/{id}/versions": {"/api/v1/files/" + file + "/versions", ""},
		"POST /api/v1/trash/{id}/restore": {"/api/v1/trash/" + trashed + "/restore", `{}`},
		"DELETE /api/v1/trash/{id}":       {"/api/v1/trash/" + trashed, ""},
		"POST /api/v1/folders":            {"/api/v1/folders", `{"path":"/vault/mine"}`},
		"PUT /api/v1/uploads/content":     {"/api/v1/uploads/content?path=/vault/mine.txt", "x"},
		"POST /api/v1/uploads":            {"/api/v1/uploads", `{"path":"/vault/mine.txt","size":1}`},

		"GET /api/v1/uploads/{id}":            {"/api/v1/uploads/" + upload, ""},
		"PUT /api/v1/uploads/{id}/blocks/{n}": {"/api/v1/uploads/" + upload + "/blocks/0", "x"},
		"POST /api/v1/uploads/{id}/proof":     {"/api/v1/uploads/" + upload + "/proof", `{"answers":[]}`},
		"POST /api/v1/uploads/{id}/complete":  {"/api/v1/uploads/" + upload + "/complete", ""},
		"DELETE /api/v1/uploads/{id}":         {"/api/v1/uploads/" + upload, ""},
		// Those that name nothing are about one's own things.
		"POST /api/v1/uploads/batch": {"/api/v1/uploads/batch", ""},

		"GET /api/v1/drive":    {"/api/v1/drive", ""},
		"GET /api/v1/trash":    {"/api/v1/trash", ""},
		"DELETE /api/v1/trash": {"/api/v1/trash", ""},
	}
}

// own are the routes of attempts that act on what is the caller's, whoever that is.
var own = []string{
	"GET /api/v1/drive", "GET /api/v1/trash", "DELETE /api/v1/trash", "POST /api/v1/uploads/batch",
}

// begin begins an upload of admin's.
func (d *drive) begin(t *testing.T) (id string) {
	t.Helper()
	var u struct{ ID string }
	d.ask(t, "POST", "/api/v1/uploads", `{"path":"/vault/coming.txt","size":1}`, bearer(d.admin)).into(t, &u)
	return u.ID
}

// S1, G53, G61: nobody but its owner gets at a file, by any route. Without a good credential every route but the
// public ones is 401; to a stranger another's things do not exist, and stay as they were.
func TestEveryRouteIsGuarded(t *testing.T) {
	d := newDrive(t)
	secret := d.put(t, "/vault/plan.txt", "c4nary content")
	doomed := d.put(t, "/vault/old.txt", "c4nary content")
	if r := d.ask(t, "DELETE", "/api/v1/files/"+doomed.ID, "", bearer(d.admin)); r.StatusCode != 204 {
		t.Fatal(r.StatusCode, r.body)
	}
	coming := d.begin(t)
	state := func() string {
		var all []string
		for _, target := range []string{"/api/v1/uploads/" + coming, "/api/v1/files?path=/vault", "/api/v1/files?path=/", "/api/v1/trash", "/api/v1/drive", "/api/v1/content/" + secret.ID} {
			all = append(all, d.ask(t, "GET", target, "", bearer(d.admin)).body)
		}
		return strings.Join(all, "\n")
	}
	before := state()
	aims := attempts(secret.ID, doomed.ID, coming)
	for route, a := range accountRoutes {
		aims[route] = aim{a.target, a.body}
	}
	for route := range documented(t) {
		if _, ok := aims[route]; !ok {
			t.Errorf("%s: this test does not try it", route)
		}
	}

	strangers := map[string][]string{
		"anonymous":             nil,
		"garbage":               {bearer("garbage")},
		"garbage cookie":        {"Cookie: gopan_session=garbage", "Sec-Fetch-Site: same-origin"},
		"a token that expired":  {bearer(d.sign(t, -time.Hour, d.key(t)))},
		"a token of a forger":   {bearer(d.sign(t, time.Hour, []byte(strings.Repeat("x", 32))))},
		"a token without a sum": {bearer(d.admin[:strings.LastIndex(d.admin, ".")+1])},
		"an id in a header":     {"X-User-Id: 1", "X-Forwarded-User: admin", "X-Original-URL: /api/v1/auth/login"},
		"an internal caller":    {"X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1"},
	}
	if r := d.ask(t, "GET", "/api/v1/me", "", bearer(d.sign(t, time.Minute, d.key(t)))); r.StatusCode != 200 {
		t.Fatalf("a token made here is not good: the expired one proves nothing (%d)", r.StatusCode)
	}
	for route, a := range aims {
		method, _, _ := strings.Cut(route, " ")
		for who, headers := range strangers {
			want := http.StatusUnauthorized
			if status, ok := public[route]; ok {
				want = status
			}
			r := d.ask(t, method, a.target, a.body, headers...)
			if r.StatusCode != want || strings.Contains(r.body, "c4nary") {
				t.Errorf("%s as %s: %d %s", route, who, r.StatusCode, r.body)
			}
			// Nor with the credential where it does not belong.
			sep := "?"
			if strings.Contains(a.target, "?") {
				sep = "&"
			}
			if r := d.ask(t, method, a.target+sep+"access_token="+d.admin+"&token="+d.admin, a.body, headers...); r.StatusCode != want {
				t.Errorf("%s as %s, with a token in the URL: %d", route, who, r.StatusCode)
			}
		}
		if _, ok := accountRoutes[route]; ok {
			continue // TestAccountRoutes
		}
		r := d.ask(t, method, a.target, a.body, bearer(d.mallory))
		if slices.Contains(own, route) {
			if r.StatusCode >= 300 || strings.Contains(r.body, secret.ID) && route != "GET /api/v1/drive" || strings.Contains(r.body, "plan.txt") ||
				strings.Contains(r.body, doomed.ID) && route != "GET /api/v1/drive" || strings.Contains(r.body, "old.txt") {
				t.Errorf("%s as mallory: %d %s", route, r.StatusCode, r.body)
			}
			continue
		}
		if r.StatusCode != http.StatusNotFound || strings.Contains(r.body, "c4nary") || strings.Contains(r.body, "plan") {
			t.Errorf("%s as mallory: %d %s", route, r.StatusCode, r.body)
		}
	}
	if after := state(); after != before {
		t.Errorf("something changed:\n%s\nbefore:\n%s", after, before)
	}
}

// S18: an upload's token outlives the access token that it came by, but not the sign-in.
func TestSignOutEndsUploadTokens(t *testing.T) {
	d := newDrive(t)
	var u struct{ ID, Token string }
	d.ask(t, "POST", "/api/v1/uploads", `{"path":"/f","size":1}`, bearer(d.admin)).into(t, &u)
	path, token := "/api/v1/uploads/"+u.ID, "Upload-Token: "+u.Token
	if r := d.ask(t, "PUT", path+"/blocks/0", "x", token); r.StatusCode != 204 {
		t.Fatal(r.StatusCode, r.body)
	}
	if r := d.ask(t, "POST", "/api/v1/auth/logout", "", bearer(d.admin)); r.StatusCode != 204 {
		t.Fatal(r.StatusCode, r.body)
	}
	ended := time.Now()
	for d.ask(t, "GET", path, "", token).StatusCode != 404 {
		if time.Since(ended) > time.Second {
			t.Fatal("the token still works a second after the sign-out")
		}
	}
	if r := d.ask(t, "POST", path+"/complete", "", token); r.StatusCode != 404 {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
	if r := d.ask(t, "POST", path+"/complete", "", bearer(d.signIn(t, "admin"))); r.StatusCode != 201 {
		t.Errorf("the owner, signed in again: %d %s", r.StatusCode, r.body)
	}
}

// S2: "not yours" and "does not exist" are the same answer, to the byte and the header.
func TestNotYoursLooksLikeNothing(t *testing.T) {
	d := newDrive(t)
	secret := d.put(t, "/vault/plan.txt", "c4nary content")
	doomed := d.put(t, "/vault/old.txt", "c4nary content")
	d.ask(t, "DELETE", "/api/v1/files/"+doomed.ID, "", bearer(d.admin))
	nothing := attempts("999999999", "999999999", strings.Repeat("A", 26))
	for route, a := range attempts(secret.ID, doomed.ID, d.begin(t)) {
		if !strings.Contains(route, "{id}") {
			continue
		}
		method, _, _ := strings.Cut(route, " ")
		for _, extra := range [][]string{nil, {"If-Match: " + secret.ETag}, {"If-Match: \"wrong\""}, {"Range: bytes=0-3"}, {"If-None-Match: " + secret.ETag}} {
			headers := append([]string{bearer(d.mallory)}, extra...)
			theirs, none := d.ask(t, method, a.target, a.body, headers...), d.ask(t, method, nothing[route].target, a.body, headers...)
			if x, y := seen(theirs), seen(none); x != y || theirs.StatusCode != 404 {
				t.Errorf("%s %v:\n%s\n%s", route, extra, x, y)
			}
		}
	}
	// A node of one's own cannot be moved to where one may not look, nor is it told whether that is there.
	var mine node
	d.ask(t, "PUT", "/api/v1/uploads/content?path=/mine.txt", "x", bearer(d.mallory)).into(t, &mine)
	var vault node
	d.ask(t, "GET", "/api/v1/stat?path=/vault", "", bearer(d.admin)).into(t, &vault)
	theirs := d.ask(t, "PATCH", "/api/v1/files/"+mine.ID, `{"parentId":"`+vault.ID+`"}`, bearer(d.mallory))
	none := d.ask(t, "PATCH", "/api/v1/files/"+mine.ID, `{"parentId":"999999999"}`, bearer(d.mallory))
	if x, y := seen(theirs), seen(none); x != y || theirs.StatusCode != 404 {
		t.Errorf("move:\n%s\n%s", x, y)
	}
}

// seen is all that a caller sees of an answer but its id and its time.
func seen(r reply) string {
	h := r.Header.Clone()
	id := h.Get("X-Request-Id")
	for _, name := range []string{"X-Request-Id", "Date", "Traceparent"} {
		h.Del(name)
	}
	var b strings.Builder
	_ = h.Write(&b) // a Builder does not fail
	return r.Status + "\n" + b.String() + strings.ReplaceAll(r.body, id, "ID")
}

func (d *drive) key(t *testing.T) []byte {
	t.Helper()
	key, err := d.folder.tokenKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes a token like admin's that ends after life.
func (d *drive) sign(t *testing.T, life time.Duration, key []byte) string {
	t.Helper()
	c := jwt.MapClaims{}
	old, _, err := jwt.NewParser(jwt.WithJSONNumber()).ParseUnverified(d.admin, c)
	if err != nil {
		t.Fatal(err)
	}
	c["exp"] = time.Now().Add(life).Unix()
	tok := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	tok.Header["typ"] = old.Header["typ"]
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
