package filemeta

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Content moves between stores by the transfer role, any number of processes at once. What they share is here: which
// migrations there are, who works on which part of one, and how far each part is. docs/decisions/0025-migration-by-all-replicas.md
// tells why.

const (
	// migrationParts is how many parts a migration has: one for each first byte of a digest.
	migrationParts = 256
	// migrationsKept is how many migrations are remembered after the latest.
	migrationsKept = 20
	// maxTaken parts in one lease.
	maxTaken = 32
	// maxLease of a lease, in milliseconds.
	maxLease = 10 * 60 * 1000
)

// StartMigration implements the RPC.
func (s *Service) StartMigration(ctx context.Context, req *filemetapb.StartMigrationRequest) (*filemetapb.Migration, error) {
	const op = errs.Op("filemeta.StartMigration")
	if req.GetFrom() == "" || req.GetTo() == "" || req.GetFrom() == req.GetTo() || len(req.GetFrom()) > 255 || len(req.GetTo()) > 255 ||
		req.GetDrive() < 0 || req.GetMinSize() < 0 || req.GetMaxSize() < 0 || req.GetRate() < 0 || req.GetWidth() <= 0 {
		return nil, errs.E(errs.Invalid, op)
	}
	same := sha256.Sum256(fmt.Appendf(nil, "%q %q %d %d %d", req.GetFrom(), req.GetTo(), req.GetDrive(), req.GetMinSize(), req.GetMaxSize()))
	running := hex.EncodeToString(same[:])
	var m *filemetapb.Migration
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		var id, last int64
		err := query(tx, func(rows *sql.Rows) error { return rows.Scan(&id) },
			"SELECT id FROM store_migrations WHERE running = ?"+db.ForUpdate(tx), running)
		if err != nil {
			return err
		}
		if id != 0 {
			_, err = execute(tx, "UPDATE store_migrations SET rate = ?, width = ? WHERE id = ?", req.GetRate(), req.GetWidth(), id)
		} else {
			err = query(tx, func(rows *sql.Rows) error { return rows.Scan(&last) }, "SELECT coalesce(max(id), 0) FROM store_migrations")
			if err == nil {
				id = last + 1
				err = insertMigration(tx, id, running, req, s.now())
			}
		}
		if err != nil {
			return err
		}
		m, err = s.migration(tx, id)
		return err
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return m, nil
}

func insertMigration(tx *gorm.DB, id int64, running string, req *filemetapb.StartMigrationRequest, now int64) error {
	// Whoever took the same id at the same time came first: this runs again.
	_, err := execute(tx, `INSERT INTO store_migrations (id, source, target, drive_id, min_size, max_size, rate, width, state, running, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)`, id, req.GetFrom(), req.GetTo(), req.GetDrive(), req.GetMinSize(), req.GetMaxSize(),
		req.GetRate(), req.GetWidth(), running, now)
	if err != nil {
		return err
	}
	rows := make([]any, 0, 2*migrationParts)
	for part := range migrationParts {
		rows = append(rows, id, part)
	}
	if _, err := execute(tx, "INSERT INTO store_migration_parts (migration_id, part) VALUES "+marks("(?, ?)", migrationParts), rows...); err != nil {
		return err
	}
	const old = "FROM store_migrations WHERE state <> 0 AND id < ?"
	if _, err := execute(tx, "DELETE FROM store_migration_parts WHERE migration_id IN (SELECT id "+old+")", id-migrationsKept); err != nil {
		return err
	}
	_, err = execute(tx, "DELETE "+old, id-migrationsKept)
	return err
}

// ListMigrations implements the RPC.
func (s *Service) ListMigrations(ctx context.Context, req *filemetapb.ListMigrationsRequest) (*filemetapb.ListMigrationsResponse, error) {
	resp := new(filemetapb.ListMigrationsResponse)
	err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		ids, err := ids(tx, "SELECT id FROM store_migrations WHERE ? IN (0, id) ORDER BY id DESC", req.GetId())
		if err != nil {
			return err
		}
		for _, id := range ids {
			m, err := s.migration(tx, id)
			if err != nil {
				return err
			}
			resp.Migrations = append(resp.Migrations, m)
		}
		return nil
	})
	if err != nil {
		return nil, errs.Wrap("filemeta.ListMigrations", err)
	}
	return resp, nil
}

func ids(tx *gorm.DB, statement string, args ...any) (all []int64, err error) {
	err = query(tx, func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		all = append(all, id)
		return err
	}, statement, args...)
	return all, err
}

// migrationRow reads a migration without its counts, which stays as it is if lock is set; nil: there is none of that id.
func migrationRow(tx *gorm.DB, id int64, lock bool) (m *filemetapb.Migration, err error) {
	end := ""
	if lock {
		end = db.ForUpdate(tx)
	}
	err = query(tx, func(rows *sql.Rows) error {
		m = &filemetapb.Migration{What: new(filemetapb.StartMigrationRequest)}
		w := m.GetWhat()
		return rows.Scan(&m.Id, &w.From, &w.To, &w.Drive, &w.MinSize, &w.MaxSize, &w.Rate, &w.Width, &m.State, &m.CreatedAt, &m.EndedAt)
	}, `SELECT id, source, target, drive_id, min_size, max_size, rate, width, state, created_at, ended_at
		FROM store_migrations WHERE id = ?`+end, id)
	return m, err
}

// holders counts who holds parts of a migration now.
func (s *Service) holders(tx *gorm.DB, m *filemetapb.Migration) error {
	return query(tx, func(rows *sql.Rows) error { return rows.Scan(&m.Holders) },
		"SELECT count(DISTINCT holder) FROM store_migration_parts WHERE migration_id = ? AND holder <> '' AND held_until > ?", m.GetId(), s.now())
}

// maxMigrationProblems of a migration are told.
const maxMigrationProblems = 100

// migration reads one with all that was saved of it, or gives errs.NotFound.
func (s *Service) migration(tx *gorm.DB, id int64) (*filemetapb.Migration, error) {
	m, err := migrationRow(tx, id, false)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, errs.E(errs.NotFound, "filemeta.migration")
	}
	if err := s.holders(tx, m); err != nil {
		return nil, err
	}
	sum := new(filemetapb.MigrationCounts)
	m.Counts = sum
	err = query(tx, func(rows *sql.Rows) error {
		p, failed, err := scanPart(rows)
		if err != nil {
			return err
		}
		c := p.GetCounts()
		sum.Blobs += c.GetBlobs()
		sum.Bytes += c.GetBytes()
		sum.Left += c.GetLeft()
		sum.Shared += c.GetShared()
		sum.Kept += c.GetKept()
		sum.Damaged += c.GetDamaged()
		for _, problem := range c.GetProblems() {
			if len(sum.GetProblems()) < maxMigrationProblems {
				sum.Problems = append(sum.Problems, problem)
			}
		}
		m.Parts++
		if p.GetDone() {
			m.PartsDone++
		} else if failed != "" {
			m.Error = failed
		}
		return nil
	}, "SELECT "+partColumns+" FROM store_migration_parts WHERE migration_id = ? ORDER BY part", id)
	return m, err
}

// CancelMigration implements the RPC. Who holds parts hears of it with their next save.
func (s *Service) CancelMigration(ctx context.Context, req *filemetapb.CancelMigrationRequest) (*filemetapb.Migration, error) {
	var m *filemetapb.Migration
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		err := endMigration(tx, req.GetId(), filemetapb.MigrationState_MIGRATION_STATE_CANCELLED, s.now())
		if err != nil {
			return err
		}
		m, err = s.migration(tx, req.GetId())
		return err
	})
	if err != nil {
		return nil, errs.Wrap("filemeta.CancelMigration", err)
	}
	return m, nil
}

// endMigration ends a migration that runs.
func endMigration(tx *gorm.DB, id int64, as filemetapb.MigrationState, now int64) error {
	_, err := execute(tx, "UPDATE store_migrations SET state = ?, ended_at = ?, running = NULL WHERE id = ? AND state = 0", as, now, id)
	return err
}

// shorten cuts a text to n bytes and leaves no half of a character.
func shorten(text string, n int) string {
	if len(text) > n {
		text = text[:n]
	}
	return strings.ToValidUTF8(text, "")
}
