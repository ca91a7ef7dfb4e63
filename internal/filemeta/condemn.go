package filemeta

import (
	"context"
	"database/sql"
	"strings"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// condemned is a row of condemned: a blob of a store that was found unused. docs/decisions/0009-gc-by-age.md tells its
// story.
type condemned struct {
	// putAt is when the blob was last put, in nanoseconds since 1970; what is put again is another matter.
	putAt int64
	// round that found it unused last, and how many have.
	round  string
	rounds int64
	// since is when the first of them did.
	since int64
	// deleting: its end is decided, and nobody can claim it any more.
	deleting bool
}

// maxCondemn bounds how many blobs one call is about.
const maxCondemn = 10_000

// Condemn implements the RPC. Whether a blob is used is seen in the transaction that decides its end, and commits
// and claims are transactions of their own: each comes before, and the blob is used, or after, and finds that it
// is being deleted (promise D7).
func (s *Service) Condemn(ctx context.Context, req *filemetapb.CondemnRequest) (*filemetapb.CondemnResponse, error) {
	const op = errs.Op("filemeta.Condemn")
	if len(req.GetBlobs()) > maxCondemn || req.GetStore() == "" || req.GetRound() == "" || req.GetWait() < 0 {
		return nil, errs.E(errs.Invalid, op)
	}
	digests := make([][]byte, len(req.GetBlobs()))
	for i, b := range req.GetBlobs() {
		if digests[i] = b.GetDigest(); len(digests[i]) != 32 {
			return nil, errs.E(errs.Invalid, op, errs.Field("digest"))
		}
	}
	resp := &filemetapb.CondemnResponse{Verdicts: make([]filemetapb.Verdict, len(digests))}
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := db.Gate(tx, db.Condemning, true); err != nil {
			return err
		}
		now := s.now()
		used, err := usedOf(tx, digests, now)
		if err != nil {
			return err
		}
		known, err := condemnedOf(tx, req.GetStore(), digests)
		if err != nil {
			return err
		}
		j := judge{req: req, now: now, used: used, known: known, changed: make(map[string]bool)}
		for i, b := range req.GetBlobs() {
			resp.Verdicts[i] = j.verdict(b)
		}
		return j.save(tx)
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return resp, nil
}

// usedOf finds which digests a version refers to or a reservation claims.
func usedOf(tx *gorm.DB, digests [][]byte, now int64) (map[string]bool, error) {
	used := make(map[string]bool)
	err := inLists(digests, func(_ string, args []any) error {
		// A look for each digest: some have more versions than one would want to read.
		return query(tx, func(rows *sql.Rows) error {
			var d []byte
			err := rows.Scan(&d)
			used[string(d)] = true
			return err
		}, "WITH asked (digest) AS (SELECT ?"+strings.Repeat(" UNION ALL SELECT ?", len(args)-1)+`) SELECT digest FROM asked
			WHERE EXISTS (SELECT 1 FROM versions WHERE versions.digest = asked.digest)
			OR EXISTS (SELECT 1 FROM reservations WHERE reservations.digest = asked.digest AND expires_at > ?)`,
			append(args, now)...)
	})
	return used, err
}

// condemnedOf reads what is kept in mind of a store's blobs.
func condemnedOf(tx *gorm.DB, store string, digests [][]byte) (map[string]condemned, error) {
	known := make(map[string]condemned)
	err := inLists(digests, func(marks string, args []any) error {
		return query(tx, func(rows *sql.Rows) error {
			var d []byte
			var c condemned
			err := rows.Scan(&d, &c.putAt, &c.round, &c.rounds, &c.since, &c.deleting)
			known[string(d)] = c
			return err
		}, "SELECT digest, put_at, round, rounds, since, deleting FROM condemned WHERE digest IN ("+marks+") AND store = ?",
			append(args, store)...)
	})
	return known, err
}

// judge is one call of Condemn.
type judge struct {
	req  *filemetapb.CondemnRequest
	now  int64
	used map[string]bool
	// known is kept in mind after this; changed are the digests of which it is not what the database has.
	known   map[string]condemned
	changed map[string]bool
	// doomed are the digests whose end was decided in this call.
	doomed [][]byte
}

// minRounds have to find a blob unused before its end.
const minRounds = 2

// verdict decides what becomes of a blob.
func (j *judge) verdict(b *filemetapb.StoredBlob) filemetapb.Verdict {
	key := string(b.GetDigest())
	c, known := j.known[key]
	was := c
	switch {
	case j.used[key]:
		if known {
			delete(j.known, key)
			j.changed[key] = true
		}
		return filemetapb.Verdict_VERDICT_USED
	case !known || c.putAt != b.GetPutAt():
		c = condemned{putAt: b.GetPutAt(), round: j.req.GetRound(), rounds: 1, since: j.now}
	case c.round != j.req.GetRound():
		c.round = j.req.GetRound()
		c.rounds++
	}
	c.deleting = c.deleting || c.rounds >= minRounds && c.since+j.req.GetWait() <= j.now
	if c.deleting && !was.deleting {
		j.doomed = append(j.doomed, b.GetDigest())
	}
	if c != was {
		j.known[key] = c
		j.changed[key] = true
	}
	if c.deleting {
		return filemetapb.Verdict_VERDICT_DELETE
	}
	return filemetapb.Verdict_VERDICT_WAITS
}

// save writes what changed.
func (j *judge) save(tx *gorm.DB) error {
	// The claims on them have expired, and this ends them for every clock, one that is behind this one, too.
	if err := inLists(j.doomed, func(marks string, args []any) error {
		_, err := execute(tx, "UPDATE reservations SET digest = NULL WHERE digest IN ("+marks+")", args...)
		return err
	}); err != nil {
		return err
	}
	var gone, rest [][]byte
	for key := range j.changed {
		if _, ok := j.known[key]; ok {
			rest = append(rest, []byte(key))
		} else {
			gone = append(gone, []byte(key))
		}
	}
	if err := forget(tx, j.req.GetStore(), gone); err != nil {
		return err
	}
	if err := forget(tx, j.req.GetStore(), rest); err != nil {
		return err
	}
	return insertAll(tx, "condemned", "digest, store, put_at, round, rounds, since, deleting", rest, func(digest []byte) []any {
		c := j.known[string(digest)]
		return []any{digest, j.req.GetStore(), c.putAt, c.round, c.rounds, c.since, c.deleting}
	})
}

// forget drops what is kept in mind of a store's blobs.
func forget(tx *gorm.DB, store string, digests [][]byte) error {
	return inLists(digests, func(marks string, args []any) error {
		_, err := execute(tx, "DELETE FROM condemned WHERE digest IN ("+marks+") AND store = ?", append(args, store)...)
		return err
	})
}

// pardon drops what is kept in mind of blobs in any store: somebody refers to them from now on. That their end was
// decided makes no difference, as they were put before they are referred to, and a store deletes nothing that was
// put again after that decision.
func pardon(tx *gorm.DB, digests [][]byte) error {
	if len(digests) == 0 {
		return nil
	}
	// Most of the time nothing is condemned at all.
	some := false
	err := query(tx, func(rows *sql.Rows) error { return rows.Scan(&some) }, "SELECT EXISTS (SELECT 1 FROM condemned)")
	if err != nil || !some {
		return err
	}
	return inLists(digests, func(marks string, args []any) error {
		_, err := execute(tx, "DELETE FROM condemned WHERE digest IN ("+marks+")", args...)
		return err
	})
}

// Forget implements the RPC.
func (s *Service) Forget(ctx context.Context, req *filemetapb.ForgetRequest) (*filemetapb.ForgetResponse, error) {
	const op = errs.Op("filemeta.Forget")
	if len(req.GetDigests()) > maxCondemn {
		return nil, errs.E(errs.Invalid, op, errs.Field("digests"))
	}
	if err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		if err := db.Gate(tx, db.Condemning, true); err != nil {
			return err
		}
		return forget(tx, req.GetStore(), req.GetDigests())
	}); err != nil {
		return nil, errs.Wrap(op, err)
	}
	return new(filemetapb.ForgetResponse), nil
}
