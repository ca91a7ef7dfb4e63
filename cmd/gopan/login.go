package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/livil/gopan/internal/client"
)

// maxPassword bounds what is read as a password.
const maxPassword = 4096

func loginCommand() *cobra.Command {
	var (
		login string
		stdin bool
	)
	cmd, _ := clientCommand("login [URL]",
		text{"Sign in to a server", "登录服务器"},
		text{
			"Sign in to a server and keep the session for the other commands, in a file that only you can read.\n\nThe password is asked for on the terminal, or taken from GOPAN_PASSWORD or, with --password-stdin, from the\nstandard input; never from the command line, where others could see it.",
			"登录服务器,并把登录状态保存在只有您能读取的文件中,供其他命令使用。\n\n密码在终端上询问,或取自 GOPAN_PASSWORD,或用 --password-stdin 从标准输入读取;\n不能写在命令行上,以免被他人看到。",
		}, 0, 1,
		func(ctx context.Context, s *session, args []string) error {
			named := ""
			if len(args) > 0 {
				named = args[0]
			}
			c, err := s.connect(named)
			if err != nil {
				return err
			}
			password, err := s.password(ctx, login, c.BaseURL, stdin)
			if err != nil {
				return err
			}
			u, err := c.Login(ctx, login, password)
			if client.HasStatus(err, 401) {
				return failure(err, text{"%s: the name or the password is wrong", "%s:用户名或密码错误"}, login)
			}
			if err != nil {
				return err
			}
			if s.flags.json {
				return s.print(map[string]any{"event": "login", "server": c.BaseURL, "user": u})
			}
			s.note(text{"signed in to %s as %s", "已以 %[2]s 的身份登录 %[1]s"}, c.BaseURL, u.Login)
			return nil
		})
	cmd.Flags().StringVarP(&login, "login", "l", "admin", say(text{"your `NAME` on the server", "您在服务器上的用户名 `NAME`"}))
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, say(text{"read the password from the standard input", "从标准输入读取密码"}))
	return cmd
}

func logoutCommand() *cobra.Command {
	cmd, _ := clientCommand("logout",
		text{"End the session", "退出登录"},
		text{"End the session, on the server too.", "退出登录,同时结束服务器上的会话。"}, 0, 0,
		func(ctx context.Context, s *session, _ []string) error {
			c, err := s.connect("")
			if err != nil {
				return err
			}
			err = c.Logout(ctx)
			switch {
			case errors.Is(err, client.ErrSignedOut):
				s.note(text{"not signed in to %s", "尚未登录 %s"}, c.BaseURL)
				return nil
			case client.IsUnavailable(err):
				return failure(err, text{"signed out here, but the server could not be told; the session ends there by itself (%s)", "已在本机退出,但未能通知服务器;会话将在服务器上自行过期(%s)"}, explain(err))
			case err != nil:
				return err
			}
			s.note(text{"signed out of %s", "已退出 %s"}, c.BaseURL)
			return nil
		})
	return cmd
}

// password finds the password: the standard input if told so, the environment, the terminal.
func (s *session) password(ctx context.Context, login, server string, stdin bool) (string, error) {
	if stdin {
		data, err := io.ReadAll(io.LimitReader(s.in, maxPassword))
		if err != nil {
			return "", err
		}
		p := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
		if p == "" {
			return "", usageError(errors.New(say(text{"no password on the standard input", "标准输入中没有密码"})))
		}
		return p, nil
	}
	if p := os.Getenv("GOPAN_PASSWORD"); p != "" {
		return p, nil
	}
	f, ok := s.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", usageError(errors.New(say(text{"no terminal to ask for the password; use --password-stdin or GOPAN_PASSWORD", "没有可询问密码的终端;请使用 --password-stdin 或 GOPAN_PASSWORD"})))
	}
	fmt.Fprint(s.err, say(text{"Password of %s on %s: ", "%s 在 %s 上的密码:"}, login, server))
	defer fmt.Fprintln(s.err)
	return readPassword(ctx, int(f.Fd()))
}

// readPassword reads a line without showing it. When ctx ends it leaves the terminal as it was; the reading
// itself cannot be called back and ends with the process.
func readPassword(ctx context.Context, fd int) (string, error) {
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type line struct {
		text []byte
		err  error
	}
	got := make(chan line, 1)
	go func() {
		b, err := term.ReadPassword(fd)
		got <- line{b, err}
	}()
	select {
	case l := <-got:
		return string(l.text), l.err
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		return "", ctx.Err()
	}
}
