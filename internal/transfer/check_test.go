package transfer_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"gorm.io/gorm"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/transfer"
)

// newSlowly gives data in pieces of odd sizes, so that a write takes several steps.
func newSlowly(data []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(data)) }

// flip damages one byte of a file.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 0x20
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// D6, D10, F23, F24: the check finds what is missing at once, and what is damaged when it reads the data; and says
// nothing of what is whole.
func TestCheckFinds(t *testing.T) {
	// Both are files of the store; what damage does to its rows its own tests show.
	const one, large = 100_000, 2*blob.BlockSize + 100
	for _, c := range []struct {
		name, code string
		damage     func(t *testing.T, path string) error
		// unread tells that the damage shows without reading the data.
		unread bool
		size   int64
	}{
		{"missing", "missing_blob", func(_ *testing.T, p string) error { return os.Remove(p) }, true, one},
		{"large one missing", "missing_blob", func(_ *testing.T, p string) error { return os.Remove(p) }, true, large},
		{"truncated", "damaged_blob", func(_ *testing.T, p string) error { return os.Truncate(p, one-1) }, true, one},
		{"longer", "damaged_blob", func(_ *testing.T, p string) error { return os.Truncate(p, one+1) }, true, one},
		{"a folder", "damaged_blob", func(_ *testing.T, p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) }, true, one},
		{"a bit", "damaged_blob", func(t *testing.T, p string) error { flip(t, p, 50); return nil }, false, one},
		{"a bit of the last block", "damaged_blob", func(t *testing.T, p string) error { flip(t, p, large-1); return nil }, false, large},
		{"a bit of the sums", "damaged_blob", func(t *testing.T, p string) error { flip(t, p+".sums", 40); return nil }, true, large},
		{"sums missing", "damaged_blob", func(_ *testing.T, p string) error { return os.Remove(p + ".sums") }, true, large},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			_, whole := w.file("/whole", random(1, large))
			_, ref := w.file("/damaged", random(2, c.size))
			w.file("/empty", nil)
			bytes := whole.Size + ref.Size
			if got := w.check(true); len(got.Problems) != 0 || got.Blobs != 3 || got.Bytes != bytes || got.ReadBytes != bytes {
				t.Fatalf("before: %+v", got)
			}
			if err := c.damage(t, w.path(ref)); err != nil {
				t.Fatal(err)
			}
			quick, full := w.check(false), w.check(true)
			if quick.ReadBytes != 0 || c.unread != (len(quick.Problems) == 1) {
				t.Errorf("without reading: %+v", quick)
			}
			if len(full.Problems) != 1 || full.Problems[0].Code != c.code || !strings.Contains(full.Problems[0].Detail, ref.Digest.String()) {
				t.Errorf("with reading: %+v, want %s of %s", full.Problems, c.code, ref.Digest)
			}
			if c.unread && !slices.Equal(quick.Problems, full.Problems) {
				t.Errorf("without reading %v, with %v", quick.Problems, full.Problems)
			}
		})
	}
}

// D10: quota drift and whatever else the tree finds in itself come through; orphans and what is not ours are
// counted, not called problems.
func TestCheckTree(t *testing.T) {
	w := newWorld(t)
	w.file("/a", random(1, 10))
	w.put(random(2, 20))
	if err := os.WriteFile(filepath.Join(w.dir, "00", "foreign"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	told := int64(0)
	c, err := w.Check(t.Context(), false, func(c transfer.Checked) { told = c.Blobs })
	if err != nil || told != 1 {
		t.Fatalf("told of %d blobs, %v", told, err)
	}
	if len(c.Problems) != 0 || c.Drives != 1 || c.Nodes != 3 || c.Versions != 1 || c.Orphans != 1 || c.YoungOrphans != 1 || len(c.Foreign) != 1 {
		t.Errorf("%+v", c)
	}
	if err := w.tree.DB.Write(t.Context(), func(tx *gorm.DB) error {
		return tx.Exec("UPDATE drives SET used = used + 5").Error
	}); err != nil {
		t.Fatal(err)
	}
	w.later(2 * grace)
	c = w.check(false)
	if len(c.Problems) != 1 || c.Problems[0].Code != "quota_drift" || c.Orphans != 1 || c.YoungOrphans != 0 {
		t.Errorf("%+v", c)
	}
}

// The sums that are filled in are those of the whole content, for blobs of several blocks; damage is no reason to
// stop and never gets a sum (F26).
func TestFillSums(t *testing.T) {
	w := newWorld(t)
	contents := map[string][]byte{
		"/a": random(1, blob.BlockSize+1), "/b": random(2, 2*blob.BlockSize), "/c": random(3, 3*blob.BlockSize+7),
	}
	for path, data := range contents {
		w.file(path, data)
	}
	w.file("/small", random(4, blob.BlockSize))
	_, damaged := w.file("/damaged", random(5, blob.BlockSize+100))
	flip(t, w.path(damaged), blob.BlockSize+50)
	_, gone := w.file("/gone", random(6, blob.BlockSize+200))
	if err := os.Remove(w.path(gone)); err != nil {
		t.Fatal(err)
	}
	if err := w.FillSums(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, data := range contents {
		n, err := w.tree.Resolve(t.Context(), &filemetapb.ResolveRequest{Actor: &filemetapb.Actor{UserId: owner}, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		want256, want1, want5 := sha256.Sum256(data), sha1.Sum(data), md5.Sum(data)
		if !bytes.Equal(n.GetSha256(), want256[:]) {
			t.Errorf("%s: SHA-256 %x, want %x", path, n.GetSha256(), want256)
		}
		var got struct{ Sha1, Md5 []byte }
		if err := w.tree.DB.Read(t.Context(), func(tx *gorm.DB) error {
			return tx.Raw("SELECT sha1, md5 FROM sums WHERE digest = ?", n.GetDigest()).Scan(&got).Error
		}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Sha1, want1[:]) || !bytes.Equal(got.Md5, want5[:]) {
			t.Errorf("%s: SHA-1 %x, MD5 %x, want %x, %x", path, got.Sha1, got.Md5, want1, want5)
		}
	}
	missing, err := w.tree.MissingSums(t.Context(), &filemetapb.MissingSumsRequest{Limit: 100})
	if err != nil || len(missing.GetBlobs()) != 2 {
		t.Fatalf("%d blobs have no sums, %v; want the damaged and the missing one", len(missing.GetBlobs()), err)
	}
	for _, b := range missing.GetBlobs() {
		if d := blob.Digest(b.GetDigest()); d != damaged.Digest && d != gone.Digest {
			t.Errorf("%s has no sums", d)
		}
	}
	w.SumRate = 0
	if err := w.FillSums(t.Context()); err != nil {
		t.Errorf("switched off: %v", err)
	}
}
