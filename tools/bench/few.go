package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// pageSize is the largest page that the drive gives.
const pageSize = 1000

// list measures listings of folders with many files.
func (b *bench) list() error {
	ng, err := b.theNginx()
	if err != nil {
		return err
	}
	folder := filepath.Join(ng.root, "list")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	for i := range b.whole {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("f%06d", i)), nil, 0o644); err != nil {
			return err
		}
	}
	return b.phase("list", func(g *gopan) error {
		if _, err := g.fill(b.ctx, "/whole", b.whole, 0); err != nil {
			return err
		}
		if _, err := g.fill(b.ctx, "/paged", b.entries, 0); err != nil {
			return err
		}
		filled, err := g.peak()
		if err != nil {
			return err
		}
		b.rows = append(b.rows, row{
			What: fmt.Sprintf("memory while %d connections put files", fillers), Unit: "MiB", Less: true,
			Gopan: series{filled}, Goal: b.goal(below, 120), PeakRSS: filled,
		})
		if err := b.restart(g); err != nil {
			return err
		}
		const first, all = "first page", "all pages"
		out, err := b.compare(
			side{name: first, proc: g.proc, per: firstPages, run: func(int) (figures, error) { return b.firstPages(g) }},
			side{name: all, proc: g.proc, per: float64(b.entries) / pageSize, run: func(int) (figures, error) {
				return b.walk(g, "/paged", b.entries)
			}},
			side{name: theDrive, proc: g.proc, per: 1, run: func(int) (figures, error) { return b.walk(g, "/whole", b.whole) }},
			side{name: theNginx, proc: ng.proc, per: 1, run: func(int) (figures, error) { return b.autoindex(ng) }},
		)
		if err != nil {
			return err
		}
		for _, name := range []string{first, all} {
			what := fmt.Sprintf("page of %d, folder of %d, %s", pageSize, b.entries, name)
			one := outcome{theDrive: out[name]}
			b.add(row{What: what + ", p50", Unit: "ms", Less: true}, one, "p50", "")
			b.add(row{What: what + ", p99", Unit: "ms", Less: true, Goal: b.goal(below, 20)}, one, "p99", "")
		}
		b.add(row{What: fmt.Sprintf("list %d entries", b.whole), Unit: "ms", Less: true}, out, "total", theNginx)
		return nil
	})
}

// firstPages is how often the first page is asked for in a sample.
const firstPages = 100

func (b *bench) firstPages(g *gopan) (figures, error) {
	token, err := g.token(b.ctx)
	if err != nil {
		return nil, err
	}
	req := request(nil, "GET", fmt.Sprintf("/api/v1/files?path=/paged&limit=%d", pageSize), token, nil)
	return job{addr: g.addr, conns: 1, n: firstPages, make: func(buf []byte, _ int) []byte { return append(buf, req...) },
		check: func(_ int, body []byte) error {
			if got := bytes.Count(body, []byte(`"etag"`)); got != min(pageSize, b.entries)+1 { // and the folder's own
				return fmt.Errorf("%d entries on the page", got-1)
			}
			return nil
		},
	}.run(b.ctx)
}

// walk lists a folder from its first page to its last.
func (b *bench) walk(g *gopan, folder string, entries int) (figures, error) {
	token, err := g.token(b.ctx)
	if err != nil {
		return nil, err
	}
	c, err := dial(b.ctx, g.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var took []time.Duration
	var total time.Duration
	cursor, seen := "", 0
	for {
		target := fmt.Sprintf("/api/v1/files?path=%s&limit=%d", folder, pageSize)
		if cursor != "" {
			target += "&cursor=" + cursor
		}
		req := request(nil, "GET", target, token, nil)
		start := time.Now()
		status, err := c.roundTrip(req, false)
		took = append(took, time.Since(start))
		total += took[len(took)-1]
		if err != nil || status != 200 {
			return nil, errors.Join(err, fmt.Errorf("GET %s: status %d %s", target, status, c.body))
		}
		seen += bytes.Count(c.body, []byte(`"etag"`)) - 1
		if cursor = field(c.body, "nextCursor"); cursor == "" {
			break
		}
	}
	if seen != entries {
		return nil, fmt.Errorf("%d entries of %d", seen, entries)
	}
	f := timesOf(took)
	f["total"] = ms(total)
	return f, nil
}

func (b *bench) autoindex(ng *nginx) (figures, error) {
	return job{addr: ng.addr, conns: 1, n: 1,
		make: func(buf []byte, _ int) []byte { return request(buf, "GET", "/list/", "", nil) },
		check: func(_ int, body []byte) error {
			if got := bytes.Count(body, []byte(`"name"`)); got != b.whole {
				return fmt.Errorf("%d entries of %d", got, b.whole)
			}
			return nil
		},
	}.run(b.ctx)
}

// start measures how long a drive that has been used takes from exec to its first answer, and the memory that it
// then has, and has after a sign-in, whose password hash takes some.
func (b *bench) start() error {
	var took, idle, after series
	err := b.phase("start", func(g *gopan) error {
		if _, err := g.fill(b.ctx, "/start", b.whole, 0); err != nil {
			return err
		}
		if err := g.stop(); err != nil {
			return err
		}
		for range b.starts {
			if err := b.settle(); err != nil {
				return err
			}
			began := time.Now()
			again, err := b.startGopan(g.data, g.setup)
			if err != nil {
				return err
			}
			took = append(took, ms(again.answered.Sub(began)))
			fresh, err := again.peak()
			idle = append(idle, fresh)
			err = errors.Join(err, again.signIn(b.ctx))
			signedIn, perr := again.peak()
			after = append(after, signedIn)
			g.proc = again.proc // for phase, which asks it for its peak and stops it
			if err := errors.Join(err, perr); err != nil {
				return err
			}
			if len(took) < b.starts {
				if err := again.stop(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range []row{
		{What: fmt.Sprintf("start to first answer, %d files", b.whole), Unit: "ms", Gopan: took, Goal: b.goal(below, 150)},
		{What: "memory after the start", Unit: "MiB", Gopan: idle},
		{What: "memory after a sign-in", Unit: "MiB", Gopan: after},
	} {
		r.Phase, r.Less, r.PeakRSS = "start", true, after.median()
		b.rows = append(b.rows, r)
	}
	return nil
}
