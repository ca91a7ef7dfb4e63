//go:build !cluster

package db_test

import (
	"testing"

	"github.com/livil/gopan/internal/db"
)

// steps is where the migrations are.
const steps = "migrations/sqlite"

// open opens the database of a folder as one more process, without its schema.
func open(t *testing.T, dir string) *db.DB {
	t.Helper()
	d, err := db.OpenSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}
