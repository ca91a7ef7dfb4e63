package db

import (
	"context"
	"sync"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Sequence gives out ids that no other process gives out. It takes them from the database in blocks, so most
// calls cost nothing; ids left over when a process ends are lost, which leaves harmless gaps. The zero
// value is not usable: set DB and Name.
type Sequence struct {
	DB *DB
	// Name of the row in the table sequences.
	Name string
	// Block is how many ids to take at a time; 0 means 1000.
	Block int64

	mu        sync.Mutex
	next, end int64
}

type sequenceRow struct {
	Name string `gorm:"primaryKey"`
	Next int64
}

func (sequenceRow) TableName() string { return "sequences" }

// Take gives n successive ids, the first of which it returns. It may write to the database, so it must not be
// called inside a DB.Write.
func (s *Sequence) Take(ctx context.Context, n int64) (first int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end-s.next < n {
		block := max(s.Block, n)
		if s.Block == 0 {
			block = max(1000, n)
		}
		var row sequenceRow
		err := s.DB.Write(ctx, func(tx *gorm.DB) error {
			row = sequenceRow{Name: s.Name, Next: 1}
			if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
				return err
			}
			if err := tx.Model(&row).Update("next", gorm.Expr("next + ?", block)).Error; err != nil {
				return err
			}
			return tx.Take(&row, "name = ?", s.Name).Error
		})
		if err != nil {
			return 0, err
		}
		s.next, s.end = row.Next-block, row.Next
	}
	first = s.next
	s.next += n
	return first, nil
}
