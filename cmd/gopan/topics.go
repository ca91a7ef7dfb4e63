package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/livil/gopan/internal/app"
	"github.com/livil/gopan/internal/errs"
)

func topicsCommand() *cobra.Command {
	var f serverFlags
	var asJSON bool
	layout := app.TopicLayout{Partitions: 12, Replicas: 3, InSync: 2, Retention: 72 * time.Hour}
	cmd := &cobra.Command{
		Use:   "topics",
		Short: say(text{"Make the topics of the commit log in Kafka, or say how they differ", "创建 Kafka 提交日志的主题，或报告其差异"}),
		Long: say(text{
			"Makes the topics that are not there. One that is there is left as it is: fails if it differs from what the flags ask for.",
			"创建尚不存在的主题；已存在的主题保持原样，若与参数不符则报告并失败。",
		}),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.topics(cmd.Context(), func(ctx context.Context, t *app.Topics) error {
				all, err := t.Prepare(ctx, layout)
				if err != nil {
					return err
				}
				differs := false
				for _, one := range all {
					differs = differs || len(one.Differs) > 0
				}
				if asJSON {
					err = writeReport(cmd.OutOrStdout(), all)
				} else {
					for _, one := range all {
						state := say(text{"as it should be", "符合要求"})
						if one.Created {
							state = say(text{"created", "已创建"})
						} else if len(one.Differs) > 0 {
							state = strings.Join(one.Differs, "; ")
						}
						fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", one.Name, state)
					}
				}
				if err == nil && differs {
					err = &exitError{exitFailed, errors.New(say(text{"topics differ", "主题存在差异"}))}
				}
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, say(text{"report as JSON", "以 JSON 输出报告"}))
	cmd.Flags().Int32Var(&layout.Partitions, "partitions", layout.Partitions, say(text{"partitions of the topic of commits", "提交主题的分区数"}))
	cmd.Flags().Int16Var(&layout.Replicas, "replicas", layout.Replicas, say(text{"replicas of each", "副本数"}))
	cmd.Flags().Int16Var(&layout.InSync, "in-sync", layout.InSync, say(text{"replicas that must have a record", "确认前须写入的副本数"}))
	cmd.Flags().DurationVar(&layout.Retention, "retention", layout.Retention, say(text{"how long records are kept", "记录保留时间"}))
	return cmd
}

func deadLettersCommand() *cobra.Command {
	var f serverFlags
	var asJSON bool
	list := &cobra.Command{
		Use:   "dead-letters [OFFSET]",
		Short: say(text{"Show the commits that could not be applied, from an offset on", "列出无法写入的提交（可指定起始偏移量）"}),
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := offset(args)
			if err != nil {
				return err
			}
			return f.topics(cmd.Context(), func(ctx context.Context, t *app.Topics) error {
				all := []app.DeadLetter{}
				if err := t.DeadLetters(ctx, from, func(d app.DeadLetter) error { all = append(all, d); return nil }); err != nil {
					return err
				}
				if asJSON {
					return writeReport(cmd.OutOrStdout(), all)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				for _, d := range all {
					fmt.Fprintf(w, "%d\t%s\t%s:%s:%s\t%s\n", d.Offset, d.Buried.Format(time.RFC3339), d.Topic, d.Partition, d.At, d.Reason)
				}
				return w.Flush()
			})
		},
	}
	f.add(list)
	list.Flags().BoolVar(&asJSON, "json", false, say(text{"report as JSON, with the commits themselves", "以 JSON 输出，包含提交内容"}))
	var g serverFlags
	replay := &cobra.Command{
		Use:   "replay OFFSET",
		Short: say(text{"Publish one again; it takes effect once, however often", "重新提交一条；无论重复多少次只生效一次"}),
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := offset(args)
			if err != nil {
				return err
			}
			return g.topics(cmd.Context(), func(ctx context.Context, t *app.Topics) error {
				found := false
				err := t.DeadLetters(ctx, at, func(d app.DeadLetter) error {
					if found || d.Offset != at {
						return nil
					}
					found = true
					return t.Replay(ctx, d)
				})
				if err == nil && !found {
					err = errs.E(errs.NotFound, "replay", "there is no dead letter at this offset")
				}
				return err
			})
		},
	}
	g.add(replay)
	list.AddCommand(replay)
	return list
}

func offset(args []string) (int64, error) {
	if len(args) == 0 {
		return 0, nil
	}
	n, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil || n < 0 {
		return 0, usageError(errors.New(say(text{"an offset is a number, such as 0", "偏移量须为非负整数"})))
	}
	return n, nil
}

// topics calls fn with the topics that the file of settings names.
func (f *serverFlags) topics(ctx context.Context, fn func(context.Context, *app.Topics) error) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	t, err := app.OpenTopics(c)
	if err == nil {
		err = fn(ctx, t)
	}
	switch {
	case errs.Is(errs.Invalid, err):
		return usageError(err)
	case errs.Is(errs.Busy, err):
		return &exitError{exitUnavailable, err}
	}
	return err
}
