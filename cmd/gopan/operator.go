package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/livil/gopan/internal/app"
	"github.com/livil/gopan/internal/errs"
	"github.com/livil/gopan/internal/transfer"
)

// operate runs work on a data folder until it is done or Ctrl-C.
func operate(cmd *cobra.Command, f serverFlags, work func(context.Context, *transfer.Service) error) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = app.Operate(ctx, c, work)
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
	return err
}

func gcCommand() *cobra.Command {
	var f serverFlags
	var dryRun, asJSON bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: say(text{"Delete stored bytes that nothing refers to", "删除不再被引用的数据"}),
		Long: say(text{
			"Deletes blobs that no version of any file refers to and that are older than work.grace. The drive may be running;\n" +
				"it does the same by itself every work.every.",
			"删除没有任何文件版本引用、且早于 work.grace 的数据。网盘可以正在运行；它自己也会每隔 work.every 执行一次。",
		}),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return operate(cmd, f, func(ctx context.Context, s *transfer.Service) error {
				c, err := s.Collect(ctx, dryRun)
				if err != nil {
					return err
				}
				if asJSON {
					return writeReport(cmd.OutOrStdout(), c)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), say(text{
					"%d blobs of %d bytes; %d unreferenced (%d bytes), %d deleted (%d bytes); %d recent ones left alone\n",
					"%d 个数据块文件共 %d 字节；%d 个未引用（%d 字节），已删除 %d 个（%d 字节）；%d 个近期数据未处理\n",
				}), c.Blobs, c.Bytes, c.Unreferenced, c.UnreferencedBytes, c.Deleted, c.DeletedBytes, c.YoungOrphans)
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, say(text{"only say what would be deleted", "仅显示将被删除的内容"}))
	cmd.Flags().BoolVar(&asJSON, "json", false, say(text{"report as JSON", "以 JSON 输出报告"}))
	return cmd
}
