//go:build !cgo

package sqlitebench

import _ "github.com/ncruces/go-sqlite3/driver"

const (
	cgoLabel = "ncruces"
	cgoDSN   = "file:%s?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_pragma=cache_size(-16000)"
)
