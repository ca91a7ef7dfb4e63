package user

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/livil/gopan/internal/errs"
)

// G12: passwords are stored as argon2id in PHC string format, each with a salt of its own.
func TestHashPassword(t *testing.T) {
	one, err := hashPassword(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	two, err := hashPassword(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	// B024: the hash for nobody takes as long to check as a new one.
	head := func(hash string) string { return strings.Join(strings.Split(hash, "$")[:4], "$") }
	if head(realDummy) != head(one) || len(realDummy) != len(one) {
		t.Errorf("for nobody: %s", realDummy)
	}
	if good, err := checkPassword(t.Context(), realDummy, password); err != nil || good {
		t.Errorf("nobody signs in: %v, %v", good, err)
	}
	if one == two || !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") || strings.Contains(one, "horse") {
		t.Errorf("%s\n%s", one, two)
	}
	for given, want := range map[string]bool{
		password: true, "": false, "Correct horse": false, password + " ": false, password + "\x00": false,
		password[:len(password)-1]: false, one: false,
	} {
		if good, err := checkPassword(t.Context(), one, given); err != nil || good != want {
			t.Errorf("%q: %v, %v", given, good, err)
		}
	}
}

// A hash made with other settings is checked with those settings, so that they can change without everybody's
// password.
func TestCheckPasswordOfOtherSettings(t *testing.T) {
	salt := []byte("0123456789abcdef")
	for _, c := range []struct {
		head     string
		time     uint32
		memory   uint32
		threads  uint8
		saltSize int
		keySize  uint32
	}{
		{"$argon2id$v=19$m=64,t=1,p=1$", 1, 64, 1, 16, 32},
		{"$argon2id$v=19$m=1024,t=3,p=4$", 3, 1024, 4, 8, 64},
	} {
		s := salt[:c.saltSize]
		key := argon2.IDKey([]byte(password), s, c.time, c.memory, c.threads, c.keySize)
		hash := c.head + b64.EncodeToString(s) + "$" + b64.EncodeToString(key)
		if good, err := checkPassword(t.Context(), hash, password); err != nil || !good {
			t.Errorf("%s: %v, %v", c.head, good, err)
		}
		if good, err := checkPassword(t.Context(), hash, "other"); err != nil || good {
			t.Errorf("%s: another password is as good: %v", c.head, err)
		}
	}
}

// A hash that cannot be read is nobody's, and one that asks for all the memory there is gets none.
func TestUnreadableHashes(t *testing.T) {
	const salt, key = "MDEyMzQ1Njc4OWFiY2RlZg", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, hash := range []string{
		"", "$", "$$$$$", password, "$2y$10$abcdefghijklmnopqrstuv", "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + key, "$argon2id$m=64,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=0,t=1,p=1$" + salt + "$" + key, "$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + key, "$argon2id$v=19$m=64,t=1,p=256$" + salt + "$" + key,
		"$argon2id$v=19$m=4294967295,t=1,p=1$" + salt + "$" + key, "$argon2id$v=19$m=64,t=4294967295,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=-64,t=1,p=1$" + salt + "$" + key, "$argon2id$v=19$m=64,t=1$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=1,p=1$!$" + key, "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$!",
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$AAAA",
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + strings.Repeat(key, 10), "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + key + "$",
	} {
		for _, given := range []string{password, ""} {
			if good, err := checkPassword(t.Context(), hash, given); good || err != nil {
				t.Errorf("%q: %v, %v", hash, good, err)
			}
		}
	}
}

// S11: only so many passwords are hashed at once; who does not get a turn in time is told to come again.
func TestHashingIsBounded(t *testing.T) {
	f := newFixture(t)
	for range cap(hashing) {
		hashing <- struct{}{}
	}
	defer func() {
		for range cap(hashing) {
			<-hashing
		}
	}()
	f.exec(t, "UPDATE users SET disabled_at = 1 WHERE login = 'admin'")
	f.exec(t, "INSERT INTO users (id, login, password_hash, role, created_at) VALUES (1002, 'nopass', '', 'user', 1)")
	// B024: whether an account exists, is disabled or has a password makes no difference to the work that is done:
	// all wait for a turn.
	var wg sync.WaitGroup
	for _, login := range []string{"ann", "nobody", "admin", "nopass"} {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if _, err := f.signIn(ctx, login, password, "", ""); !errs.Is(errs.Busy, err) {
				t.Errorf("%s: %v", login, err)
			}
		})
	}
	wg.Wait()
}
