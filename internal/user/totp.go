package user

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"image/png"
	"strconv"
	"strings"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
)

// Authenticator apps (RFC 6238) with the settings that all of them know: SHA-1, six digits, 30 seconds. A code is good
// in its own 30 seconds and those before and after, once.
const (
	totpPeriod    = 30
	recoveryCodes = 10
)

// step is the 30 seconds that a moment is in.
func (s *Service) step() int64 { return s.now().Unix() / totpPeriod }

// secondFactor asks for an authenticator app's code, or a recovery code, where the account has that on. Without one it
// fails with the code totp_required, with a wrong or used one with bad_totp.
func (s *Service) secondFactor(ctx context.Context, a account, code string) error {
	const op = errs.Op("user.secondFactor")
	if a.TOTPOn == 0 {
		return nil
	}
	if code == "" {
		return errs.E(errs.Unauthenticated, op, errs.Code("totp_required"))
	}
	try, err := s.attempt(ctx, "totp", strconv.FormatInt(a.ID, 10))
	if err != nil {
		return errs.Wrap(op, err)
	}
	good, err := s.useCode(ctx, a, code)
	if err != nil {
		return errs.Wrap(op, err)
	}
	if !good {
		if err := s.record(ctx, "signin.fail", a.ID, "totp"); err != nil {
			return errs.Wrap(op, err)
		}
		return errs.E(errs.Unauthenticated, op, errs.Code("bad_totp"))
	}
	return errs.Wrap(op, try.succeeded(ctx))
}

// useCode uses up a code of the app or a recovery code; false: it is neither, or was used.
func (s *Service) useCode(ctx context.Context, a account, code string) (bool, error) {
	code = strings.NewReplacer(" ", "", "-", "").Replace(strings.ToUpper(code))
	if len(code) != 6 {
		return s.useRecoveryCode(ctx, a, code)
	}
	plain, err := s.unseal("totp", strconv.FormatInt(a.ID, 10), a.TOTPSecret)
	if err != nil {
		return false, err
	}
	step, ok := s.stepOf(string(plain), code)
	if !ok {
		return false, nil
	}
	used := false
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		res := tx.Exec("UPDATE users SET totp_step = ? WHERE id = ? AND totp_step < ?", step, a.ID, step)
		used = res.RowsAffected == 1
		return res.Error
	})
	return used && err == nil, err
}

// stepOf finds the 30 seconds whose code this is.
func (s *Service) stepOf(secret, code string) (int64, bool) {
	for _, step := range []int64{s.step(), s.step() - 1, s.step() + 1} {
		want, err := hotp.GenerateCodeCustom(secret, uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}) //nolint:gosec // no time before 1970
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return step, true
		}
	}
	return 0, false
}

// recoveryHash is what is kept of a recovery code.
func (s *Service) recoveryHash(user int64, code string) []byte {
	return s.mac("recovery code", strconv.FormatInt(user, 10), code)
}

func (s *Service) useRecoveryCode(ctx context.Context, a account, code string) (bool, error) {
	e, err := s.about(ctx, "totp.recovery-code", a.ID, "")
	if err != nil {
		return false, err
	}
	used := false
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		res := tx.Exec("DELETE FROM recovery_codes WHERE hash = ? AND user_id = ?", s.recoveryHash(a.ID, code), a.ID)
		if used = res.RowsAffected == 1; res.Error != nil || !used {
			return res.Error
		}
		return tx.Create(&e).Error
	})
	return used && err == nil, err
}

// beginTOTP makes a secret for an authenticator app. It counts for nothing before confirmTOTP.
func (s *Service) beginTOTP(ctx context.Context, a account, site string) (*otp.Key, error) {
	const op = errs.Op("user.beginTOTP")
	if a.TOTPOn != 0 {
		return nil, errs.E(errs.Conflict, op, errs.Code("totp_is_on"))
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: site, AccountName: a.Login, Period: totpPeriod, SecretSize: 20, Rand: rand.Reader})
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	sealed, err := s.seal("totp", strconv.FormatInt(a.ID, 10), []byte(key.Secret()))
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE users SET totp_secret = ? WHERE id = ? AND totp_on = 0", sealed, a.ID).Error
	})
	return key, errs.Wrap(op, err)
}

// qr is the key as a picture that an app reads: a PNG in a data: URL.
func qr(key *otp.Key) (string, error) {
	const op, pixels = errs.Op("user.qr"), 220
	img, err := key.Image(pixels, pixels)
	if err != nil {
		return "", errs.E(errs.Internal, op, err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return "", errs.E(errs.Internal, op, err)
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

// confirmTOTP has a code asked for from now on, if this is one of the secret that beginTOTP made.
func (s *Service) confirmTOTP(ctx context.Context, a account, code string) ([]string, error) {
	const op = errs.Op("user.confirmTOTP")
	bad := errs.E(errs.Invalid, op, errs.Code("bad_totp"), errs.Field("totp"))
	if a.TOTPOn != 0 {
		return nil, errs.E(errs.Conflict, op, errs.Code("totp_is_on"))
	}
	if len(a.TOTPSecret) == 0 {
		return nil, bad
	}
	try, err := s.attempt(ctx, "totp", strconv.FormatInt(a.ID, 10))
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	plain, err := s.unseal("totp", strconv.FormatInt(a.ID, 10), a.TOTPSecret)
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	step, ok := s.stepOf(string(plain), strings.ReplaceAll(code, " ", ""))
	if !ok {
		return nil, bad
	}
	codes := newRecoveryCodes()
	err = s.recorded(ctx, "totp.on", a.ID, "", func(tx *gorm.DB) error {
		res := tx.Exec("UPDATE users SET totp_on = ?, totp_step = ? WHERE id = ? AND totp_on = 0 AND totp_secret = ?",
			s.now().UnixMilli(), step, a.ID, a.TOTPSecret)
		if res.Error != nil {
			return res.Error
		}
		if res.RowsAffected != 1 {
			return errs.E(errs.Conflict, op, errs.Code("totp_is_on"))
		}
		return s.keepRecoveryCodes(tx, a.ID, codes)
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return codes, errs.Wrap(op, try.succeeded(ctx))
}

// newRecoveryCodes are of 80 random bits each, as "ABCDEFGH-JKLMNPQR".
func newRecoveryCodes() []string {
	codes := make([]string, recoveryCodes)
	for i := range codes {
		t := rand.Text()
		codes[i] = t[:8] + "-" + t[8:16]
	}
	return codes
}

// keepRecoveryCodes keeps these codes of a user's and no others.
func (s *Service) keepRecoveryCodes(tx *gorm.DB, user int64, codes []string) error {
	if err := tx.Exec("DELETE FROM recovery_codes WHERE user_id = ?", user).Error; err != nil {
		return err
	}
	for _, c := range codes {
		hash := s.recoveryHash(user, strings.ReplaceAll(c, "-", ""))
		// Not first: gorm takes bytes behind a parenthesis for a list of values.
		if err := tx.Exec("INSERT INTO recovery_codes (user_id, hash) VALUES (?, ?)", user, hash).Error; err != nil {
			return err
		}
	}
	return nil
}

// renewRecoveryCodes makes new ones; the old ones are void.
func (s *Service) renewRecoveryCodes(ctx context.Context, a account) ([]string, error) {
	const op = errs.Op("user.renewRecoveryCodes")
	if a.TOTPOn == 0 {
		return nil, errs.E(errs.Conflict, op, errs.Code("totp_is_off"))
	}
	codes := newRecoveryCodes()
	err := s.recorded(ctx, "totp.new-recovery-codes", a.ID, "", func(tx *gorm.DB) error { return s.keepRecoveryCodes(tx, a.ID, codes) })
	return codes, errs.Wrap(op, err)
}

// endTOTP has no code asked for any more.
func (s *Service) endTOTP(ctx context.Context, user int64) error {
	return errs.Wrap("user.endTOTP", s.recorded(ctx, "totp.off", user, "", func(tx *gorm.DB) error {
		if err := tx.Exec("UPDATE users SET totp_on = 0, totp_secret = NULL WHERE id = ?", user).Error; err != nil {
			return err
		}
		return s.keepRecoveryCodes(tx, user, nil)
	}))
}
