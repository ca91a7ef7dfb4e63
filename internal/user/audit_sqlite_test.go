//go:build !cluster

package user

import (
	"strings"
	"testing"

	"gorm.io/gorm"
)

// S19: the database itself refuses to change an event. MySQL wants a right for that which a program should not have.
func TestAuditTriggers(t *testing.T) {
	f := newFixture(t)
	f.fill(t, 1, "test.one", ann)
	for _, statement := range []string{"UPDATE audit SET detail = 'x'", "DELETE FROM audit", "REPLACE INTO audit SELECT * FROM audit", "DELETE FROM audit WHERE id > 0"} {
		err := f.DB.Write(t.Context(), func(tx *gorm.DB) error { return tx.Exec(statement).Error })
		if err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if e := f.log(t, "test.one"); len(e) != 1 || e[0].Detail != "0" {
		t.Errorf("%+v", e)
	}
}
