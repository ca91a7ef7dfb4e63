package user

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"github.com/livil/gopan/internal/errs"
)

// MinPassword and MaxPassword bound a password's length in bytes.
const (
	MinPassword = 8
	MaxPassword = 1024
)

// argon2id parameters for new hashes: the OWASP Password Storage Cheat Sheet's first choice. memory is in KiB.
const (
	argonMemory  = 19 * 1024
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32
	argonSalt    = 16
)

// hashing bounds how many passwords are hashed at once, so that sign-ins cannot take all memory and cores
// (promise S11).
var hashing = make(chan struct{}, 2)

func hashSlot(ctx context.Context) (release func(), err error) {
	select {
	case hashing <- struct{}{}:
		return func() { <-hashing }, nil
	case <-ctx.Done():
		return nil, errs.Wrap("user.hashSlot", ctx.Err())
	}
}

var b64 = base64.RawStdEncoding

// hashPassword gives the argon2id hash of a password in PHC string format.
func hashPassword(ctx context.Context, password string) (string, error) {
	release, err := hashSlot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	salt := make([]byte, argonSalt)
	_, _ = rand.Read(salt) // crypto/rand ends the process rather than fail
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// dummyHash is what a password is held against when there is no account, so that it takes as long.
var dummyHash = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
	b64.EncodeToString(make([]byte, argonSalt)), b64.EncodeToString(make([]byte, argonKey)))

// checkPassword tells whether a password is the one that was hashed. A hash that it cannot read is nobody's.
func checkPassword(ctx context.Context, hash, password string) (bool, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, nil
	}
	var v, m, t, p uint32
	if _, err := fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &v, &m, &t, &p); err != nil ||
		v != argon2.Version || m == 0 || m > 1<<20 || t == 0 || t > 100 || p == 0 || p > 255 {
		return false, nil
	}
	salt, err1 := b64.DecodeString(parts[4])
	want, err2 := b64.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) < 16 || len(want) > 128 {
		return false, nil
	}
	release, err := hashSlot(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	key := argon2.IDKey([]byte(password), salt, t, m, uint8(p), uint32(len(want))) //nolint:gosec // bounded above
	return subtle.ConstantTimeCompare(key, want) == 1, nil
}
