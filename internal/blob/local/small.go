package local

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"path"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// smallLimit is the size in bytes up to which a blob is a row of small.db and not a file.
// docs/decisions/0013-small-blobs-in-sqlite.md has the measurements.
const smallLimit = 64 << 10

const smallFile = "small.db"

// small keeps blobs as rows of a SQLite database, many to an fsync. It uses the driver's connections directly:
// each belongs to one goroutine at a time, and database/sql would cost as much again as reading a row.
type small struct {
	path string
	// on runs one operation on the disk: Store.on, where tests fail it.
	on func(op string, fn func() error) error
	// readers are the connections that nobody reads with at the moment.
	readers chan *conn

	queue  chan *change
	done   chan struct{} // closed when the queue is worked off
	writer *writer       // run's own until done; nil after a failure, until the next change

	mu     sync.RWMutex // held for reading while sending to queue
	closed bool
}

const (
	// readConns is how many read at once.
	readConns = 4
	// walPages is after how many pages of 4 KiB, 16 MiB, a commit carries the log over into the database. More
	// would let an index page that changes often be carried over less often, and a commit that does it take longer.
	walPages = 4000
)

// schema. put_at is in nanoseconds since 1970. New rows go to the table's end, where those that are committed
// together share pages; only the index is touched all over.
const schema = `CREATE TABLE IF NOT EXISTS blobs (
	digest BLOB NOT NULL UNIQUE, put_at INTEGER NOT NULL, data BLOB NOT NULL)`

// openSmall opens, or creates, the database in a store's folder.
func openSmall(dir string, on func(string, func() error) error) (*small, error) {
	// What SQLite does by itself wherever its build finds fdatasync. The switch is the process's.
	if _, err := sqlite.Fdatasync(true); err != nil && !errors.Is(err, sqlite.ErrFdatasyncUnavailable) {
		return nil, err
	}
	s := &small{
		path:    path.Join(dir, smallFile),
		on:      on,
		readers: make(chan *conn, readConns),
		queue:   make(chan *change, maxBatch),
		done:    make(chan struct{}),
	}
	var err error
	if s.writer, err = s.openWriter(); err != nil {
		return nil, err
	}
	for range readConns {
		r, err := s.openReader()
		if err != nil {
			for range len(s.readers) {
				err = errors.Join(err, (<-s.readers).close())
			}
			return nil, errors.Join(err, s.writer.close())
		}
		s.readers <- r
	}
	go s.run()
	return s, nil
}

// connect opens a connection. synchronous=FULL makes COMMIT wait for the disk (promise D1); trusted_schema and
// cell_size_check make a damaged or hostile file an error.
func (s *small) connect(pragmas ...string) (*conn, error) {
	q := url.Values{"_pragma": append([]string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)",
		"trusted_schema(0)", "cell_size_check(1)", "temp_store(MEMORY)"}, pragmas...)}
	dsn, err := sqlite.NewConnector("file:" + (&url.URL{Path: s.path}).EscapedPath() + "?" + q.Encode())
	if err != nil {
		return nil, err
	}
	c, err := dsn.Connect(context.Background())
	return &conn{Conn: c}, err
}

// conn is a connection and its prepared statements.
type conn struct {
	driver.Conn
	stmts []statement
}

type statement interface {
	driver.StmtExecContext
	driver.StmtQueryContext
	Close() error
}

func (c *conn) prepare(queries []string) error {
	for _, q := range queries {
		st, err := c.Prepare(q)
		if err != nil {
			return errors.Join(err, c.close())
		}
		c.stmts = append(c.stmts, st.(statement))
	}
	return nil
}

// close undoes a transaction that is under way. With a statement left SQLite would put all that off.
func (c *conn) close() error {
	var all []error
	for _, st := range c.stmts {
		all = append(all, st.Close())
	}
	return errors.Join(append(all, c.Close())...)
}

// args makes the arguments of a statement.
func args(values ...driver.Value) []driver.NamedValue {
	named := make([]driver.NamedValue, len(values))
	for i, v := range values {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return named
}

// The statements of a reader.
const (
	getData = iota
	getTime
	getPage
	getPart
)

var readQueries = []string{
	getData: "SELECT data FROM blobs WHERE digest = ?",
	getTime: "SELECT put_at FROM blobs WHERE digest = ?",
	// The length of a value is in its row's header: this does not read the bytes.
	getPage: "SELECT rowid, digest, put_at, length(data) FROM blobs WHERE rowid > ? ORDER BY rowid LIMIT 500",
	getPart: "SELECT rowid, digest, put_at, length(data) FROM blobs WHERE digest > ? AND digest < ? ORDER BY digest LIMIT 500",
}

func (s *small) openReader() (*conn, error) {
	c, err := s.connect("query_only(1)", "cache_size(-1000)")
	if err != nil {
		return nil, err
	}
	return c, c.prepare(readQueries)
}

// query runs a statement of a reader and calls fn with each row. What a row holds is fn's to keep.
func (s *small) query(statement int, values []driver.NamedValue, columns int, fn func(row []driver.Value) error) error {
	r, ok := <-s.readers
	if !ok {
		return errClosed
	}
	defer func() { s.readers <- r }()
	// Not the caller's context: a read takes microseconds, and watching for its end as long again.
	rows, err := r.stmts[statement].QueryContext(context.Background(), values)
	if err != nil {
		return err
	}
	row := make([]driver.Value, columns)
	for err == nil {
		if err = rows.Next(row); err == nil {
			err = fn(row)
		}
	}
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, rows.Close())
}

// get gives the bytes of a blob, or fs.ErrNotExist.
func (s *small) get(d blob.Digest) (data []byte, err error) {
	found := false
	err = s.query(getData, args(d[:]), 1, func(row []driver.Value) error {
		found = true
		data, _ = row[0].([]byte)
		return nil
	})
	if err == nil && !found {
		err = fs.ErrNotExist
	}
	return data, err
}

// putAt tells when a blob was last put, and whether it is there.
func (s *small) putAt(d blob.Digest) (at time.Time, found bool, err error) {
	err = s.query(getTime, args(d[:]), 1, func(row []driver.Value) error {
		ns, _ := row[0].(int64)
		at, found = time.Unix(0, ns), true
		return nil
	})
	return at, found, err
}

// list calls fn for every blob until it fails.
func (s *small) list(ctx context.Context, fn func(blob.Entry) error) error {
	last := int64(0)
	return s.pages(ctx, func() (int, []driver.NamedValue) { return getPage, args(last) }, func(id int64, _ blob.Digest) bool {
		forward := id > last
		last = id
		return forward
	}, fn)
}

// listPart is list for the blobs whose digest begins with a byte.
func (s *small) listPart(ctx context.Context, first byte, fn func(blob.Entry) error) error {
	after := []byte{first}                                                          // before all of them,
	end := append([]byte{first}, bytes.Repeat([]byte{0xff}, len(blob.Digest{}))...) // and this is behind them
	return s.pages(ctx, func() (int, []driver.NamedValue) { return getPart, args(after, end) }, func(_ int64, d blob.Digest) bool {
		forward := bytes.Compare(d[:], after) > 0
		after = d[:]
		return forward
	}, fn)
}

// pages calls fn for every blob of the pages that next selects, until one is empty or fn fails. passed is told of each, and
// says whether it is behind those before. One long read would keep the log from being emptied all the while.
func (s *small) pages(ctx context.Context, next func() (int, []driver.NamedValue), passed func(int64, blob.Digest) bool,
	fn func(blob.Entry) error,
) error {
	for {
		var page []blob.Entry
		statement, values := next()
		err := s.query(statement, values, 4, func(row []driver.Value) error {
			id, _ := row[0].(int64)
			digest, _ := row[1].([]byte)
			at, _ := row[2].(int64)
			size, _ := row[3].(int64)
			if len(digest) != len(blob.Digest{}) || !passed(id, blob.Digest(digest)) {
				return errs.E(errs.Corrupt, "local.small.pages", "a row that is no blob")
			}
			ref := blob.Ref{Digest: blob.Digest(digest), Size: size}
			page = append(page, blob.Entry{Info: blob.Info{Ref: ref, PutAt: time.Unix(0, at)}})
			return nil
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			if err := ctx.Err(); err != nil {
				return errs.Wrap("local.small.pages", err)
			}
			if err := fn(e); err != nil {
				return err
			}
		}
	}
}

// close waits for what is under way.
func (s *small) close() error {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.closed = true
		close(s.queue)
	}
	s.mu.Unlock()
	<-s.done
	if closed {
		return nil
	}
	var all []error
	for range readConns {
		all = append(all, (<-s.readers).close())
	}
	close(s.readers)
	if s.writer != nil {
		all = append(all, s.writer.close())
	}
	return errors.Join(all...)
}

// sqliteCode gives the primary result code of an error of SQLite, and SQLITE_OK for any other.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return sqlite3.SQLITE_OK
}
