package client

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Unfinished is a folder that keeps, from run to run, what it takes to go on with uploads that broke off: a file
// for each, readable by its owner alone, that is gone when its upload is done. While an upload is under way its
// file is locked, so that of two processes that send the same file to the same place one goes without. What
// cannot be kept here makes no upload fail: it only cannot be gone on with.
type Unfinished struct {
	// Dir is made when it is needed.
	Dir string
}

// unfinishedLife is how long an upload is taken to live when its server does not say.
const unfinishedLife = 72 * time.Hour

// Unfinished gives the folder beside the credentials: their file's name with ".uploads" added.
func (s Store) Unfinished() *Unfinished { return &Unfinished{Dir: s.Path + ".uploads"} }

// fileStamp is what is kept of a file besides its size and time, to tell whether its sums are still right.
type fileStamp struct {
	File    uint64 `json:"file"`
	Changed int64  `json:"changed"`
}

// target says which upload is meant.
type target struct {
	Server  string `json:"server"`
	Account string `json:"account"`
	// Local is absolute.
	Local  string `json:"local"`
	Remote string `json:"remote"`
}

// begun is an upload that has a session on the server.
type begun struct {
	target
	ID    string `json:"id"`
	Token Token  `json:"token"`
	// Size, Modified and Stamp are the file's at the time when Sums were made.
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified"`
	Stamp    fileStamp `json:"stamp"`
	Sums     blockSums `json:"sums"`
}

// claim is one upload's file while this process works on it. A nil claim keeps nothing.
type claim struct {
	name string
	f    *os.File
	// life is how long the session lives after its last block; touched is when the file's time was last moved on.
	life    time.Duration
	touched atomic.Int64
}

// claim takes an upload for this process, and gives what an earlier run left of it. It returns nil when the folder
// cannot be used or another process has this upload under way.
func (u *Unfinished) claim(t target) (*claim, *begun) {
	if u == nil || os.MkdirAll(u.Dir, 0o700) != nil {
		return nil, nil
	}
	key, err := json.Marshal(t)
	if err != nil {
		return nil, nil
	}
	sum := sha256.Sum256(key)
	c := &claim{name: filepath.Join(u.Dir, hex.EncodeToString(sum[:16])+".json"), life: unfinishedLife}
	// A file that was locked only after its owner removed it is not the one that the next process finds.
	for range 3 {
		f, err := os.OpenFile(c.name, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
		if err != nil {
			return nil, nil
		}
		if ok, err := tryLock(f); err != nil || !ok {
			f.Close()
			return nil, nil
		}
		mine, err := f.Stat()
		now, nerr := os.Lstat(c.name)
		if err == nil && nerr == nil && mine.Mode().IsRegular() && !othersCanRead(mine) && os.SameFile(mine, now) {
			c.f = f
			return c, c.read(t)
		}
		f.Close()
	}
	return nil, nil
}

// read gives what an earlier run left; nil for nothing, or nothing that makes sense.
func (c *claim) read(t target) *begun {
	data, err := io.ReadAll(c.f)
	if err != nil {
		return nil
	}
	b := new(begun)
	if json.Unmarshal(data, b) != nil || b.target != t || b.ID == "" || len(b.Sums) != blocksOf(b.Size)*sha256.Size {
		return nil
	}
	return b
}

// save keeps an upload that has just got its session, which lives as long as life after its last block.
func (c *claim) save(b begun, life time.Duration) {
	if c == nil {
		return
	}
	if life > 0 {
		c.life = life
	}
	data, err := json.Marshal(b)
	if err == nil {
		err = c.f.Truncate(0)
	}
	if err == nil {
		_, err = c.f.WriteAt(data, 0)
	}
	if err != nil {
		_ = c.f.Truncate(0) // half of it is nothing; the upload goes on without
		return
	}
	c.touched.Store(0)
	c.touch(time.Now())
}

// touch says that the session has just been used. The file's time is when the session ends.
func (c *claim) touch(now time.Time) {
	if c == nil {
		return
	}
	last := c.touched.Load()
	if now.Unix()-last < 60 || !c.touched.CompareAndSwap(last, now.Unix()) {
		return
	}
	end := now.Add(c.life)
	_ = os.Chtimes(c.name, end, end) // without it the file is only swept too early
}

// forget drops what was saved: the upload is done, or will never be, or begins anew.
func (c *claim) forget() {
	if c != nil {
		_ = c.f.Truncate(0) // the next run finds out that the server has forgotten, too
	}
}

// release lets others have the upload. The file stays only if there is something in it.
func (c *claim) release() {
	if c == nil {
		return
	}
	info, err := c.f.Stat()
	empty := err == nil && info.Size() == 0
	removed := empty && os.Remove(c.name) == nil
	c.f.Close()
	if empty && !removed {
		_ = os.Remove(c.name) // where an open file cannot be removed; one that stays is swept later
	}
}

// Sweep removes what was kept of uploads whose time is over.
func (u *Unfinished) Sweep(now time.Time) {
	entries, err := os.ReadDir(u.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !strings.HasSuffix(e.Name(), ".json") || !info.Mode().IsRegular() || info.ModTime().After(now) {
			continue
		}
		name := filepath.Join(u.Dir, e.Name())
		f, err := os.OpenFile(name, os.O_RDWR|noFollow, 0)
		if err != nil {
			continue
		}
		c := &claim{name: name, f: f}
		if ok, err := tryLock(f); err != nil || !ok {
			f.Close()
			continue
		}
		// Its owner may have begun it anew since.
		if held, err := f.Stat(); err == nil && !held.ModTime().After(now) {
			c.forget()
		}
		c.release()
	}
}
