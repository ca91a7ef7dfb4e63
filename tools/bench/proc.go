package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// proc is a server that this run started, with what it costs.
type proc struct {
	name, addr, log string
	cmd             *exec.Cmd
	done            chan error
	// pids are the process and its children.
	pids []int
	// answered is when it gave its first answer.
	answered time.Time
}

// Limits of a server's patience with us and of ours with it.
const (
	startLimit = 30 * time.Second
	stopLimit  = 30 * time.Second
	pollEvery  = 500 * time.Microsecond
)

// freeAddr is a loopback address that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// startProc starts a server, its output going to a file, and waits until path answers 200 or 404.
func startProc(ctx context.Context, dir, name, addr, path string, cmd *exec.Cmd) (*proc, error) {
	p := &proc{name: name, addr: addr, cmd: cmd, log: filepath.Join(dir, name+".log"), done: make(chan error, 1)}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = out, out
	// Not by our terminal's Ctrl-C: this run stops it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.done <- cmd.Wait() }()
	if err := p.ready(ctx, path); err != nil {
		return nil, errors.Join(err, p.kill())
	}
	p.answered = time.Now()
	p.pids, err = family(cmd.Process.Pid)
	if err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return p, nil
}

// ready polls until the server answers.
func (p *proc) ready(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if c, err := dial(ctx, p.addr); err == nil {
			status, err := c.roundTrip(request(nil, "GET", path, "", nil), false)
			_ = c.Close() // it has told what it had to
			if err == nil && (status == 200 || status == 404) {
				return nil
			}
		}
		select {
		case err := <-p.done:
			p.done <- err
			return errors.Join(err, fmt.Errorf("%s ended at once; its log ends with:\n%s", p.name, tail(p.log)))
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer %s: %w\n%s", p.name, path, ctx.Err(), tail(p.log))
		case <-tick.C:
		}
	}
}

// stop ends a server as Ctrl-C does.
func (p *proc) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-p.done:
		p.done <- err
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", p.name, err, tail(p.log))
		}
		return nil
	case <-time.After(stopLimit):
		return errors.Join(fmt.Errorf("%s did not stop within %s", p.name, stopLimit), p.kill())
	}
}

// kill ends a server and whatever it started.
func (p *proc) kill() error {
	err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	p.done <- <-p.done
	return nil
}

// tail is the end of a log, for an error.
func tail(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// family is a process and its children.
func family(pid int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	pids := []int{pid}
	for _, name := range stats {
		f, err := statFields(name)
		if err != nil {
			continue // it has ended
		}
		if parent, err := strconv.Atoi(f[1]); err == nil && parent == pid {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err != nil {
				return nil, err
			}
			pids = append(pids, child)
		}
	}
	return pids, nil
}

// statFields are the fields of a /proc/PID/stat after the command's name: the first is the third of proc(5).
func statFields(name string) ([]string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 13 {
		return nil, io.ErrUnexpectedEOF
	}
	return f, nil
}

// ticksPerSecond is the unit of CPU times in /proc (USER_HZ), which is 100 on every architecture that Go runs on.
const ticksPerSecond = 100

// cpu is the processor time that the server has taken so far, in seconds: user and system, all its processes.
func (p *proc) cpu() (float64, error) {
	var ticks int64
	for _, pid := range p.pids {
		f, err := statFields(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		for _, s := range f[11:13] {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	return float64(ticks) / ticksPerSecond, nil
}

// forgetPeak has the kernel count the peak of resident memory anew.
func (p *proc) forgetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0)
}

// peak is the most memory that was resident at once since forgetPeak, in MiB.
func (p *proc) peak() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib / 1024, err
		}
	}
	return 0, errors.New("no VmHWM")
}
