// Command gopan is the drive: its server, the tools to look after it, and a client for the command line.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// version is set by the build.
var version = "dev"

func main() {
	root := &cobra.Command{
		Use:   "gopan",
		Short: say(text{"A cloud drive of your own", "你自己的网盘"}),
		Long: say(text{
			"Gopan is a self-hosted cloud drive. `gopan serve` runs it; the other commands use it or look after it.",
			"Gopan 是自托管网盘。`gopan serve` 启动服务，其余命令用于使用或维护网盘。",
		}),
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddGroup(
		&cobra.Group{ID: "server", Title: say(text{"Server:", "服务端:"})},
		&cobra.Group{ID: "client", Title: say(text{"Client:", "客户端:"})},
	)
	for _, c := range serverCommands() {
		c.GroupID = "server"
		root.AddCommand(c)
	}
	for _, c := range clientCommands() {
		if c.Runnable() {
			c.GroupID = "client"
		}
		root.AddCommand(c)
	}
	if err := root.ExecuteContext(context.Background()); err != nil {
		if msg := err.Error(); msg != "" {
			fmt.Fprintln(os.Stderr, "gopan:", msg)
		}
		os.Exit(exitCode(err))
	}
}
