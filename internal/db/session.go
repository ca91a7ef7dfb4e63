package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"
)

// session is one connection. One transaction has it at a time.
//
// On SQLite it keeps the statements that were prepared on it: gorm's own statement cache does not reach into
// transactions, where every statement would be compiled anew, which costs more than running it. A server gets its
// statements as they are.
type session struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	// server: it is a connection to a server.
	server bool
	// failed is why the server has undone the transaction, or may have: what came after would be in no transaction.
	failed error
	// age of the connections when it was made.
	age int64
	// dead: it must not be used again.
	dead bool
}

// isBroken tells whether an error means that the connection is of no use any more.
func isBroken(err error) bool {
	var timeout net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &timeout)
}

// note keeps in mind that a statement's error has ended the transaction.
func (s *session) note(err error) error {
	if f := failureOf(err); err != nil && (f == undone || f == moved) && s.failed == nil {
		s.failed = err
	}
	return err
}

// maxStmts bounds the statements that a session keeps; multi-row inserts come in many lengths.
const maxStmts = 256

func newSession(ctx context.Context, pool *sql.DB) (*session, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &session{conn: conn, stmts: make(map[string]*sql.Stmt)}, nil
}

// PrepareContext implements gorm.ConnPool.
func (s *session) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	if s.server {
		return s.conn.PrepareContext(ctx, query)
	}
	if st, ok := s.stmts[query]; ok {
		return st, nil
	}
	// A statement outlives the request that first needed it.
	st, err := s.conn.PrepareContext(context.WithoutCancel(ctx), query)
	if err != nil {
		return nil, err
	}
	if len(s.stmts) >= maxStmts {
		for q, old := range s.stmts {
			_ = old.Close() // it is only a cache
			delete(s.stmts, q)
			break
		}
	}
	s.stmts[query] = st
	return st, nil
}

// ExecContext implements gorm.ConnPool.
func (s *session) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if s.server {
		if s.failed != nil {
			return nil, s.failed
		}
		res, err := s.conn.ExecContext(ctx, query, args...)
		return res, s.note(err)
	}
	st, err := s.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(ctx, args...)
}

// QueryContext implements gorm.ConnPool.
func (s *session) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s.server {
		if s.failed != nil {
			return nil, s.failed
		}
		rows, err := s.conn.QueryContext(ctx, query, args...)
		return rows, s.note(err)
	}
	st, err := s.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(ctx, args...)
}

// QueryRowContext implements gorm.ConnPool.
func (s *session) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s.server {
		row := s.conn.QueryRowContext(ctx, query, args...)
		_ = s.note(row.Err()) // Scan reports it
		return row
	}
	st, err := s.PrepareContext(ctx, query)
	if err != nil {
		return s.conn.QueryRowContext(ctx, query, args...) // reports the same error
	}
	return st.QueryRowContext(ctx, args...)
}

// Commit and Rollback make gorm see that it is in a transaction already. Only run ends it.
func (*session) Commit() error { return errNested }

// Rollback is like Commit.
func (*session) Rollback() error { return errNested }

var errNested = errors.New("a transaction is ended by db.Read or db.Write alone")

// control runs a statement that begins or ends a transaction.
func (s *session) control(ctx context.Context, statement string) error {
	var err error
	if s.server {
		_, err = s.conn.ExecContext(ctx, statement)
	} else {
		_, err = s.ExecContext(ctx, statement)
	}
	return err
}

// run runs fn in the transaction that has begun on the session, and ends it. A panic of fn undoes it, too.
func (s *session) run(ctx context.Context, g *gorm.DB, fn func(tx *gorm.DB) error) (err error) {
	open := true
	defer func() {
		s.failed = nil
		if open {
			// Undone whatever became of ctx, or the connection would stay in the transaction.
			if rerr := s.control(context.WithoutCancel(ctx), "ROLLBACK"); rerr != nil {
				err = errors.Join(err, s.discard(rerr))
			}
		}
	}()
	tx := g.Session(&gorm.Session{NewDB: true, Context: ctx})
	tx.Statement.ConnPool = s
	if err := fn(tx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.failed != nil {
		return s.failed // though fn took no notice
	}
	// From here on it either is committed or is not; a context that ends now must not leave that open.
	if err := s.control(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		var answered *mysql.MySQLError
		if s.server && (!errors.As(err, &answered) || failureOf(err) == final) {
			err = errors.Join(errUnknown, err)
		}
		return err
	}
	open = false
	return nil
}

// discard closes a connection whose state is not known. The session must not be used again.
func (s *session) discard(cause error) error {
	for _, st := range s.stmts {
		_ = st.Close()
	}
	s.stmts, s.dead = nil, true
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn }) // makes the pool drop the connection
	return errors.Join(cause, s.conn.Close())
}

// sessions are the sessions of one kind, lent one at a time.
type sessions struct {
	pool  *sql.DB
	begin string
	gorm  *gorm.DB
	// server: they are connections to a server, which can go away, and be another one when it is back.
	server bool
	// age of the connections: those made before it changed are not used again.
	age atomic.Int64
	// free holds idle sessions; a nil stands for one that is yet to be made.
	free chan *session
	// closed is closed when no more transactions may begin.
	closed chan struct{}
}

func newSessions(pool *sql.DB, g *gorm.DB, begin string, n int) *sessions {
	p := &sessions{pool: pool, begin: begin, gorm: g, free: make(chan *session, n), closed: make(chan struct{})}
	for range n {
		p.free <- nil
	}
	return p
}

// transaction runs fn in a transaction on a session of its own, waiting for one to be free.
func (p *sessions) transaction(ctx context.Context, fn func(tx *gorm.DB) error) error {
	s, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if s != nil && s.dead {
			s = nil
		}
		p.free <- s
	}()
	if s != nil && s.age != p.age.Load() {
		_ = s.discard(nil)
		s = nil
	}
	if s != nil {
		// A connection that has lain idle may have been closed at its other end. Nothing was done on it yet.
		if err := s.control(ctx, p.begin); err == nil {
			return s.run(ctx, p.gorm, fn)
		} else if !p.server {
			return s.unbegun(ctx, err)
		} else if ctx.Err() != nil {
			return err
		} else {
			_ = s.discard(err)
		}
	}
	age := p.age.Load()
	if s, err = newSession(ctx, p.pool); err != nil {
		return err
	}
	s.server, s.age = p.server, age
	if err := s.control(ctx, p.begin); err != nil {
		if p.server {
			return s.discard(err)
		}
		return s.unbegun(ctx, err)
	}
	return s.run(ctx, p.gorm, fn)
}

// unbegun leaves SQLite's session without a transaction after its beginning failed: a context that ends at that moment
// is an error, though SQLite may have begun. That there is none to undo is an error, too, and the usual one.
func (s *session) unbegun(ctx context.Context, cause error) error {
	_ = s.control(context.WithoutCancel(ctx), "ROLLBACK")
	return cause
}

// queue is how long a transaction waits for one of a server's connections. When all are busy for longer, more callers in
// line would only make it worse.
const queue = 2 * time.Second

// take waits for a session to be free; it is nil when it is yet to be made.
func (p *sessions) take(ctx context.Context) (*session, error) {
	select {
	case s := <-p.free:
		return s, nil
	default:
	}
	var late <-chan time.Time
	if p.server {
		timer := time.NewTimer(queue)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case s := <-p.free:
		return s, nil
	case <-p.closed:
		return nil, sql.ErrConnDone
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-late:
		return nil, errExhausted
	}
}

var errExhausted = errors.New("all connections to the database are busy")

// close closes all sessions, waiting for those that are lent.
func (p *sessions) close() error {
	close(p.closed)
	var all []error
	for range cap(p.free) {
		if s := <-p.free; s != nil {
			for _, st := range s.stmts {
				all = append(all, st.Close())
			}
			all = append(all, s.conn.Close())
		}
	}
	return errors.Join(append(all, p.pool.Close())...)
}
