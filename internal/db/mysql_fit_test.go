package db

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"context"

	driver "github.com/go-sql-driver/mysql"
)

// L16: a server that would lose what it has acknowledged is refused, and told why.
func TestServerIsFit(t *testing.T) {
	good := serverSettings{
		Version: "9.7.4-2", LogBin: 1, SyncBinlog: 1, FlushLog: 1, Charset: "utf8mb4", SQLMode: "ANSI_QUOTES,STRICT_ALL_TABLES", Packet: 64 << 20,
	}
	for _, c := range []struct {
		name string
		with func(*serverSettings)
		want string
	}{
		{"as it should be", func(*serverSettings) {}, ""},
		{"8.4", func(s *serverSettings) { s.Version = "8.4.0" }, ""},
		{"no binlog", func(s *serverSettings) { s.LogBin, s.SyncBinlog = 0, 0 }, ""},
		{"old", func(s *serverSettings) { s.Version = "8.0.40" }, "8.4 or later"},
		{"MariaDB", func(s *serverSettings) { s.Version = "11.8.1-MariaDB" }, "8.4 or later"},
		{"binlog in memory", func(s *serverSettings) { s.SyncBinlog = 0 }, "sync_binlog"},
		{"log in memory", func(s *serverSettings) { s.FlushLog = 2 }, "innodb_flush_log_at_trx_commit"},
		{"torn pages", func(s *serverSettings) { s.DoubleOff = 1 }, "innodb_doublewrite"},
		{"latin1", func(s *serverSettings) { s.Charset = "latin1" }, "charset"},
		{"not strict", func(s *serverSettings) { s.SQLMode = "ANSI_QUOTES" }, "sql_mode"},
		{"small packets", func(s *serverSettings) { s.Packet = 1 << 20 }, "max_allowed_packet"},
	} {
		s := good
		c.with(&s)
		if err := s.unfit(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// F34, F35: what is run again, and what never.
func TestFailureOf(t *testing.T) {
	answered := func(n uint16) error { return fmt.Errorf("x: %w", &driver.MySQLError{Number: n}) }
	for _, c := range []struct {
		err  error
		want failure
	}{
		{errors.New("x"), final},
		{answered(1064), final},
		{answered(1406), wrong},
		{answered(1045), final}, // a setting's fault: what was to be written is good
		{answered(1213), undone},
		{answered(1205), undone},
		{answered(1020), undone},
		{answered(1290), moved},
		{answered(1836), moved},
		{answered(3100), moved},
		{driver.ErrInvalidConn, moved},
		{io.ErrUnexpectedEOF, moved},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, moved},
		{context.DeadlineExceeded, final},
		{errors.Join(context.Canceled, driver.ErrInvalidConn), final},
		{errors.Join(errUnknown, driver.ErrInvalidConn), unknown},
	} {
		if got := failureOf(c.err); got != c.want {
			t.Errorf("%v is %d, want %d", c.err, got, c.want)
		}
	}
}
