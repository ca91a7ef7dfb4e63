package db

import (
	"context"
	"database/sql"
	"errors"

	driver "github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"

	"github.com/livil/gopan/internal/errs"
)

// migrationLock is a name that the server's users share, so it holds the database's.
const migrationLock = "concat('gopan.', left(sha2(database(), 256), 40))"

// versionTable is goose's own. goose makes the table and its first row in a transaction, which is none on MySQL: killed
// between the two, it would never start again.
var versionTable = []string{
	`CREATE TABLE IF NOT EXISTS goose_db_version (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, version_id BIGINT NOT NULL,
		is_applied BOOLEAN NOT NULL, tstamp DATETIME NULL DEFAULT CURRENT_TIMESTAMP)`,
	`INSERT INTO goose_db_version (version_id, is_applied)
		SELECT 0, TRUE FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM goose_db_version)`,
}

// migrateMySQL brings the database up. A statement that changes the schema commits by itself on MySQL, so every
// statement of a step can be run again, and a step that was cut off is made again from its start. The server's lock lets
// one process do it at a time; it is free when that process's connection ends.
func (d *DB) migrateMySQL(ctx context.Context) (err error) {
	const op = errs.Op("db.migrateMySQL")
	conn, err := d.write.pool.Conn(ctx)
	if err != nil {
		return errs.E(errs.Busy, op, errs.Code("database_unavailable"), err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := lock(ctx, conn); err != nil {
		return errs.E(errs.Busy, op, errs.Code("database_unavailable"), err)
	}
	defer func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "DO RELEASE_LOCK("+migrationLock+")") // or it ends with the connection
	}()
	for _, s := range versionTable {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			return errs.E(errs.Internal, op, err)
		}
	}
	// The server finishes a statement whose connection has ended. Who comes next may find its column not there yet, and
	// there when it adds it, by then for good: the step is made again, as often as there are such statements.
	for range restarts {
		if err = d.up(ctx, goose.DialectMySQL, "migrations/mysql"); !isThere(err) {
			break
		}
	}
	return errs.Wrap(op, err)
}

// restarts of a step whose statements another process had begun.
const restarts = 10

// isThere tells whether a column or an index was to be added that is there already.
func isThere(err error) bool {
	var e *driver.MySQLError
	return errors.As(err, &e) && (e.Number == 1060 || e.Number == 1061)
}

// lock waits for the lock, and gives up with ctx.
func lock(ctx context.Context, conn *sql.Conn) error {
	for {
		// Shorter than a connection may be silent.
		var got sql.NullInt64
		if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+migrationLock+", 5)").Scan(&got); err != nil || got.Int64 == 1 {
			return err
		}
	}
}
