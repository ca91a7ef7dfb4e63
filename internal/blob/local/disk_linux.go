package local

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// startWriteback tells the kernel to begin writing n dirty bytes of the file at off and does not wait. It promises
// nothing; fsync does.
func startWriteback(f *os.File, off, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
}

// nextHole gives the first place from off on that nobody has written to, as far as the file system can tell; what
// it cannot tell counts as written. At or after the file's end there is always one. A file system that keeps zeros as
// holes shows those too.
func nextHole(f *os.File, off int64) (int64, error) {
	return f.Seek(off, unix.SEEK_HOLE)
}

// copyRange copies n bytes between files by the kernel, which shares the blocks on file systems that can. It says
// whether it did; when it cannot, nothing that matters has happened.
func copyRange(dst *os.File, off int64, src *os.File, from, n int64) (bool, error) {
	for n > 0 {
		// A piece takes the kernel a moment, so that many copies share the disk.
		m, err := unix.CopyFileRange(int(src.Fd()), &from, int(dst.Fd()), &off, int(min(n, 64<<20)), 0)
		switch {
		case err == unix.EINTR:
		case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS),
			errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPERM), err == nil && m == 0:
			return false, nil
		case err != nil:
			return false, err
		}
		n -= int64(m)
	}
	return true, nil
}

// bootEpoch names the time since the kernel started: what was written since is in its memory or on the disk.
func bootEpoch() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(b), err
}
