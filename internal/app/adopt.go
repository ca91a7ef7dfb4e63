package app

import (
	"context"
	"io"

	bloblocal "github.com/livil/gopan/internal/blob/local"
	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/errs"
)

// Adopt writes down the id that a store of the settings bears, whatever the data folder knew of it, and gives it.
func Adopt(ctx context.Context, c config.Config, name string) (id string, err error) {
	const op = errs.Op("app.Adopt")
	p := &Process{Config: c, Out: io.Discard}
	p.Config.Log.Level = "error"
	if err := p.prepare(ctx, false); err != nil {
		return "", errs.Wrap(op, err)
	}
	if s := c.Blob.Stores[name]; s.Kind == "local" {
		id, err = bloblocal.ID(s.Dir)
	} else {
		id, err = bucketID(ctx, name, s)
	}
	if err != nil {
		return "", errs.Wrap(op, err)
	}
	return id, errs.Wrap(op, p.folder.change(func(stores map[string]knownStore) { stores[name] = knownStore{ID: id, Made: true} }))
}

// Forget drops what a data folder knows of a store. It fails with errs.NotFound when it knows none of this name.
func Forget(dir, name string) error {
	const op = errs.Op("app.Forget")
	f, err := OpenFolder(dir, false)
	if err != nil {
		return errs.Wrap(op, err)
	}
	known := false
	err = f.change(func(stores map[string]knownStore) {
		_, known = stores[name]
		delete(stores, name)
	})
	if err == nil && !known {
		err = errs.E(errs.NotFound, op)
	}
	return errs.Wrap(op, err)
}
