package user

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// peak is the most memory that this process held since forgetPeak, in bytes.
func peak(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// forgetPeak begins anew (proc_pid_clear_refs(5)).
func forgetPeak(t *testing.T) {
	t.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// holds is the memory that the Go runtime has from the system at the moment, in bytes.
func holds() uint64 {
	m := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(m)
	return m[0].Value.Uint64() - m[1].Value.Uint64()
}

// A1, S11, S16: 500 sign-ins at once, with passwords that are hashed as programs hash them, take less than 400 MiB, which are the
// test's own as well as the server's, and whoever is signed in is served meanwhile.
func TestManySignInsAtOnce(t *testing.T) {
	f := newFixture(t)
	dummyHash = realDummy
	defer func() { dummyHash = cheapHash("") }()
	const patience = 10 * time.Second
	url := behindProxy(t, f.Service, patience)
	bearer := "Bearer " + f.signedIn(t).access
	const attempts, most = 500, 400 << 20
	many := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	forgetPeak(t)
	ended := make(chan struct{})
	var judged, busy atomic.Int64
	go func() {
		defer close(ended)
		together(attempts, func(i int) {
			r, err := http.NewRequestWithContext(t.Context(), "POST", url+"/api/v1/auth/login",
				strings.NewReader(fmt.Sprintf(`{"login":"user%d","password":"wrong password"}`, i)))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("X-Forwarded-For", fmt.Sprintf("10.0.%d.%d", i/250, i%250))
			resp, err := many.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			switch resp.StatusCode {
			case http.StatusUnauthorized:
				judged.Add(1)
			case http.StatusServiceUnavailable: // it had to wait for too long
				busy.Add(1)
				if resp.Header.Get("Retry-After") == "" {
					t.Errorf("no Retry-After: %s", b)
				}
			default:
				t.Errorf("%d %s", resp.StatusCode, b)
			}
		})
	}()
	served, slowest, held := 0, time.Duration(0), uint64(0)
	for attack := true; attack; {
		select {
		case <-ended:
			attack = false
			continue
		default:
		}
		start := time.Now()
		if resp, body := call(t, "GET", url+"/api/v1/me", "", "Authorization: "+bearer); resp.StatusCode != 200 {
			t.Fatalf("ann: %d %s", resp.StatusCode, body)
		}
		served, slowest, held = served+1, max(slowest, time.Since(start)), max(held, holds())
	}
	got := peak(t)
	t.Logf("%d judged, %d told to come again; peak %d MiB, of which Go's %d; %d others served, the slowest in %v",
		judged.Load(), busy.Load(), got>>20, held>>20, served, slowest)
	if held >= most || !raced && got >= most {
		t.Errorf("%d MiB, of which Go's %d", got>>20, held>>20)
	}
	// Each of them waits for its own work alone, not behind the hashes.
	if judged.Load() < attempts/100 || served < 20 || slowest > patience {
		t.Errorf("%d judged, %d served, the slowest in %v", judged.Load(), served, slowest)
	}
}
