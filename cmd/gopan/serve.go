package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/livil/gopan/internal/app"
	"github.com/livil/gopan/internal/config"
)

// serverCommands are the commands that run the drive or look after it.
func serverCommands() []*cobra.Command {
	return []*cobra.Command{serveCommand(), fsckCommand(), gcCommand(), storageCommand(), adminCommand()}
}

// serverFlags are the flags that server commands share.
type serverFlags struct{ config, data string }

func (f *serverFlags) add(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	cmd.Flags().StringVar(&f.config, "config", "", say(text{"a file of settings, like etc/gopan.yaml", "设置文件，参见 etc/gopan.yaml"}))
	cmd.Flags().StringVar(&f.data, "data", "", say(text{"the data folder (default gopan-data)", "数据文件夹（默认 gopan-data）"}))
}

// load gives the settings of the file, with the flags over them.
func (f *serverFlags) load() (config.Config, error) {
	c := config.Default()
	if f.config != "" {
		var err error
		if c, err = config.Load(f.config); err != nil {
			return c, usageError(err)
		}
	}
	if f.data != "" {
		c.Data = f.data
	}
	return c, nil
}

func serveCommand() *cobra.Command {
	var f serverFlags
	var listen string
	cmd := &cobra.Command{
		Use:       "serve [" + strings.Join(config.Roles, "|") + " ...]",
		Short:     say(text{"Run the drive: all of it, or some of its roles", "运行网盘：全部或部分角色"}),
		ValidArgs: config.Roles,
		Args:      cobra.OnlyValidArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.load()
			if err != nil {
				return err
			}
			if listen != "" {
				c.Listen = listen
			}
			return serve(cmd.Context(), c, args, f.load)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&listen, "listen", "", say(text{"where to listen (default 127.0.0.1:8080)", "监听地址（默认 127.0.0.1:8080）"}))
	return cmd
}

// heapFloor is bytes of the heap that are never touched and so take no memory, but count when the collector decides
// that the heap has grown by half. Collecting at half instead of double is what bounds the process's memory at one and
// a half of the blocks that are on their way in. But a heap of 3 MiB would be collected for every 2 MiB, which took an
// eighth of the CPU of small uploads; with the floor they take a tenth less than at Go's own pace, for 6 MiB.
const heapFloor = 16 << 20

// serve runs until a signal, or until serving ends by itself. At SIGHUP it loads the settings again.
func serve(ctx context.Context, c config.Config, roles []string, load func() (config.Config, error)) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
		defer runtime.KeepAlive(new([heapFloor]byte))
	}
	p := &app.Process{Config: c, Roles: roles, AdminPassword: os.Getenv("GOPAN_ADMIN_PASSWORD"), Out: os.Stderr}
	if err := os.Unsetenv("GOPAN_ADMIN_PASSWORD"); err != nil { // nothing else needs to see it
		return err
	}
	if err := p.Start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, say(text{
		"Gopan is at %s   (data in %s; Ctrl-C stops it)\n", "Gopan 已启动：%s   （数据位于 %s；按 Ctrl-C 停止）\n",
	}), p.URL(), c.Data)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	var err error
	for running := true; running; {
		select {
		case <-hup:
			reload(p, load)
		case <-ctx.Done():
			running = false
		case err = <-p.Done():
			running = false
		}
	}
	stop() // a second Ctrl-C ends the process at once
	fmt.Fprintln(os.Stderr, say(text{"Stopping…", "正在停止…"}))
	ctx, cancel := context.WithTimeout(context.Background(), app.StopTimeout)
	defer cancel()
	if serr := p.Stop(ctx); err == nil {
		err = serr
	}
	return err
}

// reload takes the settings that change while the drive runs. When they make no sense, it goes on with those it has.
func reload(p *app.Process, load func() (config.Config, error)) {
	c, err := load()
	if err == nil {
		err = p.Reload(c)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, say(text{"The settings stay as they were: %v\n", "设置未更改：%v\n"}), err)
		return
	}
	fmt.Fprintln(os.Stderr, say(text{"The settings were read again.", "已重新读取设置。"}))
}
