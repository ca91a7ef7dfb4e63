package blob

import (
	"context"
	"time"

	"github.com/livil/gopan/internal/errs"
)

// Unstaged makes a Stager of a Store that takes blobs in one piece only: Stage fails with errs.Unsupported.
type Unstaged struct{ Store }

// Stage implements Stager.
func (Unstaged) Stage(context.Context, int64) (string, error) {
	return "", errs.E(errs.Unsupported, "blob.Unstaged.Stage")
}

// Staged implements Stager.
func (Unstaged) Staged(context.Context, string, int64) (Staged, error) {
	return nil, errs.E(errs.NotFound, "blob.Unstaged.Staged")
}

// PartSize implements Stager.
func (Unstaged) PartSize(int64) int64 { return BlockSize }

// Sweep implements Stager.
func (Unstaged) Sweep(context.Context, time.Time) (Swept, error) { return Swept{}, nil }
