package filemeta

import (
	"context"
	"database/sql"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// rules of the tree, each as a query that finds its breaches in one drive: @drive is the drive's id, its
// rows are what to say of each.
var rules = []struct{ code, query string }{
	{"dangling_parent", `SELECT 'node ' || n.id || ' is in folder ' || n.parent_id || ', which does not exist'
		FROM nodes n LEFT JOIN nodes p ON p.id = n.parent_id WHERE n.drive_id = @drive AND n.parent_id > 0 AND p.id IS NULL`},
	{"parent_is_a_file", `SELECT 'node ' || n.id || ' is in file ' || p.id
		FROM nodes n JOIN nodes p ON p.id = n.parent_id WHERE n.drive_id = @drive AND p.kind = 2`},
	{"parent_in_other_drive", `SELECT 'node ' || n.id || ' is in folder ' || p.id || ' of drive ' || p.drive_id
		FROM nodes n JOIN nodes p ON p.id = n.parent_id WHERE n.drive_id = @drive AND p.drive_id <> n.drive_id`},
	{"cycle", `WITH RECURSIVE down (id) AS (
			SELECT n.id FROM nodes n LEFT JOIN nodes p ON p.id = n.parent_id WHERE n.drive_id = @drive AND p.id IS NULL
			UNION ALL SELECT nodes.id FROM down JOIN nodes ON nodes.parent_id = down.id)
		SELECT 'node ' || id || ' hangs in a cycle' FROM nodes WHERE drive_id = @drive AND id NOT IN (SELECT id FROM down)`},
	{"duplicate_name", `SELECT count(*) || ' nodes in folder ' || parent_id || ' have one name'
		FROM nodes WHERE drive_id = @drive GROUP BY parent_id, name HAVING count(*) > 1`},
	{"stray_top", `SELECT 'node ' || n.id || ' is in no folder'
		FROM nodes n JOIN drives d ON d.id = n.drive_id
		WHERE n.drive_id = @drive AND n.parent_id = 0 AND n.id NOT IN (d.root_id, d.trash_id)`},
	{"missing_top", `SELECT 'the drive''s root or trash is missing' FROM drives d WHERE d.id = @drive AND 2 <>
		(SELECT count(*) FROM nodes WHERE id IN (d.root_id, d.trash_id) AND drive_id = d.id AND parent_id = 0)`},
	{"version_differs", `SELECT 'file ' || n.id || ' is not what its version ' || n.version || ' says'
		FROM nodes n LEFT JOIN versions v ON v.node_id = n.id AND v.version = n.version
		WHERE n.drive_id = @drive AND n.kind = 2 AND (v.node_id IS NULL OR v.size <> n.size OR n.digest IS NULL OR v.digest <> n.digest)`},
	{"version_without_file", `SELECT 'version ' || v.version || ' of node ' || v.node_id || ' has no file'
		FROM versions v LEFT JOIN nodes n ON n.id = v.node_id WHERE v.drive_id = @drive AND (n.id IS NULL OR n.kind <> 2)`},
	{"quota_drift", `SELECT 'the drive says that ' || d.used || ' bytes are used; its versions have ' || s.total
		FROM drives d, (SELECT coalesce(sum(size), 0) AS total FROM versions WHERE drive_id = @drive) s
		WHERE d.id = @drive AND d.used <> s.total`},
	{"reserved_drift", `SELECT 'the drive says that ' || d.reserved || ' bytes are reserved; its reservations have ' || s.total
		FROM drives d, (SELECT coalesce(sum(size), 0) AS total FROM reservations WHERE drive_id = @drive) s
		WHERE d.id = @drive AND d.reserved <> s.total`},
	{"change_gap", `SELECT 'the drive''s changes are ' || s.n || ', numbered to ' || d.seq
		FROM drives d, (SELECT count(*) AS n, coalesce(max(seq), 0) AS top FROM changes WHERE drive_id = @drive) s
		WHERE d.id = @drive AND (d.seq <> s.n OR d.seq <> s.top)`},
}

// maxProblems of one rule are reported; more of the same tell nothing new.
const maxProblems = 100

// CheckTree implements the RPC: one drive, at one moment (promise D10). What is being erased is passed over.
func (s *Service) CheckTree(ctx context.Context, req *filemetapb.CheckTreeRequest) (*filemetapb.CheckTreeResponse, error) {
	resp := new(filemetapb.CheckTreeResponse)
	err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		var d drive
		if err := tx.Raw("SELECT * FROM drives WHERE id > ? AND owner_id > 0 ORDER BY id LIMIT 1", req.GetAfterDrive()).Scan(&d).Error; err != nil {
			return err
		}
		if d.ID == 0 {
			return nil
		}
		resp.Drive = int64(d.ID)
		for _, c := range []struct {
			table string
			into  *int64
		}{{"nodes", &resp.Nodes}, {"versions", &resp.Versions}} {
			if err := tx.Raw("SELECT count(*) FROM "+c.table+" WHERE drive_id = ?", d.ID).Scan(c.into).Error; err != nil {
				return err
			}
		}
		for _, r := range rules {
			var details []string
			if err := tx.Raw(fmt.Sprintf("%s LIMIT %d", r.query, maxProblems), sql.Named("drive", d.ID)).Scan(&details).Error; err != nil {
				return fmt.Errorf("%s: %w", r.code, err)
			}
			for _, detail := range details {
				resp.Problems = append(resp.Problems, &filemetapb.Problem{Code: r.code, Detail: detail})
			}
		}
		bad, err := badNames(tx, d)
		resp.Problems = append(resp.Problems, bad...)
		return err
	})
	if err != nil {
		return nil, errs.Wrap("filemeta.CheckTree", err)
	}
	return resp, nil
}

// badNames finds live nodes whose names no protocol could have given them.
func badNames(tx *gorm.DB, d drive) (bad []*filemetapb.Problem, err error) {
	rows, err := tx.Raw("SELECT id, name FROM nodes WHERE drive_id = ? AND parent_id > 0 AND trashed_at = 0", d.ID).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() && len(bad) < maxProblems {
		var id NodeID
		var name string
		if err := rows.Scan(&id, &name); err != nil {
			return nil, err
		}
		if n, err := drivepath.ParseName(name); err != nil || string(n) != name {
			bad = append(bad, &filemetapb.Problem{Code: "bad_name", Detail: fmt.Sprintf("node %d is called %q", id, name)})
		}
	}
	return bad, rows.Err()
}

// ScanBlobs implements the RPC.
func (s *Service) ScanBlobs(ctx context.Context, req *filemetapb.ScanBlobsRequest) (*filemetapb.ScanBlobsResponse, error) {
	return s.blobs(ctx, "filemeta.ScanBlobs", `SELECT DISTINCT digest, size FROM versions WHERE digest > ?
		ORDER BY digest, size LIMIT ?`, nonNil(req.GetAfter()), min(max(req.GetLimit(), 1), 10_000))
}

// MissingSums implements the RPC. Blobs of one block are left out: their SHA-256 is that block's sum.
func (s *Service) MissingSums(ctx context.Context, req *filemetapb.MissingSumsRequest) (*filemetapb.ScanBlobsResponse, error) {
	return s.blobs(ctx, "filemeta.MissingSums", `SELECT DISTINCT v.digest, v.size FROM versions v
		LEFT JOIN sums ON sums.digest = v.digest WHERE v.digest > ? AND v.size > 4194304 AND sums.md5 IS NULL
		ORDER BY v.digest LIMIT ?`, nonNil(req.GetAfter()), min(max(req.GetLimit(), 1), 10_000))
}

func nonNil(b []byte) []byte { return append([]byte{}, b...) }

func (s *Service) blobs(ctx context.Context, op errs.Op, query string, args ...any) (*filemetapb.ScanBlobsResponse, error) {
	var rows []struct {
		Digest []byte
		Size   int64
	}
	if err := s.DB.Read(ctx, func(tx *gorm.DB) error { return tx.Raw(query, args...).Scan(&rows).Error }); err != nil {
		return nil, errs.Wrap(op, err)
	}
	resp := new(filemetapb.ScanBlobsResponse)
	for _, r := range rows {
		resp.Blobs = append(resp.Blobs, &filemetapb.Blob{Digest: r.Digest, Size: r.Size})
	}
	return resp, nil
}

// Referenced implements the RPC.
func (s *Service) Referenced(ctx context.Context, req *filemetapb.ReferencedRequest) (*filemetapb.ReferencedResponse, error) {
	const op = errs.Op("filemeta.Referenced")
	if len(req.GetDigests()) > 10_000 {
		return nil, errs.E(errs.Invalid, op, errs.Field("digests"))
	}
	resp := new(filemetapb.ReferencedResponse)
	if len(req.GetDigests()) == 0 {
		return resp, nil
	}
	const among = "SELECT DISTINCT digest FROM versions WHERE digest IN ?"
	err := s.DB.Read(ctx, func(tx *gorm.DB) error {
		drive := req.GetDrive()
		if drive == 0 {
			return tx.Raw(among, req.GetDigests()).Scan(&resp.Digests).Error
		}
		err := tx.Raw(among+" AND drive_id = ?", req.GetDigests(), drive).Scan(&resp.Digests).Error
		if err != nil || len(resp.GetDigests()) == 0 {
			return err
		}
		return tx.Raw(among+" AND drive_id <> ?", resp.GetDigests(), drive).Scan(&resp.Shared).Error
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return resp, nil
}

// sums is a row of sums.
type sums struct {
	Digest []byte `gorm:"primaryKey"`
	SHA256 []byte `gorm:"column:sha256"`
	SHA1   []byte `gorm:"column:sha1"`
	MD5    []byte `gorm:"column:md5"`
}

// TableName implements gorm's Tabler.
func (sums) TableName() string { return "sums" }

// PutSums implements the RPC.
func (s *Service) PutSums(ctx context.Context, b *filemetapb.Blob) (*filemetapb.PutSumsResponse, error) {
	const op = errs.Op("filemeta.PutSums")
	if len(b.GetDigest()) != 32 || len(b.GetSha256()) != 32 {
		return nil, errs.E(errs.Invalid, op)
	}
	err := s.DB.Write(ctx, func(tx *gorm.DB) error {
		row := sums{b.GetDigest(), b.GetSha256(), b.GetSha1(), b.GetMd5()}
		if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
			return err
		}
		_, err := execute(tx, "UPDATE sums SET sha1 = coalesce(?, sha1), md5 = coalesce(?, md5) WHERE digest = ?", row.SHA1, row.MD5, row.Digest)
		return err
	})
	if err != nil {
		return nil, errs.Wrap(op, err)
	}
	return new(filemetapb.PutSumsResponse), nil
}
