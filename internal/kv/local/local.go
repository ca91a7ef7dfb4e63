// Package local is a kv.Store in a file of the data folder, which the processes of one machine share.
package local

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // registers "sqlite"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/kv"
)

// Store is a kv.Store in SQLite. A restart keeps its entries; a power cut may lose the last ones, as they need
// not outlive it.
type Store struct {
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	db *sql.DB
}

var (
	_ kv.Store = (*Store)(nil)
	_ kv.Many  = (*Store)(nil)
)

const fileName = "kv.db"

// Open opens, or creates, the store in a data folder.
func Open(dir string) (*Store, error) {
	const op = errs.Op("kv.Open")
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(5000)", "cache_size(-1000)"}}
	dsn := "file:" + (&url.URL{Path: filepath.Join(dir, fileName)}).EscapedPath() + "?_txlock=immediate&" + q.Encode()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(context.Background(), `CREATE TABLE IF NOT EXISTS kv (
		key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID`)
	if err != nil {
		return nil, errs.E(errs.Internal, op, errors.Join(err, db.Close()))
	}
	return &Store{db: db}, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

func (s *Store) now() int64 {
	if s.Now != nil {
		return s.Now().UnixMilli()
	}
	return time.Now().UnixMilli()
}

func fail(op errs.Op, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return errs.E(errs.NotFound, op)
	}
	return errs.E(errs.Busy, op, errs.Code("kv_unavailable"), time.Second, err)
}

// Get implements kv.Store.
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	var v []byte
	err := s.db.QueryRowContext(ctx, "SELECT value FROM kv WHERE key = ? AND expires_at > ?", key, s.now()).Scan(&v)
	if err != nil {
		return nil, fail("kv.Get", err)
	}
	return v, nil
}

// GetMany implements kv.Many.
func (s *Store) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	const op = errs.Op("kv.GetMany")
	if len(keys) == 0 {
		return nil, nil
	}
	at, args := make(map[string][]int, len(keys)), make([]any, 1, len(keys)+1)
	args[0] = s.now()
	for i, k := range keys {
		if at[k] == nil {
			args = append(args, k)
		}
		at[k] = append(at[k], i)
	}
	marks := strings.Repeat(", ?", len(args)-2)
	rows, err := s.db.QueryContext(ctx, "SELECT key, value FROM kv WHERE expires_at > ? AND key IN (?"+marks+")", args...) //nolint:gosec // marks only
	if err != nil {
		return nil, fail(op, err)
	}
	defer rows.Close()
	values := make([][]byte, len(keys))
	for rows.Next() {
		var k string
		var v []byte
		if err := rows.Scan(&k, &v); err != nil {
			return nil, fail(op, err)
		}
		for _, i := range at[k] {
			values[i] = nonNil(v)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fail(op, err)
	}
	return values, nil
}

// Set implements kv.Store.
func (s *Store) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO kv VALUES (?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`,
		key, nonNil(value), s.now()+ttl.Milliseconds())
	if err != nil {
		return fail("kv.Set", err)
	}
	return nil
}

// Swap implements kv.Store.
func (s *Store) Swap(ctx context.Context, key string, old, value []byte, ttl time.Duration) (bool, error) {
	const op = errs.Op("kv.Swap")
	now := s.now()
	var res sql.Result
	var err error
	if old == nil {
		res, err = s.db.ExecContext(ctx, `INSERT INTO kv VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE
			SET value = excluded.value, expires_at = excluded.expires_at WHERE kv.expires_at <= ?`,
			key, nonNil(value), now+ttl.Milliseconds(), now)
	} else {
		res, err = s.db.ExecContext(ctx, `UPDATE kv SET value = ?, expires_at = ?
			WHERE key = ? AND value = ? AND expires_at > ?`, nonNil(value), now+ttl.Milliseconds(), key, old, now)
	}
	if err != nil {
		return false, fail(op, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return false, fail(op, err)
	}
	return n == 1, nil
}

// Add implements kv.Store. Counters are kept as SQLite integers.
func (s *Store) Add(ctx context.Context, key string, n int64, ttl time.Duration) (int64, error) {
	now := s.now()
	var sum int64
	err := s.db.QueryRowContext(ctx, `INSERT INTO kv VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET
		value = CASE WHEN kv.expires_at > ?4 THEN kv.value + excluded.value ELSE excluded.value END,
		expires_at = CASE WHEN kv.expires_at > ?4 THEN kv.expires_at ELSE excluded.expires_at END
		RETURNING value`, key, n, now+ttl.Milliseconds(), now).Scan(&sum)
	if err != nil {
		return 0, fail("kv.Add", err)
	}
	return sum, nil
}

// Delete implements kv.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if _, err := s.db.ExecContext(ctx, "DELETE FROM kv WHERE key = ?", key); err != nil {
		return fail("kv.Delete", err)
	}
	return nil
}

// Expire removes the entries whose time is over; they are invisible already.
func (s *Store) Expire(ctx context.Context) error {
	if _, err := s.db.ExecContext(ctx, "DELETE FROM kv WHERE expires_at <= ?", s.now()); err != nil {
		return fail("kv.Expire", err)
	}
	return nil
}

func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
