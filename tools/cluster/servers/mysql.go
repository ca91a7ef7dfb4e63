package servers

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// mysqlNodes is the size of the group: the least of which one may fail.
const mysqlNodes = 3

// groupName is the UUID of the replication group.
const groupName = "3b6a1f0e-7c52-4d0b-9d63-0c2f6a2b9e11"

func init() {
	_ = mysql.SetLogger(log.New(io.Discard, "", 0)) // nodes that do not answer are no news
}

// mysqlComponent is MySQL with group replication: one node takes writes, and another does when that one is gone.
var mysqlComponent = component{name: "mysql", up: mysqlUp, env: mysqlEnv}

// mysqlTree is an installed MySQL; its programs run with the libraries that are in it.
type mysqlTree struct{ root string }

func (t mysqlTree) command(program string, args ...string) []string {
	return append([]string{
		filepath.Join(t.root, "lib64/ld-linux-x86-64.so.2"),
		"--library-path", filepath.Join(t.root, "usr/lib/x86_64-linux-gnu") + ":" + filepath.Join(t.root, "usr/lib/mysql-router"),
		filepath.Join(t.root, program),
	}, args...)
}

func mysqlUp(ctx context.Context, c *Cluster) error {
	root, err := c.script(ctx, "need-mysql.sh")
	if err != nil {
		return err
	}
	tree := mysqlTree{root}
	var nodes []*mysqlNode
	for i := 1; i <= mysqlNodes; i++ {
		n, err := c.mysqlNode(i)
		if err != nil {
			return err
		}
		nodes = append(nodes, n)
	}
	if err := c.mysqlTemplate(ctx, tree); err != nil {
		return err
	}
	for i, n := range nodes {
		if err := n.configure(c, tree, i+1); err != nil {
			return err
		}
		argv := tree.command("usr/sbin/mysqld", "--defaults-file="+filepath.Join(n.Dir, "my.cnf"))
		if err := n.start(nil, argv[0], argv[1:]...); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		if err := n.wait(ctx, time.Minute, n.db.PingContext); err != nil {
			return err
		}
	}
	return formGroup(ctx, nodes)
}

// mysqlNode is one server, and the way into it for root.
type mysqlNode struct {
	*Node
	port int
	db   *sql.DB
}

func (c *Cluster) mysqlNode(i int) (*mysqlNode, error) {
	n, err := c.node("mysql", strconv.Itoa(i))
	if err != nil {
		return nil, err
	}
	port, err := c.port("mysql/" + n.Name)
	if err != nil {
		return nil, err
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.Timeout = "root", "unix", filepath.Join(n.Dir, "mysqld.sock"), 5*time.Second
	cfg.MultiStatements = true
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return &mysqlNode{n, port, sql.OpenDB(connector)}, nil
}

// secret gives the cluster's password of this name, made at the first call.
func (c *Cluster) secret(name string) (string, error) {
	dir, err := c.folder("secrets")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, name)
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		b = []byte(rand.Text())
		err = os.WriteFile(file, b, 0o600)
	}
	return string(b), err
}

// mysqlTemplate makes a data folder with the accounts in it, of which every node's is a copy.
func (c *Cluster) mysqlTemplate(ctx context.Context, tree mysqlTree) error {
	dir := c.path("mysql", "template")
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	password, err := c.secret("mysql")
	if err != nil {
		return err
	}
	half := dir + ".new"
	if err := errors.Join(os.RemoveAll(half), os.MkdirAll(half, 0o700)); err != nil {
		return err
	}
	accounts := filepath.Join(c.path("mysql"), "accounts.sql")
	sql := fmt.Sprintf(`SET sql_log_bin = 0;
CREATE USER gopan@'%%' IDENTIFIED BY '%[1]s';
GRANT ALL ON *.* TO gopan@'%%';
CREATE USER replication@'%%' IDENTIFIED BY '%[1]s';
GRANT REPLICATION SLAVE, CONNECTION_ADMIN, BACKUP_ADMIN, GROUP_REPLICATION_STREAM ON *.* TO replication@'%%';
`, password)
	if err := os.WriteFile(accounts, []byte(sql), 0o600); err != nil {
		return err
	}
	args := append([]string{"--no-defaults"}, tree.paths(filepath.Join(half, "data"))...) // it must come first
	argv := tree.command("usr/sbin/mysqld", append(args, "--initialize-insecure", "--init-file="+accounts)...)
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("making a data folder: %w\n%s", err, out)
	}
	// Each copy makes a UUID of its own.
	if err := os.Remove(filepath.Join(half, "data/auto.cnf")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Rename(half, dir)
}

func (t mysqlTree) paths(data string) []string {
	return []string{
		"--user=root", "--basedir=" + filepath.Join(t.root, "usr"), "--datadir=" + data,
		"--plugin-dir=" + filepath.Join(t.root, "usr/lib/mysql/plugin"), "--lc-messages-dir=" + filepath.Join(t.root, "usr/share/mysql"),
		"--secure-file-priv=NULL", "--character-sets-dir=" + filepath.Join(t.root, "usr/share/mysql/charsets"),
	}
}

// configure writes the node's settings, and gives it its data folder.
func (n *mysqlNode) configure(c *Cluster, tree mysqlTree, id int) error {
	data := filepath.Join(n.Dir, "data")
	if _, err := os.Stat(data); errors.Is(err, os.ErrNotExist) {
		half := data + ".new"
		if err := errors.Join(os.RemoveAll(half), os.CopyFS(half, os.DirFS(c.path("mysql", "template", "data"))), os.Rename(half, data)); err != nil {
			return err
		}
	}
	var seeds []string
	for i := 1; i <= mysqlNodes; i++ {
		a, err := c.address("mysql/group/" + strconv.Itoa(i))
		if err != nil {
			return err
		}
		seeds = append(seeds, a)
	}
	var b strings.Builder
	fmt.Fprintln(&b, "[mysqld]")
	for _, p := range tree.paths(data) {
		fmt.Fprintln(&b, strings.TrimPrefix(p, "--"))
	}
	// What a commit promises is the default, and said here for whoever copies it: sync_binlog, innodb_flush_log_at_trx_commit.
	// The smallest member_weight takes over last, so who does is known beforehand. A member that is not heard of is expelled after
	// 5 seconds, and one that finds itself alone refuses to answer, reads included.
	fmt.Fprintf(&b, `port=%[1]d
bind-address=127.0.0.1
report_host=127.0.0.1
socket=%[2]s
pid-file=%[3]s
mysqlx=OFF
server_id=%[4]d
skip-name-resolve=ON
max_connections=300
innodb_buffer_pool_size=96M
innodb_redo_log_capacity=96M
performance_schema_instrument='%%=OFF'
table_open_cache=400
sync_binlog=1
innodb_flush_log_at_trx_commit=1
binlog_expire_logs_seconds=86400
character_set_server=utf8mb4
gtid_mode=ON
enforce_gtid_consistency=ON
super_read_only=ON
plugin_load_add=group_replication.so
group_replication_group_name=%[5]s
group_replication_start_on_boot=OFF
group_replication_local_address=%[6]s
group_replication_group_seeds=%[7]s
group_replication_ip_allowlist=127.0.0.1/8
group_replication_single_primary_mode=ON
group_replication_member_weight=%[8]d
group_replication_member_expel_timeout=0
group_replication_unreachable_majority_timeout=8
group_replication_exit_state_action=OFFLINE_MODE
group_replication_autorejoin_tries=20
group_replication_consistency=BEFORE_ON_PRIMARY_FAILOVER
group_replication_recovery_get_public_key=ON
group_replication_message_cache_size=134217728
`, n.port, filepath.Join(n.Dir, "mysqld.sock"), filepath.Join(n.Dir, "mysqld.pid"), id, groupName, seeds[id-1],
		strings.Join(seeds, ","), 80-10*id)
	return os.WriteFile(filepath.Join(n.Dir, "my.cnf"), []byte(b.String()), 0o600)
}

// formGroup makes the nodes that are in no group join the one of the others. If there is none, the node that has
// seen most begins it: nothing that was acknowledged is missing there.
func formGroup(ctx context.Context, nodes []*mysqlNode) error {
	password, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(nodes[0].Dir)), "secrets", "mysql"))
	if err != nil {
		return err
	}
	var out []*mysqlNode
	for _, n := range nodes {
		state, err := n.state(ctx)
		if err != nil {
			return err
		}
		if state != "ONLINE" && state != "RECOVERING" {
			out = append(out, n)
		}
	}
	if len(out) == len(nodes) {
		first, err := mostAdvanced(ctx, nodes)
		if err != nil {
			return err
		}
		if err := first.join(ctx, string(password), true); err != nil {
			return err
		}
	}
	for _, n := range out {
		if state, err := n.state(ctx); err != nil {
			return err
		} else if state == "ONLINE" {
			continue
		}
		if err := n.wait(ctx, joinPatience, func(ctx context.Context) error { return n.rejoin(ctx, string(password), nodes) }); err != nil {
			return err
		}
	}
	// All of them have to see all: one that was cut off believes for some seconds that it is a member, when the others have
	// expelled it or are about to.
	for _, n := range nodes {
		err := n.wait(ctx, joinPatience, func(ctx context.Context) error {
			state, err := n.state(ctx)
			if err == nil && (state == "OFFLINE" || state == "ERROR") {
				err = errors.Join(fmt.Errorf("it is %s in the group", state), n.rejoin(ctx, string(password), nodes))
			}
			if err != nil {
				return err
			}
			var online int
			if err := n.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM performance_schema.replication_group_members WHERE member_state = 'ONLINE'").Scan(&online); err != nil {
				return err
			}
			if online < len(nodes) {
				return fmt.Errorf("it is %s in the group, and sees %d of %d nodes in it", state, online, len(nodes))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// joinPatience is how long a node may take to become a member. MySQL itself waits a minute for an answer before it says that there was none.
const joinPatience = 3 * time.Minute

// rejoin makes the node a member of the others' group, once these do not take it for one any more: before, they do not answer it.
func (n *mysqlNode) rejoin(ctx context.Context, password string, all []*mysqlNode) error {
	for _, o := range all {
		if state, err := o.state(ctx); o == n || err != nil || state != "ONLINE" {
			continue
		}
		var listed int
		if err := o.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM performance_schema.replication_group_members WHERE member_port = ?", n.port).Scan(&listed); err != nil {
			return err
		}
		if state, err := n.state(ctx); err != nil {
			return err
		} else if listed > 0 && state != "ONLINE" && state != "RECOVERING" {
			return fmt.Errorf("it is %s, and node %s takes it for a member still", state, o.Name)
		}
	}
	return n.join(ctx, password, false)
}

// state is the node's in its group.
func (n *mysqlNode) state(ctx context.Context) (string, error) {
	var state string
	err := n.db.QueryRowContext(ctx,
		"SELECT member_state FROM performance_schema.replication_group_members WHERE member_id = @@server_uuid OR member_id = ''").Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return "OFFLINE", nil
	}
	return state, err
}

// join makes the node a member; with first it begins the group.
func (n *mysqlNode) join(ctx context.Context, password string, first bool) error {
	conn, err := n.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if state, err := n.state(ctx); err != nil || state == "ONLINE" || state == "RECOVERING" {
		return err
	}
	statements := []string{
		"STOP GROUP_REPLICATION",
		"SET GLOBAL offline_mode = OFF", // after it was expelled
		"CHANGE REPLICATION SOURCE TO SOURCE_USER = 'replication', SOURCE_PASSWORD = '" + password + "' FOR CHANNEL 'group_replication_recovery'",
	}
	if first {
		statements = append(statements, "SET GLOBAL group_replication_bootstrap_group = ON")
	}
	statements = append(statements, "START GROUP_REPLICATION", "SET GLOBAL group_replication_bootstrap_group = OFF")
	for _, s := range statements {
		if _, err := conn.ExecContext(ctx, s); err != nil {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SET GLOBAL group_replication_bootstrap_group = OFF")
			return fmt.Errorf("%.40s: %w", s, err)
		}
	}
	return nil
}

// mostAdvanced is the node whose transactions include those of all others.
func mostAdvanced(ctx context.Context, nodes []*mysqlNode) (*mysqlNode, error) {
	best, most := nodes[0], ""
	for _, n := range nodes {
		var has string
		if err := n.db.QueryRowContext(ctx, "SELECT @@global.gtid_executed").Scan(&has); err != nil {
			return nil, err
		}
		var more bool
		if err := n.db.QueryRowContext(ctx, "SELECT GTID_SUBSET(?, ?) AND NOT GTID_SUBSET(?, ?)", most, has, has, most).Scan(&more); err != nil {
			return nil, err
		}
		if more {
			best, most = n, has
		}
	}
	return best, nil
}

// Primary is the node of MySQL that takes writes.
func (c *Cluster) Primary(ctx context.Context) (*Node, error) {
	for i := 1; i <= mysqlNodes; i++ {
		n, err := c.mysqlNode(i)
		if err != nil {
			return nil, err
		}
		var primary bool
		err = n.db.QueryRowContext(ctx, `SELECT member_role = 'PRIMARY' FROM performance_schema.replication_group_members
			WHERE member_id = @@server_uuid`).Scan(&primary)
		if cerr := n.db.Close(); err == nil {
			err = cerr
		}
		if err == nil && primary {
			return n.Node, nil
		}
	}
	return nil, errors.New("no node of MySQL is the primary")
}

func mysqlEnv(c *Cluster) map[string]string {
	password, err := c.secret("mysql")
	if err != nil {
		return nil
	}
	var all []string
	for i := 1; i <= mysqlNodes; i++ {
		a, err := c.address("mysql/" + strconv.Itoa(i))
		if err != nil {
			return nil
		}
		all = append(all, a)
	}
	return map[string]string{
		"GOPAN_TEST_MYSQL_NODES":    strings.Join(all, ","),
		"GOPAN_TEST_MYSQL_PASSWORD": password,
	}
}
