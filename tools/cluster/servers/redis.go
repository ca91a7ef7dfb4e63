package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// redisNodes are three masters, which have a third of the keys each, and a replica of each.
const redisNodes = 6

// redisBus is how far above its port a node listens to the others.
const redisBus = 10000

// redisComponent is a Redis Cluster.
var redisComponent = component{name: "redis", up: redisUp, env: redisEnv}

func redisUp(ctx context.Context, c *Cluster) error {
	if _, err := c.script(ctx, "need-redis.sh"); err != nil {
		return err
	}
	password, err := c.secret("redis")
	if err != nil {
		return err
	}
	var nodes []*Node
	for i := 1; i <= redisNodes; i++ {
		n, err := c.node("redis", strconv.Itoa(i))
		if err != nil {
			return err
		}
		port, err := c.port("redis/" + n.Name)
		if err != nil {
			return err
		}
		// Nothing in it may be dropped for room, as that would look like an answer; the drive sets when a key ends.
		conf := fmt.Sprintf(`port %[1]d
bind 127.0.0.1
dir %[2]s
requirepass %[3]s
masterauth %[3]s
cluster-enabled yes
cluster-config-file nodes.conf
cluster-node-timeout 2000
cluster-replica-validity-factor 0
appendonly yes
appendfsync everysec
save ""
maxmemory 64mb
maxmemory-policy noeviction
`, port, n.Dir, password)
		file := filepath.Join(n.Dir, "redis.conf")
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			return err
		}
		if err := n.start(nil, "redis-server", file); err != nil {
			return err
		}
		nodes = append(nodes, n)
	}
	for i, n := range nodes {
		err := n.wait(ctx, 20*time.Second, func(ctx context.Context) error {
			_, err := c.redis(ctx, i+1, "PING")
			return err
		})
		if err != nil {
			return err
		}
	}
	if info, err := c.redis(ctx, 1, "CLUSTER", "INFO"); err != nil {
		return err
	} else if strings.Contains(info, "cluster_known_nodes:1\r\n") || strings.Contains(info, "cluster_known_nodes:1\n") {
		args := []string{"--cluster", "create"}
		for i := range nodes {
			a, err := c.address("redis/" + strconv.Itoa(i+1))
			if err != nil {
				return err
			}
			args = append(args, a)
		}
		if out, err := redisCLI(ctx, password, append(args, "--cluster-replicas", "1", "--cluster-yes")...); err != nil {
			return fmt.Errorf("making the cluster: %w\n%s", err, out)
		}
	}
	for i, n := range nodes {
		err := n.wait(ctx, 30*time.Second, func(ctx context.Context) error {
			info, err := c.redis(ctx, i+1, "CLUSTER", "INFO")
			if err == nil && (!strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", redisNodes))) {
				err = fmt.Errorf("the cluster is not whole:\n%s", info)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// redis sends one command to a node.
func (c *Cluster) redis(ctx context.Context, i int, command ...string) (string, error) {
	port, err := c.port("redis/" + strconv.Itoa(i))
	if err != nil {
		return "", err
	}
	password, err := c.secret("redis")
	if err != nil {
		return "", err
	}
	return redisCLI(ctx, password, append([]string{"-p", strconv.Itoa(port)}, command...)...)
}

func redisCLI(ctx context.Context, password string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "redis-cli", append([]string{"-h", "127.0.0.1", "-e"}, args...)...)
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+password)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return string(out), nil
}

func redisEnv(c *Cluster) map[string]string {
	var all []string
	for i := 1; i <= redisNodes; i++ {
		a, err := c.address("redis/" + strconv.Itoa(i))
		if err != nil {
			return nil
		}
		all = append(all, a)
	}
	password, err := c.secret("redis")
	if err != nil {
		return nil
	}
	return map[string]string{"GOPAN_TEST_REDIS": strings.Join(all, ","), "GOPAN_TEST_REDIS_PASSWORD": password}
}
