package db

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// failure is what an error says about a transaction on a server.
type failure int

const (
	// final: the same again would fail again, or nobody waits for it.
	final failure = iota
	// undone: others were in the way; the transaction can be run again at once.
	undone
	// moved: the server does not take writes now, or is not there; another one may be soon.
	moved
	// wrong: what was to be written is not what the tables can hold. Whoever wrote it is at fault, not the database.
	wrong
	// unknown: the connection broke while the transaction was being committed. It may have been.
	unknown
)

// Numbers of MySQL's errors (https://dev.mysql.com/doc/mysql-errors/9.0/en/server-error-reference.html).
var failures = map[uint16]failure{
	1205: undone, // lock wait timeout
	1213: undone, // deadlock
	1020: undone, // the row has changed since it was read
	1062: undone, // somebody else came first with a key, which this transaction will see when it runs again
	3101: undone, // the group refused it at COMMIT
	3572: undone, // a lock is not free

	1290: moved, // read_only
	1836: moved, // read-only mode
	3100: moved, // replication failed before COMMIT
	3098: moved, // the group cannot take it
	3032: moved, // offline mode
	1053: moved, // shutting down
	1927: moved, // connection was killed
	3168: moved, // not ready yet
	3169: moved, // session was killed
	1040: moved, // too many connections
	1129: moved, // host blocked

	1048: wrong, // NULL where none may be
	1153: wrong, // a packet too large
	1264: wrong, // out of range
	1366: wrong, // not a value of that type
	1406: wrong, // too long
	1452: wrong, // a foreign key to nothing
	1644: wrong, // a trigger's refusal
	1690: wrong, // out of range while computing
	3819: wrong, // a CHECK constraint
}

// errUnknown marks the error of a COMMIT whose outcome is not known.
var errUnknown = errors.New("whether the transaction was committed is not known")

// failureOf says what an error of a transaction on a server means.
func failureOf(err error) failure {
	var e *driver.MySQLError
	switch {
	case errors.Is(err, errUnknown):
		return unknown
	case errors.As(err, &e):
		return failures[e.Number]
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return final
	case isConstraint(err):
		return wrong
	case isBroken(err):
		return moved
	}
	return final
}

// isConstraint tells whether SQLite says that a table cannot hold what was to be written.
func isConstraint(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff { // the rest says which constraint
	case lib.SQLITE_CONSTRAINT, lib.SQLITE_TOOBIG, lib.SQLITE_MISMATCH:
		return true
	}
	return false
}

// isDuplicate tells whether a key was there already, however often the transaction was run.
func isDuplicate(err error) bool {
	var e *driver.MySQLError
	return errors.As(err, &e) && e.Number == 1062
}

// Taken tells whether a write failed because what has to be unique was there already.
func Taken(err error) bool {
	var e *sqlite.Error
	return isDuplicate(err) ||
		errors.As(err, &e) && (e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE || e.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// Bounds of a write that is run again. The first pause is for others that were in the way, ten times as long for
// a server that is not there.
const (
	attempts   = 4
	firstPause = 10 * time.Millisecond
	retryFor   = 10 * time.Second
)

// pause waits before the next attempt; false: there is to be none.
func pause(ctx context.Context, f failure, attempt int, begun time.Time) bool {
	d := firstPause << (2 * (attempt - 1))
	switch f {
	case undone:
	case moved:
		d = 10 * firstPause << (attempt - 1)
	case final, wrong, unknown:
		return false
	}
	if attempt >= attempts || time.Since(begun) > retryFor {
		return false
	}
	// By chance, so that two who met do not meet again.
	chance, err := rand.Int(rand.Reader, big.NewInt(int64(d)))
	if err != nil {
		return false
	}
	select {
	case <-time.After(d/2 + time.Duration(chance.Int64())):
		return true
	case <-ctx.Done():
		return false
	}
}
