package blob_test

import (
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/blob/mem"
)

// S7: our digest is the one that Dropbox published as content_hash, as rclone computes it.
func TestDigestIsRclones(t *testing.T) {
	dir := t.TempDir()
	sizes := []int64{0, 1, blob.BlockSize - 1, blob.BlockSize, blob.BlockSize + 1, 100 << 20}
	want := map[string]string{}
	for _, size := range sizes {
		data := blobtest.Bytes(size, size)
		name := strconv.FormatInt(size, 10)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		ref, err := blob.Write(t.Context(), new(mem.Store), bytes.NewReader(data), blob.Want{Size: size, Limit: -1})
		if err != nil {
			t.Fatal(err)
		}
		want[name] = ref.Digest.String()
	}
	rclone := cmp.Or(os.Getenv("RCLONE"), "rclone")
	cmd := exec.CommandContext(t.Context(), rclone, "--config", "", "hashsum", "dropbox", dir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s, which tools/scripts/need-rclone.sh installs: %v", rclone, err)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(out)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		got[name] = sum
	}
	for name, sum := range want {
		if got[name] != sum {
			t.Errorf("%s bytes: rclone says %q, we say %q", name, got[name], sum)
		}
	}
	if len(got) != len(sizes) {
		t.Errorf("rclone said:\n%s", out)
	}
}
