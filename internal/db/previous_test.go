package db

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
)

// column as SQLite tells of it.
type column struct {
	Table     string
	Name      string
	Type      string
	Notnull   bool
	DfltValue *string
}

// columnsOf are the columns of all tables, by "table.column".
func columnsOf(t *testing.T, d *DB) map[string]column {
	t.Helper()
	var list []column
	if err := d.Read(t.Context(), func(tx *gorm.DB) error {
		return tx.Raw(`SELECT m.name AS "table", c.name, c.type, c."notnull", c.dflt_value
			FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`).Scan(&list).Error
	}); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]column)
	for _, c := range list {
		all[c.Table+"."+c.Name] = c
	}
	return all
}

// D12: each step leaves every column that the program before it reads, and adds none to a table that it writes
// which would have to be given a value.
func TestPreviousProgramCanWork(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	steps, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, d.write.pool, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range p.ListSources() {
		before := columnsOf(t, d)
		if _, err := p.UpTo(t.Context(), step.Version); err != nil {
			t.Fatal(err)
		}
		after := columnsOf(t, d)
		tables := make(map[string]bool)
		for name, c := range before {
			tables[c.Table] = true
			if now, ok := after[name]; !ok || now.Type != c.Type {
				t.Errorf("step %d takes %s away or makes another type of it", step.Version, name)
			}
		}
		for name, c := range after {
			if _, known := before[name]; !known && tables[c.Table] && c.Notnull && c.DfltValue == nil {
				t.Errorf("step %d adds %s, which the program before would leave out", step.Version, name)
			}
		}
		if i == 0 && len(after) == 0 {
			t.Fatal("the first step made no tables")
		}
	}
	// And back, as far as the first step.
	if _, err := p.DownTo(t.Context(), 1); err != nil {
		t.Error(err)
	}
	for name := range columnsOf(t, d) {
		if strings.HasPrefix(name, "reservations.") {
			t.Errorf("%s is there after the way down", name)
		}
	}
}
