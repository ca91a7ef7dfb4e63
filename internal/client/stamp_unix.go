//go:build unix

package client

import (
	"os"

	"golang.org/x/sys/unix"
)

// stampOf tells a file from another that has come to its name with the same size and time: by its number, and by
// when its content or its metadata last changed, which no program can set back.
func stampOf(f *os.File) (fileStamp, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fileStamp{}, &os.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	return fileStamp{File: st.Ino, Changed: st.Ctim.Nano()}, nil
}
