//go:build !cluster

package dbtest

import (
	"testing"

	"github.com/livil/gopan/internal/db"
)

// MySQL tells which of the two it is.
const MySQL = false

// Open opens the database of a folder as one more process would, with its schema. What it opened is closed when the
// test ends, unless it was before.
func Open(t testing.TB, dir string) *db.DB {
	t.Helper()
	d, err := db.OpenSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ready(t, d, dir)
}
