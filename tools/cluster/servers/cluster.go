// Package servers installs, starts and stops everything that a cluster of the drive runs on, each kind of server in a file of
// its own.
package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Cluster is the folder in which everything runs.
type Cluster struct {
	// root is the folder of the sources, dir that of data and logs, cache that of installed servers; all absolute.
	root, dir, cache string
	ports            map[string]int
}

// Open opens the folder, dir, or .cluster in the sources if that is empty. root is the folder of the sources.
func Open(root, dir string) (*Cluster, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if dir == "" {
		dir = filepath.Join(root, ".cluster")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	cache := os.Getenv("GOPAN_CACHE")
	if cache == "" {
		if cache, err = os.UserCacheDir(); err != nil {
			return nil, err
		}
		cache = filepath.Join(cache, "gopan")
	}
	c := &Cluster{root: root, dir: dir, cache: cache, ports: make(map[string]int)}
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.MkdirAll(cache, 0o755)); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(c.path("ports.json"))
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &c.ports); err != nil {
		return nil, fmt.Errorf("%s: %w", c.path("ports.json"), err)
	}
	return c, nil
}

// path is a file in the cluster's folder.
func (c *Cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

// folder is path, made if it is not there.
func (c *Cluster) folder(parts ...string) (string, error) {
	dir := c.path(parts...)
	return dir, os.MkdirAll(dir, 0o755)
}

// port gives the port of a name such as "redis/3", on loopback: a free one at the first call, the same ever after.
func (c *Cluster) port(name string) (int, error) {
	if p, ok := c.ports[name]; ok {
		return p, nil
	}
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		p := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return 0, err
		}
		// Some servers add 10000 for a second port, and ports that the kernel gives to others' connections may be taken
		// when this one is down: both are avoided below the kernel's range.
		p = 12000 + p%10000
		if slices.Contains(slices.Collect(maps.Values(c.ports)), p) || !free(p) || !free(p+10000) {
			continue
		}
		c.ports[name] = p
		b, err := json.MarshalIndent(c.ports, "", "  ")
		if err != nil {
			return 0, err
		}
		return p, os.WriteFile(c.path("ports.json"), b, 0o644)
	}
}

func free(port int) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// address is the port of a name with the loopback address before it.
func (c *Cluster) address(name string) (string, error) {
	p, err := c.port(name)
	return "127.0.0.1:" + strconv.Itoa(p), err
}

// script runs a script of tools/scripts, showing what it says, and gives its output.
func (c *Cluster) script(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.root, "tools/scripts", name), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	cmd.Env = append(os.Environ(), "GOPAN_CACHE="+c.cache)
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(out.String()), nil
}

// Up starts components, and what they need, as far as they do not run, and tells w of each.
func (c *Cluster) Up(ctx context.Context, w io.Writer, chosen ...string) error {
	for _, comp := range selected(chosen) {
		began := time.Now()
		nodes, err := c.Nodes(comp.name)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			if err := n.Mend(); err != nil {
				return err
			}
		}
		if err := comp.up(ctx, c); err != nil {
			return fmt.Errorf("%s: %w (logs are in %s)", comp.name, err, c.path(comp.name))
		}
		fmt.Fprintf(w, "%-8s up after %.1f s\n", comp.name, time.Since(began).Seconds())
	}
	var b bytes.Buffer
	if err := c.PrintEnv(&b); err != nil {
		return err
	}
	return os.WriteFile(c.path("env"), b.Bytes(), 0o644)
}

// Down stops components, in reverse; those that need a chosen one are stopped as well.
func (c *Cluster) Down(chosen []string) error {
	var failed []error
	for _, comp := range slices.Backward(components) {
		hit := len(chosen) == 0
		for _, s := range selected([]string{comp.name}) {
			hit = hit || slices.Contains(chosen, s.name)
		}
		if !hit {
			continue
		}
		nodes, err := c.Nodes(comp.name)
		failed = append(failed, err)
		for _, n := range slices.Backward(nodes) {
			failed = append(failed, n.Stop())
		}
	}
	return errors.Join(failed...)
}

// Status tells which processes run.
func (c *Cluster) Status(w io.Writer) error {
	for _, comp := range components {
		nodes, err := c.Nodes(comp.name)
		if err != nil {
			return err
		}
		if len(nodes) == 0 {
			fmt.Fprintf(w, "%-8s was never started\n", comp.name)
		}
		for _, n := range nodes {
			if pid := n.PID(); pid > 0 {
				fmt.Fprintf(w, "%-8s %-10s runs as process %d\n", comp.name, n.Name, pid)
			} else {
				fmt.Fprintf(w, "%-8s %-10s does not run\n", comp.name, n.Name)
			}
		}
	}
	return nil
}

// Env are the variables of a component.
func (c *Cluster) Env(name string) map[string]string {
	for _, comp := range components {
		if comp.name == name {
			return comp.env(c)
		}
	}
	return nil
}

// Fsck runs the drive's own check on all that it has, every byte included, and gives its report.
func (c *Cluster) Fsck(ctx context.Context) ([]byte, error) {
	env, err := c.gopanEnviron()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.root, "bin", "gopan"), "fsck", "--read-data", "--json", "--config", c.path("gopan", "gopan.yaml"))
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), os.Stderr
	return cmd.Output()
}

// PeerPorts are those by which nodes of a component talk to one another and clients do not; none if they are the same.
func (c *Cluster) PeerPorts(component string) []int {
	names := map[string]string{"mysql": "mysql/group/", "kafka": "kafka/controller/", "etcd": "etcd/peer/", "redis": "redis/"}
	var all []int
	for name, port := range c.ports {
		if names[component] != "" && strings.HasPrefix(name, names[component]) {
			if component == "redis" {
				port += redisBus
			}
			all = append(all, port)
		}
	}
	slices.Sort(all)
	return all
}

// Metrics are what each process of the drive tells of itself.
func (c *Cluster) Metrics(ctx context.Context) ([][]byte, error) {
	nodes, err := c.Nodes("gopan")
	var all [][]byte
	for _, n := range nodes {
		a, err := c.address("gopan/http/" + n.Name)
		if err != nil {
			return nil, err
		}
		text, err := httpGet(ctx, "http://"+a+"/metrics")
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, err
}

// PrintEnv prints the variables of what is up, for a shell.
func (c *Cluster) PrintEnv(w io.Writer) error {
	for _, comp := range components {
		nodes, err := c.Nodes(comp.name)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(nodes, func(n *Node) bool { return n.PID() > 0 }) {
			continue
		}
		env := comp.env(c)
		for _, name := range slices.Sorted(maps.Keys(env)) {
			fmt.Fprintf(w, "export %s='%s'\n", name, env[name])
		}
	}
	return nil
}

// wait tries until it succeeds, for as long as the patience lasts; the last failure is why it did not.
func wait(ctx context.Context, patience time.Duration, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	for {
		if err := try(ctx); err == nil {
			return nil
		} else if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %v: %w", what, patience, last)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
