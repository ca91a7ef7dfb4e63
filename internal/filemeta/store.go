package filemeta

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"gorm.io/gorm"

	"github.com/livil/gopan/internal/errs"
)

// kind of a node. Folders sort before files by it.
type kind int

const (
	folder kind = 1
	file   kind = 2
	trash  kind = 3
)

// Parents that are no nodes.
const (
	// topParent holds each drive's root and trash.
	topParent NodeID = 0
	// purgeParent holds what was deleted for ever and is being taken apart.
	purgeParent NodeID = -1
)

// String is the id as users see it.
func (id NodeID) String() string { return strconv.FormatInt(int64(id), 10) }

func (id DriveID) String() string { return strconv.FormatInt(int64(id), 10) }

// parseID reads a node's id; one that cannot be an id is errs.NotFound, like one that is nobody's.
func parseID(s string) (NodeID, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id <= 0 || strconv.FormatInt(id, 10) != s {
		return 0, errs.E(errs.NotFound, "filemeta.parseID")
	}
	return NodeID(id), nil
}

// drive is a row of drives.
type drive struct {
	ID DriveID `gorm:"primaryKey;autoIncrement:false"`
	// OwnerID is negative while the drive is being erased.
	OwnerID         UserID
	RootID, TrashID NodeID
	// Quota, Used and Reserved in bytes; a Quota of 0 is no limit. Reserved is what reservations hold for uploads
	// under way.
	Quota, Used, Reserved int64
	// Seq of the last change.
	Seq       int64
	CreatedAt int64

	// What the counters were when the row was read; save guards its write with them.
	wasUsed, wasReserved, wasSeq int64
}

// available bytes in the drive, for somebody who holds a reservation of so many bytes.
func (d *drive) available(held int64) int64 {
	quota := d.Quota
	if quota == 0 {
		quota = 1<<63 - 1
	}
	return max(0, quota-d.Used-d.Reserved+held)
}

// node is a row of nodes: a folder, a file with its current version, or a drive's trash.
type node struct {
	ID       NodeID `gorm:"primaryKey;autoIncrement:false"`
	DriveID  DriveID
	ParentID NodeID
	Name     string
	Kind     kind
	SortKey  []byte
	Size     int64
	Digest   []byte
	SHA256   []byte `gorm:"column:sha256"` // of the whole content, where it has one block
	Version  int64
	// Rev grows with every change that If-Match must see.
	Rev                   int64
	CreatedAt, ModifiedAt int64
	TrashedAt             int64
	OriginParent          NodeID
	OriginPath            string

	// fresh: not in the database yet.
	fresh bool
}

func newNode(id NodeID, d DriveID, parent NodeID, name string, k kind, now int64) *node {
	return &node{
		ID: id, DriveID: d, ParentID: parent, Name: name, Kind: k, SortKey: sortKey(name), Rev: 1,
		CreatedAt: now, ModifiedAt: now,
	}
}

// etag is the node's strong entity tag (RFC 9110, section 8.8.3). The digest in it keeps it from repeating
// with other bytes even if the database goes back in time with a backup.
func (n *node) etag() string {
	var b strings.Builder
	b.WriteByte('"')
	b.WriteString(strconv.FormatInt(int64(n.ID), 36))
	b.WriteByte('-')
	b.WriteString(strconv.FormatInt(n.Rev, 36))
	if len(n.Digest) >= 8 {
		b.WriteByte('-')
		b.WriteString(hex.EncodeToString(n.Digest[:8]))
	}
	b.WriteByte('"')
	return b.String()
}

// version is a row of versions: what a file held once, or holds.
type version struct {
	NodeID    NodeID `gorm:"primaryKey;autoIncrement:false"`
	Version   int64  `gorm:"primaryKey;autoIncrement:false"`
	DriveID   DriveID
	Digest    []byte
	Size      int64
	SHA256    []byte `gorm:"column:sha256"`
	AuthorID  UserID
	CreatedAt int64
}

// change is a row of changes: what happened to a drive, numbered without gaps.
type change struct {
	DriveID DriveID `gorm:"primaryKey;autoIncrement:false"`
	Seq     int64   `gorm:"primaryKey;autoIncrement:false"`
	NodeID  NodeID
	Kind    changeKind
	At      int64
}

type changeKind string

const (
	created  changeKind = "created"
	written  changeKind = "written"
	moved    changeKind = "moved"
	trashed  changeKind = "trashed"
	restored changeKind = "restored"
	purged   changeKind = "purged"
)

// request is a row of requests: what a write with an Idempotency-Key did.
type request struct {
	ActorID UserID `gorm:"primaryKey;autoIncrement:false"`
	Key     string `gorm:"primaryKey"`
	// Deed is what was asked for.
	Deed    []byte
	NodeID  NodeID
	Created bool
	At      int64
}

// deed is a short stand-in for what a request asks for: what is done, and to what.
func deed(verb, target string) []byte {
	sum := sha256.Sum256([]byte(verb + " " + target))
	return sum[:16]
}

// is refuses a key that was used before to ask for something else: the caller would take that answer for this one.
func (r request) is(deed []byte) error {
	if !bytes.Equal(r.Deed, deed) {
		return errs.E(errs.Conflict, "filemeta.request", errs.Code("key_reused"), errs.Field("Idempotency-Key"))
	}
	return nil
}

// record writes down changes of one drive, numbers them, and moves what it uses by freed bytes.
func record(tx *gorm.DB, id DriveID, now, freed int64, kind changeKind, nodes ...NodeID) error {
	d, err := driveWhere(tx, "id = ?", id)
	if err != nil {
		return err
	}
	d.Used -= freed
	rows := make([]change, len(nodes))
	for i, n := range nodes {
		d.Seq++
		rows[i] = change{d.ID, d.Seq, n, kind, now}
	}
	if err := insertChanges(tx, rows); err != nil {
		return err
	}
	return d.save(tx)
}

// collation is a collator and the memory that it works in.
type collation struct {
	*collate.Collator
	buf collate.Buffer
}

// collations order names as people do: by pinyin for Chinese, numbers by value, case and accents last.
var collations = sync.Pool{New: func() any {
	return &collation{Collator: collate.New(language.Chinese, collate.Numeric, collate.Loose)}
}}

// maxSortKey bytes of a key are enough to order by; names that agree so far come in the order of their ids.
const maxSortKey = 160

func sortKey(name string) []byte {
	c := collations.Get().(*collation)
	defer collations.Put(c)
	c.buf.Reset()
	key := c.KeyFromString(&c.buf, name)
	return append([]byte{}, key[:min(len(key), maxSortKey)]...)
}
