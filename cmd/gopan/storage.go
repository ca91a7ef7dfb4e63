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

func migrateCommand() *cobra.Command {
	var f serverFlags
	var m transfer.Migration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "migrate --from STORE --to STORE",
		Short: say(text{"Move content from one store to another", "将内容从一个存储迁移到另一个存储"}),
		Long: say(text{
			"Moves what versions of files refer to from one store to another, checking every block. The drive may be running, if it\n" +
				"was started with both stores in its settings; nobody who reads or writes notices. Interrupted at any moment,\n" +
				"nothing is lost; run it again to go on. Sizes are bytes, or like 64KiB, 16MiB, 2GiB.\n" +
				"Exit code 0: all was moved; 1: damaged content was found, and stays where it is.",
			"将文件版本引用的内容从一个存储迁移到另一个存储，并校验每个块。若网盘启动时的设置已包含这两个存储，迁移时网盘可以正在运行，\n" +
				"读写不受影响。任何时刻中断都不会丢失数据，再次运行即可继续。大小以字节表示，也可写作 64KiB、16MiB、2GiB。\n" +
				"退出码 0 表示已全部迁移，1 表示发现损坏的内容（保留在原处）。",
		}),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.load()
			if err != nil {
				return err
			}
			for _, name := range []string{m.From, m.To} {
				if _, ok := c.Blob.Stores[name]; !ok && name != config.LocalStore {
					return noSuchStore(name)
				}
			}
			if m.From == m.To {
				return usageError(errors.New(say(text{"--from and --to name the same store", "--from 与 --to 是同一存储"})))
			}
			return operate(cmd, f, func(ctx context.Context, s *transfer.Service) error {
				var end func()
				m.Progress, end = migrateProgress(cmd.ErrOrStderr(), asJSON)
				done, err := s.Migrate(ctx, m)
				end()
				if asJSON {
					err = errors.Join(err, writeReport(cmd.OutOrStdout(), done))
				} else {
					err = errors.Join(err, tellMigrated(cmd.OutOrStdout(), done))
				}
				if err == nil && len(done.Problems) > 0 {
					return &exitError{exitFailed, fmt.Errorf(say(text{"%d problems found", "发现 %d 个问题"}), len(done.Problems))}
				}
				return err
			})
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&m.From, "from", "", say(text{"the store that content leaves", "源存储"}))
	flags.StringVar(&m.To, "to", "", say(text{"the store that it goes to", "目标存储"}))
	flags.Var((*byteSize)(&m.MinSize), "min-size", say(text{"only content of this size or more", "仅迁移不小于此大小的内容"}))
	flags.Var((*byteSize)(&m.MaxSize), "max-size", say(text{"only content of this size or less; 0: any", "仅迁移不大于此大小的内容；0 为不限"}))
	flags.Var((*byteSize)(&m.Rate), "rate", say(text{"at most so many bytes a second; 0: any number", "每秒最多字节数；0 为不限"}))
	flags.IntVar(&m.Parallel, "parallel", 4, say(text{"how many blobs move at once", "同时迁移的数量"}))
	flags.BoolVar(&m.DryRun, "dry-run", false, say(text{"only say what would move", "仅显示将迁移的内容"}))
	flags.BoolVar(&asJSON, "json", false, say(text{"report as JSON", "以 JSON 输出报告"}))
	return cmd
}

// migrateProgress tells how far a migration is: in one line on a terminal, else in a line every few seconds.
func migrateProgress(w io.Writer, quiet bool) (progress func(transfer.Migrated), end func()) {
	if quiet {
		return nil, func() {}
	}
	every, before, after := 5*time.Second, "", "\n"
	if _, ok := terminal(w); ok {
		every, before, after = 200*time.Millisecond, "\r\x1b[K", ""
	}
	began := time.Now()
	last, told := began, false
	return func(m transfer.Migrated) {
			if time.Since(last) < every {
				return
			}
			last, told = time.Now(), true
			rate := int64(float64(m.Bytes) / time.Since(began).Seconds())
			fmt.Fprint(w, before+say(text{"%d blobs, %s moved, %s/s", "已迁移 %d 个数据块文件，%s，%s/s"},
				m.Blobs, bytesText(m.Bytes), bytesText(rate))+after)
		}, func() {
			if told && after == "" {
				fmt.Fprintln(w)
			}
		}
}

func tellMigrated(w io.Writer, m transfer.Migrated) error {
	for _, p := range m.Problems {
		if _, err := fmt.Fprintf(w, "%s: %s\n", p.Code, p.Detail); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, say(text{
		"%d blobs of %d bytes moved; %d unused ones left; %d also kept, as they were put again meanwhile; %d problems\n",
		"已迁移 %d 个数据块文件共 %d 字节；%d 个未引用的未迁移；%d 个因期间再次写入而同时保留；%d 个问题\n",
	}), m.Blobs, m.Bytes, m.Left, m.Kept, len(m.Problems))
	return err
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
