package main

import (
	"fmt"
	"io"
	"os"
	"path"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/livil/gopan/internal/client"
)

const (
	// linesEvery is how often a transfer without a terminal says how far it is.
	linesEvery = 3 * time.Second
	// barFrom is from what size on a file gets a bar of its own, and maxBars how many may have one.
	barFrom = 16 << 20
	maxBars = 3
)

// status is how far a transfer is.
type status struct {
	files, allFiles int64
	bytes, allBytes int64
	// rate in bytes a second; left is 0 when it is not known.
	rate int64
	left time.Duration
}

// counts, speed and remaining are the parts of its line.
func (st status) counts() string {
	return say(text{"%d/%d files  %s/%s", "%d/%d 个文件  %s/%s"}, st.files, st.allFiles, bytesText(st.bytes), bytesText(st.allBytes))
}

func (st status) speed() string {
	if st.rate <= 0 {
		return ""
	}
	return "  " + bytesText(st.rate) + "/s"
}

func (st status) remaining() string {
	if st.left <= 0 {
		return ""
	}
	return "  " + say(text{"%s left", "剩余 %s"}, timeText(st.left.Round(time.Second)))
}

// plain shows nothing but lines.
type plain struct{ w io.Writer }

func (p plain) line(l string)             { fmt.Fprintln(p.w, l) }
func (plain) start(*client.Item)          {}
func (plain) advance(*client.Item, int64) {}
func (plain) done(*client.Item)           {}
func (plain) close()                      {}

// lines says every few seconds how far it is.
type lines struct {
	mu   sync.Mutex
	w    io.Writer
	stop chan struct{}
	over sync.WaitGroup
}

// newLines prints a status at each tick, unless it is the same as the last.
func newLines(w io.Writer, t *time.Ticker, get func() status) *lines {
	l := &lines{w: w, stop: make(chan struct{})}
	l.over.Go(func() {
		defer t.Stop()
		l.follow(t.C, get)
	})
	return l
}

func (l *lines) follow(tick <-chan time.Time, get func() status) {
	last := ""
	for {
		select {
		case <-tick:
			st := get()
			if now := st.counts(); now != last {
				last = now
				l.line(now + st.speed() + st.remaining())
			}
		case <-l.stop:
			return
		}
	}
}

func (l *lines) line(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.w, s)
}

func (*lines) start(*client.Item)          {}
func (*lines) advance(*client.Item, int64) {}
func (*lines) done(*client.Item)           {}

func (l *lines) close() {
	close(l.stop)
	l.over.Wait()
}

var barStyle = mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]")

// bars shows the whole on a terminal, and a few of the large files under way.
type bars struct {
	all   *mpb.Progress
	total *mpb.Bar

	mu    sync.Mutex
	files map[*client.Item]*mpb.Bar
}

func newBars(f *os.File, get func() status) *bars {
	b := &bars{
		all:   mpb.New(mpb.WithOutput(f), mpb.WithRefreshRate(150*time.Millisecond)),
		files: map[*client.Item]*mpb.Bar{},
	}
	var now status
	b.total = b.all.New(0, barStyle,
		mpb.BarPriority(maxBars+1),
		mpb.BarFillerTrim(),
		mpb.BarWidth(24),
		// The first decorator to be drawn takes the numbers for all of them.
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string {
			now = get()
			return now.counts() + " "
		})),
		mpb.AppendDecorators(
			decor.Any(func(decor.Statistics) string { return now.speed() + now.remaining() }),
		),
		mpb.BarFillerMiddleware(func(next mpb.BarFiller) mpb.BarFiller {
			return mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
				s.Current, s.Total = now.bytes, now.allBytes
				if s.Total == 0 {
					s.Current, s.Total = now.files, now.allFiles
				}
				s.Current = max(0, min(s.Current, s.Total))
				return next.Fill(w, s)
			})
		}),
	)
	return b
}

func (b *bars) line(l string) {
	if _, err := b.all.Write([]byte(l + "\n")); err != nil {
		fmt.Fprintln(os.Stderr, l)
	}
}

func (b *bars) start(it *client.Item) {
	if it.Size < barFrom {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.files) >= maxBars {
		return
	}
	name := shorten(printable(path.Base(it.Remote)), 28)
	bar, err := b.all.Add(it.Size, barStyle.Build(),
		mpb.BarRemoveOnComplete(), mpb.BarFillerTrim(), mpb.BarWidth(24),
		mpb.PrependDecorators(decor.Name(name+" ", decor.WC{W: 30, C: decor.DindentRight})),
		mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string {
			return " " + bytesText(s.Current) + "/" + bytesText(s.Total)
		})),
	)
	if err == nil {
		b.files[it] = bar
	}
}

func (b *bars) advance(it *client.Item, at int64) {
	if bar := b.of(it, false); bar != nil {
		// The last byte ends a bar; done does that.
		bar.SetCurrent(max(0, min(at, it.Size-1)))
	}
}

func (b *bars) done(it *client.Item) {
	if bar := b.of(it, true); bar != nil {
		bar.Abort(true)
	}
}

func (b *bars) of(it *client.Item, forget bool) *mpb.Bar {
	if it.Size < barFrom {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	bar := b.files[it]
	if forget {
		delete(b.files, it)
	}
	return bar
}

func (b *bars) close() {
	b.mu.Lock()
	for _, bar := range b.files {
		bar.Abort(true)
	}
	b.mu.Unlock()
	b.total.Abort(true)
	b.all.Wait()
}

// shorten cuts a name in the middle to at most n characters.
func shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	half := (n - 1) / 2
	return string(r[:half]) + "…" + string(r[len(r)-(n-1-half):])
}
