// Command cluster starts and stops, on one machine and without containers, everything that a cluster of the drive runs on,
// and the drive itself: cluster up|down|status|env [COMPONENT...].
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
		fmt.Fprintf(flags.Output(), "usage: cluster [-root DIR] [-dir DIR] up|down|status|env [COMPONENT...]\n\ncomponents, in the order of their start: %s\n\n",
			strings.Join(servers.Names(), ", "))
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
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
		return c.Up(ctx, chosen)
	case "down":
		return c.Down(chosen)
	case "status":
		return c.Status(os.Stdout)
	case "env":
		return c.PrintEnv(os.Stdout)
	}
	flags.Usage()
	return fmt.Errorf("%q is not up, down, status or env", verb)
}
