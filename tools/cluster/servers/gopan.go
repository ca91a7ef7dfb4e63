package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// instances is how many processes each role has.
const instances = 2

// roles of the drive, in the order of their start.
var roles = []string{"user", "filemeta", "transfer", "upload", "download"}

// gopanComponent is the drive: each role in two processes of its own.
var gopanComponent = component{
	name: "gopan", needs: []string{"mysql", "router", "redis", "kafka", "etcd", "minio", "traefik"}, up: gopanUp, env: gopanEnv,
}

func gopanUp(ctx context.Context, c *Cluster) error {
	program := filepath.Join(c.root, "bin", "gopan")
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("the drive is not built (make build): %w", err)
	}
	env, err := c.gopanEnviron()
	if err != nil {
		return err
	}
	mysqlPassword, err := c.secret("mysql")
	if err != nil {
		return err
	}
	db, err := c.address("router/rw")
	if err != nil {
		return err
	}
	if err := createSchema(ctx, db, mysqlPassword); err != nil {
		return err
	}
	shared, err := c.gopanSettings(db)
	if err != nil {
		return err
	}
	common := c.path("gopan", "gopan.yaml")
	if _, err := c.folder("gopan", "data"); err != nil {
		return err
	}
	if err := os.WriteFile(common, []byte(shared+"listen: 127.0.0.1:0\n"), 0o600); err != nil {
		return err
	}
	topics := exec.CommandContext(ctx, program, "admin", "topics", "--config", common)
	topics.Env = append(os.Environ(), env...)
	if out, err := topics.CombinedOutput(); err != nil {
		return fmt.Errorf("making topics: %w\n%s", err, out)
	}
	for _, role := range roles {
		for i := 1; i <= instances; i++ {
			name := fmt.Sprintf("%s-%d", role, i)
			n, err := c.node("gopan", name)
			if err != nil {
				return err
			}
			listen, err := c.address("gopan/http/" + name)
			if err != nil {
				return err
			}
			rpc, err := c.address("gopan/rpc/" + name)
			if err != nil {
				return err
			}
			file := filepath.Join(n.Dir, "gopan.yaml")
			own := fmt.Sprintf("listen: %s\nrpc: {listen: %q}\n", listen, rpc)
			if err := os.WriteFile(file, []byte(shared+own), 0o600); err != nil {
				return err
			}
			if err := n.start(env, program, "serve", role, "--config", file); err != nil {
				return err
			}
			if i == 1 && role == "user" { // which makes the tables and the first account
				if err := n.ready(ctx, listen, "/livez"); err != nil {
					return err
				}
			}
		}
	}
	for _, role := range roles {
		for i := 1; i <= instances; i++ {
			name := fmt.Sprintf("%s-%d", role, i)
			n, err := c.node("gopan", name)
			if err != nil {
				return err
			}
			listen, err := c.address("gopan/http/" + name)
			if err != nil {
				return err
			}
			if err := n.ready(ctx, listen, "/readyz"); err != nil {
				return err
			}
		}
	}
	gateway, err := c.address("traefik/web")
	if err != nil {
		return err
	}
	return wait(ctx, time.Minute, "the drive behind Traefik", func(ctx context.Context) error {
		for _, r := range routes {
			// Whatever it answers without a sign-in, it is not Traefik's own "no server".
			path := map[string]string{"user": "/readyz", "filemeta": "/api/v1/drive", "upload": "/api/v1/uploads/x", "download": "/api/v1/content?path=/"}[r.role]
			if err := httpStatus(ctx, "http://"+gateway+path, 200, 401); err != nil {
				return err
			}
		}
		return nil
	})
}

// gopanEnviron has the passwords, which stand in no file of settings.
func (c *Cluster) gopanEnviron() ([]string, error) {
	env := []string{"GOPAN_STORE_MINIO_ACCESS_KEY=" + minioUser}
	for variable, name := range map[string]string{
		"GOPAN_DATABASE_PASSWORD": "mysql", "GOPAN_KV_PASSWORD": "redis", "GOPAN_ADMIN_PASSWORD": "admin", "GOPAN_STORE_MINIO_SECRET_KEY": "minio",
	} {
		password, err := c.secret(name)
		if err != nil {
			return nil, err
		}
		env = append(env, variable+"="+password)
	}
	return env, nil
}

func (n *Node) ready(ctx context.Context, listen, path string) error {
	return n.wait(ctx, time.Minute, func(ctx context.Context) error { return httpOK(ctx, "http://"+listen+path) })
}

// createSchema makes the drive's schema in MySQL; its tables the drive makes itself.
func createSchema(ctx context.Context, address, password string) error {
	db, err := openMySQL(address, password)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS gopan CHARACTER SET utf8mb4")
	return err
}

// gopanSettings are those that all processes share.
func (c *Cluster) gopanSettings(db string) (string, error) {
	list := func(env map[string]string, key string) string {
		b, _ := json.Marshal(strings.Split(env[key], ",")) // strings
		return string(b)
	}
	s3, err := c.address("traefik/s3")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`data: %q
trustedProxies: [127.0.0.1]
log: {format: json}
database: {driver: mysql, address: %q}
kv: {driver: redis, addresses: %s}
commits: {driver: kafka, brokers: %s}
etcd: {endpoints: %s}
blob:
  stores: {minio: {kind: s3, endpoint: "http://%s", bucket: %s}}
  policies: [{store: minio}]
`, c.path("gopan", "data"), db, list(redisEnv(c), "GOPAN_TEST_REDIS"), list(kafkaEnv(c), "GOPAN_TEST_KAFKA"),
		list(etcdEnv(c), "GOPAN_TEST_ETCD"), s3, minioBucket), nil
}

func gopanEnv(c *Cluster) map[string]string {
	password, err := c.secret("admin")
	if err != nil {
		return nil
	}
	return map[string]string{"GOPAN_TEST_ADMIN_PASSWORD": password}
}
