package local

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// Changes of small blobs that come in while the disk is busy with the ones before are gathered into one
// transaction, so that one wait for the disk serves them all.

// maxBatch bounds how many changes one transaction makes, and so, at smallLimit each, its bytes to 16 MiB.
const maxBatch = 256

// change is a blob to put, or to delete if it is old.
type change struct {
	digest blob.Digest
	// data to put; nil: delete what was last put before a moment.
	data   []byte
	before time.Time
	// changed says whether a row was.
	changed bool
	answer  chan error
}

var errClosed = errs.E(errs.Busy, "local.small", errs.Code("store_unavailable"), time.Second, "the store is closed")

// put makes data a blob, young again if it is there. When it returns nil the blob would survive a power cut.
func (s *small) put(d blob.Digest, data []byte) error {
	if data == nil {
		data = []byte{} // in SQL nil is NULL
	}
	return s.do(&change{digest: d, data: data})
}

// drop deletes a blob if it was last put before a moment, and says whether it did.
func (s *small) drop(d blob.Digest, before time.Time) (bool, error) {
	c := &change{digest: d, before: before}
	err := s.do(c)
	return c.changed, err
}

// do waits until a change is durable, however long its caller likes to wait: a change that was taken is made.
func (s *small) do(c *change) error {
	c.answer = make(chan error, 1)
	s.mu.RLock()
	if s.closed {
		s.mu.RUnlock()
		return errClosed
	}
	s.queue <- c
	s.mu.RUnlock()
	return <-c.answer
}

// writer is the connection that writes.
type writer struct {
	*conn
	// put and drop are their statements' arguments, used again.
	put, drop []driver.NamedValue
}

// The statements of a writer.
const (
	begin = iota
	commit
	putRow
	dropRow
)

var writeQueries = []string{
	// IMMEDIATE: the wait for another process's transaction is here or nowhere.
	begin:  "BEGIN IMMEDIATE",
	commit: "COMMIT",
	// What is there is replaced by its equal, which also mends it should it be damaged.
	putRow: `INSERT INTO blobs (digest, put_at, data) VALUES (?, ?, ?)
		ON CONFLICT (digest) DO UPDATE SET put_at = excluded.put_at, data = excluded.data`,
	dropRow: "DELETE FROM blobs WHERE digest = ? AND put_at < ?",
}

func (s *small) openWriter() (*writer, error) {
	c, err := s.connect("cache_size(-2000)", fmt.Sprintf("wal_autocheckpoint(%d)", walPages))
	if err != nil {
		return nil, err
	}
	if _, err := c.Conn.(driver.ExecerContext).ExecContext(context.Background(), schema, nil); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := c.prepare(writeQueries); err != nil {
		return nil, err
	}
	return &writer{c, args(nil, nil, nil), args(nil, nil)}, nil
}

// run makes changes until the queue is closed.
func (s *small) run() {
	defer close(s.done)
	batch := make([]*change, 0, maxBatch)
	for c := range s.queue {
		batch = append(batch[:0], c)
		for before := 0; len(batch) > before && len(batch) < maxBatch; {
			before = len(batch)
			// Those who were answered just now, and requests that are being read, are on their way here: let them come
			// along. The transaction keeps a processor for as long as it waits for the disk, and they would wait, too.
			runtime.Gosched()
			for len(batch) < maxBatch && len(s.queue) > 0 {
				// Nobody else receives, so this does not wait; a closed queue still gives what is in it.
				batch = append(batch, <-s.queue)
			}
		}
		var err error
		if s.writer == nil {
			s.writer, err = s.openWriter()
		}
		if err == nil {
			if err = s.apply(s.writer, batch); err != nil {
				// The next transaction has descriptors of its own: after a failed fsync the kernel may report
				// success on these for bytes that it has dropped (promise D9).
				err = errors.Join(err, s.writer.close())
				s.writer = nil
			}
		}
		for _, c := range batch {
			c.answer <- err
		}
		clear(batch)
	}
}

// apply makes all changes or, when it fails, none. A batch that fails is not tried again change by change: what can
// fail is the disk, and its word is not asked for twice.
func (s *small) apply(w *writer, batch []*change) error {
	if err := s.on("begin", func() error { return w.exec(begin, nil, nil) }); err != nil {
		return err
	}
	// Read now, as no other transaction can come between it and COMMIT: times in the table never go back.
	now := time.Now().UnixNano()
	for _, c := range batch {
		err := s.on("write", func() error {
			if c.data == nil {
				w.drop[0].Value, w.drop[1].Value = c.digest[:], c.before.UnixNano()
				return w.exec(dropRow, w.drop, &c.changed)
			}
			w.put[0].Value, w.put[1].Value, w.put[2].Value = c.digest[:], now, c.data
			return w.exec(putRow, w.put, &c.changed)
		})
		if err != nil {
			return err
		}
	}
	return s.on("fsync", func() error { return w.exec(commit, nil, nil) })
}

// exec runs a statement and tells whether it changed a row.
func (w *writer) exec(statement int, args []driver.NamedValue, changed *bool) error {
	res, err := w.stmts[statement].ExecContext(context.Background(), args)
	if err != nil || changed == nil {
		return err
	}
	n, err := res.RowsAffected()
	*changed = n > 0
	return err
}
