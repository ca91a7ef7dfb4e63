//go:build unix

package local

import (
	"io/fs"
	"os"
	"syscall"

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

// onDisk is how many bytes of the disk a file takes; holes take none.
func onDisk(st fs.FileInfo) int64 {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return sys.Blocks * 512
	}
	return st.Size()
}
