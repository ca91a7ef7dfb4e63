package filemeta

import (
	"sync"

	"github.com/livil/gopan/internal/drivepath"
)

// memo remembers of drives that were used lately what is dear to look up. Every change of a drive's live tree moves its
// seq in the same transaction, whoever makes it, so what was read at one seq is true in every transaction that finds
// the drive at that seq, and is never asked about in another. The zero value is empty and ready.
type memo struct {
	mu     sync.Mutex
	drives map[DriveID]*driveMemo
}

// driveMemo is what is known of a drive at a seq.
type driveMemo struct {
	seq int64
	// folders by their paths, and how many nodes are in them.
	folders map[drivepath.Path]NodeID
	totals  map[NodeID]int64
}

// Bounds of what is remembered: some megabytes at most.
const (
	maxMemoDrives  = 500
	maxMemoFolders = 100
)

// of gives what is known of a drive at a seq, nil for nothing. The caller holds mu.
func (m *memo) of(d DriveID, seq int64) *driveMemo {
	if k := m.drives[d]; k != nil && k.seq == seq {
		return k
	}
	return nil
}

// at is of for somebody who has learnt something; it is nil when what is known is newer. The caller holds mu.
func (m *memo) at(d DriveID, seq int64) *driveMemo {
	k := m.drives[d]
	switch {
	case k != nil && k.seq > seq:
		return nil
	case k != nil && k.seq == seq:
		return k
	}
	if m.drives == nil {
		m.drives = make(map[DriveID]*driveMemo)
	}
	k = &driveMemo{seq: seq, folders: make(map[drivepath.Path]NodeID), totals: make(map[NodeID]int64)}
	put(m.drives, d, k, maxMemoDrives)
	return k
}

// put adds to a map that holds no more than limit; something else goes if it must.
func put[K comparable, V any](m map[K]V, key K, value V, limit int) {
	if _, ok := m[key]; !ok && len(m) >= limit {
		for k := range m {
			delete(m, k)
			break
		}
	}
	m[key] = value
}

// folder is the live folder at a path.
func (m *memo) folder(d DriveID, seq int64, p drivepath.Path) (NodeID, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.of(d, seq); k != nil {
		id, ok := k.folders[p]
		return id, ok
	}
	return 0, false
}

func (m *memo) learnFolder(d DriveID, seq int64, p drivepath.Path, id NodeID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.at(d, seq); k != nil {
		put(k.folders, p, id, maxMemoFolders)
	}
}

// total is how many nodes are in a folder.
func (m *memo) total(d DriveID, seq int64, id NodeID) (int64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.of(d, seq); k != nil {
		n, ok := k.totals[id]
		return n, ok
	}
	return 0, false
}

func (m *memo) learnTotal(d DriveID, seq int64, id NodeID, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.at(d, seq); k != nil {
		put(k.totals, id, total, maxMemoFolders)
	}
}

// advance follows committed changes of a drive that moved nothing and took nothing away: they only added to folders,
// so many nodes to each.
func (m *memo) advance(d DriveID, from, to int64, added map[NodeID]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.of(d, from); k != nil {
		k.seq = to
		for id, n := range added {
			if _, ok := k.totals[id]; ok {
				k.totals[id] += n
			}
		}
	}
}
