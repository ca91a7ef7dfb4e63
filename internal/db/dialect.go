package db

import (
	"gorm.io/gorm"
)

// Shared tells whether other write transactions run at the same time: they do on a server, never on SQLite.
func Shared(tx *gorm.DB) bool { return tx.Name() == "mysql" }

// ForUpdate ends a SELECT whose rows are to stay as they are read until the transaction ends. On SQLite a
// write transaction is alone, and needs no such words.
func ForUpdate(tx *gorm.DB) string {
	if Shared(tx) {
		return " FOR UPDATE"
	}
	return ""
}

// Condemning is the gate between transactions that say which content is used and those that decide its end.
const Condemning = "condemn"

// Gate waits until the transaction may go on: any number may be in a gate until they end, or one that is alone.
func Gate(tx *gorm.DB, name string, alone bool) error {
	if !Shared(tx) {
		return nil
	}
	how := " FOR SHARE"
	if alone {
		how = " FOR UPDATE"
	}
	var found string
	return tx.Raw("SELECT name FROM gates WHERE name = ?"+how, name).Row().Scan(&found)
}

// After is the condition that a row comes after (?, ?) in the order of a column and the id, or before it, and the
// arguments for it. MySQL reads along an index for the longer form alone.
func After(tx *gorm.DB, column string, desc bool, value, id any) (condition string, args []any) {
	cmp := " > "
	if desc {
		cmp = " < "
	}
	if Shared(tx) {
		return "(" + column + cmp + "? OR " + column + " = ? AND id" + cmp + "?)", []any{value, value, id}
	}
	return "(" + column + ", id)" + cmp + "(?, ?)", []any{value, id}
}
