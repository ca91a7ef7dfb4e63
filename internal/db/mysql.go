package db

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"strconv"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/livil/gopan/internal/errs"
)

// MySQL says how to reach a database of a MySQL server, or of an InnoDB Cluster through its router.
type MySQL struct {
	// Address is host:port, of a cluster the port for reading and writing: a secondary does not have yet what was
	// acknowledged.
	Address string
	// Name of the database, which is there already.
	Name, User, Password string
	// TLS is how connections are encrypted; nil: they are not.
	TLS *tls.Config
	// Connections at most, half of them for transactions that only read; 0 means 32.
	Connections int
}

// What the servers are asked to take no longer than. A statement that meets a dead network ends by ioTimeout, so no
// transaction holds a connection much longer; one that waits for somebody's row lock ends by lockWait.
const (
	dialTimeout = 3 * time.Second
	ioTimeout   = 30 * time.Second
	lockWait    = 5 * time.Second
)

// sessionVariables that every connection sets. ANSI has "key" name a column and || join texts, as in SQLite.
// Writes see what is committed the moment they hold a lock; docs/decisions/0022-mysql.md says which they take.
var sessionVariables = map[string]string{
	"sql_mode":                 "'ANSI,TRADITIONAL'",
	"time_zone":                "'+00:00'",
	"cte_max_recursion_depth":  "20000",
	"innodb_lock_wait_timeout": strconv.Itoa(int(lockWait.Seconds())),
	"default_storage_engine":   "'InnoDB'",
}

func init() {
	_ = driver.SetLogger(log.New(io.Discard, "", 0)) // errors reach the caller, who knows what they mean
}

// OpenMySQL opens a database. It refuses a server that would lose what it has acknowledged (promise D1).
func OpenMySQL(ctx context.Context, m MySQL) (*DB, error) {
	const op = errs.Op("db.OpenMySQL")
	conns := m.Connections
	if conns == 0 {
		conns = 32
	}
	// WITH CONSISTENT SNAPSHOT makes no snapshot below REPEATABLE READ.
	read, err := m.open("REPEATABLE-READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", conns-conns/2)
	if err != nil {
		return nil, errs.E(errs.Internal, op, err)
	}
	write, err := m.open("READ-COMMITTED", "START TRANSACTION READ WRITE", conns/2)
	if err != nil {
		return nil, errs.E(errs.Internal, op, errors.Join(err, read.close()))
	}
	d := &DB{read: read, write: write}
	if err := d.checkServer(ctx); err != nil {
		return nil, errs.Wrap(op, errors.Join(err, d.Close()))
	}
	return d, nil
}

func (m MySQL) open(isolation, begin string, conns int) (*sessions, error) {
	c := driver.NewConfig()
	c.Net, c.Addr, c.DBName, c.User, c.Passwd, c.TLS = "tcp", m.Address, m.Name, m.User, m.Password, m.TLS
	c.Timeout, c.ReadTimeout, c.WriteTimeout = dialTimeout, ioTimeout, ioTimeout
	c.Collation = "utf8mb4_0900_bin"
	// UPDATE tells how many rows it found, as SQLite does, and not how many differ now.
	c.ClientFoundRows = true
	// One round trip a statement. Prepared ones would be kept by the server for each connection of each process,
	// and it has room for 16,382.
	c.InterpolateParams = true
	c.Params = map[string]string{"transaction_isolation": "'" + isolation + "'"}
	for name, value := range sessionVariables {
		c.Params[name] = value
	}
	connector, err := driver.NewConnector(c)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(conns + 2) // two for migrations
	g, err := gorm.Open(mysql.New(mysql.Config{Conn: pool, SkipInitializeWithVersion: true}), &gorm.Config{
		Logger: logger.Discard, SkipDefaultTransaction: true, DisableAutomaticPing: true,
	})
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	p := newSessions(pool, g, begin, conns)
	p.server = true
	return p, nil
}

// serverSettings are those of a server that promises depend on.
type serverSettings struct {
	Version             string
	LogBin, SyncBinlog  int64
	FlushLog, DoubleOff int64
	SQLMode             string `gorm:"column:sql_mode"`
	Charset             string
	Packet              int64
}

// checkServer refuses servers whose settings do not keep the promises (L16): distributions have shipped such defaults.
func (d *DB) checkServer(ctx context.Context) error {
	const op = errs.Op("db.checkServer")
	var is serverSettings
	if err := d.Read(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`SELECT @@version AS version, @@log_bin AS log_bin, @@sync_binlog AS sync_binlog,
			@@innodb_flush_log_at_trx_commit AS flush_log, @@innodb_doublewrite = 'OFF' AS double_off, @@sql_mode AS sql_mode,
			@@character_set_connection AS charset, @@max_allowed_packet AS packet`).Scan(&is).Error
	}); err != nil {
		return errs.Wrap(op, err)
	}
	if err := is.unfit(); err != nil {
		return errs.E(errs.Conflict, op, fmt.Errorf("the MySQL server is not fit for the drive: %w", err))
	}
	return nil
}

// unfit says all that is wrong with a server.
func (is serverSettings) unfit() error {
	var wrong []error
	bad := func(format string, a ...any) { wrong = append(wrong, fmt.Errorf(format, a...)) }
	var major, minor int
	if _, err := fmt.Sscanf(is.Version, "%d.%d", &major, &minor); err != nil || strings.Contains(is.Version, "MariaDB") ||
		major < 8 || major == 8 && minor < 4 {
		bad("it is version %s; use MySQL 8.4 or later", is.Version)
	}
	if is.FlushLog != 1 {
		bad("innodb_flush_log_at_trx_commit is %d; set it to 1, or a power cut loses what was acknowledged", is.FlushLog)
	}
	if is.LogBin == 1 && is.SyncBinlog != 1 {
		bad("sync_binlog is %d; set it to 1, or a power cut loses what was acknowledged", is.SyncBinlog)
	}
	if is.DoubleOff == 1 {
		bad("innodb_doublewrite is OFF; a power cut can tear pages")
	}
	if is.Charset != "utf8mb4" || !strings.Contains(is.SQLMode, "STRICT_ALL_TABLES") || !strings.Contains(is.SQLMode, "ANSI_QUOTES") {
		bad("it does not take the connection's charset (%s) and sql_mode (%s)", is.Charset, is.SQLMode)
	}
	if is.Packet < 4<<20 {
		bad("max_allowed_packet is %d bytes; set it to 4M at least", is.Packet)
	}
	return errors.Join(wrong...)
}
