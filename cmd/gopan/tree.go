package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/spf13/cobra"

	"github.com/livil/gopan/internal/client"
)

func lsCommand() *cobra.Command {
	var long bool
	cmd, _ := clientCommand("ls [PATH]",
		text{"List a folder", "列出文件夹"},
		text{
			"List a folder of the drive, its folders first; without PATH the root. A file is listed by itself.",
			"列出网盘中的文件夹,子文件夹在前;不写 PATH 时列出根目录。若为文件,则只列出它本身。",
		}, 0, 1,
		func(ctx context.Context, s *session, args []string) error {
			at := "/"
			if len(args) > 0 {
				at, _ = remotePath(args[0])
			}
			c, err := s.connect("")
			if err != nil {
				return err
			}
			n, err := c.Stat(ctx, at)
			if err != nil {
				return s.about(at, err)
			}
			if !n.IsFolder() {
				return s.list(n, long)
			}
			for n, err := range c.List(ctx, at) {
				if err != nil {
					return s.about(at, err)
				}
				if err := s.list(&n, long); err != nil {
					return err
				}
			}
			return nil
		})
	cmd.Flags().BoolVarP(&long, "long", "l", false, say(text{"show sizes and times", "显示大小和时间"}))
	return cmd
}

// list prints one entry of a listing.
func (s *session) list(n *client.Node, long bool) error {
	if s.flags.json {
		return s.print(n)
	}
	name := n.Name
	if n.IsFolder() {
		name += "/"
	}
	if _, ok := terminal(s.out); ok {
		name = printable(name)
	}
	if !long {
		_, err := fmt.Fprintln(s.out, name)
		return err
	}
	size := "-"
	if !n.IsFolder() {
		size = fmt.Sprint(n.Size)
	}
	_, err := fmt.Fprintf(s.out, "%15s  %s  %s\n", size, n.ModifiedAt.Local().Format(time.DateTime), name)
	return err
}

func statCommand() *cobra.Command {
	cmd, _ := clientCommand("stat PATH",
		text{"Describe a file or a folder", "查看文件或文件夹的信息"},
		text{"Describe a file or a folder of the drive.", "查看网盘中文件或文件夹的详细信息。"}, 1, 1,
		func(ctx context.Context, s *session, args []string) error {
			at, _ := remotePath(args[0])
			c, err := s.connect("")
			if err != nil {
				return err
			}
			n, err := c.Stat(ctx, at)
			if err != nil {
				return s.about(at, err)
			}
			if s.flags.json {
				return s.print(n)
			}
			return describe(s.out, n)
		})
	return cmd
}

// describe prints a node, a line for each thing that it has.
func describe(w io.Writer, n *client.Node) error {
	rows := []struct {
		label text
		value string
	}{
		{text{"path", "路径"}, printable(n.Path)},
		{text{"kind", "类型"}, map[bool]string{true: say(text{"folder", "文件夹"}), false: say(text{"file", "文件"})}[n.IsFolder()]},
		{text{"size", "大小"}, fmt.Sprint(n.Size)},
		{text{"modified", "修改时间"}, n.ModifiedAt.Local().Format(time.RFC3339)},
		{text{"created", "创建时间"}, n.CreatedAt.Local().Format(time.RFC3339)},
		{text{"version", "版本"}, fmt.Sprint(n.Version)},
		{text{"digest", "摘要"}, n.Digest},
		{text{"etag", "ETag"}, n.ETag},
		{text{"id", "ID"}, n.ID},
	}
	for _, r := range rows {
		if n.IsFolder() && (r.label.en == "size" || r.label.en == "version" || r.label.en == "digest") {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", say(r.label), r.value); err != nil {
			return err
		}
	}
	return nil
}

func mkdirCommand() *cobra.Command {
	var parents bool
	cmd, _ := clientCommand("mkdir [-p] PATH",
		text{"Make a folder", "新建文件夹"},
		text{"Make a folder in the drive.", "在网盘中新建文件夹。"}, 1, 1,
		func(ctx context.Context, s *session, args []string) error {
			at, _ := remotePath(args[0])
			c, err := s.connect("")
			if err != nil {
				return err
			}
			n, err := c.Mkdir(ctx, at, parents)
			if err != nil {
				return s.about(at, err)
			}
			if s.flags.json {
				return s.print(n)
			}
			return nil
		})
	cmd.Flags().BoolVarP(&parents, "parents", "p", false, say(text{"also make the folders above it; a folder that exists is no error", "同时新建缺少的上级文件夹;文件夹已存在时不算错误"}))
	return cmd
}

func mvCommand() *cobra.Command {
	var exact bool
	cmd, _ := clientCommand("mv [-T] SRC DST",
		text{"Rename or move", "重命名或移动"},
		text{
			"Rename or move a file or a folder of the drive. If DST is a folder, or ends in a slash, SRC goes into it;\notherwise DST is its new path. Nothing is overwritten.",
			"重命名或移动网盘中的文件或文件夹。若 DST 是文件夹或以斜杠结尾,则移入其中;\n否则 DST 就是新的路径。不会覆盖已有内容。",
		}, 2, 2,
		func(ctx context.Context, s *session, args []string) error {
			src, _ := remotePath(args[0])
			dst, into := remotePath(args[1])
			c, err := s.connect("")
			if err != nil {
				return err
			}
			n, err := c.Stat(ctx, src)
			if err != nil {
				return s.about(src, err)
			}
			if !exact {
				if into, err = isFolder(ctx, c, dst, into); err != nil {
					return s.about(dst, err)
				}
			}
			parent, name := path.Dir(dst), path.Base(dst)
			if into && !exact {
				parent, name = dst, n.Name
			}
			moved, err := c.Move(ctx, n.ID, n.ETag, parent, name)
			if err != nil {
				return s.about(path.Join(parent, name), err)
			}
			if s.flags.json {
				return s.print(moved)
			}
			return nil
		})
	exactFlag(cmd, &exact)
	return cmd
}

// exactFlag adds -T, cp's and mv's.
func exactFlag(cmd *cobra.Command, exact *bool) {
	cmd.Flags().BoolVarP(exact, "no-target-directory", "T", false, say(text{"DST is the new path, also if a folder is there", "DST 就是新的路径,即使该处已有文件夹"}))
}

// isFolder tells whether a remote path is a folder to put things into. With must, it has to be one.
func isFolder(ctx context.Context, c *client.Client, p string, must bool) (bool, error) {
	if p == "/" {
		return true, nil
	}
	n, err := c.Stat(ctx, p)
	switch {
	case client.IsNotFound(err) && !must:
		return false, nil
	case err != nil:
		return false, err
	case must && !n.IsFolder():
		return false, client.ErrInTheWay
	}
	return n.IsFolder(), nil
}

func rmCommand() *cobra.Command {
	cmd, _ := clientCommand("rm PATH...",
		text{"Move to the trash", "移到回收站"},
		text{"Move files and folders of the drive, with all below them, to the trash.", "把网盘中的文件和文件夹(连同其中所有内容)移到回收站。"}, 1, -1,
		func(ctx context.Context, s *session, args []string) error {
			c, err := s.connect("")
			if err != nil {
				return err
			}
			var all tally
			for _, arg := range args {
				at, _ := remotePath(arg)
				n, err := c.Stat(ctx, at)
				if err == nil {
					err = c.Trash(ctx, n.ID)
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
				all.add(err)
				if err == nil && s.flags.json {
					err = s.print(map[string]any{"event": "trashed", "remote": at, "id": n.ID})
				}
				if err != nil {
					if len(args) == 1 {
						return s.about(at, err)
					}
					s.line("gopan: " + s.about(at, err).Error())
				}
			}
			if all.failed == 0 {
				return nil
			}
			return &exitError{all.code(), errors.New(say(text{"%d of %d could not be moved to the trash", "共 %[2]d 项,其中 %[1]d 项未能移到回收站"}, all.failed, len(args)))}
		})
	return cmd
}

// about says what an error is about; the cause stays to be found.
func (s *session) about(what string, err error) error {
	return &exitError{exitCode(err), &explained{printable(what) + ": " + explain(err), err}}
}
