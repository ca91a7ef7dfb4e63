package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/livil/gopan/internal/blob"
	bloblocal "github.com/livil/gopan/internal/blob/local"
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
	all := blob.Local(blob.Unstaged{Store: local})
	p.onStop("blob store", func(context.Context) error { return local.Close() })
	for _, name := range p.Config.Blob.StoreNames() {
		s, err := p.openStore(ctx, name, p.Config.Blob.Stores[name])
		if err != nil {
			return nil, fmt.Errorf("store %s: %w", name, err)
		}
		all.All = append(all.All, blob.Named{Name: name, Stager: s})
	}
	for _, r := range p.Config.Blob.Policies {
		all.Rules = append(all.Rules, blob.Rule{Drive: r.Drive, MinSize: r.MinSize, Store: r.Store})
	}
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
	switch c.Kind {
	case "local":
		return p.openFolderStore(name, c.Dir)
	default:
		return nil, fmt.Errorf("this program has no stores of kind %s", c.Kind)
	}
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
	return blob.Unstaged{Store: s}, nil
}

// longestLook is how long a start, or a request, waits for a store far away to show its id.
const longestLook = 5 * time.Second

// remote is a store far away.
type remote interface {
	blob.Stager
	blob.Identified
}

// guardStore sees to it that a store far away is used only once it has shown its id.
func (p *Process) guardStore(ctx context.Context, name string, s remote) (blob.Stager, error) {
	if c, ok := s.(io.Closer); ok {
		p.onStop("store "+name, func(context.Context) error { return c.Close() })
	}
	g := &guarded{Stager: s, look: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, longestLook)
		defer cancel()
		return p.folder.meetRemote(ctx, name, s)
	}}
	if err := g.ready(ctx); err != nil && !errs.Is(errs.Busy, err) {
		return nil, err
	}
	return g, nil
}

// meetRemote holds the id that a store bears against the one that this installation knows; at the first use it gives it
// one. A store that does not answer is errs.Busy, a wrong one errs.Internal.
func (f Folder) meetRemote(ctx context.Context, name string, s blob.Identified) error {
	const op = errs.Op("app.meetRemote")
	var wrong error
	err := f.meet(name, func(id string, made bool) error {
		have, err := s.ID(ctx)
		if errs.Is(errs.NotFound, err) && !made {
			// Another process, or another drive, may be at its first use, too: the store decides.
			if err := s.Identify(ctx, id); err != nil && !errs.Is(errs.Exists, err) {
				return err
			}
			have, err = s.ID(ctx)
		}
		switch {
		case errs.Is(errs.NotFound, err):
			wrong = errors.New("the store is empty, or another one is in its place: its id, store.json, is missing")
		case err != nil:
			return err
		case have != id:
			wrong = fmt.Errorf("the store belongs to another drive, or is another store of this one: its id is %q, not %q", have, id)
		}
		return wrong
	})
	switch {
	case wrong != nil:
		return errs.E(errs.Internal, op, wrong)
	case err != nil:
		return errs.E(errs.Busy, op, errs.Code("store_unavailable"), time.Second, err)
	}
	return nil
}
