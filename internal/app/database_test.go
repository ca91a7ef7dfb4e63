//go:build !cluster

package app

import (
	"testing"

	"github.com/livil/gopan/internal/config"
)

// onDatabase has settings name the database that the tests of several processes run on: SQLite, or MySQL with the build
// tag cluster.
func onDatabase(*testing.T, *config.Config) {}
