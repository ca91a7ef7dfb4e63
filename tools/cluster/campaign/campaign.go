// Package campaign breaks a running cluster, one thing after the other, while clients write and read through its gateway,
// and holds everything that they are told against what they did.
package campaign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/livil/gopan/tools/cluster/servers"
)

// Options of a campaign.
type Options struct {
	// Seed of everything that is chosen by chance. What the machine does between is not, so the same seed is the same plan
	// and not the same run.
	Seed     uint64
	Duration time.Duration
	Clients  int
}

// fault is one way to break something.
type fault struct {
	component string
	pause     bool
	// all nodes at once.
	all bool
	// rolling stops each node as an operator would, and starts it again before the next.
	rolling bool
}

func (f fault) String() string {
	switch {
	case f.pause:
		return "pause " + f.component
	case f.rolling:
		return "restart " + f.component
	}
	return "kill -9 " + f.component
}

var faults = []fault{
	{component: "gopan"}, {component: "gopan", pause: true}, {component: "mysql"}, {component: "redis"}, {component: "kafka"},
	{component: "minio"}, {component: "etcd"}, {component: "kafka", pause: true}, {component: "redis", pause: true}, {component: "minio", pause: true},
	{component: "gopan", rolling: true}, {component: "kafka", all: true}, {component: "redis", all: true}, {component: "etcd", all: true},
}

// Run breaks things for a while, then mends everything, reads everything back and has the drive check itself. It fails
// if anything that was acknowledged is lost, or any answer was wrong.
func Run(ctx context.Context, c *servers.Cluster, o Options, w io.Writer) error {
	gateway, password := c.Env("traefik")["GOPAN_TEST_GATEWAY"], c.Env("gopan")["GOPAN_TEST_ADMIN_PASSWORD"]
	fmt.Fprintf(w, "seed %d, %d clients, %v, through %s\n", o.Seed, o.Clients, o.Duration, gateway)
	p := &pulse{last: time.Now()}
	working, stop := context.WithCancel(ctx)
	defer stop()
	var clients []*client
	var all sync.WaitGroup
	for i := range o.Clients {
		cl := newClient(gateway, password, o.Seed, i, p)
		clients = append(clients, cl)
		all.Go(func() { cl.work(working) })
	}
	broken := breakThings(ctx, c, o, p, w)
	stop()
	all.Wait()
	if broken == nil {
		broken = c.Up(ctx, io.Discard)
	}
	if broken != nil {
		return fmt.Errorf("mending what was broken: %w", broken)
	}
	var t tally
	for _, cl := range clients {
		cl.readBack(ctx)
		t.add(cl.tally)
	}
	for _, problem := range t.problems {
		fmt.Fprintln(w, problem)
	}
	fmt.Fprintf(w, "acknowledged %d (%d of them writes), refused %d, unknown %d; lost %d, wrong %d; the slowest success took %.1f s\n",
		t.acknowledged, t.writes, t.refused, t.unknown, t.lost, t.wrong, t.slowest.Seconds())
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
	if t.lost+t.wrong > 0 || len(found.Problems) > 0 || err != nil {
		return errors.Join(errors.New("the cluster broke a promise"), err)
	}
	return nil
}

// breakThings does one fault after the other, and waits after each until clients succeed again.
func breakThings(ctx context.Context, c *servers.Cluster, o Options, p *pulse, w io.Writer) error {
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	end := time.Now().Add(o.Duration)
	plan := []fault{}
	for time.Now().Before(end) && ctx.Err() == nil {
		if len(plan) == 0 {
			for _, i := range rng.Perm(len(faults)) {
				plan = append(plan, faults[i])
			}
		}
		f := plan[0]
		plan = plan[1:]
		nodes, err := victims(ctx, c, f, rng)
		if err != nil {
			return err
		}
		p.begin()
		name := nodes[0].Name
		if len(nodes) > 1 {
			name = "all"
		}
		if f.rolling {
			err = restart(ctx, c, nodes)
		} else {
			err = breakAndMend(ctx, c, f, nodes, 2*time.Second+time.Duration(rng.Int64N(int64(3*time.Second))))
		}
		if err != nil {
			return err
		}
		p.settle(ctx)
		fmt.Fprintf(w, "%-16s %-12s no success for %4.1f s\n", f, name, p.longest().Seconds())
		rest(ctx, time.Second)
	}
	return nil
}

// breakAndMend breaks nodes for a while.
func breakAndMend(ctx context.Context, c *servers.Cluster, f fault, nodes []*servers.Node, d time.Duration) error {
	for _, n := range nodes {
		broken := n.Kill
		if f.pause {
			broken = n.Pause
		}
		if err := broken(); err != nil {
			return err
		}
	}
	rest(ctx, d)
	if f.pause {
		return nodes[0].Resume()
	}
	return c.Up(ctx, io.Discard, f.component)
}

// restart is a rolling restart.
func restart(ctx context.Context, c *servers.Cluster, nodes []*servers.Node) error {
	for _, n := range nodes {
		if err := n.Stop(); err != nil {
			return err
		}
		if err := c.Up(ctx, io.Discard, n.Component); err != nil {
			return err
		}
	}
	return nil
}

// victims are the nodes to be broken: of MySQL the one that takes writes.
func victims(ctx context.Context, c *servers.Cluster, f fault, rng *rand.Rand) ([]*servers.Node, error) {
	if f.component == "mysql" {
		n, err := c.Primary(ctx)
		return []*servers.Node{n}, err
	}
	nodes, err := c.Nodes(f.component)
	if err != nil || len(nodes) == 0 {
		return nil, errors.Join(fmt.Errorf("nothing of %s was started", f.component), err)
	}
	if f.all || f.rolling {
		return nodes, nil
	}
	return []*servers.Node{nodes[rng.IntN(len(nodes))]}, nil
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// pulse is when any client last succeeded.
type pulse struct {
	mu   sync.Mutex
	last time.Time
	gap  time.Duration
	n    int64
}

// beat notes a success.
func (p *pulse) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.gap = max(p.gap, now.Sub(p.last))
	p.last = now
	p.n++
}

// begin starts to look for the longest gap.
func (p *pulse) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gap = 0
}

func (p *pulse) longest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gap
}

// settle waits until clients have succeeded some times more.
func (p *pulse) settle(ctx context.Context) {
	count := func() int64 {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.n
	}
	for want, end := count()+20, time.Now().Add(time.Minute); count() < want && time.Now().Before(end) && ctx.Err() == nil; {
		rest(ctx, 20*time.Millisecond)
	}
}
