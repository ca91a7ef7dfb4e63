package db_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
)

// D12: two instances that start at once bring the schema up once, and both go on.
func TestMigrateTogether(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 6 {
		d := open(t, dir)
		wg.Go(func() {
			if err := d.Migrate(t.Context(), dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var applied int64
	err := open(t, dir).Read(t.Context(), func(tx *gorm.DB) error {
		return tx.Raw("SELECT count(*) FROM goose_db_version WHERE version_id > 0").Scan(&applied).Error
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(steps)
	if err != nil || int(applied) != len(files) {
		t.Fatalf("%d steps recorded, %v; want %d", applied, err, len(files))
	}
}

// F11: a migration that is cut off, wherever, leaves a database that the next start brings up.
func TestMigrateInterrupted(t *testing.T) {
	dir := t.TempDir()
	for polls := range 200 {
		d := open(t, dir)
		err := d.Migrate(&countdown{Context: context.Background(), left: polls}, dir)
		if cerr := d.Close(); cerr != nil {
			t.Fatal(cerr)
		}
		if err == nil {
			t.Logf("ran through when cut off after %d looks at its context", polls)
			break
		}
	}
	d := open(t, dir)
	if err := d.Migrate(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if err := d.Write(t.Context(), func(tx *gorm.DB) error {
		return tx.Exec("INSERT INTO users (id, login, password_hash, role, created_at) VALUES (1, 'x', '', 'user', 1)").Error
	}); err != nil {
		t.Fatal(err)
	}
}

// countdown is a context that ends when it has been looked at so many times.
type countdown struct {
	context.Context
	mu   sync.Mutex
	left int
}

func (c *countdown) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func (c *countdown) Done() <-chan struct{} {
	if c.Err() != nil {
		ch := make(chan struct{})
		close(ch)
		return ch
	}
	return nil
}

func TestWriteIsUndoneOnError(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if err := d.Migrate(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	refused := errs.E(errs.OverQuota, "test")
	err := d.Write(t.Context(), func(tx *gorm.DB) error {
		if err := tx.Exec("INSERT INTO sequences VALUES ('x', 1)").Error; err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("err = %v", err)
	}
	var n int64
	if err := d.Read(t.Context(), func(tx *gorm.DB) error {
		return tx.Raw("SELECT count(*) FROM sequences").Scan(&n).Error
	}); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
	if err := d.Read(t.Context(), func(tx *gorm.DB) error {
		return tx.Exec("INSERT INTO sequences VALUES ('x', 1)").Error
	}); err == nil {
		t.Error("a read wrote")
	}
}

// What a table cannot hold is nobody's fault but the writer's: errs.Internal, which is not tried again (F44).
func TestWrongRow(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if err := d.Migrate(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{
		"INSERT INTO users (id, login, password_hash, role, created_at) VALUES (1, 'x', '', 'king', 1)",
		"INSERT INTO users (id, login, password_hash, role, created_at) VALUES (1, NULL, '', 'user', 1)",
		"INSERT INTO sequences VALUES ('x', 1), ('x', 2)",
		"INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES (1, 77, 1, 1)",
	} {
		if err := d.Write(t.Context(), func(tx *gorm.DB) error { return tx.Exec(row).Error }); !errs.Is(errs.Internal, err) {
			t.Errorf("%s: %v", row, err)
		}
	}
}

// Two processes never get the same id, and one that is given many gets them in a row.
func TestSequence(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if err := d.Migrate(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	seen := sync.Map{}
	var wg sync.WaitGroup
	for range 4 {
		s := &db.Sequence{DB: open(t, dir), Name: "nodes", Block: 7}
		wg.Go(func() {
			for n := range int64(40) {
				first, err := s.Take(t.Context(), n%10+1)
				if err != nil {
					t.Error(err)
					return
				}
				for id := first; id <= first+n%10; id++ {
					if _, dup := seen.LoadOrStore(id, true); dup || id < 1 {
						t.Errorf("id %d given twice or below 1", id)
					}
				}
			}
		})
	}
	wg.Wait()
}

// A context that ends while its transaction begins leaves none open behind it, in which all others would fail for ever.
func TestEndsWhileItBegins(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if err := d.Migrate(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	insert := func(tx *gorm.DB) error { return tx.Exec("UPDATE sequences SET next = next + 1").Error }
	for i := range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*time.Microsecond)
		_ = d.Write(ctx, insert) // ends at any moment
		cancel()
		if err := d.Write(t.Context(), insert); err != nil {
			t.Fatalf("after one that had %d µs: %v", i, err)
		}
	}
}

// A transaction whose context ends, or whose function panics, is undone, and the next one finds a clean session.
func TestTransactionIsUndone(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if err := d.Migrate(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	insert := func(tx *gorm.DB, name string) error {
		return tx.Exec("INSERT INTO sequences VALUES (?, 1)", name).Error
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := d.Write(ctx, func(tx *gorm.DB) error {
		defer cancel()
		return insert(tx, "cancelled")
	})
	if !errs.Is(errs.Canceled, err) {
		t.Errorf("err = %v, want errs.Canceled", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = d.Write(t.Context(), func(tx *gorm.DB) error {
			if err := insert(tx, "panicked"); err != nil {
				t.Error(err)
			}
			panic("test")
		})
	}()
	if err := d.Write(t.Context(), func(tx *gorm.DB) error { return insert(tx, "kept") }); err != nil {
		t.Fatal(err)
	}
	var names []string
	if err := d.Read(t.Context(), func(tx *gorm.DB) error {
		return tx.Raw("SELECT name FROM sequences").Scan(&names).Error
	}); err != nil || len(names) != 1 || names[0] != "kept" {
		t.Errorf("rows %q, %v; want only the one that was kept", names, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Ping(t.Context()); err == nil {
		t.Error("a closed database answers")
	}
}

// D12: this program runs on the schema of the next release, unless that says that it cannot.
func TestNewerSchema(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if err := d.Migrate(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	set := func(sql string) {
		t.Helper()
		if err := d.Write(t.Context(), func(tx *gorm.DB) error { return tx.Exec(sql).Error }); err != nil {
			t.Fatal(err)
		}
	}
	set("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
	if err := d.Migrate(t.Context(), dir); err != nil {
		t.Errorf("on the next release's schema: %v", err)
	}
	set("UPDATE compatibility SET oldest = 9999")
	if err := d.Migrate(t.Context(), dir); !errs.Is(errs.Conflict, err) {
		t.Errorf("on a schema that it cannot live with: %v", err)
	}
}
