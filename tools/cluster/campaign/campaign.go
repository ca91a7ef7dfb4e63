// Package campaign breaks a running cluster, one thing after the other, while clients write and read through its gateway,
// and holds everything that they are told against what they did.
package campaign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/livil/gopan/internal/drivetest"
	"github.com/livil/gopan/tools/cluster/servers"
)

// Options of a campaign.
type Options struct {
	// Seed of everything that is chosen by chance. What the machine does between is not, so the same seed is the same plan
	// and not the same run.
	Seed     uint64
	Duration time.Duration
	Clients  int
	// KafkaOutage is how long all of Kafka is gone before the other faults begin; 0: not at all.
	KafkaOutage time.Duration
	// Only are the faults to choose from, by the beginnings of their names; none means all.
	Only []string
}

// Run breaks things for a while, then mends everything, reads everything back and has the drive check itself. It fails
// if anything that was acknowledged is lost, or any answer was wrong.
func Run(ctx context.Context, c *servers.Cluster, o Options, w io.Writer) error {
	gateway, password := c.Env("traefik")["GOPAN_TEST_GATEWAY"], c.Env("gopan")["GOPAN_TEST_ADMIN_PASSWORD"]
	fmt.Fprintf(w, "seed %d, %d clients, %v, through %s\n", o.Seed, o.Clients, o.Duration, gateway)
	crowd := drivetest.New(drivetest.Options{URL: gateway, Password: password, Seed: o.Seed, Clients: o.Clients, Large: true})
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() { crowd.Work(working); close(ended) }()
	crowd.Pulse.Settle(ctx)
	var broken error
	if o.KafkaOutage > 0 {
		broken = outage(ctx, c, o.KafkaOutage, crowd.Pulse, w)
	}
	if broken == nil {
		broken = breakThings(ctx, c, o, crowd.Pulse, w)
	}
	stop()
	if err := c.Up(ctx, io.Discard); err != nil {
		return fmt.Errorf("mending what was broken: %w", errors.Join(broken, err))
	}
	<-ended
	report := crowd.Finish(ctx)
	fmt.Fprintln(w, report)
	return errors.Join(broken, report.Err(), fsck(ctx, c, w))
}

// fsck has the drive check itself.
func fsck(ctx context.Context, c *servers.Cluster, w io.Writer) error {
	report, err := c.Fsck(ctx)
	var found struct {
		Problems []struct{ Code, Detail string }
		Blobs    int64
	}
	if jerr := json.Unmarshal(report, &found); jerr != nil {
		return fmt.Errorf("fsck: %w", errors.Join(err, jerr))
	}
	fmt.Fprintf(w, "fsck read %d blobs and found %d problems\n", found.Blobs, len(found.Problems))
	for _, f := range found.Problems {
		fmt.Fprintf(w, "  %s: %s\n", f.Code, f.Detail)
	}
	if len(found.Problems) > 0 {
		err = errors.Join(err, errors.New("fsck found problems"))
	}
	return err
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
