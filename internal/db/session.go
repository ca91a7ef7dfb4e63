package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"gorm.io/gorm"
)

// session is one connection to SQLite with the statements that were prepared on it. gorm's own statement cache
// does not reach into transactions, where every statement would be compiled anew, which costs more than
// running it; so transactions here run on sessions. One transaction has a session at a time.
type session struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
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
	st, err := s.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(ctx, args...)
}

// QueryContext implements gorm.ConnPool.
func (s *session) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	st, err := s.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(ctx, args...)
}

// QueryRowContext implements gorm.ConnPool.
func (s *session) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
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

// run runs fn in a transaction on the session. A panic of fn undoes it, too.
func (s *session) run(ctx context.Context, g *gorm.DB, begin string, fn func(tx *gorm.DB) error) (err error) {
	if _, err := s.ExecContext(ctx, begin); err != nil {
		return err
	}
	open := true
	defer func() {
		if open {
			// Undone whatever became of ctx, or the connection would stay in the transaction.
			if _, rerr := s.ExecContext(context.WithoutCancel(ctx), "ROLLBACK"); rerr != nil {
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
	// From here on it either is committed or is not; a context that ends now must not leave that open.
	if _, err := s.ExecContext(context.WithoutCancel(ctx), "COMMIT"); err != nil {
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
	s.stmts = nil
	_ = s.conn.Raw(func(any) error { return driver.ErrBadConn }) // makes the pool drop the connection
	return errors.Join(cause, s.conn.Close())
}

// sessions are the sessions of one kind, lent one at a time.
type sessions struct {
	pool  *sql.DB
	begin string
	gorm  *gorm.DB
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
	var s *session
	select {
	case s = <-p.free:
	case <-p.closed:
		return sql.ErrConnDone
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		if s != nil && s.stmts == nil {
			s = nil // discarded
		}
		p.free <- s
	}()
	if s == nil {
		var err error
		if s, err = newSession(ctx, p.pool); err != nil {
			return err
		}
	}
	return s.run(ctx, p.gorm, p.begin, fn)
}

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
