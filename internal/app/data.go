package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bloblocal "github.com/livil/gopan/internal/blob/local"
	"github.com/livil/gopan/internal/errs"
)

// Folder is a data folder: everything that one installation keeps on this machine.
//
//	gopan.json    what the folder is, and the ids of the blob stores that belong to it
//	gopan.db      the database        kv.db    small values that expire
//	blobs/        the files' bytes    secrets/ keys, for nobody else's eyes
type Folder struct {
	Dir     string
	StoreID string
}

// tokenKeyFile is the file in secrets/ with the key that signs access tokens.
const tokenKeyFile = "token.key"

func (f Folder) blobs() string   { return filepath.Join(f.Dir, "blobs") }
func (f Folder) secrets() string { return filepath.Join(f.Dir, "secrets") }

// OpenFolder opens a data folder, and makes it if there is none and create is set. Processes that start at once
// agree on one. A folder that holds other things is refused.
func OpenFolder(dir string, create bool) (Folder, error) {
	const op = errs.Op("app.OpenFolder")
	fail := func(err error) (Folder, error) { return Folder{}, errs.E(errs.Internal, op, err) }
	if create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fail(err)
		}
	}
	unlock, err := lockFolder(dir)
	if err != nil {
		return fail(err)
	}
	defer unlock()
	f := Folder{Dir: dir}
	if _, err := os.Stat(f.marker()); errors.Is(err, os.ErrNotExist) && create {
		f.StoreID = rand.Text()
		return f, f.make()
	}
	m, err := f.readMarker()
	if err != nil {
		return fail(err)
	}
	f.StoreID = m.StoreID
	return f, nil
}

// make fills a new folder; the marker comes last, so that a folder that has one is whole.
func (f Folder) make() error {
	const op = errs.Op("app.Folder.make")
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	for _, e := range entries {
		switch e.Name() {
		case "gopan.lock", "secrets", "blobs": // of a start that was cut off
		default:
			return errs.E(errs.Internal, op, fmt.Errorf("%s is not empty and no data folder of Gopan: it holds %s", f.Dir, e.Name()))
		}
	}
	if err := os.MkdirAll(f.secrets(), 0o700); err != nil {
		return errs.E(errs.Internal, op, err)
	}
	// Written over one of a start that was cut off, which has signed nothing.
	key := make([]byte, 32)
	_, _ = rand.Read(key) // crypto/rand ends the process rather than fail
	if err := writeFile(filepath.Join(f.secrets(), tokenKeyFile), key); err != nil {
		return errs.E(errs.Internal, op, err)
	}
	// A store of a start that was cut off has an id already, which nothing refers to.
	if err := os.RemoveAll(filepath.Join(f.blobs(), "store.json")); err != nil {
		return errs.E(errs.Internal, op, err)
	}
	if err := bloblocal.Init(f.blobs(), f.StoreID); err != nil {
		return errs.Wrap(op, err)
	}
	return errs.Wrap(op, f.writeMarker(marker{Layout: layout, StoreID: f.StoreID}))
}

// writeFile writes a small file so that it is there whole or not at all, after a power cut too.
func writeFile(name string, b []byte) error {
	tmp := name + ".new"
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// tokenKey gives the key that signs access tokens, which was made with the folder. One that is missing, short, or
// that others can read is refused (promise S3).
func (f Folder) tokenKey() ([]byte, error) {
	const op = errs.Op("app.tokenKey")
	file := filepath.Join(f.secrets(), tokenKeyFile)
	st, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errs.E(errs.Internal, op, fmt.Errorf("%s is missing: put it back from a backup, or write 32 random bytes there "+
			"with mode 0600; with those everybody signs in again", file))
	}
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, errs.E(errs.Internal, op, fmt.Errorf("others can read %s (mode %v): make it 0600", file, st.Mode().Perm()))
	}
	key, err := os.ReadFile(file)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	if len(key) < 32 {
		return nil, errs.E(errs.Internal, op, fmt.Errorf("%s has %d bytes, which is too short for a key: it needs 32", file, len(key)))
	}
	return key, nil
}
