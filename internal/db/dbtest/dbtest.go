// Package dbtest opens the database that a test runs on: SQLite, or MySQL with the build tag cluster.
package dbtest

import (
	"context"
	"testing"

	"github.com/livil/gopan/internal/db"
)

func ready(t testing.TB, d *db.DB, dir string) *db.DB {
	t.Helper()
	t.Cleanup(func() { _ = d.Close() })
	if err := d.Migrate(context.Background(), dir); err != nil {
		t.Fatal(err)
	}
	return d
}
