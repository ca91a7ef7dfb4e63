package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// smallSize is the size of a small file in bytes.
const smallSize = 4096

const (
	thePlain  = "plain fsync server"
	theFloor  = "16 writers, no HTTP"
	theRename = "16 × rename, fsync"
)

// small measures many small uploads, with the floor under each sample.
func (b *bench) small() error {
	plain, dir, err := b.thePlain()
	if err != nil {
		return err
	}
	n := float64(b.files)
	return b.phase("small", func(g *gopan) error {
		out, err := b.compare(
			side{name: theFloor, run: func(round int) (figures, error) {
				return b.writers(b.ctx, filepath.Join(b.dir, fmt.Sprintf("floor-%d", round)), b.files)
			}},
			side{name: theDrive, proc: g.proc, per: n, run: func(round int) (figures, error) {
				token, err := g.token(b.ctx)
				if err != nil {
					return nil, err
				}
				folder := fmt.Sprintf("/small-%d", round)
				if _, err := g.putAll(b.ctx, token, folder, b.files, 1, 0, 1); err != nil {
					return nil, err
				}
				return b.putSmall(g.addr, token, round, func(i int) string { return uploadOf(folder + "/f" + strconv.Itoa(i)) })
			}},
			side{name: thePlain, proc: plain, per: n, run: func(round int) (figures, error) {
				if err := os.Mkdir(filepath.Join(dir, strconv.Itoa(round)), 0o700); err != nil {
					return nil, err
				}
				return b.putSmall(plain.addr, "", round, func(i int) string { return fmt.Sprintf("/%d/f%d", round, i) })
			}},
		)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("PUT %d files of 4 KiB", b.files)
		b.add(row{What: what, Unit: "files/s", Goal: b.goal(ratioFrom, 1.3)}, out, "rate", thePlain)
		b.add(row{What: what, Unit: "files/s"}, out, "rate", theFloor)
		b.add(row{What: what + ", p50", Unit: "ms", Less: true}, out, "p50", thePlain)
		b.add(row{What: what + ", p99", Unit: "ms", Less: true}, out, "p99", thePlain)
		return nil
	})
}

// putSmall sends small files. The requests are made before the clock starts, for the client shares the processor with
// the server.
func (b *bench) putSmall(addr, token string, round int, target func(int) string) (figures, error) {
	requests := make([][]byte, b.files)
	for i := range requests {
		requests[i] = request(nil, "PUT", target(i), token, content(smallSize, round, i))
	}
	return job{addr: addr, conns: connections, n: b.files, make: func(_ []byte, i int) []byte { return requests[i] }}.run(b.ctx)
}

// stated is how many files the stats ask for in turn.
const stated = 500

// stat measures questions about a file by its path.
func (b *bench) stat() error {
	ng, err := b.theNginx()
	if err != nil {
		return err
	}
	folder := filepath.Join(ng.root, "stat")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	for i := range stated {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("f%06d", i)), content(smallSize, 0, i), 0o644); err != nil {
			return err
		}
	}
	return b.phase("stat", func(g *gopan) error {
		if _, err := g.fill(b.ctx, "/stat", stated, smallSize); err != nil {
			return err
		}
		if err := b.restart(g); err != nil {
			return err
		}
		ask := func(p *proc, name, method string, target func(string) string) side {
			targets := make([]string, stated)
			for i := range targets {
				targets[i] = target(fmt.Sprintf("/stat/f%06d", i))
			}
			return side{name: name, proc: p, per: float64(b.stats), run: func(int) (figures, error) {
				token := ""
				if p == g.proc {
					var err error
					if token, err = g.token(b.ctx); err != nil {
						return nil, err
					}
				}
				return job{addr: p.addr, conns: connections, n: b.stats, head: method == "HEAD", make: func(buf []byte, i int) []byte {
					return request(buf, method, targets[i%stated], token, nil)
				}}.run(b.ctx)
			}}
		}
		const head, get = "HEAD content", "GET stat"
		out, err := b.compare(
			ask(g.proc, head, "HEAD", contentOf),
			ask(g.proc, get, "GET", statOf),
			ask(ng.proc, theNginx, "HEAD", func(p string) string { return p }),
		)
		if err != nil {
			return err
		}
		for _, name := range []string{head, get} {
			one := outcome{theDrive: out[name], theNginx: out[theNginx]}
			b.add(row{What: name + " by path", Unit: "requests/s", Goal: b.goal(from, 8000)}, one, "rate", theNginx)
			b.add(row{What: name + " by path, p99", Unit: "ms", Less: true}, one, "p99", theNginx)
		}
		return nil
	})
}

// rename measures renames within a folder.
func (b *bench) rename() error {
	floor := filepath.Join(b.dir, "renames")
	if err := os.Mkdir(floor, 0o700); err != nil {
		return err
	}
	name := func(round, i int) string { return fmt.Sprintf("r%d-%d", round, i) }
	for i := range b.renames {
		if err := os.WriteFile(filepath.Join(floor, name(-1, i)), nil, 0o600); err != nil {
			return err
		}
	}
	return b.phase("rename", func(g *gopan) error {
		ids, err := g.fill(b.ctx, "/rename", b.renames+1, 0)
		if err != nil {
			return err
		}
		if err := b.restart(g); err != nil {
			return err
		}
		out, err := b.compare(
			side{name: theDrive, proc: g.proc, per: float64(b.renames), run: func(round int) (figures, error) {
				token, err := g.token(b.ctx)
				if err != nil {
					return nil, err
				}
				return job{addr: g.addr, conns: connections, n: b.renames, make: func(buf []byte, i int) []byte {
					return request(buf, "PATCH", "/api/v1/files/"+ids[i], token, []byte(`{"name":"`+name(round, i)+`"}`), "Content-Type: application/json")
				}}.run(b.ctx)
			}},
			side{name: theRename, run: func(round int) (figures, error) {
				return inParallel(b.ctx, connections, b.renames, func(int) func(int) error {
					return func(i int) error {
						return renameDurably(filepath.Join(floor, name(round-1, i)), filepath.Join(floor, name(round, i)))
					}
				})
			}},
		)
		if err != nil {
			return err
		}
		b.add(row{What: "rename by 16 connections", Unit: "renames/s"}, out, "rate", theRename)
		b.add(row{What: "rename, p99", Unit: "ms", Less: true}, out, "p99", theRename)
		return nil
	})
}
