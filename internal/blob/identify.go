package blob

import "context"

// Identified is a store far away that bears an id, by which a wrong one in its place, or an empty one, is told.
type Identified interface {
	// ID gives the store's id; errs.NotFound when it answers and has none, as one that was never used.
	ID(ctx context.Context) (string, error)
	// Identify gives the store this id, unless it has one; then it fails with errs.Exists.
	Identify(ctx context.Context, id string) error
}
