package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/client"
)

func TestUnits(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB", 5 << 30: "5.0 GiB", 1 << 62: "4.0 EiB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0.0s", 1500 * time.Millisecond: "1.5s", 59 * time.Second: "59s", 90 * time.Second: "1m30s", 100 * time.Minute: "1h40m", 49 * time.Hour: "49h00m",
	} {
		if got := timeText(d); got != want {
			t.Errorf("timeText(%v) = %s, want %s", d, got, want)
		}
	}
}

func TestMeter(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(m *meter, seconds float64, bytes, files int64) {
		m.bytes, m.files = bytes, files
		m.sample(start.Add(time.Duration(seconds * float64(time.Second))))
	}
	var m meter
	if rate, left := m.estimate(1, 1); rate != 0 || left != 0 {
		t.Errorf("without samples: %d, %v", rate, left)
	}
	at(&m, 0, 0, 0)
	at(&m, 0.1, 1<<30, 0)
	if rate, _ := m.estimate(1, 1); rate != 0 {
		t.Errorf("a sample too early counts: %d", rate)
	}
	at(&m, 2, 200<<20, 1)
	if rate, left := m.estimate(10, 1000<<20); rate != 100<<20 || left != 10*time.Second {
		t.Errorf("large files: %d, %v", rate, left)
	}
	// Only the last ten seconds count.
	for s := 3.0; s < 40; s++ {
		at(&m, s, 200<<20+int64(s)*(1<<20), 1)
	}
	if rate, _ := m.estimate(1, 1); rate != 1<<20 {
		t.Errorf("after a slow while: %d", rate)
	}
	m = meter{}
	at(&m, 0, 0, 0)
	at(&m, 1, 1000, 100)
	if _, left := m.estimate(1000, 100); left != 10*time.Second {
		t.Errorf("many small files: %v left, want 10s", left)
	}
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	st := status{files: 1, allFiles: 4, bytes: 1 << 20, allBytes: 4 << 20, rate: 1 << 20, left: 3 * time.Second}
	l := &lines{w: &out, stop: make(chan struct{})}
	tick := make(chan time.Time)
	l.over.Go(func() { l.follow(tick, func() status { return st }) })
	speak(t, false)
	tick <- time.Time{}
	// The same again is not worth a line.
	tick <- time.Time{}
	tick <- time.Time{}
	l.close()
	if want := "1/4 files  1.0 MiB/4.0 MiB  1.0 MiB/s  3.0s left\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// The counts come out right, whatever attempts did in between.
func TestReportCounts(t *testing.T) {
	var out, stderr bytes.Buffer
	s := &session{flags: &clientFlags{}, out: &out, err: &stderr}
	speak(t, false)
	r := newReport(s, sent)
	r.show.close()
	r.show = plain{w: &stderr}
	now := time.Unix(1000, 0)
	r.now = func() time.Time { return now }
	r.Plan(4, 400)
	a, b, c, d := &client.Item{Local: "a", Size: 100}, &client.Item{Local: "b", Size: 100}, &client.Item{Local: "c", Size: 100}, &client.Item{Local: "d"}
	if st := r.status(); st.left != 0 {
		t.Error("time left before the totals are known")
	}
	r.Planned()
	r.Read(&client.Item{Local: "huge", Size: 3 << 30})
	r.Read(a)
	r.Start(a)
	r.Advance(a, 60)
	if st := r.status(); st.bytes != 60 || st.files != 0 {
		t.Errorf("under way: %+v", st)
	}
	r.Advance(a, -60)
	r.Kept(a, 30)
	r.Advance(a, 60)
	if st := r.status(); st.bytes != 90 || r.rate.bytes != 60 {
		t.Errorf("with bytes that were there: %+v, of which %d moved; want 90 and 60", st, r.rate.bytes)
	}
	r.Done(a, client.Moved, nil)
	r.Done(b, client.Unchanged, nil)
	r.Start(c)
	r.Advance(c, 10)
	r.Done(c, client.Failed, errors.New("disk on fire"))
	r.Done(d, client.Skipped, client.ErrSkipped)
	if st := r.status(); st.files != 3 || st.bytes != 300 || st.allFiles != 4 || st.allBytes != 400 {
		t.Errorf("at the end: %+v", st)
	}
	r.finish(client.Summary{Files: 1, Bytes: 100, Kept: 2048, Unchanged: 1, Skipped: 1, Failed: 1}, true)
	got := stderr.String()
	if strings.Count(got, "reading ") != 1 || !strings.Contains(got, "reading huge (3.0 GiB)") {
		t.Errorf("what is read is not said, or too often: %q", got)
	}
	for _, want := range []string{"gopan: c: disk on fire\n", "gopan: d: skipped", "sent 1 file, 100 B, in ", "; 2.0 KiB were there already; 1 unchanged; 1 skipped; 1 failed\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if out.Len() > 0 {
		t.Errorf("stdout has %q", out.String())
	}
	if all := r.results(); all.failed != 1 || all.ok != 3 {
		t.Errorf("results %+v", all)
	}
}

func TestShorten(t *testing.T) {
	for in, want := range map[string]string{"short": "short", "0123456789": "0123456789", "0123456789a": "0123…6789a", "一二三四五六七八九十十一": "一二三四…九十十一"} {
		n := 10
		if strings.HasPrefix(in, "一") {
			n = 9
		}
		if got := shorten(in, n); got != want {
			t.Errorf("shorten(%q, %d) = %q, want %q", in, n, got, want)
		}
	}
}
