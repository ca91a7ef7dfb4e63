package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// series are the rounds of one figure.
type series []float64

func (s series) median() float64 {
	if len(s) == 0 {
		return 0
	}
	t := slices.Sorted(slices.Values(s))
	if n := len(t); n%2 == 0 {
		return (t[n/2-1] + t[n/2]) / 2
	}
	return t[len(t)/2]
}

// row is one line of the table.
type row struct {
	Phase string `json:"phase"`
	What  string `json:"what"`
	Unit  string `json:"unit"`
	// Less tells that less is better.
	Less    bool   `json:"lessIsBetter,omitempty"`
	Gopan   series `json:"gopan"`
	Against string `json:"against,omitempty"`
	Other   series `json:"other,omitempty"`
	Goal    goal   `json:"goal,omitzero"`
	// CPU seconds per unit of work, of both.
	CPU      series `json:"cpu,omitempty"`
	OtherCPU series `json:"otherCPU,omitempty"`
	// PeakRSS of the drive in the phase, in MiB.
	PeakRSS float64 `json:"peakRSS"`
	// bucket: the content was in one.
	bucket bool
}

// ratios of the drive to the other, round by round, since the two samples of a round were taken side by side. More
// than 1 is always better than the other.
func (r row) ratios() series {
	var s series
	for i := range min(len(r.Gopan), len(r.Other)) {
		a, b := r.Gopan[i], r.Other[i]
		if r.Less {
			a, b = b, a
		}
		if b > 0 {
			s = append(s, a/b)
		}
	}
	return s
}

// add makes a row of one figure of an outcome.
func (b *bench) add(r row, out outcome, figure, against string) {
	r.Gopan, r.Against, r.Other = out[theDrive][figure], against, out[against][figure]
	if figure == "rate" || figure == "total" {
		r.CPU, r.OtherCPU = out[theDrive]["cpu"], out[against]["cpu"]
	}
	b.rows = append(b.rows, r)
}

// goal is what the project set out for.
type goal struct {
	Kind  goalKind `json:"kind,omitempty"`
	Value float64  `json:"value,omitempty"`
}

type goalKind string

const (
	// ratioFrom: a ratio of at least this. from, below: the drive's own figure.
	ratioFrom goalKind = "ratio at least"
	from      goalKind = "at least"
	below     goalKind = "below"
)

// goal is no goal in a quick run, whose amounts are too small to tell.
func (b *bench) goal(k goalKind, v float64) goal {
	if !b.goals {
		return goal{}
	}
	return goal{k, v}
}

func (r row) verdict() string {
	met, sign, v := false, "≥", fmt.Sprintf("%.4g", r.Goal.Value)
	switch r.Goal.Kind {
	case ratioFrom:
		v = fmt.Sprintf("%.2f", r.Goal.Value)
		met = r.ratios().median() >= r.Goal.Value
	case from:
		met = r.Gopan.median() >= r.Goal.Value
	case below:
		sign, met = "<", r.Gopan.median() < r.Goal.Value
	default:
		return ""
	}
	if met {
		return sign + v + " met"
	}
	return sign + v + " missed"
}

// report is a whole run.
type report struct {
	Host   host  `json:"host"`
	Quick  bool  `json:"quick"`
	Rounds int   `json:"rounds"`
	Rows   []row `json:"rows"`
}

func (r report) writeJSON(name string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644)
}

func (r report) print(w io.Writer) error {
	fmt.Fprintf(w, "\n%s\nMedians of %d rounds; ratio: gopan to the other in the same round, above 1 is better than it.\n\n", r.Host, r.Rounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tgopan\tbeside it\tits\tratio\tlow–high\tgoal\tCPU\tits CPU\tRSS MiB")
	for _, row := range r.Rows {
		ratio, spread, other := "", "", ""
		if rs := row.ratios(); len(rs) > 0 {
			ratio, spread = fmt.Sprintf("%.2f", rs.median()), fmt.Sprintf("%.2f–%.2f", slices.Min(rs), slices.Max(rs))
			other = number(row.Other.median())
		}
		fmt.Fprintln(t, strings.Join([]string{
			row.What, number(row.Gopan.median()) + " " + row.Unit, row.Against, other, ratio, spread, row.verdict(),
			cpuTime(row.CPU), cpuTime(row.OtherCPU), number(row.PeakRSS),
		}, "\t"))
	}
	if r.Quick {
		fmt.Fprintln(t, "\nA quick run: the amounts are too small for these numbers to mean anything.")
	}
	return t.Flush()
}

// number with three digits that matter.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// cpuTime is the processor time of one unit: of a GiB, a request or a page.
func cpuTime(s series) string {
	switch v := s.median(); {
	case len(s) == 0:
		return ""
	case v >= 0.1:
		return fmt.Sprintf("%.2f s", v)
	case v >= 0.001:
		return fmt.Sprintf("%.1f ms", v*1e3)
	default:
		return fmt.Sprintf("%.0f µs", v*1e6)
	}
}

// host is the machine of a run.
type host struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Disk   string `json:"fileSystem"`
	Load   string `json:"loadAverage"`
}

func (h host) String() string {
	return fmt.Sprintf("%s, %d cores, Linux %s, %s; load average at the end: %s", h.CPU, h.Cores, h.Kernel, h.Disk, h.Load)
}

// aboutHost finds out what it can; what it cannot is left empty.
func aboutHost(dir string) host {
	h := host{Cores: runtime.NumCPU()}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(b), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			h.CPU = strings.Trim(line, "\t :")
		}
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		h.Load = strings.Join(strings.Fields(string(b))[:3], " ")
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) == nil {
		h.Disk = map[int64]string{
			unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
			unix.TMPFS_MAGIC: "tmpfs (no disk at all)", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
		}[s.Type]
		if h.Disk == "" {
			h.Disk = fmt.Sprintf("file system %#x", s.Type)
		}
	}
	return h
}
