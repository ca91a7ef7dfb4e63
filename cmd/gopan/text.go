package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/livil/gopan/internal/client"
)

// text is something that a user reads, in both languages.
type text struct{ en, zh string }

// chinese chooses between them. Tests set it.
var chinese = wantsChinese(os.Getenv)

// wantsChinese reads the locale as POSIX orders it.
func wantsChinese(env func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := env(name); v != "" {
			return strings.HasPrefix(strings.ToLower(v), "zh")
		}
	}
	return false
}

// language is the tag that the server is asked for.
func language() string {
	if chinese {
		return "zh-CN"
	}
	return "en"
}

// say gives a text in the user's language.
func say(t text, args ...any) string {
	s := t.en
	if chinese {
		s = t.zh
	}
	if len(args) == 0 {
		return s
	}
	return fmt.Sprintf(s, args...)
}

// failure is an error in the user's language; it keeps the code that cause has.
func failure(cause error, t text, args ...any) error {
	return &exitError{exitCode(cause), errors.New(say(t, args...))}
}

// sentences are what the client's errors mean to a user.
var sentences = []struct {
	err  error
	text text
}{
	{client.ErrSignedOut, text{"not signed in, or the session has ended; run: gopan login", "尚未登录或登录已失效;请运行:gopan login"}},
	{client.ErrExposed, text{"other users can read the credentials file, so it is not used; protect it with chmod 600 and sign in again", "凭据文件可被其他用户读取,因此不予使用;请用 chmod 600 保护它并重新登录"}},
	{client.ErrChanged, text{"the file changed while it was being read", "文件在读取过程中发生了变化"}},
	{client.ErrDigest, text{"the bytes that arrived are not the file's; nothing was kept", "收到的内容与文件不符,未予保留"}},
	{client.ErrSkipped, text{"skipped: neither a file nor a folder", "已跳过:既不是文件也不是文件夹"}},
	{client.ErrInTheWay, text{"a folder is where a file should go, or a file where a folder should", "目标位置的类型不符:文件与文件夹互相占用了名称"}},
	{client.ErrSameName, text{"another file in this folder has the same name in the drive", "同一文件夹中另一个文件在网盘里与它同名"}},
	{client.ErrNotUTF8, text{"the name is not valid UTF-8", "名称不是有效的 UTF-8"}},
	{client.ErrUnsafeName, text{"the name cannot be a file's name on this computer", "该名称不能用作本机的文件名"}},
	{client.ErrBusyPart, text{"another gopan is fetching this file", "另一个 gopan 正在下载此文件"}},
	{context.Canceled, text{"interrupted", "已中断"}},
}

// explain puts an error into a sentence. What the server says of its own is in the user's language already.
func explain(err error) string {
	var (
		ee *exitError
		ne *client.NetworkError
	)
	if errors.As(err, &ee) {
		return ee.Error()
	}
	for _, s := range sentences {
		if errors.Is(err, s.err) {
			return say(s.text)
		}
	}
	if errors.As(err, &ne) {
		return say(text{"cannot reach the server (attempts: %d): %v", "无法连接服务器(已尝试 %d 次):%v"}, max(ne.Tries, 1), ne.Err)
	}
	return err.Error()
}

// localHelp puts the frame of a command's help into the user's language.
func localHelp(cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	if f := cmd.Flags().Lookup("help"); f != nil {
		f.Usage = say(text{"show this help", "显示帮助"})
	}
	if !chinese {
		return
	}
	cmd.SetUsageTemplate(strings.NewReplacer(
		"Usage:", "用法:", "Aliases:", "别名:", "Examples:", "示例:", "Global Flags:", "全局选项:", "Flags:", "选项:",
	).Replace(cmd.UsageTemplate()))
}

// printable shows a name on a terminal: what could move the cursor or hide text is replaced.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x200b && r <= 0x200f ||
			r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff {
			return '\uFFFD'
		}
		return r
	}, s)
}
