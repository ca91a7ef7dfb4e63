package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/livil/gopan/internal/app"
	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/transfer"
)

// operate runs work on a data folder until it is done or Ctrl-C.
func operate(cmd *cobra.Command, f serverFlags, work func(context.Context, *transfer.Service) error) error {
	return f.beside(cmd, func(ctx context.Context, c config.Config) error { return app.Operate(ctx, c, work) })
}

// beside runs what is done beside the drive, with the settings that the flags name, until it is done or Ctrl-C.
func (f *serverFlags) beside(cmd *cobra.Command, do func(context.Context, config.Config) error) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	signal.Reset(os.Interrupt, syscall.SIGTERM) // go-zero would log it and wait
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // a second one ends the process at once
	err = do(ctx, c)
	switch {
	case ctx.Err() != nil:
		return &exitError{exitInterrupted, ctx.Err()}
	case errs.Is(errs.NotFound, err):
		return &exitError{exitNotFound, err}
	}
	return err
}

func writeReport(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func fsckCommand() *cobra.Command {
	var f serverFlags
	var readData, asJSON bool
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: say(text{"Check that everything stored is whole", "检查所有存储内容是否完好"}),
		Long: say(text{
			"Checks the tree of every drive and that every blob it refers to is there; with --read-data also reads every byte\n" +
				"and holds it against its sum. The drive may be running. Exit code 0: all is well; 1: there are problems.",
			"检查每个网盘的目录树及其引用的数据是否存在；使用 --read-data 时还会读取并校验每个字节。\n" +
				"检查时网盘可以正在运行。退出码 0 表示一切正常，1 表示发现问题。",
		}),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return operate(cmd, f, func(ctx context.Context, s *transfer.Service) error {
				progress := progressLine(cmd.ErrOrStderr(), asJSON)
				found, err := s.Check(ctx, readData, progress)
				if err != nil {
					return err
				}
				if asJSON {
					err = writeReport(cmd.OutOrStdout(), found)
				} else {
					err = tellChecked(cmd.OutOrStdout(), found)
				}
				if err == nil && len(found.Problems) > 0 {
					return &exitError{exitFailed, fmt.Errorf(say(text{"%d problems found", "发现 %d 个问题"}), len(found.Problems))}
				}
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&readData, "read-data", false, say(text{"read and check every byte", "读取并校验每个字节"}))
	cmd.Flags().BoolVar(&asJSON, "json", false, say(text{"report as JSON", "以 JSON 输出报告"}))
	return cmd
}

// progressLine tells how far a check is, now and then.
func progressLine(w io.Writer, quiet bool) func(transfer.Checked) {
	if quiet {
		return nil
	}
	last := time.Now()
	return func(c transfer.Checked) {
		if time.Since(last) < 2*time.Second {
			return
		}
		last = time.Now()
		fmt.Fprintf(w, say(text{"… %d blobs, %d MiB checked\n", "… 已检查 %d 个数据块文件，%d MiB\n"}), c.Blobs, c.Bytes>>20)
	}
}

func tellChecked(w io.Writer, c transfer.Checked) error {
	for _, p := range c.Problems {
		if _, err := fmt.Fprintf(w, "%s: %s\n", p.Code, p.Detail); err != nil {
			return err
		}
	}
	for _, name := range c.Foreign {
		if _, err := fmt.Fprintf(w, say(text{"not ours, left alone: %s\n", "非本程序文件，未处理：%s\n"}), name); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, say(text{
		"%d drives, %d nodes, %d versions, %d blobs of %d bytes; %d bytes read; %d unused blobs (%d of them recent); %d problems\n",
		"%d 个网盘，%d 个节点，%d 个版本，%d 个数据块文件共 %d 字节；已读取 %d 字节；%d 个未引用（其中 %d 个为近期）；%d 个问题\n",
	}), c.Drives, c.Nodes, c.Versions, c.Blobs, c.Bytes, c.ReadBytes, c.Orphans, c.YoungOrphans, len(c.Problems))
	if err != nil || len(c.Stores) < 2 {
		return err
	}
	for _, st := range c.Stores {
		if _, err := fmt.Fprintf(w, say(text{
			"%s: %d blobs of %d bytes; %d unused (%d of them recent)\n", "%s：%d 个数据块文件共 %d 字节；%d 个未引用（其中 %d 个为近期）\n",
		}), st.Name, st.Blobs, st.Bytes, st.Unreferenced+st.YoungOrphans, st.YoungOrphans); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(w, say(text{"%d blobs are in several stores\n", "%d 个数据块文件同时位于多个存储\n"}), c.Duplicated)
	return err
}

func gcCommand() *cobra.Command {
	var f serverFlags
	var how transfer.Collection
	var grace time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: say(text{"Delete stored bytes that nothing refers to", "删除不再被引用的数据"}),
		Long: say(text{
			"Condemns blobs that no version of any file refers to, no upload claims, and that are older than work.grace; those that were\n" +
				"condemned work.confirm ago, and are still unused, are deleted. So one run condemns and a later one deletes. The drive may\n" +
				"be running; it does the same by itself every work.every. With --now both steps are taken at once: use it when no upload is\n" +
				"under way, best with the drive stopped. --grace then says how old a blob must be; only with --now may it be below 1h.",
			"将没有任何文件版本引用、没有上传占用、且早于 work.grace 的数据列为待回收；在列入 work.confirm 之后仍未被引用的才会删除，\n" +
				"因此一次运行列入，之后的运行删除。网盘可以正在运行；它自己也会每隔 work.every 执行一次。\n" +
				"使用 --now 时两步一次完成：请仅在没有上传进行时使用，最好先停止网盘。--grace 指定数据至少多旧；仅在 --now 时可小于 1h。",
		}),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := cmd.Flags().Changed("grace")
			if given && (grace < 0 || grace < time.Hour && !how.Now) {
				return usageError(errors.New(say(text{"--grace: below 1h only with --now", "--grace：仅在 --now 时可小于 1h"})))
			}
			return operate(cmd, f, func(ctx context.Context, s *transfer.Service) error {
				if given {
					s.Grace = grace
				}
				c, err := s.Collect(ctx, how)
				if asJSON {
					return errors.Join(err, writeReport(cmd.OutOrStdout(), c))
				}
				return errors.Join(err, tellCollected(cmd.OutOrStdout(), c))
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&how.DryRun, "dry-run", false, say(text{"only say what is unused", "仅显示未引用的内容"}))
	cmd.Flags().BoolVar(&how.Now, "now", false, say(text{"condemn and delete at once; no upload may be under way", "立即列入并删除；不得有上传正在进行"}))
	cmd.Flags().DurationVar(&grace, "grace", 0, say(text{"instead of work.grace", "代替 work.grace"}))
	cmd.Flags().BoolVar(&asJSON, "json", false, say(text{"report as JSON", "以 JSON 输出报告"}))
	return cmd
}

func tellCollected(w io.Writer, c transfer.Collected) error {
	for _, st := range c.Stores {
		if _, err := fmt.Fprintf(w, say(text{
			"%s: %d blobs of %d bytes; %d unreferenced (%d bytes), %d of them condemned and waiting, %d deleted (%d bytes); %d recent ones left alone; " +
				"%d unfinished uploads swept\n",
			"%s：%d 个数据块文件共 %d 字节；%d 个未引用（%d 字节），其中 %d 个待回收，已删除 %d 个（%d 字节）；%d 个近期数据未处理；清除 %d 个未完成的上传\n",
		}), st.Name, st.Blobs, st.Bytes, st.Unreferenced, st.UnreferencedBytes, st.Waiting, st.Deleted, st.DeletedBytes,
			st.YoungOrphans, st.Swept.Staged); err != nil {
			return err
		}
	}
	return nil
}
