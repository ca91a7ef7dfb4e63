//go:build cluster

package dbtest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/livil/gopan/internal/db"
)

// MySQL tells which of the two it is.
const MySQL = true

// made are the databases that are there already.
var made sync.Map

// Open opens the database of a folder as one more process would, with its schema. The database is made when its folder
// is first seen, and dropped when the test that saw it ends.
func Open(t testing.TB, dir string) *db.DB {
	t.Helper()
	d, err := db.OpenMySQL(context.Background(), Settings(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return ready(t, d, dir)
}

// Settings is how to reach the database of a folder, which is made if it is not there.
func Settings(t testing.TB, dir string) db.MySQL {
	t.Helper()
	const variable = "GOPAN_TEST_MYSQL"
	c, err := mysql.ParseDSN(os.Getenv(variable))
	if err != nil || c.User == "" {
		t.Fatalf("%s names no server: `make cluster-up ONLY=router` starts one and tells its variables", variable)
	}
	sum := sha256.Sum256([]byte(dir))
	name := "gopan_test_" + hex.EncodeToString(sum[:12])
	if _, known := made.LoadOrStore(name, true); !known {
		Exec(t, "CREATE DATABASE "+name)
		t.Cleanup(func() { Exec(t, "DROP DATABASE "+name) })
	}
	return db.MySQL{Address: c.Addr, Name: name, User: c.User, Password: c.Passwd, Connections: 24}
}

// Exec runs a statement on the server, as its administrator.
func Exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	pool, err := sql.Open("mysql", os.Getenv("GOPAN_TEST_MYSQL"))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.ExecContext(context.Background(), statement, args...); err != nil {
		t.Error(fmt.Errorf("%s: %w", statement, err))
	}
}
