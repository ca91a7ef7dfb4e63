package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/livil/gopan/internal/app"
	"github.com/livil/gopan/internal/errs"
)

func adminCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "admin",
		Short: say(text{"Look after an installation: its accounts, its settings, its commit log", "管理整个部署：账号、设置、提交日志"}),
	}
	cmd.AddCommand(
		userCommand(), groupCommand(), registrationCommand(), methodsCommand(), usageCommand(), eventsCommand(), configCommand(), topicsCommand(), deadLettersCommand(),
	)
	return cmd
}

func configCommand() *cobra.Command {
	var f serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: say(text{"Show the settings that change while the drive runs, and change them", "查看与修改可在运行中更改的设置"}),
		Long: say(text{
			"Shows every setting that changes while the drive runs, its value, and where that comes from: etcd, or the file of settings\n" +
				"and the defaults. What etcd has goes for all processes at once.",
			"列出可在运行中更改的每项设置、其值及来源：etcd，或设置文件与默认值。etcd 中的值同时对所有进程生效。",
		}),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.settings(cmd.Context(), func(ctx context.Context, s *app.Settings) error {
				all, err := s.All(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return writeReport(cmd.OutOrStdout(), all)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				for _, one := range all {
					fmt.Fprintf(w, "%s\t%s\t%s\n", one.Key, one.Value, one.From)
				}
				return w.Flush()
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, say(text{"report as JSON", "以 JSON 输出报告"}))
	cmd.AddCommand(
		settingCommand("set KEY VALUE", 2, text{
			"Change a setting in all processes; VALUE is YAML, and what makes no sense is refused",
			"在所有进程中修改一项设置；VALUE 为 YAML，不合法的值会被拒绝",
		}, func(ctx context.Context, s *app.Settings, args []string) error { return s.Set(ctx, args[0], args[1]) }),
		settingCommand("unset KEY", 1, text{"Give a setting back to the file", "恢复为设置文件中的值"},
			func(ctx context.Context, s *app.Settings, args []string) error { return s.Unset(ctx, args[0]) }),
	)
	return cmd
}

func settingCommand(use string, args int, short text, do func(context.Context, *app.Settings, []string) error) *cobra.Command {
	var f serverFlags
	cmd := &cobra.Command{
		Use:   use,
		Short: say(short),
		Args:  cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.settings(cmd.Context(), func(ctx context.Context, s *app.Settings) error { return do(ctx, s, args) })
		},
	}
	f.add(cmd)
	return cmd
}

// settings calls fn with the settings of the etcd that the file of settings names.
func (f *serverFlags) settings(ctx context.Context, fn func(context.Context, *app.Settings) error) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	s, err := app.OpenSettings(c)
	if err == nil {
		err = errors.Join(fn(ctx, s), s.Close())
	}
	switch {
	case errs.Is(errs.Invalid, err):
		return usageError(err)
	case errs.Is(errs.Busy, err):
		return &exitError{exitUnavailable, err}
	}
	return err
}
