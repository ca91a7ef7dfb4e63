package object

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"
	"pgregory.net/rapid"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/errs"
)

// Parts are whole blocks, never more than a store takes, and enough for the largest blob.
func TestPartSize(t *testing.T) {
	s := newStore(nil, Config{})
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(0, 40<<40).Draw(t, "size")
		part := s.PartSize(size)
		if part%blob.BlockSize != 0 || part < smallestPart || part*mostParts < size || part > 5<<30 {
			t.Fatalf("parts of %d for %d bytes", part, size)
		}
	})
	if s.PartSize(70<<30) != smallestPart {
		t.Error("parts grow before they must")
	}
}

// A stream of unknown size may be as large as memory allows: with 4 GiB of it, five TiB and more.
func TestPartsOfAStream(t *testing.T) {
	for _, c := range []struct{ memory, reach int64 }{{0, 860 << 30}, {1, 70 << 30}, {4 << 30, 5 << 40}} {
		s := newStore(nil, Config{WriteMemory: c.memory})
		var sum int64
		for n := range mostParts {
			sum += s.partAfter(n)
		}
		if sum < c.reach || s.partAfter(mostParts-1) > s.writeMem.most {
			t.Errorf("with %d bytes of memory a stream reaches %d", c.memory, sum)
		}
	}
}

// S9: keys come back as what they were made of; all else is not ours.
func TestKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ref := blob.Ref{Size: rapid.Int64Range(0, 1<<45).Draw(t, "size")}
		copy(ref.Digest[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
		var data id
		if !small(ref.Size) {
			data = newID()
		}
		key := generationKey(ref, data)
		g, ok := parseGeneration(Object{Key: key})
		if !ok || g.Ref != ref || g.data != data || !strings.HasPrefix(key, generationsPrefix(ref.Digest)) {
			t.Fatalf("%s is %+v, %v", key, g, ok)
		}
		at := rapid.IntRange(0, len(key)-1).Draw(t, "at")
		other := key[:at] + rapid.StringMatching(`[a-z0-9/._-]?`).Draw(t, "other") + key[at+1:]
		if g, ok := parseGeneration(Object{Key: other}); ok && !strings.HasPrefix(other, generationsPrefix(g.Digest)) {
			t.Fatalf("%s is %+v", other, g)
		}
	})
	for _, key := range []string{"", "blobs/", "blobs/ab/", "data/x", "blobs/ab/abc-1-2", "blobs/../x"} {
		if _, ok := parseGeneration(Object{Key: key}); ok {
			t.Errorf("%q is a generation", key)
		}
	}
	i := newID()
	if got, ok := parseDataKey(dataKey(i)); !ok || got != i {
		t.Error("data keys do not come back")
	}
	if block, crc, ok := parseBlock(strings.TrimPrefix(blockKey(i, 3, 7, 0xdeadbeef), partPrefix(i, 3))); !ok || block != 7 || crc != 0xdeadbeef {
		t.Error("block keys do not come back")
	}
}

// Who sends slowly holds little; who cannot have memory without waiting is told so; all is given back.
func TestWriteMemory(t *testing.T) {
	m := newWriteMemory(16 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	var slow []*chunks
	for range 30 {
		c := new(chunks)
		if _, err := c.add(ctx, m, make([]byte, 1000), 8<<20, false); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, c)
	}
	fast := new(chunks)
	if n, err := fast.add(ctx, m, make([]byte, 8<<20), 8<<20, false); n != 8<<20 || err != nil {
		t.Fatalf("a fast sender got room for %d bytes, %v", n, err)
	}
	late := new(chunks)
	if _, err := late.add(ctx, m, make([]byte, 8<<20), 8<<20, false); !errors.Is(err, errNoMemory) {
		t.Fatalf("out of memory: %v", err)
	}
	cancel()
	if _, err := late.add(ctx, m, make([]byte, 8<<20), 8<<20, true); !errs.Is(errs.Canceled, err) {
		t.Fatalf("waiting, with a context that has ended: %v", err)
	}
	for _, c := range append(slow, fast, late) {
		c.release(m)
	}
	for _, pool := range []*semaphore.Weighted{m.steps, m.parts} {
		if !pool.TryAcquire(4 << 20) {
			t.Error("memory was not given back")
		}
	}
	if !m.parts.TryAcquire(8 << 20) {
		t.Error("memory was not given back")
	}
}

// Chunks are read back as they came, again and again.
func TestChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newWriteMemory(16 << 20)
		var c chunks
		var want []byte
		limit := rapid.Int64Range(1, 3<<20).Draw(t, "limit")
		for int64(len(want)) < limit {
			p := []byte(strings.Repeat(rapid.StringN(1, 1, 4).Draw(t, "p"), rapid.IntRange(1, 200_000).Draw(t, "n")))
			n, err := c.add(t.Context(), m, p, limit, true)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, p[:n]...)
		}
		for range 2 {
			if _, err := c.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(&c)
			if err != nil || string(got) != string(want) || c.body().CRC32C != inMemory(want).CRC32C {
				t.Fatalf("read %d bytes, %v", len(got), err)
			}
		}
		c.release(m)
	})
}

// Times of which only seconds are known count as late as they may have been.
func TestBefore(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		ago  time.Duration
		want bool
	}{{0, false}, {time.Second - 1, false}, {time.Second, true}, {time.Hour, true}, {-time.Hour, false}} {
		if before(now.Add(-c.ago), now) != c.want {
			t.Errorf("%v ago: %v", c.ago, !c.want)
		}
	}
}
