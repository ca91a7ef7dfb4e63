//go:build unix

package filemeta

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/livil/gopan/internal/auth"
	"github.com/livil/gopan/internal/event"
	"github.com/livil/gopan/internal/httpapi"
	"github.com/livil/gopan/internal/pb/filemetapb"
)

// cpu reports the processor time that an operation took, in all threads: on a busy machine it says more than
// time does, which also waits for the disk.
func cpu(b *testing.B) (stop func()) {
	b.Helper()
	now := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	began := now()
	return func() { b.ReportMetric(float64((now()-began).Nanoseconds())/float64(b.N), "cpu-ns/op") }
}

// commits makes events of new files in /photos/2026, which are told apart by what and their number.
func (f *fixture) commits(what string, n int) []event.Event {
	f.t.Helper()
	first, err := f.newIDs(context.Background(), n)
	if err != nil {
		f.t.Fatal(err)
	}
	events := make([]event.Event, n)
	for i := range events {
		path := fmt.Sprintf("/photos/2026/%s_%06d 照片.jpg", what, i)
		payload, err := proto.Marshal(&filemetapb.Committed{
			Request: &filemetapb.CommitRequest{Target: target(alice, path), Blob: bytesOf(path, 16<<10)},
			FirstId: first + int64(i), Key: path,
		})
		if err != nil {
			f.t.Fatal(err)
		}
		events[i] = event.Event{Payload: payload}
	}
	return events
}

// filled is a fixture whose folder /photos/2026 holds so many files.
func filled(b *testing.B, n int) *fixture {
	b.Helper()
	f := newFixture(b, 0)
	f.mkdir(alice, "/photos/2026")
	for events := f.commits("DSC", n); len(events) > 0; {
		batch := events[:min(1000, len(events))]
		events = events[len(batch):]
		if refused, err := f.Apply(b.Context(), batch); err != nil || refused[0] != nil {
			b.Fatal(err, refused[0])
		}
	}
	return f
}

// BenchmarkApply puts new files into a folder of 100,000, in batches of different lengths, as they come, that have so
// many on average. An operation is one file.
func BenchmarkApply(b *testing.B) {
	f := filled(b, 100_000)
	for i, size := range []int{1, 4, 16, 500} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			events := f.commits(fmt.Sprint("IMG", i, b.N), b.N)
			b.ResetTimer()
			stop := cpu(b)
			for round := 0; len(events) > 0; round++ {
				n := min(size/2+1+round*7919%size, len(events))
				refused, err := f.Apply(context.Background(), events[:n])
				if err != nil || refused[0] != nil {
					b.Fatal(err, refused[0])
				}
				events = events[n:]
			}
			stop()
		})
	}
}

// BenchmarkCommit is the tree's share of a small upload: Prepare and Commit, one after the other.
func BenchmarkCommit(b *testing.B) {
	f := filled(b, 20_000)
	b.ResetTimer()
	defer cpu(b)()
	for i := range b.N {
		t := target(alice, fmt.Sprintf("/photos/2026/IMG_%06d 照片.jpg", i))
		if _, err := f.Prepare(b.Context(), t); err != nil {
			b.Fatal(err)
		}
		if _, err := f.put(t, bytesOf(t.GetPath(), 16<<10)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPrepare is the read before an upload.
func BenchmarkPrepare(b *testing.B) {
	f := newFixture(b, 0)
	f.mkdir(alice, "/photos/2026")
	t := target(alice, "/photos/2026/IMG.jpg")
	b.ResetTimer()
	defer cpu(b)()
	for range b.N {
		if _, err := f.Prepare(b.Context(), t); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkList is the first page of a large folder.
func BenchmarkList(b *testing.B) {
	f := filled(b, 100_000)
	ctx := auth.With(b.Context(), auth.Principal{UserID: int64(alice)})
	req := &ListRequest{Path: "/photos/2026", Limit: 1000, Sort: "name", Order: "asc"}
	b.ResetTimer()
	defer cpu(b)()
	for range b.N {
		pg, err := HTTP{f.Service}.ListFolder(ctx, req)
		if err != nil || len(pg.Items) != 1000 {
			b.Fatal(err)
		}
		if err := httpapi.WriteJSON(httptest.NewRecorder(), http.StatusOK, pg); err != nil {
			b.Fatal(err)
		}
	}
}
