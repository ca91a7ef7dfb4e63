package local

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/gofrs/flock"

	"github.com/livil/gopan/internal/errs"
)

type identity struct {
	ID string `json:"id"`
	// Small tells that the store has a small.db, which then must be there.
	Small bool `json:"small"`
}

// Init makes an empty store in dir and gives it an id. It does nothing to a store that is there.
func Init(dir, id string) error {
	const op = errs.Op("local.Init")
	if _, err := os.Stat(path.Join(dir, idFile)); err == nil {
		return nil
	}
	for i := range 256 {
		if err := os.MkdirAll(path.Join(dir, fmt.Sprintf("%02x", i)), 0o700); err != nil {
			return errs.E(errs.Internal, op, err)
		}
	}
	if err := os.MkdirAll(path.Join(dir, tmpDir), 0o700); err != nil {
		return errs.E(errs.Internal, op, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	// The id is written last: a store that has one is whole.
	err = initSmall(dir)
	if err == nil {
		err = writeID(root, identity{id, true})
	}
	if err := errors.Join(err, root.Close()); err != nil {
		return errs.E(errs.Internal, op, err)
	}
	return nil
}

// initSmall makes an empty small.db.
func initSmall(dir string) error {
	s := &small{path: path.Join(dir, smallFile)}
	w, err := s.openWriter()
	if err != nil {
		return err
	}
	return w.close()
}

// writeID writes the id, all of it or nothing, and makes it and all names beside it last.
func writeID(root *os.Root, id identity) error {
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	tmp := path.Join(tmpDir, rand.Text())
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = root.Rename(tmp, idFile)
	}
	if err != nil {
		return errors.Join(err, root.Remove(tmp))
	}
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Open opens the store in dir, which must have this id: an empty mount point in the store's place is an error
// and not an empty store (fault F18).
func Open(dir, id string) (*Store, error) {
	const op = errs.Op("local.Open")
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	s := &Store{dir: dir, root: root}
	if err := s.open(id); err != nil {
		return nil, errors.Join(errs.Wrap(op, err), root.Close())
	}
	return s, nil
}

func (s *Store) open(id string) error {
	if err := s.checkID(id); err != nil {
		return err
	}
	if err := s.root.Mkdir(stageDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	var err error
	if s.epoch, err = bootEpoch(); err != nil {
		return err
	}
	if err := errors.Join(s.sweepTmp(), s.claimTmp()); err != nil {
		return err
	}
	if s.small, err = openSmall(s.dir, s.on); err != nil {
		return errors.Join(err, s.freeTmp())
	}
	return nil
}

func (s *Store) checkID(want string) error {
	b, err := s.root.ReadFile(idFile)
	if err != nil {
		return fmt.Errorf("the blob store in %s is missing or not mounted: %w", s.dir, err)
	}
	var have identity
	if err := json.Unmarshal(b, &have); err != nil {
		return fmt.Errorf("%s/%s: %w", s.dir, idFile, err)
	}
	if have.ID != want {
		return fmt.Errorf("the blob store in %s belongs to another drive (its id is %q, not %q)", s.dir, have.ID, want)
	}
	if !have.Small {
		// Made by a release that kept every blob as a file. Once the id says so, a database that is missing is
		// damage and not an empty store.
		return errors.Join(initSmall(s.dir), writeID(s.root, identity{want, true}))
	}
	if _, err := s.root.Stat(smallFile); err != nil {
		return fmt.Errorf("the blob store in %s has lost its small blobs: %w", s.dir, err)
	}
	return nil
}

// sweepTmp removes what processes that are gone have left half-written.
func (s *Store) sweepTmp() error {
	dirs, err := fs.ReadDir(s.root.FS(), tmpDir)
	if err != nil {
		return err
	}
	for _, d := range dirs {
		name := path.Join(tmpDir, d.Name())
		lock := flock.New(path.Join(s.dir, name, lockFile))
		if free, err := lock.TryLock(); err != nil || !free {
			continue // its process lives, or it is not ours to judge
		}
		if err := errors.Join(s.root.RemoveAll(name), lock.Unlock()); err != nil {
			return err
		}
	}
	return nil
}

// claimTmp makes a folder of this process's own. A sweep may see it before it is locked and take it for a dead
// process's; then another is made.
func (s *Store) claimTmp() error {
	for {
		s.tmp = path.Join(tmpDir, "p"+rand.Text())
		if err := s.root.Mkdir(s.tmp, 0o700); err != nil {
			return err
		}
		s.lock = flock.New(path.Join(s.dir, s.tmp, lockFile))
		locked, err := s.lock.TryLock()
		if locked {
			_, err = s.root.Stat(path.Join(s.tmp, lockFile))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if locked && err == nil {
			s.in, err = s.root.OpenRoot(s.tmp)
			return err
		}
	}
}

func (s *Store) freeTmp() error {
	return errors.Join(s.in.Close(), s.root.RemoveAll(s.tmp), s.lock.Unlock())
}

// Close drops what is being written, but what is staged, and lets go of the folder.
func (s *Store) Close() error {
	if err := errors.Join(s.small.close(), s.freeTmp(), s.root.Close()); err != nil {
		return errs.E(errs.Internal, "local.Close", err)
	}
	return nil
}
