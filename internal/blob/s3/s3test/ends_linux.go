package s3test

import (
	"os/exec"
	"syscall"
)

// endsWithUs has a server killed when the tests are.
func endsWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
