//go:build cgo

package sqlitebench

import _ "github.com/mattn/go-sqlite3"

const (
	cgoLabel = "mattn-cgo"
	cgoDSN   = "file:%s?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=5000&_cache_size=-16000"
)
