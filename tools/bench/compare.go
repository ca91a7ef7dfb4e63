package main

import (
	"errors"
	"fmt"
)

// side is one of those that are compared.
type side struct {
	name string
	// proc is whose processor time counts; nil: run gives it itself, or nobody asks.
	proc *proc
	// per turns processor time into that of one unit: a GiB, or a request.
	per float64
	run func(round int) (figures, error)
}

// outcome is what the rounds gave: side → figure → one number a round.
type outcome map[string]map[string]series

// compare takes samples in turn, A B A B, so that what else the machine does meets all sides alike.
func (b *bench) compare(sides ...side) (outcome, error) {
	out := make(outcome)
	for round := range b.rounds {
		for _, s := range sides {
			f, err := b.sample(s, round)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", s.name, round+1, err)
			}
			if out[s.name] == nil {
				out[s.name] = make(map[string]series)
			}
			for name, v := range f {
				out[s.name][name] = append(out[s.name][name], v)
			}
		}
	}
	return out, nil
}

func (b *bench) sample(s side, round int) (figures, error) {
	if err := errors.Join(b.settle(), b.ctx.Err()); err != nil {
		return nil, err
	}
	if s.proc == nil {
		return s.run(round)
	}
	before, err := s.proc.cpu()
	if err != nil {
		return nil, err
	}
	f, err := s.run(round)
	if err != nil {
		return nil, err
	}
	after, err := s.proc.cpu()
	if err != nil {
		return nil, err
	}
	f["cpu"] = (after - before) / s.per
	return f, nil
}

// phase runs fn on a fresh drive and notes, in the rows that fn adds, the most memory that it took
// if they do not say it themselves.
func (b *bench) phase(name string, fn func(g *gopan) error) error {
	return b.phaseWith(setup{}, name, fn)
}

// phaseWith is phase for a drive that is set up in another way.
func (b *bench) phaseWith(with setup, name string, fn func(g *gopan) error) (err error) {
	g, done, err := b.freshGopan(name, with)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := g.forgetPeak(); err != nil {
		return err
	}
	first := len(b.rows)
	if err := fn(g); err != nil {
		return fmt.Errorf("%w\nthe drive's log ends with:\n%s", err, tail(g.log))
	}
	peak, err := g.peak()
	if err != nil {
		return err
	}
	for i := range b.rows[first:] {
		r := &b.rows[first+i]
		r.Phase, r.bucket = name, with.bucket
		if r.PeakRSS == 0 {
			r.PeakRSS = peak
		}
	}
	return nil
}

// peakOfAll adds the row that sums up the phases whose content is on the disk. What is on its way to and from a bucket
// is in memory, as much as the store's settings allow.
func (b *bench) peakOfAll() {
	most := 0.0
	for _, r := range b.rows {
		if !r.bucket {
			most = max(most, r.PeakRSS)
		}
	}
	if most == 0 {
		return
	}
	b.rows = append(b.rows, row{
		Phase: "all", What: "peak memory in any phase without a bucket", Unit: "MiB", Gopan: series{most}, Less: true, Goal: b.goal(below, 120), PeakRSS: most,
	})
}
