package filemeta

import (
	"context"
	"database/sql"
	"slices"

	"google.golang.org/protobuf/proto"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// partColumns are what scanPart reads.
const partColumns = "part, last_digest, done, blobs, bytes, unused, shared, kept, damaged, problems, error"

func scanPart(rows *sql.Rows) (p *filemetapb.MigrationPart, failed string, err error) {
	c := new(filemetapb.MigrationCounts)
	p = &filemetapb.MigrationPart{Counts: c}
	var problems []byte
	if err := rows.Scan(&p.Part, &p.After, &p.Done, &c.Blobs, &c.Bytes, &c.Left, &c.Shared, &c.Kept, &c.Damaged, &problems, &failed); err != nil {
		return nil, "", err
	}
	told := new(filemetapb.MigrationCounts)
	if err := proto.Unmarshal(problems, told); err != nil {
		return nil, "", errs.E(errs.Internal, "filemeta.scanPart", err)
	}
	c.Problems = told.GetProblems()
	return p, failed, nil
}

// TakeMigration implements the RPC. A migration that has no part left to do ends here.
func (s *Service) TakeMigration(ctx context.Context, req *filemetapb.TakeMigrationRequest) (*filemetapb.TakeMigrationResponse, error) {
	const op = errs.Op("filemeta.TakeMigration")
	if req.GetHolder() == "" || len(req.GetHolder()) > 64 || req.GetLife() <= 0 || req.GetLife() > maxLease {
		return nil, errs.E(errs.Invalid, op)
	}
	// Most often there is nothing, and everybody asks again and again.
	var running []int64
	err := s.DB.Read(ctx, func(tx *gorm.DB) (err error) {
		running, err = ids(tx, "SELECT id FROM store_migrations WHERE state = 0 AND ? IN (0, id) ORDER BY id", req.GetId())
		return err
	})
	for _, id := range running {
		if slices.Contains(req.GetExcept(), id) {
			continue
		}
		var resp *filemetapb.TakeMigrationResponse
		if err == nil {
			err = s.DB.Write(ctx, func(tx *gorm.DB) (err error) { resp, err = s.take(tx, id, req); return err })
		}
		if err == nil && len(resp.GetParts()) > 0 {
			return resp, nil
		}
	}
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return new(filemetapb.TakeMigrationResponse), nil
}

// take gives parts of one migration that nobody holds, or none.
func (s *Service) take(tx *gorm.DB, id int64, req *filemetapb.TakeMigrationRequest) (*filemetapb.TakeMigrationResponse, error) {
	resp := new(filemetapb.TakeMigrationResponse)
	m, err := migrationRow(tx, id, true) // who takes comes one after the other
	if err != nil || m == nil || m.GetState() != filemetapb.MigrationState_MIGRATION_STATE_RUNNING {
		return resp, err
	}
	now := s.now()
	var open int64
	var free []*filemetapb.MigrationPart
	err = query(tx, func(rows *sql.Rows) error { return rows.Scan(&open) },
		"SELECT count(*) FROM store_migration_parts WHERE migration_id = ? AND done = 0", id)
	if err != nil {
		return nil, err
	}
	if open == 0 {
		return resp, endMigration(tx, id, filemetapb.MigrationState_MIGRATION_STATE_DONE, now)
	}
	if err := s.holders(tx, m); err != nil {
		return nil, err
	}
	// Few enough that others find work for as long as there is some, and that all end at about the same time.
	share := min(max(open/(2*int64(m.GetHolders()+1)), 1), maxTaken)
	err = query(tx, func(rows *sql.Rows) error {
		p, _, err := scanPart(rows)
		free = append(free, p)
		return err
	}, "SELECT "+partColumns+" FROM store_migration_parts WHERE migration_id = ? AND done = 0 AND (holder = '' OR held_until <= ?) ORDER BY part LIMIT ?",
		id, now, share)
	if err != nil {
		return nil, err
	}
	for _, p := range free {
		// Its holder may have come back a moment ago.
		n, err := execute(tx, `UPDATE store_migration_parts SET holder = ?, held_until = ?
			WHERE migration_id = ? AND part = ? AND done = 0 AND (holder = '' OR held_until <= ?)`,
			req.GetHolder(), now+req.GetLife(), id, p.GetPart(), now)
		if err != nil {
			return nil, err
		}
		if n == 1 {
			resp.Parts = append(resp.Parts, p)
		}
	}
	m.Holders++
	resp.Migration = m
	return resp, nil
}

// maxProblemBytes bounds what a part's problems take in its row.
const maxProblemBytes = 16 << 10

// SaveMigration implements the RPC. The holder's name is what fences: a row whose lease has run out is still its holder's
// until somebody else takes it.
func (s *Service) SaveMigration(ctx context.Context, req *filemetapb.SaveMigrationRequest) (*filemetapb.SaveMigrationResponse, error) {
	const op = errs.Op("filemeta.SaveMigration")
	if req.GetHolder() == "" || !req.GetRelease() && (req.GetLife() <= 0 || req.GetLife() > maxLease) || len(req.GetParts()) > migrationParts {
		return nil, errs.E(errs.Invalid, op)
	}
	resp := new(filemetapb.SaveMigrationResponse)
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		for _, p := range req.GetParts() {
			if err := savePart(tx, req, p); err != nil {
				return err
			}
		}
		var n int64
		var err error
		if req.GetRelease() {
			n, err = execute(tx, "UPDATE store_migration_parts SET holder = '', held_until = 0, error = ? WHERE migration_id = ? AND holder = ?",
				shorten(req.GetError(), 1000), req.GetId(), req.GetHolder())
		} else {
			n, err = execute(tx, "UPDATE store_migration_parts SET held_until = ? WHERE migration_id = ? AND holder = ?",
				s.now()+req.GetLife(), req.GetId(), req.GetHolder())
		}
		if err != nil {
			return err
		}
		if !req.GetRelease() && n != int64(req.GetHeld()) {
			return errs.E(errs.Stale, op)
		}
		if resp.Migration, err = migrationRow(tx, req.GetId(), false); err != nil || resp.GetMigration() == nil {
			return err
		}
		return s.holders(tx, resp.GetMigration())
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return resp, nil
}

// savePart writes down how far a part is, if it is still the holder's.
func savePart(tx *gorm.DB, req *filemetapb.SaveMigrationRequest, p *filemetapb.MigrationPart) error {
	const op = errs.Op("filemeta.savePart")
	c := p.GetCounts()
	problems, err := proto.Marshal(&filemetapb.MigrationCounts{Problems: c.GetProblems()})
	if err != nil {
		return errs.E(errs.Internal, op, err)
	}
	if len(problems) > maxProblemBytes || len(p.GetAfter()) != 0 && len(p.GetAfter()) != 32 {
		return errs.E(errs.Invalid, op)
	}
	n, err := execute(tx, `UPDATE store_migration_parts SET last_digest = ?, done = ?, blobs = ?, bytes = ?, unused = ?, shared = ?, kept = ?,
			damaged = ?, problems = ?, error = '', holder = CASE WHEN ? THEN '' ELSE holder END
		WHERE migration_id = ? AND part = ? AND holder = ? AND done = 0`,
		nonNil(p.GetAfter()), p.GetDone(), c.GetBlobs(), c.GetBytes(), c.GetLeft(), c.GetShared(), c.GetKept(),
		c.GetDamaged(), nonNil(problems), p.GetDone(),
		req.GetId(), p.GetPart(), req.GetHolder())
	if err == nil && n != 1 {
		err = errs.E(errs.Stale, op)
	}
	return err
}
