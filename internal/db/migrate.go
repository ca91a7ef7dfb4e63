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

// Migrate brings the database up to this program's schema; dir is the data folder.
func (d *DB) Migrate(ctx context.Context, dir string) error {
	if d.write.server {
		return errs.Wrap("db.Migrate", d.migrateMySQL(ctx))
	}
	return errs.Wrap("db.Migrate", d.migrateSQLite(ctx, dir))
}

// migrateSQLite brings the database in dir up. Each step is one transaction together
// with the record that it was made, so a process that is killed in the middle leaves nothing half done, and of
// several that start at once one does the work and the others wait.
func (d *DB) migrateSQLite(ctx context.Context, dir string) error {
	const op = errs.Op("db.migrateSQLite")
	lock := flock.New(filepath.Join(dir, lockName))
	if err := lock.Lock(); err != nil {
		return errs.E(errs.Internal, op, err)
	}
	defer func() { _ = lock.Unlock() }() // the kernel lets go of it in any case when the process ends

	return errs.Wrap(op, d.up(ctx, goose.DialectSQLite3, "migrations/sqlite"))
}

// up makes the steps in a folder that have not been made. The caller is alone with it.
func (d *DB) up(ctx context.Context, dialect goose.Dialect, folder string) error {
	const op = errs.Op("db.up")
	steps, err := fs.Sub(migrations, folder)
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	p, err := goose.NewProvider(dialect, d.write.pool, steps, goose.WithDisableGlobalRegistry(true))
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
