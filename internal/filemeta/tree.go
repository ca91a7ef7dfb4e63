package filemeta

import (
	"context"
	"errors"
	"slices"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
)

// placed is a live node, where it is, and in which drive.
type placed struct {
	*node
	drive drive
	path  drivepath.Path
	// above are the ids of the folders that hold it, the root first.
	above []NodeID
}

// one gives the only node of a reading, or errs.NotFound.
func one(nodes []*node, err error) (*node, error) {
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 {
		return nil, errs.E(errs.NotFound, "filemeta.one")
	}
	return nodes[0], nil
}

// child finds a node by its name in a folder.
func child(tx *gorm.DB, parent NodeID, name string) (*node, error) {
	return one(nodesWhere(tx, "parent_id = ? AND name = ?", parent, name))
}

// byID reads a node, wherever it is.
func byID(tx *gorm.DB, id NodeID) (*node, error) {
	return one(nodesWhere(tx, "id = ?", id))
}

// atPath finds a live node of the asker's own drive.
func (s *Service) atPath(ctx context.Context, tx *gorm.DB, who asker, p drivepath.Path) (placed, error) {
	d, err := s.driveOf(ctx, who.user)
	if err != nil {
		return placed{}, err
	}
	if err := d.mayUse(who.user); err != nil {
		return placed{}, err
	}
	if p.IsRoot() {
		n, err := byID(tx, d.RootID)
		if err != nil {
			return placed{}, err
		}
		return who.seen(placed{node: n, drive: d})
	}
	n := &node{ID: d.RootID} // all that the walk needs of it
	var above []NodeID
	for _, name := range p.Names() {
		above = append(above, n.ID)
		// A file holds nothing, so a path through one ends here.
		if n, err = child(tx, n.ID, string(name)); err != nil {
			return placed{}, err
		}
	}
	return who.seen(placed{n, d, p, above})
}

// ancestors reads a node and what holds it, from the node up.
func ancestors(tx *gorm.DB, id NodeID) ([]*node, error) {
	var chain []*node
	err := tx.Raw(`WITH RECURSIVE up (id, depth) AS (
			SELECT CAST(? AS SIGNED), 0
			UNION ALL
			SELECT nodes.parent_id, depth + 1 FROM up JOIN nodes ON nodes.id = up.id
			WHERE nodes.parent_id > 0 AND depth < 10000)
		SELECT nodes.* FROM up JOIN nodes ON nodes.id = up.id ORDER BY depth`, id).Scan(&chain).Error
	if err != nil {
		return nil, err
	}
	if len(chain) == 0 {
		return nil, errs.E(errs.NotFound, "filemeta.ancestors")
	}
	return chain, nil
}

// atID finds a live node by its id, in any drive that the asker may use. What is in the trash is not live.
func atID(tx *gorm.DB, who asker, id NodeID) (placed, error) {
	chain, err := ancestors(tx, id)
	if err != nil {
		return placed{}, err
	}
	var d drive
	if err := tx.Take(&d, "id = ?", chain[0].DriveID).Error; err != nil {
		return placed{}, err
	}
	if err := d.mayUse(who.user); err != nil {
		return placed{}, err
	}
	top := chain[len(chain)-1]
	if top.ID != d.RootID {
		return placed{}, errs.E(errs.NotFound, "filemeta.atID")
	}
	p := placed{node: chain[0], drive: d}
	slices.Reverse(chain)
	for i, n := range chain {
		if i > 0 {
			p.path = p.path.Join(drivepath.Name(n.Name))
		}
		if i < len(chain)-1 {
			p.above = append(p.above, n.ID)
		}
	}
	return who.seen(p)
}

// asFolder is p itself, or errs.Conflict when it is a file.
func (p placed) asFolder() (placed, error) {
	if p.Kind != folder {
		return p, errs.E(errs.Conflict, "filemeta.asFolder", errs.Code("not_a_folder"))
	}
	return p, nil
}

// taken tells whether a folder has a live node of this name.
func taken(tx *gorm.DB, parent NodeID, name string) (bool, error) {
	_, err := child(tx, parent, name)
	if errs.Is(errs.NotFound, err) {
		return false, nil
	}
	return err == nil, err
}

// missing tells whether err is gorm's or our own way to say that a row is not there.
func missing(err error) bool {
	return errs.Is(errs.NotFound, err) || errors.Is(err, gorm.ErrRecordNotFound)
}
