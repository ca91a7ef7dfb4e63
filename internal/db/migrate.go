package db

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
)

//go:embed migrations
var migrations embed.FS

// lockName of the file in the data folder that lets one process migrate at a time.
const lockName = "migrate.lock"

// Migrate brings the SQLite database in dir up to this program's schema. Each step is one transaction together
// with the record that it was made, so a process that is killed in the middle leaves nothing half done, and of
// several that start at once one does the work and the others wait.
func (d *DB) Migrate(ctx context.Context, dir string) error {
	const op = errs.Op("db.Migrate")
	lock := flock.New(filepath.Join(dir, lockName))
	if err := lock.Lock(); err != nil {
		return errs.E(errs.Internal, op, err)
	}
	defer func() { _ = lock.Unlock() }() // the kernel lets go of it in any case when the process ends

	steps, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, d.write.pool, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	if have > want {
		return errs.Wrap(op, d.checkNewer(ctx, have, want))
	}
	if _, err := p.Up(ctx); err != nil {
		return errs.E(errs.Internal, op, err)
	}
	return nil
}

// checkNewer says whether this program can work on a schema that a newer one made: the release before can, unless
// a step was made that it could not live with (promise D12).
func (d *DB) checkNewer(ctx context.Context, have, want int64) error {
	const op = errs.Op("db.checkNewer")
	var oldest int64
	if err := d.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw("SELECT max(oldest) FROM compatibility").Scan(&oldest).Error
	}); err != nil {
		return errs.Wrap(op, err)
	}
	if want < oldest {
		return errs.E(errs.Conflict, op,
			fmt.Errorf("the schema is at version %d, this program knows up to %d: use a newer program", have, want))
	}
	return nil
}
