package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/transfer"
)

// migrateFlags are what migrate is asked for.
type migrateFlags struct {
	transfer.Migration
	// detach leaves the work to the running drive.
	detach bool
	// status and cancel are asked for in the place of a migration.
	status bool
	cancel int64
	asJSON bool
}

func migrateCommand() *cobra.Command {
	var f serverFlags
	var m migrateFlags
	cmd := &cobra.Command{
		Use:   "migrate --from STORE --to STORE | --status | --cancel ID",
		Short: say(text{"Move content from one store to another", "将内容从一个存储迁移到另一个存储"}),
		Long: say(text{
			"Moves what versions of files refer to from one store to another, checking every block. The drive may be running, if it\n" +
				"was started with both stores in its settings; nobody who reads or writes notices, and all its processes with the role\n" +
				"transfer help. Ctrl-C ends the command and not the migration: it goes on in the running drive, or when the same\n" +
				"command is run again. --cancel ends it; what has moved stays moved. Interrupted at any moment, nothing is lost.\n" +
				"With --drive, only content of that drive moves that no other drive has, too. Sizes are bytes, or like 64KiB, 16MiB, 2GiB.\n" +
				"Exit code 0: all was moved; 1: damaged content was found, and stays where it is; 5: it was cancelled meanwhile.",
			"将文件版本引用的内容从一个存储迁移到另一个存储，并校验每个块。若网盘启动时的设置已包含这两个存储，迁移时网盘可以正在运行，\n" +
				"读写不受影响，且所有带 transfer 角色的进程都会参与。Ctrl-C 只结束命令，不结束迁移：迁移会在运行中的网盘里继续，\n" +
				"或在再次运行同一命令时继续。--cancel 结束迁移，已迁移的内容不会移回。任何时刻中断都不会丢失数据。\n" +
				"使用 --drive 时，只迁移该网盘独有、其他网盘没有的内容。大小以字节表示，也可写作 64KiB、16MiB、2GiB。\n" +
				"退出码 0 表示已全部迁移，1 表示发现损坏的内容（保留在原处），5 表示期间被取消。",
		}),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.load()
			if err != nil {
				return err
			}
			cancel := cmd.Flags().Changed("cancel")
			if err := m.check(c, cancel); err != nil {
				return err
			}
			return operate(cmd, f, func(ctx context.Context, s *transfer.Service) error {
				switch {
				case m.status:
					all, err := s.Migrations(ctx)
					if err != nil {
						return err
					}
					if m.asJSON {
						return writeReport(cmd.OutOrStdout(), all)
					}
					return tellMigrations(cmd.OutOrStdout(), all)
				case cancel:
					st, err := s.CancelMigration(ctx, m.cancel)
					return m.tellStatus(cmd, st, err)
				case m.detach:
					st, err := s.StartMigration(ctx, m.Migration)
					return m.tellStatus(cmd, st, err)
				}
				return m.run(ctx, cmd, s)
			})
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&m.From, "from", "", say(text{"the store that content leaves", "源存储"}))
	flags.StringVar(&m.To, "to", "", say(text{"the store that it goes to", "目标存储"}))
	flags.Int64Var(&m.Drive, "drive", 0, say(text{"only what is in the drive of this id, and in no other; 0: any", "仅迁移该编号的网盘独有的内容；0 为不限"}))
	flags.Var((*byteSize)(&m.MinSize), "min-size", say(text{"only content of this size or more", "仅迁移不小于此大小的内容"}))
	flags.Var((*byteSize)(&m.MaxSize), "max-size", say(text{"only content of this size or less; 0: any", "仅迁移不大于此大小的内容；0 为不限"}))
	flags.Var((*byteSize)(&m.Rate), "rate", say(text{"at most so many bytes a second, of all processes together; 0: any number", "所有进程合计每秒最多字节数；0 为不限"}))
	flags.IntVar(&m.Parallel, "parallel", 4, say(text{"how many blobs each process moves at once", "每个进程同时迁移的数量"}))
	flags.BoolVar(&m.DryRun, "dry-run", false, say(text{"only say what would move", "仅显示将迁移的内容"}))
	flags.BoolVar(&m.detach, "detach", false, say(text{"leave it to the running drive and do not wait", "交给运行中的网盘执行，不等待"}))
	flags.BoolVar(&m.status, "status", false, say(text{"show the migrations that run, and the last that ended", "显示进行中及最近结束的迁移"}))
	flags.Int64Var(&m.cancel, "cancel", 0, say(text{"end the migration of this id", "取消该编号的迁移"}))
	flags.BoolVar(&m.asJSON, "json", false, say(text{"report as JSON", "以 JSON 输出报告"}))
	return cmd
}

// check looks for what cannot be meant.
func (m *migrateFlags) check(c config.Config, cancel bool) error {
	only := 0
	for _, is := range []bool{m.status, cancel, m.detach, m.DryRun} {
		if is {
			only++
		}
	}
	if only > 1 {
		return usageError(errors.New(say(text{
			"--status, --cancel, --detach and --dry-run exclude one another", "--status、--cancel、--detach、--dry-run 只能使用其一",
		})))
	}
	if m.status || cancel {
		if m.From != "" || m.To != "" {
			return usageError(errors.New(say(text{"--status and --cancel go without --from and --to", "--status 和 --cancel 不与 --from、--to 同用"})))
		}
		return nil
	}
	for _, name := range []string{m.From, m.To} {
		if _, ok := c.Blob.Stores[name]; !ok && name != config.LocalStore {
			return noSuchStore(name)
		}
	}
	if m.From == m.To {
		return usageError(errors.New(say(text{"--from and --to name the same store", "--from 与 --to 是同一存储"})))
	}
	if m.Drive < 0 || m.Parallel < 1 {
		return usageError(errors.New(say(text{"--drive and --parallel are not negative, and --parallel is at least 1", "--drive 与 --parallel 不能为负，--parallel 至少为 1"})))
	}
	return nil
}

// run moves content until all has moved.
func (m *migrateFlags) run(ctx context.Context, cmd *cobra.Command, s *transfer.Service) error {
	var end func()
	m.Progress, end = migrateProgress(cmd.ErrOrStderr(), m.asJSON)
	moved, err := s.Migrate(ctx, m.Migration)
	end()
	if err != nil && moved.ID != 0 && !errors.Is(err, transfer.ErrCancelled) {
		fmt.Fprintf(cmd.ErrOrStderr(), say(text{
			"migration %d is not over: it goes on in the running drive, or when this is run again; --cancel %d ends it\n",
			"迁移 %d 尚未结束：将在运行中的网盘里继续，或在再次运行时继续；--cancel %d 可结束它\n",
		}), moved.ID, moved.ID)
	}
	if m.asJSON {
		err = errors.Join(err, writeReport(cmd.OutOrStdout(), moved))
	} else {
		err = errors.Join(err, tellMigrated(cmd.OutOrStdout(), moved))
	}
	switch {
	case errors.Is(err, transfer.ErrCancelled):
		return &exitError{exitConflict, errors.New(say(text{"the migration was cancelled", "迁移已被取消"}))}
	case err == nil && moved.Damaged > 0:
		return &exitError{exitFailed, fmt.Errorf(say(text{"%d problems found", "发现 %d 个问题"}), moved.Damaged)}
	}
	return err
}

// tellStatus tells of one migration.
func (m *migrateFlags) tellStatus(cmd *cobra.Command, st transfer.MigrationStatus, err error) error {
	switch {
	case errs.Is(errs.NotFound, err):
		return &exitError{exitNotFound, fmt.Errorf(say(text{"there is no migration %d", "没有编号为 %d 的迁移"}), m.cancel)}
	case err != nil:
		return err
	case m.asJSON:
		return writeReport(cmd.OutOrStdout(), st)
	}
	return tellMigrations(cmd.OutOrStdout(), []transfer.MigrationStatus{st})
}

// stateTexts are the words for a migration's states.
var stateTexts = map[string]text{
	"running": {"running", "进行中"}, "done": {"done", "已完成"}, "cancelled": {"cancelled", "已取消"},
}

func tellMigrations(w io.Writer, all []transfer.MigrationStatus) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, say(text{"there was no migration yet", "尚无迁移"}))
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, say(text{
		"ID\tFROM\tTO\tDRIVE\tSTATE\tPARTS\tPROCESSES\tMOVED\tBYTES\tDAMAGED\tBEGAN\tLAST FAILURE",
		"编号\t源\t目标\t网盘\t状态\t部分\t进程\t已迁移\t字节\t损坏\t开始\t最近的错误",
	}))
	for _, m := range all {
		drive := say(text{"all", "全部"})
		if m.Drive != 0 {
			drive = strconv.FormatInt(m.Drive, 10)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%d/%d\t%d\t%d\t%d\t%d\t%s\t%s\n", m.ID, m.From, m.To, drive, say(stateTexts[m.State]),
			m.PartsDone, m.Parts, m.Processes, m.Blobs, m.Bytes, m.Damaged, m.Began.Format(time.RFC3339), m.Error)
	}
	return t.Flush()
}

// migrateProgress tells how far a migration is: in one line on a terminal, else in a line every few seconds.
func migrateProgress(w io.Writer, quiet bool) (progress func(transfer.MigrationStatus), end func()) {
	if quiet {
		return nil, func() {}
	}
	every, before, after := 5*time.Second, "", "\n"
	if _, ok := terminal(w); ok {
		every, before, after = 200*time.Millisecond, "\r\x1b[K", ""
	}
	began := time.Now()
	last, told, first := began, false, int64(-1)
	return func(m transfer.MigrationStatus) {
			if first < 0 {
				first = m.Bytes // another run has moved them
			}
			if time.Since(last) < every {
				return
			}
			last, told = time.Now(), true
			rate := int64(float64(m.Bytes-first) / time.Since(began).Seconds())
			fmt.Fprint(w, before+say(text{
				"%d%%: %d blobs, %s moved, %s/s by %d processes", "%d%%：已迁移 %d 个数据块文件，%s，%s/s，%d 个进程",
			}, m.PartsDone*100/max(m.Parts, 1), m.Blobs, bytesText(m.Bytes), bytesText(rate), m.Processes)+after)
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
		"%d blobs of %d bytes moved; %d unused ones left; %d of other drives, too, left; %d also kept, as they were put again meanwhile; %d problems\n",
		"已迁移 %d 个数据块文件共 %d 字节；%d 个未引用的未迁移；%d 个与其他网盘共有的未迁移；%d 个因期间再次写入而同时保留；%d 个问题\n",
	}), m.Blobs, m.Bytes, m.Left, m.Shared, m.Kept, m.Damaged)
	return err
}
