package servers

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"database/sql"

	"github.com/go-sql-driver/mysql"
)

// routerComponent is MySQL Router, which leads clients to the node that takes writes.
var routerComponent = component{name: "router", needs: []string{"mysql"}, up: routerUp, env: routerEnv}

// metadataSQL is the schema in which the Router looks for the members of the group. MySQL Shell makes it where there is
// one; Debian has none.
//
//go:embed metadata.sql
var metadataSQL string

func routerUp(ctx context.Context, c *Cluster) error {
	root, err := c.script(ctx, "need-mysql.sh")
	if err != nil {
		return err
	}
	tree := mysqlTree{root}
	password, err := c.secret("mysql")
	if err != nil {
		return err
	}
	if err := c.writeMetadata(ctx); err != nil {
		return err
	}
	n, err := c.node("router", "1")
	if err != nil {
		return err
	}
	writes, err := c.port("router/rw")
	if err != nil {
		return err
	}
	reads, err := c.port("router/ro")
	if err != nil {
		return err
	}
	var members []string
	for i := 1; i <= mysqlNodes; i++ {
		a, err := c.address("mysql/" + strconv.Itoa(i))
		if err != nil {
			return err
		}
		members = append(members, `"mysql://`+a+`"`)
	}
	if err := tree.routerKeyring(ctx, n.Dir, password); err != nil {
		return err
	}
	files := map[string]string{
		"state.json": fmt.Sprintf(`{"metadata-cache": {"group-replication-id": %q, "cluster-metadata-servers": [%s]}, "version": "1.0.0"}`,
			groupName, strings.Join(members, ", ")),
		"router.conf": fmt.Sprintf(`[DEFAULT]
logging_folder=
runtime_folder=%[1]s
data_folder=%[1]s
config_folder=%[1]s
plugin_folder=%[2]s
keyring_path=%[1]s/keyring
master_key_path=%[1]s/keyring.key
dynamic_state=%[1]s/state.json
max_total_connections=2048

[logger]
level=INFO

[metadata_cache:gopan]
cluster_type=gr
router_id=1
user=gopan
metadata_cluster=gopan
ttl=0.5
connect_timeout=2
read_timeout=2
ssl_mode=PREFERRED

[routing:rw]
bind_address=127.0.0.1
bind_port=%[3]d
destinations=metadata-cache://gopan/?role=PRIMARY
routing_strategy=first-available
protocol=classic
connect_timeout=2
max_connect_errors=4294967295

[routing:ro]
bind_address=127.0.0.1
bind_port=%[4]d
destinations=metadata-cache://gopan/?role=SECONDARY
routing_strategy=round-robin-with-fallback
protocol=classic
connect_timeout=2
max_connect_errors=4294967295
`, n.Dir, filepath.Join(root, "usr/lib/mysqlrouter/plugin"), writes, reads),
	}
	for name, text := range files {
		file := filepath.Join(n.Dir, name)
		if _, err := os.Stat(file); err == nil && name == "state.json" {
			continue // the router keeps it up to date
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	argv := tree.command("usr/bin/mysqlrouter", "--config="+filepath.Join(n.Dir, "router.conf"))
	if err := n.start(nil, argv[0], argv[1:]...); err != nil {
		return err
	}
	db, err := openMySQL("127.0.0.1:"+strconv.Itoa(writes), password)
	if err != nil {
		return err
	}
	defer db.Close()
	return n.wait(ctx, time.Minute, func(ctx context.Context) error {
		var readOnly bool
		if err := db.QueryRowContext(ctx, "SELECT @@super_read_only").Scan(&readOnly); err != nil {
			return err
		}
		if readOnly {
			return errors.New("it leads to a node that takes no writes")
		}
		return nil
	})
}

// openMySQL opens a server, as the drive's user.
func openMySQL(address, password string) (*sql.DB, error) {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.Timeout, cfg.MultiStatements = "gopan", password, "tcp", address, 5*time.Second, true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// writeMetadata says who the members are, where the Router looks for it.
func (c *Cluster) writeMetadata(ctx context.Context) error {
	for i := 1; i <= mysqlNodes; i++ {
		n, err := c.mysqlNode(i)
		if err != nil {
			return err
		}
		defer n.db.Close()
		var primary bool
		err = n.db.QueryRowContext(ctx, `SELECT member_role = 'PRIMARY' FROM performance_schema.replication_group_members
			WHERE member_id = @@server_uuid`).Scan(&primary)
		if err != nil || !primary {
			continue
		}
		if _, err := n.db.ExecContext(ctx, metadataSQL); err != nil {
			return fmt.Errorf("metadata of the group: %w", err)
		}
		return nil
	}
	return errors.New("the group has no primary")
}

// routerKeyring keeps the password of the Router's account in the form that it wants.
func (t mysqlTree) routerKeyring(ctx context.Context, dir, password string) error {
	keyring := filepath.Join(dir, "keyring")
	if _, err := os.Stat(keyring); err == nil {
		return nil
	}
	key := "--master-key-file=" + keyring + ".key"
	for _, args := range [][]string{{"init", key, keyring}, {"set", key, keyring, "gopan", "password", password}} {
		argv := t.command("usr/bin/mysqlrouter_keyring", args...)
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("mysqlrouter_keyring %s: %w\n%s", args[0], err, out)
		}
	}
	return nil
}

func routerEnv(c *Cluster) map[string]string {
	port, err := c.port("router/rw")
	if err != nil {
		return nil
	}
	password, err := c.secret("mysql")
	if err != nil {
		return nil
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr = "gopan", password, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return map[string]string{"GOPAN_TEST_MYSQL": cfg.FormatDSN()}
}
