package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/livil/gopan/internal/client/clienttest"
)

// openTerminal gives the two ends of a pseudo-terminal: what a program holds, and what a person sees.
func openTerminal(t *testing.T) (program, person *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal("no pseudo-terminals here:", err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal("no pseudo-terminals here:", err)
	}
	if err := unix.IoctlSetWinsize(int(program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 120}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TERM", "xterm")
	return program, person
}

// screen collects what a person sees.
type screen struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more *sync.Cond
	over bool
}

func watch(person io.Reader) *screen {
	s := &screen{}
	s.more = sync.NewCond(&s.mu)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := person.Read(b)
			s.mu.Lock()
			s.buf.Write(b[:n])
			s.over = s.over || err != nil
			s.more.Broadcast()
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

// wait waits until a text has been on the screen, or nothing can come any more.
func (s *screen) wait(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.over && !strings.Contains(s.buf.String(), text) {
		s.more.Wait()
	}
	return s.buf.String()
}

func TestBarsOnATerminal(t *testing.T) {
	sh := newShell(t)
	sh.login()
	program, person := openTerminal(t)
	defer person.Close()
	seen := watch(person)
	big := make([]byte, 40<<20)
	if _, err := rand.Read(big); err != nil {
		t.Fatal(err)
	}
	sh.write("d/large file.bin", string(big))
	for i := range 30 {
		sh.write(fmt.Sprintf("d/%d", i), "small")
	}
	if err := os.Symlink("x", "d/link"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := &session{flags: &clientFlags{parallel: 4, retries: 4}, out: &out, err: program}
	if err := s.put(context.Background(), []string{"d"}, "/d", true, false); err != nil {
		t.Fatal(err)
	}
	got := seen.wait("sent 31 files")
	program.Close()
	for _, want := range []string{"large file.bin", "31 files", "40.0 MiB", "[", "/s", "d/link: skipped", "1 skipped"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q on the screen: %q", want, got)
		}
	}
	if out.Len() > 0 {
		t.Errorf("stdout has %q", out.String())
	}
}

func TestPasswordPrompt(t *testing.T) {
	sh := newShell(t)
	program, person := openTerminal(t)
	defer person.Close()
	seen := watch(person)
	done := make(chan error, 1)
	s := &session{flags: &clientFlags{}, in: program, err: program}
	go func() {
		got, err := s.password(context.Background(), "admin", sh.server.URL, false)
		if err == nil && got != clienttest.Password {
			err = fmt.Errorf("read %q", got)
		}
		done <- err
	}()
	seen.wait("Password of admin")
	if !silent(t, program) {
		t.Error("the terminal shows what is typed")
	}
	if _, err := io.WriteString(person, clienttest.Password+"\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	program.Close()
	if got := seen.wait("\x00never"); strings.Contains(got, clienttest.Password) {
		t.Errorf("the password is on the screen: %q", got)
	}
}

// Ctrl-C at the prompt leaves the terminal as it was.
func TestPasswordPromptInterrupted(t *testing.T) {
	newShell(t)
	program, person := openTerminal(t)
	defer person.Close()
	seen := watch(person)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := &session{flags: &clientFlags{}, in: program, err: program}
	go func() {
		_, err := s.password(ctx, "admin", "http://localhost", false)
		done <- err
	}()
	seen.wait("Password of admin")
	if !silent(t, program) {
		t.Fatal("the terminal shows what is typed")
	}
	cancel()
	if err := <-done; exitCode(err) != exitInterrupted {
		t.Errorf("got %v", err)
	}
	if echoes(t, program) == false {
		t.Error("the terminal still hides what is typed")
	}
}

func echoes(t *testing.T, f *os.File) bool {
	t.Helper()
	st, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return st.Lflag&unix.ECHO != 0
}

// silent waits for the echo to go, as long as the test may take.
func silent(t *testing.T, f *os.File) bool {
	t.Helper()
	for t.Context().Err() == nil {
		if !echoes(t, f) {
			return true
		}
	}
	return false
}
