// Package sqlitebench measures the SQLite drivers that a Go program can choose from, on the
// statements that Gopan's tree runs most. The result is recorded in
// docs/decisions/0003-sqlite-driver.md; run it again with `make bench-sqlite`.
package sqlitebench

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// The three drivers; ncruces and mattn both register "sqlite3", so ncruces is opened through
// its own package when cgo is off and mattn is then absent.
var drivers = []struct{ label, name, dsn string }{
	{"modernc", "sqlite", "file:%s?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_pragma=cache_size(-16000)&_pragma=mmap_size(268435456)"},
	{cgoLabel, "sqlite3", cgoDSN},
}

const schema = `CREATE TABLE nodes (
  id INTEGER PRIMARY KEY, drive_id INTEGER NOT NULL, parent_id INTEGER NOT NULL, name TEXT NOT NULL,
  kind INTEGER NOT NULL, sort_key BLOB NOT NULL, size INTEGER NOT NULL, digest BLOB, modified_at INTEGER NOT NULL);
CREATE UNIQUE INDEX nodes_name ON nodes(parent_id, name);
CREATE INDEX nodes_list ON nodes(parent_id, kind, sort_key);`

const row = "(?,1,?,?,2,?,4096,?,1700000000)"

var digest = make([]byte, 32)

func open(b *testing.B, name, dsn string) *sql.DB {
	db, err := sql.Open(name, fmt.Sprintf(dsn, filepath.Join(b.TempDir(), "b.db")))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if _, err := db.Exec(schema); err != nil {
		b.Fatal(err)
	}
	return db
}

func insert(b *testing.B, db *sql.DB, from, n int) {
	args := make([]any, 0, n*5)
	for i := from; i < from+n; i++ {
		name := fmt.Sprintf("file-%08d.bin", i)
		args = append(args, i, i%10, name, []byte(name), digest)
	}
	stmt := "INSERT INTO nodes VALUES " + strings.TrimSuffix(strings.Repeat(row+",", n), ",")
	if _, err := db.Exec(stmt, args...); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkDrivers(b *testing.B) {
	for _, d := range drivers {
		b.Run(d.label+"/commit1", func(b *testing.B) {
			db := open(b, d.name, d.dsn)
			for i := range b.N {
				insert(b, db, i, 1)
			}
		})
		b.Run(d.label+"/insert500", func(b *testing.B) {
			db := open(b, d.name, d.dsn)
			for i := range b.N {
				insert(b, db, i*500, 500)
			}
			b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "rows/s")
		})
		b.Run(d.label+"/point", func(b *testing.B) {
			db := open(b, d.name, d.dsn)
			for i := range 20 {
				insert(b, db, i*500, 500)
			}
			st, err := db.Prepare("SELECT id,size,digest FROM nodes WHERE parent_id=? AND name=?")
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				i := 0
				for pb.Next() {
					i = (i + 7919) % 10000
					var id, size int64
					var dg []byte
					if err := st.QueryRow(i%10, fmt.Sprintf("file-%08d.bin", i)).Scan(&id, &size, &dg); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
		b.Run(d.label+"/page1000", func(b *testing.B) {
			db := open(b, d.name, d.dsn)
			for i := range 40 {
				insert(b, db, i*500, 500)
			}
			b.ResetTimer()
			for range b.N {
				rows, err := db.Query("SELECT id,name,size,digest,modified_at FROM nodes WHERE parent_id=3 AND kind=2 AND sort_key>? ORDER BY sort_key LIMIT 1000", []byte("file-00000500"))
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for rows.Next() {
					var id, size, m int64
					var name string
					var dg []byte
					if err := rows.Scan(&id, &name, &size, &dg, &m); err != nil {
						b.Fatal(err)
					}
					n++
				}
				if n != 1000 {
					b.Fatal(n)
				}
			}
		})
	}
}
