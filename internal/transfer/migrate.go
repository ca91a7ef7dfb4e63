package transfer

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// Migration is what to move from one store to another.
type Migration struct {
	From, To string
	// Drive whose content moves, but for what versions in other drives refer to, too; 0: all content does.
	Drive int64
	// MinSize and MaxSize bound the size in bytes of what moves; a MaxSize of 0 is no bound.
	MinSize, MaxSize int64
	// Rate bounds how fast bytes move, in bytes a second of all processes together; 0: no bound.
	Rate int64
	// Parallel is how many blobs a process moves at once; 0: 4.
	Parallel int
	// DryRun only counts.
	DryRun bool
	// Progress, if not nil, is told now and then how far it is. Calls come one after the other.
	Progress func(MigrationStatus)
}

// Migrated is what a migration did, for people and programs.
type Migrated struct {
	// ID of the migration; 0: a dry run.
	ID int64 `json:"id,omitempty"`
	// Blobs and Bytes that moved, or would in a dry run.
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
	// Left are blobs that no version refers to: the collection's, or of uploads under way. With a drive, they are those
	// that no version in it refers to.
	Left int64 `json:"left"`
	// Shared are blobs of the drive that stay, because versions in other drives refer to them, too.
	Shared int64 `json:"shared"`
	// Kept are blobs that were copied and stay in the first store, too, because they were put there again meanwhile.
	Kept int64 `json:"kept"`
	// Damaged blobs stay where they are. Problems tells of the first of them.
	Damaged  int64     `json:"damaged"`
	Problems []Problem `json:"problems"`
}

// MigrationStatus is a migration and how far it is. What a process has done since it last wrote that down, a second ago
// at most, is not in it.
type MigrationStatus struct {
	Migrated
	From    string `json:"from"`
	To      string `json:"to"`
	Drive   int64  `json:"drive,omitempty"`
	MinSize int64  `json:"minSize,omitempty"`
	MaxSize int64  `json:"maxSize,omitempty"`
	Rate    int64  `json:"rate,omitempty"`
	// State is running, done or cancelled.
	State string    `json:"state"`
	Began time.Time `json:"began"`
	// Ended is zero while it runs.
	Ended time.Time `json:"ended,omitzero"`
	// Parts are equal parts of the content, PartsDone of which are done.
	Parts     int `json:"parts"`
	PartsDone int `json:"partsDone"`
	// Processes that work on it now.
	Processes int `json:"processes"`
	// Error ended the last attempt at a part, which will be tried again.
	Error string `json:"error,omitempty"`
}

const (
	migrationRuns      = "running"
	migrationDone      = "done"
	migrationCancelled = "cancelled"
)

func statusOf(m *filemetapb.Migration) MigrationStatus {
	w := m.GetWhat()
	st := MigrationStatus{
		Migrated: migratedOf(m.GetCounts()),
		From:     w.GetFrom(), To: w.GetTo(), Drive: w.GetDrive(), MinSize: w.GetMinSize(), MaxSize: w.GetMaxSize(), Rate: w.GetRate(),
		State: migrationRuns, Began: time.UnixMilli(m.GetCreatedAt()),
		Parts: int(m.GetParts()), PartsDone: int(m.GetPartsDone()), Processes: int(m.GetHolders()), Error: m.GetError(),
	}
	st.ID = m.GetId()
	switch m.GetState() {
	case filemetapb.MigrationState_MIGRATION_STATE_RUNNING:
	case filemetapb.MigrationState_MIGRATION_STATE_DONE:
		st.State = migrationDone
	case filemetapb.MigrationState_MIGRATION_STATE_CANCELLED:
		st.State = migrationCancelled
	}
	if m.GetEndedAt() > 0 {
		st.Ended = time.UnixMilli(m.GetEndedAt())
	}
	return st
}

func migratedOf(c *filemetapb.MigrationCounts) Migrated {
	m := Migrated{
		Blobs: c.GetBlobs(), Bytes: c.GetBytes(), Left: c.GetLeft(), Shared: c.GetShared(), Kept: c.GetKept(),
		Damaged: c.GetDamaged(), Problems: []Problem{},
	}
	for _, p := range c.GetProblems() {
		m.Problems = append(m.Problems, Problem{p.GetCode(), p.GetDetail()})
	}
	return m
}

// ErrCancelled is that a migration was cancelled while it was waited for.
var ErrCancelled = errs.E(errs.Conflict, "transfer.Migrate", "the migration was cancelled")

// waitAgain is how long to wait between two looks at what others do.
const waitAgain = 250 * time.Millisecond

// Migrate moves content between stores while the drive is in use, and returns when all has moved. Each blob is read and
// checked block by block, put into the other store so that it would survive a power cut there, and only then deleted
// here, unless it was put again meanwhile. So at every moment it is in one store at least, and readers follow it
// (blob.Stores).
//
// The migration is written down, and every process that runs MoveSome works on it beside this one. When ctx ends, or the
// caller dies, it goes on there; the same call again joins it.
func (s *Service) Migrate(ctx context.Context, m Migration) (Migrated, error) {
	const op = errs.Op("transfer.Migrate")
	if m.DryRun {
		c, err := s.wouldMigrate(ctx, m)
		return c, errs.Wrap(op, err)
	}
	st, err := s.StartMigration(ctx, m)
	if err != nil {
		return Migrated{Problems: []Problem{}}, errs.Wrap(op, err)
	}
	if m.Progress != nil {
		defer s.tell(ctx, st.ID, m.Progress)()
	}
	for err == nil && st.State == migrationRuns {
		var took int64
		took, err = s.moveSome(ctx, st.ID, nil)
		// What was done is told whatever became of the rest.
		if now, serr := s.MigrationStatus(context.WithoutCancel(ctx), st.ID); serr == nil {
			st = now
		} else if err == nil {
			err = serr
		}
		if err == nil && took == 0 && st.State == migrationRuns {
			err = wait(ctx, waitAgain) // for what others have
		}
	}
	if err == nil && st.State == migrationCancelled {
		err = ErrCancelled
	}
	return st.Migrated, errs.Wrap(op, err)
}

// tell tells of a migration every now and then, until it is told to stop, and then once more.
func (s *Service) tell(ctx context.Context, id int64, progress func(MigrationStatus)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	look := func(ctx context.Context) {
		if st, err := s.MigrationStatus(ctx, id); err == nil {
			progress(st)
		}
	}
	go func() {
		defer close(ended)
		for wait(ctx, waitAgain) == nil {
			look(ctx)
		}
	}()
	return func() {
		cancel()
		<-ended
		look(context.WithoutCancel(ctx))
	}
}

// StartMigration writes down that content is to move. One that runs already with the same stores, drive and sizes is the
// same one, and gets the new rate and width.
func (s *Service) StartMigration(ctx context.Context, m Migration) (MigrationStatus, error) {
	const op = errs.Op("transfer.StartMigration")
	if _, _, err := s.ends(m.From, m.To); err != nil {
		return MigrationStatus{}, errs.Wrap(op, err)
	}
	width := m.Parallel
	if width <= 0 {
		width = 4
	}
	resp, err := s.Tree.StartMigration(ctx, &filemetapb.StartMigrationRequest{
		From: m.From, To: m.To, Drive: m.Drive, MinSize: m.MinSize, MaxSize: m.MaxSize, Rate: m.Rate, Width: int32(min(width, 1000)),
	})
	return statusOf(resp), errs.Wrap(op, err)
}

// ends gives the two stores of a migration.
func (s *Service) ends(from, to string) (a, b blob.Named, err error) {
	a, ok := s.Blobs.Named(from)
	b, ok2 := s.Blobs.Named(to)
	if !ok || !ok2 || from == to {
		return a, b, errs.E(errs.Invalid, "transfer.ends", "two different stores of the settings")
	}
	return a, b, nil
}

// MigrationStatus tells of one migration, or is errs.NotFound.
func (s *Service) MigrationStatus(ctx context.Context, id int64) (MigrationStatus, error) {
	const op = errs.Op("transfer.MigrationStatus")
	resp, err := s.Tree.ListMigrations(ctx, &filemetapb.ListMigrationsRequest{Id: id})
	switch {
	case err != nil:
		return MigrationStatus{}, errs.Wrap(op, err)
	case len(resp.GetMigrations()) == 0:
		return MigrationStatus{}, errs.E(errs.NotFound, op)
	}
	return statusOf(resp.GetMigrations()[0]), nil
}

// Migrations tells of all that run, and of the last that have ended, the latest first.
func (s *Service) Migrations(ctx context.Context) ([]MigrationStatus, error) {
	resp, err := s.Tree.ListMigrations(ctx, new(filemetapb.ListMigrationsRequest))
	all := []MigrationStatus{}
	for _, m := range resp.GetMigrations() {
		all = append(all, statusOf(m))
	}
	return all, errs.Wrap("transfer.Migrations", err)
}

// CancelMigration ends a migration and returns when no process moves anything for it any more. What has moved stays where
// it is. One that has ended already is no error.
func (s *Service) CancelMigration(ctx context.Context, id int64) (MigrationStatus, error) {
	const op = errs.Op("transfer.CancelMigration")
	m, err := s.Tree.CancelMigration(ctx, &filemetapb.CancelMigrationRequest{Id: id})
	st := statusOf(m)
	for err == nil && st.Processes > 0 {
		if err = wait(ctx, waitAgain); err == nil {
			st, err = s.MigrationStatus(ctx, id)
		}
	}
	return st, errs.Wrap(op, err)
}

// wouldMigrate counts what would move.
func (s *Service) wouldMigrate(ctx context.Context, m Migration) (Migrated, error) {
	from, _, err := s.ends(m.From, m.To)
	if err != nil {
		return Migrated{Problems: []Problem{}}, err
	}
	what := &filemetapb.StartMigrationRequest{Drive: m.Drive, MinSize: m.MinSize, MaxSize: m.MaxSize}
	sum := new(filemetapb.MigrationCounts)
	var failed error
	for first := 0; first < blob.Parts && failed == nil; first++ {
		var entries []blob.Entry
		if entries, failed = listPart(ctx, from, byte(first), nil, what); failed == nil {
			failed = s.sortOut(ctx, entries, what.GetDrive(), func(e blob.Entry, stays *filemetapb.MigrationCounts) error {
				if stays == nil {
					stays = &filemetapb.MigrationCounts{Blobs: 1, Bytes: e.Size}
				}
				addCounts(sum, stays)
				return nil
			})
		}
	}
	return migratedOf(sum), failed
}

// wait waits for a time, or gives the end of ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// MoveSome works on migrations, whoever has started them, for as long as there is a part of one that nobody works on.
// What it cannot do is given back, for others and for later, with why, and keeps it from no other migration.
func (s *Service) MoveSome(ctx context.Context) error {
	const op = errs.Op("transfer.MoveSome")
	failed := make(map[int64]error)
	until := make(map[int64]time.Time)
	for {
		var except []int64
		for id, end := range until {
			if time.Now().Before(end) {
				except = append(except, id)
			}
		}
		took, err := s.moveSome(ctx, 0, except)
		failed[took] = err
		if err != nil {
			until[took] = time.Now().Add(moveRest)
		}
		if took == 0 || ctx.Err() != nil {
			return errs.Wrap(op, errors.Join(slices.Collect(maps.Values(failed))...))
		}
	}
}

const (
	// moveLook is how often a process looks whether there is something to move,
	moveLook = 5 * time.Second
	// and moveRest how long after a failure.
	moveRest = 30 * time.Second
)

// keepMoving calls MoveSome until ctx ends.
func (s *Service) keepMoving(ctx context.Context, failed func(error)) {
	pause := min(s.Every, moveLook)
	for wait(ctx, pause) == nil {
		pause = min(s.Every, moveLook)
		if err := s.MoveSome(ctx); err != nil && ctx.Err() == nil {
			pause = moveRest
			failed(err)
		}
	}
}
