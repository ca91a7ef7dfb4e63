package client

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks a file against other openings of it, also in this process, until it is closed. It says whether
// it could.
func tryLock(f *os.File) (bool, error) {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// othersCanRead cannot be told from a mode here; a profile's folders are closed to other users by default.
func othersCanRead(os.FileInfo) bool { return false }

const noFollow = 0
