package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// Account is an account as an administrator sees it. Times are RFC 3339.
type Account struct {
	ID          string   `json:"id"`
	Login       string   `json:"login"`
	Name        string   `json:"name,omitempty"`
	Role        string   `json:"role"`
	Phone       string   `json:"phone,omitempty"`
	HasPassword bool     `json:"hasPassword"`
	TOTP        bool     `json:"totp"`
	State       string   `json:"state"`
	CreatedAt   string   `json:"createdAt"`
	SeenAt      string   `json:"seenAt,omitempty"`
	EraseAt     string   `json:"eraseAt,omitempty"`
	Groups      []string `json:"groups"`
}

// NewUser is an account to be made. Empty fields are left to the server.
type NewUser struct {
	Login string `json:"login"`
	Name  string `json:"name,omitempty"`
	Role  string `json:"role,omitempty"`
	Phone string `json:"phone,omitempty"`
}

// UserChange says what is to be different about an account; empty fields stay.
type UserChange struct {
	Role  string `json:"role,omitempty"`
	State string `json:"state,omitempty"`
	Name  string `json:"name,omitempty"`
}

// OneTimeLink is a page's path with a token behind the #. Whoever has it can do once what it is for.
type OneTimeLink struct {
	Link      string `json:"link"`
	ExpiresAt string `json:"expiresAt"`
}

// Group is some accounts under a name.
type Group struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Members []struct {
		ID    string `json:"id"`
		Login string `json:"login"`
	} `json:"members"`
}

// ErrNoUser means that no account has this login.
var ErrNoUser = errors.New("no account has this login")

// ErrNoGroup means that no group has this name.
var ErrNoGroup = errors.New("no group has this name")

// Users yields accounts by login, a page at a time as they are asked for: those whose login, name or phone begins with
// query, in a state, "active", "disabled" or "deleted"; empty: all. An error is the last thing that it yields.
func (c *Client) Users(ctx context.Context, query, state string) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		for cursor := ""; ; {
			var page struct {
				Items      []Account `json:"items"`
				NextCursor string    `json:"nextCursor"`
			}
			q := url.Values{"limit": {strconv.Itoa(pageSize)}}
			for name, value := range map[string]string{"query": query, "state": state, "cursor": cursor} {
				if value != "" {
					q.Set(name, value)
				}
			}
			if err := c.admin(ctx, http.MethodGet, "/users", q, nil, &page); err != nil {
				yield(Account{}, err)
				return
			}
			for _, u := range page.Items {
				if !yield(u, nil) {
					return
				}
			}
			if cursor = page.NextCursor; cursor == "" {
				return
			}
		}
	}
}

// UserByLogin gives the account with a login, or ErrNoUser.
func (c *Client) UserByLogin(ctx context.Context, login string) (Account, error) {
	for u, err := range c.Users(ctx, login, "") {
		if err != nil || u.Login == login {
			return u, err
		}
	}
	return Account{}, ErrNoUser
}

// CreateUser makes an account, and gives the link by which its owner sets a password.
func (c *Client) CreateUser(ctx context.Context, n NewUser) (Account, OneTimeLink, error) {
	var out struct {
		User          Account `json:"user"`
		Link          string  `json:"link"`
		LinkExpiresAt string  `json:"linkExpiresAt"`
	}
	err := c.admin(ctx, http.MethodPost, "/users", nil, n, &out)
	return out.User, OneTimeLink{out.Link, out.LinkExpiresAt}, err
}

// Invite gives a link by which somebody makes an account, within days; note says whom it is for.
func (c *Client) Invite(ctx context.Context, role, note string, days int) (OneTimeLink, error) {
	var out struct {
		Link   string      `json:"link"`
		Invite OneTimeLink `json:"invite"`
	}
	in := map[string]any{"role": role, "expiresIn": days}
	if note != "" {
		in["note"] = note
	}
	err := c.admin(ctx, http.MethodPost, "/invites", nil, in, &out)
	return OneTimeLink{out.Link, out.Invite.ExpiresAt}, err
}

// ChangeUser changes an account.
func (c *Client) ChangeUser(ctx context.Context, id string, ch UserChange) (u Account, err error) {
	err = c.admin(ctx, http.MethodPatch, "/users/"+url.PathEscape(id), nil, ch, &u)
	return u, err
}

// ResetUser gives a link by which the owner of an account sets a new password.
func (c *Client) ResetUser(ctx context.Context, id string) (l OneTimeLink, err error) {
	err = c.admin(ctx, http.MethodPost, "/users/"+url.PathEscape(id)+"/reset", nil, nil, &l)
	return l, err
}

// ClearTOTP turns the second factor of an account off.
func (c *Client) ClearTOTP(ctx context.Context, id string) error {
	return c.admin(ctx, http.MethodDelete, "/users/"+url.PathEscape(id)+"/totp", nil, nil, nil)
}

// SignOutUser ends all sessions and keys of an account.
func (c *Client) SignOutUser(ctx context.Context, id string) error {
	return c.admin(ctx, http.MethodDelete, "/users/"+url.PathEscape(id)+"/sessions", nil, nil, nil)
}

// ExportUser writes all that is known of an account but its files, as JSON.
func (c *Client) ExportUser(ctx context.Context, id string, to io.Writer) error {
	return c.copyTo(ctx, to, "/admin/users/"+url.PathEscape(id)+"/export", nil)
}

// ExportEvents writes the audit log, the oldest first, a JSON object on each line. The filters are those of the API:
// action, userId, since, until.
func (c *Client) ExportEvents(ctx context.Context, to io.Writer, filters url.Values) error {
	return c.copyTo(ctx, to, "/admin/events/export", filters)
}

// Registration says who may make an account: nobody, "closed"; who is invited, "invite"; who shows a phone, too, "sms";
// anybody, "open".
func (c *Client) Registration(ctx context.Context) (string, error) {
	var p struct {
		Registration string `json:"registration"`
	}
	err := c.admin(ctx, http.MethodGet, "/policy", nil, nil, &p)
	return p.Registration, err
}

// SetRegistration says who may make an account from now on.
func (c *Client) SetRegistration(ctx context.Context, to string) error {
	return c.admin(ctx, http.MethodPut, "/policy", nil, map[string]string{"registration": to}, nil)
}

// SignInMethod is a way to sign in: "password", "sms", "passkey", or the name of a site.
type SignInMethod struct {
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`
	// Ready: the server's settings have what it needs. On: no administrator turned it off.
	Ready bool `json:"ready"`
	On    bool `json:"on"`
}

// Methods gives the ways to sign in.
func (c *Client) Methods(ctx context.Context) ([]SignInMethod, error) {
	var out struct {
		Items []SignInMethod `json:"items"`
	}
	err := c.admin(ctx, http.MethodGet, "/methods", nil, nil, &out)
	return out.Items, err
}

// TurnMethod turns a way to sign in on or off.
func (c *Client) TurnMethod(ctx context.Context, name string, on bool) error {
	return c.admin(ctx, http.MethodPut, "/methods/"+url.PathEscape(name), nil, map[string]bool{"on": on}, nil)
}

// DriveUse is how much an account has stored, in bytes. A Quota of 0 is no limit.
type DriveUse struct {
	UserID   string `json:"userId"`
	Login    string `json:"login"`
	Quota    int64  `json:"quota"`
	Used     int64  `json:"used"`
	Reserved int64  `json:"reserved"`
	Files    int64  `json:"files"`
}

// Storage yields what accounts have stored, the most first, a page at a time as they are asked for. An error is the last
// thing that it yields.
func (c *Client) Storage(ctx context.Context) iter.Seq2[DriveUse, error] {
	return func(yield func(DriveUse, error) bool) {
		q := url.Values{"limit": {"200"}}
		for {
			var page struct {
				Items      []DriveUse `json:"items"`
				NextCursor string     `json:"nextCursor"`
			}
			if err := c.admin(ctx, http.MethodGet, "/storage", q, nil, &page); err != nil {
				yield(DriveUse{}, err)
				return
			}
			for _, d := range page.Items {
				if !yield(d, nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			q.Set("cursor", page.NextCursor)
		}
	}
}

// SetQuota says how many bytes an account may store; 0 is no limit.
func (c *Client) SetQuota(ctx context.Context, user string, bytes int64) error {
	return c.admin(ctx, http.MethodPatch, "/drives/"+url.PathEscape(user), nil, map[string]int64{"quota": bytes}, nil)
}

// Groups gives all groups.
func (c *Client) Groups(ctx context.Context) ([]Group, error) {
	var out struct {
		Items []Group `json:"items"`
	}
	err := c.admin(ctx, http.MethodGet, "/groups", nil, nil, &out)
	return out.Items, err
}

// GroupByName gives the group with a name, or ErrNoGroup.
func (c *Client) GroupByName(ctx context.Context, name string) (Group, error) {
	all, err := c.Groups(ctx)
	for _, g := range all {
		if g.Name == name {
			return g, nil
		}
	}
	if err == nil {
		err = ErrNoGroup
	}
	return Group{}, err
}

// CreateGroup makes a group.
func (c *Client) CreateGroup(ctx context.Context, name string) error {
	return c.admin(ctx, http.MethodPost, "/groups", nil, map[string]string{"name": name}, nil)
}

// RenameGroup renames a group.
func (c *Client) RenameGroup(ctx context.Context, id, name string) error {
	return c.admin(ctx, http.MethodPatch, "/groups/"+url.PathEscape(id), nil, map[string]string{"name": name}, nil)
}

// DeleteGroup deletes a group, and no account.
func (c *Client) DeleteGroup(ctx context.Context, id string) error {
	return c.admin(ctx, http.MethodDelete, "/groups/"+url.PathEscape(id), nil, nil, nil)
}

// AddMember puts an account into a group.
func (c *Client) AddMember(ctx context.Context, group, user string) error {
	return c.admin(ctx, http.MethodPut, "/groups/"+url.PathEscape(group)+"/members/"+url.PathEscape(user), nil, nil, nil)
}

// RemoveMember takes an account out of a group.
func (c *Client) RemoveMember(ctx context.Context, group, user string) error {
	return c.admin(ctx, http.MethodDelete, "/groups/"+url.PathEscape(group)+"/members/"+url.PathEscape(user), nil, nil, nil)
}

func (c *Client) admin(ctx context.Context, method, path string, query url.Values, in, out any) error {
	_, err := c.do(ctx, &call{method: method, path: "/admin" + path, query: query, json: in, out: out})
	return err
}

func (c *Client) copyTo(ctx context.Context, to io.Writer, path string, query url.Values) error {
	resp, err := c.do(ctx, &call{method: http.MethodGet, path: path, query: query, stream: true})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(to, resp.Body)
	return err
}
