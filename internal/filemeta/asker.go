package filemeta

import (
	"context"
	"slices"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/drivepath"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// asker is who asks, and how much of the tree their credential opens.
type asker struct {
	user UserID
	// folder is the one that an access key opens, wherever in the drive it is by now; 0: all that is the user's. What is
	// outside of it does not exist for the key, and when the folder is in the trash or gone, nothing does (promise S15).
	folder NodeID
}

// askerIn gives who asks in ctx.
func askerIn(ctx context.Context) (asker, error) {
	p, err := auth.From(ctx)
	return asker{UserID(p.UserID), NodeID(p.FolderID)}, err
}

// askerOf gives who asks by an RPC.
func askerOf(a *filemetapb.Actor) asker {
	return asker{UserID(a.GetUserId()), NodeID(a.GetFolderId())}
}

// seen is p, which is in a drive that the user may use, if the asker may know of it.
func (who asker) seen(p placed) (placed, error) {
	if who.folder == 0 || p.ID == who.folder && p.Kind == folder || slices.Contains(p.above, who.folder) {
		return p, nil
	}
	return placed{}, errs.E(errs.NotFound, "filemeta.seen")
}

// limited is the answer to a key that is limited to a folder and asks for what is more than that.
func limited() error {
	return errs.E(errs.Denied, "filemeta.limited", errs.Code("key_limited_to_folder"))
}

// wholeDrive fails for whoever is limited to a folder.
func (who asker) wholeDrive() error {
	if who.folder != 0 {
		return limited()
	}
	return nil
}

// mayMove fails when at, which the asker sees, is the very folder that they are limited to: its place is not theirs to
// decide.
func (who asker) mayMove(at placed) error {
	if at.ID == who.folder {
		return limited()
	}
	return nil
}

// bounds is the path of the folder that the asker is limited to, the root's if they are not.
func (who asker) bounds(tx *gorm.DB) (drivepath.Path, error) {
	if who.folder == 0 {
		return drivepath.Root, nil
	}
	at, err := atID(tx, who, who.folder)
	return at.path, err
}

// reaches fails when a path, of what may be there or not, leads out of the asker's bounds.
func (who asker) reaches(tx *gorm.DB, p drivepath.Path) error {
	within, err := who.bounds(tx)
	if err == nil && !p.In(within) {
		err = errs.E(errs.NotFound, "filemeta.reaches")
	}
	return err
}
