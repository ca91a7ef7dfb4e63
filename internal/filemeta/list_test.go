package filemeta

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livil/gopan/internal/pb/filemetapb"
)

// shelf is a folder with names of many kinds, sizes and times that all say something else.
func shelf(f *fixture) {
	f.t.Helper()
	names := []string{
		"a1.txt", "a2.txt", "a10.txt", "A3.txt", "b.txt", "Zebra", "éclair", "eclipse", "上海", "北京", "中国", "啊",
		"10", "9", "1", "emoji 🎉", "~", "-", "第2章", "第10章", strings.Repeat("long ", 50), strings.Repeat("long ", 50) + "z",
	}
	for i, name := range names {
		size, modified := int64(i*37%len(names))/2, int64(1e12)+int64(i*11%len(names)/3)*1000
		_, err := f.Commit(context.Background(), &filemetapb.CommitRequest{
			Target: target(alice, "/shelf/"+name, withParents), Blob: bytesOf(name, size), ModifiedAt: modified,
		})
		if err != nil {
			f.t.Fatal(err)
		}
	}
	for _, name := range []string{"folder 10", "folder 2", "文件夹", "zz", "Aa"} {
		f.mkdir(alice, "/shelf/"+name)
	}
}

// Folders come first, then files, each in the order that was asked for; however small the pages, all is there
// once.
func TestListOrders(t *testing.T) {
	f := newFixture(t, 0)
	shelf(f)
	for _, by := range []string{"name", "size", "modified"} {
		for _, desc := range []bool{false, true} {
			o := order{by, desc}
			pg, err := f.list(t.Context(), owner(alice), at("/shelf"), o, 1000, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(pg.items) != 27 || pg.total != 27 || pg.next != "" {
				t.Fatalf("%v: %d items of %d, next %q", o, len(pg.items), pg.total, pg.next)
			}
			all := make([]string, len(pg.items))
			for i, n := range pg.items {
				all[i] = n.Name
				if i > 0 && !inOrder(o, pg.items[i-1], n) {
					t.Errorf("%v: %q before %q", o, pg.items[i-1].Name, n.Name)
				}
			}
			for _, limit := range []int{1, 2, 5, 26, 27} {
				if got := f.names(alice, "/shelf", o, limit); !slices.Equal(got, all) {
					t.Errorf("%v in pages of %d:\n%q, want\n%q", o, limit, got, all)
				}
			}
		}
	}
}

// inOrder tells whether b may come after a.
func inOrder(o order, a, b *node) bool {
	if a.Kind != b.Kind {
		return a.Kind == folder
	}
	c := 0
	switch o.By {
	case "name":
		c = bytes.Compare(sortKey(a.Name), sortKey(b.Name))
	case "size":
		c = int(a.Size - b.Size)
	case "modified":
		c = int(a.ModifiedAt - b.ModifiedAt)
	}
	if o.Desc {
		c = -c
	}
	return c <= 0
}

// Names come as people expect them: numbers by value, Chinese by its pinyin, case and accents last.
func TestNameOrder(t *testing.T) {
	f := newFixture(t, 0)
	for _, want := range [][]string{
		{"a1.txt", "a2.txt", "a10.txt", "a100.txt"},
		{"1", "9", "10", "099"},
		{"第1章", "第2章", "第10章"},
		{"啊", "北京", "成都", "广州", "上海", "中国"},
		{"apple", "Banana", "cherry", "Date"},
		{"eclair", "éclipse", "edge"},
		{"IMG_2.jpg", "img_3.jpg", "IMG_20.JPG"},
	} {
		dir := "/" + want[0] + " and so on"
		shuffled := slices.Clone(want)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for _, name := range shuffled {
			f.file(alice, dir+"/"+name, 1)
			f.mkdir(alice, dir+"/folders/"+name)
		}
		if got := f.names(alice, dir, order{By: "name"}, 3)[1:]; !slices.Equal(got, want) {
			t.Errorf("files come as %q, want %q", got, want)
		}
		if got := f.names(alice, dir+"/folders", order{By: "name"}, 3); !slices.Equal(got, want) {
			t.Errorf("folders come as %q, want %q", got, want)
		}
	}
}

// C10: names that the collation holds for equal, even for nothing at all, are all listed, once.
func TestListEqualKeys(t *testing.T) {
	f := newFixture(t, 0)
	var want []string
	for _, name := range []string{"\u0301", "\u0302", "\u0303", "\u0301\u0302", "a", "A", "á", "ａ", "À"} {
		f.file(alice, "/d/"+name, 1)
		want = append(want, name)
	}
	slices.Sort(want)
	for _, desc := range []bool{false, true} {
		for limit := 1; limit <= 4; limit++ {
			got := f.names(alice, "/d", order{"name", desc}, limit)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("desc %v, pages of %d: %d of %d names: %q", desc, limit, len(got), len(want), got)
			}
		}
	}
}

// C10: while others add, remove and rename, whoever pages through meets everything that stays exactly once.
func TestListDuringChange(t *testing.T) {
	f := newFixture(t, 0)
	stays := map[string]bool{}
	for i := range 40 {
		name := fmt.Sprintf("stays %d", i)
		stays[name] = true
		if i%4 == 0 {
			f.mkdir(alice, "/d/"+name)
		} else {
			f.file(alice, "/d/"+name, int64(i))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("/d/stays %d, comes %d and goes", i*7%45-1, w)
				r, err := f.put(target(alice, name), bytesOf(name, int64(i%50)))
				if err != nil {
					t.Error(err)
					return
				}
				id := NodeID(r.GetNode().GetId())
				if i%3 == 0 {
					_, err = f.update(context.Background(), owner(alice), id, move{name: "0 renamed" + at(name).Base()})
				}
				if err == nil {
					err = f.delete(context.Background(), owner(alice), id, "")
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for round := range 12 {
		o := order{By: []string{"name", "size", "modified"}[round%3], Desc: round%2 == 0}
		seen := map[string]int{}
		for _, name := range f.names(alice, "/d", o, 3) {
			seen[name]++
		}
		for name := range stays {
			if seen[name] != 1 {
				t.Errorf("round %d, %v: %q came %d times", round, o, name, seen[name])
			}
		}
	}
	cancel()
	wg.Wait()
	f.sound(alice)
}

// A cursor that was not given out for this listing is an error, never a wrong page and never hard work.
func TestBadCursors(t *testing.T) {
	f := newFixture(t, 0)
	for i := range 5 {
		f.file(alice, fmt.Sprintf("/d/%d", i), 1)
		f.file(alice, fmt.Sprintf("/e/%d", i), 1)
		f.file(alice, "/v", int64(i))
		if err := f.delete(t.Context(), owner(alice), f.mkdir(alice, fmt.Sprintf("/t%d", i)).ID, ""); err != nil {
			t.Fatal(err)
		}
	}
	byName := order{By: "name"}
	pg, err := f.list(t.Context(), owner(alice), at("/d"), byName, 2, "")
	if err != nil {
		t.Fatal(err)
	}
	good, err := parseCursor(pg.next)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(change func(*cursor)) string {
		c := good
		change(&c)
		return c.String()
	}
	raw := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for name, after := range map[string]string{
		"text":              "second page",
		"padded":            pg.next + "==",
		"cut":               pg.next[:len(pg.next)-3],
		"not JSON":          raw("x"),
		"no object":         raw("[]"),
		"empty object":      raw("{}"),
		"null":              raw("null"),
		"unknown column":    raw(`{"b":"name, (SELECT 1)"}`),
		"another column":    changed(func(c *cursor) { c.By = "size" }),
		"another direction": changed(func(c *cursor) { c.Desc = true }),
		"another folder":    changed(func(c *cursor) { c.Folder = f.mustStat(alice, "/e").ID }),
		"kind 0":            changed(func(c *cursor) { c.Kind = 0 }),
		"kind far below":    changed(func(c *cursor) { c.Kind = -1 << 62 }),
		"kind trash":        changed(func(c *cursor) { c.Kind = trash }),
		"of the trash":      changed(func(c *cursor) { c.Folder = f.row(alice).TrashID }),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, err := f.list(ctx, owner(alice), at("/d"), byName, 2, after)
			wantCode(t, err, "bad_cursor")
			if name != "of the trash" {
				_, _, _, err = f.trashPage(ctx, owner(alice), 2, after)
				wantCode(t, err, "bad_cursor")
			}
			_, _, err = f.versions(ctx, owner(alice), f.mustStat(alice, "/v").ID, 2, after)
			wantCode(t, err, "bad_cursor")
		})
	}
}

// The trash and the versions come in pages too, the latest first.
func TestOtherPages(t *testing.T) {
	f := newFixture(t, 0)
	var id NodeID
	for i := range 7 {
		id = NodeID(f.file(alice, "/v", int64(i)).GetId())
		if err := f.delete(t.Context(), owner(alice), f.mkdir(alice, fmt.Sprintf("/t%d", i)).ID, ""); err != nil {
			t.Fatal(err)
		}
	}
	for limit := 1; limit <= 8; limit++ {
		var sizes []int64
		for after := ""; ; {
			items, next, err := f.versions(t.Context(), owner(alice), id, limit, after)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range items {
				sizes = append(sizes, v.Size)
			}
			if after = next; next == "" {
				break
			}
		}
		if !slices.Equal(sizes, []int64{6, 5, 4, 3, 2, 1, 0}) {
			t.Errorf("versions in pages of %d: %v", limit, sizes)
		}
		var was []string
		for after := ""; ; {
			items, total, next, err := f.trashPage(t.Context(), owner(alice), limit, after)
			if err != nil || total != 7 {
				t.Fatal(total, err)
			}
			for _, n := range items {
				was = append(was, n.OriginPath)
			}
			if after = next; next == "" {
				break
			}
		}
		if got := strings.Join(was, " "); got != "/t6 /t5 /t4 /t3 /t2 /t1 /t0" {
			t.Errorf("trash in pages of %d: %s", limit, got)
		}
	}
	if _, _, err := f.versions(t.Context(), owner(alice), f.mkdir(alice, "/d").ID, 1, ""); code(err) != "is_a_folder" {
		t.Errorf("versions of a folder: %v", err)
	}
	if _, err := f.list(t.Context(), owner(alice), at("/v"), order{By: "name"}, 1, ""); code(err) != "not_a_folder" {
		t.Errorf("listing a file: %v", err)
	}
}
