package filemeta

import (
	"database/sql"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
)

// Where other write transactions run at the same time, each that changes a drive first locks the drive's row, the
// lowest id first where there are several; then it passes the gate, if it has to do with what content is used.
// docs/decisions/0022-mysql.md tells why that is enough. On SQLite a write transaction is alone, and nothing here asks
// the database for anything.

// lockOwn locks the user's own drive, if there is one: nobody else changes it until the transaction ends, and what the
// transaction reads of it from now on is how it is.
func lockOwn(tx *gorm.DB, user UserID) error {
	if !db.Shared(tx) {
		return nil
	}
	_, err := driveWhere(tx, "owner_id = ?"+db.ForUpdate(tx), user)
	return err
}

// lockDrives locks drives and gives their rows.
func lockDrives(tx *gorm.DB, ids []DriveID) (all []drive, err error) {
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		d, err := driveWhere(tx, "id = ?"+db.ForUpdate(tx), id)
		if err != nil {
			return nil, err
		}
		if d.ID != 0 {
			all = append(all, d)
		}
	}
	return all, nil
}

// lock locks the drives of all commits of the batch, and passes the gate.
func (a *applier) lock(jobs []job) error {
	if !db.Shared(a.tx) {
		return nil
	}
	var users []UserID
	for _, j := range jobs {
		if j.refused == nil {
			users = append(users, j.who().user)
		}
	}
	slices.Sort(users)
	users = slices.Compact(users)
	var ids []DriveID
	if err := inLists(users, func(marks string, args []any) error {
		return query(a.tx, func(rows *sql.Rows) error {
			var id DriveID
			err := rows.Scan(&id)
			ids = append(ids, id)
			return err
		}, "SELECT id FROM drives WHERE owner_id IN ("+marks+")", args...)
	}); err != nil {
		return err
	}
	locked, err := lockDrives(a.tx, ids)
	if err != nil {
		return err
	}
	a.drives = make(map[UserID]*drive, len(locked))
	for _, d := range locked {
		a.drives[d.OwnerID] = &d
	}
	return db.Gate(a.tx, db.Condemning, false)
}

// lockPurged locks the drive of a node that waits to be purged, and reads the node again; false: somebody else
// has taken it apart meanwhile.
func lockPurged(tx *gorm.DB, n *node) (bool, error) {
	if !db.Shared(tx) {
		return true, nil
	}
	if _, err := lockDrives(tx, []DriveID{n.DriveID}); err != nil {
		return false, err
	}
	now, err := byID(tx, n.ID)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	*n = *now
	return n.ParentID == purgeParent, nil
}

// lockReservations locks the drives of reservations, then the reservations, and gives those that are there still and
// fit the condition by which they were found.
func lockReservations(tx *gorm.DB, found []reservation, condition string, args []any) ([]reservation, error) {
	if !db.Shared(tx) || len(found) == 0 {
		return found, nil
	}
	drives, ids := make([]DriveID, len(found)), make([]any, len(found))
	for i, r := range found {
		drives[i], ids[i] = r.drive, r.id
	}
	if _, err := lockDrives(tx, drives); err != nil {
		return nil, err
	}
	return reservationsWhere(tx, "id IN ("+strings.Repeat(", ?", len(ids))[2:]+") AND "+condition+" ORDER BY id"+db.ForUpdate(tx),
		append(ids, args...)...)
}
