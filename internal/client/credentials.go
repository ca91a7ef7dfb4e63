package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// ErrExposed means that a credentials file can be read by others, and was not used.
var ErrExposed = errors.New("others can read the credentials file; make it yours alone with chmod 600")

// Store is a file that keeps sessions, one for each server, from run to run. It is readable by its owner alone,
// replaced as a whole, and locked while a session in it is renewed.
type Store struct {
	// Path of the file. Beside it is an empty file with ".lock" added to the name.
	Path string
}

// storeFile is the file's JSON.
type storeFile struct {
	// Current is the server that was signed in to last.
	Current string             `json:"current"`
	Servers map[string]Session `json:"servers"`
}

// DefaultStorePath is gopan/credentials.json in $XDG_CONFIG_HOME, or where the system keeps settings.
func DefaultStorePath() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		var err error
		if dir, err = os.UserConfigDir(); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "gopan", "credentials.json"), nil
}

// Current gives the server that was signed in to last; empty when there is none.
func (s Store) Current() (string, error) {
	f, err := s.read()
	return f.Current, err
}

// For gives the credentials for one server. A token goes to no other.
func (s Store) For(server string) Credentials { return &storedSession{store: s, server: server} }

func (s Store) read() (storeFile, error) {
	var out storeFile
	f, err := os.Open(s.Path)
	if errors.Is(err, os.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return out, err
	case !info.Mode().IsRegular():
		return out, fmt.Errorf("%s is not a file", s.Path)
	case othersCanRead(info):
		return out, fmt.Errorf("%s: %w", s.Path, ErrExposed)
	}
	data, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return out, err
	}
	// The decoder's error could quote the file.
	if json.Unmarshal(data, &out) != nil {
		return storeFile{}, fmt.Errorf("%s is damaged; delete it and sign in again", s.Path)
	}
	return out, nil
}

// write replaces the file as a whole, durably: a refresh token that was traded for a lost one ends the session.
func (s Store) write(v storeFile) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(s.Path)
	// CreateTemp makes it 0600.
	f, err := os.CreateTemp(dir, ".credentials-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), s.Path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // err says what went wrong
		return err
	}
	if d, err := os.Open(dir); err == nil {
		// Best effort: some systems cannot sync a folder, and the rename itself has happened.
		_ = d.Sync()
		d.Close()
	}
	return nil
}

// update changes the file while no other process does.
func (s Store) update(ctx context.Context, change func(*storeFile) error) error {
	if err := os.MkdirAll(filepath.Dir(s.Path), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(s.Path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	for {
		ok, err := tryLock(lock)
		if err != nil {
			return fmt.Errorf("locking %s: %w", lock.Name(), err)
		}
		if ok {
			break
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	f, err := s.read()
	if err != nil {
		return err
	}
	if f.Servers == nil {
		f.Servers = map[string]Session{}
	}
	if err := change(&f); err != nil {
		return err
	}
	return s.write(f)
}

// errKept leaves the file as it is.
var errKept = errors.New("nothing to change")

type storedSession struct {
	store  Store
	server string
}

func (c *storedSession) Load(context.Context) (Session, error) {
	f, err := c.store.read()
	if err != nil {
		return Session{}, err
	}
	s := f.Servers[c.server]
	if s.Access == "" {
		return Session{}, ErrSignedOut
	}
	return s, nil
}

func (c *storedSession) Renew(ctx context.Context, good func(Session) bool, trade func(context.Context, Session) (Session, error)) (Session, error) {
	var out Session
	err := c.store.update(ctx, func(f *storeFile) error {
		s := f.Servers[c.server]
		if s.Access == "" {
			return ErrSignedOut
		}
		if good(s) {
			out = s
			return errKept
		}
		next, err := trade(ctx, s)
		if err != nil {
			return err
		}
		out, f.Servers[c.server] = next, next
		return nil
	})
	if errors.Is(err, errKept) {
		err = nil
	}
	return out, err
}

func (c *storedSession) Save(ctx context.Context, s Session) error {
	return c.store.update(ctx, func(f *storeFile) error {
		f.Current, f.Servers[c.server] = c.server, s
		return nil
	})
}

// Delete forgets the tokens; the server stays the current one, so that the next sign-in needs no address.
func (c *storedSession) Delete(ctx context.Context) error {
	return c.store.update(ctx, func(f *storeFile) error {
		delete(f.Servers, c.server)
		return nil
	})
}
