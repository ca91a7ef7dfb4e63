package local

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/blob"
	"github.com/livil/gopan/internal/blob/blobtest"
	"github.com/livil/gopan/internal/errs"
)

const testID = "test-store"

func open(t testing.TB) *Store {
	t.Helper()
	dir := t.TempDir()
	if err := Init(dir, testID); err != nil {
		t.Fatal(err)
	}
	return reopen(t, dir)
}

func reopen(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, testID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t) })
}

// F01, G46: what a process that died was writing goes when the next one starts; what a living one writes stays.
func TestSweep(t *testing.T) {
	s := open(t)
	data := blobtest.Bytes(1, smallLimit+1)
	living, err := s.Create(t.Context(), smallLimit+1)
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(s.dir, tmpDir, "pDEAD")
	if err := os.MkdirAll(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dead, "half"), make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	reopen(t, s.dir)
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dead process's folder is still there: %v", err)
	}
	if _, err := living.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := living.Commit(t.Context(), smallLimit+1, []blob.Sum{{}}); err != nil {
		t.Errorf("a living process's write was swept away: %v", err)
	}
}

// F18, B168: no store where one should be, or another drive's, is an error and not an empty store.
func TestOpenRefuses(t *testing.T) {
	if _, err := Open(t.TempDir(), testID); err == nil {
		t.Error("opened an empty folder")
	}
	dir := t.TempDir()
	if err := Init(dir, "another"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, testID); err == nil {
		t.Error("opened another drive's store")
	}
	for _, lost := range []string{idFile, smallFile} {
		s := open(t)
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(s.dir, lost)); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err == nil {
			t.Errorf("a store that has lost %s reports ready", lost)
		}
		if _, err := Open(s.dir, testID); err == nil {
			t.Errorf("opened a store that has lost %s", lost)
		}
	}
}

// F23, F24, D6: damage of any kind is an error for those who read, and never wrong bytes.
func TestDamage(t *testing.T) {
	for _, size := range []int64{smallLimit + 1, 2*blob.BlockSize + 100} {
		data := blobtest.Bytes(size, size)
		for what, damage := range map[string]func(path string) error{
			"first byte":  func(p string) error { return flip(p, 0) },
			"last byte":   func(p string) error { return flip(p, size-1) },
			"truncated":   func(p string) error { return os.Truncate(p, size-1) },
			"missing":     os.Remove,
			"a folder":    func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) },
			"sums differ": func(p string) error { return flip(p+sumsSuffix, 3) },
			"sums gone":   func(p string) error { return os.Remove(p + sumsSuffix) },
			"sums short":  func(p string) error { return os.Truncate(p+sumsSuffix, 32) },
		} {
			if strings.HasPrefix(what, "sums") && size <= blob.BlockSize {
				continue
			}
			t.Run(fmt.Sprint(size, " ", what), func(t *testing.T) {
				s := open(t)
				ref, err := blob.Write(t.Context(), s, bytes.NewReader(data), blob.Want{Size: -1, Limit: -1})
				if err != nil {
					t.Fatal(err)
				}
				if err := damage(filepath.Join(s.dir, name(ref.Digest))); err != nil {
					t.Fatal(err)
				}
				r, err := (&blob.Verifier{Store: s}).Open(t.Context(), ref)
				if err == nil {
					var out bytes.Buffer
					_, err = out.ReadFrom(r)
					if !bytes.HasPrefix(data, out.Bytes()) {
						t.Error("wrong bytes were read before the error")
					}
					_ = r.Close()
				}
				if !errs.Is(errs.Corrupt, err) {
					t.Errorf("err = %v, want errs.Corrupt", err)
				}
			})
		}
	}
}

func flip(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return errors.Join(err, f.Close())
	}
	b[0] ^= 0x10
	_, err = f.WriteAt(b[:], at)
	return errors.Join(err, f.Close())
}

// F25: what is not ours is reported and never taken for a blob.
func TestForeignFiles(t *testing.T) {
	s := open(t)
	for _, f := range []string{"ab/README", "ab/" + strings.Repeat("AB", 32), "cd/" + strings.Repeat("ab", 32)} {
		if err := os.WriteFile(filepath.Join(s.dir, f), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	foreign := 0
	if err := s.List(t.Context(), func(e blob.Entry) error {
		if e.Foreign == "" {
			t.Errorf("listed %v as a blob", e)
		}
		foreign++
		return nil
	}); err != nil || foreign != 3 {
		t.Errorf("%d foreign files, %v", foreign, err)
	}
}

// A crash between the sums and their blob leaves sums alone; they are collected like a blob.
func TestSumsWithoutBlob(t *testing.T) {
	s := open(t)
	d := blob.Digest{0xab}
	if err := os.WriteFile(filepath.Join(s.dir, name(d)+sumsSuffix), make([]byte, 64), 0o600); err != nil {
		t.Fatal(err)
	}
	var seen []blob.Entry
	if err := s.List(t.Context(), func(e blob.Entry) error { seen = append(seen, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || seen[0].Digest != d || seen[0].Size != 0 {
		t.Fatalf("listed %v", seen)
	}
	if gone, err := s.Delete(t.Context(), d, time.Now().Add(time.Hour)); !gone || err != nil {
		t.Errorf("Delete = %v, %v", gone, err)
	}
}

func TestTwoOpenings(t *testing.T) {
	blobtest.RunStager(t, func(t *testing.T) (first, second blob.Stager) {
		s := open(t)
		return s, reopen(t, s.dir)
	})
}
