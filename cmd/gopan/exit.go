package main

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"github.com/livil/gopan/internal/client"
)

// The exit codes. Scripts rely on them: numbers are only ever added.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitSignedOut   = 3
	exitNotFound    = 4
	exitConflict    = 5
	exitOverQuota   = 6
	exitUnavailable = 7
	exitInterrupted = 130
)

// exitTable is what "gopan help exit-codes" prints.
var exitTable = []struct {
	code    int
	meaning text
}{
	{exitOK, text{"all went well", "一切正常"}},
	{exitFailed, text{"it failed, or some of several files did; each is named on stderr", "失败,或多个文件中有一部分失败;每个都在 stderr 中列出"}},
	{exitUsage, text{"the command line is wrong", "命令行有误"}},
	{exitSignedOut, text{"not signed in, or the session has ended", "尚未登录,或登录已失效"}},
	{exitNotFound, text{"no such file or folder", "文件或文件夹不存在"}},
	{exitConflict, text{"the name is taken, the file has changed, or it cannot go there", "名称已被占用、文件已改变,或无法放到该处"}},
	{exitOverQuota, text{"the drive is full, also if some files were still sent", "网盘已满(可能已有部分文件上传)"}},
	{exitUnavailable, text{"the server cannot be reached, or is too busy", "无法连接服务器,或服务器过忙"}},
	{exitInterrupted, text{"interrupted by Ctrl-C or SIGTERM", "被 Ctrl-C 或 SIGTERM 中断"}},
}

// exitTopic is the text of the help topic.
func exitTopic() string {
	var b strings.Builder
	b.WriteString(say(text{"What gopan's client commands exit with:", "gopan 客户端命令的退出码:"}) + "\n\n")
	for _, e := range exitTable {
		code := strconv.Itoa(e.code)
		b.WriteString("  " + strings.Repeat(" ", 3-len(code)) + code + "  " + say(e.meaning) + "\n")
	}
	return b.String()
}

// exitError is a failure with its exit code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// ExitCode is the process's exit code.
func (e *exitError) ExitCode() int { return e.code }

// usageError is a command line that makes no sense.
func usageError(err error) error { return &exitError{exitUsage, err} }

// exitCode is the exit code for what a command returned.
func exitCode(err error) int {
	var (
		ee *exitError
		ce *client.Error
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &ee):
		return ee.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, client.ErrSignedOut), errors.Is(err, client.ErrExposed):
		return exitSignedOut
	case errors.Is(err, client.ErrInTheWay), errors.Is(err, client.ErrSameName), errors.Is(err, client.ErrBusyPart):
		return exitConflict
	case errors.As(err, &ce):
		return statusCode(ce.Status)
	case client.IsUnavailable(err):
		return exitUnavailable
	case errors.Is(err, fs.ErrNotExist):
		return exitNotFound
	case strings.HasPrefix(err.Error(), "unknown command "):
		// cobra gives this one no type.
		return exitUsage
	}
	return exitFailed
}

// statusCode is the exit code for a server's refusal.
func statusCode(status int) int {
	switch status {
	case http.StatusUnauthorized:
		return exitSignedOut
	case http.StatusNotFound, http.StatusGone:
		return exitNotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return exitConflict
	case http.StatusInsufficientStorage:
		return exitOverQuota
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return exitUnavailable
	}
	return exitFailed
}

// tally makes one exit code of many results: what stops everything comes first, then a full drive; otherwise the
// code that all share if none succeeded, else exitFailed.
type tally struct {
	ok, failed int
	codes      map[int]int
}

func (t *tally) add(err error) {
	if err == nil {
		t.ok++
		return
	}
	if t.codes == nil {
		t.codes = map[int]int{}
	}
	t.failed++
	t.codes[exitCode(err)]++
}

func (t *tally) code() int {
	for _, code := range []int{exitInterrupted, exitSignedOut, exitUnavailable, exitOverQuota} {
		if t.codes[code] > 0 {
			return code
		}
	}
	if t.failed == 0 {
		return exitOK
	}
	for code, n := range t.codes {
		if t.ok == 0 && n == t.failed {
			return code
		}
	}
	return exitFailed
}
