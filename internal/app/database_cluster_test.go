//go:build cluster

package app

import (
	"testing"

	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/db/dbtest"
)

// onDatabase has settings name the database that the tests of several processes run on: SQLite, or MySQL with the build
// tag cluster.
func onDatabase(t *testing.T, c *config.Config) {
	t.Helper()
	m := dbtest.Settings(t, c.Data)
	t.Setenv(passwordVariable["database"], m.Password)
	c.Database.Driver, c.Database.Address, c.Database.Name, c.Database.User = "mysql", m.Address, m.Name, m.User
}
