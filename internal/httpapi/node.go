package httpapi

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// NodeOf is a node of the tree as the API shows it. root says that it is a drive's root, whose parent is nobody's
// business.
func NodeOf(n *filemetapb.Node, root bool) *Node {
	out := &Node{
		ID: strconv.FormatInt(n.GetId(), 10), Path: n.GetPath(), Name: n.GetName(), Kind: "file", Size: n.GetSize(),
		Digest: hex.EncodeToString(n.GetDigest()), Version: n.GetVersion(), ETag: n.GetEtag(),
		CreatedAt: Time(n.GetCreatedAt()), ModifiedAt: Time(n.GetModifiedAt()),
	}
	if n.GetFolder() {
		out.Kind = "folder"
	}
	if !root {
		out.ParentID = strconv.FormatInt(n.GetParentId(), 10)
	}
	if n.GetTrashedAt() > 0 {
		out.TrashedAt = Time(n.GetTrashedAt())
	}
	return out
}

// Time is a moment, given in milliseconds since 1970, as the API shows it.
func Time(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// IdempotencyKey checks the header of that name; empty is none.
func IdempotencyKey(s string) (string, error) {
	bad := len(s) > 128
	for _, c := range []byte(s) {
		bad = bad || c < 0x21 || c > 0x7e
	}
	if bad {
		return "", errs.E(errs.Invalid, "httpapi.IdempotencyKey", errs.Code("bad_field"), errs.Field("Idempotency-Key"))
	}
	return s, nil
}
