package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/zeromicro/go-zero/core/logx"
	"golang.org/x/term"

	"github.com/livil/gopan/internal/client"
)

// defaultServer is where "gopan serve" listens by itself.
const defaultServer = "http://127.0.0.1:8080"

// clientCommands are the commands that speak to a server.
func clientCommands() []*cobra.Command {
	return []*cobra.Command{
		loginCommand(), logoutCommand(), putCommand(), getCommand(), lsCommand(), statCommand(), mkdirCommand(),
		mvCommand(), rmCommand(),
		{Use: "exit-codes", Short: say(text{"What the exit codes mean", "退出码的含义"}), Long: exitTopic()},
	}
}

// clientFlags are the flags that client commands share.
type clientFlags struct {
	server      string
	credentials string
	quiet       bool
	json        bool
	parallel    int
	retries     int
}

// clientCommand makes a command that speaks to a server. run gets a context that Ctrl-C ends; a second Ctrl-C
// ends the process at once.
func clientCommand(use string, short, long text, min, max int, run func(ctx context.Context, s *session, args []string) error) (*cobra.Command, *clientFlags) {
	f := new(clientFlags)
	cmd := &cobra.Command{
		Use: use, Short: say(short), Long: say(long), SilenceUsage: true,
		DisableFlagsInUseLine: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < min || max >= 0 && len(args) > max {
				return usageError(errors.New(say(text{"usage: %s (see: %s --help)", "用法:%s(参见:%s --help)"}, cmd.UseLine(), cmd.CommandPath())))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			// go-zero, which is in this program for the server, would log the signal to stdout and wait.
			logx.Disable()
			signal.Reset(os.Interrupt, syscall.SIGTERM)
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			defer context.AfterFunc(ctx, stop)()
			s := &session{flags: f, in: cmd.InOrStdin(), out: cmd.OutOrStdout(), err: cmd.ErrOrStderr()}
			err := run(ctx, s, args)
			if err == nil {
				return nil
			}
			// The sentence for people, the cause for whoever asks with errors.As.
			return &exitError{exitCode(err), &explained{explain(err), err}}
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	flags := cmd.Flags()
	flags.StringVar(&f.server, "server", "", say(text{"the server's `URL` (default: GOPAN_SERVER, else the one signed in to last)", "服务器地址 `URL`(默认:GOPAN_SERVER,否则为上次登录的服务器)"}))
	flags.StringVar(&f.credentials, "credentials", "", say(text{"the `FILE` that keeps the session (default: GOPAN_CREDENTIALS, else gopan/credentials.json among your settings)", "保存登录状态的文件 `FILE`(默认:GOPAN_CREDENTIALS,否则为用户配置目录下的 gopan/credentials.json)"}))
	flags.BoolVarP(&f.quiet, "quiet", "q", false, say(text{"print errors only", "只输出错误"}))
	flags.BoolVar(&f.json, "json", false, say(text{"print JSON, one object a line", "输出 JSON,每行一个对象"}))
	f.retries, f.parallel = 4, 8
	localHelp(cmd)
	return cmd, f
}

// transferFlags adds the flags of commands that move files.
func transferFlags(cmd *cobra.Command, f *clientFlags) {
	flags := cmd.Flags()
	flags.IntVar(&f.parallel, "parallel", 8, say(text{"how many requests may move bytes at once", "同时传输数据的请求数"}))
	flags.IntVar(&f.retries, "retries", 10, say(text{"how often to try a request before giving up", "放弃之前每个请求尝试的次数"}))
}

// explained is an error with a sentence of ours in place of its own.
type explained struct {
	sentence string
	cause    error
}

func (e *explained) Error() string { return e.sentence }
func (e *explained) Unwrap() error { return e.cause }

// session is one run of a client command.
type session struct {
	flags    *clientFlags
	in       io.Reader
	out, err io.Writer

	// report shows a transfer under way, if there is one; notes go through it.
	report *report
	// retried is when the last note about a retry was printed.
	mu      sync.Mutex
	retried time.Time
}

// note prints a line for people, on stderr, unless they asked for quiet.
func (s *session) note(t text, args ...any) {
	if !s.flags.quiet {
		s.line(say(t, args...))
	}
}

// line prints a line on stderr.
func (s *session) line(l string) {
	if s.report != nil {
		s.report.line(l)
		return
	}
	fmt.Fprintln(s.err, l)
}

// store is where the session is kept.
func (s *session) store() (client.Store, error) {
	p := s.flags.credentials
	if p == "" {
		p = os.Getenv("GOPAN_CREDENTIALS")
	}
	if p == "" {
		var err error
		if p, err = client.DefaultStorePath(); err != nil {
			return client.Store{}, err
		}
	}
	return client.Store{Path: p}, nil
}

// connect makes the client for the server that is meant; named is what the command line says of it, or "".
func (s *session) connect(named string) (*client.Client, error) {
	if s.flags.parallel < 1 || s.flags.retries < 1 {
		return nil, usageError(errors.New(say(text{"--parallel and --retries are at least 1", "--parallel 与 --retries 至少为 1"})))
	}
	store, err := s.store()
	if err != nil {
		return nil, err
	}
	for _, candidate := range []string{s.flags.server, os.Getenv("GOPAN_SERVER")} {
		if named == "" {
			named = candidate
		}
	}
	if named == "" {
		if named, err = store.Current(); err != nil {
			return nil, err
		}
	}
	if named == "" {
		named = defaultServer
	}
	server, err := client.ParseServer(named)
	if err != nil {
		return nil, usageError(errors.New(say(text{"not a server address: it looks like https://drive.example.com, without user or password", "服务器地址无效:应形如 https://drive.example.com,且不含用户名或密码"})))
	}
	if client.Insecure(server) {
		s.note(text{"warning: %s is not encrypted; anyone on the way can read your password and files", "警告:%s 未加密,途经的任何人都能读到您的密码和文件"}, server)
	}
	return &client.Client{
		BaseURL: server, Credentials: store.For(server), Language: language(),
		Retry: client.Retry{Attempts: s.flags.retries, Notify: s.retrying},
	}, nil
}

// retrying says that the server is not there, now and then.
func (s *session) retrying(err error, in time.Duration) {
	s.mu.Lock()
	again := time.Since(s.retried) < 5*time.Second
	if !again {
		s.retried = time.Now()
	}
	s.mu.Unlock()
	if !again {
		s.note(text{"no answer from the server (%v); trying again in %s", "服务器没有响应(%v);%s 后重试"}, err, in.Round(100*time.Millisecond))
	}
}

// print writes a value as one line of JSON on stdout.
func (s *session) print(v any) error {
	e := json.NewEncoder(s.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// remotePath makes a drive's path of what was typed: absolute, without "." and "..". into tells whether it ends
// in a slash, which means the folder of that name.
func remotePath(s string) (p string, into bool) {
	return path.Clean("/" + s), s == "" || strings.HasSuffix(s, "/")
}

// localBase is the name that a local source has in the folder that it goes into; "" when its content is meant,
// as "dir/." and "." say.
func localBase(src string) (string, error) {
	trimmed := strings.TrimRight(src, string(filepath.Separator))
	if trimmed == "." || strings.HasSuffix(trimmed, string(filepath.Separator)+".") {
		return "", nil
	}
	abs, err := filepath.Abs(src)
	if err != nil {
		return "", err
	}
	if base := filepath.Base(abs); base != string(filepath.Separator) {
		return base, nil
	}
	return "", nil
}

// terminal tells whether a stream is a terminal that can move its cursor.
func terminal(w any) (*os.File, bool) {
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}
