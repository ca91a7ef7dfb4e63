package local

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriteback tells the kernel to begin writing the file's dirty pages and does not wait. It promises
// nothing; fsync does.
func startWriteback(f *os.File) {
	_ = unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}
