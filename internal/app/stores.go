package app

import (
	"context"
	"fmt"
	"os"

	"github.com/livil/gopan/internal/blob"
	bloblocal "github.com/livil/gopan/internal/blob/local"
	"github.com/livil/gopan/internal/blob/object"
	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/errs"
)

// stores opens all blob stores, once for the process. A store that is missing, empty where it was not, or another's is
// refused; one far away that does not answer is not: it is looked at again when it is needed (promise A3).
func (p *Process) stores(ctx context.Context) (*blob.Stores, error) {
	if p.blobs != nil {
		return p.blobs, nil
	}
	if err := p.noStoreLeftOut(); err != nil {
		return nil, err
	}
	local, err := bloblocal.Open(p.folder.blobs(), p.folder.StoreID)
	if err != nil {
		return nil, err
	}
	all := blob.Local(local)
	p.onStop("blob store", func(context.Context) error { return local.Close() })
	for _, name := range p.Config.Blob.StoreNames() {
		s, err := p.openStore(ctx, name, p.Config.Blob.Stores[name])
		if err != nil {
			return nil, fmt.Errorf("store %s: %w", name, err)
		}
		all.All = append(all.All, blob.Named{Name: name, Stager: s})
	}
	p.onChange(func(c config.Config) { all.SetRules(rules(c.Blob.Policies)) })
	p.blobs = all
	p.checks = append(p.checks, all.Check)
	return all, nil
}

// noStoreLeftOut refuses settings that no longer have a store which this installation has used: content may be in it.
func (p *Process) noStoreLeftOut() error {
	known, err := StoreIDs(p.folder.Dir)
	if err != nil {
		return err
	}
	for name := range known {
		if _, ok := p.Config.Blob.Stores[name]; !ok && name != config.LocalStore {
			return fmt.Errorf("the settings have no store %q, but content may be in it: put it back, migrate what it holds, "+
				"and run: gopan storage forget %s", name, name)
		}
	}
	return nil
}

// openStore opens one of the stores that the settings name.
func (p *Process) openStore(ctx context.Context, name string, c config.Store) (blob.Stager, error) {
	if c.Kind == "local" {
		return p.openFolderStore(name, c.Dir)
	}
	open, err := bucketOf(name, c)
	if err != nil {
		return nil, err
	}
	return p.openRemote(ctx, name, func(ctx context.Context, id string, first bool) (blob.Stager, error) {
		s, err := open(ctx, object.Config{ID: id, Init: first})
		if err != nil {
			return nil, err
		}
		return s, nil
	})
}

func (p *Process) openFolderStore(name, dir string) (blob.Stager, error) {
	var s *bloblocal.Store
	err := p.folder.meet(name, func(id string, made bool) (err error) {
		if !made {
			if _, err := os.Stat(dir); err != nil {
				return fmt.Errorf("its folder is not there; mount the disk, or make the folder: %w", err)
			}
			if err := bloblocal.Init(dir, id); err != nil {
				return err
			}
		}
		s, err = bloblocal.Open(dir, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.onStop("store "+name, func(context.Context) error { return s.Close() })
	return s, nil
}

// openRemote opens a store far away. One that does not answer is opened when it is needed.
func (p *Process) openRemote(ctx context.Context, name string, open openFunc) (blob.Stager, error) {
	s := &remote{name: name, open: func(ctx context.Context) (blob.Stager, error) { return p.folder.meetRemote(ctx, name, open) }}
	if _, err := s.store(ctx); err != nil && !errs.Is(errs.Busy, err) {
		return nil, err
	}
	return s, nil
}

// openFunc opens a store far away if it bears an id. One that bears none gets it if first is set.
type openFunc func(ctx context.Context, id string, first bool) (blob.Stager, error)

// meetRemote opens a store with the id that this installation knows. It is errs.Busy when the store does not answer.
func (f Folder) meetRemote(ctx context.Context, name string, open openFunc) (s blob.Stager, err error) {
	err = f.meet(name, func(id string, made bool) (err error) {
		if s, err = open(ctx, id, !made); err == nil && !made {
			// Another drive may be at its first use, too. Whoever came last has it.
			s, err = open(ctx, id, false)
		}
		return err
	})
	return s, err
}
