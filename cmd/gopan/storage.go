package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/livil/gopan/internal/app"
	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/transfer"
)

func storageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "storage",
		Short: say(text{"Look after the stores that content is kept in", "管理内容所在的存储"}),
	}
	cmd.AddCommand(storageListCommand(), migrateCommand(), scrubCommand(), adoptCommand(), forgetCommand())
	return cmd
}

// storeLine is a store as storage ls shows it.
type storeLine struct {
	transfer.Usage
	Kind string `json:"kind"`
	ID   string `json:"id"`
}

func storageListCommand() *cobra.Command {
	var f serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ls",
		Short: say(text{"List the stores, what is in them and how they are", "列出各存储及其内容与状态"}),
		Long: say(text{
			"Lists the stores of the settings with their number of blobs, their bytes, their id, and whether they answer.\n" +
				"Exit code 0: all do; 7: one does not.",
			"列出设置中的各存储：数据块文件数、字节数、标识以及是否可用。退出码 0 表示全部可用，7 表示有存储不可用。",
		}),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.load()
			if err != nil {
				return err
			}
			return operate(cmd, f, func(ctx context.Context, s *transfer.Service) error {
				usage, err := s.Usage(ctx)
				if err != nil {
					return err
				}
				ids, err := app.StoreIDs(c.Data)
				if err != nil {
					return err
				}
				lines := make([]storeLine, 0, len(usage))
				var down error
				for _, u := range usage {
					kind := c.Blob.Stores[u.Name].Kind
					if u.Name == config.LocalStore {
						kind = "local"
					}
					lines = append(lines, storeLine{u, kind, ids[u.Name]})
					if u.Error != "" {
						down = &exitError{exitUnavailable, errors.New(say(text{"a store cannot be used", "有存储不可用"}))}
					}
				}
				if asJSON {
					err = writeReport(cmd.OutOrStdout(), lines)
				} else {
					err = tellStores(cmd.OutOrStdout(), lines)
				}
				return errors.Join(err, down)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, say(text{"report as JSON", "以 JSON 输出报告"}))
	return cmd
}

func tellStores(w io.Writer, lines []storeLine) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, say(text{"NAME\tKIND\tBLOBS\tBYTES\tID\tSTATE", "名称\t类型\t数据块文件\t字节\t标识\t状态"}))
	for _, l := range lines {
		state := say(text{"ready", "可用"})
		if l.Error != "" {
			state = l.Error
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\n", l.Name, l.Kind, l.Blobs, l.Bytes, l.ID, state)
	}
	return t.Flush()
}

func scrubCommand() *cobra.Command {
	var f serverFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "scrub",
		Short: say(text{"Show what reading all that is stored has found", "显示例行校验的进度与结果"}),
		Long: say(text{
			"A running drive reads all that is stored again and again (work.scrubEvery, work.scrubRate). This shows how far it is\n" +
				"and what it found. `gopan fsck --read-data` reads everything at once. Exit code 0: all was whole; 1: damage was found.",
			"运行中的网盘会定期重新读取全部内容（work.scrubEvery、work.scrubRate）。此命令显示进度与结果。\n" +
				"`gopan fsck --read-data` 可立即读取全部内容。退出码 0 表示完好，1 表示发现损坏。",
		}),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return operate(cmd, f, func(ctx context.Context, s *transfer.Service) error {
				status, err := s.ScrubStatus(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					err = writeReport(cmd.OutOrStdout(), status)
				} else {
					err = tellScrubbed(cmd.OutOrStdout(), status)
				}
				var damaged int64
				for _, st := range []*transfer.Scrubbed{status.Last, status.Now} {
					if st != nil {
						damaged = max(damaged, st.Damaged)
					}
				}
				if err == nil && damaged > 0 {
					return &exitError{exitFailed, fmt.Errorf(say(text{"%d damaged blobs found", "发现 %d 个损坏的数据块文件"}), damaged)}
				}
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, say(text{"report as JSON", "以 JSON 输出报告"}))
	return cmd
}

func tellScrubbed(w io.Writer, status transfer.ScrubStatus) error {
	if status.Last == nil && status.Now == nil {
		_, err := fmt.Fprintln(w, say(text{"nothing was read yet", "尚未进行过例行校验"}))
		return err
	}
	for _, of := range []struct {
		st   *transfer.Scrubbed
		what text
	}{
		{status.Last, text{"last", "上次"}}, {status.Now, text{"now", "本次"}},
	} {
		if of.st == nil {
			continue
		}
		for _, p := range of.st.Problems {
			if _, err := fmt.Fprintf(w, "%s: %s\n", p.Code, p.Detail); err != nil {
				return err
			}
		}
		ended := say(text{"goes on", "进行中"})
		if !of.st.Ended.IsZero() {
			ended = of.st.Ended.Format(time.RFC3339)
		}
		if _, err := fmt.Fprintf(w, say(text{
			"%s: began %s, ended %s; %d blobs, %d bytes read; %d damaged\n", "%s：开始 %s，结束 %s；已读取 %d 个数据块文件共 %d 字节；%d 个损坏\n",
		}), say(of.what), of.st.Began.Format(time.RFC3339), ended, of.st.Blobs, of.st.Bytes, of.st.Damaged); err != nil {
			return err
		}
	}
	return nil
}

// oneStore is for commands that take the name of a store.
func oneStore(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError(errors.New(say(text{"usage: %s (see: %s --help)", "用法：%s（参见：%s --help）"}, cmd.UseLine(), cmd.CommandPath())))
	}
	return nil
}

// noSuchStore is a name that the settings do not have.
func noSuchStore(name string) error {
	return usageError(errors.New(say(text{"the settings have no store %q", "设置中没有存储 %q"}, name)))
}

func adoptCommand() *cobra.Command {
	var f serverFlags
	cmd := &cobra.Command{
		Use:   "adopt STORE",
		Short: say(text{"Take the store that is there for the one of the settings", "将现有存储认作设置中的存储"}),
		Long: say(text{
			"A store whose id the data folder does not know, or knows as another, is refused. After the data folder came from a\n" +
				"backup that is older than the store, this writes down the id that the store bears. The drive must not be running.",
			"若数据文件夹不认识某存储的标识，该存储会被拒绝。当数据文件夹恢复自早于该存储的备份时，\n" +
				"此命令记录该存储现有的标识。执行时网盘不得运行。",
		}),
		Args: oneStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.load()
			if err != nil {
				return err
			}
			if _, ok := c.Blob.Stores[args[0]]; !ok {
				return noSuchStore(args[0])
			}
			id, err := app.Adopt(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), id)
			return err
		},
	}
	f.add(cmd)
	return cmd
}

func forgetCommand() *cobra.Command {
	var f serverFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "forget STORE",
		Short: say(text{"Forget an empty store, to take it out of the settings", "忘记一个空的存储，以便从设置中移除"}),
		Long: say(text{
			"The drive does not start when its settings lack a store that it has used. This makes it forget an empty one; take it\n" +
				"out of the settings next. --force forgets also a store that is not empty or not there: what is in it is lost to the drive.",
			"若设置中缺少曾使用过的存储，网盘不会启动。此命令使其忘记一个空的存储；随后请将其从设置中移除。\n" +
				"--force 会忘记非空或不可用的存储：其中的内容将无法再被网盘读取。",
		}),
		Args: oneStore,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.load()
			if err != nil {
				return err
			}
			if !force {
				err := operate(cmd, f, func(ctx context.Context, s *transfer.Service) error {
					usage, err := s.Usage(ctx)
					if err != nil {
						return err
					}
					for _, u := range usage {
						if u.Name != args[0] {
							continue
						}
						if u.Error != "" || u.Blobs > 0 {
							return &exitError{exitConflict, fmt.Errorf(say(text{
								"the store holds %d blobs %s; move them with: gopan storage migrate", "该存储含有 %d 个数据块文件 %s；请使用 gopan storage migrate 迁移",
							}), u.Blobs, u.Error)}
						}
						return nil
					}
					return noSuchStore(args[0])
				})
				if err != nil {
					return err
				}
			}
			return app.Forget(c.Data, args[0])
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&force, "force", false, say(text{"even if it is not empty or not there", "即使非空或不可用"}))
	return cmd
}
