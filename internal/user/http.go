package user

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/userpb"
)

// HTTP answers api/user.api.
type HTTP struct {
	*Service
	// SecureCookies marks cookies for HTTPS only. They are in any case when the request came by HTTPS.
	SecureCookies bool
}

var _ API = HTTP{}

// RPC answers api/user.proto.
type RPC struct {
	*Service
	later
}

// later answers methods that a newer caller may know; embedded one level down, it gives way to Service.
type later struct{ userpb.UnimplementedUserServer }

var _ userpb.UserServer = RPC{}

func userOf(a account) *User {
	return &User{ID: decimal(a.ID), Login: a.Login, Name: a.Name, Role: a.Role}
}

// decimal is an id in the API.
func decimal(id int64) string { return strconv.FormatInt(id, 10) }

// number reads an id; text that is none is nobody's.
func number(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, errs.E(errs.NotFound, "user.number")
	}
	return id, nil
}

// millis is a time in the API, RFC 3339 in UTC; "" for 0.
func millis(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339)
}

// deviceCookie has a browser's failures to sign in counted apart from strangers'; it opens nothing.
const deviceCookie = "gopan_device"

// cookie is one of ours. No script can read it.
type cookie struct {
	name, path, value string
	// life is how long the browser keeps it; 0 takes it away.
	life time.Duration
	// fromElsewhere: it comes back also when a page of another site leads here.
	fromElsewhere bool
}

func (h HTTP) setCookie(w http.ResponseWriter, r *http.Request, c cookie) {
	site, age := http.SameSiteStrictMode, int(c.life.Seconds())
	if c.fromElsewhere {
		site = http.SameSiteLaxMode
	}
	if age == 0 {
		age = -1
	}
	secure := h.SecureCookies || r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://") ||
		strings.HasPrefix(httpapi.ClientOf(r.Context()).Origin, "https://")
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the drive is reached by HTTPS, and Strict but for fromElsewhere
		Name: c.name, Path: c.path, Value: c.value, MaxAge: age, SameSite: site, HttpOnly: true, Secure: secure,
	})
}

func cookieOf(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil || len(c.Value) > 256 {
		return ""
	}
	return c.Value
}

// list gives what is shown of each of rows.
func list[Row, Shown any](rows []Row, show func(Row) Shown) []Shown {
	out := make([]Shown, 0, len(rows))
	for _, r := range rows {
		out = append(out, show(r))
	}
	return out
}

// Me implements API.
func (h HTTP) Me(ctx context.Context) (*Account, error) {
	a, _, err := h.me(ctx)
	if err != nil {
		return nil, err
	}
	return h.accountOf(ctx, a)
}

// WhoAmI implements API.
func (h HTTP) WhoAmI(ctx context.Context) (*User, error) {
	a, p, err := h.me(ctx)
	if err != nil {
		return nil, err
	}
	u := userOf(a)
	u.Role = p.Role // a key has not its owner's
	return u, nil
}
