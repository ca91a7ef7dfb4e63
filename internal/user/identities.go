package user

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/oauth"
)

// Provider is another site by whose accounts one can sign in here.
type Provider struct {
	// Name is the word in paths and in the table of identities; it must stay as it is.
	Name string
	// Title is how people know it: "GitHub".
	Title string
	// Register lets whoever has an account there make one here, where registration allows it to who shows a phone.
	Register bool
	oauth.Provider
}

// identity is a row of identities: an account at another site. Only the site's own lasting id counts (promise S14).
type identity struct {
	Provider string `gorm:"primaryKey"`
	Subject  string `gorm:"primaryKey"`
	UserID   int64
	Login    string
	LinkedAt int64
}

// TableName implements gorm's Tabler.
func (identity) TableName() string { return "identities" }

// journeyLife is how long somebody may be away at the other site.
const journeyLife = 10 * time.Minute

// journey is what is remembered of somebody who was sent to another site.
type journey struct {
	Provider, Nonce, Verifier, Callback string
	// Next is the page to come back to.
	Next string
	// SessionID is of the session that wants to link an account; 0: somebody wants to sign in.
	SessionID int64
	UserID    int64
}

func (s *Service) provider(name string) (Provider, error) {
	for _, p := range s.Providers {
		if p.Name == name {
			return p, nil
		}
	}
	return Provider{}, errs.E(errs.NotFound, "user.provider", errs.Code("no_such_provider"))
}

// depart gives the other site's page to go to, and the state that the browser must bring back in its cookie, too.
func (s *Service) depart(ctx context.Context, provider, next string, session, user int64) (page, state string, err error) {
	const op = errs.Op("user.depart")
	p, err := s.provider(provider)
	if err != nil {
		return "", "", errs.Wrap(op, err)
	}
	if session == 0 {
		if err := s.offered(ctx, provider); err != nil {
			return "", "", errs.Wrap(op, err)
		}
	}
	if err := s.atMost(ctx, s.key("provider-from", address(ctx)), s.limits().AddressFailures, FailureWindow, "too_many"); err != nil {
		return "", "", errs.Wrap(op, err)
	}
	state = rand.Text()
	j := journey{
		Provider: provider, Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: ours(next), SessionID: session, UserID: user,
		Callback: s.origin(ctx) + "/api/v1/auth/providers/" + provider + "/callback",
	}
	if page, err = p.AuthURL(ctx, state, j.Nonce, j.Verifier, j.Callback); err != nil {
		return "", "", errs.Wrap(op, err)
	}
	err = s.keepOnce(ctx, s.key("journey", state), j, journeyLife)
	return page, state, errs.Wrap(op, err)
}

// ours is the address of one of this drive's pages, or "/" for whatever is not one: nobody is sent elsewhere from here.
// Two slashes are no page's even where they stand further on: dots before them may be taken away.
func ours(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") ||
		strings.Contains(u.EscapedPath(), "//") ||
		strings.HasPrefix(u.Path, "/api/") || strings.ContainsAny(next, "\\\r\n\t") || len(next) > 2048 {
		return "/"
	}
	return next
}

// arrive gives who came back from another site. state must be the one that was given, to this browser, once.
func (s *Service) arrive(ctx context.Context, provider, state, cookie, code, refused string) (journey, oauth.Identity, error) {
	const op = errs.Op("user.arrive")
	var j journey
	bad := errs.E(errs.Invalid, op, errs.Code("bad_state"))
	if state == "" || len(state) > 64 || state != cookie {
		return j, oauth.Identity{}, bad
	}
	err := s.takeOnce(ctx, s.key("journey", state), &j, journeyLife)
	if errs.Is(errs.NotFound, err) || err == nil && j.Provider != provider {
		return j, oauth.Identity{}, bad
	}
	if err != nil {
		return j, oauth.Identity{}, errs.Wrap(op, err)
	}
	if refused != "" || code == "" || len(code) > 4096 {
		return j, oauth.Identity{}, errs.E(errs.Invalid, op, errs.Code("provider_refused"))
	}
	p, err := s.provider(provider)
	if err != nil {
		return j, oauth.Identity{}, errs.Wrap(op, err)
	}
	who, err := p.Identity(ctx, code, j.Nonce, j.Verifier, j.Callback)
	if err == nil && (who.Subject == "" || len(who.Subject) > 255) {
		err = errs.E(errs.Busy, op, errs.Code("provider_unavailable"), "an identity without an id")
	}
	return j, who, errs.Wrap(op, err)
}

// byIdentity gives the account that another site's account opens; one that opens none gets one where registration
// allows it.
func (s *Service) byIdentity(ctx context.Context, provider string, who oauth.Identity) (account, error) {
	const op = errs.Op("user.byIdentity")
	if err := s.offered(ctx, provider); err != nil {
		return account{}, errs.Wrap(op, err)
	}
	for attempt := 1; ; attempt++ {
		var a account
		err := s.DB.Read(ctx, func(tx *gorm.DB) error {
			var err error
			a, err = accountWhere(tx, "id = (SELECT user_id FROM identities WHERE provider = ? AND subject = ?)", provider, who.Subject)
			return err
		})
		if err != nil {
			return account{}, errs.Wrap(op, err)
		}
		if a.ID != 0 {
			return a, errs.Wrap(op, usable(a))
		}
		if p, err := s.provider(provider); err != nil || !p.Register {
			return account{}, errs.E(errs.Denied, op, errs.Code("registration_closed"), err)
		}
		if err := s.mayRegister(ctx, "sms"); err != nil {
			return account{}, errs.Wrap(op, err)
		}
		name := who.Name
		if !httpapi.Holds("personname", name) {
			name = ""
		}
		if a, err = s.row(ctx, newAccount{Name: name, Role: roleUser}); err != nil {
			return account{}, errs.Wrap(op, err)
		}
		err = s.recorded(ctx, "user.create", a.ID, provider, func(tx *gorm.DB) error {
			if err := insert(tx, a); err != nil {
				return err
			}
			return tx.Create(s.identity(provider, who, a.ID)).Error
		})
		if db.Taken(err) && attempt < 3 {
			continue // the same person, in another window
		}
		return a, errs.Wrap(op, err)
	}
}

func (s *Service) identity(provider string, who oauth.Identity, user int64) *identity {
	return &identity{Provider: provider, Subject: who.Subject, UserID: user, Login: clip(who.Login, 255), LinkedAt: s.now().UnixMilli()}
}

// link gives an account one more way in. Whoever has that account at the other site already enters by it is not robbed
// of it.
func (s *Service) link(ctx context.Context, user int64, provider string, who oauth.Identity) error {
	const op = errs.Op("user.link")
	theirs := errs.E(errs.Exists, op, errs.Code("identity_taken"))
	err := s.recorded(ctx, "identity.link", user, provider, func(tx *gorm.DB) error {
		var old identity
		if err := tx.Raw("SELECT * FROM identities WHERE provider = ? AND subject = ?", provider, who.Subject).Scan(&old).Error; err != nil {
			return err
		}
		if old.UserID != 0 && old.UserID != user {
			return theirs
		}
		if err := tx.Exec("DELETE FROM identities WHERE provider = ? AND user_id = ?", provider, user).Error; err != nil {
			return err
		}
		return tx.Create(s.identity(provider, who, user)).Error
	})
	if db.Taken(err) {
		err = theirs
	}
	return errs.Wrap(op, err)
}

func (s *Service) unlink(ctx context.Context, user int64, provider string) error {
	const op = errs.Op("user.unlink")
	return errs.Wrap(op, s.recorded(ctx, "identity.unlink", user, provider, func(tx *gorm.DB) error {
		if err := touched(op, tx.Exec("DELETE FROM identities WHERE provider = ? AND user_id = ?", provider, user)); err != nil {
			return err
		}
		return wayIn(tx, user)
	}))
}

func (s *Service) identities(ctx context.Context, user int64) (list []identity, err error) {
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT * FROM identities WHERE user_id = ? ORDER BY provider", user).Scan(&list).Error
	})
	return list, errs.Wrap("user.identities", err)
}
