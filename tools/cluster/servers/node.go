package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Node is one process of a component. Its folder, COMPONENT/NAME in the cluster's, has its data, the file log with what
// it says, and the file pid while it runs.
type Node struct {
	Component, Name string
	// Dir is its folder.
	Dir string
}

func (c *Cluster) node(component, name string) (*Node, error) {
	dir, err := c.folder(component, name)
	return &Node{component, name, dir}, err
}

// Nodes of a component that were ever started.
func (c *Cluster) Nodes(component string) ([]*Node, error) {
	found, err := filepath.Glob(c.path(component, "*", "pid"))
	sort.Strings(found)
	var all []*Node
	for _, f := range found {
		dir := filepath.Dir(f)
		all = append(all, &Node{component, filepath.Base(dir), dir})
	}
	return all, err
}

// PID is that of the running process, or 0.
func (n *Node) PID() int {
	b, err := os.ReadFile(filepath.Join(n.Dir, "pid"))
	if err != nil {
		return 0
	}
	// The start time tells a process from a later one that got the same number.
	text, started, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	pid, err := strconv.Atoi(text)
	if err != nil || startTime(pid) != started {
		return 0
	}
	return pid
}

// startTime of a process in the kernel's ticks, "" when there is none, or only what is left of one.
func startTime(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is a name in parentheses, which may hold anything; state is field 3 and start time field 22.
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}

// start runs a command as the node's process, unless it runs already. It goes on when this program ends.
func (n *Node) start(env []string, command string, args ...string) error {
	if n.PID() > 0 {
		return nil
	}
	log, err := os.OpenFile(filepath.Join(n.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(command, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = n.Dir, log, log, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if dir, err := n.group(); err == nil && os.MkdirAll(dir, 0o755) == nil {
		group, err := os.Open(dir)
		if err != nil {
			return err
		}
		defer group.Close()
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(group.Fd())
	} // else it cannot be cut off, which CanCut says
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	if err := os.WriteFile(filepath.Join(n.Dir, "pid"), fmt.Appendf(nil, "%d %s\n", pid, startTime(pid)), 0o644); err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	go func() { _ = cmd.Wait() }() // so that one that ends at once is seen to have ended
	return nil
}

// stopPatience is how long a process may take to end by itself.
const stopPatience = 20 * time.Second

// Stop ends the process, and the others of its session.
func (n *Node) Stop() error {
	defer n.dropGroup()
	pid := n.PID()
	if pid == 0 {
		return nil
	}
	// A stopped process (SIGSTOP) does not hear of its end, and one that is cut off takes its time.
	if err := n.Mend(); err != nil {
		return err
	}
	if err := syscall.Kill(-pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	for end := time.Now().Add(stopPatience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if n.PID() == 0 {
			return nil
		}
	}
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// tail gives the end of the node's log, for an error.
func (n *Node) tail() string {
	b, err := os.ReadFile(filepath.Join(n.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// wait tries until it succeeds, for as long as the patience lasts and the process runs. An error has the end of the log.
func (n *Node) wait(ctx context.Context, patience time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := wait(ctx, patience, n.Component+" "+n.Name, func(ctx context.Context) error {
		if n.PID() == 0 {
			cancel(errors.New("it does not run"))
			return context.Cause(ctx)
		}
		return try(ctx)
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, n.tail())
	}
	return nil
}

// Kill ends the process, and the others of its session, at once.
func (n *Node) Kill() error { return n.signal(syscall.SIGKILL) }

// Pause stops the process where it is; it answers nothing until Resume.
func (n *Node) Pause() error { return n.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (n *Node) Resume() error { return n.signal(syscall.SIGCONT) }

func (n *Node) signal(s syscall.Signal) error {
	pid := n.PID()
	if pid == 0 {
		return fmt.Errorf("%s %s does not run", n.Component, n.Name)
	}
	return syscall.Kill(-pid, s)
}
