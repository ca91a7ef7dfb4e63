// Package kv keeps small values that expire: counters of attempts, one-time codes, leases. Losing all of them
// loses nothing that was acknowledged and opens no door.
package kv

import (
	"context"
	"time"
)

// Store is a map of short strings to short values, shared by all processes of one installation. Every entry
// expires. Values come back as they were put or not at all. When the store cannot be reached, methods fail
// with errs.Busy; what guards a door then stays shut.
type Store interface {
	// Get gives the value of a key, or errs.NotFound.
	Get(ctx context.Context, key string) ([]byte, error)
	// Set puts a value for ttl, which is positive.
	Set(ctx context.Context, key string, value []byte, ttl time.Duration) error
	// Swap puts a value for ttl if the present one is old; a nil old means that there is none. It tells
	// whether it did. Of several that swap the same old value, one succeeds.
	Swap(ctx context.Context, key string, old, value []byte, ttl time.Duration) (bool, error)
	// Add adds n to a counter, which begins at 0, and gives the sum. The first Add sets when the
	// counter expires; later ones leave that alone.
	Add(ctx context.Context, key string, n int64, ttl time.Duration) (int64, error)
	// Delete removes a key; one that is not there is no error.
	Delete(ctx context.Context, key string) error
}
