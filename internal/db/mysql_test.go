//go:build cluster

package db_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/db/dbtest"
	"github.com/livil/gopan/internal/errs"
)

// steps is where the migrations are.
const steps = "migrations/mysql"

// open opens the database of a folder as one more process, without its schema.
func open(t *testing.T, dir string) *db.DB {
	t.Helper()
	return openAs(t, dbtest.Settings(t, dir))
}

func openAs(t *testing.T, m db.MySQL) *db.DB {
	t.Helper()
	d, err := db.OpenMySQL(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// through opens a database through a proxy.
func through(t *testing.T, connections int) (*db.DB, *proxy) {
	t.Helper()
	m := dbtest.Settings(t, t.TempDir())
	p := newProxy(t, m.Address)
	m.Address, m.Connections = p.address(), connections
	d := openAs(t, m)
	if err := d.Migrate(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return d, p
}

func insert(d *db.DB, name string, ran *int) error {
	return d.Write(context.Background(), func(tx *gorm.DB) error {
		*ran++
		return tx.Exec("INSERT INTO sequences VALUES (?, 1)", name).Error
	})
}

func names(t *testing.T, d *db.DB) (names []string) {
	t.Helper()
	if err := d.Read(t.Context(), func(tx *gorm.DB) error {
		return tx.Raw("SELECT name FROM sequences ORDER BY name").Scan(&names).Error
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

// F11, D12: a migration that is cut off before any of its statements is made again from there.
func TestClusterMigrateCutOff(t *testing.T) {
	for polls := 1; ; polls += 2 {
		if polls > 1000 {
			t.Fatal("it never ran through")
		}
		dir := t.TempDir()
		d := open(t, dir)
		cut := d.Migrate(&countdown{Context: context.Background(), left: polls}, dir)
		if err := d.Migrate(t.Context(), dir); err != nil {
			t.Fatalf("after %d looks at its context (%v): %v", polls, cut, err)
		}
		ran := 0
		if err := insert(d, "x", &ran); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if cut == nil {
			return
		}
	}
}

// The two schemas have the same tables and columns, and the same of them may be NULL.
func TestClusterSameSchema(t *testing.T) {
	dir := t.TempDir()
	lite, err := db.OpenSQLite(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lite.Close() })
	my := open(t, dir)
	columns := func(d *db.DB, query string) (all []string) {
		if err := d.Migrate(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		if err := d.Read(t.Context(), func(tx *gorm.DB) error { return tx.Raw(query).Scan(&all).Error }); err != nil {
			t.Fatal(err)
		}
		slices.Sort(all)
		return all
	}
	want := columns(lite, `SELECT m.name || '.' || c.name || ' ' || c."notnull" FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'goose%' AND m.name NOT LIKE 'sqlite%'`)
	got := columns(my, `SELECT table_name || '.' || column_name || ' ' || (is_nullable = 'NO') FROM information_schema.columns
		WHERE table_schema = database() AND table_name NOT LIKE 'goose%'`)
	got = slices.DeleteFunc(got, func(c string) bool {
		return strings.HasPrefix(c, "gates.") || strings.HasPrefix(c, "reservations.once ")
	})
	if !slices.Equal(got, want) {
		t.Errorf("MySQL has\n%s\nSQLite has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Text is compared byte by byte: no case, accent, form or space at the end makes two names one.
func TestClusterTextIsExact(t *testing.T) {
	d, _ := through(t, 4)
	all := []string{"a", "A", "a ", "á", "a\u0301", "ａ", "文件", "文件 ", "😀😀", "\\", "'", "a\x00"}
	ran := 0
	for _, name := range all {
		if err := insert(d, name, &ran); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	slices.Sort(all)
	if got := names(t, d); !slices.Equal(got, all) {
		t.Errorf("%q, want %q", got, all)
	}
	for _, name := range all {
		var n int
		if err := d.Read(t.Context(), func(tx *gorm.DB) error {
			return tx.Raw("SELECT count(*) FROM sequences WHERE name = ?", name).Scan(&n).Error
		}); err != nil || n != 1 {
			t.Errorf("%q finds %d, %v", name, n, err)
		}
	}
}

// D11: what a read sees is one moment, whatever others commit meanwhile.
func TestClusterReadIsOneMoment(t *testing.T) {
	d, _ := through(t, 4)
	var before, after int
	if err := d.Read(t.Context(), func(tx *gorm.DB) error {
		ran := 0
		if err := insert(d, "x", &ran); err != nil {
			return err
		}
		if err := tx.Raw("SELECT count(*) FROM sequences").Scan(&before).Error; err != nil {
			return err
		}
		return tx.Raw("SELECT count(*) FROM sequences").Scan(&after).Error
	}); err != nil || before != 0 || after != 0 {
		t.Errorf("%d, then %d, %v", before, after, err)
	}
	if got := names(t, d); len(got) != 1 {
		t.Errorf("the next one sees %q", got)
	}
}

// F35: of two transactions that wait for one another the server undoes one, which runs again; none is lost.
func TestClusterDeadlock(t *testing.T) {
	d, _ := through(t, 8)
	ran := 0
	for _, name := range []string{"a", "b"} {
		if err := insert(d, name, &ran); err != nil {
			t.Fatal(err)
		}
	}
	var runs atomic.Int64
	var both, wg sync.WaitGroup
	both.Add(2)
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		wg.Go(func() {
			first := true
			if err := d.Write(t.Context(), func(tx *gorm.DB) error {
				runs.Add(1)
				for i, name := range order {
					if err := tx.Exec("UPDATE sequences SET next = next + 1 WHERE name = ?", name).Error; err != nil {
						return err
					}
					if i == 0 && first {
						first = false
						both.Done()
						both.Wait()
					}
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var sum int64
	if err := d.Read(t.Context(), func(tx *gorm.DB) error {
		return tx.Raw("SELECT sum(next) FROM sequences").Scan(&sum).Error
	}); err != nil || sum != 6 || runs.Load() != 3 {
		t.Errorf("sum %d after %d runs, %v; want 6 after 3", sum, runs.Load(), err)
	}
}

// F35: it is run four times in all, then the caller hears when to come back; also when fn makes an answer of the error.
func TestClusterGivesUp(t *testing.T) {
	d, _ := through(t, 4)
	for _, number := range []uint16{1213, 1205, 1020, 1290, 1836} {
		for _, wrap := range []bool{false, true} {
			ran := 0
			err := d.Write(t.Context(), func(*gorm.DB) error {
				ran++
				err := error(&mysql.MySQLError{Number: number})
				if wrap {
					err = errs.E(errs.Conflict, "test", err)
				}
				return err
			})
			var e *errs.Error
			if !errs.Is(errs.Busy, err) || !errors.As(err, &e) || e.RetryAfter == 0 || ran != 4 {
				t.Errorf("%d: %v after %d runs", number, err, ran)
			}
		}
	}
}

// What fn does after the server has undone its transaction is in no transaction: it is refused, though fn takes no notice.
func TestClusterNothingAfterUndone(t *testing.T) {
	d, _ := through(t, 6)
	ran := 0
	if err := insert(d, "a", &ran); err != nil {
		t.Fatal(err)
	}
	ran = 0
	if err := d.Write(t.Context(), func(tx *gorm.DB) error {
		if ran++; ran == 1 {
			// Somebody else has the row.
			return d.Write(t.Context(), func(other *gorm.DB) error {
				if err := other.Exec("UPDATE sequences SET next = 7 WHERE name = 'a'").Error; err != nil {
					return err
				}
				if err := tx.Exec("SELECT next FROM sequences WHERE name = 'a' FOR UPDATE NOWAIT").Error; err == nil {
					t.Error("the row was free")
				}
				if err := tx.Exec("INSERT INTO sequences VALUES ('stray', 1)").Error; err == nil {
					t.Error("a statement ran after the transaction had failed")
				}
				return nil
			})
		}
		return tx.Exec("INSERT INTO sequences VALUES ('b', 1)").Error
	}); err != nil || ran != 2 {
		t.Errorf("%v after %d runs, want 2", err, ran)
	}
	if got := names(t, d); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
}

// F34: the connection breaks while it commits. The caller hears errs.Busy and nothing runs again, whether the server has
// got the COMMIT or not.
func TestClusterAnswerToCommitIsLost(t *testing.T) {
	for _, arrives := range []bool{true, false} {
		d, p := through(t, 4)
		ran := 0
		p.atCommit(arrives)
		err := insert(d, "x", &ran)
		if !errs.Is(errs.Busy, err) || ran != 1 {
			t.Errorf("COMMIT arrives %v: %v after %d runs", arrives, err, ran)
		}
		// Once the server has seen that the connection is gone.
		want := 0
		if arrives {
			want = 1
		}
		if got := names(t, d); len(got) != want {
			t.Errorf("COMMIT arrives %v: rows %q", arrives, got)
		}
		if err := insert(d, "y", &ran); err != nil {
			t.Errorf("the next write: %v", err)
		}
	}
}

// F33: connections that break before the COMMIT, idle or in use, cost a retry that the caller does not see.
func TestClusterConnectionsBreak(t *testing.T) {
	d, p := through(t, 8)
	ran := 0
	p.cut()
	if err := d.Ping(t.Context()); err != nil {
		t.Errorf("a read on what was cut: %v", err)
	}
	p.cut()
	if err := insert(d, "a", &ran); err != nil || ran != 1 {
		t.Errorf("a write on what was cut: %v after %d runs", err, ran)
	}
	ran = 0
	if err := d.Write(t.Context(), func(tx *gorm.DB) error {
		if ran++; ran == 1 {
			p.cut()
		}
		return tx.Exec("INSERT INTO sequences VALUES ('b', 1)").Error
	}); err != nil || ran != 2 {
		t.Errorf("cut in the middle: %v after %d runs, want 2", err, ran)
	}
	if got := names(t, d); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
}

// F33: while the server is away callers hear so soon, and when it is back it serves without a restart.
func TestClusterServerIsAway(t *testing.T) {
	d, p := through(t, 8)
	p.down()
	ran := 0
	begun := time.Now()
	if err := insert(d, "x", &ran); !errs.Is(errs.Busy, err) || ran != 0 {
		t.Errorf("a write: %v after %d runs", err, ran)
	}
	if err := d.Ping(t.Context()); !errs.Is(errs.Busy, err) {
		t.Errorf("a read: %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	p.up()
	if err := insert(d, "x", &ran); err != nil {
		t.Error(err)
	}
	if got := names(t, d); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// F36: when every connection is busy callers hear so soon, and do not pile up.
func TestClusterExhausted(t *testing.T) {
	d, _ := through(t, 2)
	begun := time.Now()
	if err := d.Read(t.Context(), func(*gorm.DB) error {
		err := d.Ping(t.Context())
		if !errs.Is(errs.Busy, err) {
			t.Errorf("err = %v", err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := d.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// F37: a server that has become read-only serves reads, and answers writes with errs.Busy: so does each secondary of the
// group.
func TestClusterSecondary(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Migrate(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	const variable = "GOPAN_TEST_MYSQL_NODES"
	nodes := os.Getenv(variable)
	if nodes == "" {
		t.Fatalf("%s names no nodes: `make cluster-up ONLY=router` starts a group and tells its variables", variable)
	}
	secondaries := 0
	for address := range strings.SplitSeq(nodes, ",") {
		m := dbtest.Settings(t, dir)
		m.Address = address
		d := openSoon(t, m)
		var readOnly bool
		if err := d.Read(t.Context(), func(tx *gorm.DB) error { return tx.Raw("SELECT @@super_read_only").Row().Scan(&readOnly) }); err != nil {
			t.Fatal(err)
		}
		if !readOnly {
			continue
		}
		secondaries++
		ran := 0
		if err := insert(d, "x", &ran); !errs.Is(errs.Busy, err) || ran != 0 {
			t.Errorf("a write on %s: %v after %d runs", address, err, ran)
		}
		if err := d.Ping(t.Context()); err != nil {
			t.Errorf("a read on %s: %v", address, err)
		}
	}
	if secondaries == 0 {
		t.Fatalf("none of %s is a secondary", nodes)
	}
}

// openSoon opens a database that another node has made a moment ago.
func openSoon(t *testing.T, m db.MySQL) *db.DB {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		d, err := db.OpenMySQL(t.Context(), m)
		if err == nil {
			t.Cleanup(func() { _ = d.Close() })
			return d
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// F37: once a server refuses writes, its connections are not used for the next attempt, as another server writes now.
func TestClusterReadOnly(t *testing.T) {
	d, _ := through(t, 4)
	var on []int64
	if err := d.Write(t.Context(), func(tx *gorm.DB) error {
		var id int64
		if err := tx.Raw("SELECT connection_id()").Row().Scan(&id); err != nil {
			return err
		}
		if on = append(on, id); len(on) < 3 {
			return &mysql.MySQLError{Number: 1290}
		}
		return nil
	}); err != nil || len(on) != 3 || on[0] == on[1] || on[1] == on[2] {
		t.Errorf("%v on %v", err, on)
	}
}

// Reads and writes of several processes keep every change (L16: no lost update).
func TestClusterNoLostUpdate(t *testing.T) {
	const each = 20
	dir := t.TempDir()
	var wg sync.WaitGroup
	if err := open(t, dir).Migrate(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	ran := 0
	d := open(t, dir)
	if err := insert(d, "n", &ran); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		p := open(t, dir)
		wg.Go(func() {
			for range each {
				if err := p.Write(t.Context(), func(tx *gorm.DB) error {
					var n int64
					if err := tx.Raw("SELECT next FROM sequences WHERE name = 'n'" + db.ForUpdate(tx)).Row().Scan(&n); err != nil {
						return err
					}
					return tx.Exec("UPDATE sequences SET next = @n WHERE name = 'n'", sql.Named("n", n+1)).Error
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var n int64
	if err := d.Read(t.Context(), func(tx *gorm.DB) error {
		return tx.Raw("SELECT next FROM sequences").Row().Scan(&n)
	}); err != nil || n != 1+4*each {
		t.Errorf("%d, %v; want %d", n, err, 1+4*each)
	}
}
