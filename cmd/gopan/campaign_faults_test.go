//go:build faults

package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/livil/gopan/internal/drivetest"
	"github.com/livil/gopan/internal/faultpoint"
)

// fatal are the moments at which the server of the campaign dies, beside any other; it dies at one of the first five times that
// it comes there.
var fatal = []string{
	"upload.create.reserved", "upload.create.kept", "upload.block.written", "upload.block.noted", "upload.complete.checked",
	"upload.complete.stored", "upload.complete.committed", "upload.complete.noted",
}

// D1, D4, D8, D10, C6, F05, F08: the server dies by kill -9, again and again, at any moment and at those that are named, while
// clients write and read. Nothing that was acknowledged is lost, every answer can be explained, and fsck finds nothing.
func TestCampaignKilled(t *testing.T) {
	duration, seed := 40*time.Second, uint64(1)
	if s := os.Getenv("CAMPAIGN"); s != "" {
		var err error
		if duration, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	if s := os.Getenv("SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	args := []string{"--data", dir, "--listen", freeAddress(t)}
	server := startServer(t, args...)
	crowd := drivetest.New(drivetest.Options{URL: server.url, Password: testPassword, Seed: seed, Clients: 8, Large: true})
	working, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan struct{})
	go func() { crowd.Work(working); close(ended) }()

	rng := rand.New(rand.NewPCG(seed, 0))
	deaths, named, longest := 0, map[string]int{}, time.Duration(0)
	for began := time.Now(); time.Since(began) < duration; deaths++ {
		point := ""
		crowd.Pulse.Settle(t.Context())
		if rng.IntN(2) == 0 { // killed, and started again with a point at which it kills itself
			point = fatal[rng.IntN(len(fatal))]
			server.kill(t)
			deaths++
			t.Setenv(faultpoint.Variable, point+":"+strconv.Itoa(1+rng.IntN(5)))
		}
		crowd.Pulse.Begin()
		if point != "" {
			server = startServer(t, args...)
			t.Setenv(faultpoint.Variable, "")
		}
		died := make(chan error, 1)
		go func() { died <- server.cmd.Wait() }()
		patience := time.Duration(rng.Int64N(int64(1500 * time.Millisecond)))
		if point != "" {
			patience = 10 * time.Second
		}
		select {
		case err := <-died:
			if point == "" || err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("the server ended by itself: %v\n%s", err, tail(server.log.String(), 4000))
			}
			named[point]++
		case <-time.After(patience):
			if err := server.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-died
		}
		server = startServer(t, args...)
		crowd.Pulse.Settle(t.Context())
		longest = max(longest, crowd.Pulse.Longest())
	}
	stop()
	<-ended
	report := crowd.Finish(t.Context())
	t.Logf("seed %d: killed %d times, of these at %v; no success for %.1f s at most\n%v", seed, deaths, named, longest.Seconds(), report)
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	if report.Unknown > 0 || report.Undecided > 0 {
		t.Error("requests without an answer, or histories without a judgement")
	}
	if len(named) < 2 || deaths < 5 {
		t.Error("that was no campaign")
	}
	server.stop(t)
	var found struct {
		Blobs    int64
		Problems []any
	}
	if err := json.Unmarshal(run(t, gopan(t.Context(), nil, "fsck", "--read-data", "--json", "--data", dir)), &found); err != nil {
		t.Fatal(err)
	}
	t.Logf("fsck read %d blobs", found.Blobs)
	if len(found.Problems) > 0 || found.Blobs == 0 {
		t.Errorf("fsck: %+v", found)
	}
}
