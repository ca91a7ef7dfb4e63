//go:build cluster

package filemeta

import (
	"fmt"
	"testing"
	"time"

	"gorm.io/gorm"
)

// rowsOf are the tables that a commit of a new file fills, and how to find the rows that came behind a number.
var rowsOf = map[string]string{"nodes": "id > ?", "versions": "node_id > ?", "changes": "node_id > ?", "requests": "node_id > ?"}

// BenchmarkClusterApplyRows puts new files into the tree, a thousand in each batch, and the very rows that come of it by
// hand into tables of the same shape: a transaction with one INSERT of many rows for each table, and no rule checked. An
// operation is a batch.
func BenchmarkClusterApplyRows(b *testing.B) {
	const batch = 1000
	f := newFixture(b, 0)
	f.mkdir(alice, "/photos/2026")
	if err := f.DB.Write(b.Context(), func(tx *gorm.DB) error {
		for table := range rowsOf {
			if err := tx.Exec("CREATE TABLE by_hand_" + table + " LIKE " + table).Error; err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	var rows int
	var applied, byHand time.Duration
	for round := 0; b.Loop(); round++ {
		events := f.commits(fmt.Sprint("IMG", round), batch)
		var before int64
		read := func(fn func(tx *gorm.DB) error) {
			b.Helper()
			if err := f.DB.Read(b.Context(), fn); err != nil {
				b.Fatal(err)
			}
		}
		read(func(tx *gorm.DB) error { return tx.Raw("SELECT max(id) FROM nodes").Scan(&before).Error })
		began := time.Now()
		refused, err := f.Apply(b.Context(), events)
		applied += time.Since(began)
		if err != nil || refused[0] != nil {
			b.Fatal(err, refused[0])
		}
		came := make(map[string][]map[string]any)
		read(func(tx *gorm.DB) error {
			for table, where := range rowsOf {
				var got []map[string]any
				if err := tx.Table(table).Where(where, before).Find(&got).Error; err != nil {
					return err
				}
				came[table] = got
				rows += len(got)
			}
			return nil
		})
		if len(came["nodes"]) != batch || len(came["versions"]) != batch {
			b.Fatalf("%d nodes, %d versions", len(came["nodes"]), len(came["versions"]))
		}
		began = time.Now()
		if err := f.DB.Write(b.Context(), func(tx *gorm.DB) error {
			for table, list := range came {
				if len(list) == 0 {
					continue
				}
				if err := tx.Table("by_hand_" + table).Create(list).Error; err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		byHand += time.Since(began)
	}
	b.ReportMetric(float64(rows)/applied.Seconds(), "applied-rows/s")
	b.ReportMetric(float64(rows)/byHand.Seconds(), "by-hand-rows/s")
	b.ReportMetric(byHand.Seconds()/applied.Seconds(), "ratio")
}
