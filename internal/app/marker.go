package app

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/errs"
)

// layout is the version of the folder's layout.
const layout = 1

// marker is gopan.json.
type marker struct {
	Layout  int    `json:"layout"`
	StoreID string `json:"storeId"`
	// Stores besides the one in the folder, by name.
	Stores map[string]knownStore `json:"stores,omitempty"`
}

// knownStore is a store that this installation has used.
type knownStore struct {
	ID string `json:"id"`
	// Made tells that the store bears the id; before that its first use may have been cut off.
	Made bool `json:"made"`
}

func (f Folder) marker() string { return filepath.Join(f.Dir, "gopan.json") }

// lockFolder excludes other processes from what gopan.json says, until the result is called.
func lockFolder(dir string) (func(), error) {
	lock := flock.New(filepath.Join(dir, "gopan.lock"), flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return nil, fmt.Errorf("the data folder %s: %w", dir, err)
	}
	return func() { _ = lock.Unlock() }, nil // the kernel lets go of it in any case
}

func (f Folder) readMarker() (marker, error) {
	var m marker
	b, err := os.ReadFile(f.marker())
	if err != nil {
		return m, fmt.Errorf("%s is no data folder of Gopan: %w", f.Dir, err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("%s: %w", f.marker(), err)
	}
	if m.Layout != layout || m.StoreID == "" {
		return m, fmt.Errorf("%s: layout %d is not known to this program", f.marker(), m.Layout)
	}
	return m, nil
}

func (f Folder) writeMarker(m marker) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(f.marker(), append(b, '\n'))
}

// meet calls fn with the id of a store and whether the store bears it already; at the first use the id is a new one, and
// fn gives it to the store. Processes meet a store one after the other. Cut off anywhere, the next call goes on.
func (f Folder) meet(name string, fn func(id string, made bool) error) error {
	unlock, err := lockFolder(f.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	m, err := f.readMarker()
	if err != nil {
		return err
	}
	k, known := m.Stores[name]
	if !known {
		// Written down before the store bears it: otherwise a first use that was cut off would leave a store with an
		// id that nobody knows.
		k = knownStore{ID: rand.Text()}
		if m.Stores == nil {
			m.Stores = make(map[string]knownStore)
		}
		m.Stores[name] = k
		if err := f.writeMarker(m); err != nil {
			return err
		}
	}
	if err := fn(k.ID, k.Made); err != nil || k.Made {
		return err
	}
	k.Made = true
	m.Stores[name] = k
	return f.writeMarker(m)
}

// StoreIDs gives the ids of the stores that a data folder knows, by name.
func StoreIDs(dir string) (map[string]string, error) {
	m, err := Folder{Dir: dir}.readMarker()
	if err != nil {
		return nil, errs.E(errs.Internal, "app.StoreIDs", err)
	}
	out := map[string]string{config.LocalStore: m.StoreID}
	for name, k := range m.Stores {
		out[name] = k.ID
	}
	return out, nil
}

// change changes what gopan.json says of the stores.
func (f Folder) change(fn func(stores map[string]knownStore)) error {
	unlock, err := lockFolder(f.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	m, err := f.readMarker()
	if err != nil {
		return err
	}
	if m.Stores == nil {
		m.Stores = make(map[string]knownStore)
	}
	fn(m.Stores)
	return f.writeMarker(m)
}
