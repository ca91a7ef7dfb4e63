// Package filemeta is the tree: folders, files, their versions, the trash and the quota. It is the only owner
// of file metadata, and decides who may see what of it.
package filemeta

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/pb/userpb"
)

// Service is the tree and its rules.
type Service struct {
	// DB holds the tables drives, nodes, versions, sums, changes and requests.
	DB *db.DB
	// Log is where commits are published; what it applies comes back through Apply.
	Log event.Log
	// SeveralWays tells that a commit may come to Apply by more than one way, so that what became of it has to be
	// remembered: with a log that other processes apply, and not with one of this process alone.
	SeveralWays bool
	// Users is the user role: what accounts are called, whose time has come, and its audit log. Nil where no account is
	// administered and none is erased.
	Users userpb.UserClient
	// DefaultQuota of a new drive in bytes; 0: no limit.
	DefaultQuota int64
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	ids     db.Sequence
	idsOnce sync.Once
	// own remembers each user's drive, which never changes: user id → *drive with only its ids set.
	own sync.Map
	// quota, if set, takes the place of DefaultQuota.
	quota atomic.Pointer[int64]
	// outcomes hands what Apply decided to the Commit that waits for it: event key → chan outcome.
	outcomes sync.Map
	memo     memo
	purge    chan struct{}
	purgeNew sync.Once
}

// UserID names an account. The user role makes them.
type UserID int64

// NodeID names a folder or a file.
type NodeID int64

// DriveID names a drive.
type DriveID int64

func (s *Service) now() int64 {
	if s.Now != nil {
		return s.Now().UnixMilli()
	}
	return time.Now().UnixMilli()
}

// newIDs takes n ids for nodes and drives. It must not be called inside a DB.Write.
func (s *Service) newIDs(ctx context.Context, n int) (int64, error) {
	s.idsOnce.Do(func() { s.ids = db.Sequence{DB: s.DB, Name: "nodes", Block: 10_000} })
	return s.ids.Take(ctx, int64(n))
}

// driveOf gives the user's own drive, which is made at its first use.
func (s *Service) driveOf(ctx context.Context, user UserID) (drive, error) {
	if d, ok := s.own.Load(user); ok {
		return d.(drive), nil
	}
	const op = errs.Op("filemeta.driveOf")
	if user <= 0 {
		return drive{}, errs.E(errs.Unauthenticated, op)
	}
	var d drive
	err := s.DB.Read(ctx, func(tx *gorm.DB) error { return tx.Take(&d, "owner_id = ?", user).Error })
	if errs.Is(errs.NotFound, err) {
		d, err = s.makeDrive(ctx, user)
	}
	if err != nil {
		return drive{}, errs.Wrap(op, err)
	}
	s.own.Store(user, d)
	return d, nil
}

// SetDefaultQuota changes DefaultQuota in a Service that may be running. Drives that are there keep theirs.
func (s *Service) SetDefaultQuota(n int64) { s.quota.Store(&n) }

func (s *Service) defaultQuota() int64 {
	if n := s.quota.Load(); n != nil {
		return *n
	}
	return s.DefaultQuota
}

func (s *Service) makeDrive(ctx context.Context, user UserID) (drive, error) {
	first, err := s.newIDs(ctx, 3)
	if err != nil {
		return drive{}, err
	}
	now := s.now()
	d := drive{
		ID: DriveID(first), OwnerID: user, RootID: NodeID(first + 1), TrashID: NodeID(first + 2),
		Quota: s.defaultQuota(), CreatedAt: now,
	}
	err = s.DB.Write(ctx, func(tx *gorm.DB) error {
		// Another request of the same user may have come first.
		before, err := driveWhere(tx, "owner_id IN (?, ?)", user, -user)
		if err != nil {
			return err
		}
		if before.OwnerID < 0 { // it is being erased
			return errs.E(errs.NotFound, "filemeta.makeDrive")
		}
		if before.ID != 0 {
			d = before
			return nil
		}
		root, trash := newNode(d.RootID, d.ID, topParent, "", folder, now), newNode(d.TrashID, d.ID, topParent, "", trash, now)
		// Names below topParent only need to be unique.
		root.Name, trash.Name = d.RootID.String(), d.TrashID.String()
		if err := tx.Create(&d).Error; err != nil {
			return err
		}
		return tx.Create([]*node{root, trash}).Error
	})
	return d, err
}

// mayUse is the one place that says whether a user may act on a drive. Whoever may not gets the same answer as
// for what does not exist (promise S2).
func (d drive) mayUse(user UserID) error {
	if user <= 0 || d.OwnerID != user {
		return errs.E(errs.NotFound, "filemeta.mayUse")
	}
	return nil
}
