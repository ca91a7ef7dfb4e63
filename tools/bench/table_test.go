package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMedianAndTimes(t *testing.T) {
	for _, tt := range []struct {
		in   series
		want float64
	}{{nil, 0}, {series{3}, 3}, {series{9, 1}, 5}, {series{5, 1, 100}, 5}} {
		if got := tt.in.median(); got != tt.want {
			t.Errorf("median of %v = %v", tt.in, got)
		}
	}
	took := make([]time.Duration, 200)
	for i := range took {
		took[i] = time.Duration(200-i) * time.Millisecond
	}
	if f := timesOf(took); f["p50"] != 101 || f["p99"] != 199 {
		t.Errorf("times %v", f)
	}
}

// Ratios pair the samples of a round, and are above 1 when the drive is better, whether more or less is.
func TestRatios(t *testing.T) {
	r := row{Gopan: series{10, 40}, Other: series{20, 20}}
	if got := r.ratios(); !slices.Equal(got, series{0.5, 2}) {
		t.Errorf("more is better: %v", got)
	}
	r.Less = true
	if got := r.ratios(); !slices.Equal(got, series{2, 0.5}) {
		t.Errorf("less is better: %v", got)
	}
}

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		goal goal
		want string
	}{
		{goal{}, ""},
		{goal{ratioFrom, 0.5}, "≥0.50 met"}, {goal{ratioFrom, 0.51}, "≥0.51 missed"},
		{goal{from, 10}, "≥10 met"}, {goal{from, 11}, "≥11 missed"},
		{goal{below, 11}, "<11 met"}, {goal{below, 10}, "<10 missed"},
	} {
		r := row{Gopan: series{10}, Other: series{20}, Goal: tt.goal}
		if got := r.verdict(); got != tt.want {
			t.Errorf("%v: %q", tt.goal, got)
		}
	}
	if g := (&bench{}).goal(from, 1); g != (goal{}) {
		t.Errorf("a quick run has the goal %v", g)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	r := report{Rows: []row{
		{What: "PUT", Unit: "MiB/s", Gopan: series{500}, Against: theDD, Other: series{1000}, CPU: series{1.5}, PeakRSS: 61},
		{What: "alone", Unit: "ms", Gopan: series{0.5}},
	}}
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"500 MiB/s", theDD, "1000", "0.50–0.50", "1.50 s", "61.0", "0.50 ms"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestChoose(t *testing.T) {
	if got, err := choose(""); err != nil || len(got) != len(phases) {
		t.Errorf("all: %v, %v", got, err)
	}
	if got, err := choose("stat,put"); err != nil || !slices.Equal(got, []string{"stat", "put"}) {
		t.Errorf("two: %v, %v", got, err)
	}
	if _, err := choose("put,swim"); err == nil {
		t.Error("there is a phase swim")
	}
}

// This process is one whose costs can be read.
func TestCosts(t *testing.T) {
	pids, err := family(os.Getpid())
	if err != nil || !slices.Contains(pids, os.Getpid()) {
		t.Fatalf("family %v, %v", pids, err)
	}
	p := &proc{pids: pids}
	for began := time.Now(); ; { // until the clock of processor time has ticked
		cpu, err := p.cpu()
		if err != nil {
			t.Fatal(err)
		}
		if cpu > 0 {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal("a minute of work took no processor time")
		}
	}
}
