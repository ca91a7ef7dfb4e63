// Package db opens the database and brings its schema up to date; what is in the tables is the roles' affair.
package db

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	_ "modernc.org/sqlite" // registers "sqlite"; docs/decisions/0003-sqlite-driver.md says why this one

	"github.com/livil/gopan/internal/errs"
)

// DB is an open database. It hands out transactions only: a read sees one moment of the whole database; a write is
// alone on SQLite, and on MySQL alone with what it locks.
type DB struct {
	read, write *sessions
	// once guards close, and closed says that it has been.
	once   sync.Once
	closed error
}

// fileName of the SQLite database in the data folder.
const fileName = "gopan.db"

// readers is how many connections read at once; each has a cache of 2 MB at most.
const readers = 4

// pragmas that every SQLite connection gets. synchronous=FULL makes COMMIT wait for the disk (promise D1);
// trusted_schema and cell_size_check make a damaged or hostile file an error.
var pragmas = []string{
	"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "foreign_keys(1)", "trusted_schema(0)",
	"cache_size(-2000)", "wal_autocheckpoint(2000)", "temp_store(MEMORY)",
}

// OpenSQLite opens, or creates, the database in a data folder. Several processes may have it open.
func OpenSQLite(dir string) (*DB, error) {
	const op = errs.Op("db.OpenSQLite")
	open := func(extra, begin string, conns int) (*sessions, error) {
		q := url.Values{"_pragma": pragmas}
		dsn := "file:" + (&url.URL{Path: filepath.Join(dir, fileName)}).EscapedPath() + "?" + q.Encode() + extra
		pool, err := sql.Open("sqlite", dsn)
		if err != nil {
			return nil, err
		}
		g, err := gorm.Open(sqlite.New(sqlite.Config{Conn: pool}), &gorm.Config{
			Logger:                 logger.Discard, // errors reach the caller, who knows what they mean
			SkipDefaultTransaction: true,
		})
		if err != nil {
			return nil, errors.Join(err, pool.Close())
		}
		return newSessions(pool, g, begin, conns), nil
	}
	// SQLite has one writer at a time. One session makes the others wait in line here, fairly and with their
	// contexts, instead of polling the file's lock; BEGIN IMMEDIATE makes a write fail at its start or not
	// at all when another process writes.
	write, err := open("", "BEGIN IMMEDIATE", 1)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	read, err := open("&_pragma=query_only(1)", "BEGIN", readers)
	if err != nil {
		return nil, errs.E(errs.Internal, op, errors.Join(err, write.close()))
	}
	return &DB{read: read, write: write}, nil
}

// Read runs fn on one snapshot of the database. What fn returns is what Read returns; a failure of the database
// itself is errs.Busy, as it may well pass, and errs.Internal where what was written is at fault.
func (d *DB) Read(ctx context.Context, fn func(tx *gorm.DB) error) error {
	const op = errs.Op("db.Read")
	err, refused := once(ctx, d.read, fn)
	return answer(op, err, refused)
}

// Write runs fn in a transaction that is durable when Write returns nil, and undone otherwise; only when a server's
// connection breaks while it commits, nobody knows, and Write returns errs.Busy. On a server other writes
// go on at the same time: fn locks what it relies on, and runs again, from its start, when the server has undone it.
func (d *DB) Write(ctx context.Context, fn func(tx *gorm.DB) error) error {
	const op = errs.Op("db.Write")
	begun := time.Now()
	for attempt := 1; ; attempt++ {
		err, refused := once(ctx, d.write, fn)
		if err == nil || !d.write.server {
			return answer(op, err, refused)
		}
		f := failureOf(err)
		if f == moved {
			// The other connections are to the same server.
			d.read.age.Add(1)
			d.write.age.Add(1)
		}
		if !pause(ctx, f, attempt, begun) {
			if f != final {
				refused = nil
			}
			return answer(op, err, refused)
		}
	}
}

// once runs fn in one transaction. refused is what fn said, if that was an answer and no failure.
func once(ctx context.Context, on *sessions, fn func(tx *gorm.DB) error) (err, refused error) {
	err = on.transaction(ctx, func(tx *gorm.DB) error {
		err := fn(tx)
		var known *errs.Error
		if errors.As(err, &known) {
			refused = err
		}
		return err
	})
	return err, refused
}

func answer(op errs.Op, err, refused error) error {
	switch {
	case err == nil:
		return nil
	case refused != nil:
		return refused
	case errors.Is(err, context.Canceled):
		return errs.E(errs.Canceled, op, err)
	case errors.Is(err, gorm.ErrRecordNotFound):
		return errs.E(errs.NotFound, op, err)
	case failureOf(err) == wrong, isDuplicate(err):
		return errs.E(errs.Internal, op, err)
	}
	return errs.E(errs.Busy, op, errs.Code("database_unavailable"), time.Second, err)
}

// Ping tells whether the database answers.
func (d *DB) Ping(ctx context.Context) error {
	return d.Read(ctx, func(tx *gorm.DB) error { return tx.Exec("SELECT 1").Error })
}

// Close closes every connection; in SQLite the last one also folds the log into the database file. Transactions
// under way end first, and no more may be begun.
func (d *DB) Close() error {
	d.once.Do(func() { d.closed = errors.Join(d.read.close(), d.write.close()) })
	return errs.Wrap("db.Close", d.closed)
}
