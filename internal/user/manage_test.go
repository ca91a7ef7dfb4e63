package user

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/userpb"
)

// There is always an administrator who can sign in, whoever takes the role away and how.
func TestTheLastAdminStays(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	boss := f.as(t, admin)
	for _, request := range []string{`{"role":"user"}`, `{"state":"disabled"}`, `{"state":"deleted"}`, `{"role":"user","state":"disabled","name":"x"}`} {
		fetch(t, 409, "last_admin", "PATCH", site+"/admin/users/1000", request, boss)
		if u := get[ManagedUser](t, site+"/admin/users/1000", boss); u.Role != "admin" || u.State != "active" || u.Name != "" {
			t.Errorf("after %s: %+v", request, u)
		}
	}
	// Administrators who cannot sign in do not count.
	f.exec(t, "INSERT INTO users (id, login, password_hash, role, created_at, disabled_at) VALUES (1002, 'off', '', 'admin', 1, 1)")
	f.exec(t, "INSERT INTO users (id, login, password_hash, role, created_at, disabled_at, erase_at) VALUES (1003, 'gone', '', 'admin', 1, 1, 1)")
	fetch(t, 409, "last_admin", "PATCH", site+"/admin/users/1000", `{"role":"user"}`, boss)
	fetch(t, 200, "", "PATCH", site+"/admin/users/1001", `{"role":"admin"}`, boss)
	fetch(t, 200, "", "PATCH", site+"/admin/users/1000", `{"role":"user"}`, boss)
	fetch(t, 403, "denied", "GET", site+"/admin/users", "", boss)
	fetch(t, 409, "last_admin", "POST", site+"/me/delete", sureBody, f.as(t, ann))
}

// The same when the last two are taken away at the same moment, by two processes.
func TestTheLastAdminStaysInParallel(t *testing.T) {
	f := newFixture(t)
	for round := range 8 {
		f.exec(t, "UPDATE users SET role = 'admin', disabled_at = 0, erase_at = 0")
		n := f.together(t, 4, func(s *Service, i int) error {
			c := []change{{role: roleUser}, {state: disabled}, {state: deleted}, {role: roleUser}}[(round+i)%4]
			return s.manage(t.Context(), int64(admin+i%2), c)
		}, func(err error) bool { return errs.CodeOf(err) == "last_admin" })
		if left := f.number(t, "SELECT count(*) FROM users WHERE role = 'admin' AND disabled_at = 0"); left != 1 || n < 1 {
			t.Fatalf("round %d: %d administrators are left, %d changes were made", round, left, n)
		}
	}
}

// An administrator makes an account, with a password or with a link by which the person sets one.
func TestCreateUser(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	boss := f.as(t, admin)
	made := post[CreatedUser](t, "POST", site+"/admin/users", body("login", "Bob", "name", "Bob B.", "password", newPassword, "phone", "138 0013 8000"), boss)
	if u := made.User; u.Login != "bob" || u.Name != "Bob B." || u.Role != "user" || u.Phone != "+8613800138000" || !u.HasPassword || u.State != "active" || made.Link != "" {
		t.Errorf("%+v", made)
	}
	fetch(t, 200, "", "POST", site+"/auth/login", body("login", "bob", "password", newPassword))
	made = post[CreatedUser](t, "POST", site+"/admin/users", body("login", "carl", "role", "admin"), boss)
	if made.User.Role != "admin" || made.User.HasPassword || made.LinkExpiresAt == "" {
		t.Errorf("%+v", made)
	}
	fetch(t, 401, "bad_credentials", "POST", site+"/auth/login", body("login", "carl", "password", newPassword))
	fetch(t, 204, "", "POST", site+"/auth/reset", body("token", tokenOf(t, made.Link), "password", newPassword))
	fetch(t, 200, "", "POST", site+"/auth/login", body("login", "carl", "password", newPassword))
	for _, c := range []struct {
		status      int
		code, field string
		request     string
	}{
		{409, "login_taken", "login", body("login", "ＢＯＢ")},
		{409, "phone_taken", "phone", body("login", "dora", "phone", "+86 138-0013-8000")},
		{400, "common_password", "password", body("login", "dora", "password", "password")},
		{400, "bad_phone", "phone", body("login", "dora", "phone", "110110")},
		{400, "bad_field", "role", body("login", "dora", "role", "root")},
		{400, "bad_field", "login", body("name", "dora")},
	} {
		if text := fetch(t, c.status, c.code, "POST", site+"/admin/users", c.request, boss); !strings.Contains(text, `"field":"`+c.field+`"`) {
			t.Errorf("%s: %s", c.request, text)
		}
	}
	if n := f.number(t, "SELECT count(*) FROM users"); n != 4 {
		t.Errorf("%d accounts", n)
	}
	if n := f.together(t, 10, func(s *Service, _ int) error {
		_, _, _, err := s.createManaged(t.Context(), newAccount{Login: "same", Role: roleUser}, "")
		return err
	}, func(err error) bool { return errs.CodeOf(err) == "login_taken" }); n != 1 {
		t.Errorf("%d accounts of one login", n)
	}
}

// What an administrator changes holds at once; what a request does not mention stays.
func TestManageUser(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	boss, me := f.as(t, admin), f.as(t, ann)
	patch := func(request string) ManagedUser {
		return post[ManagedUser](t, "PATCH", site+"/admin/users/1001", request, boss)
	}
	if u := patch(`{"name":"Ann E."}`); u.Name != "Ann E." || u.Role != "user" || u.State != "active" {
		t.Errorf("%+v", u)
	}
	if u := patch(`{"role":"admin"}`); u.Name != "Ann E." || u.Role != "admin" {
		t.Errorf("%+v", u)
	}
	fetch(t, 200, "", "GET", site+"/admin/users", "", me)
	if u := patch(`{"role":"user","name":""}`); u.Name != "" || u.Role != "user" {
		t.Errorf("%+v", u)
	}
	fetch(t, 403, "denied", "GET", site+"/admin/users", "", me)
	if u := patch(`{}`); u.Role != "user" || u.State != "active" {
		t.Errorf("%+v", u)
	}
	if u := patch(`{"state":"disabled"}`); u.State != "disabled" {
		t.Errorf("%+v", u)
	}
	fetch(t, 401, "", "GET", site+"/me", "", me)
	fetch(t, 401, "bad_credentials", "POST", site+"/auth/login", body("login", "ann", "password", password))
	patch(`{"state":"active"}`)
	fetch(t, 401, "", "GET", site+"/me", "", me) // the session was ended, not interrupted
	fetch(t, 200, "", "POST", site+"/auth/login", body("login", "ann", "password", password))

	first := patch(`{"state":"deleted"}`)
	f.forward(day)
	boss = f.as(t, admin)
	if again := patch(`{"state":"deleted"}`); again.EraseAt != first.EraseAt || again.State != "deleted" {
		t.Errorf("deleted again: %+v, before %+v", again, first)
	}
	if u := patch(`{"state":"disabled"}`); u.State != "disabled" || u.EraseAt != "" {
		t.Errorf("%+v", u)
	}
	for _, request := range []string{`{"role":"root"}`, `{"state":"erased"}`, `{"state":1}`, `{"name":"\u202ex"}`, `{"password":"x"}`, `{"id":"1000"}`} {
		fetch(t, 400, "", "PATCH", site+"/admin/users/1001", request, boss)
	}
	for _, id := range []string{"4711", "0", "-1", "x", "1001%20", "99999999999999999999"} {
		fetch(t, 404, "not_found", "PATCH", site+"/admin/users/"+id, `{"role":"admin"}`, boss)
		fetch(t, 404, "not_found", "GET", site+"/admin/users/"+id, "", boss)
		fetch(t, 404, "not_found", "GET", site+"/admin/users/"+id+"/export", "", boss)
		fetch(t, 404, "not_found", "DELETE", site+"/admin/users/"+id+"/sessions", "", boss)
	}
}

// Accounts are found by the beginning of a login, a name or a phone, in which nothing is a pattern (B166), and by state.
func TestListUsers(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	boss := f.as(t, admin)
	f.exec(t, `INSERT INTO users (id, login, name, phone, password_hash, role, created_at, disabled_at, erase_at) VALUES
		(2001, 'a_b', 'Émile Zola', '+8613800138001', '', 'user', 1, 0, 0), (2002, 'axb', '100%', NULL, '', 'user', 1, 5, 0),
		(2003, 'zoë', 'émile', NULL, '', 'user', 1, 5, 9), (2004, 'b!c', '', NULL, '', 'user', 1, 0, 0)`)
	list := func(query string) (out []string) {
		for _, u := range get[UserPage](t, site+"/admin/users?"+query, boss).Items {
			out = append(out, u.Login)
		}
		return out
	}
	for query, want := range map[string][]string{
		"":                                      {"a_b", "admin", "ann", "axb", "b!c", "zoë"},
		"query=a_":                              {"a_b"},
		"query=A":                               {"a_b", "admin", "ann", "axb"},
		"query=%25":                             nil,
		"query=100%25":                          {"axb"},
		"query=b!":                              {"b!c"},
		"query=" + url.QueryEscape("Émile"):     {"a_b"},
		"query=" + url.QueryEscape("émile"):     {"zoë"},
		"query=" + url.QueryEscape("+86138001"): {"a_b"},
		"query=ola":                             nil,
		"query='%20OR%201=1":                    nil,
		"query=%5C":                             nil,
		"query=" + strings.Repeat("a", 10_000):  nil,
		"state=active":                          {"a_b", "admin", "ann", "b!c"},
		"state=disabled":                        {"axb"},
		"state=deleted":                         {"zoë"},
		"state=deleted&query=a":                 nil,
	} {
		got := list(query)
		if query == "query="+url.QueryEscape("émile") || query == "query="+url.QueryEscape("Émile") {
			// Databases differ in whether É is é; each finds what was written exactly so.
			if !slices.Contains(got, want[0]) {
				t.Errorf("%s: %v", query, got)
			}
			continue
		}
		if !slices.Equal(got, want) {
			t.Errorf("%.40s: %v, want %v", query, got, want)
		}
	}
	for _, query := range []string{"query=%FF", "cursor=!", "cursor=%FF", "limit=0", "limit=1001", "limit=x", "state=gone", "cursor=_w"} {
		fetch(t, 400, "", "GET", site+"/admin/users?"+query, "", boss)
	}
	// Once more, page by page, while others come and go: who was there throughout is there once (C10).
	var seen []string
	cursor := ""
	for page := 0; ; page++ {
		got := get[UserPage](t, site+"/admin/users?limit=2&cursor="+cursor, boss)
		for _, u := range got.Items {
			seen = append(seen, u.Login)
		}
		if cursor = got.NextCursor; cursor == "" {
			break
		}
		f.exec(t, fmt.Sprintf("INSERT INTO users (id, login, password_hash, role, created_at) VALUES (%d, 'a%d', '', 'user', 1)", 3000+page, page))
	}
	for _, login := range []string{"a_b", "admin", "ann", "axb", "b!c", "zoë"} {
		if n := len(slices.DeleteFunc(slices.Clone(seen), func(s string) bool { return s != login })); n != 1 {
			t.Errorf("%s is there %d times: %v", login, n, seen)
		}
	}
}

// What an administrator sees of an account: when it was last seen, and its groups.
func TestManagedUser(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	boss := f.as(t, admin)
	if u := get[ManagedUser](t, site+"/admin/users/1001", boss); u.SeenAt != "" || len(u.GroupNames) != 0 || u.CreatedAt == "" {
		t.Errorf("%+v", u)
	}
	me := f.as(t, ann)
	begun := millis(f.clock.Now().UnixMilli())
	if u := get[ManagedUser](t, site+"/admin/users/1001", boss); u.SeenAt != begun {
		t.Errorf("%+v", u)
	}
	f.forward(5 * time.Minute)
	get[Account](t, site+"/me", me)
	if u := get[ManagedUser](t, site+"/admin/users/1001", boss); u.SeenAt != millis(f.clock.Now().UnixMilli()) {
		t.Errorf("%+v, seen first at %s", u, begun)
	}
}

// Groups have a name of their own each; people are put in and taken out.
func TestGroups(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	boss := f.as(t, admin)
	staff := post[Group](t, "POST", site+"/admin/groups", body("name", "Staff"), boss)
	others := post[Group](t, "POST", site+"/admin/groups", body("name", "员工"), boss)
	for _, c := range [][3]string{{"POST", "/admin/groups", "Staff"}, {"PATCH", "/admin/groups/" + others.ID, "Staff"}} {
		if text := fetch(t, 409, "group_exists", c[0], site+c[1], body("name", c[2]), boss); !strings.Contains(text, `"field":"name"`) {
			t.Errorf("%v: %s", c, text)
		}
	}
	for range 2 {
		fetch(t, 204, "", "PUT", site+"/admin/groups/"+staff.ID+"/members/1001", "", boss)
	}
	fetch(t, 204, "", "PUT", site+"/admin/groups/"+staff.ID+"/members/1000", "", boss)
	fetch(t, 204, "", "PUT", site+"/admin/groups/"+others.ID+"/members/1001", "", boss)
	list := get[GroupList](t, site+"/admin/groups", boss).Items
	if len(list) != 2 || len(list[0].Members) != 2 || list[0].Members[0].Login != "admin" || len(list[1].Members) != 1 {
		t.Errorf("%+v", list)
	}
	if u := get[ManagedUser](t, site+"/admin/users/1001", boss); !slices.Equal(u.GroupNames, []string{"Staff", "员工"}) {
		t.Errorf("%+v", u)
	}
	for _, path := range []string{"/admin/groups/" + staff.ID + "/members/4711", "/admin/groups/4711/members/1001", "/admin/groups/x/members/1001", "/admin/groups/" + staff.ID + "/members/x"} {
		fetch(t, 404, "not_found", "PUT", site+path, "", boss)
		fetch(t, 404, "not_found", "DELETE", site+path, "", boss)
	}
	fetch(t, 204, "", "DELETE", site+"/admin/groups/"+staff.ID+"/members/1000", "", boss)
	fetch(t, 404, "not_found", "DELETE", site+"/admin/groups/"+staff.ID+"/members/1000", "", boss)
	fetch(t, 204, "", "PATCH", site+"/admin/groups/"+staff.ID, body("name", "Old staff"), boss)
	fetch(t, 404, "not_found", "PATCH", site+"/admin/groups/4711", body("name", "x"), boss)
	fetch(t, 204, "", "DELETE", site+"/admin/groups/"+staff.ID, "", boss)
	fetch(t, 404, "not_found", "DELETE", site+"/admin/groups/"+staff.ID, "", boss)
	if list := get[GroupList](t, site+"/admin/groups", boss).Items; len(list) != 1 || list[0].ID != others.ID {
		t.Errorf("%+v", list)
	}
	// Many at once: one group of a name, and a person in it once.
	if n := f.together(t, 8, func(s *Service, _ int) error {
		_, err := s.createGroup(t.Context(), "Same")
		return err
	}, func(err error) bool { return errs.CodeOf(err) == "group_exists" }); n != 1 {
		t.Errorf("%d groups of one name", n)
	}
	id, err := number(others.ID)
	if err != nil {
		t.Fatal(err)
	}
	f.together(t, 8, func(s *Service, _ int) error { return s.addMember(t.Context(), id, admin) }, func(error) bool { return false })
	if n := f.number(t, "SELECT count(*) FROM user_group_members WHERE group_id = ? AND user_id = 1000", id); n != 1 {
		t.Errorf("in it %d times", n)
	}
}

// An account whose grace period is over is erased: of it only its id stays, in the audit log. Before that it is not, and
// not when it was brought back.
func TestErase(t *testing.T) {
	f := newPasskeyFixture(t)
	ctx := t.Context()
	f.withPasskey(t, ann)
	f.withApp(t)
	f.signedIn(t)
	f.cookie(t)
	_, key := f.key(t, accessKey{UserID: ann, Kind: "app"}, 0)
	g, err := f.createGroup(ctx, "Staff")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.addMember(ctx, g.ID, ann); err != nil {
		t.Fatal(err)
	}
	f.exec(t, "INSERT INTO identities (provider, subject, user_id, login, linked_at) VALUES ('github', '7', 1001, 'ann-hub', 1)")
	name := "Ann Example"
	if err := f.manage(ctx, ann, change{name: &name, state: deleted}); err != nil {
		t.Fatal(err)
	}
	ids := func() []int64 {
		got, err := f.Departed(ctx, &userpb.DepartedRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return got.GetUserIds()
	}
	erase := func(id int64) error {
		_, err := f.Erased(ctx, &userpb.ErasedRequest{UserId: id})
		return err
	}
	f.forward(f.eraseAfter() - time.Second)
	if got := ids(); len(got) != 0 {
		t.Errorf("before its time: %v", got)
	}
	for _, id := range []int64{ann, admin} {
		if err := erase(id); !errs.Is(errs.Conflict, err) {
			t.Errorf("%d, before its time: %v", id, err)
		}
	}
	if err := f.manage(ctx, ann, change{state: active}); err != nil {
		t.Fatal(err)
	}
	f.forward(time.Second)
	if got := ids(); len(got) != 0 {
		t.Errorf("brought back: %v", got)
	}
	if err := erase(ann); !errs.Is(errs.Conflict, err) {
		t.Errorf("brought back: %v", err)
	}
	if _, err := f.byKey(t, key, "ann"); err != nil {
		t.Errorf("brought back: %v", err)
	}

	if err := f.manage(ctx, ann, change{state: deleted}); err != nil {
		t.Fatal(err)
	}
	f.forward(f.eraseAfter())
	if got := ids(); !slices.Equal(got, []int64{ann}) {
		t.Errorf("departed: %v", got)
	}
	// Too late: what it had may be gone in part.
	if err := f.manage(ctx, ann, change{state: active}); !errs.Is(errs.NotFound, err) {
		t.Errorf("brought back after its time: %v", err)
	}
	events := f.number(t, "SELECT count(*) FROM audit")
	if n := f.together(t, 4, func(s *Service, _ int) error {
		_, err := s.Erased(ctx, &userpb.ErasedRequest{UserId: ann})
		return err
	}, func(err error) bool { return errs.Is(errs.Conflict, err) }); n < 1 {
		t.Error("it was not erased")
	}
	if err := erase(ann); err != nil {
		t.Errorf("again: %v", err)
	}
	if got := ids(); len(got) != 0 {
		t.Errorf("departed: %v", got)
	}
	for _, table := range append([]string{"sessions", "one_time_links"}, ownedTables...) {
		if n := f.number(t, "SELECT count(*) FROM "+table+" WHERE user_id = 1001"); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
	if n := f.number(t, "SELECT (SELECT count(*) FROM users WHERE id = 1001) + (SELECT count(*) FROM refresh_tokens)"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	if n := f.number(t, "SELECT count(*) FROM audit"); n <= events {
		t.Errorf("%d events, before %d", n, events)
	}
	if n := f.number(t, "SELECT count(*) FROM audit WHERE detail LIKE '%ann%' OR detail LIKE '%Example%' OR object LIKE '%ann%'"); n != 0 {
		t.Errorf("%d events tell who it was", n)
	}
	// The login is free, and whoever takes it is somebody else.
	a, err := f.create(ctx, newAccount{Login: "ann", Role: roleUser}, "test")
	if err != nil || a.ID == ann {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := f.byKey(t, key, "ann"); !errs.Is(errs.Unauthenticated, err) {
		t.Errorf("the key of before: %v", err)
	}
}

// Accounts are erased some at a time.
func TestDepartedInParts(t *testing.T) {
	f := newFixture(t)
	if err := f.DB.Write(t.Context(), func(tx *gorm.DB) error {
		for i := range departed + 5 {
			if err := tx.Create(&account{ID: int64(5000 + i), Login: fmt.Sprint("gone", i), Role: roleUser, DisabledAt: 1, EraseAt: int64(1 + i)}).Error; err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	got, err := f.Departed(t.Context(), &userpb.DepartedRequest{})
	if err != nil || len(got.GetUserIds()) != departed || got.GetUserIds()[0] != 5000 {
		t.Errorf("%v, %v", got, err)
	}
}
