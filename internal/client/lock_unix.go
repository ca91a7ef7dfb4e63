//go:build unix

package client

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// tryLock locks a file against other openings of it, also in this process, until it is closed. It says whether
// it could.
func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, err
		}
	}
}

// othersCanRead tells whether a file's mode lets its group or everybody in.
func othersCanRead(info os.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }

// noFollow makes an opening of a symbolic link fail, and one of a FIFO not wait for its other end.
const noFollow = unix.O_NOFOLLOW | unix.O_NONBLOCK
