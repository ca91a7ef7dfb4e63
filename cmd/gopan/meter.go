package main

import "time"

const (
	// meterWindow is over how long rates are measured; sampleEvery how finely.
	meterWindow = 10 * time.Second
	sampleEvery = 250 * time.Millisecond
)

// meter measures rates over a sliding window.
type meter struct {
	// bytes and files that have moved since the beginning.
	bytes, files int64
	samples      []sample
}

type sample struct {
	at           time.Time
	bytes, files int64
}

// sample remembers where the counters are.
func (m *meter) sample(now time.Time) {
	if n := len(m.samples); n > 0 && now.Sub(m.samples[n-1].at) < sampleEvery {
		return
	}
	m.samples = append(m.samples, sample{now, m.bytes, m.files})
	for len(m.samples) > 2 && now.Sub(m.samples[0].at) > meterWindow {
		m.samples = m.samples[1:]
	}
}

// estimate gives the bytes per second and the time that is left for so many files and bytes: by whichever is the
// slower, since many small files are bound by their number and few large ones by their bytes. 0 is unknown.
func (m *meter) estimate(files, bytes int64) (rate int64, left time.Duration) {
	if len(m.samples) < 2 {
		return 0, 0
	}
	a, b := m.samples[0], m.samples[len(m.samples)-1]
	seconds := b.at.Sub(a.at).Seconds()
	if seconds <= 0 {
		return 0, 0
	}
	perByte := float64(b.bytes-a.bytes) / seconds
	perFile := float64(b.files-a.files) / seconds
	var need float64
	if perByte > 0 {
		need = float64(bytes) / perByte
	}
	if perFile > 0 && perByte > 0 {
		// While large files move, few end: their bytes decide, not their number.
		if byFiles := float64(files) / perFile; byFiles > need && b.bytes-a.bytes < (b.files-a.files)*smallAverage {
			need = byFiles
		}
	}
	return int64(max(perByte, 0)), time.Duration(need * float64(time.Second))
}

// smallAverage is below what mean size files are bound by their number.
const smallAverage = 256 << 10
