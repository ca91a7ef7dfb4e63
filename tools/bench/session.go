package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	theSingle = "one PUT"
	// blockSize is the drive's.
	blockSize = 4 << 20
	// streams are the connections of one session.
	streams = 4
	// manySessions are under way at once where their memory is measured, of a block at least.
	manySessions = 64
)

// blockSums gives the sums of the blocks of a part of a file, and its digest, as a client announces them.
func blockSums(f io.ReaderAt, off, size int64) (sums []string, digest string, err error) {
	all, block := sha256.New(), make([]byte, blockSize)
	for at := int64(0); at < size; at += blockSize {
		part := block[:min(blockSize, size-at)]
		if _, err := f.ReadAt(part, off+at); err != nil {
			return nil, "", err
		}
		sum := sha256.Sum256(part)
		all.Write(sum[:])
		sums = append(sums, hex.EncodeToString(sum[:]))
	}
	return sums, hex.EncodeToString(all.Sum(nil)), nil
}

// announce is the request that begins an upload of a part of a file.
func announce(f io.ReaderAt, off, size int64, path, token string) ([]byte, error) {
	sums, digest, err := blockSums(f, off, size)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{"path": path, "size": size, "digest": digest, "blocks": sums, "parents": true})
	return request(nil, "POST", "/api/v1/uploads", token, body, "Content-Type: application/json"), err
}

// upload is a session under way.
type upload struct {
	addr, id, token string
	src             *source
	off, size       int64
	// step is how many bytes go in a request, as the drive likes it.
	step int64
}

// begin sends an announcement and gives the session, all of whose blocks are missing.
func (b *bench) begin(g *gopan, announcement []byte, src *source, off, size int64) (*upload, error) {
	c, err := dial(b.ctx, g.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	status, err := c.roundTrip(announcement, false)
	if err != nil {
		return nil, err
	}
	var answer struct {
		ID, Token     string
		RequestBlocks int64
	}
	err = json.Unmarshal(c.body, &answer)
	if err != nil || status != 201 || answer.Token == "" || answer.RequestBlocks < 1 || bytes.Contains(c.body, []byte(`"node":`)) {
		return nil, fmt.Errorf("POST /uploads: status %d %s %w", status, c.body[:min(len(c.body), 1000)], err)
	}
	return &upload{
		addr: g.addr, id: answer.ID, token: answer.Token, src: src, off: off, size: size, step: answer.RequestBlocks * blockSize,
	}, nil
}

// ask makes a request about the session.
func (u *upload) ask(method, below, contentLength string) []byte {
	return request(nil, method, "/api/v1/uploads/"+u.id+below, "", nil, "Upload-Token: "+u.token, "Content-Length: "+contentLength)
}

// send sends the blocks by a number of connections, and completes.
func (b *bench) send(u *upload, conns int) error {
	failed := make([]error, conns)
	var next atomic.Int64
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { failed[i] = b.stream(u, &next) })
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	c, err := dial(b.ctx, u.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.roundTrip(u.ask("POST", "/complete", "0"), false)
	if err == nil && status != 201 {
		err = fmt.Errorf("complete: status %d %s", status, c.body)
	}
	return err
}

// stream sends one request with blocks after the other, as long as there are any.
func (b *bench) stream(u *upload, next *atomic.Int64) error {
	// A file of its own, for its offset.
	f, err := os.Open(u.src.Name())
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := dial(b.ctx, u.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		at := (next.Add(1) - 1) * u.step
		if at >= u.size {
			return nil
		}
		n, size := at/blockSize, min(u.step, u.size-at)
		status, err := c.sendFile(u.ask("PUT", fmt.Sprintf("/blocks/%d", n), fmt.Sprint(size)), f, u.off+at, size)
		if err == nil && status != 204 {
			err = fmt.Errorf("block %d: status %d %s", n, status, c.body)
		}
		if err != nil {
			return err
		}
	}
}

// timed gives the rate at which do moves size bytes.
func timed(size int64, do func() error) (figures, error) {
	start := time.Now()
	err := do()
	return figures{"rate": mibs(size, time.Since(start))}, err
}

// bySession uploads the large file block by block, with bytes that the drive has not seen, to inSession.
func (b *bench) bySession(g *gopan, src *source) side {
	return side{name: theDrive, proc: g.proc, per: b.gib(), run: func(round int) (figures, error) {
		token, err := g.token(b.ctx)
		if err != nil {
			return nil, err
		}
		if err := src.stamp(); err != nil {
			return nil, err
		}
		announcement, err := announce(src, 0, src.size, inSession(round), token)
		if err != nil {
			return nil, err
		}
		return timed(src.size, func() error {
			u, err := b.begin(g, announcement, src, 0, src.size)
			if err != nil {
				return err
			}
			return b.send(u, streams)
		})
	}}
}

func inSession(round int) string { return fmt.Sprintf("/session/%d.bin", round) }

// session measures a large upload block by block beside the same in one request.
func (b *bench) session() error {
	src, err := b.theSource()
	if err != nil {
		return err
	}
	return b.phase("session", func(g *gopan) error {
		out, err := b.compare(
			side{name: theSingle, proc: g.proc, per: b.gib(), run: func(round int) (figures, error) {
				return b.putLarge(g, src, fmt.Sprintf("/single/%d.bin", round))
			}},
			b.bySession(g, src),
		)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("session of %s by %d connections", b.sized(), streams)
		b.add(row{What: what, Unit: "MiB/s", Goal: b.goal(ratioFrom, 0.9)}, out, "rate", theSingle)
		return b.same(g, src, inSession(b.rounds-1))
	})
}

// sessions measures what many uploads at once take, of a part of the large file each.
func (b *bench) sessions() error {
	src, err := b.theSource()
	if err != nil {
		return err
	}
	part := max(blockSize, src.size/manySessions)
	many := int(src.size / part)
	return b.phase("sessions", func(g *gopan) error {
		out, err := b.compare(side{name: theDrive, proc: g.proc, per: b.gib(), run: func(round int) (figures, error) {
			token, err := g.token(b.ctx)
			if err != nil {
				return nil, err
			}
			if err := src.stamp(); err != nil {
				return nil, err
			}
			announcements := make([][]byte, many)
			for i := range announcements {
				path := fmt.Sprintf("/sessions/%d-%d.bin", round, i)
				if announcements[i], err = announce(src, int64(i)*part, part, path, token); err != nil {
					return nil, err
				}
			}
			return timed(src.size, func() error {
				failed := make([]error, many)
				var wg sync.WaitGroup
				for i := range failed {
					wg.Go(func() {
						u, err := b.begin(g, announcements[i], src, int64(i)*part, part)
						if err == nil {
							err = b.send(u, 1)
						}
						failed[i] = err
					})
				}
				wg.Wait()
				return errors.Join(failed...)
			})
		}})
		if err != nil {
			return err
		}
		b.add(row{What: fmt.Sprintf("%d sessions at once, %s in all", many, b.sized()), Unit: "MiB/s"}, out, "rate", "")
		return nil
	})
}

// instant measures uploads of what their owner has already.
func (b *bench) instant() error {
	src, err := b.theSource()
	if err != nil {
		return err
	}
	return b.phase("instant", func(g *gopan) error {
		if _, err := b.putLarge(g, src, "/known.bin"); err != nil {
			return err
		}
		out, err := b.compare(side{name: theDrive, proc: g.proc, per: float64(b.instants), run: func(round int) (figures, error) {
			token, err := g.token(b.ctx)
			if err != nil {
				return nil, err
			}
			name := func(i int) string { return fmt.Sprintf("/instant/%d-%06d.bin", round, i) }
			first, err := announce(src, 0, src.size, name(0), token)
			if err != nil {
				return nil, err
			}
			return job{addr: g.addr, conns: 1, n: b.instants,
				make: func(_ []byte, i int) []byte { return bytes.Replace(first, []byte(name(0)), []byte(name(i)), 1) },
				check: func(_ int, body []byte) error {
					if !bytes.Contains(body, []byte(`"node":`)) {
						return fmt.Errorf("not at once: %s", body[:min(len(body), 1000)])
					}
					return nil
				},
			}.run(b.ctx)
		}})
		if err != nil {
			return err
		}
		what := "upload of " + b.sized() + " that is known"
		b.add(row{What: what, Unit: "uploads/s"}, out, "rate", "")
		b.add(row{What: what + ", p50", Unit: "ms", Less: true, Goal: b.goal(below, 20)}, out, "p50", "")
		b.add(row{What: what + ", p99", Unit: "ms", Less: true}, out, "p99", "")
		return nil
	})
}
