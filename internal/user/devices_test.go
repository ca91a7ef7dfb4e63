package user

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/userpb"
	"github.com/livil/gopan/internal/rpc"
)

// browse signs an account in as a browser does, and gives its cookie as a header.
func browse(t *testing.T, site, login, agent string) string {
	t.Helper()
	resp, text := call(t, "POST", site+"/auth/session", body("login", login, "password", password), "User-Agent: "+agent)
	if resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, text)
	}
	c := sessionCookie(t, resp)
	return "Cookie: " + c.Name + "=" + c.Value
}

// ownPage is what a browser sends along with a request that a page of ours makes.
const ownPage = "Sec-Fetch-Site: same-origin"

// A person sees where the account is signed in, names a device, ends one and then all others.
func TestDevices(t *testing.T) {
	f := newFixture(t)
	site := f.serve(t, false) + "/api/v1"
	phone := browse(t, site, "ann", "Phone\u202e 1.0")
	f.forward(time.Minute)
	desk := browse(t, site, "ann", "Desk 2.0")
	f.forward(time.Minute)
	program := f.as(t, ann)
	list := func(header string) []Session { return get[SessionList](t, site+"/me/sessions", header).Items }
	get[Account](t, site+"/me", program)
	got := list(desk)
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	byAgent := make(map[string]Session)
	for _, s := range got {
		byAgent[s.Agent] = s
	}
	p, d := byAgent["Phone\uFFFD 1.0"], byAgent["Desk 2.0"]
	if p.Kind != "browser" || p.Current || p.Address != "127.0.0.1" || p.Name != "" || !d.Current || d.Kind != "browser" || byAgent[""].Kind != "program" {
		t.Errorf("%+v", got)
	}
	// The one used last comes first, one that was just begun too.
	f.forward(time.Minute)
	list(phone)
	f.forward(time.Minute)
	f.as(t, ann)
	if got = list(phone); got[0].Current || got[0].Kind != "program" || !got[1].Current {
		t.Errorf("order %+v", got)
	}
	for i := range got[1:] {
		if got[i].SeenAt < got[i+1].SeenAt {
			t.Errorf("order %+v", got)
		}
	}

	fetch(t, 204, "", "PATCH", site+"/me/sessions/"+p.ID, body("name", "My phone"), desk, ownPage)
	stranger := f.as(t, admin)
	for _, id := range []string{p.ID, "4711", "0", "x", "99999999999999999999"} {
		fetch(t, 404, "not_found", "PATCH", site+"/me/sessions/"+id, body("name", "x"), stranger)
		fetch(t, 404, "not_found", "DELETE", site+"/me/sessions/"+id, "", stranger)
	}
	for _, s := range list(stranger) {
		if s.ID == p.ID {
			t.Error("another's session is listed")
		}
	}
	for _, s := range list(phone) {
		if (s.ID == p.ID) != s.Current || s.ID == p.ID && s.Name != "My phone" {
			t.Errorf("%+v", s)
		}
	}
	fetch(t, 204, "", "DELETE", site+"/me/sessions/"+p.ID, "", desk, ownPage)
	fetch(t, 401, "", "GET", site+"/me", "", phone)
	fetch(t, 404, "not_found", "DELETE", site+"/me/sessions/"+p.ID, "", desk, ownPage)
	fetch(t, 404, "not_found", "PATCH", site+"/me/sessions/"+p.ID, body("name", "x"), desk, ownPage)
	fetch(t, 204, "", "DELETE", site+"/me/sessions", "", desk, ownPage)
	if got := list(desk); len(got) != 1 || !got[0].Current {
		t.Errorf("%+v", got)
	}
	fetch(t, 401, "", "GET", site+"/me", "", program)
	list(stranger)
	// An expired one is no device any more.
	f.forward(f.sessionLife())
	if rows, err := f.sessions(t.Context(), ann); err != nil || len(rows) != 0 {
		t.Errorf("%+v, %v", rows, err)
	}
}

// serveKeeping answers over HTTP as a process of its own, which keeps what it knows of a credential for as long as
// programs do.
func (f fixture) serveKeeping(t *testing.T) string {
	t.Helper()
	s := f.another(t)
	local := rpc.Local([]rpc.Service{{Desc: &userpb.User_ServiceDesc, Impl: RPC{Service: s}}})
	h, err := (&httpapi.Server{Routes: Routes(HTTP{Service: s}), Check: (&auth.Checker{User: userpb.NewUserClient(local)}).Check}).Handler()
	if err != nil {
		t.Fatal(err)
	}
	ts := httptest.NewServer(h)
	t.Cleanup(ts.Close)
	return ts.URL + "/api/v1"
}

// S18, B036: what ends a sign-in ends it in a process that has just seen it, within a second.
func TestEndsEverywhereWithinASecond(t *testing.T) {
	for name, c := range map[string]struct {
		// end is done in one process, by ann with me or by the administrator with boss.
		end func(t *testing.T, f fixture, site, me, boss string)
		// keysToo: app passwords end with it.
		keysToo bool
	}{
		"logout": {end: func(t *testing.T, f fixture, _, _, _ string) {
			ses, err := f.sessions(t.Context(), ann)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range ses {
				if err := f.end(t.Context(), ann, s.ID); err != nil {
					t.Fatal(err)
				}
			}
		}},
		"ended from another device": {end: func(t *testing.T, _ fixture, site, me, _ string) {
			for _, s := range get[SessionList](t, site+"/me/sessions", me).Items {
				if !s.Current {
					fetch(t, 204, "", "DELETE", site+"/me/sessions/"+s.ID, "", me)
				}
			}
		}},
		"all others ended": {end: func(t *testing.T, _ fixture, site, me, _ string) {
			fetch(t, 204, "", "DELETE", site+"/me/sessions", "", me)
		}},
		"a new password": {end: func(t *testing.T, _ fixture, site, me, _ string) {
			fetch(t, 204, "", "PUT", site+"/me/password", body("currentPassword", password, "password", "staple battery"), me)
		}},
		"a password by a link": {end: func(t *testing.T, f fixture, site, _, boss string) {
			token := tokenOf(t, post[OneTimeLink](t, "POST", site+"/admin/users/1001/reset", "", boss).Link)
			fetch(t, 204, "", "POST", site+"/auth/reset", body("token", token, "password", "staple battery"))
		}},
		"disabled": {keysToo: true, end: func(t *testing.T, _ fixture, site, _, boss string) {
			fetch(t, 200, "", "PATCH", site+"/admin/users/1001", body("state", "disabled"), boss)
		}},
		"deleted by an administrator": {keysToo: true, end: func(t *testing.T, _ fixture, site, _, boss string) {
			fetch(t, 200, "", "PATCH", site+"/admin/users/1001", body("state", "deleted"), boss)
		}},
		"deleted by its owner": {keysToo: true, end: func(t *testing.T, _ fixture, site, me, _ string) {
			fetch(t, 204, "", "POST", site+"/me/delete", sureBody, me)
		}},
		"all ended by an administrator": {keysToo: true, end: func(t *testing.T, _ fixture, site, _, boss string) {
			fetch(t, 204, "", "DELETE", site+"/admin/users/1001/sessions", "", boss)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			here, there := f.serveKeeping(t), f.serveKeeping(t)
			token, cookie := f.as(t, ann), "Cookie: "+auth.CookieName+"="+f.cookie(t)
			_, key := f.key(t, accessKey{UserID: ann, Kind: "app"}, 0)
			app := basic("ann", key)
			for _, header := range []string{token, cookie, app} {
				fetch(t, 200, "", "GET", there+"/auth/whoami", "", header)
			}
			c.end(t, f, here, f.as(t, ann), f.as(t, admin))
			ended := time.Now()
			dead := []string{token, cookie}
			if c.keysToo {
				dead = append(dead, app)
			}
			for _, header := range dead {
				for {
					resp, _ := call(t, "GET", there+"/auth/whoami", "", header)
					if resp.StatusCode == 401 {
						break
					}
					if time.Since(ended) > 5*time.Second {
						t.Fatalf("%.24s… still answers %d after %v", header, resp.StatusCode, time.Since(ended))
					}
				}
			}
			// The promise is one second; asking takes its time, too.
			if took := time.Since(ended); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			if !c.keysToo {
				fetch(t, 200, "", "GET", there+"/auth/whoami", "", app)
			}
			fetch(t, 401, "", "GET", here+"/auth/whoami", "", token)
		})
	}
}

// S18: a key that is revoked and a role that is taken away are gone in another process within the same time.
func TestRevokedEverywhere(t *testing.T) {
	f := newFixture(t)
	f.exec(t, "UPDATE users SET role = 'admin' WHERE id = 1001")
	here, there := f.serveKeeping(t), f.serveKeeping(t)
	k, secret := f.key(t, accessKey{UserID: ann, Kind: "token"}, 0)
	me := f.as(t, ann)
	fetch(t, 200, "", "GET", there+"/auth/whoami", "", bearer(secret))
	fetch(t, 200, "", "GET", there+"/admin/users", "", me)
	fetch(t, 204, "", "DELETE", here+"/me/keys/"+decimal(k.ID), "", me)
	fetch(t, 200, "", "PATCH", here+"/admin/users/1001", body("role", "user"), f.as(t, admin))
	ended := time.Now()
	for _, c := range []struct {
		path, header string
		want         int
	}{{"/auth/whoami", bearer(secret), 401}, {"/admin/users", me, 403}} {
		for {
			resp, _ := call(t, "GET", there+c.path, "", c.header)
			if resp.StatusCode == c.want {
				break
			}
			if time.Since(ended) > 2*time.Second {
				t.Fatalf("%s still answers %d", c.path, resp.StatusCode)
			}
		}
	}
}
