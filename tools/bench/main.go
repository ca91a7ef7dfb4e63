// Command bench measures the drive beside what it could be at best: the disk itself, nginx, and a plain Go server
// that does nothing but make files durable. `make bench` runs it; docs/benchmarks.md says how to read its table.
//
// It runs on Linux only: it reads /proc and has the kernel move bytes where that keeps the load cheap.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 1 && os.Args[1] == "plain" {
		err = plainMain(ctx, os.Args[2:])
	} else {
		err = benchMain(ctx, os.Args[1:])
	}
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// phases in the order in which they run.
var phases = []struct {
	name string
	run  func(*bench) error
}{
	{"put", (*bench).put}, {"session", (*bench).session}, {"sessions", (*bench).sessions}, {"instant", (*bench).instant},
	{"get", (*bench).get}, {"s3put", (*bench).s3put}, {"s3get", (*bench).s3get}, {"small", (*bench).small}, {"batch", (*bench).batch},
	{"stat", (*bench).stat}, {"list", (*bench).list}, {"rename", (*bench).rename}, {"start", (*bench).start},
}

// scale is how much each phase does.
type scale struct {
	rounds, starts int
	// size in bytes of the large file.
	size int64
	// instants is how often a known file is uploaded anew.
	instants int
	// files in a sample of small files, requests in one of stats, renames in one of renames.
	files, stats, renames int
	// entries of the folder that is listed by pages, and of the one that is listed as a whole.
	entries, whole int
}

var (
	full  = scale{rounds: 5, starts: 7, size: 1 << 30, instants: 200, files: 5000, stats: 20_000, renames: 2000, entries: 100_000, whole: 10_000}
	quick = scale{rounds: 2, starts: 3, size: 128 << 20, instants: 20, files: 500, stats: 1000, renames: 200, entries: 3000, whole: 1000}
)

// connections of the phases that load a server with many small requests.
const connections = 16

// bench is a run, and what its phases share.
type bench struct {
	scale
	ctx context.Context
	// dir is the run's own folder, on the disk that is measured.
	dir   string
	gopan string
	goals bool

	// minio is the program; "": the pinned one.
	minio string

	nginxOnce *nginx
	plainOnce *proc
	minioOnce *minioServer
	source    *source
	rows      []row
	stops     []func() error
}

func benchMain(ctx context.Context, args []string) (err error) {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	binary := fs.String("gopan", "bin/gopan", "the program to measure")
	minio := fs.String("minio", "", "the MinIO server to measure with; by default the pinned one, which is built once")
	parent := fs.String("dir", ".cache", "where to make the folder to work in; the disk that holds it is measured")
	isQuick := fs.Bool("quick", false, "small amounts: shows that everything works, and no speed")
	only := fs.String("only", "", "phases to run, with commas: "+phaseNames())
	rounds := fs.Int("rounds", 0, "samples of each side; 0: 5, or 2 with -quick")
	jsonFile := fs.String("json", "", "also write everything that was measured to this file")
	limit := fs.Duration("timeout", time.Hour, "give up after this long")
	if err := fs.Parse(args); err != nil {
		return flag.ErrHelp // it has said what is wrong
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	b := &bench{scale: full, ctx: ctx, goals: !*isQuick, minio: *minio}
	if *isQuick {
		b.scale = quick
	}
	if *rounds > 0 {
		b.rounds = *rounds
	}
	if b.gopan, err = filepath.Abs(*binary); err != nil {
		return err
	}
	if _, err := os.Stat(b.gopan); err != nil {
		return fmt.Errorf("%w: build it with make build, or name it with -gopan", err)
	}
	if err := os.MkdirAll(*parent, 0o755); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(*parent, "gopan-bench-"); err != nil {
		return err
	}
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, p := range phases {
		if !slices.Contains(chosen, p.name) {
			continue
		}
		began := time.Now()
		fmt.Fprintf(os.Stderr, "%s ... ", p.name)
		if err := p.run(b); err != nil {
			fmt.Fprintln(os.Stderr)
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Fprintf(os.Stderr, "%.1f s\n", time.Since(began).Seconds())
	}
	b.peakOfAll()
	r := report{Host: aboutHost(b.dir), Quick: *isQuick, Rounds: b.rounds, Rows: b.rows}
	if *jsonFile != "" {
		if err := r.writeJSON(*jsonFile); err != nil {
			return err
		}
	}
	return r.print(os.Stdout)
}

func phaseNames() string {
	names := make([]string, len(phases))
	for i, p := range phases {
		names[i] = p.name
	}
	return strings.Join(names, ",")
}

// choose reads a list of phases; an empty one is all.
func choose(list string) ([]string, error) {
	if list == "" {
		list = phaseNames()
	}
	names := strings.Split(list, ",")
	for _, n := range names {
		if !slices.Contains(strings.Split(phaseNames(), ","), n) {
			return nil, fmt.Errorf("there is no phase %q; there are %s", n, phaseNames())
		}
	}
	return names, nil
}

// close stops what was started and removes what was written.
func (b *bench) close() error {
	var all []error
	for _, stop := range slices.Backward(b.stops) {
		all = append(all, stop())
	}
	return errors.Join(append(all, os.RemoveAll(b.dir))...)
}
