package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/livil/gopan/internal/drivetest"
	"github.com/livil/gopan/tools/cluster/servers"
)

// way is how something is broken.
type way string

const (
	kill way = "kill -9"
	// pause stops a process where it is: a machine that hangs.
	pause way = "pause"
	// cut takes every packet from a node, and to it: a machine without a network.
	cut way = "cut off"
	// part takes those between a node and the others of its kind; clients reach it as before.
	part way = "part"
	// roll stops each node as an operator would, and starts it again before the next.
	roll way = "restart"
)

// fault is one way to break something.
type fault struct {
	way       way
	component string
	// all nodes at once.
	all bool
	// least is the shortest time for which it lasts, if not 2 seconds: what has to take over must have the time to notice.
	least time.Duration
}

func (f fault) String() string {
	if f.all {
		return fmt.Sprintf("%s all %s", f.way, f.component)
	}
	return fmt.Sprintf("%s %s", f.way, f.component)
}

// Of MySQL it is always the primary. It is expelled from the group 5 seconds after it was last heard of, and gives up by itself 8 seconds
// after it lost the majority.
var faults = []fault{
	{way: kill, component: "gopan"}, {way: pause, component: "gopan"}, {way: cut, component: "gopan"},
	{way: kill, component: "gopan", all: true}, {way: roll, component: "gopan", all: true},
	{way: kill, component: "mysql"}, {way: kill, component: "mysql", all: true},
	{way: cut, component: "mysql", least: 12 * time.Second}, {way: part, component: "mysql", least: 12 * time.Second},
	{way: kill, component: "redis"}, {way: pause, component: "redis"}, {way: kill, component: "redis", all: true},
	{way: cut, component: "redis", least: 4 * time.Second}, {way: part, component: "redis", least: 4 * time.Second},
	{way: kill, component: "kafka"}, {way: pause, component: "kafka"}, {way: kill, component: "kafka", all: true},
	{way: cut, component: "kafka", least: 6 * time.Second}, {way: part, component: "kafka", least: 6 * time.Second},
	{way: kill, component: "minio"}, {way: pause, component: "minio"}, {way: kill, component: "minio", all: true}, {way: cut, component: "minio"},
	{way: kill, component: "etcd"}, {way: kill, component: "etcd", all: true}, {way: cut, component: "etcd"}, {way: part, component: "etcd"},
	{way: kill, component: "router"}, {way: kill, component: "traefik"},
}

// chosen are the faults to choose from. Where nodes cannot be cut off, it says so, and leaves that out.
func chosen(o Options, w io.Writer) ([]fault, error) {
	cannot := servers.CanCut()
	if cannot != nil {
		fmt.Fprintf(w, "no node is cut off from the network: %v\n", cannot)
	}
	var all []fault
	for _, f := range faults {
		if cannot != nil && (f.way == cut || f.way == part) {
			continue
		}
		if len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(name string) bool { return strings.HasPrefix(f.String(), name) }) {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no fault begins with %q; there are %v", o.Only, faults)
	}
	return all, nil
}

// breakThings does one fault after the other, and waits after each until clients succeed again.
func breakThings(ctx context.Context, c *servers.Cluster, o Options, p *drivetest.Pulse, w io.Writer) error {
	all, err := chosen(o, w)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	end := time.Now().Add(o.Duration)
	var plan []fault
	n := 0
	for ; time.Now().Before(end) && ctx.Err() == nil; n++ {
		if len(plan) == 0 {
			for _, i := range rng.Perm(len(all)) {
				plan = append(plan, all[i])
			}
		}
		f := plan[0]
		plan = plan[1:]
		nodes, err := victims(ctx, c, f, rng)
		if err != nil {
			return err
		}
		p.Begin()
		name := nodes[0].Name
		if f.all {
			name = ""
		}
		if f.way == roll {
			err = restart(ctx, c, nodes)
		} else {
			err = breakAndMend(ctx, c, f, nodes, max(f.least, 2*time.Second)+time.Duration(rng.Int64N(int64(3*time.Second))))
		}
		if err != nil {
			return fmt.Errorf("%v %s: %w", f, name, err)
		}
		p.Settle(ctx)
		fmt.Fprintf(w, "%s  %-18s %-12s no success for %4.1f s\n", time.Now().Format("15:04:05"), f, name, p.Longest().Seconds())
		rest(ctx, time.Second)
	}
	fmt.Fprintf(w, "%d faults\n", n)
	return nil
}

// breakAndMend breaks nodes for a while.
func breakAndMend(ctx context.Context, c *servers.Cluster, f fault, nodes []*servers.Node, d time.Duration) error {
	for _, n := range nodes {
		var err error
		switch f.way {
		case kill:
			err = n.Kill()
		case pause:
			err = n.Pause()
		case cut:
			err = n.Cut()
		case part:
			err = n.Cut(c.PeerPorts(f.component)...)
		default:
			err = errors.New("nobody knows how")
		}
		if err != nil {
			return err
		}
	}
	rest(ctx, d)
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

// victims are the nodes to be broken: of MySQL the one that takes writes, of Redis and etcd in two of three cases one that leads.
func victims(ctx context.Context, c *servers.Cluster, f fault, rng *rand.Rand) ([]*servers.Node, error) {
	nodes, err := c.Nodes(f.component)
	if err != nil || len(nodes) == 0 {
		return nil, errors.Join(fmt.Errorf("nothing of %s was started", f.component), err)
	}
	if f.all {
		return nodes, nil
	}
	if dice := rng.IntN(3); dice > 0 || f.component == "mysql" {
		leaders, err := c.Leaders(ctx, f.component)
		if err != nil {
			return nil, err
		}
		if len(leaders) > 0 {
			nodes = leaders
		}
	}
	return []*servers.Node{nodes[rng.IntN(len(nodes))]}, nil
}
