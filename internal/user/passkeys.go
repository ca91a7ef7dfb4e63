package user

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/httpapi"
)

// ceremonyLife is how long a person has to use or make a passkey.
const ceremonyLife = 5 * time.Minute

// maxPasskeys that one account has at once.
const maxPasskeys = 20

// passkey is a row of passkeys.
type passkey struct {
	ID         int64 `gorm:"primaryKey;autoIncrement:false"`
	UserID     int64
	Credential []byte // its id
	Data       string // a webauthn.Credential, as JSON
	Name       string
	CreatedAt  int64
	UsedAt     int64
}

// TableName implements gorm's Tabler.
func (passkey) TableName() string { return "passkeys" }

// holder is an account as the webauthn package wants to see it.
type holder struct {
	a      account
	handle []byte
	keys   []webauthn.Credential
}

var _ webauthn.User = holder{}

// WebAuthnID implements webauthn.User.
func (h holder) WebAuthnID() []byte { return h.handle }

// WebAuthnName implements webauthn.User.
func (h holder) WebAuthnName() string { return h.a.Login }

// WebAuthnDisplayName implements webauthn.User.
func (h holder) WebAuthnDisplayName() string {
	if h.a.Name != "" {
		return h.a.Name
	}
	return h.a.Login
}

// WebAuthnCredentials implements webauthn.User.
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

// holderOf reads what an account can show. Its handle tells nobody who it is.
func (s *Service) holderOf(tx *gorm.DB, a account) (holder, error) {
	h := holder{a: a, handle: s.mac("passkey handle", strconv.FormatInt(a.ID, 10))}
	var rows []passkey
	if err := tx.Raw("SELECT * FROM passkeys WHERE user_id = ?", a.ID).Scan(&rows).Error; err != nil {
		return h, err
	}
	for _, r := range rows {
		var c webauthn.Credential
		if err := json.Unmarshal([]byte(r.Data), &c); err != nil {
			return h, errs.E(errs.Corrupt, "user.holderOf", err)
		}
		h.keys = append(h.keys, c)
	}
	return h, nil
}

// origin is where the browser that asks reaches the drive, "https://drive.example".
func (s *Service) origin(ctx context.Context) string {
	if u, err := url.Parse(s.PublicURL); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return httpapi.ClientOf(ctx).Origin
}

// relyingParty is the drive as passkeys are bound to it. A drive that is reached by a bare address or without TLS has
// none: browsers want a name and a secure context, which plain HTTP is on the machine itself alone.
func (s *Service) relyingParty(ctx context.Context) (*webauthn.WebAuthn, error) {
	const op = errs.Op("user.relyingParty")
	origin := s.origin(ctx)
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" || net.ParseIP(u.Hostname()) != nil || u.Scheme != "https" && !local(u.Hostname()) {
		return nil, errs.E(errs.Denied, op, errs.Code("passkeys_off"))
	}
	rp, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: "Gopan", RPOrigins: []string{origin}, AttestationPreference: protocol.PreferNoAttestation,
	})
	if err != nil {
		return nil, errs.E(errs.Denied, op, errs.Code("passkeys_off"), err)
	}
	return rp, nil
}

// local tells whether a name is the machine's own.
func local(host string) bool { return host == "localhost" || strings.HasSuffix(host, ".localhost") }

// ceremony is what is remembered of one between its two requests.
type ceremony struct {
	// UserID is whose passkey is made; 0: somebody wants to sign in by one.
	UserID int64
	Data   webauthn.SessionData
}

// beginCeremony remembers one and gives its id and the options as JSON.
func (s *Service) beginCeremony(ctx context.Context, user int64, data *webauthn.SessionData, options any) (id, text string, err error) {
	const op = errs.Op("user.beginCeremony")
	b, err := json.Marshal(options)
	if err != nil {
		return "", "", errs.E(errs.Internal, op, err)
	}
	id = rand.Text()
	err = s.keepOnce(ctx, s.key("passkey", id), ceremony{user, *data}, ceremonyLife)
	return id, string(b), errs.Wrap(op, err)
}

// endCeremony gives what was remembered, once.
func (s *Service) endCeremony(ctx context.Context, id string, user int64) (webauthn.SessionData, error) {
	const op = errs.Op("user.endCeremony")
	var c ceremony
	err := s.takeOnce(ctx, s.key("passkey", id), &c, ceremonyLife)
	if errs.Is(errs.NotFound, err) || err == nil && c.UserID != user {
		return c.Data, badPasskey(op, err)
	}
	return c.Data, errs.Wrap(op, err)
}

func badPasskey(op errs.Op, cause error) error {
	return errs.E(errs.Unauthenticated, op, errs.Code("bad_passkey"), cause)
}

// beginPasskeyLogin begins a sign-in by whatever passkey the person has for this drive.
func (s *Service) beginPasskeyLogin(ctx context.Context) (id, options string, err error) {
	const op = errs.Op("user.beginPasskeyLogin")
	if err := s.offered(ctx, byPasskeys); err != nil {
		return "", "", errs.Wrap(op, err)
	}
	rp, err := s.relyingParty(ctx)
	if err != nil {
		return "", "", errs.Wrap(op, err)
	}
	assertion, data, err := rp.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return "", "", errs.E(errs.Internal, op, err)
	}
	id, options, err = s.beginCeremony(ctx, 0, data, assertion)
	return id, options, errs.Wrap(op, err)
}

// byPasskey gives the account of who shows a passkey. It is two factors in one, so no other is asked for. It cannot be
// guessed, so wrong answers keep nobody out: an address may only give so many, right or wrong, as each leaves an event.
func (s *Service) byPasskey(ctx context.Context, id, answer string) (account, error) {
	const op = errs.Op("user.byPasskey")
	if err := s.offered(ctx, byPasskeys); err != nil {
		return account{}, errs.Wrap(op, err)
	}
	if err := s.atMost(ctx, s.key("passkey-answers", address(ctx)), s.limits().AddressFailures, FailureWindow, "too_many"); err != nil {
		return account{}, errs.Wrap(op, err)
	}
	a, err := s.judgePasskey(ctx, id, answer)
	if err != nil {
		if errs.CodeOf(err) == "bad_passkey" {
			if rerr := s.record(ctx, "signin.fail", a.ID, "passkey"); rerr != nil {
				err = rerr
			}
		}
		return account{}, errs.Wrap(op, err)
	}
	return a, errs.Wrap(op, usable(a))
}

// judgePasskey tells whose passkey answered a ceremony.
func (s *Service) judgePasskey(ctx context.Context, id, answer string) (account, error) {
	const op = errs.Op("user.judgePasskey")
	rp, err := s.relyingParty(ctx)
	if err != nil {
		return account{}, err
	}
	data, err := s.endCeremony(ctx, id, 0)
	if err != nil {
		return account{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil {
		return account{}, badPasskey(op, err)
	}
	var row passkey
	var h holder
	if err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		if err := tx.Raw("SELECT * FROM passkeys WHERE credential = ?", parsed.RawID).Scan(&row).Error; err != nil || row.ID == 0 {
			return err
		}
		a, err := accountWhere(tx, "id = ?", row.UserID)
		if err != nil {
			return err
		}
		h, err = s.holderOf(tx, a)
		return err
	}); err != nil {
		return account{}, errs.Wrap(op, err)
	}
	if row.ID == 0 {
		return account{}, badPasskey(op, nil)
	}
	_, c, err := rp.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return h, nil }, data, parsed)
	switch {
	case err != nil:
		return h.a, badPasskey(op, err)
	case c.Authenticator.CloneWarning: // somebody else has it too
		return h.a, badPasskey(op, nil)
	}
	b, err := json.Marshal(c)
	if err != nil {
		return h.a, errs.E(errs.Internal, op, err)
	}
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE passkeys SET data = ?, used_at = ? WHERE id = ?", string(b), s.now().UnixMilli(), row.ID).Error
	})
	return h.a, errs.Wrap(op, err)
}

// beginPasskey begins to make a passkey for an account.
func (s *Service) beginPasskey(ctx context.Context, a account) (id, options string, err error) {
	const op = errs.Op("user.beginPasskey")
	rp, err := s.relyingParty(ctx)
	if err != nil {
		return "", "", errs.Wrap(op, err)
	}
	var h holder
	if err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		h, err = s.holderOf(tx, a)
		return err
	}); err != nil {
		return "", "", errs.Wrap(op, err)
	}
	if len(h.keys) >= maxPasskeys {
		return "", "", errs.E(errs.Conflict, op, errs.Code("too_many_keys"))
	}
	creation, data, err := rp.BeginRegistration(h,
		webauthn.WithAuthenticatorSelection(protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification: protocol.VerificationRequired,
		}),
		webauthn.WithExclusions(webauthn.Credentials(h.keys).CredentialDescriptors()))
	if err != nil {
		return "", "", errs.E(errs.Internal, op, err)
	}
	id, options, err = s.beginCeremony(ctx, a.ID, data, creation)
	return id, options, errs.Wrap(op, err)
}

// addPasskey adds what the browser made.
func (s *Service) addPasskey(ctx context.Context, a account, id, name, answer string) (passkey, error) {
	const op = errs.Op("user.addPasskey")
	rp, err := s.relyingParty(ctx)
	if err != nil {
		return passkey{}, errs.Wrap(op, err)
	}
	bad := func(cause error) error {
		return errs.E(errs.Invalid, op, errs.Code("bad_passkey"), errs.Field("passkey"), cause)
	}
	data, err := s.endCeremony(ctx, id, a.ID)
	if errs.CodeOf(err) == "bad_passkey" {
		return passkey{}, bad(err) // who asks is signed in all the same
	}
	if err != nil {
		return passkey{}, errs.Wrap(op, err)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return passkey{}, bad(err)
	}
	c, err := rp.CreateCredential(holder{a: a, handle: s.mac("passkey handle", strconv.FormatInt(a.ID, 10))}, data, parsed)
	if err != nil {
		return passkey{}, bad(err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		return passkey{}, errs.E(errs.Internal, op, err)
	}
	row := passkey{UserID: a.ID, Credential: c.ID, Data: string(b), Name: name, CreatedAt: s.now().UnixMilli()}
	if row.ID, err = s.newID(ctx); err != nil {
		return passkey{}, errs.Wrap(op, err)
	}
	err = s.recorded(ctx, "passkey.add", a.ID, name, func(tx *gorm.DB) error {
		var n int64
		if err := countAlone(tx, a.ID, &n, "SELECT count(*) FROM passkeys WHERE user_id = ?", a.ID); err != nil {
			return err
		}
		if n >= maxPasskeys {
			return errs.E(errs.Conflict, op, errs.Code("too_many_keys"))
		}
		return tx.Create(&row).Error
	})
	if db.Taken(err) {
		err = bad(err)
	}
	return row, errs.Wrap(op, err)
}

func (s *Service) passkeys(ctx context.Context, user int64) (list []passkey, err error) {
	err = s.DB.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT * FROM passkeys WHERE user_id = ? ORDER BY id", user).Scan(&list).Error
	})
	return list, errs.Wrap("user.passkeys", err)
}

func (s *Service) renamePasskey(ctx context.Context, user, id int64, name string) error {
	const op = errs.Op("user.renamePasskey")
	return errs.Wrap(op, s.recorded(ctx, "passkey.rename", user, name, func(tx *gorm.DB) error {
		var n int64
		if err := tx.Raw("SELECT count(*) FROM passkeys WHERE id = ? AND user_id = ?", id, user).Scan(&n).Error; err != nil || n == 0 {
			return notThere(op, err)
		}
		return tx.Exec("UPDATE passkeys SET name = ? WHERE id = ?", name, id).Error
	}))
}

func (s *Service) removePasskey(ctx context.Context, user, id int64) error {
	const op = errs.Op("user.removePasskey")
	return errs.Wrap(op, s.recorded(ctx, "passkey.remove", user, "passkey "+decimal(id), func(tx *gorm.DB) error {
		if err := touched(op, tx.Exec("DELETE FROM passkeys WHERE id = ? AND user_id = ?", id, user)); err != nil {
			return err
		}
		return wayIn(tx, user)
	}))
}

// wayIn fails where an account could not be entered any more by what is left.
func wayIn(tx *gorm.DB, user int64) error {
	a, err := accountWhere(tx, "id = ?", user)
	if err != nil || a.PasswordHash != "" || a.Phone != nil {
		return err
	}
	var n int64
	err = countAlone(tx, user, &n, "SELECT (SELECT count(*) FROM passkeys WHERE user_id = ?) + (SELECT count(*) FROM identities WHERE user_id = ?)", user, user)
	if err == nil && n == 0 {
		err = errs.E(errs.Conflict, "user.wayIn", errs.Code("last_way_in"))
	}
	return err
}
