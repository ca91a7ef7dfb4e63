package errs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/livil/gopan/internal/errs"
)

func TestWrapKeepsWhatTheCallerCanActOn(t *testing.T) {
	inner := errs.E(errs.OverQuota, "filemeta.Apply", errs.Code("quota_exceeded"), errs.Field("size"), time.Second, io.ErrShortWrite)
	err := fmt.Errorf("outside: %w", errs.Wrap("upload.Put", inner))

	if !errs.Is(errs.OverQuota, err) {
		t.Errorf("kind = %v", errs.KindOf(err))
	}
	if got := errs.CodeOf(err); got != "quota_exceeded" {
		t.Errorf("code = %q", got)
	}
	if !errors.Is(err, io.ErrShortWrite) {
		t.Error("the cause is lost")
	}
	want := "outside: upload.Put: filemeta.Apply: quota_exceeded (size): short write"
	if err.Error() != want {
		t.Errorf("text = %q, want %q", err, want)
	}
}

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want errs.Kind
	}{
		{errors.New("x"), errs.Internal},
		{context.Canceled, errs.Canceled},
		{fmt.Errorf("y: %w", context.DeadlineExceeded), errs.Busy},
		{errs.Wrap("op", context.Canceled), errs.Canceled},
		{errs.Wrap("op", errors.New("x")), errs.Internal},
		{errs.E(errs.Corrupt, "op"), errs.Corrupt},
	} {
		if got := errs.KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %v, want %v", c.err, got, c.want)
		}
	}
	if errs.Is(errs.Internal, nil) || errs.Wrap("op", nil) != nil {
		t.Error("nil is an error")
	}
}

func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]bool{}
	for k := range errs.Kinds {
		if n := k.String(); n == "" || seen[n] {
			t.Errorf("kind %d: name %q empty or taken", k, n)
		} else {
			seen[n] = true
		}
	}
}
