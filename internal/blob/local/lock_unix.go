//go:build unix

package local

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockDir locks a folder against other processes, and other openings in this one, until it is closed.
func lockDir(dir *os.File, exclusive bool) error {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	for {
		if err := unix.Flock(int(dir.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}
