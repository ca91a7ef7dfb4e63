// Command cluster starts and stops, on one machine and without containers, everything that a cluster of the drive runs on,
// and the drive itself: cluster up|down|status|env [COMPONENT...], and
// cluster campaign, which breaks it on purpose.
//
// Each component is a real server of several nodes, installed once into a folder outside of the sources. Data, logs and
// process ids are in one folder, .cluster, which can be deleted when all is down. What is up stays up when the
// command ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/livil/gopan/tools/cluster/campaign"
	"github.com/livil/gopan/tools/cluster/servers"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	root := flags.String("root", ".", "folder of the sources")
	dir := flags.String("dir", "", "folder of data and logs; .cluster in the sources if empty")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: cluster [-root DIR] [-dir DIR] up|down|status|env [COMPONENT...] | campaign [-seed N] [-duration D] [-clients N] [-kafka-outage D] [-only FAULT,...]\n\ncomponents, in the order of their start: %s\n\n",
			strings.Join(servers.Names(), ", "))
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.Arg(0) == "campaign" {
		return runCampaign(*root, *dir, flags.Args()[1:])
	}
	verb, chosen := flags.Arg(0), flags.Args()
	if len(chosen) > 0 {
		chosen = chosen[1:]
	}
	for _, name := range chosen {
		if !slices.Contains(servers.Names(), name) {
			return fmt.Errorf("there is no component %q; there are %s", name, strings.Join(servers.Names(), ", "))
		}
	}
	c, err := servers.Open(*root, *dir)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch verb {
	case "up":
		return c.Up(ctx, os.Stdout, chosen...)
	case "down":
		return c.Down(chosen)
	case "status":
		return c.Status(os.Stdout)
	case "env":
		return c.PrintEnv(os.Stdout)
	}
	flags.Usage()
	return fmt.Errorf("%q is not up, down, status, env or campaign", verb)
}

func runCampaign(root, dir string, args []string) error {
	var o campaign.Options
	flags := flag.NewFlagSet("cluster campaign", flag.ContinueOnError)
	flags.Uint64Var(&o.Seed, "seed", 1, "of everything that is chosen by chance")
	flags.DurationVar(&o.Duration, "duration", 2*time.Minute, "how long to break things")
	flags.DurationVar(&o.KafkaOutage, "kafka-outage", 0, "how long all of Kafka is gone before other things break")
	only := flags.String("only", "", "faults to choose from, by the beginnings of their names, separated by commas: cut off mysql,part")
	flags.IntVar(&o.Clients, "clients", 8, "how many write and read meanwhile")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *only != "" {
		o.Only = strings.Split(*only, ",")
	}
	c, err := servers.Open(root, dir)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return campaign.Run(ctx, c, o, os.Stdout)
}
