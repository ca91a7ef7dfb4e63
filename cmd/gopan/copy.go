package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/livil/gopan/internal/client"
)

func putCommand() *cobra.Command {
	var recursive, exact bool
	cmd, f := clientCommand("put [-r] [-T] SRC... DST",
		text{"Upload files and folders", "上传文件和文件夹"},
		text{
			"Upload files, or folders with -r. If DST is a folder of the drive, or ends in a slash, or there are several\nSRC, they go into it; otherwise DST is the new path. \"DIR/.\" means what is in DIR. \"-\" is the standard input.\n\nWhat the drive has already is not sent again: files that are the same, the same content under another name, and\nthe unchanged parts of a large file. So an upload that was interrupted goes on where it was when the same\ncommand is run again. Symbolic links inside folders are not followed.",
			"上传文件,加 -r 可上传文件夹。若 DST 是网盘中的文件夹、以斜杠结尾或有多个 SRC,则放入其中;\n否则 DST 就是新的路径。\"DIR/.\" 表示 DIR 中的内容,\"-\" 表示标准输入。\n\n网盘中已有的内容不会重复发送:相同的文件、其他名称下的相同内容,以及大文件中未改变的部分。\n因此,再次运行同一命令即可从中断处继续上传。不跟随文件夹中的符号链接。",
		}, 2, -1,
		func(ctx context.Context, s *session, args []string) error {
			return s.put(ctx, args[:len(args)-1], args[len(args)-1], recursive, exact)
		})
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, say(text{"folders too, with all below them", "包括文件夹及其中所有内容"}))
	exactFlag(cmd, &exact)
	transferFlags(cmd, f)
	return cmd
}

func (s *session) put(ctx context.Context, srcs []string, dst string, recursive, exact bool) error {
	if exact && len(srcs) > 1 {
		return usageError(errors.New(say(text{"-T takes one SRC", "-T 只能有一个 SRC"})))
	}
	c, err := s.connect("")
	if err != nil {
		return err
	}
	at, into := remotePath(dst)
	if !exact {
		is, err := isFolder(ctx, c, at, false)
		if err != nil {
			return s.about(at, err)
		}
		if len(srcs) > 1 && !is && !into {
			return failure(client.ErrInTheWay, text{"%s is not a folder; end it with a slash to make it one", "%s 不是文件夹;在末尾加斜杠可新建"}, at)
		}
		into = into || is
	} else {
		into = false
	}
	if len(srcs) == 1 && srcs[0] == "-" {
		return s.putStdin(ctx, c, at, into)
	}
	store, err := s.store()
	if err != nil {
		return err
	}
	var pairs []client.Pair
	again := sameCommand
	for _, src := range srcs {
		info, err := os.Stat(src)
		if err != nil && len(srcs) == 1 {
			return err
		}
		folder := err == nil && info.IsDir()
		if folder && !recursive {
			return usageError(errors.New(say(text{"%s is a folder; add -r", "%s 是文件夹;请加 -r"}, printable(src))))
		}
		to := at
		if into {
			name, err := localBase(src)
			if err != nil {
				return err
			}
			to = path.Join(at, name)
		} else if folder && !exact {
			// At the next run DST is there, and SRC would go into it.
			again = "gopan put -r -T " + quote(src) + " " + quote(dst)
		}
		pairs = append(pairs, client.Pair{Local: src, Remote: to})
	}
	return s.transfer(ctx, sent, again, func(p client.Progress) (client.Summary, error) {
		t := client.Transfer{Client: c, Parallel: s.flags.parallel, Progress: p, Unfinished: store.Unfinished()}
		return t.PutTree(ctx, pairs)
	})
}

// putStdin uploads what cannot be read twice.
func (s *session) putStdin(ctx context.Context, c *client.Client, at string, into bool) error {
	if into {
		return usageError(errors.New(say(text{"the standard input needs a file's path as DST", "上传标准输入时,DST 必须是文件路径"})))
	}
	n, err := c.Put(ctx, at, client.Reader(s.in, -1), client.PutOptions{Parents: true})
	if err != nil {
		return s.about(at, err)
	}
	if s.flags.json {
		return s.print(n)
	}
	s.note(text{"sent %s (%s)", "已上传 %s(%s)"}, printable(n.Path), bytesText(n.Size))
	return nil
}

func getCommand() *cobra.Command {
	var recursive, exact bool
	cmd, f := clientCommand("get [-r] [-T] SRC DST",
		text{"Download a file or a folder", "下载文件或文件夹"},
		text{
			"Download a file, or a folder with -r. If DST is a folder here, or ends in a slash, SRC goes into it; otherwise\nDST is its new name. \"-\" is the standard output.\n\nFiles that are here already, unchanged, are not fetched again. Each file is checked before it gets its name.",
			"下载文件,加 -r 可下载文件夹。若 DST 是本机的文件夹或以斜杠结尾,则放入其中;否则 DST 就是新的名称。\n\"-\" 表示标准输出。\n\n本机已有且未改变的文件不会重复下载。每个文件校验无误后才会就位。",
		}, 2, 2,
		func(ctx context.Context, s *session, args []string) error {
			return s.get(ctx, args[0], args[1], recursive, exact)
		})
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, say(text{"folders too, with all below them", "包括文件夹及其中所有内容"}))
	exactFlag(cmd, &exact)
	transferFlags(cmd, f)
	return cmd
}

func (s *session) get(ctx context.Context, src, dst string, recursive, exact bool) error {
	c, err := s.connect("")
	if err != nil {
		return err
	}
	from, _ := remotePath(src)
	n, err := c.Stat(ctx, from)
	if err != nil {
		return s.about(from, err)
	}
	if n.IsFolder() && !recursive {
		return usageError(errors.New(say(text{"%s is a folder; add -r", "%s 是文件夹;请加 -r"}, printable(from))))
	}
	if dst == "-" {
		if n.IsFolder() {
			return usageError(errors.New(say(text{"a folder cannot go to the standard output", "文件夹不能输出到标准输出"})))
		}
		return s.getStdout(ctx, c, n)
	}
	info, serr := os.Stat(dst)
	here := serr == nil && info.IsDir()
	into := !exact && (here || dst == "" || os.IsPathSeparator(dst[len(dst)-1]))
	to, again := dst, sameCommand
	if into {
		to = filepath.Join(dst, path.Base(from))
		if from == "/" {
			to = filepath.Clean(dst)
		} else if !filepath.IsLocal(path.Base(from)) {
			return s.about(from, client.ErrUnsafeName)
		}
	} else if n.IsFolder() && !exact {
		again = "gopan get -r -T " + quote(src) + " " + quote(dst)
	}
	return s.transfer(ctx, fetched, again, func(p client.Progress) (client.Summary, error) {
		t := client.Transfer{Client: c, Parallel: s.flags.parallel, Progress: p}
		return t.GetTree(ctx, []client.Pair{{Local: to, Remote: from}})
	})
}

// getStdout writes a file's bytes out as they come; that they were the right ones is known at the end.
func (s *session) getStdout(ctx context.Context, c *client.Client, n *client.Node) error {
	d, err := c.Get(ctx, client.ByID(n.ID), 0, "")
	if err != nil {
		return s.about(n.Path, err)
	}
	defer d.Close()
	var sum client.Digester
	if _, err := io.Copy(io.MultiWriter(s.out, &sum), d); err != nil {
		return s.about(n.Path, err)
	}
	if n.Digest != "" && sum.Hex() != n.Digest {
		return s.about(n.Path, client.ErrDigest)
	}
	return nil
}

// sameCommand says that the command that was interrupted goes on when it is run again.
const sameCommand = ""

// transfer runs a transfer under a report and makes one error of how it ended.
func (s *session) transfer(ctx context.Context, d direction, again string, move func(client.Progress) (client.Summary, error)) error {
	s.report = newReport(s, d)
	sum, err := move(s.report)
	s.report.finish(sum, err == nil)
	codes := s.report.results()
	hint := say(text{"run the same command again to go on", "再次运行同一命令即可继续"})
	if again != sameCommand {
		hint = say(text{"to go on, run: %s", "若要继续,请运行:%s"}, again)
	}
	switch {
	case ctx.Err() != nil:
		return &exitError{exitInterrupted, errors.New(say(text{"interrupted; %s", "已中断;%s"}, hint))}
	case err != nil:
		return &exitError{exitCode(err), &explained{explain(err) + "; " + hint, err}}
	case codes.failed > 0:
		return &exitError{codes.code(), errors.New(say(text{"failed: %d", "失败:%d 项"}, codes.failed))}
	}
	return nil
}

// quote makes a word of a shell's command line.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("/._-+=:,@%", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r < 0x80
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
