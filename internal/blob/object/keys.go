package object

import (
	"cmp"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/livil/gopan/internal/blob"
)

// Folders of the store. Nothing that a user has said is part of a key (promise S9): keys are made of digests, sizes and
// random ids.
const (
	blobsFolder = "blobs/"
	dataFolder  = "data/"
	stageFolder = "stage/"
	dropFolder  = "drop/"
	idKey       = "store.json"
)

// id is a random name, of 128 bits.
type id [16]byte

var idText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func newID() (i id) {
	_, _ = rand.Read(i[:]) // documented never to fail
	return i
}

func (i id) String() string { return idText.EncodeToString(i[:]) }

// parseID reads an id as String writes it, and nothing else.
func parseID(s string) (i id, ok bool) {
	b, err := idText.DecodeString(s)
	if err != nil || len(b) != len(i) || id(b).String() != s {
		return i, false
	}
	return id(b), true
}

// dataKey is where the bytes of a blob of more than a block are.
func dataKey(data id) string {
	s := data.String()
	return dataFolder + s[:2] + "/" + s
}

func parseDataKey(key string) (id, bool) {
	i := strings.LastIndexByte(key, '/')
	data, ok := parseID(key[i+1:])
	return data, ok && dataKey(data) == key
}

// generation is one time that a blob was put: an object with the blob's bytes if it has one block at most, and else
// with its block sums, naming the object with its bytes.
type generation struct {
	blob.Info
	key string
	// data is the zero id for a blob of one block at most.
	data id
}

// small tells whether a blob's bytes are in its generations.
func small(size int64) bool { return size <= blob.BlockSize }

// generationsPrefix is what the keys of all generations of a blob begin with.
func generationsPrefix(d blob.Digest) string {
	h := d.String()
	return blobsFolder + h[:2] + "/" + h + "-"
}

// generationKey is the key of a new generation.
func generationKey(ref blob.Ref, data id) string {
	key := generationsPrefix(ref.Digest) + strconv.FormatInt(ref.Size, 10) + "-" + newID().String()
	if !small(ref.Size) {
		key += "-" + data.String()
	}
	return key
}

// parseGeneration reads an object's key. The blob counts as put at the latest moment that its time stands for.
func parseGeneration(o Object) (g generation, ok bool) {
	name, ok := strings.CutPrefix(o.Key, blobsFolder)
	if !ok || len(name) < 3 {
		return g, false
	}
	f := strings.Split(name[3:], "-")
	if len(f) < 3 {
		return g, false
	}
	digest, err := blob.ParseDigest(f[0])
	size, serr := strconv.ParseInt(f[1], 10, 64)
	_, gok := parseID(f[2])
	if err != nil || serr != nil || !gok || size < 0 || strconv.FormatInt(size, 10) != f[1] || name[:3] != f[0][:2]+"/" {
		return g, false
	}
	g = generation{key: o.Key, Info: blob.Info{Ref: blob.Ref{Digest: digest, Size: size}, PutAt: o.Modified.Add(granularity)}}
	switch {
	case small(size):
		return g, len(f) == 3
	case len(f) != 4:
		return g, false
	}
	g.data, ok = parseID(f[3])
	return g, ok
}

// youngest sorts generations so that the last put comes first. All processes agree on the order.
func youngest(gens []generation) []generation {
	slices.SortFunc(gens, func(a, b generation) int {
		return cmp.Or(b.PutAt.Compare(a.PutAt), strings.Compare(b.key, a.key))
	})
	return gens
}

// granularity of the clocks that stores count with: some cut fractions of a second off.
const granularity = time.Second

// before tells whether something that has this time was surely done before a moment.
func before(modified, moment time.Time) bool { return !modified.Add(granularity).After(moment) }

// keys of what is staged:
//
//	stage/ID/begin         what the session is: see begun
//	stage/ID/PART/BLOCK-CRC  a block that came by itself; part and block count from 0
const beginName = "begin"

func stagePrefix(i id) string { return stageFolder + i.String() + "/" }

func beginKey(i id) string { return stagePrefix(i) + beginName }

func partPrefix(i id, part int64) string {
	return stagePrefix(i) + strconv.FormatInt(part, 10) + "/"
}

func blockKey(i id, part, block int64, crc uint32) string {
	return fmt.Sprintf("%s%d-%08x", partPrefix(i, part), block, crc)
}

// parseBlock reads the end of a block's key, behind partPrefix.
func parseBlock(name string) (block int64, crc uint32, ok bool) {
	n, c, ok := strings.Cut(name, "-")
	block, err := strconv.ParseInt(n, 10, 64)
	sum, cerr := strconv.ParseUint(c, 16, 32)
	return block, uint32(sum), ok && err == nil && cerr == nil && block >= 0
}
