package campaign

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/livil/gopan/internal/drivetest"
	"github.com/livil/gopan/tools/cluster/servers"
)

// caughtUpPatience is how long the log may take to be used again after an outage.
const caughtUpPatience = 2 * time.Minute

// outage takes all of Kafka away for a while and watches that nobody waits for it and nothing piles up, and that
// commits go by the log again afterwards.
func outage(ctx context.Context, c *servers.Cluster, d time.Duration, p *drivetest.Pulse, w io.Writer) error {
	before, err := commits(ctx, c)
	if err != nil {
		return err
	}
	nodes, err := c.Nodes("kafka")
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if err := n.Kill(); err != nil {
			return err
		}
	}
	began, succeeded, most := time.Now(), p.Count(), before
	p.Begin()
	var last state
	for every := max(time.Second, d/60); time.Since(began) < d && ctx.Err() == nil; {
		rest(ctx, every)
		if last, err = commits(ctx, c); err != nil {
			return err
		}
		most.memory = max(most.memory, last.memory)
	}
	lasted := time.Since(began)
	fmt.Fprintf(w, "Kafka gone for %v: %d requests succeeded, %.0f commits applied directly, no success for %.1f s at most; memory of the drive's processes %.0f MiB before, %.0f at most, %.0f at the end\n",
		lasted.Round(time.Second), p.Count()-succeeded, last.direct-before.direct, p.Longest().Seconds(), mib(before.memory), mib(most.memory), mib(last.memory))
	began = time.Now()
	if err := c.Up(ctx, io.Discard, "kafka"); err != nil {
		return err
	}
	up := time.Since(began)
	from, err := commits(ctx, c)
	if err != nil {
		return err
	}
	for now := from; ; {
		if now.down == 0 && now.lag == 0 && now.answered > from.answered {
			fmt.Fprintf(w, "Kafka up after %.1f s, and %.1f s later used by all, with nothing behind\n", up.Seconds(), time.Since(began).Seconds()-up.Seconds())
			return nil
		}
		if time.Since(began) > up+caughtUpPatience || ctx.Err() != nil {
			return fmt.Errorf("commits do not go by the log again: %+v", now)
		}
		rest(ctx, 200*time.Millisecond)
		if now, err = commits(ctx, c); err != nil {
			return err
		}
	}
}

func mib(bytes float64) float64 { return bytes / (1 << 20) }

// state of the commit log, over all processes of the drive.
type state struct {
	// answered commits came through the log, direct ones did not.
	answered, direct float64
	// lag in records; down counts the processes for which the log does not answer.
	lag, down float64
	// memory that all processes together have of the machine, in bytes.
	memory float64
}

// commits adds up the metrics of all processes.
func commits(ctx context.Context, c *servers.Cluster) (state, error) {
	var s state
	all, err := c.Metrics(ctx)
	for _, text := range all {
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), " ")
			name, _, _ = strings.Cut(name, "{")
			// A series with spaces in its labels is none of these.
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				continue
			}
			switch name {
			case "gopan_commits_answered_total":
				s.answered += n
			case "gopan_commits_direct_total":
				s.direct += n
			case "gopan_commits_lag_records":
				s.lag += n
			case "gopan_commits_log_down":
				s.down += n
			case "process_resident_memory_bytes":
				s.memory += n
			}
		}
	}
	return s, err
}
