package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// byteSize is a flag for a number of bytes: 1048576, 1024KiB, 1MiB.
type byteSize int64

// units of sizes, as powers of 1024 in their order.
var units = []string{"KiB", "MiB", "GiB", "TiB"}

// Set implements pflag.Value.
func (b *byteSize) Set(s string) error {
	factor := int64(1)
	for i, u := range units {
		if n, ok := strings.CutSuffix(s, u); ok {
			s, factor = n, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return errors.New(say(text{"not a number of bytes, such as 1048576 or 64MiB", "不是字节数，例如 1048576 或 64MiB"}))
	}
	*b = byteSize(n * factor)
	return nil
}

// String implements pflag.Value.
func (b *byteSize) String() string { return strconv.FormatInt(int64(*b), 10) }

// Type implements pflag.Value.
func (*byteSize) Type() string { return say(text{"bytes", "字节"}) }
