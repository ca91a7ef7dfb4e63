//go:build unix && !linux

package local

import (
	"crypto/rand"
	"os"
)

// startWriteback has no portable form; fsync then has more to do.
func startWriteback(_ *os.File, _, _ int64) {}

// nextHole has no portable form: any place may be one.
func nextHole(_ *os.File, off int64) (int64, error) { return off, nil }

// copyRange has no portable form.
func copyRange(_ *os.File, _ int64, _ *os.File, _, _ int64) (bool, error) { return false, nil }

var processEpoch = rand.Text()

// bootEpoch names the life of this process: what others have written is read again, which is always safe.
func bootEpoch() (string, error) { return processEpoch, nil }
