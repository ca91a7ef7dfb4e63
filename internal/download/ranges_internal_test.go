package download

import "testing"

// Where ranges end, for what is fetched ahead.
func TestRangesEnd(t *testing.T) {
	for header, want := range map[string]int64{
		"": 100, "bytes=0-9": 10, "bytes=5-": 100, "bytes=-5": 100, "bytes=0-0,20-29,3-4": 30, "bytes=0-99": 100, "bytes=0-1000": 100,
		"bytes=0-9223372036854775807": 100, "bytes=100-": 100, "bytes=1-2,-3": 100,
	} {
		if got := rangesEnd(header, 100); got != want {
			t.Errorf("%q ends at %d, want %d", header, got, want)
		}
	}
}
