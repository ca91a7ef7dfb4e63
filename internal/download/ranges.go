package download

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// maxRanges in one request; with more, the whole file is sent, as RFC 9110, section 14.2, allows.
const maxRanges = 16

var oneRange = regexp.MustCompile(`^(\d*)-(\d*)$`)

// cleanRange gives a Range header as net/http reads it rightly, or "" where it is to be ignored: for an empty file,
// another unit than bytes, or more ranges than are sensible (RFC 9110, section 14.2). A header of which nothing
// can be given, or that makes no sense, becomes one that starts beyond the end.
func cleanRange(values []string, size int64) string {
	if len(values) != 1 || size == 0 || strings.Count(values[0], ",") >= maxRanges {
		return ""
	}
	unit, set, ok := strings.Cut(values[0], "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return ""
	}
	beyond := fmt.Sprintf("bytes=%d-", size)
	var kept []string
	for spec := range strings.SplitSeq(set, ",") {
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue // an empty element of a list counts for nothing
		}
		m := oneRange.FindStringSubmatch(spec)
		if m == nil || spec == "-" {
			return beyond
		}
		first, last := number(m[1]), number(m[2])
		switch {
		case m[1] == "" && last == 0: // the last no bytes
		case m[1] == "":
			kept = append(kept, fmt.Sprintf("-%d", last))
		case m[2] == "":
			kept = append(kept, fmt.Sprintf("%d-", first))
		case last < first:
			return beyond
		default:
			kept = append(kept, fmt.Sprintf("%d-%d", first, last))
		}
	}
	if len(kept) == 0 {
		return beyond
	}
	return "bytes=" + strings.Join(kept, ",")
}

// rangesEnd is where what a Range header of cleanRange asks for ends.
func rangesEnd(header string, size int64) (end int64) {
	set, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return size
	}
	for spec := range strings.SplitSeq(set, ",") {
		first, last, _ := strings.Cut(spec, "-")
		if first == "" || last == "" || number(last) >= size {
			return size
		}
		end = max(end, number(last)+1)
	}
	return end
}

// number reads digits; more than fit are the largest that does, which is beyond any file's end all the same.
func number(digits string) int64 {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil && digits != "" {
		return math.MaxInt64
	}
	return n
}

// rangeWriter holds back what net/http says of ranges that it cannot give, so that it can be said as a problem.
type rangeWriter struct {
	http.ResponseWriter
	refused bool
}

// WriteHeader implements http.ResponseWriter.
func (w *rangeWriter) WriteHeader(status int) {
	if status == http.StatusRequestedRangeNotSatisfiable {
		w.refused = true
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *rangeWriter) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// ReadFrom implements io.ReaderFrom, for sendfile's sake.
func (w *rangeWriter) ReadFrom(r io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, r) }

// Unwrap lets http.ResponseController reach the connection.
func (w *rangeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
