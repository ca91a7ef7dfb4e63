package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/livil/gopan/internal/client"
)

// direction is which way a transfer goes.
type direction struct{ done, one, nothing text }

var (
	sent = direction{
		text{"sent %d files, %s, in %s (%s/s)", "已上传 %d 个文件,%s,用时 %s(%s/s)"},
		text{"sent %d file, %s, in %s (%s/s)", "已上传 %d 个文件,%s,用时 %s(%s/s)"},
		text{"nothing to send", "没有需要上传的内容"},
	}
	fetched = direction{
		text{"fetched %d files, %s, in %s (%s/s)", "已下载 %d 个文件,%s,用时 %s(%s/s)"},
		text{"fetched %d file, %s, in %s (%s/s)", "已下载 %d 个文件,%s,用时 %s(%s/s)"},
		text{"nothing to fetch", "没有需要下载的内容"},
	}
)

// display shows a transfer under way. Its methods may be called at once.
type display interface {
	// line prints a line beside what it shows.
	line(l string)
	// start, advance and done follow one file; at is how many of its bytes have moved.
	start(it *client.Item)
	advance(it *client.Item, at int64)
	done(it *client.Item)
	// close takes away what is shown.
	close()
}

// longRead is from what size on a file takes more than a moment to read.
const longRead = 2 << 30

// report follows a transfer: it counts, shows, and prints what went wrong.
type report struct {
	s    *session
	way  direction
	now  func() time.Time
	show display

	mu sync.Mutex
	// planned is set when the totals will not grow any more.
	planned             bool
	allFiles, allBytes  int64
	doneFiles, doneByte int64
	// moving holds the bytes of the files under way that have moved.
	moving map[*client.Item]int64
	rate   meter
	codes  tally
	began  time.Time
}

func newReport(s *session, way direction) *report {
	r := &report{s: s, way: way, now: time.Now, moving: map[*client.Item]int64{}}
	r.began = r.now()
	r.rate.sample(r.began)
	switch f, tty := terminal(s.err); {
	case s.flags.quiet || s.flags.json:
		r.show = plain{w: s.err}
	case tty:
		r.show = newBars(f, r.status)
	default:
		r.show = newLines(s.err, time.NewTicker(linesEvery), r.status)
	}
	return r
}

func (r *report) line(l string) { r.show.line(l) }

// Plan implements client.Progress.
func (r *report) Plan(files, bytes int64) {
	r.mu.Lock()
	r.allFiles += files
	r.allBytes += bytes
	r.mu.Unlock()
}

// Planned implements client.Progress.
func (r *report) Planned() {
	r.mu.Lock()
	r.planned = true
	r.mu.Unlock()
}

// Read implements client.Progress. What takes longer than a moment is said.
func (r *report) Read(it *client.Item) {
	if it.Size >= longRead && !r.s.flags.json && !r.s.flags.quiet {
		r.line(say(text{"reading %s (%s), to send only what the drive lacks", "正在读取 %s(%s),以便只发送网盘缺少的部分"}, printable(it.Local), bytesText(it.Size)))
	}
}

// Start implements client.Progress.
func (r *report) Start(it *client.Item) {
	r.mu.Lock()
	r.moving[it] = 0
	r.mu.Unlock()
	r.show.start(it)
}

// Advance implements client.Progress.
func (r *report) Advance(it *client.Item, n int64) {
	r.mu.Lock()
	r.moving[it] += n
	at := r.moving[it]
	r.doneByte += n
	r.rate.bytes += n
	r.mu.Unlock()
	r.show.advance(it, at)
}

// Kept implements client.Progress: such bytes are done, and say nothing of how fast others go.
func (r *report) Kept(it *client.Item, n int64) {
	r.mu.Lock()
	r.moving[it] += n
	at := r.moving[it]
	r.doneByte += n
	r.mu.Unlock()
	r.show.advance(it, at)
}

// Done implements client.Progress.
func (r *report) Done(it *client.Item, o client.Outcome, err error) {
	r.mu.Lock()
	if _, ok := r.moving[it]; ok {
		// Attempts that overlapped may have counted a little wrong.
		r.doneByte -= r.moving[it]
		delete(r.moving, it)
	}
	if !it.Folder && o != client.Skipped {
		r.doneFiles++
		r.doneByte += it.Size
	}
	if o == client.Moved && !it.Folder {
		r.rate.files++
	}
	if o == client.Failed {
		r.codes.add(err)
	} else {
		r.codes.add(nil)
	}
	r.mu.Unlock()
	r.show.done(it)
	r.tell(it, o, err)
}

// tell prints what a user must know of an item: on stdout for programs, on stderr for people.
func (r *report) tell(it *client.Item, o client.Outcome, err error) {
	where := it.Local
	if r.way == fetched {
		where = it.Remote
	}
	switch {
	case o == client.Failed:
		r.line("gopan: " + printable(where) + ": " + explain(err))
	case o == client.Skipped && !r.s.flags.quiet:
		r.line("gopan: " + printable(where) + ": " + explain(err))
	}
	if !r.s.flags.json {
		return
	}
	e := map[string]any{"event": o.String(), "local": it.Local, "remote": it.Remote, "kind": "file", "size": it.Size}
	if it.Folder {
		e["kind"] = "folder"
		delete(e, "size")
	}
	if it.Digest != "" {
		e["digest"] = it.Digest
	}
	if it.Kept > 0 {
		e["kept"] = it.Kept
	}
	if err != nil {
		e["error"] = explain(err)
		e["exit"] = exitCode(err)
	}
	r.printJSON(e)
}

func (r *report) printJSON(v any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// A reader that went away is no reason to stop the transfer.
	_ = r.s.print(v)
}

func (r *report) results() tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.codes
}

// status is the one line that sums up a transfer under way.
func (r *report) status() status {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rate.sample(r.now())
	st := status{files: r.doneFiles, allFiles: r.allFiles, bytes: r.doneByte, allBytes: r.allBytes}
	st.rate, st.left = r.rate.estimate(r.allFiles-r.doneFiles, r.allBytes-r.doneByte)
	if !r.planned {
		st.left = 0
	}
	return st
}

// finish takes the display away and prints the summary; whole tells whether the transfer came to its end.
func (r *report) finish(sum client.Summary, whole bool) {
	r.show.close()
	r.show = plain{w: r.s.err}
	took := r.now().Sub(r.began)
	if r.s.flags.json {
		r.printJSON(map[string]any{
			"event": "summary", "files": sum.Files, "bytes": sum.Bytes, "kept": sum.Kept, "folders": sum.Folders,
			"unchanged": sum.Unchanged, "skipped": sum.Skipped, "failed": sum.Failed, "seconds": took.Seconds(),
		})
		return
	}
	if !r.s.flags.quiet {
		r.line(r.way.sum(sum, took, whole))
	}
}

// sum is the line after a transfer.
func (d direction) sum(s client.Summary, took time.Duration, whole bool) string {
	t := d.done
	if s.Files == 1 {
		t = d.one
	}
	l := say(t, s.Files, bytesText(s.Bytes), timeText(took), bytesText(perSecond(s.Bytes, took)))
	if s.Files == 0 && s.Failed == 0 && whole {
		l = say(d.nothing)
	}
	if s.Kept > 0 {
		l += say(text{"; %s were there already", ";另有 %s 已经存在"}, bytesText(s.Kept))
	}
	for _, part := range []struct {
		n int64
		t text
	}{
		{s.Folders, text{"; %d folders made", ";新建 %d 个文件夹"}},
		{s.Unchanged, text{"; %d unchanged", ";%d 个未改变"}},
		{s.Skipped, text{"; %d skipped", ";跳过 %d 个"}},
		{s.Failed, text{"; %d failed", ";%d 个失败"}},
	} {
		if part.n > 0 {
			l += say(part.t, part.n)
		}
	}
	return l
}

func perSecond(n int64, d time.Duration) int64 {
	if d < time.Millisecond {
		d = time.Millisecond
	}
	return int64(float64(n) / d.Seconds())
}

// bytesText is a size for people, in binary units.
func bytesText(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, u := float64(n)/1024, 0
	for f >= 1023.95 && u < len(units)-1 {
		f /= 1024
		u++
	}
	return fmt.Sprintf("%.1f %ciB", f, units[u])
}

// timeText is a duration for people.
func timeText(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}
