//go:build faults

package faultpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Variable of the environment that arms a point: its name, or name:n for the n-th time that it is reached.
const Variable = "GOPAN_FAULT"

var (
	armed, nth = parse(os.Getenv(Variable))
	hits       atomic.Int64
)

func parse(s string) (string, int64) {
	name, n, ok := strings.Cut(s, ":")
	if !ok {
		return name, 1
	}
	at, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		panic(Variable + ": " + err.Error())
	}
	return name, at
}

// Hit ends the process at once, by SIGKILL, if the point of this name is armed and was reached often enough.
func Hit(name string) {
	if name != armed || hits.Add(1) != nth {
		return
	}
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL) // it does not come back
	select {}
}
