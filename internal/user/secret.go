package user

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/livil/gopan/internal/errs"
)

// secret is a random token to be handed out, and the hash that is kept of it.
func secret() (token string, hash []byte) {
	token = rand.Text() + rand.Text() // 260 bits
	return token, hashOf(token)
}

func hashOf(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// derive makes a key for one purpose out of the installation's.
func (s *Service) derive(purpose string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, s.Key, nil, "gopan user "+purpose, 32)
	if err != nil {
		return nil, errs.E(errs.Internal, "user.derive", err)
	}
	return key, nil
}

// mac is a keyed hash of values that must not be readable where it is kept: kv holds no phone and no code.
func (s *Service) mac(purpose string, values ...string) []byte {
	h := hmac.New(sha256.New, s.Key)
	for _, v := range append([]string{"gopan user", purpose}, values...) {
		fmt.Fprintf(h, "%d:%s", len(v), v)
	}
	return h.Sum(nil)
}

// key is the key in kv of what belongs to a value.
func (s *Service) key(purpose string, values ...string) string {
	return purpose + ":" + base64.RawURLEncoding.EncodeToString(s.mac("kv "+purpose, values...)[:16])
}

// seal encrypts what is kept in the database, bound to whom it belongs to.
func (s *Service) seal(purpose, owner string, plain []byte) ([]byte, error) {
	box, err := s.box(purpose)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, box.NonceSize())
	_, _ = rand.Read(nonce) // crypto/rand ends the process rather than fail
	return box.Seal(nonce, nonce, plain, []byte(owner)), nil
}

// unseal gives back what seal encrypted; errs.Corrupt when it is another's or was changed.
func (s *Service) unseal(purpose, owner string, sealed []byte) ([]byte, error) {
	const op = errs.Op("user.unseal")
	box, err := s.box(purpose)
	if err != nil {
		return nil, err
	}
	if len(sealed) < box.NonceSize() {
		return nil, errs.E(errs.Corrupt, op)
	}
	plain, err := box.Open(nil, sealed[:box.NonceSize()], sealed[box.NonceSize():], []byte(owner))
	if err != nil {
		return nil, errs.E(errs.Corrupt, op, err)
	}
	return plain, nil
}

func (s *Service) box(purpose string) (cipher.AEAD, error) {
	key, err := s.derive(purpose)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errs.E(errs.Internal, "user.box", err)
	}
	box, err := cipher.NewGCM(block)
	if err != nil {
		return nil, errs.E(errs.Internal, "user.box", err)
	}
	return box, nil
}
